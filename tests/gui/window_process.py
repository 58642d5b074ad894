"""The window in a process of its own, off the screen, as `medulla desktop` opens it: for tests that block it, kill it or load it.

It obeys lines of JSON on stdin and measures itself; nothing of this is in the program.
Run: python -m tests.gui.window_process --config FILE
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import os
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Glib's dispatcher says that it blocks and then works; Qt's own says it when it does.
os.environ["QT_NO_GLIB"] = "1"

import asyncio

from PySide6.QtCore import QAbstractEventDispatcher, QObject, QTimer, Signal
from qasync import QEventLoop

from app.adapters.system_clock import SystemClock
from app.api.client import EngineNotRunning, Target, find_engine
from app.cli.control import stop_terminal
from app.domain.errors import SecretMissing
from app.gui.launch import Desktop, DesktopOptions, application, spare_collections
from app.gui.session import EngineLink, StartedEngine
from app.settings import load_settings

_MOST = 200_000
_LONG = 0.0005
"""Seconds; shorter turns are not counted."""


def say(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def memory_mb() -> tuple[float, float]:
    """Resident, and the part of it that is not a file's (heap): MB."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
    size = os.sysconf("SC_PAGE_SIZE") / 2**20
    return int(pages[1]) * size, (int(pages[1]) - int(pages[2])) * size


class Watch(QObject):
    """How long the loop was kept from listening, turn by turn, and how long a picture took from its first pane to its last.

    A turn is what lies between two waits of Qt's dispatcher: while it lasts, no click is taken. A picture's time is told twice:
    as it passed, and as CPU of the window's own thread, on which other work of the machine does not count.
    """

    def __init__(self, desktop: Desktop) -> None:
        super().__init__()
        self._window = desktop.window
        self._woke = time.perf_counter()
        self._woke_cpu = time.thread_time()
        self._frame: tuple[float, float] | None = None
        self.clear()
        dispatcher = QAbstractEventDispatcher.instance()
        assert dispatcher is not None
        dispatcher.awake.connect(self._awake)
        dispatcher.aboutToBlock.connect(self._about_to_block)

    def clear(self) -> None:
        self.turns: list[float] = []
        self.frames: list[float] = []
        self.frames_cpu: list[float] = []
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def _awake(self) -> None:
        self._woke, self._woke_cpu = time.perf_counter(), time.thread_time()

    def _about_to_block(self) -> None:
        now = time.perf_counter()
        if now - self._woke > _LONG and len(self.turns) < _MOST:
            self.turns.append((now - self._woke) * 1000)
        if self._frame is None and self._window.drawing:
            self._frame = self._woke, self._woke_cpu
        elif self._frame is not None and not self._window.drawing:
            began, began_cpu = self._frame
            self.frames.append((now - began) * 1000)
            self.frames_cpu.append((time.thread_time() - began_cpu) * 1000)
            self._frame = None

    def figures(self) -> dict[str, float]:
        """Since the last `clear`. Milliseconds, MB, and the share of one core.

        `cpu_per_frame` is the process's whole CPU a picture (reading the stream, fades, all threads), `frame_cpu_…` the CPU of
        the window's thread from a picture's first pane to its last: both hold on a busy machine too, the other times do not.
        """
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        resident, heap = memory_mb()
        return {
            "seconds": round(wall, 2),
            "cpu_share": round(cpu / wall, 4) if wall else 0.0,
            "frames_per_s": round(len(self.frames) / wall, 2) if wall else 0.0,
            "cpu_per_frame": round(cpu * 1000 / max(1, len(self.frames)), 2),
            **_percentiles("frame", self.frames),
            **_percentiles("frame_cpu", self.frames_cpu),
            **_percentiles("turn", self.turns),
            "rss_mb": round(resident, 3),
            "heap_mb": round(heap, 3),
            "objects": len(gc.get_objects()),
        }


