"""Sets keys of one section in a person's configuration file: comments, order and other keys stay, the old file is kept beside it.
What cannot be edited safely is left alone and said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from app.adapters.durable_file import replace_durably
from app.domain.errors import ConfigurationError

_NULL = "tag:yaml.org,2002:null"

Value = str | Mapping[str, str]


def set_in_section(path: Path, section: str, values: Mapping[str, Value]) -> Path | None:
    """Write the keys. Returns the backup, None if there was no file. Raises ConfigurationError; then nothing changed."""
    try:
        old = path.read_bytes().decode("utf-8-sig") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigurationError(f"{path}: cannot be read: {fault}") from None
    new = edited(path, old, section, values)
    backup = path.with_name(path.name + ".before-pairing") if old else None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if backup is not None:
            replace_durably(backup, old.encode())
        replace_durably(path, new.encode())
    except OSError as fault:
        raise ConfigurationError(f"{path}: cannot be written: {fault.strerror or fault}") from None
    return backup


def edited(path: Path, text: str, section: str, values: Mapping[str, Value]) -> str:
    """The text with the keys set. Raises ConfigurationError when it is of a form that cannot be edited without harm."""
    try:
        for key, value in values.items():
            text = _with_key(path, text, section, key, _written(value))
        found = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        raise _by_hand(path, section, values) from None
    block = found.get(section) if isinstance(found, dict) else None
    wanted = {key: value if isinstance(value, str) else dict(value) for key, value in values.items()}
    if not isinstance(block, dict) or any(block.get(key) != value for key, value in wanted.items()):
        raise _by_hand(path, section, values)
    return text


def _written(value: Value) -> str:
    """JSON on one line is YAML, and quotes whatever needs quoting."""
    return json.dumps(value if isinstance(value, str) else dict(value), ensure_ascii=False)


def _with_key(path: Path, text: str, section: str, key: str, written: str) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    block = _child(root, section)
    if block is None:
        gap = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{gap}{section}:\n  {key}: {written}\n"
    name, node = block
    if node.tag == _NULL:
        at = _line_end(text, name.end_mark.index)
        return f"{text[:at]}\n  {key}: {written}{text[at:]}"
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        raise _by_hand(path, section, {key: written})
    present = _child(node, key)
    if present is None:
        first = node.value[0][0].start_mark
        at = first.index - first.column
        return f"{text[:at]}{' ' * first.column}{key}: {written}\n{text[at:]}"
    value = present[1]
    end = value.end_mark.index
    # A block's end lies at the next token; the blank and comment lines before it belong to what follows.
    if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
        end = value.value[-1][1].end_mark.index
    colon = text.index(":", present[0].end_mark.index)
    end = max(colon + 1, len(text[:end].rstrip()))
    return f"{text[: colon + 1]} {written}{text[end:]}"


def _child(node: yaml.Node | None, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                return key, value
    return None


def _line_end(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found


def _by_hand(path: Path, section: str, values: Mapping[str, Value]) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: {section}: is written in a form that cannot be edited safely; set by hand: {', '.join(values)}"
    )
