"""Figures about the engine's own work: latencies of the last 1000 commands, counters since the start, Prometheus' text."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.domain.results import CommandResult
from app.engine.broker import LinkState
from app.engine.desk import CommandInHand
from app.engine.snapshots import Counters, EngineSnapshot, LatencyView

_KEPT = 1000


class Latencies:
    """Milliseconds of each hop, the last 1000."""

    def __init__(self) -> None:
        self._hops: dict[str, deque[float]] = {
            hop: deque(maxlen=_KEPT) for hop in ("queue", "broker", "total")
        }

    def finished(self, item: CommandInHand, now: float) -> None:
        self._hops["total"].append((now - item.arrived) * 1000)
        if item.begun is not None:
            self._hops["queue"].append((item.begun - item.arrived) * 1000)
            if item.answered is not None:
                self._hops["broker"].append((item.answered - item.begun) * 1000)

    def views(self) -> tuple[LatencyView, ...]:
        return tuple(_view(hop, values) for hop, values in self._hops.items() if values)


def _view(hop: str, values: Iterable[float]) -> LatencyView:
    ordered = sorted(values)
    return LatencyView(hop, len(ordered), *(percentile(ordered, share) for share in (0.5, 0.95, 0.99)))


def percentile(ordered: list[float], share: float) -> float:
    """Nearest rank on sorted values."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


class Tally:
    """Counts outcomes."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, what: str) -> None:
        self._counts[what] += 1

    def outcome(self, result: CommandResult, *, refused: bool) -> None:
        """`refused`: by our own gate, which the brain hears as REJECTED too."""
        self._counts["refused" if refused else result.outcome.value.lower()] += 1

    def counters(self, *, received: int, duplicates: int) -> Counters:
        count = self._counts
        return Counters(
            received=received,
            accepted=count["accepted"],
            turned_away=count["turned_away"],
            duplicates=duplicates,
            executed=count["executed"],
            partial=count["partial"],
            rejected=count["rejected"],
            refused=count["refused"],
            expired=count["expired"],
            withdrawn=count["withdrawn"],
            stopped=count["stopped"],
            unknown=count["unknown"],
            operator=count["operator"],
        )


class _SnapshotCollector(Collector):
    def __init__(self, snapshot: EngineSnapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        shot = self._snapshot
        outcomes = CounterMetricFamily(
            "medulla_commands", "Commands since the engine started.", labels=["what"]
        )
        for name in Counters.__dataclass_fields__:
            outcomes.add_metric([name], getattr(shot.counters, name))
        yield outcomes
        latency = GaugeMetricFamily(
            "medulla_latency_ms", "Last 1000 commands, milliseconds.", labels=["hop", "quantile"]
        )
        for view in shot.latencies:
            for quantile, value in (("0.5", view.p50), ("0.95", view.p95), ("0.99", view.p99)):
                latency.add_metric([view.hop, quantile], value)
        yield latency
        links = GaugeMetricFamily("medulla_link_up", "1: the link is up.", labels=["link"])
        for link in shot.links:
            links.add_metric([link.name], 1.0 if link.state is LinkState.UP else 0.0)
        yield links
        yield GaugeMetricFamily(
            "medulla_ready", "Reconciled and connected to the terminal.", value=float(shot.ready)
        )
        yield GaugeMetricFamily("medulla_queue_depth", "Commands that wait.", value=shot.queue_depth)
        yield GaugeMetricFamily("medulla_open_positions", "Open positions.", value=len(shot.positions))
        yield GaugeMetricFamily(
            "medulla_unknown_outcomes", "Not settled yet.", value=len(shot.unknown_commands)
        )
        yield GaugeMetricFamily("medulla_epoch", "Fencing number.", value=shot.status.epoch)
        state = GaugeMetricFamily("medulla_trading_state", "1 for the present one.", labels=["state"])
        for name in ("ACTIVE", "REDUCING", "HALTED"):
            state.add_metric([name], float(shot.status.state.value == name))
        yield state
        if shot.account is not None:
            yield GaugeMetricFamily("medulla_equity", "Account currency.", value=float(shot.account.equity))
        if shot.daily_profit is not None:
            yield GaugeMetricFamily(
                "medulla_daily_profit", "Account currency.", value=float(shot.daily_profit)
            )


def prometheus_text(snapshot: EngineSnapshot) -> bytes:
    """The snapshot in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_SnapshotCollector(snapshot))
    return generate_latest(registry)
