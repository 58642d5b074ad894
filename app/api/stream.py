"""The one stream: a snapshot, then numbered deltas of what changed. Each connection gets the difference to what it was sent last,
so a slow reader gets fewer and larger deltas, never old ones, and costs the engine nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from app.api.schemas import SnapshotModel
from app.api.stream_schemas import FIELD_READERS, ROW_KEYS, ROW_MODELS, RowsDelta, StreamMessage
from app.engine.control import EngineControl
from app.engine.snapshots import EngineSnapshot
from app.engine.tasks import TaskKeeper

ROWS_A_TURN = 20
"""Changed rows that are written in one turn of the engine's loop: half a millisecond's work. Two hundred at once would keep a
command waiting for five.
"""
LEAST_INTERVAL = 0.05
"""Seconds between two deltas: 20 a second are all that an eye can use."""
_LEAST_ASKED, _MOST_ASKED = 50, 60_000
"""Milliseconds that a reader may ask for with `?interval=`."""
_REFUSED = 1008
SEND_TIMEOUT = 10.0
"""Seconds in which a reader must take a message; one that does not is let go."""
_GONE = 1001


def snapshot_model(snapshot: EngineSnapshot, warnings: Sequence[str]) -> SnapshotModel:
    return SnapshotModel.model_validate(snapshot).model_copy(update={"warnings": tuple(warnings)})


class DeltaWriter:
    """What one reader knows, and what it has to be told. No I/O; between rows it lets the loop do what is more urgent."""

    def __init__(self, warnings: Sequence[str]) -> None:
        self._warnings = warnings
        self._seq = 0
        self._last: EngineSnapshot | None = None

    def snapshot(self, now: EngineSnapshot) -> StreamMessage:
        self._seq += 1
        self._last = now
        return StreamMessage(type="snapshot", seq=self._seq, snapshot=snapshot_model(now, self._warnings))

    async def delta(self, now: EngineSnapshot) -> StreamMessage | None:
        """None: nothing changed but the time. One at a time."""
        last = self._last
        if last is None:
            return self.snapshot(now)
        changed = {
            name: adapter.dump_python(
                adapter.validate_python(getattr(now, name), from_attributes=True), mode="json"
            )
            for name, adapter in FIELD_READERS.items()
            if name != "at" and getattr(now, name) != getattr(last, name)
        }
        rows = {}
        for name in ROW_KEYS:
            difference = await _rows_delta(name, getattr(last, name), getattr(now, name))
            if difference is not None:
                rows[name] = difference
        self._last = now
        if not changed and not rows:
            return None
        changed["at"] = FIELD_READERS["at"].dump_python(now.at, mode="json")
        self._seq += 1
        return StreamMessage(type="delta", seq=self._seq, changed=changed, rows=rows)


async def _rows_delta(name: str, before: Iterable[Any], after: Iterable[Any]) -> RowsDelta | None:
    if before is after:
        return None
    key = ROW_KEYS[name]
    model = ROW_MODELS[name]
    old = {str(getattr(row, key)): row for row in before}
    new = {str(getattr(row, key)): row for row in after}
    put = []
    for row_key, row in new.items():
        if old.get(row_key) is not row and old.get(row_key) != row:
            put.append(model.model_validate(row).model_dump(mode="json"))
            if len(put) % ROWS_A_TURN == 0:
                await asyncio.sleep(0)
    gone = tuple(row_key for row_key in old if row_key not in new)
    order = tuple(new)
    if not put and not gone and order == tuple(old):
        return None
    return RowsDelta(put=tuple(put), gone=gone, order=None if order == tuple(old) else order)


class _Wishes:
    """What the sending side of one connection has to attend to."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.resync = False
        self.reader_gone = False
        self.engine_ended = False


async def serve_stream(websocket: WebSocket, control: EngineControl, warnings: Sequence[str]) -> None:
    """Until the reader goes, is too slow, or the engine ends. Any text from the reader asks for a snapshot."""
    await websocket.accept()
    interval = _interval(websocket.query_params.get("interval"))
    if interval is None:
        await websocket.close(
            _REFUSED, f"interval: must be whole milliseconds from {_LEAST_ASKED} to {_MOST_ASKED}"
        )
        return
    wishes = _Wishes()
    keeper = TaskKeeper("api.stream")
    keeper.spawn("listen", _listen(websocket, wishes))
    keeper.spawn("watch", _watch(control, wishes))
    try:
        await _feed(websocket, control, DeltaWriter(warnings), wishes, interval)
    except (WebSocketDisconnect, TimeoutError, RuntimeError):
        return  # RuntimeError: the connection was closed while a message was on its way.
    finally:
        await keeper.close()
    if not wishes.reader_gone:
        await websocket.close(_GONE)


def _interval(text: str | None) -> float | None:
    """Seconds; None: what was asked for makes no sense."""
    if text is None:
        return LEAST_INTERVAL
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        return None
    return int(text) / 1000 if _LEAST_ASKED <= int(text) <= _MOST_ASKED else None


async def _listen(websocket: WebSocket, wishes: _Wishes) -> None:
    try:
        while True:
            await websocket.receive_text()
            wishes.resync = True
            wishes.wake.set()
    except (
        WebSocketDisconnect,
        RuntimeError,
        KeyError,
    ):  # KeyError: a binary frame, which means nothing here
        wishes.reader_gone = True
        wishes.wake.set()


async def _watch(control: EngineControl, wishes: _Wishes) -> None:
    async for _changed in control.changes():
        wishes.wake.set()
    wishes.engine_ended = True
    wishes.wake.set()


async def _feed(
    websocket: WebSocket, control: EngineControl, writer: DeltaWriter, wishes: _Wishes, interval: float
) -> None:
    loop = asyncio.get_running_loop()
    message: StreamMessage | None = writer.snapshot(control.snapshot())
    sent_at = loop.time()
    while not wishes.reader_gone:
        if message is not None:
            await _send(websocket, message)
            sent_at = loop.time()
        if wishes.engine_ended:
            return
        await wishes.wake.wait()
        await asyncio.sleep(max(0.0, sent_at + interval - loop.time()))
        wishes.wake.clear()
        if wishes.resync:
            wishes.resync = False
            message = writer.snapshot(control.snapshot())
        else:
            message = await writer.delta(control.snapshot())


async def _send(websocket: WebSocket, message: StreamMessage) -> None:
    async with asyncio.timeout(SEND_TIMEOUT):
        await websocket.send_text(message.model_dump_json(exclude_defaults=True))
