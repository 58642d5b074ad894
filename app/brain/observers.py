"""What happens in the brain, for those who look on: strategies, campaigns, the command line.

Every method does nothing here; an observer overrides what it wants. They run on the event loop between two frames, so they
must be quick and must not raise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.brain.executors import Executor
from app.brain.signals import Command
from app.domain.market import Quote
from app.domain.results import CommandResult


class Observer:
    """Looks on. Overriding nothing is allowed."""

    def on_ready(self, executor: Executor) -> None:
        """The executor is connected, has sent its STATE and takes commands."""

    def on_lost(self, executor: Executor) -> None:
        """The connection ended."""

    def on_quote(self, executor: Executor, quote: Quote) -> None:
        """A market update arrived."""

    def on_positions(self, executor: Executor, positions: Sequence[Mapping[str, Any]]) -> None:
        """The whole list of open positions, as the wire has it (POSITIONS_UPDATE)."""

    def on_acknowledged(self, command: Command) -> None:
        """A command is durable at the executor."""

    def on_result(self, command: Command, result: CommandResult) -> None:
        """A result that is new, told once for each outcome."""

    def on_ended(self, command: Command) -> None:
        """A command ended without a result: refused, unanswered, expired before it was sent, or not stored."""

    def on_notice(self, event: str, fields: Mapping[str, Any]) -> None:
        """Something that a person may want to read in a log."""
