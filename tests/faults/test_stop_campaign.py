"""The stop campaign in its short form: a few of everything, with time bounds that a busy machine keeps.

The long form with its figures: `python -m tests.faults.stop_campaign --presses 1000`, docs/stop-campaign.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import stop_campaign, stop_controls, stop_ea, stop_limits, stop_presses, stop_restarts
from .stop_campaign import main
from .stop_findings import Check, Findings, Press, percentile, spread
from .stop_forge import Forge
from .stop_presses import FAILING_JOURNAL, WAYS, Presser, judge, running
from .stop_report import compose, too_slow
from .stop_tape import LATCHED, SENT, Note, TapeReader, TapeWriter
from .stop_world import StopWorld, WireNote

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
SEED = 7


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StopWorld]:
    """One terminal and one brain for all of it; executors come and go."""
    folder = tmp_path_factory.mktemp("stops")
    forge = Forge(folder)
    try:
        with running(folder, forge, "world", queue={"capacity": 200}, block_seconds=3.0) as made:
            yield made
    finally:
        forge.close()


def held(findings: Findings, bounds: float = 10) -> None:
    """Nothing was broken; the middle of a handful took at most `bounds` times what an idle machine is held to at p99."""
    assert findings.failures() == []
    assert too_slow(findings, bounds, at="p50") == []


def test_stops_through_every_way_in_while_commands_pour_in(world: StopWorld) -> None:
    findings = Findings()
    presser = Presser(world, findings, "load", SEED)
    for way in (*WAYS, FAILING_JOURNAL):
        presser.cycle(way)
    held(findings)
    assert len(findings.presses) == len(WAYS) + 1
    assert sum(press.offered for press in findings.presses) > 100
    assert sum(press.sent_before for press in findings.presses) > 0


def test_a_blocked_loop(world: StopWorld) -> None:
    findings = Findings()
    stop_presses.block_loop(world, findings, 1, SEED)
    # One press only; 1.5 s are still less than what is left of the block.
    held(findings, 30)


def test_a_frozen_engine(world: StopWorld) -> None:
    findings = Findings()
    stop_presses.freeze_engine(world, findings, 1, SEED)
    held(findings)


def test_restarts_in_the_halted_state(world: StopWorld) -> None:
    findings = Findings()
    for number, how in enumerate(("kill -9 at the latch", "kill -9", "ended in good order")):
        stop_restarts.restart_once(world, findings, number, how, SEED)
    held(findings)


def test_damaged_latches(world: StopWorld) -> None:
    findings = Findings()
    ways = ("cut in the middle", "a bit flipped", "missing with its marker")
    stop_restarts.damage(world, findings, SEED, ways=ways, bases=("ACTIVE",))
    held(findings)
    assert len(findings.of(stop_restarts.DAMAGE)) == len(ways)


def test_the_expert_advisor_alone(tmp_path: Path) -> None:
    findings = Findings()
    stop_ea.alone(tmp_path, findings)
    held(findings)


_TRIALS = 4


@pytest.mark.parametrize(
    "name", ["latch_check_before_send", "drain", "durable_latch", "stop_thread", "throttle"]
)
def test_a_safeguard_left_out_is_noticed(world: StopWorld, name: str) -> None:
    # Whether something waits in the queue at the moment of a press is the load's affair: one of a few trials must show it.
    for trial in range(_TRIALS):
        findings = Findings()
        stop_controls.control(world, findings, name, SEED + trial)
        if not findings.failures():
            return
    pytest.fail(f"not noticed in {_TRIALS} trials: {findings.failures()}")


def test_a_storm_ends_at_the_cap(world: StopWorld) -> None:
    findings = Findings()
    stop_limits.storm_in(world, findings, 300, same=True, bounds=10)
    held(findings)


# ------------------------------------------------------------------ the campaign's own parts


def note(kind: int, at: float, cid: str) -> Note:
    return Note(kind, at, at + 0.001, cid, "open")


def frame(at: float, cid: str) -> WireNote:
    return WireNote("frame", at, {"cmd": "open", "cid": cid})


def judged(notes: list[Note], wire: list[WireNote], *faults: str) -> Press:
    press = Press(0, "scene", "way", list(faults))
    judge(press, notes, wire, note(LATCHED, 10.0, "first"), 10.5)
    return press


def test_what_is_on_the_wire_already_is_no_failure() -> None:
    press = judged([note(SENT, 9.9, "a")], [frame(10.2, "a")])
    assert (press.sent_before, press.sent_after, press.arrived_after, press.failures) == (1, 0, 1, [])


def test_a_send_that_overlaps_the_latch_counts_as_after() -> None:
    assert judged([note(SENT, 9.9995, "a")], []).sent_after == 1
    assert judged([note(SENT, 10.2, "a")], [frame(10.3, "a")]).sent_after == 1


@pytest.mark.parametrize(
    ("notes", "wire", "words"),
    [
        ([], [frame(10.2, "a")], "nobody saw them leave"),
        ([note(SENT, 9.0, "a")], [frame(9.1, "a"), frame(9.2, "a")], "twice"),
        (
            [note(SENT, 9.0, "a"), note(SENT, 9.1, "b")],
            [frame(10.1, "a"), frame(10.2, "b")],
            "1 may be under way",
        ),
        ([], [WireNote("effect", 11.0, {"cid": "a", "reason": "expert"})], "after its own latch"),
    ],
)
def test_what_the_wire_log_gives_away(notes: list[Note], wire: list[WireNote], words: str) -> None:
    (failure,) = judged(notes, wire).failures
    assert words in failure


def test_a_late_fill_of_what_the_terminal_had_begun_is_counted_apart() -> None:
    wire = [frame(9.1, "a"), WireNote("effect", 11.0, {"cid": "a", "reason": "expert"})]
    press = judged([note(SENT, 9.0, "a")], wire, "late_fill:delay=1")
    assert (press.filled_after, press.failures) == (1, [])


def test_the_tape_gives_each_note_once(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path / "tape")
    reader = TapeReader(tmp_path / "tape")
    writer.note(SENT, 1.0, 2.0, "cmd-1", "open")
    assert list(reader.take()) == [Note(SENT, 1.0, 2.0, "cmd-1", "open")]
    assert list(reader.take()) == []
    writer.note(LATCHED, 3.0, 4.0, "first", "grün")
    assert [one.words for one in reader.take()] == ["grün"]
    reader.close()


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 201)]
    assert [percentile(values, percent) for percent in (50, 95, 99, 100)] == [100, 190, 198, 200]
    assert spread([0.001, None, 0.002]) == {"n": 2, "p50": 1.0, "p95": 2.0, "p99": 2.0, "max": 2.0}
    assert spread([None]) == {"n": 0}


def test_the_report_says_what_was_broken() -> None:
    findings = Findings()
    findings.presses.append(Press(0, "idle", "socket", [], to_latch=0.2, to_terminal=0.3, sent_after=2))
    findings.checks.append(Check("restarts", "3: kill -9", passed=False, detail="ACTIVE after the restart"))
    text = compose(findings, command="…", machine="m", took=60, bounds=1)
    assert "2 trades sent after the latch" in text
    assert "3: kill -9: ACTIVE after the restart" in text
    assert "press to latch: p99 200.0 ms" in text
    assert len(too_slow(findings)) == 2
    assert too_slow(findings, 10) == []


def test_a_step_that_breaks_is_written_down_and_the_report_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AssertionError("no terminal")

    class NoForge:
        def __init__(self, _folder: Path) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(stop_restarts, "damaged", broken)
    monkeypatch.setattr(stop_campaign, "Forge", NoForge)
    report = tmp_path / "report.md"
    done = main(["--parts", "damage", "--raw", str(tmp_path / "raw"), "--report", str(report)])
    assert done == 1
    assert "campaign, damage: broke: AssertionError: no terminal" in report.read_text("utf-8")
    assert (tmp_path / "raw" / "stop-campaign.json").exists()
