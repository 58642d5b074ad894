"""`medulla demo`: brain, executor and simulated terminal as three real processes over real sockets, the window where there is a
screen, and a count of what happened.

The count comes from the terminal's own ledger. Nothing of it touches the user's own data folder.
"""

from __future__ import annotations

import json
import queue
import secrets
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from app.cli.console import ExitCode, complain
from app.cli.demo_audit import Audit, audit
from app.cli.demo_terminal import DemoTerminal, StartedTerminal, start_terminal
from app.cli.demo_view import DemoView, EngineWatch
from app.cli.desktop import window_is_possible
from app.cli.processes import Child, ChildFailed

_READY = 60.0
_EXECUTOR = "demo"
_RATE, _RATE_WATCHED = 50.0, 4.0
"""Commands a second: as a measurement, and as somebody can follow who watches."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    commands: int
    rate: float
    json: bool
    folder: Path
    seed: int
    terminal: DemoTerminal = DemoTerminal.SIM
    window: bool = False
    """Open the window; the demo ends when it is closed."""


def register(app: typer.Typer) -> None:
    @app.command()
    def demo(
        *,
        headless: Annotated[
            bool,
            typer.Option(
                help="On the console, without a window (as with --json, and where there is no screen)."
            ),
        ] = False,
        commands: Annotated[
            int, typer.Option(min=1, max=1_000_000, help="How many commands the brain sends.")
        ] = 200,
        rate: Annotated[
            float | None,
            typer.Option(
                min=0.1,
                max=2000,
                help=f"Commands a second; {_RATE:.0f}, or {_RATE_WATCHED:.0f} where the window shows them.",
            ),
        ] = None,
        json_: Annotated[
            bool, typer.Option("--json", help="The count as the last line of stdout, for scripts.")
        ] = False,
        keep: Annotated[Path | None, typer.Option(help="Folder to keep journal, ledger and logs in.")] = None,
        seed: Annotated[int, typer.Option(help="Of the market and of what is sent.")] = 1,
        terminal: Annotated[
            DemoTerminal,
            typer.Option(
                help="What trades: the simulated terminal, or the Expert Advisor compiled for this machine (with libzmq, or"
                " without DLL); the latter in a checkout with a C++ compiler only."
            ),
        ] = DemoTerminal.SIM,
    ) -> None:
        """Watch the whole thing work: a brain sends signed commands, Medulla executes them, a simulated terminal trades."""
        with ExitStack() as stack:
            if keep is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medulla-demo-")))
            else:
                folder = keep.absolute()
                folder.mkdir(parents=True, exist_ok=True)
            window = not headless and not json_ and window_is_possible()
            chosen = rate or (_RATE_WATCHED if window else _RATE)
            try:
                code = run_demo(DemoOptions(commands, chosen, json_, folder, seed, terminal, window))
            except ChildFailed as fault:
                complain(f"medulla demo: {fault}")
                code = ExitCode.FAILED
        raise typer.Exit(code)


def run_demo(options: DemoOptions) -> int:
    """Start, watch, count. Exit code 0 only if every command has its outcome and none was executed twice."""
    view = DemoView(sys.stderr if options.json else sys.stdout, options.commands)
    with ExitStack() as stack:
        terminal = start_terminal(
            options.terminal, options.folder, options.seed, partial(_child, stack, options)
        )
        view.step(terminal.name, f"port {terminal.command_port}")
        brain_process, brain, api_key = _start_brain(options, stack)
        view.step("web brain", f"port {brain['port']}, signs with {brain['keyId']}")
        config = _write_config(options, terminal, brain)
        # Before the executor, and so before the first command: whoever watches sees all of them.
        window = _open_window(stack, options, config, view) if options.window else None
        engine_process = _child(
            stack,
            options,
            "executor",
            ["run", "--headless", "--config", str(config), "--exit-with-parent"],
            {"MEDULLA_BRAIN__API_KEY": api_key},
        )
        engine_process.wait_for("ready", _READY)
        view.step("executor", "reconciled and ready")
        try:
            report = _watch(brain_process, options.folder, view, window)
            if window is not None and window.process.poll() is None:
                view.step("all commands sent", "close the window to end the demo and see the count")
                window.process.wait()
        except WindowClosed:
            view.done()
            view.step("window closed", "the demo ends before all commands were sent")
            return ExitCode.DONE
        finally:
            view.done()
    # Counted after all three have ended: nothing can change any more.
    result = _result(report, audit(terminal.ledger, options.folder / "brain.db"))
    view.summary(result)
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
    return 0 if result["complete"] and not result["duplicates"] and not result["lost"] else 1


def _child(
    stack: ExitStack,
    options: DemoOptions,
    name: str,
    arguments: list[str],
    environment: dict[str, str] | None = None,
    module: str = "app",
) -> Child:
    child = Child(name, arguments, folder=options.folder, environment=environment or {}, module=module)
    stack.callback(child.end)
    return child


def _start_brain(options: DemoOptions, stack: ExitStack) -> tuple[Child, dict[str, Any], str]:
    api_key = secrets.token_urlsafe(24)
    arguments = ["brain", "--port", "0", "--db", str(options.folder / "brain.db"), "--executor-id", _EXECUTOR]
    arguments += ["--key-file", str(options.folder / "brain.key"), "--commands", str(options.commands)]
    arguments += ["--rate", str(options.rate), "--json", "--exit-with-parent"]
    child = _child(stack, options, "brain", arguments, {"MEDULLA_BRAIN_API_KEY": api_key})
    return child, child.wait_for("ready", _READY), api_key


def _write_config(options: DemoOptions, terminal: StartedTerminal, brain: dict[str, Any]) -> Path:
    """The demo's own settings: wide throttles, since it sends in seconds what a day of trading sends."""
    config = options.folder / "config.yaml"
    settings = {
        "data_folder": str(options.folder),
        "brain": {
            "url": f"ws://127.0.0.1:{brain['port']}",
            "executor_id": _EXECUTOR,
            "signing_keys": {brain["keyId"]: brain["publicKey"]},
        },
        "terminal": {
            "command_port": terminal.command_port,
            "stream_port": terminal.stream_port,
            "transport": terminal.transport,
            "key_file": str(options.folder / "terminal.key"),
        },
        "journal": {"path": str(options.folder / "journal.db")},
        "api": {"port": 0},
        "safety": {"max_orders_per_second": 5000, "max_orders_per_minute": 300_000},
    }
    config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return config


