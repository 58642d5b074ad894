"""The Windows part of the stop key, over libraries that the test plays: what is registered, how presses arrive, how it ends."""

from __future__ import annotations

import ctypes
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import wintypes
from typing import Any

import pytest

from app.adapters.windows_hotkey import WindowsKeyboard, codes, system_keyboard
from app.domain.key_combination import KeyCombination
from app.engine.hotkey import HotkeyUnavailable

STOP = KeyCombination.parse("Ctrl+Alt+Shift+S")
WM_QUIT, WM_HOTKEY, WM_PAINT = 0x0012, 0x0312, 0x000F


class Windows:
    """As much of user32 and kernel32 as one thread with a hot key needs."""

    def __init__(self, error: int = 0) -> None:
        self.error = error
        self.messages: queue.Queue[int] = queue.Queue()
        self.called: list[tuple[Any, ...]] = []
        self.has_queue = False

    def PeekMessageW(self, *_: object) -> int:
        self.has_queue = True
        return 0

    def GetCurrentThreadId(self) -> int:
        return 77

    def RegisterHotKey(self, *arguments: object) -> int:
        self.called.append(("register", *arguments))
        return 0 if self.error else 1

    def UnregisterHotKey(self, *arguments: object) -> int:
        self.called.append(("unregister", *arguments))
        return 1

    def PostThreadMessageW(self, thread: int, message: int, *_: object) -> int:
        assert (thread, self.has_queue) == (77, True)
        self.messages.put(message)
        return 1

    def GetMessageW(self, message: Any, *_: object) -> int:
        got = self.messages.get(timeout=20)
        ctypes.cast(message, ctypes.POINTER(wintypes.MSG)).contents.message = got
        return 0 if got == WM_QUIT else 1

    def keyboard(self) -> WindowsKeyboard:
        return WindowsKeyboard(self, self, lambda: self.error)


@contextmanager
def listening(windows: Windows, pressed: list[int]) -> Iterator[WindowsKeyboard]:
    keyboard, ready = windows.keyboard(), threading.Event()
    thread = threading.Thread(
        target=lambda: keyboard.listen(STOP, ready=ready.set, pressed=lambda: pressed.append(1))
    )
    thread.start()
    assert ready.wait(20)
    try:
        yield keyboard
    finally:
        keyboard.close()
        thread.join(20)
        assert not thread.is_alive()


def test_presses_arrive_and_nothing_else_is_one() -> None:
    windows, pressed = Windows(), list[int]()
    with listening(windows, pressed):
        for message in (WM_HOTKEY, WM_PAINT, WM_HOTKEY):
            windows.messages.put(message)
    assert pressed == [1, 1]
    assert windows.called == [("register", None, 1, 0x4007, ord("S")), ("unregister", None, 1)]


@pytest.mark.parametrize(("error", "taken"), [(1409, True), (5, False)])
def test_a_combination_that_cannot_be_had_says_why(error: int, taken: bool) -> None:
    with pytest.raises(HotkeyUnavailable) as fault:
        Windows(error).keyboard().listen(STOP, ready=pytest.fail, pressed=pytest.fail)
    assert fault.value.taken is taken
    assert str(STOP) in str(fault.value)
    assert ("another program" in str(fault.value)) is taken


def test_closed_before_it_listens_it_never_registers() -> None:
    windows = Windows()
    keyboard = windows.keyboard()
    keyboard.close()
    keyboard.listen(STOP, ready=pytest.fail, pressed=pytest.fail)
    assert windows.called == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ctrl+Alt+Shift+S", (0x4007, 0x53)),
        ("Ctrl+Win+0", (0x400A, 0x30)),
        ("Ctrl+Shift+F1", (0x4006, 0x70)),
        ("Ctrl+Shift+F24", (0x4006, 0x87)),
        ("Alt+Shift+Pause", (0x4005, 0x13)),
        ("Alt+Shift+ScrollLock", (0x4005, 0x91)),
    ],
)
def test_virtual_key_codes(text: str, expected: tuple[int, int]) -> None:
    assert codes(KeyCombination.parse(text)) == expected


def test_elsewhere_there_is_no_such_keyboard() -> None:
    assert (system_keyboard() is not None) is (sys.platform == "win32")
