"""The locks belong to pyproject.toml, are complete, and name no address; each way to break that is found."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from installer import lock

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """This checkout's pyproject.toml and locks, to be broken."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


def pins(profile: str) -> dict[str, list[lock.Pin]]:
    found: dict[str, list[lock.Pin]] = {}
    for pin in lock.parse(lock.lock_path(ROOT, profile).read_text(encoding="utf-8")):
        found.setdefault(pin.name, []).append(pin)
    return found


def test_the_locks_are_whole_and_belong_to_this_pyproject() -> None:
    assert lock.check(ROOT) == []
    assert lock.main(["--check"]) == 0


def test_windows_alone_gets_what_only_windows_has() -> None:
    locked = pins("run")
    for name in ("metatrader5", "tzdata", "pywin32-ctypes", "colorama", "win32-setctime"):
        assert {pin.marker for pin in locked[name]} == {"sys_platform == 'win32'"}, name
    for name in ("secretstorage", "jeepney"):
        assert {pin.marker for pin in locked[name]} == {"sys_platform == 'linux'"}, name


def test_compiled_packages_bring_the_files_of_every_python_and_system() -> None:
    """At least one file for each of Python 3.11, 3.12, 3.13 on Linux and on Windows, or one stable-ABI file for each."""
    locked = pins("test")
    for name in ("sqlalchemy", "pyyaml", "pydantic-core", "cffi"):
        assert all(len(pin.hashes) >= 6 for pin in locked[name]), name
    for name in ("pyzmq", "cryptography", "pyside6-essentials", "ruff"):
        assert all(len(pin.hashes) >= 2 for pin in locked[name]), name


def test_the_window_is_not_in_the_headless_lock() -> None:
    assert "pyside6-essentials" not in pins("run")
    assert "pyside6-essentials" in pins("desktop")
    assert "pytest" not in pins("desktop")


def edit(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / path).read_text(encoding="utf-8")
        assert old in text
        (root / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


BREAKAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a dependency is asked for": (
        edit("pyproject.toml", '"loguru', '"numpy", "loguru'),
        "test.lock was made for other",
    ),
    "a bound is changed": (
        edit("pyproject.toml", "pytest>=8.3", "pytest>=8.4"),
        "test.lock was made for other",
    ),
    "Python's range is changed": (
        edit("pyproject.toml", '">=3.11"', '">=3.12"'),
        "run.lock was made for other",
    ),
    "a version is edited": (
        edit("requirements/run.lock", "loguru==0.", "loguru==9."),
        "run.lock was changed by hand",
    ),
    "a package is taken out": (
        edit("requirements/run.lock", "loguru==", "l0guru=="),
        "run.lock lacks loguru",
    ),
    "a hash is cut": (edit("requirements/desktop.lock", "--hash=sha256:", "--hash=sha256:z"), "not SHA-256"),
    "a range is locked": (
        edit("requirements/test.lock", "alembic==", "alembic>="),
        "not a pin of one version",
    ),
    "an index is named": (
        edit("requirements/run.lock", "alembic==", "--index-url https://example.org/simple\nalembic=="),
        "not a pin of one version",
    ),
    "a comment names a host": (
        edit("requirements/run.lock", "alembic==", "# from example.org\nalembic=="),
        "names an address",
    ),
    "a lock is gone": (lambda root: lock.lock_path(root, "desktop").unlink(), "desktop.lock: [Errno 2]"),
    "locks disagree": (
        edit("requirements/desktop.lock", "loguru==0.", "loguru==9."),
        "desktop.lock holds other versions",
    ),
}


@pytest.mark.parametrize("what", BREAKAGES)
def test_what_breaks_a_lock_is_found(copy: Path, what: str) -> None:
    change, found = BREAKAGES[what]
    change(copy)
    assert any(found in problem for problem in lock.check(copy)), lock.check(copy)


def test_a_lock_cut_short_is_found(copy: Path) -> None:
    path = lock.lock_path(copy, "run")
    text = path.read_text(encoding="utf-8").rstrip()
    path.write_text(text[: text.rindex("    --hash")], encoding="utf-8")
    assert any("ends in the middle of" in problem for problem in lock.check(copy))


def test_a_composed_lock_reads_back(tmp_path: Path) -> None:
    text = lock.compose(
        f"cargo==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{'a' * 64}\n\n", "0" * 64
    )
    assert lock.parse(text) == [lock.Pin("cargo", "1.0", "sys_platform == 'win32'", ("a" * 64,))]
