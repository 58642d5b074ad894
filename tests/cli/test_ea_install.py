"""Installing the Expert Advisor: what lands where, what is never overwritten, what is said when it cannot be done."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from app.adapters import ea_files, pinned_wheel
from app.adapters.pinned_wheel import PinnedWheel
from app.cli import ea, ea_bundle, ea_install
from app.settings import load_settings

from .terminal_tree import DLL, EA_SOURCES, HASHES, Tree, contents, made_up_wheel, script

FETCHES: list[str] = []
SOURCE_FOLDER = ea_bundle.source_folder


def command_line() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    ea.register(app)
    return app


def installed(*arguments: str) -> Result:
    return CliRunner().invoke(command_line(), ["ea", "install", *arguments])


def data_of(*arguments: str) -> dict[str, Any]:
    result = installed("--json", *arguments)
    assert len(result.stdout.strip().splitlines()) == 1, result.stdout + result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["ok"] is (result.exit_code == 0)
    return found


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", str(tmp_path / "no programs"))
    monkeypatch.delenv("WINEPREFIX", raising=False)
    return Tree(home)


@pytest.fixture(autouse=True)
def small_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A part of the real sources: every file is synced to the disk, and these tests install often."""
    folder = tmp_path / "sources"
    (folder / "Include/Medulla").mkdir(parents=True)
    for name in ("Medulla.mq5", "MedullaNoDll.mq5", "Include/Medulla/Gate.mqh", "Include/Medulla/Inputs.mqh"):
        shutil.copyfile(EA_SOURCES / name, folder / name)
    monkeypatch.setattr(ea_bundle, "source_folder", lambda given: SOURCE_FOLDER(given or folder))
    return folder


