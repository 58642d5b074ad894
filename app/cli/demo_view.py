"""The demo's console: steps while it starts, a live table while it runs, a summary at the end."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app.api.client import ApiClient, EngineNotRunning, RequestRefused, find_engine
from app.api.schemas import SnapshotModel

_SHOWN_POSITIONS = 8


class EngineWatch:
    """Follows the engine's stream in a thread of its own, as any client of the local API would."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._latest: SnapshotModel | None = None
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="demo watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(timeout=5)

    def latest(self) -> SnapshotModel | None:
        """The engine as it was a moment ago; None: nothing heard yet."""
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
            async for snapshot in client.follow():
                self._latest = snapshot


class DemoView:
    """On a terminal: a live table. Into a file or a pipe: a few plain lines."""

    def __init__(self, stream: TextIO, commands: int) -> None:
        self._console = Console(file=stream, highlight=False)
        self._commands = commands
        self._live: Live | None = None
        self._told = 0
        self._console.print(
            "[bold]Medulla demo[/] - three processes, real sockets, nothing of yours is touched"
        )

    def step(self, name: str, detail: str) -> None:
        self._console.print(f"  [green]✓[/] {name:<20} {detail}")

    def show(self, snapshot: SnapshotModel | None) -> None:
        if snapshot is None:
            return
        if not self._console.is_terminal:
            done = snapshot.counters.executed + snapshot.counters.rejected + snapshot.counters.refused
            if done - self._told >= max(1, self._commands // 5):
                self._told = done
                self._console.print(f"  … {done} of {self._commands} commands done")
            return
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        self._live.update(Group(_figures(snapshot, self._commands), _positions(snapshot)))

    def done(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

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


def _figures(snapshot: SnapshotModel, commands: int) -> Table:
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


def _positions(snapshot: SnapshotModel) -> Table | Text:
    if not snapshot.positions:
        return Text("no open positions", style="dim")
    table = Table(
        title=f"{len(snapshot.positions)} open positions", title_justify="left", box=None, padding=(0, 2)
    )
    for heading in ("symbol", "side", "lots", "open", "now", "profit"):
        table.add_column(heading, justify="left" if heading in ("symbol", "side") else "right")
    for position in snapshot.positions[:_SHOWN_POSITIONS]:
        table.add_row(
            position.symbol,
            position.side,
            str(position.volume),
            str(position.open_price),
            str(position.current_price or "-"),
            str(position.profit),
        )
    return table
