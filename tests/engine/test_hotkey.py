"""The stop key: a press stops without the loop; a combination that is taken is asked for again; elsewhere it is said."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.key_combination import KeyCombination
from app.domain.trading_state import Actor, TradingState
from app.engine import hotkey
from app.engine.hotkey import HotkeyThread, HotkeyUnavailable
from tests.engine.bench import running

PATIENCE = 20.0


class FakeKeyboard:
    """A Keyboard whose presses are the test's; `refusals` are used up first."""

    def __init__(self, *refusals: HotkeyUnavailable) -> None:
        self.refusals = list(refusals)
        self.registered = threading.Event()
        self.asked: list[KeyCombination] = []
        self._closed = threading.Event()
        self._presses = threading.Semaphore(0)

    def listen(
        self, combination: KeyCombination, *, ready: Callable[[], None], pressed: Callable[[], None]
    ) -> None:
        self.asked.append(combination)
        if self.refusals:
            raise self.refusals.pop(0)
        ready()
        self.registered.set()
        while True:
            assert self._presses.acquire(timeout=PATIENCE)
            if self._closed.is_set():
                return
            pressed()

    def press(self) -> None:
        self._presses.release()

    def close(self) -> None:
        self._closed.set()
        self._presses.release()


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(2000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come about")


async def test_a_press_stops_while_the_loop_stands_still(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        keyboard = FakeKeyboard()
        key = HotkeyThread(
            keyboard,
            "Ctrl+Alt+Shift+S",
            lambda keys: bench.stop.engage(reason=f"the stop key {keys}", by=Actor.OPERATOR) and None,
            system="Windows",
        )
        key.start()
        # From here on nothing is awaited: the engine's loop does not turn until the stop is proved.
        until(keyboard.registered.is_set)
        keyboard.press()
        until(lambda: bench.core.latch.state is TradingState.HALTED)
        until(lambda: bool(bench.channel.sent))
        status = bench.core.latch.status
        assert (status.reason, status.by) == ("the stop key Ctrl+Alt+Shift+S", Actor.OPERATOR)
        assert bench.channel.sent[0]["reason"] == status.reason
        key.close()


def test_a_taken_combination_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hotkey, "TRY_AGAIN", 0.01)
    taken = HotkeyUnavailable("another program holds it", taken=True)
    keyboard = FakeKeyboard(taken, taken)
    key = HotkeyThread(keyboard, "ctrl+shift+f5", lambda _keys: None, system="Windows")
    assert key.view.state == "waiting"
    key.start()
    until(keyboard.registered.is_set)
    assert [str(asked) for asked in keyboard.asked] == ["Ctrl+Shift+F5"] * 3
    assert (key.view.state, key.view.combination) == ("registered", "Ctrl+Shift+F5")
    key.close()
    assert key.view.state == "failed"


@pytest.mark.parametrize(("taken", "state"), [(True, "taken"), (False, "failed")])
def test_why_it_does_not_work_is_shown(taken: bool, state: str) -> None:
    keyboard = FakeKeyboard(HotkeyUnavailable("the reason", taken=taken))
    key = HotkeyThread(keyboard, "Ctrl+Alt+Shift+S", lambda _keys: None, system="Windows")
    key.start()
    until(lambda: key.view.state == state)
    assert key.view.detail == "the reason"
    key.close()


def test_off_and_other_systems_start_nothing() -> None:
    before = threading.active_count()
    off = HotkeyThread(FakeKeyboard(), "off", lambda _keys: None, system="Windows")
    elsewhere = HotkeyThread(None, "Ctrl+Alt+Shift+S", lambda _keys: None, system="Linux")
    for key in (off, elsewhere):
        key.start()
    assert threading.active_count() == before
    assert (off.view.state, elsewhere.view.state) == ("off", "unsupported")
    assert "Linux" in elsewhere.view.detail
    for key in (off, elsewhere):
        key.close()