@pytest.fixture(autouse=True)
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reaches the network: the made-up wheel is what a download gives."""
    pin, path = made_up_wheel(tmp_path)
    FETCHES.clear()

    def fetch(wanted: PinnedWheel, _folder: Path) -> Path:
        FETCHES.append(wanted.requirement)
        return path

    made = functools.partial(ea_install.Installation, wheel=pin, fetch=fetch)
    monkeypatch.setattr(ea_install, "Installation", made)
    return path


@pytest.fixture
def terminal(tree: Tree) -> Path:
    """The usual case: one terminal with its data folder."""
    tree.installation()
    return tree.data_folder()


def test_everything_lands_where_the_terminal_looks_for_it(terminal: Path, data_folder: Path) -> None:
    result = installed("--source", str(EA_SOURCES))
    assert result.exit_code == 0, result.stdout + result.stderr
    found = contents(terminal / "MQL5")
    for name in ("Medulla.mq5", "MedullaNoDll.mq5"):
        assert found[f"Experts/Medulla/{name}"] == (EA_SOURCES / name).read_bytes()
    includes = {file.name: file.read_bytes() for file in (EA_SOURCES / "Include/Medulla").glob("*.mqh")}
    assert {Path(name).name: content for name, content in found.items() if name.endswith(".mqh")} == includes
    assert found["Libraries/libzmq.dll"] == DLL
    assert (data_folder / "terminal.key").read_bytes() == found["Files/Medulla/key.txt"]
    assert stat.S_IMODE((terminal / "MQL5/Files/Medulla/key.txt").stat().st_mode) == 0o600
    assert "Allow DLL imports" in result.stdout
    assert "build 5200" in result.stdout
    assert r"C:\Program Files\MetaTrader 5" in result.stdout
    assert found["Files/Medulla/key.txt"].decode().strip() not in result.stdout


def test_the_preset_names_inputs_that_exist_and_trades_on_demo_accounts_alone(terminal: Path) -> None:
    assert (
        installed("--set", "terminal.command_port=7001", "--set", "safety.max_volume_total=2.5").exit_code
        == 0
    )
    raw = (terminal / "MQL5/Presets/Medulla.set").read_bytes()
    assert raw.startswith(b"\xff\xfe")
    preset = dict(line.split("=", 1) for line in raw.decode("utf-16").splitlines())
    inputs = re.findall(
        r"^input\s+\w+\s+(\w+)=", (EA_SOURCES / "Include/Medulla/Inputs.mqh").read_text(), re.MULTILINE
    )
    assert set(preset) <= set(inputs)
    assert preset["InpCommandPort"] == "7001"
    assert (preset["InpMode"], preset["InpMaxVolumeTotal"], preset["InpMaxVolumePerOrder"]) == (
        "1",
        "2.5",
        "1",
    )
    assert preset["InpKeyFile"] == r"Medulla\key.txt"


def test_a_second_run_changes_nothing_and_needs_no_network(terminal: Path) -> None:
    assert installed().exit_code == 0
    assert FETCHES == ["made==1.0"]
    before = contents(terminal)
    again = data_of()
    assert set(again["terminals"][0]["files"].values()) == {"unchanged"}
    assert contents(terminal) == before
    assert FETCHES == ["made==1.0"]


def test_an_older_version_of_ours_is_replaced_without_a_question(
    terminal: Path, tmp_path: Path, small_sources: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(small_sources, old)
    (old / "Include/Medulla/Gate.mqh").write_text("// an older gate\n")
    (old / "Include/Medulla/Gone.mqh").write_text("// no longer part of it\n")
    (old / "Include/Medulla/Kept.mqh").write_text("// no longer part of it either\n")
    assert installed("--source", str(old)).exit_code == 0
    (terminal / "MQL5/Include/Medulla/Kept.mqh").write_text("// but a person changed it\n")
    found = data_of()
    (one,) = found["terminals"]
    assert one["files"]["MQL5/Include/Medulla/Gate.mqh"] == "updated"
    assert one["removed"] == ["MQL5/Include/Medulla/Gone.mqh"]
    assert one["left"] == ["MQL5/Include/Medulla/Kept.mqh"]
    assert one["backups"] == []
    gate = terminal / "MQL5/Include/Medulla/Gate.mqh"
    assert gate.read_bytes() == (EA_SOURCES / "Include/Medulla/Gate.mqh").read_bytes()
    assert not (terminal / "MQL5/Include/Medulla/Gone.mqh").exists()


def test_a_changed_file_stops_everything_until_a_person_agrees(terminal: Path) -> None:
    assert installed().exit_code == 0
    mine = terminal / "MQL5/Experts/Medulla/Medulla.mq5"
    mine.write_text("// my own\n")
    (terminal / "MQL5/Include/Medulla/Gate.mqh").unlink()
    before = contents(terminal)
    refused = installed()
    assert refused.exit_code == 1
    assert "MQL5/Experts/Medulla/Medulla.mq5" in refused.stdout
    assert "Nothing was written" in refused.stdout
    assert contents(terminal) == before

    agreed = data_of("--yes")
    (backup,) = agreed["terminals"][0]["backups"]
    assert Path(backup).read_text() == "// my own\n"
    assert mine.read_bytes() == (EA_SOURCES / "Medulla.mq5").read_bytes()
    assert installed().exit_code == 0


def test_a_person_who_is_asked_decides(terminal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = terminal / "MQL5/Include/Medulla"
    mine.mkdir()
    (mine / "Gate.mqh").write_text("// mine\n")
    asked: list[str] = []

    def answer(reply: bool) -> Callable[[str], bool]:
        return lambda question: asked.append(question) is None and reply

    monkeypatch.setattr(ea_install, "can_ask", lambda: True)
    monkeypatch.setattr(typer, "confirm", answer(False))
    assert installed().exit_code == 1
    assert not (terminal / "MQL5/Experts/Medulla").exists()
    monkeypatch.setattr(typer, "confirm", answer(True))
    assert installed().exit_code == 0
    assert (mine / "Gate.mqh.before-1").read_text() == "// mine\n"
    assert asked == ["Replace 1 file(s)? A copy of each is kept beside it"] * 2


def test_another_programs_library_is_not_replaced_silently(terminal: Path) -> None:
    (terminal / "MQL5/Libraries/libzmq.dll").write_bytes(b"of another Expert Advisor")
    result = installed()
    assert result.exit_code == 1
    assert "other Expert Advisors here may use it" in result.stdout
    assert (terminal / "MQL5/Libraries/libzmq.dll").read_bytes() == b"of another Expert Advisor"
    assert installed("--no-dll").exit_code == 0
    found = contents(terminal / "MQL5")
    assert "Experts/Medulla/Medulla.mq5" not in found
    assert "Experts/Medulla/MedullaNoDll.mq5" in found


def test_a_library_that_was_there_with_the_right_hash_is_not_ours_to_remove(terminal: Path) -> None:
    (terminal / "MQL5/Libraries/libzmq.dll").write_bytes(DLL)
    assert installed().exit_code == 0
    assert installed("--remove").exit_code == 0
    assert set(contents(terminal / "MQL5")) == {"Libraries/libzmq.dll"}


def test_what_windows_has_itself_is_not_copied(terminal: Path, tree: Tree) -> None:
    system = tree.prefix / "drive_c/windows/system32"
    system.mkdir(parents=True)
    (system / "MSVCP140.dll").write_bytes(b"newer")
    result = installed()
    assert not (terminal / "MQL5/Libraries/msvcp140.dll").exists()
    assert "VCRUNTIME140.dll is not on this Windows" in result.stdout
    (system / "vcruntime140.dll").write_bytes(b"there")
    assert "VCRUNTIME140" not in installed().stdout


def test_a_preset_that_a_person_changed_stays_theirs(terminal: Path) -> None:
    assert installed().exit_code == 0
    preset = terminal / "MQL5/Presets/Medulla.set"
    preset.write_bytes("InpMode=0\r\n".encode("utf-16"))
    found = data_of("--yes")
    assert found["terminals"][0]["files"]["MQL5/Presets/Medulla.set"] == "yours, kept"
    assert preset.read_bytes().decode("utf-16") == "InpMode=0\r\n"


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"files": 7}', '{"files": {"MQL5/x": 1}}', "\udcff"])
def test_a_damaged_manifest_makes_careful_not_careless(terminal: Path, manifest: str) -> None:
    assert installed().exit_code == 0
    (terminal / "MQL5/Experts/Medulla/installed.json").write_bytes(
        manifest.encode("utf-8", "surrogateescape")
    )
    assert installed().exit_code == 0  # all files are what this version has
    (terminal / "MQL5/Experts/Medulla/installed.json").write_text("")
    (terminal / "MQL5/Include/Medulla/Gate.mqh").write_text("// older or mine: nobody knows\n")
    assert installed().exit_code == 1


def test_a_manifest_cannot_lead_out_of_the_folder(terminal: Path, tmp_path: Path) -> None:
    assert installed().exit_code == 0
    victim = tmp_path / "victim.mq5"
    victim.write_text("mine")
    manifest = terminal / "MQL5/Experts/Medulla/installed.json"
    content = json.loads(manifest.read_text())
    digest = hashlib.sha256(b"mine").hexdigest()
    for name in ("../" * 12 + str(victim).lstrip("/"), str(victim), "MQL5/../../" + victim.name):
        content["files"][name] = [digest]
    manifest.write_text(json.dumps(content))
    assert installed("--remove").exit_code == 0
    assert victim.read_text() == "mine"


def test_removing_takes_what_is_unchanged_and_leaves_the_eas_memory(terminal: Path) -> None:
    assert installed().exit_code == 0
    (terminal / "MQL5/Files/Medulla/ledger_1.jsonl").write_text("{}\n")
    (terminal / "MQL5/Include/Medulla/Gate.mqh").write_text("// changed\n")
    before = contents(terminal)
    assert installed("--remove", "--dry-run").exit_code == 0
    assert contents(terminal) == before
    result = installed("--remove")
    assert result.exit_code == 0
    assert "changed since it was installed; left there" in result.stdout
    assert set(contents(terminal / "MQL5")) == {
        "Files/Medulla/ledger_1.jsonl",
        "Include/Medulla/Gate.mqh",
        "Experts/Medulla/installed.json",
    }
    (terminal / "MQL5/Include/Medulla/Gate.mqh").unlink()
    assert installed("--remove").exit_code == 0
    assert set(contents(terminal / "MQL5")) == {"Files/Medulla/ledger_1.jsonl"}
    assert not (terminal / "MQL5/Include/Medulla").exists()
    assert "nothing of ours is there" in installed("--remove").stdout


def test_a_dry_run_writes_nothing_and_says_what_it_would(terminal: Path, data_folder: Path) -> None:
    (terminal / "MQL5/Libraries/libzmq.dll").write_bytes(b"of another")
    before = contents(terminal)
    result = installed("--dry-run")
    assert result.exit_code == 0
    assert "MQL5/Experts/Medulla/Medulla.mq5: new" in result.stdout
    assert "MQL5/Libraries/libzmq.dll: changed by you; would ask first" in result.stdout
    assert "terminal.key would be made" in result.stdout
    assert contents(terminal) == before
    assert contents(data_folder) == {}
    assert FETCHES == []


def test_a_key_that_the_ea_made_first_is_taken_over(terminal: Path, data_folder: Path) -> None:
    place = terminal / "MQL5/Files/Medulla/key.txt"
    place.parent.mkdir()
    place.write_text("ab" * 32 + "\n")
    assert installed().exit_code == 0
    key = data_folder / "terminal.key"
    assert key.read_text() == "ab" * 32 + "\n"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_two_different_keys_are_a_persons_to_settle(terminal: Path, data_folder: Path) -> None:
    place = terminal / "MQL5/Files/Medulla/key.txt"
    place.parent.mkdir()
    place.write_text("ab" * 32 + "\n")
    (data_folder / "terminal.key").write_text("cd" * 32 + "\n")
    (data_folder / "terminal.key").chmod(0o600)
    result = installed()
    assert result.exit_code == 1
    assert "key.txt" in result.stdout
    assert "abab" not in result.stdout
    assert "cdcd" not in result.stdout
    assert installed("--yes").exit_code == 0
    assert place.read_text() == "cd" * 32 + "\n"


def test_a_key_file_of_ours_that_is_no_key_ends_with_code_2(terminal: Path, data_folder: Path) -> None:
    (data_folder / "terminal.key").write_text("not a key")
    (data_folder / "terminal.key").chmod(0o600)
    result = installed()
    assert result.exit_code == 2
    assert "must hold 64 lower-case hex digits" in result.stderr
    assert not (terminal / "MQL5/Experts/Medulla").exists()


# ------------------------------------------------------------------ what can be in the way


def test_a_wheel_with_another_hash_is_not_used(terminal: Path, wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    result = installed()
    assert result.exit_code == 1
    assert "is not the pinned made-1.0" in result.stdout
    assert "Experts/Medulla/Medulla.mq5" not in contents(terminal / "MQL5")


def test_a_wheel_given_as_a_file_needs_no_download(terminal: Path, wheel: Path) -> None:
    assert installed("--wheel", str(wheel)).exit_code == 0
    assert FETCHES == []
    assert (terminal / "MQL5/Libraries/libzmq.dll").read_bytes() == DLL


def test_a_folder_that_cannot_be_written_is_named(terminal: Path) -> None:
    (terminal / "MQL5/Experts").rmdir()
    (terminal / "MQL5/Experts").write_text("a file")
    result = installed()
    assert result.exit_code == 1
    assert "MQL5/Experts/Medulla" in result.stdout


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (PermissionError(errno.EACCES, "Access is denied"), "while a program uses it"),
        (OSError(errno.EROFS, "Read-only file system"), "this user may not write in that folder"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
    ],
)
def test_a_library_in_use_is_said_and_the_next_run_goes_on(
    terminal: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError, words: str
) -> None:
    assert installed().exit_code == 0
    library = terminal / "MQL5/Libraries/libzmq.dll"
    manifest = terminal / "MQL5/Experts/Medulla/installed.json"
    known = json.loads(manifest.read_text())
    library.write_bytes(b"an older one of ours")
    known["files"]["MQL5/Libraries/libzmq.dll"] = [hashlib.sha256(b"an older one of ours").hexdigest()]
    manifest.write_text(json.dumps(known))
    write = ea_files.replace_durably

    def held(path: Path, content: bytes) -> None:
        if path == library:
            raise fault
        write(path, content)

    monkeypatch.setattr(ea_files, "replace_durably", held)
    result = installed()
    assert result.exit_code == 1
    assert words in result.stdout
    assert str(library) in result.stdout
    monkeypatch.setattr(ea_files, "replace_durably", write)
    assert installed().exit_code == 0  # without a question: the manifest still knows the older one
    assert library.read_bytes() == DLL


def test_without_a_terminal_there_is_one_sentence(tree: Tree) -> None:
    result = installed()
    assert result.exit_code == 1
    assert "no MetaTrader 5 terminal found" in result.stderr
    assert "--terminal FOLDER" in result.stderr
    tree.home.mkdir()
    wrong = installed("--terminal", str(tree.home))
    assert wrong.exit_code == 2
    assert "it is no terminal's folder" in wrong.stderr
    assert installed("--terminal", str(tree.home / "nowhere")).exit_code == 2


def test_of_several_terminals_a_person_names_one(tree: Tree) -> None:
    tree.installation()
    first, second = tree.data_folder(0), tree.data_folder(1, r"C:\Program Files\Broker MT5")
    tree.installation("Broker MT5", build=4150)
    result = installed()
    assert result.exit_code == 2
    assert "2 terminals found" in result.stderr
    assert all(name in result.stdout for name in (*HASHES, "build 4150", "build 5200"))
    assert "Experts/Medulla/Medulla.mq5" not in contents(first / "MQL5")
    assert installed("--terminal", str(second / "MQL5")).exit_code == 0
    assert (second / "MQL5/Experts/Medulla/Medulla.mq5").exists()
    assert not (first / "MQL5/Experts/Medulla").exists()
    both = data_of("--all")
    assert [Path(one["data"]) for one in both["terminals"]] == [second, first]
    assert "Several terminals" in both["todo"][-1]
    keys = {(folder / "MQL5/Files/Medulla/key.txt").read_text() for folder in (first, second)}
    assert len(keys) == 1


def test_an_installation_stands_for_its_data_folder(tree: Tree) -> None:
    install, data = tree.installation(), tree.data_folder()
    (install / "MQL5").mkdir()  # every installation has one; the data folder is the one in use
    found = data_of("--terminal", str(install))
    assert [one["data"] for one in found["terminals"]] == [str(data)]
    assert len(data_of()["terminals"]) == 1


def test_a_portable_terminal_keeps_its_data_in_its_own_folder(tree: Tree) -> None:
    install = tree.installation("Portable", portable=True)
    (one,) = data_of()["terminals"]
    assert (one["data"], one["portable"], one["build"]) == (str(install), True, 5200)
    assert (install / "MQL5/Experts/Medulla/Medulla.mq5").exists()


# ------------------------------------------------------------------ compiling


def test_the_editor_is_run_through_wine_with_windows_paths(
    terminal: Path, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree.programs / "MetaTrader 5/MetaEditor64.exe").write_bytes(b"MZ")
    script(tmp_path / "bin/wine")
    heard = tmp_path / "heard"
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("EDITOR_HEARD", str(heard))
    found = data_of()
    compiled = found["terminals"][0]["compiled"]
    assert [(one["source"], one["ok"]) for one in compiled] == [
        ("Medulla.mq5", True),
        ("MedullaNoDll.mq5", True),
    ]
    (words, prefix), _second = map(json.loads, heard.read_text().splitlines())
    windows = rf"C:\users\trader\AppData\Roaming\MetaQuotes\Terminal\{HASHES[0]}\MQL5"
    assert words[1].endswith("MetaEditor64.exe")
    assert words[2] == rf"/compile:{windows}\Experts\Medulla\Medulla.mq5"
    assert words[-1] == f"/include:{windows}"
    assert prefix == str(tree.prefix)
    assert (terminal / "MQL5/Experts/Medulla/Medulla.ex5").exists()
    assert not (terminal / "MQL5/Experts/Medulla/Medulla.log").exists()
    assert installed("--remove").exit_code == 0
    assert contents(terminal / "MQL5") == {}


def test_errors_of_the_compiler_are_shown_with_file_and_line(
    terminal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = script(tmp_path / "bin/metaeditor")
    monkeypatch.setenv("EDITOR_MOOD", "errors")
    result = installed("--metaeditor", str(editor))
    assert result.exit_code == 1
    assert "Gate.mqh:17:5: error: undeclared identifier" in result.stdout
    assert "Medulla.mq5:3:1: warning: possible loss of data" in result.stdout
    assert "keeps running the old one" in result.stdout
    assert "Now in the terminal" not in result.stdout
    monkeypatch.setenv("EDITOR_MOOD", "")
    assert installed("--metaeditor", str(editor)).exit_code == 0


@pytest.mark.parametrize(
    ("mood", "words"), [("silent", "without writing a log"), ("lazy", "there is no new .ex5")]
)
def test_an_editor_that_says_or_makes_nothing_is_not_believed(
    terminal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mood: str, words: str
) -> None:
    editor = script(tmp_path / "bin/metaeditor")
    monkeypatch.setenv("EDITOR_MOOD", mood)
    result = installed("--metaeditor", str(editor))
    assert result.exit_code == 1
    assert words in result.stdout


def test_without_an_editor_the_way_by_hand_is_named(terminal: Path, tree: Tree) -> None:
    assert "press F7" in installed().stdout
    (tree.programs / "MetaTrader 5/metaeditor64.exe").write_bytes(b"MZ")
    assert "no wine on this machine's PATH" in installed().stdout
    assert "not compiled" not in installed("--no-compile").stdout


def test_the_executor_and_the_ea_agree_on_what_a_key_is(terminal: Path, data_folder: Path) -> None:
    assert installed().exit_code == 0
    settings = load_settings(None, {}, {"MEDULLA_DATA_FOLDER": str(data_folder)})
    assert (
        ea_bundle.key_item(bytes.fromhex(settings.terminal.key_file.read_text().strip())).content
        == (terminal / "MQL5/Files/Medulla/key.txt").read_bytes()
    )


def test_what_remains_fits_the_ea_that_is_used(terminal: Path) -> None:
    with_library = installed().stdout
    assert "Attach Medulla to ONE chart" in with_library
    assert "127.0.0.1" not in with_library
    without = installed("--no-dll").stdout
    assert "Attach MedullaNoDll to ONE chart" in without
    assert "Allow DLL imports" not in without
    assert "terminal.transport: listen" in without
    assert (
        "terminal.transport: listen" not in installed("--no-dll", "--set", "terminal.transport=listen").stdout
    )


def test_the_sources_are_found_beside_the_program() -> None:
    assert SOURCE_FOLDER(None) == EA_SOURCES
    names = {item.path.name for item in ea_bundle.source_items(EA_SOURCES, with_library=True)}
    assert {"Medulla.mq5", "MedullaNoDll.mq5", "Core.mqh", "TransportZmq.mqh"} <= names


def test_a_folder_without_sources_is_refused(terminal: Path, tmp_path: Path) -> None:
    result = installed("--source", str(tmp_path))
    assert result.exit_code == 2
    assert "holds no MedullaNoDll.mq5" in result.stderr


def test_the_pin_is_whole() -> None:
    pin = pinned_wheel.LIBZMQ
    assert [file.name for file in pin.files] == ["libzmq.dll", "libsodium-ac42d648.dll", "msvcp140.dll"]
    assert all(
        re.fullmatch("[0-9a-f]{64}", digest) for digest in (pin.sha256, *(file.sha256 for file in pin.files))
    )


def test_a_program_can_follow_the_steps(terminal: Path) -> None:
    result = installed("--json", "--follow")
    *steps, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert last["ok"]
    assert {step["event"] for step in steps} == {"step"}
    assert [step["kind"] for step in steps if "verified" in step["text"]] == ["good"]


def test_terminals_are_listed_for_a_person_and_for_a_program(terminal: Path) -> None:
    listed = CliRunner().invoke(command_line(), ["ea", "list", "--json"])
    [found] = json.loads(listed.stdout)["terminals"]
    assert found["data"] == str(terminal)
    assert str(terminal) in CliRunner().invoke(command_line(), ["ea", "list"]).stdout


def test_no_terminal_is_said_with_the_places_looked_in(tree: Tree) -> None:
    listed = CliRunner().invoke(command_line(), ["ea", "list", "--json"])
    said = json.loads(listed.stdout)
    assert said["terminals"] == []
    assert "no MetaTrader 5 terminal found" in said["words"]
    assert CliRunner().invoke(command_line(), ["ea", "list"]).exit_code == 1
