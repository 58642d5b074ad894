"""`medulla sim`: the simulated terminal on the command line. Options are read here, all else is in app/sim."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from app.sim.config import SimConfig
from app.sim.key_file import default_key_file
from app.sim.run import WRONG_USAGE, run_sim

__all__ = ["run_sim", "sim"]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(sim)


def sim(
    *,
    command_port: Annotated[
        int, typer.Option(help="Port for commands and the stop; 0 chooses a free one.")
    ] = 5555,
    stream_port: Annotated[int, typer.Option(help="Port for ticks and trade events; 0 chooses.")] = 5556,
    key_file: Annotated[
        Path | None, typer.Option(help="Shared key; made (mode 600) if there is none.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Every effect at the broker, one JSON line each; read again at start.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="kind[:name=value,…], see docs/simulated-terminal.md; repeatable."),
    ] = None,
    account: Annotated[str, typer.Option(help="hedging or netting.")] = "hedging",
    balance: Annotated[str, typer.Option(help="USD that a new account begins with.")] = "10000",
    leverage: Annotated[int, typer.Option(min=1, max=5000, help="1:N.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the market's walk and of random faults.")] = 1,
    tick_rate: Annotated[
        float, typer.Option(min=0, max=1000, help="Ticks a second and symbol; 0: none.")
    ] = 4.0,
    symbols: Annotated[str, typer.Option(help="Comma-separated part of the catalogue; empty: all.")] = "",
    latency: Annotated[
        float, typer.Option(min=0, max=60000, help="Milliseconds to the broker and back.")
    ] = 0.0,
    first_ticket: Annotated[
        int, typer.Option(min=1, max=2**63, help="Ticket of a new account's first order.")
    ] = 10001234,
    mode: Annotated[str, typer.Option(help="read_only, demo_only or full.")] = "full",
    exit_with_parent: Annotated[bool, typer.Option(help="End when stdin is closed.")] = False,
    control_port: Annotated[
        int | None, typer.Option(help="Open the tests' control channel; 0 chooses.")
    ] = None,
    wire_log: Annotated[
        Path | None,
        typer.Option(help="Every frame, effect and stop with the machine's monotonic clock, for tests."),
    ] = None,
) -> None:
    """Serve a simulated MetaTrader 5 terminal on this machine until it is stopped."""
    try:
        money = Decimal(balance)
    except InvalidOperation:
        money = Decimal(-1)
    if not money.is_finite() or money < 0:
        typer.echo(f"medulla sim: --balance {balance}: must be an amount that is not negative", err=True)
        raise typer.Exit(WRONG_USAGE)
    config = SimConfig(
        command_port=command_port,
        stream_port=stream_port,
        key_file=key_file or default_key_file(),
        ledger=ledger,
        faults=tuple(fault or ()),
        account=account,
        balance=money,
        leverage=leverage,
        seed=seed,
        tick_rate=tick_rate,
        symbols=tuple(name.strip() for name in symbols.split(",") if name.strip()) or None,
        latency=latency,
        first_ticket=first_ticket,
        mode=mode,
        control_port=control_port,
        wire_log=wire_log,
    )
    raise typer.Exit(run_sim(config, exit_with_parent=exit_with_parent))
