"""Global keys of Windows through ctypes: RegisterHotKey and a message loop, in the thread that listens.

Facts: learn.microsoft.com, RegisterHotKey (a hot key belongs to the thread that registers it and arrives as WM_HOTKEY in its
queue; error 1409: another program has it), PostThreadMessageW. Keys do not reach a locked or a disconnected session.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from ctypes import wintypes
from typing import Any

from app.domain.key_combination import KeyCombination
from app.engine.hotkey import HotkeyUnavailable

_MODIFIERS = {"Alt": 0x0001, "Ctrl": 0x0002, "Shift": 0x0004, "Win": 0x0008}
_NO_REPEAT = 0x4000
_KEYS = {
    "Pause": 0x13,
    "Space": 0x20,
    "PageUp": 0x21,
    "PageDown": 0x22,
    "End": 0x23,
    "Home": 0x24,
    "Insert": 0x2D,
    "Delete": 0x2E,
    "ScrollLock": 0x91,
}
_F1 = 0x70
_OURS = 1
_WM_QUIT, _WM_HOTKEY = 0x0012, 0x0312
_ALREADY_REGISTERED = 1409


def codes(combination: KeyCombination) -> tuple[int, int]:
    """Modifier bits (without repetition while held down) and the virtual key code."""
    bits = _NO_REPEAT
    for name in combination.modifiers:
        bits |= _MODIFIERS[name]
    key = combination.key
    if key in _KEYS:
        return bits, _KEYS[key]
    return bits, ord(key) if len(key) == 1 else _F1 + int(key[1:]) - 1


class WindowsKeyboard:
    """A Keyboard. `user32` and `kernel32` are the system's libraries, `last_error` its last error code in this thread."""

    def __init__(self, user32: Any, kernel32: Any, last_error: Callable[[], int]) -> None:
        self._user32 = user32
        self._kernel32 = kernel32
        self._last_error = last_error
        self._lock = threading.Lock()
        self._thread_id: int | None = None
        self._closed = False

    def listen(
        self,
        combination: KeyCombination,
        *,
        ready: Callable[[], None],
        pressed: Callable[[], None],
    ) -> None:
        message = wintypes.MSG()
        # The first look makes this thread's queue: without one a WM_QUIT from outside would be lost.
        self._user32.PeekMessageW(ctypes.byref(message), None, 0, 0, 0)
        with self._lock:
            if self._closed:
                return
            self._thread_id = self._kernel32.GetCurrentThreadId()
        bits, key = codes(combination)
        if not self._user32.RegisterHotKey(None, _OURS, bits, key):
            raise self._refused(combination)
        try:
            ready()
            while self._user32.GetMessageW(ctypes.byref(message), None, 0, 0) > 0:
                if message.message == _WM_HOTKEY:
                    pressed()
        finally:
            self._user32.UnregisterHotKey(None, _OURS)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._thread_id is not None:
                self._user32.PostThreadMessageW(self._thread_id, _WM_QUIT, 0, 0)

    def _refused(self, combination: KeyCombination) -> HotkeyUnavailable:
        code = self._last_error()
        if code == _ALREADY_REGISTERED:
            return HotkeyUnavailable(
                f"another program (perhaps another Medulla) holds {combination}: choose other keys in stop.hotkey, or end it",
                taken=True,
            )
        return HotkeyUnavailable(f"Windows refuses {combination} (error {code})", taken=False)


def system_keyboard() -> WindowsKeyboard | None:
    """The keyboard of this machine; None where there are no global keys of this kind."""
    if sys.platform != "win32":
        return None
    return WindowsKeyboard(
        ctypes.WinDLL("user32", use_last_error=True),
        ctypes.WinDLL("kernel32", use_last_error=True),
        ctypes.get_last_error,
    )
