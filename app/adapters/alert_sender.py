"""Alerts on their way out of the machine, through Apprise: webhook, e-mail, Telegram and whatever else it speaks.

Each target has a thread and a short queue of its own, so one that hangs holds up neither the engine nor another target. Addresses
are secrets: never shown, and whatever Apprise says of a failure is scrubbed of their parts. What is sent is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import re
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from app.engine.ports import OutgoingAlert
from app.engine.snapshots import TargetView

if TYPE_CHECKING:
    from apprise.plugins.base import NotifyBase

WAITING = 20
"""Messages that may wait for one target; more are dropped and counted."""
ATTEMPTS = 2
PAUSE = 5.0
"""Seconds between the two attempts."""
CLOSING = 3.0
"""Seconds that all targets together get at the end for what still waits."""
_LIBRARIES = ("apprise", "urllib3")
_SHORTEST_PART = 3
_UNKNOWN = "this kind of address is not known, or it is not complete"
_REFUSED = "it was not taken; no reason was given"


@dataclass(slots=True)
class _Order:
    alert: OutgoingAlert
    attempts: int = ATTEMPTS
    done: Future[None] = field(default_factory=Future)


class _LastWords(logging.Handler):
    """Keeps what Apprise says in the thread that sends: it answers yes or no alone, and the reason goes to its log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self._said[threading.get_ident()] = record.getMessage()

    def take(self) -> str:
        return self._said.pop(threading.get_ident(), "")


def scrubbed(text: str, address: str) -> str:
    """`text` without the address or any part of it that could be a name, a token or a password."""
    text = text.replace(address, "***")
    _, _, rest = address.partition("://")
    parts = {part for part in re.split(r"[/:@?&=,%+]+", rest) if len(part) >= _SHORTEST_PART}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "***")
    return " ".join(text.split())[:200]


class _Target:
    """One address with its thread."""

    def __init__(self, number: int, address: str, words: _LastWords, closing: threading.Event) -> None:
        self.name = f"{number} {address.partition('://')[0]}"
        self._address = address
        self._words = words
        self._closing = closing
        self._queue: queue.Queue[_Order | None] = queue.Queue(WAITING)
        self._sent = 0
        self._dropped = 0
        self._fault: str | None = None
        self.thread = threading.Thread(target=self._run, name=f"alerts-{number}", daemon=True)

    @property
    def view(self) -> TargetView:
        fault = self._fault
        if fault is None and not self.thread.is_alive() and not self._closing.is_set():
            fault = "its thread has ended; restart Medulla"
        return TargetView(self.name, self._sent, self._dropped, fault)

    def put(self, order: _Order) -> None:
        try:
            self._queue.put_nowait(order)
        except queue.Full:
            self._dropped += 1
            order.done.set_result(None)

    def end(self) -> None:
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return  # it looks at the event before each message

    def _run(self) -> None:
        plugin = _plugin(self._address)
        self._words.take()
        while True:
            order = self._queue.get()
            if order is None:
                return
            self._deliver(plugin, order)
            order.done.set_result(None)

    def _deliver(self, plugin: NotifyBase | None, order: _Order) -> None:
        if plugin is None:
            self._fault = _UNKNOWN
            return
        for attempt in range(order.attempts):
            if attempt and self._closing.wait(PAUSE):
                return
            self._fault = self._try(plugin, order.alert)
            if self._fault is None:
                self._sent += 1
                return

    def _try(self, plugin: NotifyBase, alert: OutgoingAlert) -> str | None:
        from apprise import NotifyFormat, NotifyType

        kinds = {
            "info": NotifyType.INFO,
            "warning": NotifyType.WARNING,
            "critical": NotifyType.FAILURE,
        }
        try:
            taken = plugin.notify(
                body=alert.body,
                title=alert.title,
                notify_type=kinds.get(alert.severity, NotifyType.FAILURE),
                body_format=NotifyFormat.TEXT,
            )
        except (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError) as fault:
            # A hundred services by as many authors: what one of them trips over must not end the others' alerts.
            return scrubbed(f"{type(fault).__name__}: {fault}", self._address)
        said = self._words.take()
        return None if taken else scrubbed(said, self._address) or _REFUSED


class AppriseSender:
    """An AlertSender. Making it starts the threads; Apprise itself is loaded in them."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._closing = threading.Event()
        words = _quiet_libraries()
        self._targets = [
            _Target(number, address, words, self._closing) for number, address in enumerate(addresses, 1)
        ]
        for target in self._targets:
            target.thread.start()

    def send(self, alert: OutgoingAlert) -> None:
        for target in self._targets:
            target.put(_Order(alert))

    def targets(self) -> tuple[TargetView, ...]:
        return tuple(target.view for target in self._targets)

    async def test(self, alert: OutgoingAlert, timeout: float) -> tuple[TargetView, ...]:
        orders = [_Order(alert, attempts=1) for _ in self._targets]
        before = self.targets()
        for target, order in zip(self._targets, orders, strict=True):
            target.put(order)
        waiting = [asyncio.wrap_future(order.done) for order in orders]
        if waiting:
            await asyncio.wait(waiting, timeout=timeout)
        return tuple(
            target.view
            if done.done()
            else TargetView(old.name, old.sent, old.dropped, "it has not answered in time")
            for target, done, old in zip(self._targets, waiting, before, strict=True)
        )

    def close(self) -> None:
        for target in self._targets:
            target.end()
        until = monotonic() + CLOSING
        for target in self._targets:
            target.thread.join(max(0.0, until - monotonic()))
        self._closing.set()


def _plugin(address: str) -> NotifyBase | None:
    """Apprise's object for an address, without its habit of keeping files of its own; None: it knows no such kind."""
    from apprise import Apprise, AppriseAsset, PersistentStoreMode

    asset = AppriseAsset(
        app_id="Medulla", app_desc="Medulla", app_url="", storage_mode=PersistentStoreMode.MEMORY
    )
    return Apprise.instantiate(address, asset=asset)


def knows(address: str) -> bool:
    """Whether Apprise can do anything with it; nothing is sent."""
    _quiet_libraries()
    return _plugin(address) is not None


def _quiet_libraries() -> _LastWords:
    """What these libraries log can hold an address: it goes no further than to the one that reads and scrubs it."""
    words = _LastWords()
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.propagate = False
        library.setLevel(logging.WARNING)
        library.handlers = [words]
    return words
