"""`medulla desktop` (and `medulla` alone): the window. Hands it what it may not know itself: the engine's process, the clock, the
terminal's own stop and the log.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.console import ConfigOption, ExitCode, SetOption, end, say, settings_or_end
from app.settings import Settings

_SCALES = (1.0, 1.5)


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(desktop)


def desktop(
    *,
    config: ConfigOption = None,
    set_: SetOption = None,
    screenshots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Render the window's states to PNG files in DIR, and end."),
    ] = None,
    guest: Annotated[
        bool,
        typer.Option(
            hidden=True,
            help="Whoever started the window ends it by closing its stdin, and owns the engine: leaving asks nothing.",
        ),
    ] = False,
) -> None:
    """Open the window; it finds the engine or offers to start it."""
    if screenshots is not None:
        raise typer.Exit(render_screenshots(screenshots))
    settings = settings_or_end(config, set_)
    options = [] if config is None else ["--config", str(config.absolute())]
    raise typer.Exit(open_window(settings, options, set_ or [], guest=guest))


def open_window(settings: Settings, options: list[str], overrides: list[str], *, guest: bool = False) -> int:
    """Until the person leaves. Ends with a sentence where there is no Qt or no screen."""
    from app.adapters.log_files import set_up_logging
    from app.adapters.system_clock import SystemClock
    from app.api.client import EngineNotRunning, Target, find_engine
    from app.cli.control import stop_terminal
    from app.domain.errors import SecretMissing

    _need_qt()
    from app.cli.wizard_doors import wizard_doors
    from app.gui.launch import DesktopOptions, run_desktop

    if sys.platform.startswith("linux") and not _has_screen():
        end(
            ExitCode.FAILED,
            "there is no screen for the window; the engine runs without one: medulla run --headless",
        )
    log = set_up_logging(settings, process="desktop")

    def find() -> Target:
        try:
            return find_engine(settings.runtime_file, settings.api.token_file)
        except SecretMissing as fault:
            raise EngineNotRunning(str(fault)) from None

    def log_fault(where: str, fault: BaseException | None) -> None:
        if fault is None:
            log("window_fault", where=where)
        else:
            log("window_fault", where=where, fault=fault)

    set_options = [text for pair in overrides for text in ("--set", pair)]
    return run_desktop(
        DesktopOptions(
            settings=settings,
            program=program(),
            program_options=tuple(options),
            find=find,
            start_engine=lambda: EngineProcess(settings, [*options, *set_options]),
            end_engine=lambda: end_engine(settings),
            terminal_stop=lambda reason, closing, timeout: stop_terminal(settings, reason, closing, timeout),
            now=SystemClock().now,
            log_fault=log_fault,
            doors=None if guest else wizard_doors(),
            host=_host if guest else None,
        )
    )


def _host(leave: Callable[[], None]) -> None:
    """Tell whoever started this window that it is open, and leave when they are gone."""
    from app.cli.processes import watch_parent

    sys.stdout.write('{"event":"open"}\n')
    sys.stdout.flush()
    watch_parent(leave)


def program() -> tuple[str, ...]:
    """How this very program is started again."""
    return (sys.executable,) if getattr(sys, "frozen", False) else (sys.executable, "-m", "app")


class EngineProcess:
    """An engine started from the window: a process of its own that lives on when the window ends."""

    def __init__(self, settings: Settings, options: list[str]) -> None:
        """Raises OSError."""
        settings.log.folder.mkdir(parents=True, exist_ok=True)
        self._said = settings.log.folder / "engine-start.txt"
        detached: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
            detached = {"creationflags": flags}
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [*program(), "run", "--headless", *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                close_fds=True,
                **detached,
            )

    def ended(self) -> str | None:
        """Its last words, if it has ended."""
        if self.process.poll() is None:
            return None
        lines = self._said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].removeprefix("medulla: ") if lines else "it said nothing; see the log folder"


def end_engine(settings: Settings) -> None:
    """Ask the running engine to end. Raises OSError."""
    from app.api import runtime_file

    info = runtime_file.read(settings.runtime_file)
    if info is None or not info.alive:
        return
    # On Windows this ends it at once; the journal is written before every effect, so nothing is lost by that.
    os.kill(info.pid, signal.SIGTERM)


def render_screenshots(folder: Path) -> int:
    """All states, light and dark, at 100 % and 150 %."""
    _need_qt()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from app.gui.launch import application
    from app.gui.screenshots import render

    app = application()
    number = sum(len(render(folder, app, scale=scale)) for scale in _SCALES)
    say(f"{number} pictures written to {folder}")
    return ExitCode.DONE


def window_is_possible() -> bool:
    """Qt is installed, and there is a screen."""
    return not _missing() and (not sys.platform.startswith("linux") or _has_screen())


def _missing() -> list[str]:
    import importlib.util

    return [name for name in ("PySide6", "qasync", "pyqtgraph") if importlib.util.find_spec(name) is None]


def _need_qt() -> None:
    missing = _missing()
    if missing:
        end(
            ExitCode.FAILED,
            f"the window needs {', '.join(missing)}, which is not installed (pip install 'medulla[desktop]'); "
            "the engine runs without it: medulla run --headless",
        )


def _has_screen() -> bool:
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
