"""What waits for the brain: acks and results in order and first, market data only as the latest of each kind.

Written at once while the socket takes it, without a task in between. Nothing here knows connections.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime

from app.engine.ports import (
    AccountReport,
    AlertReport,
    BrainMessage,
    CommandAck,
    CommandBrief,
    ErrorReport,
    MarketReport,
    PositionsReport,
    ResultReport,
    StateReport,
    TradeEventReport,
    TradingStateReport,
)
from app.protocol import brain_outbound as wire

MOST_WAITING = 4096
"""Messages that may wait in order; a brain that is further behind does not read."""
Conflated = MarketReport | AccountReport | PositionsReport


def encode(message: BrainMessage, at: datetime, executor_id: str) -> str:
    """The frame's text. `at` dates the message; a result keeps the time it happened."""
    match message:
        case ResultReport():
            return wire.execution_result(message.at, executor_id, message.result)
        case CommandAck():
            return wire.command_ack(
                at,
                executor_id,
                message.command_id,
                message.status,
                code=message.code,
                message=message.message,
            )
        case MarketReport():
            return wire.market_update(at, message.quote, message.spread_points)
        case AccountReport():
            return wire.account_update(at, executor_id, message.account, message.daily_profit)
        case PositionsReport():
            return wire.positions_update(at, executor_id, message.positions)
        case TradeEventReport():
            return wire.trade_event(at, executor_id, message.event)
        case TradingStateReport():
            return wire.trading_state(at, executor_id, message.status)
        case AlertReport():
            return wire.alert(at, executor_id, message.severity, message.code, message.message)
        case ErrorReport():
            return wire.error(at, message.code, message.message, message.ref)
        case StateReport():
            return wire.state(
                at,
                executor_id,
                request_id=message.request_id,
                status=message.status,
                unresolved=map(_brief, message.unresolved),
                recent=map(_brief, message.recent),
                positions=message.positions,
                orders=message.orders,
                account=message.account,
            )


def conflation_key(message: BrainMessage) -> str | None:
    """Messages of one key replace each other while they wait; None: every one counts."""
    match message:
        case MarketReport():
            return f"market {message.quote.symbol}"
        case AccountReport():
            return f"account {message.account.login}"
        case PositionsReport():
            return "positions"
    return None


class Outgoing:
    """The queue in front of one connection."""

    def __init__(
        self,
        write: Callable[[str], bool],
        blocked: Callable[[], bool],
        *,
        executor_id: str,
        now: Callable[[], datetime],
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """`write` puts one text on the socket, False: it is closed; `blocked`: the socket takes no more for now."""
        self._write = write
        self._blocked = blocked
        self._executor_id = executor_id
        self._now = now
        self._most_waiting = most_waiting
        self._ordered: deque[tuple[str, int | None]] = deque()
        self._latest: dict[str, BrainMessage] = {}
        self._written: list[int] = []

    def __len__(self) -> int:
        return len(self._ordered) + len(self._latest)

    def put(self, message: BrainMessage) -> bool:
        """False: too much waits already. Conflated kinds are encoded only when their turn comes."""
        key = conflation_key(message)
        if key is None:
            outbox_id = message.outbox_id if isinstance(message, ResultReport) else None
            return self.put_text(encode(message, self._now(), self._executor_id), outbox_id)
        self._latest[key] = message
        self.flush()
        return True

    def put_text(self, text: str, outbox_id: int | None = None) -> bool:
        """Queue a frame that must keep its place. False: too much waits already."""
        if len(self._ordered) >= self._most_waiting:
            return False
        self._ordered.append((text, outbox_id))
        self.flush()
        return True

    def flush(self) -> None:
        """Write what the socket takes; call again when it takes more."""
        while self._ordered and not self._blocked():
            text, outbox_id = self._ordered[0]
            if not self._write(text):
                return
            self._ordered.popleft()
            if outbox_id is not None:
                self._written.append(outbox_id)
        while self._latest and not self._blocked():
            key = next(iter(self._latest))
            if not self._write(encode(self._latest[key], self._now(), self._executor_id)):
                return
            del self._latest[key]

    def take_written(self) -> tuple[int, ...]:
        """Outbox ids of the results that were written since the last call, in order."""
        written = tuple(self._written)
        self._written.clear()
        return written


def _brief(brief: CommandBrief) -> wire.Brief:
    return brief.command_id, brief.state, brief.result
