"""The stop thread: owns the way to stop that nothing else can block.

It has the latch, the latch store, a loopback socket of its own, the stop file and a channel of its own to the terminal. It works
while the asyncio loop is blocked, the journal is locked and the brain floods. It never waits for any of them.

Order of effects: memory latch → stop frame to the terminal → latch on disk → the engine is told (queue, journal, orders).
"""

from __future__ import annotations

import hmac
import json
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.engine.broker import StopChannel
from app.engine.latch import Latch
from app.engine.ports import Clock, LatchStore
from app.engine.snapshots import StopReceipt
from app.engine.stop_file import something_at, stop_file_words
from app.engine.stop_socket import StopSocket
from app.engine.stop_story import CANCEL_BY_HAND, DISK, ENGINE, ORDERS, TERMINAL, StopStory

_TICK = 0.02
"""Seconds between looks at the stop file."""
_FRAME_TIMEOUT = 0.25
_MOST_TOLD = 50
"""Steps in one answer of the stop socket; the API has them all."""
_WARM_EVERY = 1.0

BY_HAND = (
    "press the Algo Trading button in the MetaTrader terminal so that it is off",
    "check open orders and positions in the terminal or by your broker's phone",
)
NOT_ON_DISK = "make a file {file} before you end or restart this program: it keeps the stop over a restart"


@dataclass(frozen=True, slots=True)
class StopOrder:
    """One press, from wherever it came."""

    reason: str
    by: Actor
    close_positions: bool
    pressed: float
    """Monotonic seconds."""


