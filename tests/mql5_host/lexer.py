"""MQL5 source text as tokens that remember their file and line.

The translator and the lint read the same tokens; what a token means is decided there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_TOKEN = re.compile(
    r"""
      (?P<newline>\n)
    | (?P<space>[ \t\r\f\v]+)
    | (?P<comment>//[^\n]*|/\*.*?\*/)
    | (?P<date>D'[^'\n]*')
    | (?P<color>C'[^'\n]*')
    | (?P<text>"(?:\\.|[^"\\\n])*")
    | (?P<char>'(?:\\.|[^'\\\n])')
    | (?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)
    | (?P<name>[A-Za-z_]\w*)
    | (?P<sign>::|->|\+\+|--|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%&|^~!<>=?:;,.(){}\[\]])
    """,
    re.X | re.S,
)
_DIRECTIVE = re.compile(r"[ \t]*#[ \t]*([A-Za-z]+)[^\n]*")
_BLANK = frozenset({"newline", "space", "comment"})


class SourceError(Exception):
    """The source uses something that the bench does not translate, or is not MQL5 at all."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path.name}:{line}: {problem}")


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: newline space comment date color text char number name sign, or directive (a whole # line)."""

    kind: str
    text: str
    path: Path
    line: int

    @property
    def is_blank(self) -> bool:
        return self.kind in _BLANK

    def error(self, problem: str) -> SourceError:
        return SourceError(self.path, self.line, problem)


def read_source(path: Path) -> str:
    """UTF-8 without a byte order mark: what both MetaEditor and the bench read alike."""
    return path.read_bytes().decode("utf-8").replace("\r\n", "\n")


def tokenize(text: str, path: Path) -> list[Token]:
    """Every character of `text` is in exactly one token. Raises SourceError."""
    tokens: list[Token] = []
    position, line, line_begins = 0, 1, True
    while position < len(text):
        directive = _DIRECTIVE.match(text, position) if line_begins else None
        if directive:
            tokens.append(Token("directive", directive.group().strip(), path, line))
            position = directive.end()
            continue
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise SourceError(path, line, f"unreadable character {text[position]!r}")
        token = Token(match.lastgroup, match.group(), path, line)
        tokens.append(token)
        line += token.text.count("\n")
        line_begins = token.kind == "newline" or (line_begins and token.is_blank)
        position = match.end()
    return tokens
