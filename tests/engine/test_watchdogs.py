"""What nobody asks for but somebody must notice: each trouble is told once, its end once, and the next one again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.commands import ClosePosition
from app.domain.errors import TerminalUnavailable
from app.domain.events import TerminalSessionOpened
from app.domain.execution import Execution, ExecutionState
from app.domain.market import TerminalSnapshot
from app.domain.results import Outcome
from app.domain.trading_state import TradingState
from app.domain.values import Ticket
from app.domain.watchdog_rules import WatchLimits
from app.engine.command_processor import ProcessorOptions
from app.engine.ports import AlertReport, BrainListener
from app.engine.snapshots import HotkeyView
from tests.engine.bench import Bench, buy, running
from tests.fakes.broker import ACCOUNT, FakeBroker, Scripted
from tests.fakes.clock import FakeClock


def alerts(bench: Bench) -> list[str]:
    """Codes in order; what nears a limit of the gate is another's business."""
    return [alert.code for alert in bench.link.of(AlertReport) if alert.code != "LIMIT_NEAR"]


def brain(bench: Bench) -> BrainListener:
    assert bench.link.listener is not None
    return bench.link.listener


async def keep_prices_fresh(bench: Bench) -> None:
    bench.price("EURUSD", "1.10000", "1.10010")


# ------------------------------------------------------------------ brain