class StopThread:
    """Start it first, end it last."""

    def __init__(
        self,
        *,
        latch: Latch,
        store: LatchStore,
        channel: StopChannel,
        clock: Clock,
        stop_file: Path,
        token: str,
        close_positions: bool,
        on_stopped: Callable[[StopOrder], None],
        port: int = 0,
    ) -> None:
        """`on_stopped` is called in this thread after each press; it must hand over and return at once."""
        self._latch = latch
        self._store = store
        self._channel = channel
        self._clock = clock
        self._stop_file = stop_file
        self._token = token
        self._close_positions = close_positions
        self._on_stopped = on_stopped
        self._orders: deque[StopOrder] = deque()
        self._saves: deque[Future[None]] = deque()
        self._ending = threading.Event()
        self._awake, self._waker = socket.socketpair()
        self._awake.setblocking(False)
        self._waker.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._socket = StopSocket(self._selector, clock, self._answer, port)
        self._unproved: StopOrder | None = None
        self._receipt_lock = threading.Lock()
        self.story = StopStory(clock)
        self._last: StopOrder | None = None
        self._undelivered: StopOrder | None = None
        self._file_seen = False
        self._warm_at = 0.0
        self._thread = threading.Thread(target=self._run, name="medulla-stop", daemon=True)

    @property
    def port(self) -> int:
        return self._socket.port

    @property
    def latch(self) -> Latch:
        return self._latch

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread. The latch stays as it is, in memory and on disk."""
        self._ending.set()
        self._wake()
        self._thread.join(timeout=5)

    # ------------------------------------------------------------ from any thread

    def close_by_default(self, closing: bool) -> None:
        """Whether a stop that does not say so closes positions too, from the next press on."""
        self._close_positions = closing

    def engage(self, *, reason: str, by: Actor, close_positions: bool | None = None) -> TradingStatus:
        """Stop. Latched when this returns; everything else follows in the stop thread."""
        reason = _writable(reason)
        status = self._latch.engage(reason=reason, by=by, at=self._clock.now())
        closing = self._close_positions if close_positions is None else close_positions
        self.story.pressed(f"{reason} ({by.value})", {TERMINAL: BY_HAND, ORDERS: CANCEL_BY_HAND})
        self._orders.append(StopOrder(reason, by, closing, self._clock.monotonic()))
        self._wake()
        return status

    def stop_file_exists(self) -> bool:
        return something_at(self._stop_file)

    def remind(self) -> None:
        """A terminal came (back) that does not know of the stop: tell it, until it acknowledges."""
        status = self._latch.status
        if status.state is TradingState.HALTED:
            self.story.reminded()
            with self._receipt_lock:
                # One that is being repeated already may ask for more than a latch.
                if self._unproved is None:
                    self._unproved = StopOrder(status.reason, status.by, False, self._clock.monotonic())
            self._wake()

    def undelivered(self) -> StopOrder | None:
        """A press that came before the engine's loop ran, for the engine to carry out now; once."""
        with self._receipt_lock:
            order, self._undelivered = self._undelivered, None
        if order is not None:
            self.story.drop(ENGINE)
        return order

    def save(self) -> Future[None]:
        """Write the latch as it stands to its store, in this thread; the future tells when it is durable."""
        done: Future[None] = Future()
        self._saves.append(done)
        self._wake()
        return done

    def forget_proofs(self) -> None:
        """A reset closes the story of a stop; not that of one that came since."""
        with self._receipt_lock:
            if self._latch.state is TradingState.HALTED:
                return
            self.story.forget()
            self._last = None
            self._unproved = None

    def receipt(self) -> StopReceipt | None:
        """What is proved of the last stop, as it stands now; None while nothing is latched."""
        return self.story.receipt(self._latch.status)

    # ------------------------------------------------------------ in the thread

    def _wake(self) -> None:
        try:
            self._waker.send(b"!")
        except (BlockingIOError, OSError):
            return  # it is awake already, or gone

    def _run(self) -> None:
        self._selector.register(self._awake, selectors.EVENT_READ)
        try:
            while not self._ending.is_set():
                for key, _ in self._selector.select(_TICK):
                    if key.fileobj is self._awake:
                        self._drain_wakes()
                    else:
                        self._socket.serve(key.fd)
                self._look_for_stop_file()
                self._serve()
                self._keep_channel_warm()
                self._socket.drop_slow_clients()
            self._serve()
        finally:
            self._close_sockets()

    def _serve(self) -> None:
        """Everything asked since the last turn: stops before saves."""
        while self._orders:
            self._carry_out(self._orders.popleft())
        if self._unproved is not None:
            self._send_frame(self._unproved)
        while self._saves:
            done = self._saves.popleft()
            try:
                self._store.save(self._latch.status)
            except OSError as fault:
                done.set_exception(fault)
            else:
                done.set_result(None)

    def _carry_out(self, order: StopOrder) -> None:
        with self._receipt_lock:
            if self._last is None:
                self._last = order
            waiting = self._unproved
            if waiting is not None and waiting.close_positions and not order.close_positions:
                # Asked for before, and not yet heard by the terminal.
                order = replace(order, close_positions=True)
            self._unproved = order
        # The terminal first: it is what could still trade. Nothing of ours can be sent any more, so the queue may wait its turn.
        self._send_frame(order)
        try:
            self._store.save(self._latch.status)
        except OSError as fault:
            self.story.prove(
                DISK,
                f"latch NOT on disk: {fault.strerror or fault}; it holds while this program runs",
                ok=False,
                by_hand=(NOT_ON_DISK.format(file=self._stop_file),),
            )
        else:
            self.story.prove(DISK, "latch on disk")
        self._on_stopped_safely(order)

    def _on_stopped_safely(self, order: StopOrder) -> None:
        try:
            self._on_stopped(order)
        except RuntimeError:
            with self._receipt_lock:
                closing = order.close_positions or (
                    self._undelivered is not None and self._undelivered.close_positions
                )
                self._undelivered = replace(order, close_positions=closing)
            self.story.prove(
                ENGINE, "the engine's loop does not run; the latch holds", ok=False, by_hand=BY_HAND
            )

    def _send_frame(self, order: StopOrder) -> None:
        answer = self._channel.send_stop(
            reason=order.reason,
            epoch=self._latch.status.epoch,
            cancel_orders=True,
            close_positions=order.close_positions,
            timeout=_FRAME_TIMEOUT,
        )
        if answer.acknowledged:
            self.story.prove(TERMINAL, "terminal acknowledged")
            with self._receipt_lock:
                if self._unproved is order:
                    self._unproved = None
        else:
            self.story.prove(
                TERMINAL, f"terminal NOT acknowledged: {answer.detail}", ok=False, by_hand=BY_HAND
            )

    def _keep_channel_warm(self) -> None:
        now = self._clock.monotonic()
        if now >= self._warm_at:
            self._warm_at = now + _WARM_EVERY
            self._channel.keep_warm()

    def _look_for_stop_file(self) -> None:
        exists = self.stop_file_exists()
        if exists and not self._file_seen:
            reason, closing = stop_file_words(self._stop_file)
            self.engage(reason=f"stop file: {reason}", by=Actor.OPERATOR, close_positions=closing)
        self._file_seen = exists

    # ------------------------------------------------------------ its socket

    def _drain_wakes(self) -> None:
        try:
            while self._awake.recv(4096):
                pass
        except (BlockingIOError, OSError):
            return

    def _answer(self, line: bytes) -> dict[str, object] | None:
        """The reply to one request; None: not ours, hang up without a word."""
        try:
            request = json.loads(line)
            token = str(request["token"]).encode()
            command = request["cmd"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if not hmac.compare_digest(token, self._token.encode()):
            return None
        if command == "stop":
            closing = request.get("close_positions")
            reason = str(request.get("reason") or "no reason given")[:200]
            self.engage(
                reason=reason,
                by=Actor.OPERATOR,
                close_positions=closing if isinstance(closing, bool) else None,
            )
            self._serve()
        elif command != "status":
            return {"error": "cmd must be stop or status"}
        return self._describe()

    def _describe(self) -> dict[str, object]:
        status, receipt = self._latch.status, self.receipt()
        return {
            "latched": status.state is TradingState.HALTED,
            "state": status.state.value,
            "epoch": status.epoch,
            "reason": status.reason,
            "by": status.by.value,
            "proofs": list(receipt.proofs) if receipt else [],
            "todo": list(receipt.todo) if receipt else [],
            "unproved": list(self.story.unproved) if receipt else [],
            "steps": [
                {"at": step.at.isoformat(), "what": step.what, "how": step.how, "ok": step.ok}
                for step in (receipt.steps[-_MOST_TOLD:] if receipt else ())
            ],
        }

    def _close_sockets(self) -> None:
        self._socket.close()
        self._selector.close()
        for end in (self._awake, self._waker):
            end.close()
        self._channel.close()


def _writable(reason: str) -> str:
    """Half a surrogate pair (JSON can spell one) could be written neither to the journal nor to the terminal."""
    return reason.encode("utf-8", errors="replace").decode("utf-8")
