"""What every Broker promises, and what every terminal behind ZmqBroker promises with it.

`PortContract` needs only the port and a way to take the terminal away; `TerminalContract` needs a real terminal. A subclass gives
the terminal; the tests are the same for all.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Protocol

import pytest
import zmq

from app.adapters.mt5_stop_channel import ZmqStopChannel
from app.adapters.mt5_zmq import ZmqBroker
from app.adapters.system_clock import SystemClock
from app.domain.commands import (
    Action,
    CancelOrder,
    CloseAll,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    OpenPosition,
    Origin,
    PlaceOrder,
    TradeCommand,
)
from app.domain.errors import TerminalUnavailable
from app.domain.execution import Execution, ExecutionState
from app.domain.market import DealReason
from app.domain.values import CommandId, Magic, OrderKind, Price, Side, Symbol, Ticket, Volume
from app.engine.broker import Broker, DispatchTerms, FindHints, LinkState
from app.protocol.ea_client_session import Identity
from app.protocol.ea_frames import Request, encode_request, seal
from tests.contract.terminals import Address, Terminal
from tests.fakes.broker_listener import RecordingListener

EURUSD = Symbol("EURUSD")
TAG = "Mabc1234"
TERMS = DispatchTerms(
    ttl=5000, tag=TAG, comment=f"{TAG}#test", deviation=20, max_attempts=1, magic=Magic(770000)
)
CLOCK = SystemClock()
LONG_AGO = timedelta(hours=1)


def open_(volume: str = "0.10", side: Side = Side.BUY, **more: Any) -> OpenPosition:
    return OpenPosition(EURUSD, side, Volume(volume), magic=Magic(77), **more)


def command(command_id: str, action: Action, origin: Origin = Origin.BRAIN) -> TradeCommand:
    now = CLOCK.now()
    return TradeCommand(
        CommandId(command_id), action, now, now + timedelta(seconds=5), "0" * 64, origin=origin
    )


def hints(**more: Any) -> FindHints:
    return FindHints(since=CLOCK.now() - LONG_AGO, tag=TAG, symbol=EURUSD, magic=Magic(77), **more)


def ticket_of(execution: Execution) -> Ticket:
    assert execution.position is not None
    return execution.position


class Rig(Protocol):
    """A broker that runs, with what its listener heard."""

    broker: Broker
    heard: RecordingListener

    async def up(self) -> None:
        """Wait for a session."""

    async def take_terminal_away(self) -> None:
        """For good; returns when the broker knows."""

    async def hold_answers(self) -> None:
        """The next trade gets no answer until the terminal is taken away."""


class PortContract:
    """Holds for every Broker; the fixture `rig` gives one that is running."""

    async def test_nothing_is_sent_without_a_session(self, rig: Rig) -> None:
        await rig.up()
        await rig.take_terminal_away()
        assert rig.broker.session_id == ""
        assert rig.broker.state is not LinkState.UP
        with pytest.raises(TerminalUnavailable):
            rig.broker.send(command("c1", open_()), TERMS)
        for question in (
            rig.broker.snapshot(),
            rig.broker.find(CommandId("c1"), hints()),
            rig.broker.resume(),
        ):
            with pytest.raises(TerminalUnavailable):
                await question

    async def test_a_session_has_a_number_and_is_told_once(self, rig: Rig) -> None:
        await rig.up()
        assert [hello.session_id for hello in rig.heard.ups] == [rig.broker.session_id]
        assert rig.broker.state is LinkState.UP

    async def test_a_trade_is_answered_and_found_again(self, rig: Rig) -> None:
        await rig.up()
        execution = await rig.broker.send(command("c1", open_()), TERMS)
        assert execution.state is ExecutionState.DONE
        assert execution.volume == Decimal("0.10")
        finding = await rig.broker.find(CommandId("c1"), hints())
        assert finding.ledger == "result"
        assert finding.execution is not None
        assert finding.execution.position == execution.position

    async def test_find_of_a_stranger_says_never_seen(self, rig: Rig) -> None:
        await rig.up()
        finding = await rig.broker.find(CommandId("nobody_sent_this"), hints())
        assert (finding.ledger, finding.execution) == ("never_seen", None)

    async def test_what_is_under_way_when_the_terminal_goes_is_unknown(self, rig: Rig) -> None:
        await rig.up()
        await rig.hold_answers()
        answer = rig.broker.send(command("c1", open_()), TERMS)
        await rig.take_terminal_away()
        assert answer.done()
        assert answer.result().state is ExecutionState.UNKNOWN
        assert rig.heard.log[-1] == "down"

    async def test_an_answer_that_nobody_waits_for_any_more_breaks_nothing(self, rig: Rig) -> None:
        await rig.up()
        await rig.hold_answers()
        rig.broker.send(command("c1", open_()), TERMS).cancel()
        await rig.take_terminal_away()
        assert len(rig.heard.downs) == 1

    async def test_unknown_symbols_are_left_out_of_a_subscription(self, rig: Rig) -> None:
        await rig.up()
        assert await rig.broker.subscribe([EURUSD, Symbol("NOSUCH")], 100) == (EURUSD,)
        assert await rig.broker.symbol(Symbol("NOSUCH")) is None
        spec = await rig.broker.symbol(EURUSD)
        assert spec is not None
        assert spec.symbol == EURUSD


@dataclass(slots=True)
class ZmqRig:
    """ZmqBroker beside a real terminal."""

    terminal: Terminal
    broker: ZmqBroker
    heard: RecordingListener

    async def up(self, sessions: int = 1) -> None:
        await self.heard.until(lambda: len(self.heard.ups) >= sessions and self.broker.session_id)

    async def take_terminal_away(self) -> None:
        self.terminal.kill()
        await self.heard.until(lambda: self.heard.downs)

    async def hold_answers(self) -> None:
        await self.terminal.slow_down(60_000)

    async def do(self, command_id: str, action: Action, origin: Origin = Origin.BRAIN) -> Execution:
        return await self.broker.send(command(command_id, action, origin), TERMS)

    @contextmanager
    def stop_channel(self) -> Iterator[ZmqStopChannel]:
        channel = ZmqStopChannel(
            key=self.terminal.key,
            command_port=self.terminal.command_port,
            identity=identity(),
            clock=CLOCK,
            stop_port=self.terminal.stream_port if self.terminal.transport == "listen" else None,
        )
        try:
            yield channel
        finally:
            channel.close()

    async def stop(self, channel: ZmqStopChannel, epoch: int = 0, **more: bool) -> tuple[bool, str]:
        asked = {"cancel_orders": False, "close_positions": False} | more
        answer = await asyncio.to_thread(channel.send_stop, reason="test", epoch=epoch, timeout=5.0, **asked)
        return answer.acknowledged, answer.detail


def identity() -> Identity:
    return Identity(instance=secrets.token_hex(16), executor="exec_test", version="0.1.0")


def zmq_broker(terminal: Address, *, key: bytes | None = None, answer_timeout: float = 10.0) -> ZmqBroker:
    return ZmqBroker(
        key=terminal.key if key is None else key,
        command_port=terminal.command_port,
        stream_port=terminal.stream_port,
        identity=identity(),
        clock=CLOCK,
        answer_timeout=answer_timeout,
        transport=terminal.transport,
    )


@asynccontextmanager
async def rig_at(terminal: Terminal) -> AsyncIterator[ZmqRig]:
    """A broker of its own that runs towards `terminal`; the session may be still to come."""
    rig = ZmqRig(terminal, zmq_broker(terminal), RecordingListener())
    async with running(rig.broker, rig.heard):
        yield rig


class TerminalContract(PortContract):
    """Holds for every terminal that speaks the wire; a subclass gives the fixture `terminal`, which has started."""

    @pytest.fixture
    async def rig(self, terminal: Terminal) -> AsyncIterator[ZmqRig]:
        async with rig_at(terminal) as rig:
            yield rig

    async def test_open_modify_partial_close_and_close(self, rig: ZmqRig) -> None:
        await rig.up()
        await rig.terminal.set_price("EURUSD", "1.10000", "1.10010")
        opened = await rig.do("c1", open_("0.30", stop_loss=Price("1.09000")))
        assert (opened.state, opened.price) == (ExecutionState.DONE, Price("1.10010"))
        ticket = ticket_of(opened)

        assert (
            await rig.do("c2", ModifyPosition(ticket, take_profit=Price("1.12000")))
        ).state is ExecutionState.DONE
        (position,) = (await rig.broker.snapshot()).positions
        assert (position.stop_loss, position.take_profit) == (Price("1.09000"), Price("1.12000"))
        assert position.comment.startswith(TAG)
        assert (await rig.do("c3", ModifyPosition(ticket, stop_loss=None))).state is ExecutionState.DONE
        (position,) = (await rig.broker.snapshot()).positions
        assert (position.stop_loss, position.take_profit) == (None, Price("1.12000"))

        part = await rig.do("c4", ClosePosition(ticket, Volume("0.10")))
        assert (part.state, part.volume) == (ExecutionState.DONE, Decimal("0.10"))
        (position,) = (await rig.broker.snapshot()).positions
        assert position.volume == Decimal("0.20")
        assert (await rig.do("c5", ClosePosition(ticket))).state is ExecutionState.DONE
        assert (await rig.broker.snapshot()).positions == ()
        assert [len(rig.terminal.effects(f"c{number}")) for number in range(1, 6)] == [1] * 5

    async def test_a_change_to_what_is_there_already_is_done(self, rig: ZmqRig) -> None:
        await rig.up()
        await rig.terminal.set_price("EURUSD", "1.10000", "1.10010")
        ticket = ticket_of(await rig.do("c1", open_(stop_loss=Price("1.09000"))))
        same = await rig.do("c2", ModifyPosition(ticket, stop_loss=Price("1.09000")))
        assert same.state is ExecutionState.DONE
        assert rig.terminal.effects("c2") == []

    async def test_place_modify_and_cancel_an_order(self, rig: ZmqRig) -> None:
        await rig.up()
        await rig.terminal.set_price("EURUSD", "1.10000", "1.10010")
        expiration = (CLOCK.now() + timedelta(days=1)).replace(microsecond=0)
        placed = await rig.do(
            "c1",
            PlaceOrder(
                EURUSD,
                OrderKind.BUY_LIMIT,
                Volume("0.1"),
                Price("1.09000"),
                expiration=expiration,
                magic=Magic(77),
            ),
        )
        assert placed.state is ExecutionState.DONE
        assert placed.order is not None
        (order,) = (await rig.broker.snapshot()).orders
        assert (order.ticket, order.price, order.expiration) == (placed.order, Price("1.09000"), expiration)
        changed = await rig.do(
            "c2",
            ModifyOrder(placed.order, price=Price("1.08000"), stop_loss=Price("1.07000"), expiration=None),
        )
        assert changed.state is ExecutionState.DONE
        (order,) = (await rig.broker.snapshot()).orders
        assert (order.price, order.stop_loss, order.expiration) == (Price("1.08000"), Price("1.07000"), None)
        assert (await rig.do("c3", CancelOrder(placed.order))).state is ExecutionState.DONE
        assert (await rig.broker.snapshot()).orders == ()

    async def test_what_names_no_magic_gets_the_executors_and_can_be_closed(self, rig: ZmqRig) -> None:
        await rig.up()
        opened = await rig.do("c1", OpenPosition(EURUSD, Side.BUY, Volume("0.10")))
        (position,) = (await rig.broker.snapshot()).positions
        assert position.magic == Magic(770000)
        assert (await rig.do("c2", ClosePosition(ticket_of(opened)))).state is ExecutionState.DONE

    async def test_close_all_tells_each_position(self, rig: ZmqRig) -> None:
        await rig.up()
        tickets = {ticket_of(await rig.do(f"o{number}", open_())) for number in range(3)}
        swept = await rig.do("c1", CloseAll(symbol=EURUSD))
        assert swept.state is ExecutionState.DONE
        assert {detail.ticket for detail in swept.details} == tickets
        assert len(rig.terminal.effects("c1")) == 3
        empty = await rig.do("c2", CloseAll())
        assert (empty.state, empty.volume, empty.details) == (ExecutionState.DONE, Decimal(0), ())

    async def test_a_command_that_comes_again_has_one_effect_and_one_answer(self, rig: ZmqRig) -> None:
        await rig.up()
        first = await rig.do("c1", open_())
        again = await rig.do("c1", open_())
        assert again.replayed
        assert replace(again, replayed=False) == first
        assert len(rig.terminal.effects("c1")) == 1

    async def test_a_known_id_with_other_content_is_refused(self, rig: ZmqRig) -> None:
        await rig.up()
        await rig.do("c1", open_("0.10"))
        other = await rig.do("c1", open_("0.20"))
        assert (other.state, other.code) == (ExecutionState.REFUSED, "ID_CONFLICT")
        assert len(rig.terminal.effects("c1")) == 1

    async def test_a_command_past_its_time_is_refused(self, rig: ZmqRig) -> None:
        await rig.up()
        await rig.terminal.slow_down(300, times=1)
        slow = rig.broker.send(command("c1", open_()), TERMS)
        late = rig.broker.send(command("c2", open_()), replace(TERMS, ttl=50))
        assert (await slow).state is ExecutionState.DONE
        execution = await late
        assert (execution.state, execution.code) == (ExecutionState.REFUSED, "EXPIRED")
        assert rig.terminal.effects("c2") == []
        assert (await rig.broker.find(CommandId("c2"), hints())).ledger == "never_seen"

    async def test_a_frame_that_was_held_up_on_its_way_out_is_refused(self, rig: ZmqRig) -> None:
        await rig.up()
        looked = CLOCK.monotonic() - 6.0
        execution = await rig.broker.send(command("c1", open_()), replace(TERMS, counted_from=looked))
        assert (execution.state, execution.code) == (ExecutionState.REFUSED, "EXPIRED")
        assert rig.terminal.effects("c1") == []

    async def test_a_rejected_trade_says_why(self, rig: ZmqRig) -> None:
        await rig.up()
        execution = await rig.do("c1", ClosePosition(Ticket(999)))
        assert execution.state in (ExecutionState.REFUSED, ExecutionState.REJECTED)
        assert execution.code or execution.retcode
        assert rig.terminal.effects("c1") == []

    async def test_a_stop_holds_until_it_is_resumed_with_a_higher_epoch(self, rig: ZmqRig) -> None:
        await rig.up()
        await rig.heard.until(rig.heard.has_stream)
        kept = ticket_of(await rig.do("c1", open_()))
        with rig.stop_channel() as channel:
            assert await rig.stop(channel) == (True, "acknowledged")
            assert await rig.stop(channel) == (True, "acknowledged")
        await rig.heard.until(lambda: rig.heard.stops)
        for name, action in (("c2", open_()), ("c3", ClosePosition(kept))):
            execution = await rig.do(name, action)
            assert (execution.state, execution.code) == (ExecutionState.REFUSED, "STOPPED")
        assert (await rig.do("c4", ClosePosition(kept), Origin.OPERATOR)).state is ExecutionState.DONE
        assert not await rig.broker.resume()
        rig.broker.set_epoch(5)
        await rig.up(sessions=2)
        assert rig.heard.ups[-1].stopped
        assert await rig.broker.resume()
        assert (await rig.do("c5", open_())).state is ExecutionState.DONE

    async def test_a_stop_outlives_the_terminal(self, rig: ZmqRig) -> None:
        await rig.up()
        with rig.stop_channel() as channel:
            assert (await rig.stop(channel))[0]
        rig.terminal.kill()
        await rig.terminal.start()
        await rig.up(sessions=2)
        assert rig.heard.ups[-1].stopped
        assert (await rig.do("c1", open_())).code == "STOPPED"

    async def test_an_executor_from_before_the_reset_is_refused(self, rig: ZmqRig) -> None:
        await rig.up()
        rig.broker.set_epoch(9)
        await rig.up(sessions=2)
        rig.broker.set_epoch(3)
        execution = await rig.do("c1", open_())
        assert execution.state is ExecutionState.DONE  # an epoch that falls does not touch the open session
        rig.terminal.kill()
        await rig.terminal.start()
        await rig.heard.until(lambda: rig.heard.refusals)
        code, _message, epoch = rig.heard.refusals[0]
        assert (code, epoch) == ("EPOCH_TOO_LOW", 9)
        rig.broker.set_epoch(10)
        await rig.up(sessions=3)

    async def test_a_stop_does_not_wait_behind_five_hundred_commands(self, rig: ZmqRig) -> None:
        await rig.up()
        with rig.stop_channel() as channel:
            await rig.terminal.slow_down(20)
            answers = [rig.broker.send(command(f"c{number}", open_("0.01")), TERMS) for number in range(500)]
            began = time.monotonic()
            acknowledged, detail = await rig.stop(channel)
            took = time.monotonic() - began
        assert acknowledged, detail
        # Ten seconds of commands were waiting; one command and the greeting take some 50 ms.
        assert took < 2.0
        results = await asyncio.gather(*answers)
        stopped = [execution for execution in results if execution.code == "STOPPED"]
        done = [execution for execution in results if execution.state is ExecutionState.DONE]
        assert len(stopped) + len(done) == 500
        assert len(stopped) > 300
        assert sum(len(rig.terminal.effects(f"c{number}")) for number in range(500)) == len(done)

    async def test_a_snapshot_is_one_moment(self, rig: ZmqRig) -> None:
        await rig.up()
        await rig.heard.until(rig.heard.has_stream)
        answers = []
        snapshots = []
        for number in range(20):
            answers.append(rig.broker.send(command(f"c{number}", open_("0.01")), TERMS))
            snapshots.append(asyncio.ensure_future(rig.broker.snapshot()))  # noqa: TID251 - gathered below
        await asyncio.gather(*answers)
        for snapshot in await asyncio.gather(*snapshots):
            # Nothing but openings happened: as many positions as trade events.
            assert len(snapshot.positions) == snapshot.trade_seq
        await rig.heard.until(lambda: len(rig.heard.trade_events) == 20)
        assert [event.seq for event in rig.heard.trade_events] == list(range(1, 21))
        assert {event.command_id for event in rig.heard.trade_events} == {
            f"c{number}" for number in range(20)
        }

    async def test_many_hundred_positions_and_their_deals_are_told_whole(self, rig: ZmqRig) -> None:
        """Far more than a command's frame may hold; an account that cannot be looked at could never be traded again."""
        count = 1200
        await rig.up()
        await rig.terminal.buy_by_hand("EURUSD", "0.01", count)
        snapshot = await rig.broker.snapshot()
        assert len({position.ticket for position in snapshot.positions}) == count
        deals = await rig.broker.history(CLOCK.now() - LONG_AGO, CLOCK.now() + LONG_AGO)
        assert len({deal.position for deal in deals}) == count

    async def test_a_stop_loss_at_the_broker_is_heard(self, rig: ZmqRig) -> None:
        await rig.up()
        await rig.heard.until(rig.heard.has_stream)
        assert await rig.broker.subscribe([EURUSD], 0) == (EURUSD,)
        await rig.terminal.set_price("EURUSD", "1.10000", "1.10010")
        ticket = ticket_of(await rig.do("c1", open_(stop_loss=Price("1.09500"))))
        await rig.terminal.set_price("EURUSD", "1.09400", "1.09410")
        await rig.heard.until(lambda: len(rig.heard.trade_events) >= 2)
        event = rig.heard.trade_events[-1]
        assert event.deal is not None
        assert (event.deal.reason, event.position_ticket, event.position) == (
            DealReason.STOP_LOSS,
            ticket,
            None,
        )
        await rig.heard.until(lambda: [quote for quote in rig.heard.quotes if quote.bid == Price("1.09400")])
        deals = await rig.broker.history(CLOCK.now() - LONG_AGO, CLOCK.now() + LONG_AGO)
        assert [deal.entry for deal in deals if deal.position == ticket] == ["in", "out"]

    async def test_a_terminal_that_dies_after_the_deal_leaves_it_to_be_found(self, rig: ZmqRig) -> None:
        await rig.up()
        assert await rig.broker.subscribe([EURUSD], 0) == (EURUSD,)
        await rig.terminal.die_after_next_effect()
        execution = await rig.do("c1", open_())
        assert execution.state is ExecutionState.UNKNOWN
        rig.terminal.kill()
        await rig.terminal.start()
        await rig.up(sessions=2)
        first, second = rig.heard.ups
        assert first.boot != second.boot
        finding = await rig.broker.find(CommandId("c1"), hints())
        assert finding.ledger in ("sent", "result")
        assert [position.comment[:8] for position in finding.positions] == [TAG]
        again = await rig.do("c1", open_())
        assert again.replayed
        assert len(rig.terminal.effects("c1")) == 1
        # What was subscribed before is streamed again.
        await rig.heard.until(rig.heard.has_stream)
        await rig.terminal.set_price("EURUSD", "1.11000", "1.11010")
        await rig.heard.until(lambda: [quote for quote in rig.heard.quotes if quote.bid == Price("1.11000")])

    async def test_a_lost_answer_is_unknown_and_then_found(self, terminal: Terminal) -> None:
        heard = RecordingListener()
        broker = zmq_broker(terminal, answer_timeout=0.3)
        async with running(broker, heard):
            await heard.until(lambda: heard.ups)
            await terminal.swallow_next_reply()
            execution = await broker.send(command("c1", open_()), TERMS)
            assert execution.state is ExecutionState.UNKNOWN
            finding = await broker.find(CommandId("c1"), hints())
            assert finding.execution is not None
            assert finding.execution.state is ExecutionState.DONE
            assert broker.counters.timeouts == 1

    async def test_an_answer_after_its_time_is_a_hint_and_no_second_answer(self, terminal: Terminal) -> None:
        heard = RecordingListener()
        broker = zmq_broker(terminal, answer_timeout=0.2)
        async with running(broker, heard):
            await heard.until(lambda: heard.ups)
            await heard.until(heard.has_stream)
            await terminal.slow_down(500, times=1)
            execution = await broker.send(command("c1", open_()), TERMS)
            assert execution.state is ExecutionState.UNKNOWN
            await heard.until(lambda: heard.trade_events)
            await heard.until(lambda: broker.counters.late_replies)
            assert (await broker.find(CommandId("c1"), hints())).ledger == "result"

    async def test_one_executor_an_account(self, rig: ZmqRig) -> None:
        await rig.up()
        heard = RecordingListener()
        other = zmq_broker(rig.terminal)
        async with running(other, heard):
            await heard.until(lambda: heard.refusals)
            assert heard.refusals[0][0] == "SESSION_TAKEN"
            assert other.session_id == ""
        assert (await rig.do("c1", open_())).state is ExecutionState.DONE

    async def test_the_next_executor_comes_in_after_a_farewell(self, terminal: Terminal) -> None:
        for number in range(2):
            heard = RecordingListener()
            broker = zmq_broker(terminal)
            async with running(broker, heard):
                await heard.until(heard.has_session, timeout=5.0)
                assert (await broker.send(command(f"c{number}", open_()), TERMS)).state is ExecutionState.DONE
            assert heard.downs == ["the executor ended the session"]

    async def test_a_stranger_gets_nothing_and_changes_nothing(self, rig: ZmqRig) -> None:
        await rig.up()
        stranger = zmq_broker(rig.terminal, key=b"x" * 32)
        heard = RecordingListener()
        context = zmq.Context()
        try:
            socket = context.socket(zmq.DEALER)
            socket.connect(f"tcp://127.0.0.1:{rig.terminal.command_port}")
            theft = Request(
                "open", id=10_000, sid=rig.broker.session_id, epoch=99, ts=0, ttl=10**15, cid="theft",
                args={"symbol": "EURUSD", "side": "BUY", "volume": "1", "deviation": 9, "magic": "0",
                      "comment": TAG, "tag": TAG, "max_attempts": 1},
            )  # fmt: skip
            body = encode_request(theft)
            for parts in (
                [body, seal(b"x" * 32, body)],
                [body, b""],
                [body],
                [b"", b"", b""],
                [b"\xff" * 300_000],
            ):
                socket.send_multipart(parts)
            async with running(stranger, heard):
                await heard.until(lambda: heard.refusals)
            assert heard.refusals[0][0] == "NO_ANSWER"
            assert heard.ups == []
            assert heard.quotes == []
            assert heard.heartbeats == []
            assert socket.poll(0) == 0
        finally:
            context.destroy(linger=0)
        assert (await rig.do("c1", open_())).state is ExecutionState.DONE
        assert rig.terminal.effects("theft") == []


@asynccontextmanager
async def running(broker: Broker, listener: RecordingListener) -> AsyncIterator[None]:
    """run() in a task that ends with the block, by cancellation and by nothing else."""
    task = asyncio.get_running_loop().create_task(broker.run(listener))
    try:
        yield
    finally:
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError), outcome
