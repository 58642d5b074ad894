"""Sets and takes away keys in a person's configuration file: comments, order and other keys stay, the old file is kept beside it.
What cannot be edited safely is left alone and said. Whether a value is allowed is not judged here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from app.adapters.durable_file import replace_durably
from app.domain.errors import ConfigurationError

_NULL = "tag:yaml.org,2002:null"
_BARE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*\Z")
_NOT_BARE = frozenset({"null", "Null", "NULL"})

Value = str | Sequence[Any] | Mapping[str, Any]
"""As it is written in the file: text (also for numbers and yes or no), a list, or a group."""


def set_in_section(path: Path, section: str, values: Mapping[str, Value]) -> Path | None:
    """Write the keys of one section. Returns the backup, None: there was no file. Raises ConfigurationError: nothing changed."""
    old = read_text(path)
    new = edited(path, old, section, values)
    return replace_text(path, old, new, ".before-pairing")


def read_text(path: Path) -> str:
    """The file's text; empty if there is none. Raises ConfigurationError."""
    try:
        return path.read_bytes().decode("utf-8-sig") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigurationError(f"{path}: cannot be read: {fault}") from None


def replace_text(path: Path, old: str, new: str, suffix: str) -> Path | None:
    """Write `new` so that always a whole file is there; `old` goes to a copy with `suffix`. Raises ConfigurationError."""
    backup = path.with_name(path.name + suffix) if old else None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if backup is not None:
            replace_durably(backup, old.encode())
        replace_durably(path, new.encode())
    except OSError as fault:
        raise ConfigurationError(f"{path}: cannot be written: {fault.strerror or fault}") from None
    return backup


def edited(path: Path, text: str, section: str, values: Mapping[str, Value | None]) -> str:
    """`with_changes` for the keys of one section."""
    return with_changes(path, text, {f"{section}.{key}": value for key, value in values.items()})


def with_changes(path: Path, text: str, changes: Mapping[str, Value | None]) -> str:
    """The text with the dotted keys set; None takes a key away.

    The result is read again: it must hold the changes and nothing else must differ. Raises ConfigurationError for a form that
    cannot be edited without harm.
    """
    try:
        wanted = _plain(text)
        for dotted, value in changes.items():
            section, _, key = dotted.rpartition(".")
            text = (
                _without_key(text, section, key)
                if value is None
                else _with_key(text, section, key, written(value))
            )
            _apply(wanted, section, key, value)
        found = _plain(text)
    except (yaml.YAMLError, _Unsafe):
        raise _by_hand(path, changes) from None
    if found != wanted:
        raise _by_hand(path, changes)
    return text


class _Unsafe(Exception):
    """The file is of a form that is not understood well enough to be changed."""


def _plain(text: str) -> dict[str, Any]:
    """The file as texts, lists and groups; an empty section is an empty group."""
    found = yaml.load(text, Loader=yaml.BaseLoader)
    if found in (None, ""):
        return {}
    if not isinstance(found, dict):
        raise _Unsafe
    return {key: value for key, value in found.items() if value not in ({}, "")}


def _apply(wanted: dict[str, Any], section: str, key: str, value: Value | None) -> None:
    block = wanted.setdefault(section, {}) if section else wanted
    if not isinstance(block, dict):
        raise _Unsafe
    if value is None:
        block.pop(key, None)
    else:
        block[key] = json.loads(json.dumps(value))
    if section and not block:
        del wanted[section]


def written(value: Value) -> str:
    """One line of YAML: bare words and numbers as they are, everything else quoted as in JSON."""
    if isinstance(value, str):
        bare = _BARE.match(value) and value not in _NOT_BARE
        return value if bare else json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{written(key)}: {written(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(written(item) for item in value) + "]"


# ------------------------------------------------------------------ one key


def _with_key(text: str, section: str, key: str, line: str) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not section:
        return _set_in(text, root, key, line, 0)
    block = _child(root, section)
    if block is None:
        gap = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{gap}{section}:\n  {key}: {line}\n"
    name, node = block
    if node.tag == _NULL:
        at = _line_end(text, name.end_mark.index)
        return f"{text[:at]}\n  {key}: {line}{text[at:]}"
    return _set_in(text, node, key, line, 2)


def _set_in(text: str, node: yaml.Node | None, key: str, line: str, indent: int) -> str:
    if node is None or node.tag == _NULL:
        gap = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{gap}{' ' * indent}{key}: {line}\n"
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        raise _Unsafe
    present = _child(node, key)
    if present is None:
        first = node.value[0][0].start_mark
        at = first.index - first.column
        return f"{text[:at]}{' ' * first.column}{key}: {line}\n{text[at:]}"
    colon, end = _span(text, present)
    return f"{text[: colon + 1]} {line}{text[end:]}"


def _without_key(text: str, section: str, key: str) -> str:
    """The key's lines away, with a comment behind its value; a comment above it stays."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    block = _child(root, section) if section else None
    node = root if not section else None if block is None else block[1]
    present = _child(node, key)
    if node is None or present is None:
        return text
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        raise _Unsafe
    mark = present[0].start_mark
    _colon, end = _span(text, present)
    return text[: mark.index - mark.column] + text[_line_end(text, end) + 1 :]


def _span(text: str, present: tuple[yaml.Node, yaml.Node]) -> tuple[int, int]:
    """(index of the colon, end of the value)."""
    name, value = present
    colon = text.index(":", name.end_mark.index)
    end = _end(value)
    return colon, max(colon + 1, len(text[:end].rstrip()))


def _end(node: yaml.Node) -> int:
    """A block's end lies at the next token; the blank and comment lines before that belong to what follows."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _child(node: yaml.Node | None, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                return key, value
    return None


def _line_end(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found


def _by_hand(path: Path, changes: Mapping[str, Value | None]) -> ConfigurationError:
    sections = sorted({key.rpartition(".")[0] for key in changes} - {""})
    names = ", ".join(key.rpartition(".")[2] for key in changes)
    return ConfigurationError(
        f"{path}: {' and '.join(sections) or 'it'}: is written in a form that cannot be edited safely; set by hand: {names}"
    )
