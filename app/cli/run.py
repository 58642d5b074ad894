"""`medulla run`: the engine process. Signals, the loop and the words of a failed start; everything else is in bootstrap."""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import Annotated

import typer

from app.adapters.process_priority import go_before_windows
from app.cli.console import ConfigOption, ExitCode, SetOption, complain, settings_or_end
from app.cli.processes import watch_parent
from app.domain.errors import ConfigurationError, JournalFailed, SecretMissing
from app.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(run)


def run(
    *,
    headless: Annotated[
        bool, typer.Option("--headless", help="JSON log lines on stdout; the window is a process of its own.")
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    exit_with_parent: Annotated[bool, typer.Option(help="End when stdin is closed.")] = False,
) -> None:
    """Run the engine until it is told to end (Ctrl+C or SIGTERM)."""
    raise typer.Exit(run_engine(settings_or_end(config, set_), exit_with_parent=exit_with_parent))


def run_engine(settings: Settings, *, exit_with_parent: bool = False) -> int:
    """Run until a signal. Returns the exit code; a start that fails is one line on stderr and changes nothing."""
    go_before_windows()  # before any thread is made: each inherits it
    try:
        # pyzmq and the stop thread need a selector loop; on Windows the default one is another.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(_serve(settings, exit_with_parent))
    except (ConfigurationError, SecretMissing) as fault:
        complain(f"medulla: {fault}")
        return ExitCode.USAGE
    except JournalFailed as fault:
        complain(f"medulla: {fault}")
        return ExitCode.FAILED
    except KeyboardInterrupt:
        return ExitCode.DONE
    return ExitCode.DONE


async def _serve(settings: Settings, exit_with_parent: bool) -> None:
    from app.adapters.log_files import set_up_logging
    from app.bootstrap import running_engine

    log = set_up_logging(settings, process="engine")
    loop = asyncio.get_running_loop()
    async with running_engine(settings, log) as running:

        def end(*_: object) -> None:
            loop.call_soon_threadsafe(running.engine.request_end)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        if exit_with_parent:
            watch_parent(end)
        log(
            "started",
            api_port=running.api_port,
            stop_port=running.stop_port,
            journal=str(settings.journal.path),
        )
        # What start-up has made never dies: no collection in the middle of a command looks at it again.
        gc.collect()
        gc.freeze()
        await running.engine.wait_closed()
        log("ending")
