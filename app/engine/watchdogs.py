"""The watchdogs: what nobody asks for but somebody must notice. One alert when a trouble begins, one when it is over.

Looks on the engine's housekeeping beat; when a trouble begins and ends is decided in domain/watchdog_rules.py. Permissions,
another account and the terminal's own stop are noticed where they are told (terminal_side.py); losses belong to the gate.
"""

from __future__ import annotations

from collections.abc import Callable

from app.domain.errors import TerminalUnavailable
from app.domain.results import CommandResult
from app.domain.watchdog_rules import (
    BRAIN_LOST_AFTER,
    BRAIN_SILENT_AFTER,
    GOOD_LATENCIES,
    QUEUE_EASED,
    ClockBreak,
    ClockReading,
    Episode,
    Turn,
    WatchLimits,
    above,
    clock_break,
)
from app.engine.brain_side import BrainSide
from app.engine.core import EngineCore
from app.engine.desk import CommandInHand
from app.engine.snapshots import HotkeyView
from app.engine.terminal_side import TerminalSide

_CALM = 60.0
"""Seconds without another break after which a clock counts as settled: one that is set every few seconds is one trouble."""
_TRY_AGAIN = 0.5


class Watchdogs:
    """Runs on the engine's loop. `uptime` counts the machine's sleep (seconds); `limits` may be replaced while it runs."""

    def __init__(
        self,
        core: EngineCore,
        brain: BrainSide,
        terminal: TerminalSide,
        *,
        limits: WatchLimits,
        uptime: Callable[[], float],
    ) -> None:
        self.limits = limits
        self._core = core
        self._brain = brain
        self._terminal = terminal
        self._uptime = uptime
        self._clocks: ClockReading | None = None
        """At the last look; None before the first: what a start takes is no pause."""
        self._clock = Episode()
        self._last_break = 0.0
        self._settling = False
        self._ping = Episode(GOOD_LATENCIES)
        self._brain_ping = Episode(GOOD_LATENCIES)
        self._commands = Episode(GOOD_LATENCIES)
        self._failures = Episode()
        self._queue = Episode()
        self._hotkey = Episode()
        self.hotkey: Callable[[], HotkeyView | None] = lambda: None
        """How the stop key stands; set by whoever holds it."""
        core.finished_listeners.append(self._finished)
        core.processor.before_send = self.look_at_clocks
        terminal.on_round_trip = lambda seconds: self._judge_latency(
            self._ping, seconds * 1000, "LATENCY_HIGH", "the terminal's heartbeat"
        )
        brain.on_round_trip = lambda seconds: self._judge_latency(
            self._brain_ping, seconds * 1000, "BRAIN_SLOW", "the way to the brain and back"
        )
        brain.before_command = self.look_at_clocks

    def beat(self) -> bool:
        """Every 50 ms. True at the moment when the brain is lost: what the operator chose for it is due."""
        now = self._core.clock.monotonic()
        self.look_at_clocks()
        if self._clock.open:
            self._calm_down(now)
        self._watch_terminal(now)
        self._watch_failures()
        self._watch_queue()
        self._watch_hotkey()
        return self._watch_brain(now)

    # ------------------------------------------------------------ clocks

    def _read_clocks(self) -> ClockReading:
        clock = self._core.clock
        return ClockReading(clock.now(), clock.monotonic(), self._uptime())

    def look_at_clocks(self) -> None:
        """Also called before a command is judged: after a resume nothing may be decided on the clocks of before."""
        before, now = self._clocks, self._read_clocks()
        self._clocks = now
        found = clock_break(before, now) if before is not None else None
        if found is not None:
            self._clocks_parted(found)

    def _clocks_parted(self, found: ClockBreak) -> None:
        core = self._core
        self._last_break = core.clock.monotonic()
        core.log("clock_break", stood_still=found.stood_still, uncounted=found.uncounted, jumped=found.jumped)
        if found.uncounted:
            core.processor.lose_time(found.uncounted)
        core.links.unsettled = True
        if found.uncounted or found.jumped:
            self._doubt_the_brains_time(str(found))
        if self._clock.see(bad=True) is Turn.BEGUN:
            core.alarm(
                "warning",
                "CLOCK_JUMPED" if found.jumped and not found.stood_still else "RESUMED",
                f"{found}: entries wait until the terminal is reconciled anew; what has expired meanwhile is not sent",
            )
        if not self._settling:
            self._settling = True
            core.keeper.spawn("settle", self._settle())

    def _doubt_the_brains_time(self, reason: str) -> None:
        """The offset to the brain's clock was measured before: only a fresh session can tell how old a command is."""
        core = self._core
        if core.link is not None:
            core.links.brain_time_doubtful = True
            core.link.renew(reason)

    async def _settle(self) -> None:
        """Reconcile in the open session. A terminal that is away is reconciled when it comes back, which settles this too."""
        core = self._core
        try:
            while core.links.terminal_up:
                seen = self._last_break
                try:
                    await core.reconciliation.run_once()
                except TerminalUnavailable as fault:
                    core.log("reconcile_failed", message=str(fault))
                    await core.clock.sleep(_TRY_AGAIN)
                    continue
                if seen != self._last_break:
                    continue  # it happened again meanwhile: what was read may be of before
                core.gate.observe_equity()
                core.gate.check_losses()
                core.links.unsettled = False
                core.bus.mark("positions", "orders", "account")
                core.processor.pump()
                return
        finally:
            self._settling = False

    def _calm_down(self, now: float) -> None:
        settled = not self._core.links.unsettled and now - self._last_break >= _CALM
        if self._clock.see(bad=False, good=settled) is Turn.OVER:
            self._core.alarm(
                "info",
                "CLOCK_SETTLED",
                f"the clocks have agreed for {_CALM:.0f} s and the terminal is reconciled",
                ends=("CLOCK_JUMPED", "RESUMED"),
            )

    # ------------------------------------------------------------ the links

    def _watch_terminal(self, now: float) -> None:
        core, terminal = self._core, self._terminal
        links = core.links
        if links.terminal_up:
            if links.terminal_gone:
                links.terminal_gone = False
                core.alarm(
                    "info",
                    "TERMINAL_BACK",
                    "the terminal is connected and reconciled again",
                    ends=("TERMINAL_LOST",),
                )
        elif not links.terminal_gone and terminal.lost_at is not None and now >= terminal.lost_at:
            links.terminal_gone = True
            core.alarm(
                "critical",
                "TERMINAL_LOST",
                f"the connection to the terminal is lost: {terminal.lost_why}; waiting entries are refused",
            )
            core.processor.pump()

    def _watch_brain(self, now: float) -> bool:
        core = self._core
        heard = core.link.last_heard if core.link is not None else None
        if heard is None:
            return False
        silent = now - heard
        if silent < BRAIN_SILENT_AFTER:
            self._brain.heard_again()
        if core.links.brain_lost or silent < BRAIN_LOST_AFTER:
            return False
        core.links.brain_lost = True
        core.alarm(
            "critical",
            "BRAIN_LOST",
            f"the brain is silent for {BRAIN_LOST_AFTER:.0f} s: entries are refused until a fresh session",
        )
        return True

    # ------------------------------------------------------------ how well it goes

    def _finished(self, item: CommandInHand, _result: CommandResult) -> None:
        if item.begun is not None and item.answered is not None:
            took = (item.answered - item.begun) * 1000
            self._judge_latency(self._commands, took, "EXECUTION_SLOW", "a command at the terminal")

    def _judge_latency(self, episode: Episode, took: float, code: str, what: str) -> None:
        limit = self.limits.max_latency_ms
        turn = episode.see(bad=above(took, limit))
        if turn is Turn.BEGUN:
            self._core.alarm(
                "warning",
                code,
                f"{what} took {took:.0f} ms, more than {limit} ms (watchdogs.max_latency_ms): prices may have moved on",
            )
        elif turn is Turn.OVER:
            self._core.alarm(
                "info",
                f"{code}_OVER",
                f"{what} takes less than {limit} ms again: the last {GOOD_LATENCIES} did",
                ends=(code,),
            )

    def _watch_failures(self) -> None:
        count, limit = self._core.gate.consecutive_failures, self.limits.failures_in_a_row
        turn = self._failures.see(bad=0 < limit <= count, good=count == 0 or not limit)
        if turn is Turn.BEGUN:
            self._core.alarm(
                "warning",
                "EXECUTIONS_FAIL",
                f"the broker refused {count} entries in a row; look at their return codes in the commands pane",
            )
        elif turn is Turn.OVER:
            self._core.alarm(
                "info", "EXECUTIONS_FAIL_OVER", "the broker takes entries again", ends=("EXECUTIONS_FAIL",)
            )

    def _watch_queue(self) -> None:
        depth, capacity, limit = (
            self._core.processor.depth,
            self._core.processor.capacity,
            self.limits.queue_percent,
        )
        turn = self._queue.see(
            bad=limit > 0 and depth * 100 >= capacity * limit,
            good=limit == 0 or depth < capacity * min(QUEUE_EASED, limit / 100),
        )
        if turn is Turn.BEGUN:
            self._core.alarm(
                "warning",
                "QUEUE_FILLING",
                f"{depth} of {capacity} places in the queue are taken: commands come faster than the terminal works; "
                "when it is full they are refused",
            )
        elif turn is Turn.OVER:
            self._core.alarm(
                "info", "QUEUE_EASED", f"{depth} commands wait; the queue has eased", ends=("QUEUE_FILLING",)
            )

    # ------------------------------------------------------------ the stop key

    def _watch_hotkey(self) -> None:
        key = self.hotkey()
        if key is None or key.state in ("off", "unsupported", "waiting"):
            return
        turn = self._hotkey.see(bad=key.state != "registered")
        if turn is Turn.BEGUN:
            self._core.alarm(
                "warning",
                "HOTKEY_LOST",
                f"the stop key {key.combination} does not work: {key.detail}. The button and `medulla stop` do",
            )
        elif turn is Turn.OVER:
            self._core.alarm(
                "info", "HOTKEY_BACK", f"the stop key {key.combination} works", ends=("HOTKEY_LOST",)
            )
