"""What the executor believes of a stream, event by event."""

from __future__ import annotations

from typing import Any

import pytest

from app.protocol.ea_stream import AnotherLife, StreamReader, StreamReading

BOOT, OTHER = "a" * 32, "b" * 32


def event(ev: str, seq: int, data: dict[str, Any] | None = None, boot: str = BOOT) -> dict[str, Any]:
    return {"v": 1, "from": "terminal", "boot": boot, "seq": seq, "ts": 1, "ev": ev, "data": data or {}}


def reader(trade_seq: int = 4) -> StreamReader:
    it = StreamReader()
    it.begin(BOOT, trade_seq)
    return it


def gap(reading: object) -> bool:
    assert isinstance(reading, StreamReading)
    return reading.gap


def test_trade_events_in_order_have_no_gap() -> None:
    it = reader()
    assert [gap(it.receive(b"trade", event("trade", seq))) for seq in (5, 6, 7)] == [False] * 3


def test_a_missing_trade_event_is_a_gap_once() -> None:
    it = reader()
    assert gap(it.receive(b"trade", event("trade", 6)))
    assert not gap(it.receive(b"trade", event("trade", 7)))


def test_trade_events_that_the_snapshot_contains_are_old_news() -> None:
    it = reader()
    assert it.receive(b"trade", event("trade", 4)) is None
    assert it.stale == 1


def test_ticks_may_be_missing() -> None:
    it = reader()
    data = {"symbol": "EURUSD"}
    assert not gap(it.receive(b"tick.EURUSD", event("tick", 1, data)))
    assert not gap(it.receive(b"tick.EURUSD", event("tick", 9, data)))


def test_the_streams_heartbeat_finds_the_last_event_missing() -> None:
    it = reader()
    assert not gap(it.receive(b"heartbeat", event("heartbeat", 1, {"trade_seq": 4})))
    assert gap(it.receive(b"heartbeat", event("heartbeat", 2, {"trade_seq": 5})))
    assert not gap(it.receive(b"heartbeat", event("heartbeat", 3, {"trade_seq": 5})))


def test_a_reply_that_overtakes_the_stream_is_given_a_second() -> None:
    it = reader()
    assert not it.told(5)
    assert not gap(it.receive(b"trade", event("trade", 5)))
    assert not it.told(5)
    assert not it.told(6)
    assert it.told(6)
    assert not it.told(6)


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        (b"trade", event("heartbeat", 1)),
        (b"tick.GBPUSD", event("tick", 1, {"symbol": "EURUSD"})),
        (b"tick.EURUSD", event("tick", 1)),
        (b"news", event("news", 1)),
        (b"trade", event("trade", 5) | {"from": "executor"}),
        (b"trade", event("trade", 5) | {"data": None}),
        (b"trade", event("trade", 5) | {"seq": "5"}),
    ],
)
def test_what_is_no_event_of_ours_is_dropped(topic: bytes, message: dict[str, Any]) -> None:
    it = reader()
    assert it.receive(topic, message) is None
    assert it.dropped == 1
    assert it.trade_seq == 4


def test_another_boot_is_another_life_and_a_former_one_is_stale() -> None:
    it = reader()
    assert it.receive(b"trade", event("trade", 1, boot=OTHER)) == AnotherLife(OTHER)
    it.begin(OTHER, 0)
    assert it.receive(b"trade", event("trade", 5)) is None
    assert it.stale == 1
    assert not gap(it.receive(b"trade", event("trade", 1, boot=OTHER)))


def test_before_the_first_session_nothing_is_believed() -> None:
    it = StreamReader()
    assert it.receive(b"trade", event("trade", 1)) is None
