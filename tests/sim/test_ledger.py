"""The files of the simulated terminal: torn lines, damage, a latch that is never lost, faults of the disk."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.errors import ConfigurationError
from app.sim.key_file import load_or_make_key
from app.sim.ledger import (
    AppendOnlyFile,
    CommandLedger,
    LedgerDamaged,
    LedgerFailed,
    StateFile,
    TerminalState,
)
from app.sim.life import Life, Origins
from app.sim.market import Market

from .broker_bench import Bench, StillClock


def test_a_torn_last_line_is_removed_and_the_rest_stays(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ledger")
    bench.open()
    bench.open()
    whole = bench.path.read_bytes()
    for cut in range(1, len(whole.splitlines(keepends=True)[1])):
        bench.path.write_bytes(whole[:-cut])
        again = bench.reopened()
        assert len(again.book.deals) == 1
        again.ledger.close()
    assert len(bench.path.read_bytes().splitlines()) == 1


def test_after_a_torn_line_numbers_go_on_without_a_gap(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ledger")
    bench.open()
    with bench.path.open("ab") as file:
        file.write(b'{"seq":2,"time":"2026')
    bench.broker = bench.reopened()
    bench.broker.deposit(Decimal(5))
    assert [line.split(b",")[0] for line in bench.path.read_bytes().splitlines()] == [
        b'{"seq":1',
        b'{"seq":2',
    ]


def test_damage_in_the_middle_is_said_and_never_skipped(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ledger")
    bench.open()
    bench.open()
    lines = bench.path.read_bytes().splitlines(keepends=True)
    bench.path.write_bytes(b"garbage\n" + lines[1])
    with pytest.raises(LedgerDamaged, match=r"ledger, line 1: "):
        bench.reopened()


def test_an_intent_without_a_result_counts_as_sent(tmp_path: Path) -> None:
    ledger = CommandLedger(tmp_path / "commands")
    ledger.intent("a", "hash-a", 1)
    assert ledger["a"].asked is False
    ledger.intent("b", "hash-b", 2)
    ledger.asking("b")
    ledger.result("b", {"state": "done"}, 3)
    ledger.close()
    again = CommandLedger(tmp_path / "commands")
    assert (again["a"].content, again["a"].sent_at, again["a"].asked, again["a"].result) == (
        "hash-a",
        1,
        True,
        None,
    )
    assert again["b"].result == {"state": "done"}
    assert again.get("c") is None
    again.close()


def test_a_damaged_state_is_not_a_state_without_a_stop(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state")
    assert file.load() is None
    file.save(TerminalState(epoch=3, stopped=True, stop_reason="x", deposit=Decimal("10000.50")))
    assert file.load() == TerminalState(epoch=3, stopped=True, stop_reason="x", deposit=Decimal("10000.50"))
    for content in (b"", b"{}garbage", b'{"epoch":1,"surprise":2}'):
        file.path.write_bytes(content)
        with pytest.raises(LedgerDamaged):
            file.load()


def test_a_file_that_refuses_a_line_keeps_none_of_it(tmp_path: Path) -> None:
    file = AppendOnlyFile(tmp_path / "file")
    file.open()
    file.append(b"one\n")
    file.failing = True
    with pytest.raises(LedgerFailed):
        file.append(b"two\n")
    file.close()
    with pytest.raises(LedgerFailed):
        file.append(b"three\n")
    assert (tmp_path / "file").read_bytes() == b"one\n"


@pytest.mark.parametrize("text", ["", "xyz", "ab" * 31, "ab" * 33])
def test_a_wrong_key_file_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="64 hex digits"):
        load_or_make_key(path)
    assert path.read_text() == text


def test_a_lost_state_file_beside_a_ledger_means_stopped(tmp_path: Path) -> None:
    clock = StillClock()
    market = Market(now=clock.now)
    first = Life(tmp_path / "ledger", market, clock, Origins())
    assert first.state.stopped is False
    first.broker.deposit(Decimal(1))
    first.close()
    (tmp_path / "ledger.state").unlink()
    second = Life(tmp_path / "ledger", market, clock, Origins())
    assert (second.state.stopped, second.state.stop_reason) == (True, "ledger.state was missing")
    second.close()


def test_a_gap_in_the_numbers_is_damage(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ledger")
    for _ in range(3):
        bench.broker.deposit(Decimal(1))
    lines = bench.path.read_bytes().splitlines(keepends=True)
    bench.path.write_bytes(lines[0] + lines[2])
    with pytest.raises(LedgerDamaged, match="line 2: seq 3 is out of order"):
        bench.reopened()


def test_one_ledger_has_one_writer(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ledger")
    with pytest.raises(LedgerFailed, match="another terminal"):
        Bench(tmp_path / "ledger")
    bench.broker.ledger.close()
    assert Bench(tmp_path / "ledger").broker.book.last_seq == 0
