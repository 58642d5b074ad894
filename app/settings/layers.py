"""Where settings come from: YAML files, environment variables, the command line. Each source becomes one flat layer of texts
with the place of every key, so that a fault can be shown where it was made. No value is interpreted here.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.domain.errors import ConfigurationError
from app.settings.model import OUTSIDE_FILES, RETIRED, SECTIONS, known_keys

PREFIX = "MEDULLA_"
ENVIRONMENT_NAME = "MEDULLA_ENV"
_RESERVED = frozenset({ENVIRONMENT_NAME, "MEDULLA_BRAIN_API_KEY"})
"""Variables of our prefix that are no settings: the layer's name, and what the reference brain reads (`medulla brain`)."""
_MAX_BYTES = 1_000_000
_MAX_DEPTH = 8
_NULL = "tag:yaml.org,2002:null"
_OPEN_ENDED = frozenset({"brain.signing_keys"})
"""Settings whose value is itself a group with names of the writer's choice."""
_LISTS = frozenset({"safety.allowed_symbols", "safety.sessions", "safety.strategies"}) | _OPEN_ENDED


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting as it was written: text, list, group, or None for an empty value."""

    value: Any
    origin: str
    """File and line, variable, or option: what a person has to open."""
    base: Path | None = None
    """The folder that a relative path is relative to; None: the current one."""


Layer = dict[str, Entry]


def nearest(key: str) -> str:
    """The known key most like an unknown one."""
    keys = known_keys()
    last = key.rsplit(".", 1)[-1]

    def likeness(known: str) -> float:
        whole = difflib.SequenceMatcher(None, key, known).ratio()
        tail = difflib.SequenceMatcher(None, last, known.rsplit(".", 1)[-1]).ratio()
        return max(whole, tail * 0.98)

    return max((*keys, *SECTIONS), key=likeness)


def unknown_key(origin: str, key: str) -> ConfigurationError:
    if key in RETIRED:
        return ConfigurationError(f"{origin}: {key}: this setting is gone: {RETIRED[key]}")
    return ConfigurationError(f"{origin}: {key}: there is no such setting; the nearest one is {nearest(key)}")


def _never_here(origin: str, key: str) -> ConfigurationError:
    variable = PREFIX + key.upper().replace(".", "__")
    return ConfigurationError(
        f"{origin}: {key}: is a secret and is taken from the variable {variable} or the keyring (`medulla alerts add`) alone; "
        "remove it here"
    )


# ------------------------------------------------------------------ YAML


def yaml_layer(path: Path) -> Layer:
    """Read one file. Raises ConfigurationError for what cannot be read, is not YAML, or is not known."""
    try:
        raw = path.read_bytes()
    except OSError as fault:
        raise ConfigurationError(f"{path}: cannot be read: {fault.strerror or fault}") from None
    if len(raw) > _MAX_BYTES:
        raise ConfigurationError(f"{path}: is larger than {_MAX_BYTES} bytes; this is no configuration file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    return text_layer(path, text)


def text_layer(path: Path, text: str) -> Layer:
    """What a file with this text would say; `path` is the place that faults name. Raises ConfigurationError."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as fault:
        raise ConfigurationError(_yaml_fault(path, fault)) from None
    if root is None or root.tag == _NULL:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise ConfigurationError(f"{path}: must hold `key: value` lines, e.g. `brain:` with `url:` below it")
    layer: Layer = {}
    _walk(path, "", root, layer, 0)
    return layer


def _yaml_fault(path: Path, fault: yaml.YAMLError) -> str:
    mark = getattr(fault, "problem_mark", None)
    line = f":{mark.line + 1}" if mark is not None else ""
    problem = getattr(fault, "problem", None) or "unreadable"
    return f"{path}{line}: is not YAML: {' '.join(str(problem).split())}"


def _walk(path: Path, prefix: str, node: yaml.MappingNode, layer: Layer, depth: int) -> None:
    for name_node, value_node in node.value:
        origin = f"{path}:{name_node.start_mark.line + 1}"
        if not isinstance(name_node, yaml.ScalarNode):
            raise ConfigurationError(f"{origin}: a key must be a plain word")
        key = f"{prefix}{name_node.value}"
        if key in layer:
            raise ConfigurationError(f"{origin}: {key}: stands twice; keep one of them")
        if key in SECTIONS:
            if value_node.tag == _NULL:
                continue
            if not isinstance(value_node, yaml.MappingNode):
                raise ConfigurationError(
                    f"{origin}: {key}: is a group; allowed: `{key}:` with its keys indented below it"
                )
            _walk(path, f"{key}.", value_node, layer, depth + 1)
        elif key in OUTSIDE_FILES:
            raise _never_here(origin, key)
        elif key in known_keys():
            layer[key] = Entry(_plain(path, key, value_node, 0), origin, path.parent)
        else:
            raise unknown_key(origin, key)


def _plain(path: Path, key: str, node: yaml.Node, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ConfigurationError(f"{path}:{node.start_mark.line + 1}: {key}: is nested too deeply")
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == _NULL else str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(path, key, item, depth + 1) for item in node.value]
    found: dict[str, Any] = {}
    for name_node, value_node in node.value:
        name = str(name_node.value)
        if name in found:
            line = name_node.start_mark.line + 1
            raise ConfigurationError(f"{path}:{line}: {key}.{name}: stands twice; keep one of them")
        found[name] = _plain(path, key, value_node, depth + 1)
    return found


# ------------------------------------------------------------------ environment and command line


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """`MEDULLA_API__PORT=0` sets `api.port`. Raises ConfigurationError for a variable that names no setting."""
    layer: Layer = {}
    for variable, text in environ.items():
        if not variable.upper().startswith(PREFIX) or variable.upper() in _RESERVED:
            continue
        key = variable[len(PREFIX) :].replace("__", ".")
        _place(layer, key, text, variable)
    return layer


def override_layer(overrides: Mapping[str, str], option: str = "command line") -> Layer:
    """What was given on the command line, by dotted key."""
    layer: Layer = {}
    for key, text in overrides.items():
        if key.lower() in OUTSIDE_FILES:
            raise _never_here(option, key)
        _place(layer, key, text, option)
    return layer


def _place(layer: Layer, key: str, text: str, origin: str) -> None:
    lower = key.lower()
    for group in _OPEN_ENDED:
        if lower.startswith(f"{group}."):
            previous = layer.get(group)
            members = dict(previous.value) if previous and isinstance(previous.value, dict) else {}
            members[key[len(group) + 1 :]] = text
            layer[group] = Entry(members, origin)
            return
    if lower not in known_keys():
        raise unknown_key(origin, lower)
    layer[lower] = Entry(_from_text(lower, text, origin), origin)


def _from_text(key: str, text: str, origin: str) -> Any:
    """A list or group may be given as YAML or JSON in brackets; everything else is taken as it stands."""
    if key not in _LISTS or not text.lstrip().startswith(("[", "{")):
        return text or None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise ConfigurationError(f"{origin}: {key}: is neither YAML nor JSON") from None
    return None if node is None else _plain(Path(origin), key, node, 0)
