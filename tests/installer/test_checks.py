"""The test command names what failed, runs no test after a failed check, and lets pytest have the last line."""

import sys
from pathlib import Path

import pytest

from installer import checks, environment, system_packages
from installer.checks import Check


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def no_problems(_: Path) -> list[str]:
    return []


def test_every_check_runs_and_each_that_failed_is_named_with_what_it_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = (
        Check("good", python("print('unseen')")),
        Check("bad", python("print('because of this'); raise SystemExit(3)")),
        Check("worse", python("raise SystemExit('and of that')")),
    )
    assert checks.run_quick_checks(tmp_path, quick, lambda _: ["run.lock lacks cargo: relock"]) == [
        "lock",
        "bad",
        "worse",
    ]
    said = capsys.readouterr().out
    assert [line.split()[:2] for line in said.splitlines() if line.startswith(("ok", "FAILED"))] == [
        ["FAILED", "lock"],
        ["ok", "good"],
        ["FAILED", "bad"],
        ["FAILED", "worse"],
    ]
    assert "because of this" in said
    assert "and of that" in said
    assert "run.lock lacks cargo" in said
    assert "unseen" not in said


def test_a_check_that_never_ends_is_ended_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "CHECK_TIMEOUT_S", 0.05)
    stuck = Check("stuck", python("import threading; threading.Event().wait()"))
    assert checks.run_quick_checks(tmp_path, [stuck], no_problems) == ["stuck"]
    assert "did not end within" in capsys.readouterr().out


class ThisPython(environment.Checkout):
    """A checkout whose environment is the one these tests run in."""

    @property
    def python(self) -> Path:
        return Path(sys.executable)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ThisPython:
    """A project of two tests, one of which fails, with everything installed already and no check but the lock's."""
    (tmp_path / "test_two.py").write_text("def test_good(): pass\ndef test_bad(): raise ValueError\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    monkeypatch.setattr(environment, "make_ready", lambda *_: None)
    monkeypatch.setattr(system_packages, "missing", lambda *_: [])
    monkeypatch.setattr(checks, "quick_checks", lambda _: ())
    monkeypatch.setattr(checks.lock, "check", no_problems)
    return ThisPython(tmp_path)


def test_the_last_line_is_pytests_own_and_a_failed_test_fails_the_whole(
    small: ThisPython, capfd: pytest.CaptureFixture[str]
) -> None:
    assert checks.run(small, []) == 1
    last = capfd.readouterr().out.rstrip().splitlines()[-1]
    assert last.startswith("=")
    assert "1 failed, 1 passed" in last


def test_further_arguments_go_to_pytest(small: ThisPython, capfd: pytest.CaptureFixture[str]) -> None:
    assert checks.run(small, ["-k", "good"]) == 0
    last = capfd.readouterr().out.rstrip().splitlines()[-1]
    assert "1 passed" in last
    assert "failed" not in last


def test_what_the_tests_processes_compile_is_kept(
    small: ThisPython, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    (small.root / "test_two.py").write_text(
        "import subprocess, sys\n"
        "def test_good():\n"
        "    asked = 'import sys; print(sys.dont_write_bytecode, sys.pycache_prefix)'\n"
        "    said = subprocess.run([sys.executable, '-c', asked], capture_output=True, text=True).stdout.split()\n"
        f"    assert said == ['False', {str(small.venv / 'pycache')!r}]\n"
    )
    assert checks.run(small, []) == 0, capfd.readouterr().out


def test_after_a_failed_check_no_test_runs_and_the_last_line_names_it(
    small: ThisPython, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "quick_checks", lambda _: (Check("mypy", python("raise SystemExit(1)")),))
    assert checks.run(small, []) == 1
    said = capfd.readouterr().out
    assert said.splitlines()[-1] == "failed: mypy - the tests were not run"
    assert "passed" not in said
