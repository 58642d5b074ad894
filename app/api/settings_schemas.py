"""What the local API says and takes about settings. Values travel as they stand in the file: text (for numbers too, and `true` or
`false`), lists and groups. A secret's value never travels towards a client.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from app.api.asks import Ask, Person, Sentence
from app.api.schemas import FaultModel, Model

MOST_CHANGES = 200
_MOST_ITEMS = 500


def _as_written(value: Any, depth: int = 0) -> Any:
    """A JSON value as the file would hold it. Raises ValueError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int):
        return str(value)
    if value is None or isinstance(value, str):
        return value
    if depth < 3 and isinstance(value, list | tuple) and len(value) <= _MOST_ITEMS:
        return [_as_written(item, depth + 1) for item in value]
    if depth < 3 and isinstance(value, dict) and len(value) <= _MOST_ITEMS:
        return {str(name): _as_written(item, depth + 1) for name, item in value.items()}
    raise ValueError("must be a text, a number, true or false, a list or a group")


Written = Annotated[Any, BeforeValidator(_as_written)]


class SettingModel(Model):
    """One setting. `value` is what counts by the files now; `pending` says that the engine still works with another one."""

    key: str
    section: str
    kind: str
    """`flag` | `choice` | `number` | `text` | `list` | `sessions` | `keys` | `path` | `secret`."""
    value: Any
    default: Any
    allowed: str
    choices: tuple[str, ...]
    origin: str
    """`default`, or the file and line, variable or option that set it; of a secret also `keyring` or `not set`."""
    locked: bool
    """True: set by something that counts more than the file, so that a change here is refused."""
    effect: Literal["live", "restart"]
    meaning: str
    money: str
    secret: bool
    pending: bool


class SettingsModel(Model):
    settings: tuple[SettingModel, ...]
    file: str
    """Where changes are written."""
    warnings: tuple[str, ...]


class SettingChangeModel(Model):
    key: str
    old: str
    new: str
    loosens: bool
    effect: Literal["live", "restart"]
    words: str


class SettingFaultModel(Model):
    key: str
    """Empty: the file as a whole."""
    rule: str


class JudgedModel(Model):
    """What a change would do. With errors nothing of it can be applied."""

    changes: tuple[SettingChangeModel, ...]
    errors: tuple[SettingFaultModel, ...]


class AppliedModel(Model):
    changes: tuple[SettingChangeModel, ...]
    file: str
    backup: str | None
    """Copy of the file as it was."""
    restart: tuple[str, ...]
    """Keys that count from the next start of the engine."""


class SettingsFault(FaultModel):
    """400: the values themselves are wrong."""

    errors: tuple[SettingFaultModel, ...]


class SettingsCheckAsk(Ask):
    changes: Annotated[dict[str, Written], Field(max_length=MOST_CHANGES)]
    """By dotted key; null takes the key out of the file, so that its default counts."""


class SettingsApplyAsk(SettingsCheckAsk):
    reason: Sentence = ""
    """Kept in the journal; needed for what loosens."""
    by: Person = "operator"
    confirm: bool = False
    """Needed for what loosens."""


class SecretAsk(Ask):
    key: Literal["brain.api_key"]
    value: Annotated[str, Field(min_length=1, max_length=1024)]
    by: Person = "operator"


class EndAsk(Ask):
    reason: Sentence = "ended by hand"
    by: Person = "operator"
