"""Local control on the command line: what reaches the engine, what a person reads, which exit code a script gets."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from api.fake_control import WORD
from typer.testing import CliRunner, Result

from app.api.stop_client import StopReport, StopStepLine
from app.cli import control
from app.cli.console import overrides_of, run
from app.domain.errors import ConfigurationError
from app.domain.trading_state import Actor, TradingState, TradingStatus
from app.engine.control import Refused

from .engine_beside import EngineBeside, command_line, engine_beside

REPOSITORY = Path(__file__).parents[2]


def ran(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(command_line(), list(arguments), input=typed)


@pytest.fixture
def engine(data_folder: Path) -> EngineBeside:
    with engine_beside(data_folder) as engine:
        yield engine


# ------------------------------------------------------------------ looking


def test_the_status_is_for_people_and_for_programs(engine: EngineBeside) -> None:
    shown = ran("status")
    assert shown.exit_code == 0
    assert "ACTIVE: trading" in shown.stdout
    assert "Terminal   up: connected, 0.4 ms" in shown.stdout
    assert "Missing    Algo Trading button" in shown.stdout
    found = json.loads(ran("status", "--json").stdout)
    assert (found["status"]["state"], found["account"]["equity"], found["ready"]) == (
        "ACTIVE",
        "10000.00",
        True,
    )


def test_what_needs_a_person_stands_out(engine: EngineBeside) -> None:
    engine.control.now = replace(
        engine.control.now,
        status=TradingStatus(TradingState.HALTED, 8, "fire", Actor.LIMIT, datetime(2026, 1, 1, tzinfo=UTC)),
        unknown_commands=("c-9",),
        unsigned_allowed=True,
        ready=False,
    )
    shown = ran("status").stdout
    for words in (
        "HALTED: emergency stop",
        "by limit: fire (epoch 8)",
        "UNKNOWN    c-9",
        "no signature",
        "not reconciled",
    ):
        assert words in shown


def test_positions_are_listed(engine: EngineBeside) -> None:
    shown = ran("positions")
    assert shown.exit_code == 0
    assert "EURUSD" in shown.stdout
    assert json.loads(ran("positions", "--json").stdout)["positions"][0]["volume"] == "0.10"
    engine.control.now = replace(engine.control.now, positions=())
    assert ran("positions").stdout == "No open position.\n"


COMMANDS = [
    ["status"],
    ["positions"],
    ["pause"],
    ["resume"],
    ["reset"],
    ["reset", "--word", "w"],
    ["ack-unknown", "c-1", "--note", "n"],
    ["limits", "reenable", "max_daily_loss", "--note", "n"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_an_engine_one_sentence_says_so(command: list[str], data_folder: Path) -> None:
    result = ran(*command)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"medulla: No engine is running for {data_folder}")
    assert "medulla run --headless" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [*COMMANDS, ["stop"]], ids=" ".join)
def test_a_wrong_configuration_is_one_line_and_code_2(command: list[str], tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("api: {prot: 1}")
    result = ran(*command, "--config", str(config))
    assert result.exit_code == 2
    assert result.stderr == (
        f"medulla: {config}:1: api.prot: there is no such setting; the nearest one is api.port\n"
    )


# ------------------------------------------------------------------ acting


def test_pause_resume_and_settling_reach_the_engine(engine: EngineBeside) -> None:
    for arguments in (
        ["pause", "--reason", "lunch"],
        ["resume"],
        ["ack-unknown", "c-9", "--note", "not at the broker"],
        ["limits", "reenable", "max_daily_loss", "--note", "new day"],
    ):
        assert ran(*arguments).exit_code == 0
    by = "command line"
    assert engine.control.asked == [
        ("pause", {"reason": "lunch", "by": by}),
        ("resume", {"by": by}),
        ("acknowledge_unknown", {"command_id": "c-9", "by": by, "note": "not at the broker"}),
        ("reenable_limit", {"limit": "max_daily_loss", "by": by, "note": "new day"}),
    ]


def test_what_safety_refuses_is_code_3_with_its_reason(engine: EngineBeside) -> None:
    engine.control.refusal = Refused("HALTED", "Trading is stopped: reset it first, then resume.")
    result = ran("resume")
    assert result.exit_code == 3
    assert result.stderr == "medulla: Trading is stopped: reset it first, then resume. [HALTED]\n"


def test_a_token_that_is_gone_is_explained(engine: EngineBeside, data_folder: Path) -> None:
    (data_folder / "api.token").unlink()
    result = ran("status")
    assert result.exit_code == 1
    assert "there is no token" in result.stderr


# ------------------------------------------------------------------ reset in two steps


def test_a_script_resets_with_the_word_of_a_first_call(engine: EngineBeside, data_folder: Path) -> None:
    (data_folder / "STOP").write_text("{}")
    first = ran("reset", "--json")
    word = json.loads(first.stdout)["word"]
    assert (first.exit_code, word) == (0, WORD)
    assert (data_folder / "STOP").exists()
    assert ran("reset", "--word", word, "--note", "looked").exit_code == 0
    assert not (data_folder / "STOP").exists()
    assert engine.control.asked[-1] == ("reset", {"word": WORD, "by": "command line", "note": "looked"})


def test_the_wrong_word_is_refused_by_safety(engine: EngineBeside) -> None:
    result = ran("reset", "--word", "guess")
    assert result.exit_code == 3
    assert "[WRONG_WORD]" in result.stderr


def test_without_a_person_the_first_step_ends_there(engine: EngineBeside) -> None:
    engine.control.now = replace(engine.control.now, unknown_commands=("c-9",))
    result = ran("reset")
    assert result.exit_code == 3
    assert "c-9" in result.stdout
    assert f"--word {WORD}" in result.stderr
    assert [name for name, _ in engine.control.asked] == ["reset_challenge"]
    assert ran("reset", "--challenge").exit_code == 0


@pytest.mark.parametrize(("typed", "code", "last"), [(WORD, 0, "reset"), ("no", 3, "reset_challenge")])
def test_a_person_types_the_word(
    engine: EngineBeside, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, last: str
) -> None:
    class Keyboard:
        @staticmethod
        def isatty() -> bool:
            return True

    class System:
        stdin = Keyboard
        stdout = sys.stdout

    monkeypatch.setattr(control, "sys", System)
    result = ran("reset", typed=f"{typed}\nthe account\n")
    assert result.exit_code == code
    assert engine.control.asked[-1][0] == last


# ------------------------------------------------------------------ stop


def test_a_stop_says_what_is_proved(engine: EngineBeside, data_folder: Path) -> None:
    result = ran("stop", "--reason", "fire", "--close-positions")
    assert result.exit_code == 0
    assert "STOPPED. The engine has latched" in result.stdout
    assert "terminal acknowledged" in result.stdout
    assert engine.control.asked == [
        ("stop", {"reason": "fire", "by": "command line", "close_positions": True})
    ]
    assert not (data_folder / "STOP").exists()


def test_a_stop_tells_its_steps_and_what_is_not_proved_yet(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = StopReport(
        engine_latched=True,
        terminal_stopped=True,
        stop_file_written=False,
        epoch=3,
        proofs=("latched", "orders cancelled 1/2; pending orders left: #10 refused 10018"),
        todo=(),
        attempts=(),
        unproved=("orders",),
        steps=(
            StopStepLine("2026-11-20T12:00:00.123456+00:00", "latched: fire", True),
            StopStepLine("2026-11-20T12:00:01.000000+00:00", "order #10 refused 10018", False),
        ),
    )
    monkeypatch.setattr(control, "request_stop", lambda *_paths, **_words: report)
    monkeypatch.setattr(control, "ask_status", lambda *_paths, **_words: None)
    shown = ran("stop").stdout
    assert "not proved yet: orders" in shown
    assert "12:00:00.123 ✓ latched: fire" in shown
    assert "12:00:01.000 ! order #10 refused 10018" in shown
    assert "! orders cancelled 1/2" in shown


def test_a_stop_with_no_engine_leaves_the_file_and_says_what_is_not_proved(data_folder: Path) -> None:
    result = ran("stop", "--reason", "fire", "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert (said["latched"], said["terminal_acknowledged"], said["stop_file"]) == (False, False, True)
    assert any("Algo Trading" in item for item in said["todo"])
    assert json.loads((data_folder / "STOP").read_text())["reason"] == "fire"
    shown = ran("stop").stdout
    assert "The stop file is written; no engine answered." in shown


def test_a_stop_that_nothing_proves_is_a_failure(
    engine: EngineBeside, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data_folder / "api.token").unlink()
    result = ran("stop")
    assert result.exit_code == 1
    assert (data_folder / "STOP").exists()
    assert "no token" in result.stdout


# ------------------------------------------------------------------ usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["statu"],
        ["status", "--jsn"],
        ["limits", "reenable"],
        ["ack-unknown", "c-1"],
        ["stop", "--reason"],
        ["status", "--config", "/absent/config.yaml"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command_line(), arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith("medulla: ")
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_exit_codes_pass_through_run(engine: EngineBeside) -> None:
    assert run(command_line(), ["status"]) == 0
    engine.control.refusal = Refused("NOT_READY", "Not yet.")
    assert run(command_line(), ["resume"]) == 3


def test_overrides_need_a_key_and_a_value() -> None:
    assert overrides_of(["api.port=0", "brain.url=wss://x/?a=b"]) == {
        "api.port": "0",
        "brain.url": "wss://x/?a=b",
    }
    with pytest.raises(ConfigurationError, match="KEY=VALUE"):
        overrides_of(["api.port"])


@pytest.mark.processes
def test_a_stop_of_a_real_process_on_a_console_without_check_marks(
    engine: EngineBeside, data_folder: Path
) -> None:
    script = (
        "import sys; from cli.engine_beside import command_line; from app.cli.console import run; "
        "sys.exit(run(command_line()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, "stop", "--reason", "fire"],
        capture_output=True,
        timeout=60,
        check=False,
        cwd=REPOSITORY,
        env={
            "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}",
            "PYTHONIOENCODING": "ascii",
            "MEDULLA_DATA_FOLDER": str(data_folder),
            "PATH": "",
        },
    )
    assert result.returncode == 0, result.stderr
    assert b"  ok   latched\n" in result.stdout.replace(b"\r", b"")
    assert engine.control.asked[0][0] == "stop"
