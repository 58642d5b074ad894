"""Alert targets in memory: keeps what was handed over, and stands as the test says."""

from __future__ import annotations

from app.engine.ports import OutgoingAlert
from app.engine.snapshots import TargetView


class FakeAlertSender:
    """An AlertSender with one target."""

    def __init__(self) -> None:
        self.sent: list[OutgoingAlert] = []
        self.tests: list[OutgoingAlert] = []
        self.fault: str | None = None
        self.closed = False

    def send(self, alert: OutgoingAlert) -> None:
        self.sent.append(alert)

    def targets(self) -> tuple[TargetView, ...]:
        return (TargetView("1 fake", len(self.sent), 0, self.fault),)

    async def test(self, alert: OutgoingAlert, timeout: float) -> tuple[TargetView, ...]:
        self.tests.append(alert)
        return self.targets()

    def close(self) -> None:
        self.closed = True

    @property
    def titles(self) -> list[str]:
        """What each message is about, without whom it comes from."""
        return [alert.title.partition(": ")[2] for alert in self.sent]
