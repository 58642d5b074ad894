"""The messages of the one stream, as its writer (stream.py) and its reader (stream_reading.py) share them: a snapshot, then
numbered changes of its fields and keyed lists. Which moment is told, and how messages are put together, belongs to those two.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, TypeAdapter

from app.api.schemas import (
    AlertModel,
    CommandModel,
    Model,
    OrderModel,
    PositionModel,
    QuoteModel,
    SnapshotModel,
)


class RowsDelta(Model):
    """How a keyed list changed: rows to put (new or changed), keys gone, and the order of keys if it is another."""

    put: tuple[dict[str, Any], ...] = ()
    gone: tuple[str, ...] = ()
    order: tuple[str, ...] | None = None


class StreamMessage(Model):
    """`snapshot` starts the count at its `seq`; each `delta` has the next number. A gap means: ask for a snapshot."""

    type: Literal["snapshot", "delta"]
    seq: int
    snapshot: SnapshotModel | None = None
    changed: dict[str, Any] = Field(default_factory=dict)
    """Whole fields of SnapshotModel by name."""
    rows: dict[str, RowsDelta] = Field(default_factory=dict)


ROW_KEYS: dict[str, str] = {
    "positions": "ticket",
    "orders": "ticket",
    "quotes": "symbol",
    "commands": "command_id",
    "alerts": "alert_id",
}
"""Keyed lists of a snapshot and the field that names a row."""
ROW_MODELS: dict[str, type[Model]] = {
    "positions": PositionModel,
    "orders": OrderModel,
    "quotes": QuoteModel,
    "commands": CommandModel,
    "alerts": AlertModel,
}
FIELD_READERS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(field.annotation)
    for name, field in SnapshotModel.model_fields.items()
    if name not in ROW_KEYS and name != "warnings" and field.annotation is not None
}
"""How each field of a snapshot that is no keyed list is read and written by itself."""
