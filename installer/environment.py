"""The virtual environment inside the checkout: made from the hashed lock once, used again, repaired when
half made.

An environment counts as good only while its stamp stands and fits; the stamp is written last and taken away
first. What is installed, and how, is decided in `packages.py`; nothing here knows pip.
"""

import hashlib
import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from installer import packages, troubles
from installer.console import Progress, SetUpError
from installer.set_up_lock import SetUpLock

#: Each profile with those it contains: an environment of a bigger profile serves the smaller ones.
PROFILES: dict[str, tuple[str, ...]] = {
    "run": ("run",),
    "desktop": ("desktop", "run"),
    "test": ("test", "desktop", "run"),
}

#: Free space a profile needs while it is installed, in megabytes: measured size (91, 387, 484) plus downloads, with room.
SPACE_NEEDED_MB: dict[str, int] = {"run": 200, "desktop": 700, "test": 900}

#: Raised when environments made by older code of this file can no longer be used.
STAMP_FORMAT = 1


@dataclass(frozen=True)
class Checkout:
    """Where things lie in one checkout of Medulla."""

    root: Path

    @property
    def venv(self) -> Path:
        """The environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.scripts / ("python.exe" if os.name == "nt" else "python")

    @property
    def scripts(self) -> Path:
        """The environment's folder of programs."""
        return self.venv / ("Scripts" if os.name == "nt" else "bin")

    @property
    def medulla(self) -> Path:
        """The `medulla` program of the environment: a Python file, started with `python`."""
        return self.scripts / "medulla"

    @property
    def stamp(self) -> Path:
        """Says what a finished environment was made from."""
        return self.venv / "medulla-stamp.json"

    @property
    def under_way(self) -> Path:
        """Stands in an environment of ours that is not finished."""
        return self.venv / "medulla-set-up-under-way"

    @property
    def notes(self) -> Path:
        """Folder of the set-up's own files: the lock between two starts and the log of pip."""
        return self.root / ".venv-set-up"

    def lock(self, profile: str) -> Path:
        """The hashed lock of a profile."""
        return self.root / "requirements" / f"{profile}.lock"


