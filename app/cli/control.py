"""Local control on the command line: look, stop, pause, reset, resume, settle. Each command is one request to the running engine;
the stop has further ways when there is none. What may be done is decided in the engine.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.api.stop_client import StopPaths, StopReport, ask_status, request_stop
from app.cli.console import (
    ConfigOption,
    ExitCode,
    JsonOption,
    end,
    mark,
    say,
    say_json,
    settings_or_end,
)
from app.domain.errors import ConfigurationError, SecretMissing
from app.settings import Settings

if TYPE_CHECKING:
    from app.api.client import ApiClient
    from app.api.schemas import ResetChallengeModel, StatusModel

Answer = TypeVar("Answer")

_PROOF_PATIENCE = 2.0
"""Seconds that `stop` waits for the terminal's word after the engine has latched."""
_PROOF_LOOKS = 20


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(status)
    app.command()(stop)
    app.command()(pause)
    app.command()(reset)
    app.command()(resume)
    app.command("ack-unknown")(ack_unknown)
    app.command()(positions)


def ask_engine(settings: Settings, ask: Callable[[ApiClient], Awaitable[Answer]]) -> Answer:
    """One conversation with the running engine; ends with a sentence and the right code when it does not come about."""
    from app.api.client import ApiClient, EngineNotRunning, RequestRefused, find_engine

    async def converse() -> Answer:
        target = find_engine(settings.runtime_file, settings.api.token_file)
        async with ApiClient(target) as client:
            return await ask(client)

    try:
        return asyncio.run(converse())
    except (EngineNotRunning, SecretMissing) as fault:
        end(ExitCode.FAILED, str(fault))
    except RequestRefused as fault:
        code = {409: ExitCode.REFUSED, 400: ExitCode.USAGE}.get(fault.status, ExitCode.FAILED)
        end(code, f"{fault} [{fault.code}]")


# ------------------------------------------------------------------ looking


