"""The brain's server against a real WebSocket client: who comes in, what is sent, sent again, stored and acknowledged."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from app.brain.clock import MachineClock
from app.brain.errors import BrainMisconfigured, StoreFailed
from app.brain.schema import CommandStatus
from app.brain.server import BrainServer, ServerSettings
from app.brain.signals import Signal
from app.brain.store import BrainStore
from app.domain.commands import OpenPosition
from app.domain.results import Outcome
from app.domain.values import Priority, Side, Symbol, Ticket, Volume
from app.protocol import brain_outbound as say
from app.protocol.brain_fields import moment
from tests.brain.conftest import KEY, Brain, running_brain, settings
from tests.brain.hand_executor import EXECUTOR, WAIT, executor, now, outcome_of


def buy(expiry: int = 30_000) -> Signal:
    return Signal(
        OpenPosition(Symbol("EURUSD"), Side.BUY, Volume("0.01")), "test", Priority.HIGH, expiry=expiry
    )


async def test_without_a_valid_key_the_door_stays_shut(brain: Brain) -> None:
    for api_key in (None, "not-the-key-of-anybody"):
        with pytest.raises(InvalidStatus) as refused:
            async with executor(brain.port, brain.keys, api_key=api_key):
                pass
        assert refused.value.response.status_code == 401
        assert refused.value.response.headers["WWW-Authenticate"] == "Bearer"


async def test_a_key_opens_for_its_own_executor_only(brain: Brain) -> None:
    for executor_id in (None, "exec_other"):
        with pytest.raises(InvalidStatus) as refused:
            async with executor(brain.port, brain.keys, executor_id=executor_id):
                pass
        assert refused.value.response.status_code == 403


async def test_too_many_attempts_are_told_when_to_come_back(tmp_path: Path) -> None:
    async with running_brain(tmp_path, settings(handshakes_per_minute=2)) as brain:
        codes = []
        for _ in range(4):
            with pytest.raises(InvalidStatus) as refused:
                async with executor(brain.port, brain.keys, api_key="not-the-key-of-anybody"):
                    pass
            codes.append(refused.value.response.status_code)
        assert codes == [401, 401, 429, 429]
        assert int(refused.value.response.headers["Retry-After"]) >= 1
        async with executor(brain.port, brain.keys) as hand:
            assert (await hand.hello()).type == "WELCOME"  # strangers do not lock out the one with a key


async def test_welcome_names_session_time_and_capabilities_then_subscribes(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        assert hand.connection.subprotocol == "brain-executor.v1"
        welcome = (await hand.hello()).message
        assert welcome["sessionId"].startswith("s_")
        assert welcome["heartbeatInterval"] == 5000
        assert welcome["capabilities"] == ["signed", "result_ack"]
        assert abs((now() - moment(welcome["serverTime"])).total_seconds()) < 60
        subscribed = (await hand.until("SUBSCRIBE")).message
        assert (subscribed["symbols"], subscribed["minInterval"]) == (["EURUSD"], 100)
        status = brain.server.status(EXECUTOR)
        assert status is not None
        assert status.online
        assert not status.ready
        await hand.state()
        await brain.watcher.until(lambda: brain.watcher.ready)


async def test_an_executor_without_our_subprotocol_is_served(brain: Brain) -> None:
    async with executor(brain.port, brain.keys, subprotocols=()) as hand:
        assert hand.connection.subprotocol is None
        assert (await hand.hello()).type == "WELCOME"


async def test_commands_wait_for_state_then_leave_signed_and_in_order(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.hello()
        commands = [brain.server.submit(buy(), EXECUTOR) for _ in range(5)]
        await brain.store.flush()
        await hand.until("SUBSCRIBE")
        await hand.state()
        got = [await hand.until("TRADE_SIGNAL") for _ in commands]
        assert [each.command_id for each in got] == [command.id for command in commands]
        assert all(each.signed for each in got)
        assert [each.type for each in hand.seen[:2]] == ["WELCOME", "SUBSCRIBE"]
        body = got[0].message
        assert body["executorId"] == EXECUTOR
        assert body["priority"] == "HIGH"
        assert body["expiry"] == 30_000
        assert body["command"]["volume"] == Volume("0.01")


async def test_a_command_is_on_disk_before_it_is_sent(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        command = brain.server.submit(buy(), EXECUTOR)
        await hand.until("TRADE_SIGNAL")
        row = await brain.store.command(command.id)
        assert row is not None
        assert (row.payload, row.type, row.strategy_id) == (command.frame, "OPEN_POSITION", "test")


async def test_unacknowledged_commands_come_again_word_for_word_until_acknowledged(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        command = brain.server.submit(buy(), EXECUTOR)
        texts = [(await hand.until("TRADE_SIGNAL")).text for _ in range(3)]
        assert texts == [command.frame] * 3
        await hand.ack(command.id)
        await brain.watcher.until(lambda: brain.watcher.acknowledged)
        sendings = command.retries
        other = brain.server.submit(buy(), EXECUTOR)
        for _ in range(2):
            again = await hand.until("TRADE_SIGNAL")
            while again.command_id == command.id and sendings > 2:
                sendings -= 1  # was on its way when the acknowledgement arrived
                again = await hand.until("TRADE_SIGNAL")
            assert again.command_id == other.id
        await brain.store.flush()
        row = await brain.store.command(command.id)
        assert row is not None
        assert row.status is CommandStatus.ACKNOWLEDGED
        assert row.retry_count >= 2


async def test_after_a_reconnection_the_same_frame_comes_again(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        command = brain.server.submit(buy(), EXECUTOR)
        first = await hand.until("TRADE_SIGNAL")
    await brain.watcher.until(lambda: brain.watcher.lost)
    async with executor(brain.port, brain.keys) as hand:
        await hand.hello()
        assert (await hand.until("GET_STATE")).message["requestId"]
        await hand.state()
        again = await hand.until("TRADE_SIGNAL")
        assert (again.text, again.command_id) == (first.text, command.id)


async def test_state_settles_what_was_missed(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        done, waiting = (brain.server.submit(buy(), EXECUTOR) for _ in range(2))
        for _ in range(2):
            await hand.until("TRADE_SIGNAL")
    await brain.watcher.until(lambda: brain.watcher.lost)
    async with executor(brain.port, brain.keys) as hand:
        await hand.hello()
        result = outcome_of(done.id, ticket=Ticket(7))
        await hand.state(
            unresolved=((waiting.id, "DISPATCHED", None),), recent=((done.id, "EXECUTED", result),)
        )
        await brain.watcher.until(lambda: brain.watcher.results)
        assert [(c.id, r.ticket) for c, r in brain.watcher.results] == [(done.id, 7)]
        assert waiting.status is CommandStatus.ACKNOWLEDGED
        fresh = brain.server.submit(buy(), EXECUTOR)
        assert (await hand.until("TRADE_SIGNAL")).command_id == fresh.id


async def test_a_command_that_nobody_acknowledges_ends_unanswered_and_is_still_settled_later(
    brain: Brain,
) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        command = brain.server.submit(buy(expiry=100), EXECUTOR)
        await hand.until("TRADE_SIGNAL")
        await brain.watcher.until(lambda: brain.watcher.ended)
        assert command.status is CommandStatus.UNANSWERED
        await brain.store.flush()
        row = await brain.store.command(command.id)
        assert row is not None
        assert row.status is CommandStatus.UNANSWERED
        await hand.result(outcome_of(command.id))
        await hand.until("RESULT_ACK")
        row = await brain.store.command(command.id)
        assert row is not None
        assert row.status is CommandStatus.EXECUTED


async def test_a_command_for_an_absent_executor_expires_unsent(brain: Brain) -> None:
    command = brain.server.submit(buy(expiry=50), EXECUTOR)
    await brain.watcher.until(lambda: brain.watcher.ended)
    assert (command.status, command.code, command.sent_ns) == (CommandStatus.FAILED, "EXPIRED", 0)
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        fresh = brain.server.submit(buy(), EXECUTOR)
        assert (await hand.until("TRADE_SIGNAL")).command_id == fresh.id


async def test_results_are_told_once_stored_once_and_acknowledged_every_time(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        command = brain.server.submit(buy(), EXECUTOR)
        await hand.until("TRADE_SIGNAL")
        await hand.ack(command.id)
        for _ in range(3):
            await hand.result(outcome_of(command.id))
            assert (await hand.until("RESULT_ACK")).message["commandIds"] == [command.id]
            assert await brain.store.outcomes(command.id) == ["EXECUTED"]
        assert [r.outcome for _, r in brain.watcher.results] == [Outcome.EXECUTED]
        assert command.repeated == 2


async def test_unknown_is_followed_by_its_settlement(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        command = brain.server.submit(buy(), EXECUTOR)
        await hand.until("TRADE_SIGNAL")
        await hand.ack(command.id)
        await hand.result(outcome_of(command.id, Outcome.UNKNOWN, code="OUTCOME_UNKNOWN"))
        await hand.until("RESULT_ACK")
        row = await brain.store.command(command.id)
        assert row is not None
        assert row.status is CommandStatus.UNKNOWN
        await hand.result(outcome_of(command.id, Outcome.REJECTED, code="NOT_FOUND", reconciled=True))
        await hand.until("RESULT_ACK")
        row = await brain.store.command(command.id)
        assert row is not None
        assert row.status is CommandStatus.FAILED
        # UNKNOWN again, as an outbox may repeat it: nothing goes backwards.
        await hand.result(outcome_of(command.id, Outcome.UNKNOWN, code="OUTCOME_UNKNOWN"))
        await hand.until("RESULT_ACK")
        row = await brain.store.command(command.id)
        assert row is not None
        assert row.status is CommandStatus.FAILED
        assert await brain.store.outcomes(command.id) == ["UNKNOWN", "REJECTED"]


async def test_a_result_that_cannot_be_stored_is_not_acknowledged(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        command = brain.server.submit(buy(), EXECUTOR)
        await hand.until("TRADE_SIGNAL")
        await brain.store.call(
            lambda c: (
                c.exec_driver_sql(
                    "CREATE TRIGGER disk_full BEFORE INSERT ON command_results BEGIN SELECT RAISE(ABORT, 'disk full'); END"
                )
                and None
            )
        )
        await hand.result(outcome_of(command.id))
        await brain.watcher.until(lambda: brain.watcher.events("result_not_stored"))
        await brain.store.call(lambda c: c.exec_driver_sql("DROP TRIGGER disk_full") and None)
        await hand.result(outcome_of(command.id))
        assert (await hand.until("RESULT_ACK")).message["commandIds"] == [command.id]
        assert [each.type for each in hand.seen].count("RESULT_ACK") == 1
        assert await brain.store.outcomes(command.id) == ["EXECUTED"]
        assert len(brain.watcher.results) == 1


async def test_a_command_that_cannot_be_stored_is_never_sent(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        await brain.store.call(
            lambda c: (
                c.exec_driver_sql(
                    "CREATE TRIGGER disk_full BEFORE INSERT ON commands BEGIN SELECT RAISE(ABORT, 'disk full'); END"
                )
                and None
            )
        )
        lost = brain.server.submit(buy(), EXECUTOR)
        await brain.watcher.until(lambda: brain.watcher.ended)
        assert (lost.status, lost.sent_ns) == (CommandStatus.FAILED, 0)
        await brain.store.call(lambda c: c.exec_driver_sql("DROP TRIGGER disk_full") and None)
        kept = brain.server.submit(buy(), EXECUTOR)
        assert (await hand.until("TRADE_SIGNAL")).command_id == kept.id


async def test_a_refused_command_is_not_sent_again(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        command = brain.server.submit(buy(), EXECUTOR)
        await hand.until("TRADE_SIGNAL")
        await hand.ack(command.id, "REJECTED", "HALTED")
        await brain.watcher.until(lambda: brain.watcher.ended)
        assert (command.status, command.code) == (CommandStatus.REFUSED, "HALTED")
        await brain.store.flush()
        row = await brain.store.command(command.id)
        assert row is not None
        assert row.status is CommandStatus.REFUSED


async def test_the_newest_session_of_an_executor_wins(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as old:
        await old.ready()
        await brain.watcher.until(lambda: brain.watcher.ready)
        async with executor(brain.port, brain.keys) as new:
            assert await old.expect_closed() == 1008
            await new.ready()
            command = brain.server.submit(buy(), EXECUTOR)
            assert (await new.until("TRADE_SIGNAL")).command_id == command.id
            sessions = await brain.store.sessions(EXECUTOR)
            assert [row.status for row in sessions] == ["offline", "online"]
            assert sessions[0].ip_address == "127.0.0.1"
            assert all(len(row.api_key_hash) == 64 for row in sessions)


async def test_heartbeats_and_alerts_are_noted_and_broken_frames_cost_nothing(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        await hand.send("{not json")
        await hand.send('{"type":"FUTURE_THING","timestamp":"2026-01-01T00:00:00Z"}')
        await hand.send(say.heartbeat(now(), 1, {"queueDepth": 3}))
        await hand.send(say.alert(now(), EXECUTOR, "critical", "DISK_FULL", "the journal cannot be written"))
        await hand.quote("EURUSD", "1.10000", "1.10002")
        await brain.watcher.until(lambda: brain.watcher.quotes)
        assert brain.server.executor(EXECUTOR).metrics == {"queueDepth": 3}
        assert len(brain.watcher.events("frame_refused")) == 1
        assert brain.watcher.events("unknown_type")[0]["type"] == "FUTURE_THING"
        assert brain.watcher.events("alert")[0]["code"] == "DISK_FULL"
        await brain.store.flush()
        assert (await brain.store.sessions(EXECUTOR))[0].last_heartbeat is not None


async def test_stop_and_withdrawal_go_out_signed_ahead_of_commands(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        await brain.watcher.until(lambda: brain.watcher.ready)
        assert brain.server.emergency_stop(EXECUTOR, "drill", close_positions=True)
        stop = await hand.until("EMERGENCY_STOP")
        assert stop.signed
        assert (stop.message["reason"], stop.message["closePositions"]) == ("drill", True)
        assert brain.server.cancel("cmd_1", EXECUTOR)
        withdrawal = await hand.until("CANCEL_COMMAND")
        assert withdrawal.signed
        assert withdrawal.command_id == "cmd_1"
    await brain.watcher.until(lambda: brain.watcher.lost)
    assert not brain.server.emergency_stop(EXECUTOR, "nobody hears it")


async def test_a_flooding_executor_is_slowed_down_and_loses_nothing(tmp_path: Path) -> None:
    async with (
        running_brain(tmp_path, settings(frames_per_second=200)) as brain,
        executor(brain.port, brain.keys) as hand,
    ):
        await hand.ready()
        for _ in range(300):
            await hand.quote("EURUSD", "1.10000", "1.10002")
        await brain.watcher.until(lambda: len(brain.watcher.quotes) == 300)
        assert brain.watcher.events("throttled")


async def test_results_that_arrive_together_are_acknowledged_together(brain: Brain) -> None:
    async with executor(brain.port, brain.keys) as hand:
        await hand.ready()
        commands = [brain.server.submit(buy(), EXECUTOR) for _ in range(50)]
        for _ in commands:
            await hand.until("TRADE_SIGNAL")
        for command in commands:
            await hand.result(outcome_of(command.id))
        acknowledged: list[str] = []
        frames = 0
        while len(acknowledged) < len(commands):
            acknowledged += (await hand.until("RESULT_ACK")).message["commandIds"]
            frames += 1
        assert sorted(acknowledged) == sorted(command.id for command in commands)
        assert frames < len(commands)
        assert await brain.store.counts(EXECUTOR) == {"executed": 50}


async def test_only_this_machine_is_served_without_tls(brain: Brain) -> None:
    with pytest.raises(BrainMisconfigured, match="TLS"):
        BrainServer(ServerSettings(host="0.0.0.0"), brain.store, KEY, MachineClock())


async def test_a_database_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match=r"brain\.db"):
        async with asyncio.timeout(WAIT):
            await BrainStore(tmp_path / "missing" / "brain.db").open()
