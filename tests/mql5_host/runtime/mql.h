// Everything of MQL5 that the translated Expert Advisor may see. Only names of the official reference stand in namespace mql's
// functions; what is the bench's own begins with a small letter.
#pragma once
#include "mql_text.h"
#include "mql_array.h"
#include "mql_enums.h"
#include "mql_structs.h"
#include "mql_functions.h"
#include "program.h"
