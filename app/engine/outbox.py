"""Results on their way to the brain: at least once, in the order they happened, until the brain has stored them (PROTOCOL §5.2).

A result is in the journal before it comes here. What was not confirmed is sent again after every reconnection, and after 30 s.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.errors import JournalFailed
from app.domain.events import ResultsAcknowledged
from app.domain.results import CommandResult
from app.domain.values import CommandId
from app.engine.ports import BrainLink, Clock, Journal, OutboxItem, ResultReport

_PAGE = 200
_SEND_AGAIN_AFTER = 30.0


@dataclass(slots=True)
class _Sent:
    command_id: CommandId
    at: float


class Outbox:
    """Feeds the brain link; owns the list of what was sent on this connection and not confirmed."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._link: BrainLink | None = None
        self._sent: OrderedDict[int, _Sent] = OrderedDict()
        self._repeats = 0
        self._confirmed: list[int] = []
        self._live = False
        """True: everything older has been sent on this connection, so new results may go straight out."""

    def attach(self, link: BrainLink) -> None:
        self._link = link

    def disconnected(self) -> None:
        """What was sent and not confirmed counts as not sent."""
        self._live = False
        self._sent.clear()

    async def catch_up(self) -> None:
        """After a (re)connection: send everything unconfirmed, oldest first; then go live."""
        self.disconnected()
        after = 0
        while True:
            items = await self._journal.unacknowledged(after, _PAGE)
            written_soon = set(self._confirmed)
            for item in items:
                after = item.outbox_id
                if after not in written_soon and not self._send(item):
                    return  # the session is gone; the next one begins from the oldest again
            if len(items) < _PAGE:
                break
        # No await between the last page and here: what was journalled since goes out live.
        self._live = True

    def post(self, outbox_id: int, at: datetime, result: CommandResult) -> None:
        """A result that is durable now. `at` is when it happened, as in the journal: a repetition is the same message."""
        if self._live:
            self._send(OutboxItem(outbox_id, at, result))

    def nobody_waits(self, outbox_id: int) -> None:
        """The result of an operator's own command: the brain hears of it by TRADE_EVENT and POSITIONS_UPDATE."""
        self._confirmed.append(outbox_id)

    def repeat(self, result: CommandResult) -> None:
        """The brain asked again for a command that is finished: its result follows again, for information.

        It is acknowledged like any other, and that word must not count for a later result of the same command.
        """
        if self._link is not None and self._link.send(ResultReport(0, self._clock.now(), result)):
            self._repeats += 1
            self._sent[-self._repeats] = _Sent(result.command_id, self._clock.monotonic())

    def _send(self, item: OutboxItem) -> bool:
        if self._link is None or not self._link.send(ResultReport(item.outbox_id, item.at, item.result)):
            self._live = False
            return False
        self._sent[item.outbox_id] = _Sent(item.result.command_id, self._clock.monotonic())
        return True

    def stored(self, command_ids: Sequence[CommandId]) -> None:
        """RESULT_ACK. Each id confirms the oldest result of that command that was sent on this connection: an acknowledgement of
        UNKNOWN must not swallow the final result that crossed it on the way.
        """
        for command_id in command_ids:
            for outbox_id, sent in self._sent.items():
                if sent.command_id == command_id:
                    self._confirm(outbox_id)
                    break

    def delivered(self, outbox_ids: Sequence[int]) -> None:
        """Plain mode: these frames were followed by a pong."""
        for outbox_id in outbox_ids:
            self._confirm(outbox_id)

    def _confirm(self, outbox_id: int) -> None:
        if self._sent.pop(outbox_id, None) is not None and outbox_id > 0:
            self._confirmed.append(outbox_id)

    async def housekeeping(self) -> None:
        """Write confirmations in bundles (losing one only means sending a result again); send again what got no word for 30 s."""
        if self._confirmed:
            confirmed, self._confirmed = tuple(self._confirmed), []
            await self._journal.append(ResultsAcknowledged(self._clock.now(), confirmed))
        oldest = next(iter(self._sent.values()), None)
        if oldest is not None and self._clock.monotonic() - oldest.at > _SEND_AGAIN_AFTER:
            await self.catch_up()

    async def flush(self) -> None:
        """At the end: confirmations that are not written yet."""
        try:
            await asyncio.wait_for(self.housekeeping(), 2)
        except (JournalFailed, TimeoutError):
            return