async def test_a_silent_brain_is_told_once_and_so_is_its_return(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        for _ in range(2):
            bench.link.heard = bench.clock.monotonic()
            await bench.pass_time(16, step=1)
            for _ in range(3):
                await brain(bench).on_brain_degraded(16.0)
                await bench.pass_time(1)
            bench.link.heard = bench.clock.monotonic()
            await bench.pass_time(0.2)
        assert alerts(bench) == ["BRAIN_SILENT", "BRAIN_BACK"] * 2


async def test_a_lost_brain_is_back_with_a_fresh_session_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.link.heard = bench.clock.monotonic()
        await bench.pass_time(16, step=1)
        await brain(bench).on_brain_degraded(16.0)
        await bench.pass_time(46, step=1)
        bench.link.heard = bench.clock.monotonic()
        await bench.pass_time(1)
        assert alerts(bench) == ["BRAIN_SILENT", "BRAIN_LOST"]
        await bench.link.disconnect()
        await bench.link.connect("s_2")
        assert alerts(bench) == ["BRAIN_SILENT", "BRAIN_LOST", "BRAIN_BACK"]
        over = {alert.code: alert.over_at for alert in bench.core.alerts.views}
        assert over["BRAIN_SILENT"] == over["BRAIN_LOST"] == bench.clock.now()


# ------------------------------------------------------------------ terminal


async def test_a_lost_terminal_is_told_after_three_seconds_once_and_again_the_next_time(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as bench:
        for round_ in (1, 2):
            bench.broker.emit_heartbeat()
            bench.broker.go_down("cable pulled")
            await bench.pass_time(2.9)
            assert alerts(bench).count("TERMINAL_LOST") == round_ - 1
            await bench.pass_time(10, step=1)
            assert alerts(bench).count("TERMINAL_LOST") == round_
            bench.broker.go_up()
            await bench.until(lambda: bench.core.ready)
            await bench.pass_time(0.2)
        assert alerts(bench) == ["TERMINAL_LOST", "TERMINAL_BACK"] * 2
        assert "cable pulled" in bench.link.of(AlertReport)[0].message


async def test_a_terminal_that_fell_silent_has_had_its_three_seconds(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.emit_heartbeat()
        await bench.pass_time(3.0)
        entry = await bench.send()
        await bench.result(entry)
        bench.broker.go_down("silent for 3 seconds")
        await bench.pass_time(0.1)
        assert alerts(bench) == ["TERMINAL_LOST"]


async def test_a_terminal_that_blinks_is_not_told_at_all(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        for _ in range(20):
            bench.broker.emit_heartbeat()
            bench.broker.go_down("blink")
            await bench.pass_time(0.5)
            bench.broker.go_up()
            await bench.until(lambda: bench.core.ready)
            await bench.pass_time(0.1)
        assert alerts(bench) == []


async def test_a_terminal_that_connects_but_never_gets_ready_is_lost_once(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:

        async def refuses() -> TerminalSnapshot:
            raise TerminalUnavailable("not now")

        bench.broker.snapshot = refuses  # type: ignore[method-assign]
        for _ in range(10):
            bench.broker.go_down("flapping")
            await bench.pass_time(0.5)
            bench.broker.go_up()
            bench.broker.emit_heartbeat()
            await bench.pass_time(0.5)
        assert alerts(bench) == ["TERMINAL_LOST"]


# ------------------------------------------------------------------ another account


async def test_another_account_stops_trading_until_a_person_has_looked(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.go_down()
        bench.broker.account = replace(ACCOUNT, login="666")
        bench.broker.go_up()
        await bench.until(lambda: bench.core.latch.state is TradingState.HALTED)
        assert "666" in bench.core.latch.status.reason
        assert ACCOUNT.login in bench.core.latch.status.reason
        await bench.settle()
        for _ in range(3):
            bench.broker.emit_heartbeat()
        await bench.settle()
        assert alerts(bench).count("ACCOUNT_CHANGED") == 1
        await bench.until(lambda: bench.core.ready)
        day = bench.core.gate.day
        assert day is not None
        assert day.account == "666"
        operator = bench.engine.operator
        word = (await operator.reset_challenge())["word"]
        await operator.reset(word=word, by="ann", note="it is meant")
        await bench.until(lambda: bench.core.ready)
        await operator.resume(by="ann")
        await keep_prices_fresh(bench)
        assert (await bench.result(await bench.send())).outcome is Outcome.EXECUTED
        assert alerts(bench).count("ACCOUNT_CHANGED") == 1


async def test_a_login_in_the_middle_of_a_session_is_noticed_too(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.account = replace(ACCOUNT, login="0")
        bench.broker.emit_heartbeat()
        assert bench.core.latch.state is TradingState.ACTIVE  # nobody is logged in: the permissions say so
        bench.broker.account = replace(ACCOUNT, login="666")
        bench.broker.emit_heartbeat()
        assert bench.core.latch.state is TradingState.HALTED
        await bench.until(lambda: bench.core.account_login() == "666")


async def test_the_account_of_an_earlier_run_counts(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        journal = first.journal
        opened = [event for event in journal.events if isinstance(event, TerminalSessionOpened)]
        assert opened[0].login == ACCOUNT.login
    journal.closed = False
    broker = FakeBroker()
    broker.account = replace(ACCOUNT, login="666")
    bench = Bench(tmp_path, journal=journal, broker=broker)
    bench.stop.start()
    await bench.engine.start()
    try:
        await bench.until(lambda: bench.core.latch.state is TradingState.HALTED)
        assert "666" in bench.core.latch.status.reason
    finally:
        await bench.close()


# ------------------------------------------------------------------ clocks


class Held:
    """A terminal whose snapshot comes when the test says so."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._snapshot = bench.broker.snapshot
        self.free = False
        bench.broker.snapshot = self.snapshot  # type: ignore[method-assign]

    async def snapshot(self) -> TerminalSnapshot:
        if not self.free:
            raise TerminalUnavailable("not yet")
        return await self._snapshot()


def sleep_as_on_linux(clock: FakeClock) -> None:
    clock.suspend(600)


def sleep_as_on_windows(clock: FakeClock) -> None:
    clock.advance(600)


def set_forward(clock: FakeClock) -> None:
    clock.jump(3600)


def set_back(clock: FakeClock) -> None:
    clock.jump(-3600)


@pytest.mark.parametrize(
    ("happens", "code"),
    [
        (sleep_as_on_linux, "RESUMED"),
        (sleep_as_on_windows, "RESUMED"),
        (set_forward, "CLOCK_JUMPED"),
        (set_back, "CLOCK_JUMPED"),
    ],
)
async def test_after_sleep_or_a_set_clock_entries_wait_for_a_reconciliation_and_exits_do_not(
    tmp_path: Path, happens: object, code: str
) -> None:
    async with running(tmp_path) as bench:
        held = Held(bench)
        taken = bench.broker.snapshots_taken
        assert callable(happens)
        happens(bench.clock)
        await bench.pass_time(0.1)
        await bench.link.disconnect()
        await bench.link.connect("s_2")
        await keep_prices_fresh(bench)
        entry = await bench.send()
        exit_ = await bench.send(ClosePosition(Ticket(4)))
        assert (await bench.result(exit_)).outcome is Outcome.EXECUTED
        assert bench.results(entry) == []
        held.free = True
        await bench.pass_time(0.6)
        assert (await bench.result(entry)).outcome is Outcome.EXECUTED
        assert bench.broker.snapshots_taken == taken + 1
        assert alerts(bench) == [code]
        await bench.pass_time(61, step=1)
        assert alerts(bench) == [code, "CLOCK_SETTLED"]
        happens(bench.clock)
        await bench.pass_time(0.1)
        assert alerts(bench) == [code, "CLOCK_SETTLED", code]


async def test_a_clock_that_is_set_every_few_seconds_is_one_trouble(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        for _ in range(10):
            bench.clock.jump(5)
            await bench.pass_time(3, step=0.5)
        assert alerts(bench) == ["CLOCK_JUMPED"]
        assert not bench.core.links.unsettled
        await bench.pass_time(61, step=1)
        assert alerts(bench) == ["CLOCK_JUMPED", "CLOCK_SETTLED"]


async def test_what_waited_while_the_machine_slept_has_expired(tmp_path: Path) -> None:
    """On Linux the monotonic clock stands still in a sleep: by it alone the entry would have four seconds left."""
    async with running(tmp_path, processor=ProcessorOptions(max_in_flight=1)) as bench:
        bench.broker.default = Scripted.NEVER
        blocker = await bench.send()
        await bench.until(lambda: bool(bench.broker.sent))
        entry, exit_ = await bench.send(), await bench.send(ClosePosition(Ticket(4)), expiry=5.0)
        bench.clock.suspend(600)
        await bench.pass_time(0.1)
        for waiting in (entry, exit_):
            assert (await bench.result(waiting)).outcome is Outcome.EXPIRED
        assert bench.broker.sent_ids == [blocker.command_id]


async def test_an_entry_that_slept_between_journal_and_send_is_not_sent(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.journal.hold()
        entry = await bench.send()
        await bench.settle()
        bench.clock.suspend(600)
        bench.journal.release()
        assert (await bench.result(entry)).outcome is Outcome.EXPIRED
        assert bench.broker.sent == []


async def test_an_entry_that_was_short_asleep_between_journal_and_send_waits_for_no_reconciliation(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as bench:
        Held(bench)
        bench.journal.hold()
        entry = await bench.send(expiry=30.0)
        await bench.settle()
        bench.clock.suspend(6)
        bench.journal.release()
        result = await bench.result(entry)
        assert (result.outcome, result.code) == (Outcome.REJECTED, "TERMINAL_LOST")
        assert "certainly not sent" in (result.message or "")
        assert bench.broker.sent == []


async def test_how_old_an_entry_is_can_only_be_told_in_a_fresh_session(tmp_path: Path) -> None:
    """What lay in the socket while the machine slept looks fresh by an offset that was measured before."""
    async with running(tmp_path) as bench:
        bench.clock.suspend(600)
        stale = await bench.send()
        assert (await bench.ack(stale)).code == "CLOCK_SKEW"
        assert len(bench.link.renewals) == 1
        exit_ = await bench.send(ClosePosition(Ticket(4)))
        assert (await bench.ack(exit_)).status == "ACCEPTED"
        await bench.link.disconnect()
        await bench.link.connect("s_2")
        await keep_prices_fresh(bench)
        assert (await bench.result(await bench.send())).outcome is Outcome.EXECUTED


async def test_a_frozen_process_keeps_its_session_with_the_brain(tmp_path: Path) -> None:
    """The monotonic clock counted on: ages are known."""
    async with running(tmp_path) as bench:
        bench.clock.advance(30)
        await bench.pass_time(0.1)
        assert bench.link.renewals == []
        assert alerts(bench) == ["RESUMED"]


async def test_a_terminal_that_is_away_after_a_sleep_settles_it_when_it_is_back(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.broker.go_down()
        bench.clock.suspend(600)
        await bench.pass_time(0.1)
        assert bench.core.links.unsettled
        bench.broker.go_up()
        await bench.until(lambda: bench.core.ready)
        assert not bench.core.links.unsettled


# ------------------------------------------------------------------ how well it goes


async def test_a_slow_heartbeat_is_told_once_until_five_were_quick(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        for _ in range(2):
            for trip in (1.5, 0.01, 2.0, 0.01, 0.01, 0.01, 0.01):
                bench.broker.emit_heartbeat(trip)
            assert alerts(bench)[-1] == "LATENCY_HIGH"
            bench.broker.emit_heartbeat(0.01)
        assert alerts(bench) == ["LATENCY_HIGH", "LATENCY_HIGH_OVER"] * 2


async def test_a_slow_way_to_the_brain_is_told_and_shown(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        for trip in (1.2, 1.3, *[0.04] * 5):
            bench.engine.brain.measured(trip)
        assert alerts(bench) == ["BRAIN_SLOW", "BRAIN_SLOW_OVER"]
        link = bench.engine.operator.snapshot().links[0]
        assert (link.name, link.latency_ms) == ("brain", 40.0)


async def test_slow_commands_are_told_once_until_five_were_quick(tmp_path: Path) -> None:
    async with running(tmp_path, watch=WatchLimits(max_latency_ms=300)) as bench:
        bench.broker.default = Scripted.NEVER
        for took in (0.4, 0.5, *[0.1] * 5):
            command = await bench.send(buy("0.01"))
            await bench.until(lambda: len(bench.broker.waiting) == 1)
            bench.clock.advance(took)
            bench.broker.resolve(command.command_id, bench.broker.done(command))
            await bench.result(command)
        assert alerts(bench) == ["EXECUTION_SLOW", "EXECUTION_SLOW_OVER"]


async def test_failures_in_a_row_are_told_once_until_one_succeeds(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        for _ in range(2):
            for _ in range(5):
                bench.broker.answers.append(Execution(ExecutionState.REJECTED, 10019))
                await bench.result(await bench.send(buy("0.01")))
                await bench.pass_time(0.2)
                await keep_prices_fresh(bench)
            await bench.result(await bench.send(buy("0.02")))
            await bench.pass_time(0.1)
        assert alerts(bench) == ["EXECUTIONS_FAIL", "EXECUTIONS_FAIL_OVER"] * 2


async def test_a_queue_that_fills_up_is_told_until_it_has_eased(tmp_path: Path) -> None:
    watch = WatchLimits(max_latency_ms=0)
    async with running(tmp_path, watch=watch, processor=ProcessorOptions(capacity=10)) as bench:
        for _ in range(2):
            bench.broker.default = Scripted.NEVER
            waiting = [await bench.send(buy("0.01")) for _ in range(8)]
            await bench.pass_time(0.1)
            before = len(alerts(bench))
            waiting += [await bench.send(buy("0.01")) for _ in range(2)]
            await bench.pass_time(1.1)
            assert len(alerts(bench)) == before + 1
            bench.broker.default = None
            for sent in tuple(bench.broker.waiting):
                bench.broker.resolve(sent.command.command_id, bench.broker.done(sent.command))
            for command in waiting:
                await bench.result(command)
            await bench.pass_time(0.1)
        assert alerts(bench) == ["QUEUE_FILLING", "QUEUE_EASED"] * 2


async def test_what_is_switched_off_is_not_told(tmp_path: Path) -> None:
    off = WatchLimits(max_latency_ms=0, failures_in_a_row=0, queue_percent=0)
    async with running(tmp_path, watch=off, processor=ProcessorOptions(capacity=3)) as bench:
        bench.broker.emit_heartbeat(9.0)
        for _ in range(5):
            bench.broker.answers.append(Execution(ExecutionState.REJECTED, 10019))
            await bench.result(await bench.send(buy("0.01")))
        bench.broker.default = Scripted.NEVER
        for _ in range(3):
            await bench.send(buy("0.01"))
        await bench.pass_time(1)
        assert alerts(bench) == []


# ------------------------------------------------------------------ the stop key


async def test_a_stop_key_that_another_program_holds_is_told_once_and_its_return(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        view = HotkeyView("Ctrl+Alt+Shift+S", "waiting", "")
        bench.engine.show_hotkey(lambda: view)
        await bench.pass_time(0.2)
        for state in ("taken", "taken", "registered", "registered", "failed", "registered"):
            view = replace(view, state=state, detail="another program holds it")
            await bench.pass_time(0.2)
        assert alerts(bench) == ["HOTKEY_LOST", "HOTKEY_BACK"] * 2
        assert bench.engine.operator.snapshot().hotkey == view


@pytest.mark.parametrize("state", ["off", "unsupported"])
async def test_no_stop_key_by_choice_or_by_system_is_no_trouble(tmp_path: Path, state: str) -> None:
    async with running(tmp_path) as bench:
        bench.engine.show_hotkey(lambda: HotkeyView("off", state, ""))
        await bench.pass_time(0.2)
        assert alerts(bench) == []
