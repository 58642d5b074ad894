"""MQL5 to C++: the restricted style of mql5_ea/README.md, token for token, with #line back to the source.

It rewrites only what differs between the two languages (arrays, literals, inputs, DLL imports, includes). What it does not
know it refuses, so that the bench never runs something else than MetaEditor would compile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from .lexer import Token, read_source, tokenize

SIMPLE_TYPES = frozenset(
    [
        "void",
        "bool",
        "char",
        "uchar",
        "short",
        "ushort",
        "int",
        "uint",
        "long",
        "ulong",
        "float",
        "double",
        "string",
        "datetime",
        "color",
    ]
)
HANDLERS = {
    "OnInit": "int",
    "OnDeinit": "void",
    "OnTick": "void",
    "OnTimer": "void",
    "OnTradeTransaction": "void",
    "OnChartEvent": "void",
}
_INCLUDE = re.compile(r'#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
_IMPORT = re.compile(r'#\s*import(?:\s*"([^"]+)")?')
_DEFINE = re.compile(r"(#\s*define\s+\w+)(.*)")
_KEPT_DIRECTIVES = re.compile(r"#\s*(ifdef|ifndef|else|endif|undef)\b")


@dataclass
class Program:
    """A translated Expert Advisor: C++ text, and which files it was made from."""

    text: str
    sources: list[Path]
    inputs: list[str] = field(default_factory=list)


class Translator:
    """One translation unit: an .mq5 with everything that it includes."""

    def __init__(self, include_folder: Path) -> None:
        self._include_folder = include_folder
        self._sources: list[Path] = []
        self._types: frozenset[str] = frozenset()
        self._handlers: set[str] = set()
        self._inputs: list[str] = []

    def translate(self, path: Path) -> Program:
        """Raises SourceError with file and line."""
        tokens = self._load(path)
        self._types = SIMPLE_TYPES | declared_types(tokens)
        body = self._rewrite(tokens)
        parts = ['#include "mql.h"', "namespace ea {", "using namespace mql;", body, "}"]
        parts += ["mql::Handlers mql::program_handlers() {", "  mql::Handlers table;"]
        parts += [f"  table.{name} = ea::{name};" for name in sorted(self._handlers)]
        parts += ["  return table;", "}", ""]
        return Program("\n".join(parts), self._sources, self._inputs)

    def _load(self, path: Path) -> list[Token]:
        """Tokens of the file with its includes in place; a file is included once."""
        path = path.resolve()
        self._sources.append(path)
        tokens = [_line_mark(path, 1)]
        for token in tokenize(read_source(path), path):
            include = _INCLUDE.match(token.text) if token.kind == "directive" else None
            if include is None:
                tokens.append(token)
                continue
            beside, shared = include.groups()
            folder = path.parent if beside else self._include_folder
            found = (folder / (beside or shared).replace("\\", "/")).resolve()
            if not found.is_file():
                raise token.error(f"include not found: {beside or shared}")
            if found not in self._sources:
                tokens += self._load(found)
                tokens.append(_line_mark(path, token.line))
        return tokens

    def _rewrite(self, tokens: list[Token]) -> str:
        output: list[str] = []
        index, depth, library = 0, 0, None
        while index < len(tokens):
            token = tokens[index]
            if token.kind == "directive":
                imported = _IMPORT.match(token.text)
                if imported:
                    library = imported.group(1)
                else:
                    output.append(self._directive(token))
                index += 1
            elif library and not token.is_blank:
                text, index = self._import(tokens, index, library)
                output.append(text)
            elif token.text == "input":
                text, index = self._input(tokens, index)
                output.append(text)
            else:
                depth += {"{": 1, "}": -1}.get(token.text, 0)
                if depth == 0 and token.text in HANDLERS:
                    self._handlers.add(token.text)
                array = self._array(tokens, index) if token.text in self._types else None
                if array:
                    text, index = array
                    output.append(text)
                else:
                    output.append(_literal(token))
                    index += 1
        return "".join(output)

    def _directive(self, token: Token) -> str:
        if token.text.startswith("#line"):
            return f"\n{token.text}\n"
        if token.text.startswith("#property"):
            return ""
        define = _DEFINE.match(token.text)
        if define:
            return define.group(1) + "".join(map(_literal, tokenize(define.group(2), token.path)))
        if _KEPT_DIRECTIVES.match(token.text):
            return token.text
        raise token.error(f"not translated: {token.text}")

    def _array(self, tokens: list[Token], index: int) -> tuple[str, int] | None:
        """`T name[n]`, `T name[]` or `T &name[]` at `index`, as the bench's checked arrays."""
        element = tokens[index].text
        at = _next(tokens, index + 1)
        reference = tokens[at].text == "&"
        if reference:
            at = _next(tokens, at + 1)
        name = tokens[at]
        bracket = _next(tokens, at + 1)
        if name.kind != "name" or tokens[bracket].text != "[":
            return None
        end = bracket + 1
        size = ""
        while tokens[end].text != "]":
            size += _literal(tokens[end])
            end += 1
        after = tokens[_next(tokens, end + 1)].text
        if after == "[":
            raise name.error("arrays have one dimension in the style of this project")
        if after == "," and not reference:
            raise name.error("declare one array at a time")
        if size.strip():
            return f"FixedArray<{element},({size})> {name.text}", end + 1
        return f"Array<{element}> {'&' if reference else ''}{name.text}", end + 1

    def _input(self, tokens: list[Token], index: int) -> tuple[str, int]:
        """`input T Name=value;`: a variable that a .set file can change before OnInit."""
        end = index
        while tokens[end].text != ";" and tokens[end].kind != "newline":
            end += 1
        words = [token for token in tokens[index + 1 : end] if not token.is_blank]
        if words[0].text == "group":
            return "", end
        name = words[1].text
        self._inputs.append(name)
        declaration = "".join(_literal(token) for token in tokens[index + 1 : end])
        return f'{declaration}; static mql::InputVariable input_{name}("{name}",{name});', end + 1

    def _import(self, tokens: list[Token], index: int, library: str) -> tuple[str, int]:
        """A prototype inside #import: a function that finds the symbol in the library when first called."""
        end = index
        while tokens[end].text != ";":
            end += 1
        words = [token.text for token in tokens[index:end] if not token.is_blank]
        result, name, parameters = words[0], words[1], _split_parameters(words[3:-1])
        declared, c_types, passed = [], [], []
        for words_of in parameters:
            constant = "const " if words_of[0] == "const" else ""
            kind = words_of[1] if constant else words_of[0]
            if "[" in words_of:
                argument = words_of[words_of.index("[") - 1]
                declared.append(f"{constant}Array<{kind}> &{argument}")
                c_types.append(f"{constant}{kind}*")
                passed.append(f"{argument}.data()")
            elif "&" in words_of:
                declared.append(f"{constant}{kind} &{words_of[-1]}")
                c_types.append(f"{constant}{kind}*")
                passed.append(f"&{words_of[-1]}")
            else:
                declared.append(f"{kind} {words_of[-1]}")
                c_types.append(kind)
                passed.append(words_of[-1])
        return (
            f"static {result} {name}({', '.join(declared)}) {{ using Function={result}(*)({', '.join(c_types)});"
            f' static Function call=(Function)mql::library_symbol("{library}","{name}");'
            f" return call({', '.join(passed)}); }}"
        ), end + 1


