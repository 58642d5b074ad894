"""The alerts of this engine: which are open, who has seen them, which leave the machine and which come again.

Decides with domain/alert_rules.py and hands over to the sender, which never blocks. Telling journal, log, brain and window of an
alert is core.py's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta

from app.domain.alert_rules import AlertRules, AlertThrottle, held_words, rank
from app.domain.events import AlertAcknowledged, AlertRaised, Event
from app.domain.watchdog_rules import Episode, Turn
from app.engine.ports import AlertSender, Clock, OutgoingAlert
from app.engine.snapshots import AlertView

_KEPT = 200
_LISTED = 5
_RESTORED = timedelta(hours=24)
"""A critical alert of an earlier run that is older than this is history, not news."""
_LOOK_EVERY = 1.0


class AlertDesk:
    """Runs on the engine's loop."""

    def __init__(
        self,
        clock: Clock,
        rules: AlertRules,
        sender: AlertSender | None,
        executor_id: str,
        on_sender: Callable[[str, str, str, tuple[str, ...]], None],
    ) -> None:
        """`on_sender` raises an alert (severity, code, message, codes that it ends) about the sending itself."""
        self._clock = clock
        self._rules = rules
        self._sender = sender
        self._executor_id = executor_id
        self._on_sender = on_sender
        self._throttle = AlertThrottle(rules)
        self._alerts: deque[AlertView] = deque(maxlen=_KEPT)
        self._prefix = f"{clock.now():%Y%m%dT%H%M%S}"
        self._count = 0
        self._remind_at: float | None = None
        self._look_at = 0.0
        self._failing: dict[str, Episode] = {}
        self._views: tuple[AlertView, ...] = ()

    @property
    def views(self) -> tuple[AlertView, ...]:
        """Newest first; the same object until something changes."""
        return self._views

    @property
    def unacknowledged(self) -> tuple[AlertView, ...]:
        """Critical ones that nobody has seen yet, oldest first."""
        return tuple(
            alert for alert in self._alerts if alert.severity == "critical" and not alert.acknowledged_at
        )

    # ------------------------------------------------------------ what happens to alerts

    def add(self, severity: str, code: str, message: str, ends: Iterable[str] = ()) -> AlertView:
        """A new alert. `ends`: codes whose trouble is over by it."""
        now = self._clock.now()
        self._count += 1
        alert = AlertView(f"{self._prefix}-{self._count}", now, severity, code, message)
        ended = frozenset(ends)
        if ended:
            self._change(
                lambda old: replace(old, over_at=now) if old.code in ended and old.over_at is None else old
            )
        self._alerts.append(alert)
        self._redraw()
        self._send_out(alert)
        return alert

    def acknowledge(self, alert_id: str, by: str) -> tuple[AlertView, ...]:
        """Somebody has seen one of them, or `all`; those that were open until now, empty for none."""
        now = self._clock.now()
        seen = tuple(
            replace(alert, acknowledged_at=now, acknowledged_by=by)
            for alert in self._alerts
            if alert_id in ("all", alert.alert_id) and alert.acknowledged_at is None
        )
        by_id = {alert.alert_id: alert for alert in seen}
        self._change(lambda old: by_id.get(old.alert_id, old))
        if not self.unacknowledged:
            self._remind_at = None
        return seen

    def knows(self, alert_id: str) -> bool:
        return any(alert.alert_id == alert_id for alert in self._alerts)

    def restore(self, events: Iterable[Event]) -> None:
        """Alerts of earlier runs, oldest first. Critical ones of the last day that nobody acknowledged come again."""
        found: dict[str, AlertView] = {}
        for event in events:
            if isinstance(event, AlertRaised) and event.alert_id:
                found[event.alert_id] = AlertView(
                    event.alert_id, event.at, event.severity, event.code, event.message
                )
            elif isinstance(event, AlertAcknowledged) and event.alert_id in found:
                found[event.alert_id] = replace(
                    found[event.alert_id], acknowledged_at=event.at, acknowledged_by=event.by
                )
        oldest = self._clock.now() - _RESTORED
        recent = [alert for alert in found.values() if alert.at >= oldest and not self.knows(alert.alert_id)]
        self._alerts = deque([*recent, *self._alerts], maxlen=_KEPT)
        self._redraw()
        if self.unacknowledged and self._remind_at is None:
            self._remind_in(self._repeat)

    # ------------------------------------------------------------ out of the machine

    def beat(self) -> None:
        """From the engine's housekeeping: reminders, what was held back, how the targets do."""
        now = self._clock.monotonic()
        if self._sender is None or now < self._look_at:
            return
        self._look_at = now + _LOOK_EVERY
        if self._remind_at is not None and now >= self._remind_at:
            self._remind()
        elif self._throttle.summary_due(now):
            self._sender.send(self._outgoing("warning", "further alerts", ""))
        self._watch_targets()

    def _send_out(self, alert: AlertView) -> None:
        if self._sender is None:
            return
        now = self._clock.monotonic()
        if alert.severity == "critical" and self._remind_at is None:
            self._remind_in(self._repeat)
        if rank(alert.severity) < rank(self._rules.minimum_level):
            return
        if self._throttle.admit(alert.severity, alert.code, now):
            self._sender.send(self._outgoing(alert.severity, alert.code, alert.message))

    def _remind(self) -> None:
        """All open critical alerts in one message: ten of them are no reason for ten messages every five minutes."""
        waiting = self.unacknowledged
        if not waiting or self._sender is None:
            self._remind_at = None
            return
        self._remind_in(self._repeat)
        lines = [_line(alert) for alert in waiting[-_LISTED:]]
        if len(waiting) > _LISTED:
            lines.insert(0, f"{len(waiting)} in all; the latest:")
        lines.append("Acknowledge in Medulla's window or with: medulla alerts ack all")
        self._sender.send(self._outgoing("critical", "not acknowledged yet", "\n".join(lines)))

    def _outgoing(self, severity: str, title: str, text: str) -> OutgoingAlert:
        held = held_words(self._throttle.take_held())
        body = "\n".join(part for part in (text, held, f"{self._clock.now():%Y-%m-%d %H:%M:%S} UTC") if part)
        return OutgoingAlert(severity, f"Medulla {self._executor_id}: {severity.upper()} {title}", body)

    @property
    def _repeat(self) -> float:
        return self._rules.repeat_minutes * 60.0

    def _remind_in(self, seconds: float) -> None:
        self._remind_at = self._clock.monotonic() + seconds if seconds > 0 and self._sender else None

    def _watch_targets(self) -> None:
        """A target that does not take messages is said here, where it can still be seen."""
        for target in self._sender.targets() if self._sender is not None else ():
            turn = self._failing.setdefault(target.name, Episode()).see(bad=target.fault is not None)
            if turn is Turn.BEGUN:
                self._on_sender(
                    "warning",
                    "ALERT_NOT_SENT",
                    f"alerts do not reach {target.name}: {target.fault}. Check it with `medulla alerts test`",
                    (),
                )
            elif turn is Turn.OVER:
                self._on_sender(
                    "info", "ALERT_SENT", f"alerts reach {target.name} again", ("ALERT_NOT_SENT",)
                )

    # ------------------------------------------------------------ inside

    def _change(self, change: Callable[[AlertView], AlertView]) -> None:
        self._alerts = deque(map(change, self._alerts), maxlen=_KEPT)
        self._redraw()

    def _redraw(self) -> None:
        self._views = tuple(reversed(self._alerts))


def _line(alert: AlertView) -> str:
    over = f", over since {alert.over_at:%H:%M}" if alert.over_at is not None else ""
    return f"{alert.code} ({alert.at:%H:%M} UTC{over}): {alert.message}"
