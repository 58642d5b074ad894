"""The queue in front of the brain: nothing ordered is lost, doubled or overtaken; market data gives way."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.adapters.brain_outgoing import Outgoing
from app.domain.market import Quote
from app.domain.results import CommandResult, Outcome
from app.domain.values import CommandId, Price, Symbol
from app.engine.ports import AlertReport, MarketReport, PositionsReport, ResultReport

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Socket:
    """Takes as many frames as the test gives it room for."""

    def __init__(self) -> None:
        self.room = 0
        self.open = True
        self.taken: list[str] = []
        self.queue = Outgoing(
            self.write, lambda: self.room <= 0, executor_id="e", now=lambda: AT, most_waiting=50
        )

    def write(self, text: str) -> bool:
        if not self.open:
            return False
        self.room -= 1
        self.taken.append(text)
        return True

    def give(self, room: int) -> None:
        self.room = room
        self.queue.flush()

    def kinds(self) -> list[str]:
        return [json.loads(text)["type"] for text in self.taken]


def market(symbol: str, bid: int) -> MarketReport:
    return MarketReport(Quote(Symbol(symbol), Price(bid), Price(bid), AT), Decimal(0))


def result(outbox_id: int) -> ResultReport:
    return ResultReport(outbox_id, AT, CommandResult(CommandId(f"c{outbox_id}"), Outcome.EXECUTED, 1))


def test_what_must_keep_its_place_is_bounded_and_conflated_kinds_are_not_counted() -> None:
    socket = Socket()
    assert all(socket.queue.put(AlertReport("info", "X", "y")) for _ in range(50))
    assert socket.queue.put(AlertReport("info", "X", "y")) is False
    assert socket.queue.put(market("EURUSD", 1)) is True
    assert socket.queue.put(PositionsReport(())) is True
    assert len(socket.queue) == 52


def test_a_result_counts_as_written_only_once_it_is() -> None:
    socket = Socket()
    socket.queue.put(result(1))
    assert socket.queue.take_written() == ()
    socket.give(1)
    assert socket.queue.take_written() == (1,)
    assert socket.queue.take_written() == ()


def test_a_closed_connection_keeps_what_was_not_written() -> None:
    socket = Socket()
    socket.open = False
    socket.room = 10
    socket.queue.put(result(1))
    socket.queue.put(market("EURUSD", 1))
    assert socket.queue.take_written() == ()
    assert len(socket.queue) == 2


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("result"), st.just(0)),
            st.tuples(st.sampled_from(["EURUSD", "GBPUSD"]), st.integers(1, 9)),
            st.tuples(st.just("room"), st.integers(0, 4)),
        ),
        max_size=40,
    )
)
def test_any_story_keeps_the_order_of_results_and_the_latest_of_each_symbol(
    story: list[tuple[str, int]],
) -> None:
    socket = Socket()
    results = 0
    latest: dict[str, int] = {}
    for what, number in story:
        if what == "room":
            before = len(socket.taken)
            ordered_waiting = results - sum(kind == "EXECUTION_RESULT" for kind in socket.kinds())
            socket.give(number)
            kinds = socket.kinds()[before:]
            # Whatever was waiting in order goes first.
            assert kinds[:ordered_waiting] == ["EXECUTION_RESULT"] * min(ordered_waiting, len(kinds))
        elif what == "result":
            results += 1
            assert socket.queue.put(result(results))
        else:
            latest[what] = number
            assert socket.queue.put(market(what, number))
    socket.give(1000)
    sent = [json.loads(text) for text in socket.taken]
    assert [item["commandId"] for item in sent if item["type"] == "EXECUTION_RESULT"] == [
        f"c{number}" for number in range(1, results + 1)
    ]
    last = {item["data"]["symbol"]: item["data"]["bid"] for item in sent if item["type"] == "MARKET_UPDATE"}
    assert last == latest
    assert len(socket.queue) == 0
    assert socket.queue.take_written() == tuple(range(1, results + 1))
