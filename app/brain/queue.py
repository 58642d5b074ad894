"""One executor's commands: durable before they are sent, sent again until they are acknowledged, never under a new id.

First in, first out: ranking by priority is the executor's work, which alone can keep commands on one ticket in their order.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from datetime import timedelta

from app.brain.clock import BrainClock
from app.brain.errors import QueueFull, StoreFailed
from app.brain.schema import CommandStatus
from app.brain.signals import Command, status_after
from app.brain.store import BrainStore, CommandRow, ResultRow
from app.domain.results import Outcome
from app.domain.values import Priority
from app.protocol import strict_json

MOST_WAITING = 20_000
_MOST_REMEMBERED = 20_000
"""Finished commands kept in memory to recognise repeated answers; older ones are recognised on disk."""

_S = CommandStatus
_UNACKNOWLEDGED = frozenset({_S.PENDING, _S.SENT})
_UNSETTLED = frozenset({_S.PENDING, _S.SENT, _S.ACKNOWLEDGED, _S.UNANSWERED})


class CommandQueue:
    """The queue of the platform's architecture: push, pop, acknowledge, retry. All methods run on the event loop."""

    def __init__(
        self, executor_id: str, store: BrainStore, clock: BrainClock, *, ack_timeout: float, grace: timedelta
    ) -> None:
        self.executor_id = executor_id
        self._store = store
        self._clock = clock
        self._ack_timeout = ack_timeout
        self._grace = grace
        self._waiting = 0
        self._ready: deque[Command] = deque()
        self._commands: OrderedDict[str, Command] = OrderedDict()
        self._unacknowledged: dict[str, Command] = {}
        self._finished: deque[str] = deque()
        self.wake: Callable[[], None] = lambda: None
        """Called when there is something to pop."""

    async def restore(self) -> None:
        """Take up what an earlier run left unfinished. Whether a frame had left it then is not known."""
        for row in await self._store.unfinished(self.executor_id):
            command = _restored(row)
            self._commands[command.id] = command
            if command.status in _UNACKNOWLEDGED:
                self._unacknowledged[command.id] = command
                self._waiting += 1
                self._line_up(command)

    # -------------------------------------------------------------- the seed's four

    def push(self, command: Command, done: Callable[[Command, StoreFailed | None], None]) -> None:
        """Store a command, then let it be popped. Raises QueueFull; `done` is called once it is on disk (or is not)."""
        if self._waiting >= MOST_WAITING:
            raise QueueFull(
                f"{MOST_WAITING} commands wait for executor {self.executor_id}: this one was neither stored nor sent"
            )
        self._waiting += 1
        self._commands[command.id] = command

        def stored(fault: StoreFailed | None) -> None:
            if fault is not None:
                self._waiting -= 1
                command.status = _S.FAILED
                command.code = "NOT_STORED"
                del self._commands[command.id]
            else:
                self._unacknowledged[command.id] = command
                self._line_up(command)
                self.wake()
            done(command, fault)

        row = CommandRow(
            id=command.id,
            strategy_id=command.strategy_id,
            executor_id=command.executor_id,
            type=command.action_name,
            payload=command.frame,
            priority=command.priority.name.lower(),
            created_at=command.created_at,
        )
        self._store.push(row, stored)

    def pop(self) -> Command | None:
        """The next command to send, or None. What has been acknowledged or has run out meanwhile is passed over."""
        while self._ready:
            command = self._ready.popleft()
            command.in_line = False
            if command.status in _UNACKNOWLEDGED and self._clock.utc() < command.give_up_at(self._grace):
                return command
        return None

    def sending(self, command: Command, now: float) -> None:
        """Note that the frame goes out next. `now`: monotonic seconds."""
        if command.maybe_sent:
            command.retries += 1
        command.maybe_sent = True
        command.last_sent = now
        command.status = _S.SENT
        self._store.mark_sent(command.id, self._clock.utc(), command.retries)

    def acknowledge(self, command: Command, at_ns: int) -> None:
        """The executor has it durably: it is not sent again."""
        if command.status in _UNACKNOWLEDGED or command.status is _S.UNANSWERED:
            command.status = _S.ACKNOWLEDGED
            command.acked_ns = command.acked_ns or at_ns
            self._no_more_sending(command)
            self._store.mark_acknowledged(command.id, self._clock.utc())

    def retry(self, command: Command) -> None:
        """Put it in line again: the same id and the same frame."""
        if command.status in _UNACKNOWLEDGED and not command.in_line:
            self._line_up(command)
            self.wake()

    # -------------------------------------------------------------- answers

    def find(self, command_id: str) -> Command | None:
        return self._commands.get(command_id)

    def refuse(self, command: Command, code: str, message: str, at_ns: int) -> bool:
        """The executor turned it away and journalled that; no result follows. False: it was settled already."""
        if command.status not in _UNSETTLED or command.status is _S.ACKNOWLEDGED:
            return False
        command.code = code
        command.acked_ns = command.acked_ns or at_ns
        command.answered_ns = command.answered_ns or at_ns
        self._end(command, _S.REFUSED, {"code": code, "message": message}, at_ns)
        return True

    def settle(
        self,
        command: Command,
        outcome: Outcome,
        code: str | None,
        text: str,
        at_ns: int,
        done: Callable[[StoreFailed | None], None],
    ) -> None:
        """Take a result that has not been seen before; `done` is called when it is on disk."""
        command.answered_ns = command.answered_ns or at_ns
        if not command.outcomes or command.outcomes[-1] is Outcome.UNKNOWN:
            command.code = code
        command.outcomes.append(outcome)
        status = status_after(outcome)
        unsettled = command.status in _UNSETTLED
        if unsettled or (command.status is _S.UNKNOWN and status.final):
            command.status = status
            if unsettled:
                self._no_more_sending(command)
            if status.final:
                command.settled_ns = at_ns
                self._remember(command)

        self.store_result(command, outcome, text, done)

    def store_result(
        self, command: Command, outcome: Outcome, text: str, done: Callable[[StoreFailed | None], None]
    ) -> None:
        """Bring a result to disk unless that is under way; `done` as in settle."""
        if outcome in command.storing:
            return
        command.storing.add(outcome)

        def stored(fault: StoreFailed | None) -> None:
            command.storing.discard(outcome)
            if fault is None:
                command.stored.add(outcome)
            done(fault)

        row = ResultRow(
            command.id, outcome.value, status_after(outcome), self.executor_id, text, self._clock.utc()
        )
        self._store.record_result(row, stored)

    # -------------------------------------------------------------- time and reconnection

    def after_reconnection(self) -> None:
        """Everything unacknowledged is due again, oldest first."""
        self._ready.clear()
        for command in self._unacknowledged.values():
            self._line_up(command)
        if self._ready:
            self.wake()

    def check_time(self, now: float, *, connected: bool) -> list[Command]:
        """Put unacknowledged commands in line again; end those that have run out, and return them. `now`: monotonic."""
        at = self._clock.utc()
        ended = []
        for command in list(self._unacknowledged.values()):
            if at >= command.give_up_at(self._grace):
                status = _S.UNANSWERED if command.maybe_sent else _S.FAILED
                message = (
                    "no acknowledgement until its expiry"
                    if command.maybe_sent
                    else "expired before it was sent"
                )
                command.code = "UNANSWERED" if command.maybe_sent else "EXPIRED"
                self._end(command, status, {"code": command.code, "message": message}, 0)
                ended.append(command)
            elif connected and command.maybe_sent and now - command.last_sent >= self._ack_timeout:
                self.retry(command)
        return ended

    def in_doubt(self) -> bool:
        """Whether asking the executor for its STATE could settle anything."""
        return any(not command.status.final for command in self._commands.values())

    def unfinished(self) -> Iterator[Command]:
        return (command for command in self._commands.values() if not command.status.final)

    @property
    def depth(self) -> int:
        """Commands that the executor has not acknowledged."""
        return self._waiting

    def _line_up(self, command: Command) -> None:
        command.in_line = True
        self._ready.append(command)

    def _end(self, command: Command, status: CommandStatus, why: dict[str, str], at_ns: int) -> None:
        command.status = status
        self._no_more_sending(command)
        if status.final:
            command.settled_ns = at_ns
        self._remember(command)
        self._store.mark_settled(command.id, status, strict_json.dumps(dict(why)))

    def _no_more_sending(self, command: Command) -> None:
        if self._unacknowledged.pop(command.id, None) is not None:
            self._waiting -= 1

    def _remember(self, command: Command) -> None:
        self._finished.append(command.id)
        while len(self._finished) > _MOST_REMEMBERED:
            self._commands.pop(self._finished.popleft(), None)


def _restored(row: CommandRow) -> Command:
    envelope = strict_json.loads(row.payload)
    message = strict_json.loads(str(envelope["payload"]))
    command = Command(
        id=row.id,
        executor_id=row.executor_id,
        strategy_id=row.strategy_id,
        action_name=row.type,
        priority=Priority[row.priority.upper()],
        frame=row.payload,
        created_at=row.created_at,
        expires_at=row.created_at + timedelta(milliseconds=int(message["expiry"])),
        status=row.status,
        retries=row.retry_count,
        maybe_sent=True,
    )
    if row.status is _S.UNKNOWN:
        command.outcomes.append(Outcome.UNKNOWN)
        command.stored.add(Outcome.UNKNOWN)
    return command
