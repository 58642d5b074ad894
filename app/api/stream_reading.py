"""The stream as its reader takes it: messages read straight into models, and put together to the whole picture. No I/O."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, create_model

from app.api.schemas import (
    AlertModel,
    CommandModel,
    Model,
    OrderModel,
    PositionModel,
    QuoteModel,
    SnapshotModel,
)
from app.api.stream_schemas import FIELD_READERS, ROW_KEYS

Listed = TypeVar("Listed", bound=Model)


class RowsReading(Model, Generic[Listed]):
    """A RowsDelta whose rows are read at once into their model."""

    put: tuple[Listed, ...] = ()
    gone: tuple[str, ...] = ()
    order: tuple[str, ...] | None = None


class ListsReading(Model):
    positions: RowsReading[PositionModel] | None = None
    orders: RowsReading[OrderModel] | None = None
    quotes: RowsReading[QuoteModel] | None = None
    commands: RowsReading[CommandModel] | None = None
    alerts: RowsReading[AlertModel] | None = None


_FIELDS: dict[str, Any] = {
    name: (field.annotation, None)
    for name, field in SnapshotModel.model_fields.items()
    if name in FIELD_READERS
}
ChangedReading: type[BaseModel] = create_model("ChangedReading", __base__=Model, **_FIELDS)
"""Whole fields of a snapshot; which of them came says `model_fields_set`."""


class StreamReading(Model):
    """A StreamMessage read in one go from its text. Dictionaries in between would be most of the cost of hundreds of rows."""

    type: Literal["snapshot", "delta"]
    seq: int
    snapshot: SnapshotModel | None = None
    changed: ChangedReading = ChangedReading()
    rows: ListsReading = ListsReading()


class SnapshotFollower:
    """Puts stream messages together."""

    def __init__(self) -> None:
        self._seq = 0
        self._snapshot: SnapshotModel | None = None

    def read(self, text: str | bytes) -> SnapshotModel | None:
        """The picture after this message; None: a message is missing, a snapshot has to be asked for. Raises ValidationError.

        A row that did not change stays the same object, so that who draws it may compare by identity.
        """
        message = StreamReading.model_validate_json(text)
        if message.type == "snapshot" and message.snapshot is not None:
            self._seq = message.seq
            self._snapshot = message.snapshot
            return self._snapshot
        if self._snapshot is None or message.seq != self._seq + 1:
            self._snapshot = None
            return None
        self._seq = message.seq
        changed: BaseModel = message.changed
        update: dict[str, Any] = {name: getattr(changed, name) for name in changed.model_fields_set}
        for name, key in ROW_KEYS.items():
            delta = getattr(message.rows, name)
            if delta is not None:
                update[name] = _rows_after(getattr(self._snapshot, name), delta, key)
        self._snapshot = self._snapshot.model_copy(update=update)
        return self._snapshot


def _rows_after(before: tuple[Any, ...], delta: RowsReading[Any], key: str) -> tuple[Any, ...]:
    rows = {getattr(row, key): row for row in before}
    for row_key in delta.gone:
        rows.pop(row_key, None)
    rows.update((getattr(row, key), row) for row in delta.put)
    if delta.order is None:
        return tuple(rows.values())
    return tuple(rows[row_key] for row_key in delta.order if row_key in rows)
