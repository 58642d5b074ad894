"""`medulla brain`: the reference web brain on the command line. Options are read here, all else is in app/brain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.brain.run import BrainConfig, run_brain

__all__ = ["brain", "run_brain"]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(brain)


def brain(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than this machine only with TLS.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 chooses a free one.")] = 8765,
    db: Annotated[Path | None, typer.Option(help="Commands, results, sessions (SQLite).")] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="MEDULLA_BRAIN_API_KEY",
            help="The executor's key; made if it has none. Others on this machine can read a command line: prefer the variable.",
        ),
    ] = None,
    new_api_key: Annotated[bool, typer.Option(help="Make a new key; the old ones end.")] = False,
    executor_id: Annotated[str, typer.Option(help="The executor that is served.")] = "exec_001",
    key_file: Annotated[
        Path | None, typer.Option(help="Ed25519 signing key; made (mode 600) if there is none.")
    ] = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help="ma, soak or load, with NAME:option=value,…; repeatable.")
    ] = None,
    commands: Annotated[
        int | None, typer.Option(min=1, help="Send this many commands, report, and go on serving.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Commands a second; without it as fast as --window allows.")
    ] = None,
    window: Annotated[int, typer.Option(min=1, max=10000, help="Most commands without an answer.")] = 64,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds without progress after which a campaign ends.")
    ] = 60.0,
    exit_when_done: Annotated[bool, typer.Option(help="End after the campaign's report.")] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's private key, PEM.")] = None,
    url: Annotated[
        str | None, typer.Option(help="Address for the pairing code, if executors see another one.")
    ] = None,
    json: Annotated[bool, typer.Option(help="Every event as one JSON line on stdout.")] = False,
    exit_with_parent: Annotated[bool, typer.Option(help="End when stdin is closed.")] = False,
) -> None:
    """Serve the reference brain until it is stopped; the first line says where and with which key."""
    config = BrainConfig(
        host=host,
        port=port,
        db=db,
        api_key=api_key,
        new_api_key=new_api_key,
        executor_id=executor_id,
        key_file=key_file,
        strategies=tuple(strategy or ()),
        commands=commands,
        rate=rate,
        window=window,
        timeout=timeout,
        exit_when_done=exit_when_done,
        tls_cert=tls_cert,
        tls_key=tls_key,
        url=url,
        json=json,
    )
    raise typer.Exit(run_brain(config, exit_with_parent=exit_with_parent))


if __name__ == "__main__":
    typer.run(brain)
