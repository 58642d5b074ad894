"""The soak for a few seconds: it trades, it samples, it judges, and its table and plot can be read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.faults.kill_world import Nursery
from tests.faults.soak import Sample, Soak, soak
from tests.faults.soak_plot import ROWS, table, write_plot

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


def test_some_seconds_of_it(tmp_path: Path, nursery: Nursery) -> None:
    done = soak(
        minutes=0.15,
        rate=4,
        seed=3,
        folder=tmp_path / "world",
        kill_every=5.0,
        fault_every=2.0,
        nursery=nursery,
    )
    assert done.complaints() == []
    assert done.verdict.tried > 0
    assert done.lives >= 2
    assert done.samples[0].rss > 1
    assert done.happened


def test_a_leak_would_be_seen() -> None:
    steady = [_sample(second * 5.0, 100.0) for second in range(200)]
    leaking = [_sample(second * 5.0, 100.0 + second) for second in range(200)]
    assert not any("memory" in line for line in Soak(1, samples=steady).complaints())
    assert any("memory grew" in line for line in Soak(1, samples=leaking).complaints())


def test_the_table_is_short_and_the_plot_is_a_picture(tmp_path: Path) -> None:
    samples = [_sample(second * 5.0, 100.0) for second in range(500)]
    lines = table(samples).splitlines()
    assert len(lines) <= ROWS + 2
    assert lines[2].startswith("| 0.0 | 1 | 100.0 |")
    write_plot(tmp_path / "soak.svg", samples, [(100.0, "executor killed"), (200.0, "network: <reset>")])
    picture = ET.parse(tmp_path / "soak.svg").getroot()
    lines_drawn = picture.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines_drawn) == 8
    assert all(len(line.attrib["points"].split()) == 500 for line in lines_drawn)


def _sample(at: float, rss: float) -> Sample:
    return Sample(
        at=at,
        life=1,
        rss=rss,
        handles=30,
        threads=8,
        terminal_rss=80.0,
        journal=1.0,
        commands=int(at),
        p50=10.0,
        p95=20.0,
    )
