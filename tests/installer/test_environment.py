"""When an environment counts as good, and what the set-up refuses to touch."""

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from installer import environment, set_up_lock
from installer.console import Progress, SetUpError
from installer.environment import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Locks of all profiles, and an environment that looks finished for `desktop`."""
    made = Checkout(tmp_path)
    (tmp_path / "requirements").mkdir()
    for profile in environment.PROFILES:
        made.lock(profile).write_text(f"# {profile}\n")
    made.scripts.mkdir(parents=True)
    made.python.symlink_to(sys.executable)
    stamp_for(made, "desktop")
    return made


def stamp_for(checkout: Checkout, profile: str) -> None:
    checkout.stamp.write_text(json.dumps(environment.wanted_stamp(checkout, profile)))


def test_it_serves_its_profile_and_the_smaller_ones_only(checkout: Checkout) -> None:
    assert {name: environment.serves(checkout, name) for name in environment.PROFILES} == {
        "run": True,
        "desktop": True,
        "test": False,
    }


def test_only_its_own_lock_makes_it_stale_and_line_ends_do_not(checkout: Checkout) -> None:
    checkout.lock("test").write_text("# other\n")
    checkout.lock("desktop").write_bytes(b"# desktop\r\n")
    assert environment.serves(checkout, "run")
    checkout.lock("desktop").write_text("# newer\n")
    assert not environment.serves(checkout, "run")


def test_another_python_makes_it_stale(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_python_version", lambda: "3.99")
    assert not environment.serves(checkout, "run")


def test_a_moved_checkout_makes_it_stale(checkout: Checkout, tmp_path: Path) -> None:
    moved = shutil.copytree(tmp_path, tmp_path.with_name("moved"), symlinks=True)
    assert not environment.serves(Checkout(moved), "run")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"profile": 3}', '{"profile": "unheard of"}'])
def test_a_damaged_stamp_is_no_stamp(checkout: Checkout, text: str) -> None:
    checkout.stamp.write_text(text)
    assert not environment.serves(checkout, "run")


def test_an_environment_whose_python_is_gone_is_not_good(checkout: Checkout, tmp_path: Path) -> None:
    checkout.python.unlink()
    checkout.python.symlink_to(tmp_path / "removed")
    assert not environment.serves(checkout, "run")


def test_a_missing_lock_is_named(checkout: Checkout) -> None:
    checkout.lock("test").unlink()
    with pytest.raises(SetUpError, match=r"test\.lock cannot be read .* git checkout -- requirements"):
        environment.make_ready(checkout, "test", fresh=True)


def test_somebody_elses_environment_is_left_alone(checkout: Checkout) -> None:
    checkout.stamp.unlink()
    with pytest.raises(SetUpError, match="was not made by this program"):
        environment.make_ready(checkout, "run")
    assert checkout.python.exists()


def test_an_environment_in_use_is_not_pulled_away_from_under_the_program(checkout: Checkout) -> None:
    """A running engine loads modules late: replacing its packages would break it while it trades."""
    checkout.lock("desktop").write_text("# newer\n")
    with subprocess.Popen(
        [checkout.python, "-c", "print('up', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        with pytest.raises(SetUpError, match=rf"running from .* \(process {running.pid}\).* stop it first"):
            environment.make_ready(checkout, "desktop")
        assert checkout.python.exists()
        running.communicate("\n", timeout=30)


def test_too_little_disk_space_is_said_before_anything_is_fetched(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 12_000_000))
    with pytest.raises(SetUpError, match="12 MB free, about 900 MB needed"):
        environment.make_ready(checkout, "test")
    assert environment.serves(checkout, "desktop")


def test_a_folder_that_cannot_be_written_is_one_sentence(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(SetUpError, match=r"cannot be written \(Read-only file system\): put the checkout"):
        environment.make_ready(checkout, "test")


def test_a_good_environment_is_used_without_writing_anything(checkout: Checkout) -> None:
    environment.make_ready(checkout, "run")
    assert not checkout.notes.exists()


def test_a_second_set_up_gives_up_with_a_sentence_when_the_first_never_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with set_up_lock.SetUpLock(tmp_path, Progress()):
        second = set_up_lock.SetUpLock(tmp_path, Progress(), patience_s=0.0)
        with pytest.raises(SetUpError, match="another set-up has held"):
            second.__enter__()
    assert "waiting for it" in capsys.readouterr().err
    with set_up_lock.SetUpLock(tmp_path, Progress(), patience_s=0.0):
        assert (tmp_path / "lock").exists()
