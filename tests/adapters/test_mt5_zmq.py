"""ZmqBroker before a terminal that misbehaves on purpose. What a well-behaved one gets is in tests/contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from app.adapters.mt5_zmq import ZmqBroker
from app.adapters.system_clock import SystemClock
from app.domain.errors import TerminalUnavailable
from app.domain.execution import Execution, ExecutionState
from app.domain.values import CommandId, Symbol
from app.engine.broker import LinkState
from app.protocol.ea_frames import StreamEvent, encode_event, seal
from tests.adapters.scripted_terminal import ScriptedTerminal, scripted_terminal
from tests.contract.broker_contract import TERMS, command, hints, open_, running, zmq_broker
from tests.fakes.broker_listener import RecordingListener

DONE = {"state": "done", "retcode": 10009, "position": "5001", "volume": "0.10", "attempts": 1}


@dataclass(slots=True)
class Stage:
    terminal: ScriptedTerminal
    broker: ZmqBroker
    heard: RecordingListener

    def send(self, command_id: str = "c1") -> asyncio.Future[Execution]:
        return self.broker.send(command(command_id, open_()), TERMS)

    async def stream_is_on(self) -> None:
        """PUB and SUB find each other some time after the session; publish heartbeats until one arrives."""
        before = len(self.heard.heartbeats)
        async with asyncio.timeout(5):
            while not any(beat.round_trip is None for beat in self.heard.heartbeats[before:]):
                await self.terminal.publish("heartbeat", self.terminal.pulse())
                await asyncio.sleep(0.01)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    heard = RecordingListener()
    async with scripted_terminal() as terminal:
        broker = zmq_broker(terminal)
        async with running(broker, heard):
            await heard.until(heard.has_session)
            yield Stage(terminal, broker, heard)


async def test_what_is_sent_is_what_the_wire_wants(stage: Stage) -> None:
    answer = stage.send()
    request = await stage.terminal.next()
    assert (request.cmd, request.cid, request.ttl, request.sid) == (
        "open",
        "c1",
        TERMS.ttl,
        stage.broker.session_id,
    )
    assert request.args["volume"] == "0.10"
    await stage.terminal.reply(request, DONE)
    assert (await answer).position == 5001


@pytest.mark.parametrize(
    "data",
    [{}, {"state": "finished"}, DONE | {"volume": "much"}, DONE | {"order": "-1"}, DONE | {"details": [[]]}],
)
async def test_an_answer_that_cannot_be_read_is_unknown(stage: Stage, data: dict[str, Any]) -> None:
    answer = stage.send()
    await stage.terminal.reply(await stage.terminal.next(), data)
    assert (await answer).state is ExecutionState.UNKNOWN


async def test_false_answers_are_ignored_until_the_true_one(stage: Stage) -> None:
    answer = stage.send()
    terminal = stage.terminal
    request = await terminal.next()
    lie = DONE | {"position": "666"}
    body = b'{"v":1,"from":"terminal","sid":"%s","re":%d,"cid":"c1","ok":true,"data":{"state":"done"}}' % (
        terminal.sid.encode(),
        request.id,
    )
    await terminal.say_body(body, key=b"k" * 32)
    await terminal.say_parts([body])
    await terminal.say_parts([body, b"", b""])
    await terminal.say_body(body.replace(b'"v":1', b'"v":2'))
    await terminal.say_body(body + b" x")
    await terminal.say_body(body.replace(b'"terminal"', b'"executor"'))
    await terminal.reply(request, lie, sid="f" * 32)
    await terminal.reply(request, lie, cid="c2")
    await terminal.reply(request, lie, re=request.id + 1)
    await terminal.reply(request, DONE)
    await terminal.reply(request, lie)
    assert (await answer).position == 5001
    assert stage.broker.counters.bad_frames == 5
    # One more round trip: all of it has been read, and the session stands.
    question = asyncio.get_running_loop().create_task(stage.broker.symbol(Symbol("EURUSD")))
    await terminal.reply(await terminal.next(), {}, ok=False, code="SYMBOL_UNKNOWN")
    assert await question is None
    assert len(stage.heard.ups) == 1


async def test_a_question_without_a_readable_answer_is_no_answer(stage: Stage) -> None:
    loop = asyncio.get_running_loop()
    for ask in (
        stage.broker.snapshot,
        lambda: stage.broker.find(CommandId("c1"), hints()),
        lambda: stage.broker.quotes([Symbol("EURUSD")]),
    ):
        question = loop.create_task(ask())
        await stage.terminal.reply(await stage.terminal.next(), {"account": 1})
        with pytest.raises(TerminalUnavailable, match="cannot be read"):
            await question
        question = loop.create_task(ask())
        await stage.terminal.reply(
            await stage.terminal.next(), {}, ok=False, code="NOT_CONNECTED", message="no"
        )
        with pytest.raises(TerminalUnavailable, match="NOT_CONNECTED"):
            await question


async def test_another_boot_on_the_stream_ends_the_session_at_once(stage: Stage) -> None:
    await stage.stream_is_on()
    answer = stage.send()
    await stage.terminal.next()
    stage.terminal.boot = "e" * 32
    await stage.terminal.publish("heartbeat", stage.terminal.pulse())
    execution = await answer
    assert execution.state is ExecutionState.UNKNOWN
    assert stage.heard.downs == ["the terminal was started again"]
    await stage.heard.until(lambda: len(stage.heard.ups) == 2)
    assert stage.heard.ups[1].boot == "e" * 32


async def test_closing_the_broker_leaves_nothing_unanswered() -> None:
    heard = RecordingListener()
    async with scripted_terminal() as terminal:
        broker = zmq_broker(terminal)
        async with running(broker, heard):
            await heard.until(heard.has_session)
            answers = [broker.send(command(f"c{number}", open_()), TERMS) for number in range(3)]
            question = asyncio.get_running_loop().create_task(broker.snapshot())
            await terminal.next()
        assert [answer.result().state for answer in answers] == [ExecutionState.UNKNOWN] * 3
        with pytest.raises(TerminalUnavailable):
            await question
        assert broker.state is LinkState.DOWN
        assert heard.log == ["up", "down"]


async def test_a_raised_epoch_opens_a_new_session_and_unsettled_trades_are_unknown(stage: Stage) -> None:
    answer = stage.send()
    first = stage.broker.session_id
    stage.broker.set_epoch(4)
    assert (await answer).state is ExecutionState.UNKNOWN
    await stage.heard.until(lambda: len(stage.heard.ups) == 2)
    assert stage.broker.session_id != first
    assert stage.terminal.beats[-1].epoch == 4


async def test_a_refusal_is_told_once_until_it_changes() -> None:
    heard = RecordingListener()
    async with scripted_terminal() as terminal:
        terminal.epoch = 9
        broker = zmq_broker(terminal)
        async with running(broker, heard):
            await heard.until(lambda: heard.refusals)
            assert heard.refusals[0][::2] == ("EPOCH_TOO_LOW", 9)
            broker.set_epoch(8)
            await terminal.until(lambda: len(terminal.hellos) == 2)
            broker.set_epoch(9)
            await heard.until(heard.has_session)
        assert len(heard.refusals) == 1
        assert heard.ups[0].epoch == 9


async def test_trade_events_come_whole_and_a_gap_is_told(stage: Stage) -> None:
    await stage.stream_is_on()
    await stage.terminal.publish("trade", {"kind": "balance", "amount": "5"})
    await stage.terminal.publish("trade", {"kind": "balance", "amount": "6"}, skip=1)
    await stage.terminal.publish("trade", {"kind": "balance", "amount": 7})
    await stage.heard.until(lambda: stage.heard.gaps == 2)
    # The second gap is the event that could not be read.
    assert stage.heard.log == ["up", "trade balance", "gap", "trade balance", "gap"]
    assert stage.broker.counters.unreadable == 1


async def test_the_stream_believes_only_holders_of_the_key(stage: Stage) -> None:
    await stage.stream_is_on()
    await stage.terminal.publish("stopped", {"stopped": True, "reason": "x", "by": "button"}, key=b"k" * 32)
    await stage.terminal.publish("stopped", {"stopped": True, "reason": "margin", "by": "limit"})
    await stage.heard.until(lambda: stage.heard.stops)
    assert stage.heard.stops == [("margin", "limit")]
    assert stage.broker.counters.bad_frames == 1


async def test_quotes_are_conflated_when_the_loop_lags_and_trade_events_are_not(stage: Stage) -> None:
    await stage.stream_is_on()
    batch = []
    stream = stage.broker._stream  # the loop's lag is played by handing it a batch
    for number in range(1, 51):
        for ev, data in (
            ("tick", {"symbol": "EURUSD", "bid": f"1.{number}", "ask": "2", "time": 1, "volume": 0}),
            ("trade", {"kind": "balance", "amount": str(number)}),
        ):
            batch.append((ev, data))
    frames = [
        sealed_event(stage.terminal, index // 2 + 1, ev, data) for index, (ev, data) in enumerate(batch)
    ]
    stream.on_frames(frames)
    assert [str(quote.bid) for quote in stage.heard.quotes] == ["1.50"]
    assert [event.seq for event in stage.heard.trade_events] == list(range(1, 51))
    assert stage.heard.gaps == 0
    assert stage.broker.counters.conflated == 49


def sealed_event(terminal: ScriptedTerminal, seq: int, ev: str, data: dict[str, Any]) -> list[bytes]:
    event = StreamEvent(terminal.boot, seq, 1, ev, data)
    body = encode_event(event)
    return [event.topic.encode(), body, seal(terminal.key, body)]


async def test_a_full_queue_is_certainly_not_sent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    link = stage.broker._link._socket
    assert link is not None
    monkeypatch.setattr(link, "send", lambda parts: False)
    with pytest.raises(TerminalUnavailable, match="nothing was sent"):
        stage.send()
    monkeypatch.undo()
    answer = stage.send("c2")
    request = await stage.terminal.next()
    assert request.cid == "c2"
    await stage.terminal.reply(request, DONE)
    assert (await answer).state is ExecutionState.DONE


async def test_history_is_read_page_by_page(stage: Stage) -> None:
    def deal(number: int, time: int) -> dict[str, Any]:
        return {
            "ticket": str(number), "order": "1", "position": "1", "symbol": "EURUSD", "side": "BUY", "volume": "0.1",
            "price": "1.1", "profit": "0", "swap": "0", "commission": "0", "magic": "0", "comment": "", "reason": "expert",
            "entry": "in", "time": time,
        }  # fmt: skip

    when = hints().since
    question = asyncio.get_running_loop().create_task(stage.broker.history(when, when))
    first = await stage.terminal.next()
    start = first.args["from"]
    await stage.terminal.reply(first, {"deals": [deal(1, start + 5), deal(2, start + 9)], "more": True})
    second = await stage.terminal.next()
    assert second.args["from"] == start + 9
    await stage.terminal.reply(second, {"deals": [deal(2, start + 9), deal(3, start + 9)]})
    assert [deal.ticket for deal in await question] == [1, 2, 3]


async def test_events_on_the_command_connection_count_like_those_of_the_stream(stage: Stage) -> None:
    terminal = stage.terminal
    base = {"v": 1, "from": "terminal", "boot": terminal.boot, "seq": 1, "ts": 1}
    await terminal.say_object(base | {"ev": "trade", "data": {"kind": "balance", "amount": "5"}})
    quote = {"symbol": "EURUSD", "bid": "1.1", "ask": "1.2", "time": 1, "volume": 0}
    await terminal.say_object(base | {"ev": "tick", "data": quote})
    await stage.heard.until(lambda: stage.heard.quotes)
    assert [event.kind for event in stage.heard.trade_events] == ["balance"]
    assert stage.heard.quotes[0].symbol == "EURUSD"


async def test_sessions_that_end_at_once_are_not_followed_by_a_storm(stage: Stage) -> None:
    clock = SystemClock()
    began = clock.monotonic()
    for sessions in range(2, 5):
        stage.broker._link.drop("the test ends it")
        await stage.heard.until(lambda wanted=sessions: len(stage.heard.ups) == wanted)  # type: ignore[misc]
    assert clock.monotonic() - began >= 0.75
    assert len(stage.terminal.hellos) == 4


async def test_subscriptions_are_renewed_by_interval_in_the_next_session(stage: Stage) -> None:
    loop = asyncio.get_running_loop()
    for symbol, interval in (("EURUSD", 0), ("GBPUSD", 250), ("USDJPY", 250)):
        question = loop.create_task(stage.broker.subscribe([Symbol(symbol)], interval))
        await stage.terminal.reply(await stage.terminal.next(), {"symbols": [symbol]})
        assert await question == (symbol,)
    stage.broker._link.drop("the test ends it")
    first = await stage.terminal.next()
    assert first.args == {"symbols": ["EURUSD"], "min_interval": 0}
    await stage.terminal.reply(first, {"symbols": ["EURUSD"]})
    assert (await stage.terminal.next()).args == {"symbols": ["GBPUSD", "USDJPY"], "min_interval": 250}
