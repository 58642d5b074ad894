"""`medulla journal …`: what a person sees, the exit codes, and that it works beside a running engine."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from pathlib import Path

import pytest
import typer

from app.adapters import journal_queries as queries
from app.adapters.journal_reader import JournalReader
from app.adapters.journal_sqlite import SqliteJournal
from app.cli import console
from app.cli import journal as journal_command
from app.domain.errors import JournalFailed
from tests.contract import journal_script as script


def _unwanted(failure: JournalFailed) -> None:
    raise AssertionError(f"the journal failed: {failure}")


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Four commands on two days."""
    made = tmp_path / "journal.db"
    journal = await SqliteJournal.open(made, _unwanted)
    await journal.append(*script.life("a", 0))
    await journal.append(script.received("b", "GBPUSD", "str_2", 1), script.queued("b"), script.refused("b"))
    await journal.append(script.received("c", "GBPUSD", "=1+1", 86_400), script.queued("c"))
    await journal.append(script.received("d", seconds=86_401), script.turned_away("d"))
    await journal.close()
    return made


class Run:
    """One command line and what came of it."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        app = typer.Typer()
        journal_command.register(app)
        app.command("other")(lambda: None)
        self.code = int(console.run(app, ["journal", *arguments]))
        self.out, self.err = capsys.readouterr()


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ((), ["d", "c", "b", "a"]),
        (("--day", "2026-11-20"), ["b", "a"]),
        (("--symbol", "GBPUSD"), ["c", "b"]),
        (("--strategy", "str_2"), ["b"]),
        (("--outcome", "executed"), ["a"]),
        (("--limit", "1"), ["d"]),
        (("--day", "2026-11-21", "--symbol", "GBPUSD"), ["c"]),
        (("--symbol", "EURJPY"), []),
    ],
)
def test_list_filters(
    path: Path, capsys: pytest.CaptureFixture[str], filters: tuple[str, ...], ids: list[str]
) -> None:
    run = Run(capsys, "list", "--journal", str(path), *filters, "--json")
    assert run.code == 0
    assert [json.loads(line)["id"] for line in run.out.splitlines()] == ids
    table = Run(capsys, "list", "--journal", str(path), *filters).out.splitlines()
    assert len(table) == len(ids) + 1
    assert table[0].split() == [title for title, _ in journal_command._LIST]


def test_show_tells_the_whole_story_with_hashes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "show", "a", "--journal", str(path))
    assert run.code == 0
    for word in (
        "CommandReceived",
        "CommandQueued",
        "CommandDispatched",
        "CommandExecuted",
        "result.price: 1.1005",
    ):
        assert word in run.out
    rows = [
        json.loads(line)
        for line in Run(capsys, "show", "a", "--journal", str(path), "--json").out.splitlines()
    ]
    with JournalReader(path) as reader:
        stored = reader.ask(lambda connection: queries.chain_page(connection, 0, 4))[0]
    assert [row["hash"] for row in rows] == [row.hash for row in stored]
    assert all(row["hash"] in run.out for row in rows)
    unknown = Run(capsys, "show", "nobody", "--journal", str(path))
    assert (unknown.code, "nobody" in unknown.err) == (1, True)


def test_verify_finds_a_forged_row(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = Run(capsys, "verify", "--journal", str(path))
    assert (sound.code, "11 rows, none changed" in sound.out) == (0, True)
    forger = sqlite3.connect(path)
    forger.execute("DROP TRIGGER events_no_update")
    forger.execute("UPDATE events SET payload = replace(payload, 'EURUSD', 'XAUUSD') WHERE seq = 1")
    forger.commit()
    forger.close()
    forged = Run(capsys, "verify", "--journal", str(path))
    assert forged.code == 1
    assert "row 1 was changed after it was written" in forged.err
    told = Run(capsys, "verify", "--journal", str(path), "--json")
    assert told.code == 1
    assert json.loads(told.out) == {
        "journal": str(path),
        "sound": False,
        "rows": 0,
        "bad_seq": 1,
        "fault": "was changed after it was written",
    }


def test_export_is_exact_and_harmless_in_a_spreadsheet(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    run = Run(capsys, "export", "--format", "csv", "--out", str(out), "--journal", str(path))
    assert (run.code, run.out) == (0, f"4 commands written to {out}\n")
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert [row["id"] for row in rows] == ["a", "b", "c", "d"]
    assert (rows[0]["volume"], rows[0]["result_ticket"], rows[0]["slippage"]) == (
        "0.10",
        str(2**63 + 7),
        "0.0005",
    )
    assert rows[2]["strategy_id"] == "'=1+1"
    lines = Run(capsys, "export", "--format", "jsonl", "--outcome", "EXECUTED", "--journal", str(path)).out
    (only,) = [json.loads(line) for line in lines.splitlines()]
    assert (only["id"], only["price"], only["state"]) == ("a", "1.1005", "EXECUTED")


def test_parquet_without_its_package_says_what_to_do(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    out = tmp_path / "out.parquet"
    run = Run(capsys, "export", "--format", "parquet", "--out", str(out), "--journal", str(path))
    assert (run.code, "pip install pyarrow" in run.err) == (1, True)
    assert not out.exists()


def test_backup_is_checked_and_opens_as_a_journal(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "copies" / "copy.db"
    run = Run(capsys, "backup", str(target), "--journal", str(path))
    assert (run.code, "11 rows" in run.out) == (0, True)
    assert Run(capsys, "verify", "--journal", str(target)).code == 0
    assert Run(capsys, "backup", str(path), "--journal", str(path)).code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--day", "yesterday"),
        ("list", "--outcome", "WON"),
        ("list", "--limit", "0"),
        ("export",),
        ("export", "--format", "xls"),
        ("show",),
        ("dance",),
    ],
)
def test_wrong_usage_is_code_2(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    more = () if arguments == ("dance",) else ("--journal", str(path))
    run = Run(capsys, *arguments, *more)
    assert run.code == 2
    assert len(run.err.splitlines()) == 1


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but long enough to look at" * 50])
def test_no_journal_there_is_code_1_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "journal.db"
    if content is not None:
        path.write_bytes(content)
    for command in (
        ("list",),
        ("verify",),
        ("show", "a"),
        ("export", "--format", "csv"),
        ("backup", str(tmp_path / "b")),
    ):
        run = Run(capsys, *command, "--journal", str(path))
        assert (run.code, len(run.err.splitlines())) == (1, 1)
        assert str(path) in run.err
    assert not (tmp_path / "b").exists()


async def test_everything_works_beside_a_running_engine(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = await SqliteJournal.open(path, _unwanted)
    await journal.append(*script.life("e", 86_402))
    assert "e" in Run(capsys, "list", "--journal", str(path)).out
    assert Run(capsys, "show", "e", "--journal", str(path)).code == 0
    assert "15 rows" in Run(capsys, "verify", "--journal", str(path)).out
    assert Run(capsys, "export", "--format", "csv", "--journal", str(path)).out.count("\n") == 6
    assert Run(capsys, "backup", str(tmp_path / "copy.db"), "--journal", str(path)).code == 0
    await journal.append(*script.life("f", 86_403))
    assert (await journal.verify()).rows == 19
    await journal.close()


def test_the_path_comes_from_the_settings(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"journal:\n  path: {path.as_posix()}\n", encoding="utf-8")
    assert "11 rows" in Run(capsys, "verify", "--config", str(config)).out
    assert Run(capsys, "verify", "--config", str(tmp_path / "none.yaml")).code == 2
