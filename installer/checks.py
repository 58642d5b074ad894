"""`start.py test`: every check of the project in one go, the quick ones beside each other first, then the
tests.

The last line printed is pytest's own closing line whenever pytest ran; otherwise it names the check that
failed.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from installer import environment, lock, system_packages
from installer.console import Progress

#: No check but pytest takes longer, in seconds; one that does is stuck.
CHECK_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Check:
    """A check with the name a person sees and the command that repairs or repeats it."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """How one check ended."""

    name: str
    passed: bool
    output: str
    seconds: float


def quick_checks(checkout: environment.Checkout) -> tuple[Check, ...]:
    """Those that read the source only, the slowest first."""
    python = str(checkout.python)
    suffix = ".exe" if os.name == "nt" else ""
    return (
        Check("mypy", (python, "-m", "mypy", "-p", "app", "-p", "installer")),
        # Half of its users sit on Windows; on other systems mypy would pass over what is theirs alone.
        Check("mypy, Windows", (python, "-m", "mypy", "--platform", "win32", "-p", "app")),
        Check("import-linter", (str(checkout.scripts / f"lint-imports{suffix}"),)),
        Check("ruff check", (python, "-m", "ruff", "check", ".")),
        Check("ruff format", (python, "-m", "ruff", "format", "--check", ".")),
    )


def run(checkout: environment.Checkout, pytest_arguments: Sequence[str]) -> int:
    """Exit code of the whole: 0 only if every check and every test passed."""
    system_packages.install_or_explain(
        system_packages.missing(system_packages.FOR_TESTS, checkout.root),
        "the tests need libraries of the system",
        Progress(),
    )
    environment.make_ready(checkout, "test")
    failed = run_quick_checks(checkout.root, quick_checks(checkout), lock.check)
    if failed:
        print(f"failed: {', '.join(failed)} - the tests were not run", flush=True)
        return 1
    return _pytest(checkout, pytest_arguments)


def run_quick_checks(
    root: Path, quick: Sequence[Check], check_locks: Callable[[Path], list[str]]
) -> list[str]:
    """Run them beside each other, print each verdict in order, and give the names of those that failed."""
    failed = []
    with ThreadPoolExecutor(max_workers=len(quick) + 1) as pool:
        # The lock comes first in the report: nothing else means much if other packages were tested than are
        # named.
        pending = [
            pool.submit(_locks, root, check_locks),
            *(pool.submit(_one, root, check) for check in quick),
        ]
        for verdict in (each.result() for each in pending):
            print(
                f"{'ok    ' if verdict.passed else 'FAILED'}  {verdict.name:<14}{verdict.seconds:6.1f} s",
                flush=True,
            )
            if not verdict.passed:
                print(verdict.output.rstrip(), flush=True)
                failed.append(verdict.name)
    return failed


def _locks(root: Path, check_locks: Callable[[Path], list[str]]) -> Verdict:
    began = time.monotonic()
    problems = check_locks(root)
    return Verdict("lock", not problems, "\n".join(problems), time.monotonic() - began)


def _one(root: Path, check: Check) -> Verdict:
    began = time.monotonic()
    try:
        done = subprocess.run(
            check.command,
            cwd=root,
            env=os.environ | {"PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=CHECK_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return Verdict(
            check.name, False, f"did not end within {CHECK_TIMEOUT_S:.0f} s", time.monotonic() - began
        )
    return Verdict(check.name, done.returncode == 0, done.stdout, time.monotonic() - began)


def _pytest(checkout: environment.Checkout, arguments: Sequence[str]) -> int:
    environ = dict(os.environ)
    environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    # The tests start hundreds of processes. One that may not keep what it has compiled costs a second of its own each time.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    environ.setdefault("PYTHONPYCACHEPREFIX", str(checkout.venv / "pycache"))
    # Many tests wait for processes and sockets: three at a time on two cores, a file's tests together (they share what they
    # start). In the folders' order: by number of tests, as xdist would have it, the slow files with few tests come last.
    command = [
        *(str(checkout.python), "-m", "pytest"),
        *("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder", *arguments),
    ]
    sys.stdout.flush()
    code = subprocess.run(command, cwd=checkout.root, check=False, env=environ).returncode
    return code if code >= 0 else 128 - code
