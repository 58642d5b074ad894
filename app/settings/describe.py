"""Every setting as a person meets it: its value as it would be written, where that came from, what is allowed, when a change
takes effect, and what it does to the money. Nothing is changed here.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from app.domain.limits import Session, StrategyLimits
from app.settings.kinds import DAYS
from app.settings.model import (
    DATA_FOLDER,
    NOT_YET,
    SECRET_KEYS,
    SECTIONS,
    Settings,
    allowed,
    known_keys,
)
from app.settings.money import MONEY
from app.settings.strategies import strategy_groups

Kind = Literal["flag", "choice", "number", "text", "list", "sessions", "strategies", "keys", "path", "secret"]
Effect = Literal["live", "restart"]
Plain = str | list[Any] | dict[str, Any]
"""A value as it stands in the file: text, list or group."""

_KINDS: dict[str, Kind] = {
    DATA_FOLDER: "path",
    "safety.sessions": "sessions",
    "safety.strategies": "strategies",
    "brain.signing_keys": "keys",
    "brain.ca_file": "path",
}


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """One setting. `value` and `default` are None where nothing is set, and always for a secret."""

    key: str
    section: str
    """Empty for `data_folder`."""
    kind: Kind
    value: Plain | None
    default: Plain | None
    allowed: str
    choices: tuple[str, ...]
    """For a choice: all of them."""
    origin: str
    """`default`, or the file and line, variable or option that set it."""
    effect: Effect
    meaning: str
    money: str
    """One sentence: what it does to the trader's money."""
    secret: bool


def describe(settings: Settings) -> tuple[SettingInfo, ...]:
    """All settings in the order of the documentation."""
    return tuple(_info(settings, key) for key in known_keys())


def effect_of(key: str) -> Effect:
    """`live`: an engine that runs takes it over at once; `restart`: it counts from the next start."""
    return "live" if key.startswith("safety.") else "restart"


def value_of(settings: Settings, key: str) -> Plain | None:
    """As it would be written in the file; None: not set, or a secret."""
    if key in SECRET_KEYS:
        return None
    if key == DATA_FOLDER:
        return str(settings.data_folder)
    section, name = key.split(".", 1)
    return plain(getattr(getattr(settings, section), name))


def plain(value: Any) -> Plain | None:
    """A setting's value as text, list or group; exactly its digits."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case Enum():
            return str(value.value)
        case Decimal():
            return f"{value:f}"
        case float():
            return f"{value:g}"
        case frozenset():
            return sorted(str(item) for item in value)
        case (StrategyLimits(), *_):
            return dict(strategy_groups(value))
        case tuple():
            return [_session(item) if isinstance(item, Session) else str(item) for item in value]
        case Mapping():
            return {str(name): str(item) for name, item in value.items()}
        case SecretStr():
            return None
        case _:
            return str(value)


def _session(session: Session) -> dict[str, Any]:
    return {
        "days": [DAYS[day] for day in sorted(session.days)],
        "start": f"{session.start:%H:%M}",
        "end": f"{session.end:%H:%M}",
    }


def _info(settings: Settings, key: str) -> SettingInfo:
    section, _, name = key.rpartition(".")
    meaning, default = "Where everything is kept that has no place of its own.", None
    kind: Kind = _KINDS.get(key, "text")
    choices: tuple[str, ...] = ()
    if section:
        field = SECTIONS[section].model_fields[name]
        meaning = field.description or ""
        unset = field.get_default(call_default_factory=True)
        default = None if unset == NOT_YET and isinstance(unset, Path) else plain(unset)
        choices = _choices(field.annotation)
        kind = _kind(key, field.annotation, choices)
    secret = key in SECRET_KEYS
    return SettingInfo(
        key=key,
        section=section,
        kind="secret" if secret else kind,
        value=value_of(settings, key),
        default=None if secret else default,
        allowed=allowed(key),
        choices=choices,
        origin=settings.origins.get(key, "default"),
        effect=effect_of(key),
        meaning=meaning,
        money=MONEY.get(key, meaning),
        secret=secret,
    )


def _bare(annotation: Any) -> set[Any]:
    """The types that a field's annotation allows, without None."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return {part for part in typing.get_args(annotation) if part is not type(None)}
    return {annotation}


def _choices(annotation: Any) -> tuple[str, ...]:
    for kind in _bare(annotation):
        if typing.get_origin(kind) is Literal:
            return tuple(str(choice) for choice in typing.get_args(kind))
        if isinstance(kind, type) and issubclass(kind, Enum):
            return tuple(str(member.value) for member in kind)
    return ()


def _kind(key: str, annotation: Any, choices: tuple[str, ...]) -> Kind:
    if key in _KINDS:
        return _KINDS[key]
    if choices:
        return "choice"
    kinds = _bare(annotation)
    if bool in kinds:
        return "flag"
    if kinds & {int, float, Decimal}:
        return "number"
    if Path in kinds:
        return "path"
    if any(typing.get_origin(kind) in (frozenset, tuple, list) for kind in kinds):
        return "list"
    return "text"
