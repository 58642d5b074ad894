"""Builds the rows of the pipeline that the API, the command line and the window show. Reads everything, changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.commands import ACTION_NAMES
from app.domain.values import CommandId
from app.engine.desk import CommandInHand, last_result
from app.engine.snapshots import CommandView


class CommandViews:
    """Rows of the pipeline, made anew only when their command has changed: the stream compares them by identity."""

    def __init__(self) -> None:
        self._drawn: dict[CommandId, tuple[int, CommandView]] = {}

    def of(self, items: Sequence[CommandInHand]) -> tuple[CommandView, ...]:
        drawn = {}
        for item in items:
            known = self._drawn.get(item.command_id)
            fresh = known is not None and known[0] == item.version
            drawn[item.command_id] = (
                known if known is not None and fresh else (item.version, command_view(item))
            )
        self._drawn = drawn
        return tuple(view for _, view in drawn.values())


def command_view(item: CommandInHand) -> CommandView:
    command = item.command
    side = getattr(command.action, "side", None) or getattr(command.action, "kind", None)
    symbol = item.symbol or command.symbol
    return CommandView(
        command_id=item.command_id,
        action=ACTION_NAMES[type(command.action)],
        symbol=str(symbol) if symbol is not None else None,
        ticket=str(command.ticket) if command.ticket is not None else None,
        volume=command.volume,
        side=side.value if side is not None else None,
        priority=command.priority.name,
        strategy_id=command.strategy_id,
        state=item.record.state.name,
        received_at=item.record.received_at,
        queue_ms=_ms(item.arrived, item.begun),
        broker_ms=_ms(item.begun, item.answered),
        total_ms=_ms(item.arrived, item.answered),
        result=last_result(item.record),
    )


def _ms(start: float | None, end: float | None) -> float | None:
    return round((end - start) * 1000, 3) if start is not None and end is not None else None
