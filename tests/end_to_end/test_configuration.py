"""Wrong configuration and a damaged place: one clear sentence, the right exit code, and every file as it was."""

from __future__ import annotations

import hashlib
import shutil
import socket
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from .conftest import MakeWorld
from .harness import Process, run_medulla, trading_state, until

pytestmark = pytest.mark.processes

GOOD = "api:\n  port: 0\n"
MISTAKES: dict[str, tuple[str, tuple[str, ...]]] = {
    "a misspelt key": ("brain:\n  ulr: wss://a/\n", (":2:", "brain.ulr", "nearest", "brain.url")),
    "a misspelt group": ("saftey:\n  max_positions: 1\n", (":1:", "saftey", "safety")),
    "a word for a port": ("api:\n  port: here\n", (":2:", "api.port", "'here'", "allowed", "65535")),
    "a port that is none": ("terminal:\n  command_port: 70000\n", (":2:", "terminal.command_port", "'70000'", "allowed")),
    "plain text over a network": ("brain:\n  url: ws://brain.example.com/\n", (":2:", "brain.url", "wss://")),
    "no address": ("brain:\n  url: brain.example.com\n", (":2:", "brain.url", "allowed")),
    "negative lots": ("safety:\n  max_volume_per_order: -1\n", (":2:", "safety.max_volume_per_order", "'-1'", "lots")),
    "a key that is too short": (
        "brain:\n  signing_keys:\n    b1: QUJD\n", (":2:", "brain.signing_keys", "32-byte"),
    ),
    "maybe": ("brain:\n  allow_unsigned: maybe\n", (":2:", "brain.allow_unsigned", "'maybe'", "true or false")),
    "a symbol that is none": ("safety:\n  allowed_symbols: ['']\n", (":2:", "safety.allowed_symbols", "allowed")),
    "hours that are none": (
        "safety:\n  sessions: [{days: [mon], start: '25:00', end: '26:00'}]\n", (":2:", "safety.sessions", "HH:MM"),
    ),
    "one port twice": (
        "terminal:\n  command_port: 5600\n  stream_port: 5600\n", ("terminal.", "5600", "not also"),
    ),
    "a key twice": ("api:\n  port: 1\n  port: 2\n", (":3:", "api.port", "twice")),
    "no YAML": ("api: [\n", ("is not YAML",)),
    "a list for a file": ("- 1\n", ("key: value",)),
    "a promise that is gone": ("journal:\n  retention_days: 400\n", (":2:", "journal.retention_days", "gone", "delete the line")),
    "a secret in a file": ("alerts:\n  urls: tgram://123:abc/456\n", (":2:", "alerts.urls", "MEDULLA_ALERTS__URLS")),
}  # fmt: skip


@pytest.fixture(scope="module")
def answers(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[Path, subprocess.CompletedProcess[str]]]:
    """Every mistake is started at once, two at a time: most of it is Python's own start."""
    folder = tmp_path_factory.mktemp("mistakes")

    def start(case: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
        place = folder / f"case{list(MISTAKES).index(case)}"
        place.mkdir()
        config = place / "config.yaml"
        config.write_text(MISTAKES[case][0], encoding="utf-8")
        return config, run_medulla(place, "run", "--headless", "--config", str(config), timeout=40)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(MISTAKES, pool.map(start, MISTAKES), strict=True))


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_that_says_where_what_and_what_is_allowed(
    answers: dict[str, tuple[Path, subprocess.CompletedProcess[str]]], case: str
) -> None:
    config, done = answers[case]
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    for words in (str(config), *MISTAKES[case][1]):
        assert words in done.stderr, done.stderr
    assert [path.name for path in config.parent.iterdir()] == ["config.yaml"]


def test_the_environment_and_the_command_line_are_named_too(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(GOOD)
    done = run_medulla(tmp_path, "run", "--config", str(config), environment={"MEDULLA_API__PORT": "high"})
    assert (done.returncode, "MEDULLA_API__PORT" in done.stderr) == (2, True)
    done = run_medulla(tmp_path, "run", "--config", str(config), "--set", "api.prot=1")
    assert (done.returncode, "api.port" in done.stderr) == (2, True)
    done = run_medulla(tmp_path, "run", "--config", str(tmp_path / "missing.yaml"))
    assert (done.returncode, "missing.yaml" in done.stderr) == (2, True)
    done = run_medulla(tmp_path, "run", "--config", str(config), "--set", "brain.url=ws://127.0.0.1:1/")
    assert (done.returncode, "api_key" in done.stderr.replace("API_KEY", "api_key")) == (2, True)


# ------------------------------------------------------------------ the place


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that an engine has worked in and left."""
    folder = tmp_path_factory.mktemp("worked")
    (folder / "config.yaml").write_text(GOOD + f"data_folder: {folder}\n")
    engine = Process("executor", ["run", "--headless", "--config", str(folder / "config.yaml")], folder)
    engine.said("started")
    assert engine.end() == 0
    return folder


@pytest.fixture
def place(journal: Path, tmp_path: Path) -> Path:
    """A copy of it to be spoilt."""
    copy = tmp_path / "place"
    shutil.copytree(journal, copy)
    (copy / "config.yaml").write_text(GOOD + f"data_folder: {copy}\n")
    return copy


def fingerprints(folder: Path) -> dict[str, str]:
    """What must be left alone: every file but logs and locks."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "logs" not in path.parts and path.suffix not in (".lock", ".stdout", ".stderr")
    }


