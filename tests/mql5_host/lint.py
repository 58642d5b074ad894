"""What MetaEditor refuses, or leaves to chance, and a host compiler accepts: the other half of the proof that the EA compiles.

`python -m mql5_host.lint FILE…` prints findings. The rules are those of the style in mql5_ea/README.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from .lexer import Token, read_source, tokenize
from .translator import HANDLERS, SIMPLE_TYPES, declared_types

KEYWORDS = frozenset(
    [
        *SIMPLE_TYPES,
        *[
            "class",
            "struct",
            "enum",
            "const",
            "public",
            "private",
            "protected",
            "static",
            "input",
            "group",
            "if",
            "else",
            "for",
            "while",
            "do",
            "switch",
            "case",
        ],
        *["default", "break", "continue", "return", "true", "false", "this", "virtual", "override", "sizeof"],
    ]
)
_CPP_ONLY = frozenset(
    [
        "auto",
        "nullptr",
        "std",
        "goto",
        "try",
        "catch",
        "throw",
        "constexpr",
        "static_cast",
        "reinterpret_cast",
        "const_cast",
        "dynamic_cast",
        "using",
        "friend",
        "mutable",
        "explicit",
        "unsigned",
        "signed",
        "size_t",
        "noexcept",
        "inline",
        "volatile",
        "register",
        "decltype",
        "typedef",
        "union",
        "operator",
        "template",
        "new",
        "delete",
        "NULL",
        "extern",
        "namespace",
    ]
)
_DIRECTIVES = re.compile(r"#\s*(property|include|import|ifdef|ifndef|else|endif|define)\b")
_DEFINE = re.compile(r"#\s*define\s+(\w+)(\()?")
_BAD_ESCAPE = re.compile(r"\\[^ntr\\\"'x0]")
_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Finding:
    """One line that MetaEditor would refuse or that the style forbids."""

    path: Path
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}: {self.problem}"


def official_names() -> frozenset[str]:
    """Everything that the MQL5 reference defines."""
    lines = Path(__file__).with_name("mql5_names.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def lint(paths: list[Path]) -> list[Finding]:
    """Findings over files that belong together: what one of them declares, the others may use."""
    tokens = {path: tokenize(read_source(path), path) for path in paths}
    everything = [token for file in tokens.values() for token in file]
    known = official_names() | KEYWORDS | _declared(everything)
    types = declared_types(everything)
    findings: list[Finding] = []
    for file in tokens.values():
        words = [token for token in file if not token.is_blank and token.kind != "directive"]
        findings += [*_characters(file), *_directives(file), *_words(words, known), *_shapes(words, types)]
        findings += _locals(words)
    return sorted(findings, key=lambda finding: (finding.path.name, finding.line))


def _found(token: Token, problem: str) -> Finding:
    return Finding(token.path, token.line, problem)


def _declared(tokens: list[Token]) -> set[str]:
    """Names that the source declares: after a type, after `&`, as a macro, or as an enumerator."""
    names = set()
    for token in tokens:
        define = _DEFINE.match(token.text) if token.kind == "directive" else None
        if define:
            names.add(define.group(1))
    words = [token for token in tokens if not token.is_blank and token.kind != "directive"]
    types = SIMPLE_TYPES | declared_types(tokens)
    enumerates = False
    for before, token in pairwise(words):
        enumerates = (enumerates or before.text == "enum") and before.text != "}"
        if token.kind == "name" and (
            before.text in types or before.text in ("&", "enum", "class", "struct", "::", "~")
        ):
            names.add(token.text)
        if enumerates and token.kind == "name" and before.text in ("{", ","):
            names.add(token.text)
    return names


def _characters(tokens: list[Token]) -> Iterator[Finding]:
    for token in tokens:
        if not token.text.isascii():
            yield _found(token, "only ASCII: MetaEditor reads other bytes by the machine's code page")
        if token.kind == "text" and _BAD_ESCAPE.search(token.text.replace("\\\\", "")):
            yield _found(token, "an escape that MQL5 does not know")


def _directives(tokens: list[Token]) -> Iterator[Finding]:
    for token in tokens:
        if token.kind != "directive":
            continue
        define = _DEFINE.match(token.text)
        if not _DIRECTIVES.match(token.text):
            yield _found(token, f"not a directive of MQL5: {token.text.split()[0]}")
        elif define and define.group(2):
            yield _found(token, "a macro with parameters")


def _words(words: list[Token], known: frozenset[str]) -> Iterator[Finding]:
    for before, token in pairwise(words):
        if token.text == "->":
            yield _found(token, "'->' is C++: MQL5 uses '.'")
        if token.kind != "name":
            continue
        if token.text in _CPP_ONLY:
            yield _found(token, f"not in this style, or not MQL5: {token.text}")
        elif len(token.text) > _LONGEST_NAME:
            yield _found(token, f"a name of more than {_LONGEST_NAME} characters")
        elif token.text not in known and before.text not in (".", "::"):
            yield _found(token, f"unknown to the MQL5 reference and not declared: {token.text}")


def _shapes(words: list[Token], types: set[str]) -> Iterator[Finding]:
    """Declarations that the two compilers read differently."""
    handler_parameters = 0
    for index in range(1, len(words) - 3):
        before, token, after, then = words[index - 1], words[index], words[index + 1], words[index + 2]
        objects = {name for name in types if not name.startswith(("ENUM_", "E"))}
        handler_parameters += {"(": 1, ")": -1}.get(token.text, 0) if handler_parameters else 0
        if token.text in HANDLERS and after.text == "(":
            handler_parameters = 0 if then.text == ")" else 1
            continue
        declares = token.text in SIMPLE_TYPES or token.text in types
        if not declares:
            continue
        if after.text == "*" and then.kind == "name" and before.text in (";", "{", "}", "(", ","):
            yield _found(token, "a pointer")
        if after.text == "&" and before.text in (";", "{", "}"):
            yield _found(token, "a local reference")
        in_list = before.text in ("(", ",") or (
            before.text == "const" and words[index - 2].text in ("(", ",")
        )
        if in_list and token.text in objects and after.kind == "name" and then.text in (",", ")"):
            yield _found(token, f"an object passed by value: {token.text}")
        if in_list and after.kind == "name" and then.text == "[":
            yield _found(token, "an array passed by value")
        simple = token.text in SIMPLE_TYPES
        const_reference = before.text == "const" and after.text == "&"
        if simple and const_reference and words[index + 3].text != "[" and not handler_parameters:
            yield _found(token, "a const reference to a simple type: MQL5 then wants exactly this type")


def _locals(words: list[Token]) -> Iterator[Finding]:
    """Inside functions every simple variable and every Mql structure gets a value where it is declared."""
    scopes: list[bool] = []  # whether the scope holds members instead of statements
    header_declares_type = False
    padded = [words[0], *words] if words else []
    for before, token, after, then in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        if token.text in ("class", "struct", "enum"):
            header_declares_type = True
        elif token.text == ";":
            header_declares_type = False
        elif token.text == "{":
            scopes.append(header_declares_type)
            header_declares_type = False
        elif token.text == "}" and scopes:
            scopes.pop()
        in_function = bool(scopes) and not scopes[-1]
        needs_value = (token.text in SIMPLE_TYPES and token.text != "string") or token.text.startswith("Mql")
        if (
            in_function
            and needs_value
            and before.text in (";", "{", "}")
            and after.kind == "name"
            and then.text in (";", ",")
        ):
            yield _found(token, f"a local without a value: {after.text}")


def main() -> int:
    findings = lint([Path(name) for name in sys.argv[1:]])
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
