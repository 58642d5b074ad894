"""Finding terminals: what counts as one, and how their own notes about themselves are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.adapters.metaeditor import findings_in
from app.adapters.terminal_folders import NoTerminal, decoded, find_terminals, terminal_in
from tests.cli.terminal_tree import HASHES, Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8", "utf-8-sig", "cp1252"])
def test_text_of_the_terminal_is_read_in_every_alphabet_it_uses(encoding: str) -> None:
    assert decoded(r"C:\Börse\MT5".encode(encoding)) == r"C:\Börse\MT5"


def test_origin_leads_to_the_installation_whatever_the_capitals(tree: Tree) -> None:
    install = tree.installation("MetaTrader 5", build=4885)
    data = tree.data_folder(0, "c:\\program files\\METATRADER 5\r\n")
    (found,) = find_terminals({}, tree.home)
    assert (found.data, found.install, found.build, found.portable) == (data, install, 4885, False)
    assert found.windows_path(install / "x y.exe") == r"C:\Program Files\MetaTrader 5\x y.exe"


def test_an_origin_that_leads_nowhere_still_leaves_a_terminal(tree: Tree) -> None:
    data = tree.data_folder(0, r"D:\gone\MetaTrader 5")
    (found,) = find_terminals({}, tree.home)
    assert (found.data, found.install, found.build, found.editor) == (data, None, None, None)
    assert found.origin == r"D:\gone\MetaTrader 5"


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xff\xfe\x00", b"\0" * 64])
def test_a_damaged_origin_is_no_origin(tree: Tree, content: bytes) -> None:
    data = tree.data_folder()
    (data / "origin.txt").write_bytes(content)
    (found,) = find_terminals({}, tree.home)
    assert (found.data, found.install) == (data, None)


def test_common_and_community_are_no_terminals(tree: Tree) -> None:
    tree.data_folder(0)
    assert [found.data.name for found in find_terminals({}, tree.home)] == [HASHES[0]]


def test_a_named_prefix_counts_beside_the_usual_ones(tree: Tree, tmp_path: Path) -> None:
    other = Tree(tmp_path / "elsewhere")
    other.data_folder(1)
    tree.data_folder(0)
    found = find_terminals({"WINEPREFIX": str(other.prefix)}, tree.home)
    assert [terminal.data.name for terminal in found] == [HASHES[1], HASHES[0]]
    assert [terminal.prefix for terminal in found] == [other.prefix, tree.prefix]


def test_a_program_without_a_version_has_no_build(tree: Tree) -> None:
    install = tree.installation(portable=True)
    for content in (b"", b"MZ", b"\xbd\x04\xef\xfe"):
        (install / "terminal64.exe").write_bytes(content)
        (found,) = find_terminals({}, tree.home)
        assert found.build is None


def test_a_folder_given_by_hand_may_lie_anywhere(tree: Tree, tmp_path: Path) -> None:
    copied = tmp_path / "mounted" / "MT5"
    (copied / "MQL5").mkdir(parents=True)
    found = terminal_in(copied, {}, tree.home)
    assert (found.data, found.prefix) == (copied, None)
    assert found.windows_path(copied / "a") == "Z:" + str(copied / "a").replace("/", "\\")


def test_an_installation_that_was_never_started_is_said(tree: Tree) -> None:
    with pytest.raises(NoTerminal, match="start it once"):
        terminal_in(tree.installation(), {}, tree.home)


def test_findings_of_the_compiler_are_read_from_its_log() -> None:
    log = (
        "C:\\x\\Medulla.mq5 : information: compiling 'Medulla.mq5'\r\n"
        "C:\\Program Files (x86)\\MQL5\\Include\\Medulla\\Gate.mqh(17,5) : error 256: undeclared identifier\r\n"
        "C:\\x\\Medulla.mq5(3,1) : warning 43: possible loss of data (double to int)\r\n"
        "Result: 1 errors, 1 warnings\r\n"
    )
    assert [str(finding) for finding in findings_in(log)] == [
        "Gate.mqh:17:5: error: undeclared identifier",
        "Medulla.mq5:3:1: warning: possible loss of data (double to int)",
    ]
