"""The demo's console: steps while it starts, a live table while it runs, a summary at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app.api.client import ApiClient, EngineNotRunning, RequestRefused, find_engine
from app.api.schemas import PositionModel, StatusModel

_SHOWN_POSITIONS = 8


LIVE_EVERY = 0.5
LINES_EVERY = 1.0
"""Seconds from one look to the next: the engine that is looked at is being measured."""


@dataclass(frozen=True, slots=True)
class Glance:
    """The engine as it was a moment ago."""

    status: StatusModel
    positions: tuple[PositionModel, ...]
    """Asked for only where they are shown."""


class EngineWatch:
    """Asks the engine now and then in a thread of its own, as any client of the local API would."""

    def __init__(self, folder: Path, *, live: bool) -> None:
        """`live`: a person watches, so positions are asked for too."""
        self._folder = folder
        self._live = live
        self._latest: Glance | None = None
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="demo watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(timeout=5)

    def latest(self) -> Glance | None:
        """None: nothing heard yet."""
        return self._latest

    def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._follow(), name="demo watch")
        try:
            self._loop.run_until_complete(self._task)
        except (asyncio.CancelledError, EngineNotRunning, RequestRefused):
            pass  # the engine has ended, or is not ours: the demo goes on without the live table
        finally:
            self._loop.close()

    async def _follow(self) -> None:
        target = find_engine(self._folder / "engine.json", self._folder / "api.token")
        async with ApiClient(target) as client:
            while True:
                status = await client.status()
                positions = (await client.positions()).positions if self._live else ()
                self._latest = Glance(status, positions)
                await asyncio.sleep(LIVE_EVERY if self._live else LINES_EVERY)


class DemoView:
    """On a terminal: a live table. Into a file or a pipe: a few plain lines."""

    def __init__(self, stream: TextIO, commands: int) -> None:
        self._console = Console(file=stream, highlight=False)
        self._commands = commands
        self._table: Live | None = None
        self._told = 0
        self._console.print(
            "[bold]Medulla demo[/] - three processes, real sockets, nothing of yours is touched"
        )

    @property
    def live(self) -> bool:
        """A person watches."""
        return self._console.is_terminal

    def step(self, name: str, detail: str) -> None:
        self._console.print(f"  [green]✓[/] {name:<20} {detail}")

    def show(self, glance: Glance | None) -> None:
        if glance is None:
            return
        if not self.live:
            counters = glance.status.counters
            done = counters.executed + counters.rejected + counters.refused
            if done - self._told >= max(1, self._commands // 5):
                self._told = done
                self._console.print(f"  … {done} of {self._commands} commands done")
            return
        if self._table is None:
            self._table = Live(console=self._console, refresh_per_second=2, transient=True)
            self._table.start()
        self._table.update(Group(_figures(glance.status, self._commands), _positions(glance.positions)))

    def done(self) -> None:
        if self._table is not None:
            self._table.stop()
            self._table = None

    def summary(self, result: dict[str, Any]) -> None:
        good = (
            not result["duplicates"] and not result["lost"] and not result["unasked"] and result["complete"]
        )
        table = Table(show_header=False, box=None, padding=(0, 2))
        for label, text in (
            (
                "commands sent",
                f"{result['commands']}, {result['accepted']} accepted, {result['refused']} turned away",
            ),
            (
                "outcomes",
                f"{result['executed']} executed, {result['rejected']} rejected, {result['expired']} expired, "
                f"{result['unknown']} unknown",
            ),
            ("at the broker", f"{result['effects']} effects in the terminal's ledger"),
            ("duplicates", str(result["duplicates"])),
            ("lost or unasked", f"{result['lost']} / {result['unasked']}"),
            (
                "brain to brain",
                f"p50 {result['p50_ms']} ms · p95 {result['p95_ms']} ms · p99 {result['p99_ms']} ms",
            ),
            ("speed", f"{result['commands_per_s']} commands/s"),
        ):
            table.add_row(label, text)
        self._console.print(table)
        if good:
            self._console.print("[green]✓ every command has one outcome, and none was executed twice[/]")
        else:
            self._console.print(
                "[red]✗ the counts do not agree; run again with --keep FOLDER and look at journal and ledger[/]"
            )


def _figures(snapshot: StatusModel, commands: int) -> Table:
    table = Table(box=None, padding=(0, 2), show_header=False)
    counters, account = snapshot.counters, snapshot.account
    table.add_row("trading", snapshot.status.state, "queue", str(snapshot.queue_depth))
    table.add_row(
        "received", f"{counters.received} / {commands}", "executed", str(counters.executed + counters.partial)
    )
    table.add_row("rejected", str(counters.rejected + counters.refused), "unknown", str(counters.unknown))
    for view in snapshot.latencies:
        table.add_row(f"{view.hop} ms", f"p50 {view.p50:.2f}", f"p95 {view.p95:.2f}", f"p99 {view.p99:.2f}")
    if account is not None:
        result = snapshot.daily_profit if snapshot.daily_profit is not None else "-"
        table.add_row("equity", f"{account.equity} {account.currency}", "today", str(result))
    return table


def _positions(positions: Sequence[PositionModel]) -> Table | Text:
    if not positions:
        return Text("no open positions", style="dim")
    table = Table(title=f"{len(positions)} open positions", title_justify="left", box=None, padding=(0, 2))
    for heading in ("symbol", "side", "lots", "open", "now", "profit"):
        table.add_column(heading, justify="left" if heading in ("symbol", "side") else "right")
    for position in positions[:_SHOWN_POSITIONS]:
        table.add_row(
            position.symbol,
            position.side,
            str(position.volume),
            str(position.open_price),
            str(position.current_price or "-"),
            str(position.profit),
        )
    return table