def base_python() -> str:
    """The interpreter to build with: never the one inside the environment that is about to be replaced."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def wanted_stamp(checkout: Checkout, profile: str) -> dict[str, object]:
    """What the stamp of an up-to-date environment of `profile` says."""
    try:
        lock = checkout.lock(profile).read_bytes()
    except OSError as error:
        raise SetUpError(
            f"{checkout.lock(profile)} cannot be read ({error.strerror}): the checkout is not complete; "
            "get it again, or bring the file back with: git checkout -- requirements"
        ) from error
    return {
        "format": STAMP_FORMAT,
        "profile": profile,
        "lock": hashlib.sha256(lock.replace(b"\r\n", b"\n")).hexdigest(),
        "python": f"{sys.implementation.name} {sysconfig.get_python_version()} {sysconfig.get_platform()}",
        "root": str(checkout.root),
    }


def read_stamp(checkout: Checkout) -> dict[str, object] | None:
    """The stamp as it stands, or None when there is none that can be read."""
    try:
        stamp = json.loads(checkout.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) else None


def serves(checkout: Checkout, profile: str) -> bool:
    """Whether the environment is finished, up to date, and has everything that `profile` needs."""
    stamp = read_stamp(checkout)
    if stamp is None or not checkout.python.exists():
        return False
    made_for = stamp.get("profile")
    if not isinstance(made_for, str) or profile not in PROFILES.get(made_for, ()):
        return False
    return stamp == wanted_stamp(checkout, made_for)


def make_ready(checkout: Checkout, profile: str, *, fresh: bool = False) -> None:
    """Leave an environment that serves `profile`; does nothing, and says nothing, when there is one.

    Raises SetUpError with one sentence for the person when it cannot be done. Whatever ends this early, the
    next call repairs.
    """
    if not fresh and serves(checkout, profile):
        return
    progress = Progress()
    with SetUpLock(checkout.notes, progress):
        if not fresh and serves(checkout, profile):
            progress.say("another start has just finished it")
            return
        with _told_plainly(checkout):
            _make(checkout, profile, progress, fresh=fresh)
    progress.say(f"ready ({profile})")


def _make(checkout: Checkout, profile: str, progress: Progress, *, fresh: bool) -> None:
    # Taken before the work begins: a lock that changes meanwhile makes the result stale, as it should.
    stamp = wanted_stamp(checkout, profile)
    _check_space(checkout, profile)
    made_for = (read_stamp(checkout) or {}).get("profile")
    growing = (
        not fresh
        and isinstance(made_for, str)
        and made_for in PROFILES[profile]
        and serves(checkout, made_for)
    )
    if growing:
        progress.say(f"adding what {profile} needs to the environment in {checkout.venv.name}")
        checkout.under_way.touch()
        checkout.stamp.unlink()
    else:
        _clear_away(checkout, progress)
        progress.say(f"making the environment in {checkout.venv.name} (Python {sys.version.split()[0]})")
        checkout.venv.mkdir()
        checkout.under_way.touch()
        packages.create_environment(base_python(), checkout.venv, progress)
    packages.install(checkout.python, checkout.lock(profile), checkout.notes / "pip.log", progress)
    packages.link_project(checkout.python, checkout.root, checkout.medulla)
    _write_stamp(checkout, stamp)
    checkout.under_way.unlink(missing_ok=True)


def _write_stamp(checkout: Checkout, stamp: dict[str, object]) -> None:
    unfinished = checkout.stamp.with_suffix(".new")
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(stamp, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(checkout.stamp)


def _clear_away(checkout: Checkout, progress: Progress) -> None:
    """Remove an environment of ours, finished or not; refuse to touch one that is in use or that somebody
    else made.
    """
    for remains in checkout.root.glob(".venv-old-*"):
        shutil.rmtree(remains, ignore_errors=True)
    if not checkout.venv.exists():
        return
    if not checkout.stamp.exists() and not checkout.under_way.exists() and any(checkout.venv.iterdir()):
        raise SetUpError(
            f"{checkout.venv} was not made by this program, and is left alone: "
            "move it away or delete it, then start again"
        )
    if user := next(_users(checkout), None):
        raise SetUpError(
            f"Medulla is running from {checkout.venv} (process {user}) and its packages have to be replaced: "
            "stop it first, then start again"
        )
    progress.say("the environment there is out of date or unfinished: making a new one")
    old = checkout.root / f".venv-old-{os.getpid()}"
    try:
        if os.name == "nt" and checkout.python.exists():
            checkout.python.open("r+b").close()  # Windows refuses this while the program runs
        checkout.venv.rename(old)
    except PermissionError as error:
        raise SetUpError(
            f"{checkout.venv} cannot be replaced ({error.strerror}): "
            "close every Medulla and every console that uses it, then start again"
        ) from error
    shutil.rmtree(old, ignore_errors=True)


def _users(checkout: Checkout) -> Iterator[int]:
    """Processes that run the environment's interpreter. Linux only; Windows itself guards files in use."""
    programs = os.fsencode(checkout.scripts) + b"/"
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "cmdline").read_bytes().startswith(programs) and int(folder.name) != os.getpid():
                yield int(folder.name)


def _check_space(checkout: Checkout, profile: str) -> None:
    free_mb = shutil.disk_usage(checkout.root).free // 1_000_000
    if free_mb < SPACE_NEEDED_MB[profile]:
        raise SetUpError(
            f"not enough disk space in {checkout.root}: {free_mb} MB free, "
            f"about {SPACE_NEEDED_MB[profile]} MB needed; make room, then start again"
        )


@contextmanager
def _told_plainly(checkout: Checkout) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetUpError(troubles.of_system(error, checkout.root)) from error