def status(*, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Show how the running engine stands."""
    settings = settings_or_end(config)
    found = ask_engine(settings, lambda client: client.status())
    if json_:
        say(found.model_dump_json())
        return
    for line in _status_lines(found):
        say(line)


def _status_lines(found: StatusModel) -> list[str]:
    state = found.status
    words = {
        "ACTIVE": "ACTIVE: trading",
        "REDUCING": "REDUCING: paused, exits only",
        "HALTED": "HALTED: emergency stop",
    }
    lines = [
        f"Trading    {words.get(state.state, state.state)}",
        f"           since {state.since:%Y-%m-%d %H:%M:%S} UTC by {state.by}: {state.reason} (epoch {state.epoch})",
        f"Ready      {'yes' if found.ready else 'no: not reconciled with the terminal yet'}",
    ]
    for link in found.links:
        latency = "" if link.latency_ms is None else f", {link.latency_ms:.1f} ms"
        lines.append(
            f"{link.name.capitalize():<10} {link.state}{f': {link.detail}' if link.detail else ''}{latency}"
        )
    if found.account is not None:
        account = found.account
        lines.append(
            f"Account    {account.login} {account.server} ({account.mode}): equity {account.equity} {account.currency}, "
            f"today {'unknown' if found.daily_profit is None else found.daily_profit}"
        )
    if found.permissions is not None and found.permissions.missing:
        lines.append(f"Missing    {', '.join(found.permissions.missing)}: no trade is possible without it")
    counters = found.counters
    lines.append(
        f"Commands   {counters.received} received, {counters.executed} executed, {counters.rejected} rejected, "
        f"{counters.unknown} unknown, {found.queue_depth} waiting"
    )
    if found.unknown_commands:
        lines.append(
            f"UNKNOWN    {', '.join(found.unknown_commands)}: look at the account, then medulla ack-unknown ID"
        )
    lines += [
        f"Limit      {limit.name} {limit.state}: {limit.explanation}"
        for limit in found.limits
        if limit.state != "ok"
    ]
    if found.unsigned_allowed:
        lines.append("Warning    commands need no signature")
    lines += [f"Warning    {warning}" for warning in found.warnings]
    return lines


def positions(*, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """List the open positions."""
    settings = settings_or_end(config)
    found = ask_engine(settings, lambda client: client.positions())
    if json_:
        say(found.model_dump_json())
        return
    if not found.positions:
        say("No open position.")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("Ticket", "Symbol", "Side", "Lots", "Open", "Now", "SL", "TP", "Profit"):
        table.add_column(heading, justify="left" if heading in {"Ticket", "Symbol", "Side"} else "right")
    for row in found.positions:
        prices = (row.current_price, row.stop_loss, row.take_profit)
        now, stop_loss, take_profit = ("-" if price is None else str(price) for price in prices)
        table.add_row(
            row.ticket,
            row.symbol,
            row.side,
            str(row.volume),
            str(row.open_price),
            now,
            stop_loss,
            take_profit,
            str(row.profit),
        )
    Console(file=sys.stdout).print(table)


# ------------------------------------------------------------------ stopping


def stop(
    *,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; it is kept with the stop.")
    ] = "stopped by hand",
    close_positions: Annotated[
        bool | None,
        typer.Option(
            "--close-positions/--keep-positions", help="Without it: as safety.stop_closes_positions says."
        ),
    ] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Emergency stop: now, without a question, by every way there is."""
    from app.adapters.system_clock import SystemClock

    settings = settings_or_end(config, quiet=True)
    clock = SystemClock()
    paths = stop_paths(settings)
    report = request_stop(
        paths,
        reason=reason,
        by="command line",
        at=clock.now(),
        close_positions=close_positions,
        terminal=lambda why, closing, timeout: stop_terminal(settings, why, closing, timeout),
    )
    if report.engine_latched and (report.unproved or not report.terminal_stopped):
        report = asyncio.run(_wait_for_proof(paths, report))
    safe = report.engine_latched or report.terminal_stopped or _nothing_runs(settings, report)
    if json_:
        say_json(
            {
                "latched": report.engine_latched,
                "terminal_acknowledged": report.terminal_stopped,
                "stop_file": report.stop_file_written,
                "epoch": report.epoch,
                "proofs": report.proofs,
                "todo": report.todo,
                "unproved": report.unproved,
                "steps": [{"at": step.at, "how": step.how, "ok": step.ok} for step in report.steps],
            }
        )
    else:
        _say_report(report)
    raise typer.Exit(ExitCode.DONE if safe else ExitCode.FAILED)


def stop_paths(settings: Settings) -> StopPaths:
    return StopPaths(settings.runtime_file, settings.api.token_file, settings.stop_file)


def stop_terminal(
    settings: Settings, reason: str, close_positions: bool | None, timeout: float
) -> tuple[bool, str]:
    """A stop frame straight to the terminal; for when the engine does not answer. Never raises what a port can raise."""
    from app import __version__
    from app.adapters.key_file import load_key
    from app.adapters.mt5_stop_channel import ZmqStopChannel
    from app.adapters.system_clock import SystemClock
    from app.protocol.ea_client_session import Identity

    try:
        key = load_key(settings.terminal.key_file)
    except ConfigurationError as fault:
        return False, str(fault)
    channel = ZmqStopChannel(
        key=key,
        command_port=settings.terminal.command_port,
        stop_port=settings.terminal.stop_port,
        identity=Identity(secrets.token_hex(16), settings.brain.executor_id, __version__),
        clock=SystemClock(),
    )
    closing = settings.safety.stop_closes_positions if close_positions is None else close_positions
    try:
        answer = channel.send_stop(
            reason=reason, epoch=0, cancel_orders=True, close_positions=closing, timeout=timeout
        )
    finally:
        channel.close()
    return answer.acknowledged, answer.detail


async def _wait_for_proof(paths: StopPaths, report: StopReport) -> StopReport:
    """Look again until everything is proved or patience ends; the stop itself is long in force."""
    for _ in range(_PROOF_LOOKS):
        await asyncio.sleep(_PROOF_PATIENCE / _PROOF_LOOKS)
        again = await asyncio.to_thread(ask_status, paths, timeout=0.5)
        if again is None:
            return report
        if again.engine_latched:
            report = again
        if again.terminal_stopped and not again.unproved:
            break
    return report


def _nothing_runs(settings: Settings, report: StopReport) -> bool:
    """No engine is alive that could trade, and the next one will not start un-halted."""
    from app.api import runtime_file

    info = runtime_file.read(settings.runtime_file)
    return report.stop_file_written and (info is None or not info.alive)


def _say_report(report: StopReport) -> None:
    if report.engine_latched:
        say("STOPPED. The engine has latched; it stays stopped until `medulla reset` at this machine.")
    elif report.terminal_stopped:
        say("STOPPED at the terminal. The engine did not answer.")
    elif report.stop_file_written:
        say(
            "The stop file is written; no engine answered. An engine that starts, or hears again, is halted by it."
        )
    else:
        say("NOT STOPPED by this command. Act by hand, now:")
    for proof in report.proofs:
        say(f"  {mark('!' if 'NOT' in proof or 'left: ' in proof else '✓')} {proof}")
    for attempt in report.attempts:
        if not attempt.worked:
            say(f"  {mark('✗')} {attempt.way}: {attempt.detail}")
    for item in report.todo:
        say(f"  {mark('!')} {item}")
    if report.unproved and not report.todo:
        say(
            f"  {mark('!')} not proved yet: {', '.join(report.unproved)}; `medulla stop` again shows how it stands"
        )
    if report.steps:
        say("What it did, in UTC:")
    for step in report.steps:
        # The time of day is enough here; the journal has the date.
        say(f"    {step.at[11:23]} {mark('✓' if step.ok else '!')} {step.how}")


# ------------------------------------------------------------------ the way back


def pause(
    *, reason: Annotated[str, typer.Option(help="Why.")] = "paused by hand", config: ConfigOption = None
) -> None:
    """Refuse entries; exits go on."""
    settings = settings_or_end(config)
    ask_engine(settings, lambda client: client.pause(reason=reason, by="command line"))
    say("Paused: entries are refused, exits pass. `medulla resume` ends it.")


def resume(*, config: ConfigOption = None) -> None:
    """Trade again after a pause or a reset."""
    settings = settings_or_end(config)
    ask_engine(settings, lambda client: client.resume(by="command line"))
    say("Trading is active.")


def reset(
    *,
    word: Annotated[
        str | None, typer.Option(help="The word that a first call has shown; for scripts.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="What was looked at before trading may go on.")] = None,
    challenge: Annotated[
        bool, typer.Option("--challenge", help="Only show what is open and the word; for scripts.")
    ] = False,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Release an emergency stop, in two deliberate steps; trading stays paused until `medulla resume`."""
    settings = settings_or_end(config)
    if word is not None:
        _finish_reset(settings, word, note or "")
        return
    asked = ask_engine(settings, lambda client: client.reset_challenge())
    if json_:
        say(asked.model_dump_json())
    else:
        _say_challenge(settings, asked)
    if challenge or json_:
        return
    if not sys.stdin.isatty():
        end(
            ExitCode.REFUSED,
            f'not reset yet; now: medulla reset --word {asked.word} --note "what you looked at"',
        )
    typed = typer.prompt(f"Type {asked.word} to reset").strip()
    if typed.lower() != asked.word.lower():
        end(ExitCode.REFUSED, "that is not the word; the stop stays")
    _finish_reset(settings, typed, note or typer.prompt("What did you look at?", default=""))


def _say_challenge(settings: Settings, asked: ResetChallengeModel) -> None:
    if asked.unknown:
        say("Outcomes that nobody knows; each must be settled or acknowledged first:")
        for command_id in asked.unknown:
            say(f"  {mark('!')} {command_id}   (medulla ack-unknown {command_id} --note …)")
    else:
        say("No command has an unknown outcome.")
    if settings.stop_file.exists():
        say(f"The stop file {settings.stop_file} will be removed.")
    say(f"The word is {asked.word}; it is good for {asked.expires_in:.0f} s.")


def _finish_reset(settings: Settings, word: str, note: str) -> None:
    # The engine refuses while the stop file is there; its latch holds without it until the word was right.
    try:
        settings.stop_file.unlink(missing_ok=True)
    except OSError as fault:
        end(
            ExitCode.FAILED,
            f"{settings.stop_file}: the stop file cannot be removed ({fault.strerror}); the stop stays",
        )
    ask_engine(settings, lambda client: client.reset(word=word, note=note, by="command line"))
    say(
        "Reset: paused in a new epoch; nothing from before the stop will run. `medulla resume` starts trading."
    )


def ack_unknown(
    command_id: Annotated[str, typer.Argument(metavar="ID", help="The command whose outcome nobody knows.")],
    *,
    note: Annotated[str, typer.Option(help="What you found at the account.")],
    config: ConfigOption = None,
) -> None:
    """Take over a command whose outcome is unknown, after looking at the account."""
    settings = settings_or_end(config)
    ask_engine(settings, lambda client: client.acknowledge_unknown(command_id, note=note, by="command line"))
    say(f"Acknowledged: {command_id} is yours now.")