class WindowClosed(Exception):
    """The person closed the window while commands were still being sent."""


def _open_window(stack: ExitStack, options: DemoOptions, config: Path, view: DemoView) -> Child | None:
    """None: it does not open here; the demo goes on without it."""
    window = _child(stack, options, "window", ["desktop", "--config", str(config), "--guest"])
    try:
        window.wait_for("open", _READY)
    except ChildFailed as fault:
        view.step("no window", str(fault))
        return None
    view.step("window", "open; closing it ends the demo")
    return window


def _watch(brain: Child, folder: Path, view: DemoView, window: Child | None) -> dict[str, Any]:
    """Show what goes on until the brain reports. Raises ChildFailed, or WindowClosed when the person had enough."""
    with EngineWatch(folder, live=view.live) as engine:
        while True:
            if window is not None and (ended := window.process.poll()) is not None:
                if ended == 0:
                    raise WindowClosed
                view.step(
                    "no window", f"it ended with code {ended}; the demo goes on without it. {window.words()}"
                )
                window = None
            try:
                message = brain.lines.get(timeout=0.25)
            except queue.Empty:
                view.show(engine.latest())
                continue
            if message is None:
                raise ChildFailed(f"brain ended too early. {brain.words()}")
            if message.get("event") == "report":
                view.show(engine.latest())
                return message


def _result(report: dict[str, Any], found: Audit) -> dict[str, Any]:
    """The names that scripts read first, then the rest."""
    return {
        "commands": report["commands"],
        "accepted": report["accepted"],
        "executed": report["executed"] + report["partial"],
        "rejected": report["rejected"],
        "unknown": report["unknown"],
        "duplicates": found.duplicates,
        "p50_ms": report["p50_ms"],
        "p95_ms": report["p95_ms"],
        "p99_ms": report["p99_ms"],
        "commands_per_s": report["commands_per_s"],
        "lost": found.lost,
        "unasked": found.unasked,
        "effects": found.effects,
        "expired": report["expired"],
        "refused": report["refused"],
        "complete": report["complete"],
        "actions": report["actions"],
        "codes": report["codes"],
    }