def declared_types(tokens: list[Token]) -> set[str]:
    """Names of the classes, structures and enumerations that the source declares or uses."""
    words = [token for token in tokens if not token.is_blank]
    found = {token.text for token in words if re.match(r"ENUM_|Mql[A-Z]", token.text)}
    for before, token in pairwise(words):
        if before.text in ("class", "struct", "enum") and token.kind == "name":
            found.add(token.text)
    return found


def _line_mark(path: Path, line: int) -> Token:
    return Token("directive", f'#line {line} "{path}"', path, line)


def _next(tokens: list[Token], index: int) -> int:
    while tokens[index].is_blank:
        index += 1
    return index


def _literal(token: Token) -> str:
    """One token in C++: strings are UTF-16, dates and colours are numbers."""
    match token.kind:
        case "text":
            return f"u{token.text}_s"
        case "char":
            return f"((ushort)u{token.text})"
        case "date":
            return f'mql::date_literal("{token.text[2:-1]}")'
        case "color":
            return f'mql::color_literal("{token.text[2:-1]}")'
        case "number" if re.fullmatch(r"\d{19,}", token.text):
            return token.text + "UL"
        case _:
            return token.text


def _split_parameters(words: list[str]) -> list[list[str]]:
    parameters: list[list[str]] = [[]]
    for word in words:
        if word == ",":
            parameters.append([])
        else:
            parameters[-1].append(word)
    return [parameter for parameter in parameters if parameter]