def refuses(folder: Path, code: int, *words: str) -> None:
    before = fingerprints(folder)
    done = run_medulla(folder, "run", "--headless", "--config", str(folder / "config.yaml"))
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert fingerprints(folder) == before


def test_a_port_in_use(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (place / "config.yaml").write_text(f"api:\n  port: {port}\ndata_folder: {place}\n")
        refuses(place, 2, "api.port", str(port))


def test_a_journal_that_another_instance_uses(place: Path) -> None:
    engine = Process("executor", ["run", "--headless", "--config", str(place / "config.yaml")], place)
    try:
        engine.said("started")
        done = run_medulla(place, "run", "--headless", "--config", str(place / "config.yaml"))
        assert done.returncode == 1, done.stderr
        assert done.stderr.count("\n") == 1
        for word in ("journal.db", "in use", str(engine.process.pid)):
            assert word in done.stderr
        assert trading_state(place) == "ACTIVE", "the first one goes on"
    finally:
        assert engine.end() == 0


def test_a_folder_that_cannot_be_written(place: Path) -> None:
    """Below a regular file, so that not even an administrator can write there."""
    (place / "occupied").write_text("a file")
    below = place / "occupied" / "below"
    for settings, words in (
        (f"data_folder: {below}\n", ("occupied/below", "Not a directory")),
        (f"data_folder: {place}\njournal:\n  path: {below}/journal.db\n", ("journal", "occupied/below", "cannot be written")),
    ):  # fmt: skip
        (place / "config.yaml").write_text(settings + GOOD)
        before = fingerprints(place)
        done = run_medulla(place, "run", "--headless", "--config", str(place / "config.yaml"))
        assert done.returncode in (1, 2), done
        # Before the one sentence there may be a word about the log's folder, which is no reason not to start.
        for word in words:
            assert word in done.stderr.splitlines()[-1], done.stderr
        assert "Traceback" not in done.stderr
        assert fingerprints(place) == before


def test_a_damaged_journal(place: Path) -> None:
    file = place / "journal.db"
    content = bytearray(file.read_bytes())
    content[4096 : 4096 * 3] = b"\xa5" * 4096 * 2
    file.write_bytes(bytes(content))
    refuses(place, 1, "journal.db", "damaged", "not touched")
    file.write_bytes(b"")
    refuses(place, 1, "journal.db", "empty")
    file.write_text("no database at all, but a letter\n" * 200)
    refuses(place, 1, "journal.db", "damaged")


def test_a_journal_of_a_newer_version(place: Path) -> None:
    with closing(sqlite3.connect(place / "journal.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    refuses(place, 1, "journal.db", "newer", "0999")


def test_a_lost_latch_means_halted(place: Path) -> None:
    """A stop might have been in it: a store that was there before and is gone or spoilt is a stop."""
    for spoilt in (None, "{"):
        (place / "latch.json").unlink()
        if spoilt is not None:
            (place / "latch.json").write_text(spoilt)
        engine = Process("executor", ["run", "--headless", "--config", str(place / "config.yaml")], place)
        try:
            engine.said("started")
            until((place / "engine.json").exists, "the engine announces itself")
            assert trading_state(place) == "HALTED"
        finally:
            assert engine.end() == 0


def test_a_wrong_key_is_said_to_the_operator_and_costs_no_storm(make_world: MakeWorld) -> None:
    """The brain answers 401: the engine lives, waits for a person, and never shows the key."""
    world = make_world()
    world.brain.turns_away = True
    world.brain.open()
    world.start_terminal()
    world.configure()
    world.start_executor()
    alert = world.executor.said("alert", where=lambda line: line["code"] == "BRAIN_REFUSED")
    assert "401" in alert["message"]
    assert world.status()["ready"] is True
    assert len(world.brain.requests) == 1
    assert world.brain.api_key not in world.executor.words()
