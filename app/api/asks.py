"""What the local API takes: the bodies of its requests, as pydantic models. An unknown field is refused, so that a misspelt one
is not taken for a default. What is done with them is the affair of routes and engine; those about settings stand in
settings_schemas.py.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from app.api.schemas import Digits


class Ask(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Person = Annotated[str, Field(min_length=1, max_length=100)]
Sentence = Annotated[str, Field(max_length=500)]


class StopAsk(Ask):
    reason: Sentence = "emergency stop"
    by: Person = "operator"
    close_positions: StrictBool | None = None
    """None: as configured (`safety.stop_closes_positions`)."""


class PauseAsk(Ask):
    reason: Sentence = "paused"
    by: Person = "operator"


class ResetAsk(Ask):
    word: Annotated[str, Field(min_length=1, max_length=100)]
    note: Sentence = ""
    by: Person = "operator"


class ByAsk(Ask):
    by: Person = "operator"


class NoteAsk(Ask):
    note: Annotated[str, Field(min_length=1, max_length=500)]
    by: Person = "operator"


class AcknowledgeAsk(Ask):
    note: Sentence = ""
    by: Person = "operator"


class OperateAsk(Ask):
    """An operator's own trade command: it may reduce or amend, never add exposure. Fields as in PROTOCOL §4.1.

    For amendments an absent field stays unchanged and `"0"` removes it.
    """

    action: Literal["CLOSE_POSITION", "CLOSE_ALL", "CANCEL_ORDER", "MODIFY_POSITION", "MODIFY_ORDER"]
    by: Person = "operator"
    ticket: Digits | None = None
    volume: Decimal | None = None
    symbol: str | None = None
    magic: Digits | None = None
    price: Decimal | None = None
    stop_limit_price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