def _percentiles(name: str, spans: list[float]) -> dict[str, float]:
    return {
        f"{name}_{label}": round(percentile(spans, share), 2)
        for label, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


class Orders(QObject):
    """What the test says on stdin, brought to the window's thread; `unblock` alone counts at once, since that thread may hang."""

    given = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._read, name="orders", daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            order = json.loads(line)
            if order["do"] == "unblock":
                self.released.set()
            else:
                self.given.emit(order)
        self.given.emit({"do": "end"})


class Obedience(QObject):
    """Does what it is told: block, press, measure, end."""

    def __init__(self, desktop: Desktop, watch: Watch, released: threading.Event) -> None:
        super().__init__()
        self._desktop = desktop
        self._watch = watch
        self._released = released
        self._past: tracemalloc.Snapshot | None = None

    def obey(self, order: dict[str, Any]) -> None:
        match order["do"]:
            case "block":
                say("blocking")
                self._released.clear()
                self._released.wait(order["seconds"])
                say("blocked", seconds=order["seconds"])
            case "press":
                self._desktop.window.press_stop()
            case "show":
                window = self._desktop.window
                for name in order["panes"]:
                    window.panes_docked.bring(name)
                window.resize(*order.get("size", (1440, 900)))
                say("shown_panes")
            case "clear":
                self._watch.clear()
                say("cleared")
            case "figures":
                say("figures", **self._watch.figures())
                self._watch.clear()
            case "trace":
                self._trace()
            case "end":
                self._desktop.left.set()

    def _trace(self) -> None:
        """What Python itself has come to hold since the last asking."""
        if not tracemalloc.is_tracing():
            tracemalloc.start(8)
        gc.collect()
        now = tracemalloc.take_snapshot()
        grown = [] if self._past is None else now.compare_to(self._past, "lineno")[:20]
        self._past = now
        say("trace", grown=[str(line) for line in grown], held=tracemalloc.get_traced_memory()[0])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--size", default="1440x900")
    parser.add_argument("--profile", type=Path)
    given = parser.parse_args()
    settings = load_settings(given.config, {}, os.environ)
    app = application()
    app.setQuitOnLastWindowClosed(False)

    def find() -> Target:
        try:
            return find_engine(settings.runtime_file, settings.api.token_file)
        except SecretMissing as fault:
            raise EngineNotRunning(str(fault)) from None

    def start_engine() -> StartedEngine:
        raise OSError("the test starts engines")

    options = DesktopOptions(
        settings=settings,
        program=(sys.executable, "-m", "app"),
        program_options=("--config", str(given.config)),
        find=find,
        start_engine=start_engine,
        end_engine=lambda: None,
        terminal_stop=lambda reason, closing, timeout: stop_terminal(settings, reason, closing, timeout),
        now=SystemClock().now,
        log_fault=lambda where, fault: say("fault", where=where, fault=repr(fault)),
    )
    profile = cProfile.Profile() if given.profile else None
    loop = QEventLoop(app)
    with loop:
        if profile is not None:
            profile.enable()
        loop.run_until_complete(_live(options, app, loop, tuple(int(part) for part in given.size.split("x"))))
    if profile is not None:
        profile.disable()
        profile.dump_stats(given.profile)
    return 0


async def _live(options: DesktopOptions, app: Any, loop: asyncio.AbstractEventLoop, size: Any) -> None:
    desktop = Desktop(options, app, loop)
    watch = Watch(desktop)
    orders = Orders()
    obedience = Obedience(desktop, watch, orders.released)
    orders.given.connect(obedience.obey)
    desktop.session.link.connect(_tell_link)
    desktop.stop.reported.connect(lambda report: say("stop", latched=report.engine_latched))
    seen: list[tuple[str, bool]] = []

    def picture(now: Any) -> None:
        if (now.status.state, now.ready) not in seen[-1:]:
            seen.append((now.status.state, now.ready))
            say("state", state=now.status.state, ready=now.ready)

    desktop.session.picture.connect(picture)
    desktop.window.resize(*size)
    desktop.start()
    spare_collections()
    desktop.window.resize(*size)
    QTimer.singleShot(0, desktop.window.panes_docked.share_room)
    orders.start()
    say("open", pid=os.getpid())
    try:
        await desktop.left.wait()
    finally:
        await desktop.close()


def _tell_link(link: EngineLink) -> None:
    say("link", state=link.state.value, words=link.words)


if __name__ == "__main__":
    sys.exit(main())
