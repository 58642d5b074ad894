"""`start.py` as a person runs it: real environments and processes, in a miniature checkout without a network."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.installer.miniature import Miniature, make_miniature, make_wheel


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """A miniature that has been started once."""
    miniature = make_miniature(tmp_path_factory.mktemp("built"))
    first = miniature.start("doctor")
    assert first.returncode == 0, first.stderr
    assert "making the environment" in first.stderr
    return miniature


def test_a_later_start_says_nothing_and_hands_over_words_folder_and_exit_code(
    built: Miniature, tmp_path: Path
) -> None:
    again = built.start("end", "7", "two words", "--", "", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (7, "")
    assert json.loads(again.stdout) == {"arguments": ["end", "7", "two words", "--", ""], "cargo": 7}


def test_run_with_two_dashes_gives_everything_behind_them_to_medulla(built: Miniature) -> None:
    assert json.loads(built.start("run", "--", "stop", "--reason", "x").stdout)["arguments"] == [
        "stop",
        "--reason",
        "x",
    ]
    assert json.loads(built.start("run", "--headless").stdout)["arguments"] == ["run", "--headless"]


def test_a_demo_without_a_screen_is_told_to_do_without(built: Miniature) -> None:
    demo = built.start("demo", "--json")
    assert json.loads(demo.stdout)["arguments"] == ["demo", "--json", "--headless"]
    assert "no screen here" in demo.stderr


def test_the_program_of_the_environment_runs_by_itself_and_pip_knows_it(
    built: Miniature, tmp_path: Path
) -> None:
    program = built.root / ".venv" / "bin" / "medulla"
    alone = subprocess.run(
        [program, "status"], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=30
    )
    assert json.loads(alone.stdout)["arguments"] == ["status"]
    python = built.root / ".venv" / "bin" / "python"
    checked = subprocess.run(
        [python, "-m", "pip", "check"], capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout
    asked = [python, "-P", "-c", "from importlib.metadata import version; print(version('medulla'))"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout == "0.0.7\n"


def test_ctrl_c_reaches_the_program_and_its_exit_code_comes_back(built: Miniature) -> None:
    with subprocess.Popen(
        built.command("wait"), stdout=subprocess.PIPE, text=True, env=built.environ(), cwd=built.root
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 9


def test_without_a_network_one_sentence_says_so_and_the_next_start_makes_it_whole(built: Miniature) -> None:
    (built.library / "left_over.py").touch()
    (built.library / "cargo.py").write_text("WEIGHT = ", encoding="utf-8")
    built.want_more("desktop", "anchor")
    nowhere = {"PIP_NO_INDEX": "", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    refused = built.start("setup", "desktop", **nowhere)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "no network connection to the package index" in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr

    repaired = built.start("doctor")
    assert json.loads(repaired.stdout)["cargo"] == 7
    assert "unfinished" in repaired.stderr
    assert not (built.library / "left_over.py").exists()
    assert not list(built.root.glob(".venv-old-*"))
    assert built.start("doctor").stderr == ""


def test_a_bigger_profile_is_added_to_what_stands_and_serves_the_smaller_one(built: Miniature) -> None:
    built.want_more("desktop", "ballast")
    grown = built.start("setup", "desktop")
    assert grown.returncode == 0, grown.stderr
    assert "adding what desktop needs" in grown.stderr
    assert (built.library / "ballast.py").exists()
    assert built.start("setup", "run").stderr == ""
    assert built.start("doctor").stderr == ""


def test_a_file_with_another_hash_is_refused_and_nothing_counts_as_ready(built: Miniature) -> None:
    built.want_more("test", "sail")
    make_wheel(built.wheels, "sail", 666)
    refused = built.start("setup", "test")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "not the one this checkout was tested with" in refused.stderr.splitlines()[-1]
    assert not (built.library / "sail.py").exists()
    assert not (built.root / ".venv" / "medulla-stamp.json").exists()


def test_a_killed_set_up_and_two_starts_at_once_end_in_one_good_environment(tmp_path: Path) -> None:
    """The killed one leaves its pip running; it must not write into what the others then build."""
    miniature = make_miniature(tmp_path)
    with subprocess.Popen(
        miniature.command("doctor"),
        stderr=subprocess.PIPE,
        text=True,
        env=miniature.environ(),
        cwd=miniature.root,
    ) as killed:
        assert killed.stderr is not None
        assert any("fetching and installing" in line for line in killed.stderr)
        killed.kill()
    both = [
        subprocess.Popen(
            miniature.command("doctor"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=miniature.environ(),
            cwd=miniature.root,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=90) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [json.loads(out)["cargo"] for out, _ in said] == [7, 7]
    assert sum("making the environment" in err for _, err in said) == 1
    assert miniature.start("doctor").stderr == ""
