"""The stop key: one combination that stops everything, whatever window has the keyboard. A thread beside the stop thread.

It presses the same stop as every other way in, without the asyncio loop, so it works while that hangs. The keyboard itself stands
behind a small port; on a system without one there is no such key, and that is said.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from app.domain.key_combination import KeyCombination
from app.engine.snapshots import HotkeyView

TRY_AGAIN = 30.0
"""Seconds until a combination that another program holds is asked for again."""
OFF = "off"


class HotkeyUnavailable(Exception):
    """The combination cannot be had. `taken`: another program has it, and may let it go."""

    def __init__(self, message: str, *, taken: bool) -> None:
        super().__init__(message)
        self.taken = taken


class Keyboard(Protocol):
    """The system's global keys; used by one thread, but for `close`."""

    def listen(
        self,
        combination: KeyCombination,
        *,
        ready: Callable[[], None],
        pressed: Callable[[], None],
    ) -> None:
        """Take the combination, call `ready`, then `pressed` for each press, until `close`. Raises HotkeyUnavailable."""

    def close(self) -> None:
        """From any thread: `listen` returns, now or as soon as it is called."""


class HotkeyThread:
    """`press` is called in this thread and must return at once. `keyboard` None: this system has no global keys."""

    def __init__(
        self, keyboard: Keyboard | None, combination: str, press: Callable[[str], None], *, system: str
    ) -> None:
        self._keyboard = keyboard
        self._combination = None if combination == OFF else KeyCombination.parse(combination)
        self._press = press
        self._ending = threading.Event()
        self._view = self._first_view(system)
        self._thread: threading.Thread | None = None

    def _first_view(self, system: str) -> HotkeyView:
        if self._combination is None:
            return HotkeyView(OFF, "off", "switched off (stop.hotkey)")
        text = str(self._combination)
        if self._keyboard is None:
            return HotkeyView(
                text, "unsupported", f"there is none on {system}: stop in the window, or with `medulla stop`"
            )
        return HotkeyView(text, "waiting", "not asked for yet")

    @property
    def view(self) -> HotkeyView:
        """As it stands now."""
        view, thread = self._view, self._thread
        if view.state == "registered" and (thread is None or not thread.is_alive()):
            return HotkeyView(view.combination, "failed", "its thread has ended; restart Medulla")
        return view

    def start(self) -> None:
        if self._keyboard is not None and self._combination is not None:
            self._thread = threading.Thread(target=self._run, name="medulla-hotkey", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Give the combination back."""
        self._ending.set()
        if self._keyboard is not None and self._thread is not None:
            self._keyboard.close()
            self._thread.join(timeout=5)

    def _run(self) -> None:
        keyboard, combination = self._keyboard, self._combination
        if keyboard is None or combination is None:
            return
        text = str(combination)

        def ready() -> None:
            self._view = HotkeyView(text, "registered", "stops everything from any window")

        while not self._ending.is_set():
            try:
                keyboard.listen(combination, ready=ready, pressed=lambda: self._press(text))
            except HotkeyUnavailable as fault:
                self._view = HotkeyView(text, "taken" if fault.taken else "failed", str(fault))
            else:
                if not self._ending.is_set():
                    self._view = HotkeyView(text, "failed", "the system took it away")
            self._ending.wait(TRY_AGAIN)
