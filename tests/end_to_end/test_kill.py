"""kill -9 in the middle of 500 commands: of the executor, of the terminal, of the brain.

Afterwards the brain sends everything again. Each command was executed at most once, and each has exactly one end. The moment is
chosen by how many results have come, drawn from a seed, so that a failure can be had again.
"""

from __future__ import annotations

import json
import random
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.cli.demo_audit import audit, duplicates

from .conftest import MakeWorld
from .harness import Process, World, until
from .scripted_brain import Message, outcome

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

COMMANDS = 500
MOMENTS = random.Random(500)


def commands(rng: random.Random) -> Iterator[Message]:
    """Opens on two symbols with a close-all now and then; nothing needs the answer of what went before."""
    for number in range(COMMANDS):
        if number % 25 == 24:
            yield {"action": "CLOSE_ALL", "symbol": rng.choice(("EURUSD", "GBPUSD"))}
        else:
            yield {
                "action": "OPEN_POSITION", "symbol": rng.choice(("EURUSD", "GBPUSD")), "type": rng.choice(("BUY", "SELL")),
                "volume": rng.randint(1, 9) / 100,
            }  # fmt: skip


def drive(
    world: World,
    ids: list[str],
    orders: Iterator[Message],
    *,
    finished: int,
    expiry: int = 30_000,
    window: int = 40,
) -> None:
    """Send, with at most `window` commands open, until `finished` commands have ended."""
    brain = world.brain
    while (ended := brain.finished(ids)) < finished:
        open_ones = len(ids) - ended
        while open_ones < window and len(ids) < COMMANDS:
            ids.append(brain.order(next(orders), expiry=expiry))
            open_ones += 1
        # Than when it was looked: the last one may have come meanwhile.
        brain.further(ids, ended)


def judge(world: World, ids: list[str]) -> Counter[str]:
    """The three books after all is over. Returns how the commands ended."""
    ends = world.brain.ends_of(ids, timeout=90)
    world.executor.end()
    world.terminal.end()
    journal, ledger = world.journal(), world.ledger()
    acted = Counter(line["cid"] for line in ledger if line["cid"] is not None)
    assert duplicates(ledger) == 0
    for command_id, end in ends.items():
        finals = {
            json.dumps(result["result"], default=str)
            for result in world.brain.results[command_id]
            if result["result"]["outcome"] != "UNKNOWN"
        }
        assert len(finals) <= 1, (command_id, finals)
        row = journal[command_id]
        if end["type"] == "COMMAND_ACK":
            assert (row["state"], acted[command_id]) == ("TURNED_AWAY", 0), (command_id, end)
            continue
        assert row["outcome"] == end["result"]["outcome"], (command_id, end, dict(row))
        if row["action"] == "OPEN_POSITION":
            assert acted[command_id] == (1 if end["result"]["success"] else 0), (command_id, end, dict(row))
        elif end["result"]["outcome"] == "OPERATOR":
            # The terminal died between two of its closings: nobody calls that done or not done.
            assert row["action"] == "CLOSE_ALL", (command_id, end, dict(row))
        elif not end["result"]["success"]:
            assert acted[command_id] == 0, (command_id, end, dict(row))
    assert set(acted) <= set(ends)
    return Counter(outcome(end) for end in ends.values())


def test_the_executor_is_killed(make_world: MakeWorld) -> None:
    world = make_world()
    world.start()
    ids: list[str] = []
    orders = commands(random.Random(1))
    for moment in sorted(MOMENTS.sample(range(50, 400), 2)):
        drive(world, ids, orders, finished=moment)
        world.executor.kill()
        with world.brain.reconnection():
            world.start_executor()
        world.brain.send_again(ids)
    drive(world, ids, orders, finished=COMMANDS)
    ends = judge(world, ids)
    # It may have been sent or not when the process died: nothing else is ever refused.
    assert ends["EXECUTED"] >= COMMANDS - 2, ends
    checked = world.medulla("journal", "verify")
    assert checked.returncode == 0, checked.stderr


def test_the_terminal_is_killed(make_world: MakeWorld) -> None:
    world = make_world()
    world.start(terminal_settings={"answer_timeout": 2.0})
    ids: list[str] = []
    orders = commands(random.Random(2))
    drive(world, ids, orders, finished=MOMENTS.randint(50, 400), expiry=5000)
    after = world.brain.mark()
    world.terminal.kill()
    world.brain.heard("ALERT", lambda m: m["code"] == "TERMINAL_LOST", after=after)
    world.start_terminal()
    world.executor.said("ready", nth=2)
    world.brain.send_again(ids)
    # What nobody knows yet is settled once it cannot be sent any more; until then its symbol takes no entries.
    world.brain.ends_of(world.brain.told_unknown(), timeout=200)
    drive(world, ids, orders, finished=COMMANDS)
    ends = judge(world, ids)
    assert len(world.brain.told_unknown()) <= 1
    assert set(ends) <= {"EXECUTED", "REJECTED TERMINAL_LOST", "OPERATOR OUTCOME_UNKNOWN"}, ends
    assert ends["EXECUTED"] >= COMMANDS - 45, ends


def test_the_brain_is_killed(make_world: MakeWorld) -> None:
    """The reference brain: what it forgets, nobody sends again."""
    world = make_world()
    terminal = world.start_terminal()
    api_key, database = secrets.token_urlsafe(24), world.folder / "brain.db"
    brain, ready = _reference_brain(world, api_key, "--commands", str(COMMANDS), "--rate", "150")
    world.brain.port, world.brain.api_key = ready["port"], api_key
    world.configure(
        brain={
            "url": f"ws://127.0.0.1:{ready['port']}", "executor_id": world.brain.executor_id,
            "signing_keys": {ready["keyId"]: ready["publicKey"]},
        },
    )  # fmt: skip
    world.start_executor()
    moment = MOMENTS.randint(50, 400)
    until(lambda: len(world.ledger()) >= moment, f"{moment} effects in the ledger", timeout=90)
    brain.kill()
    asked = len(_statuses(database))
    assert asked < COMMANDS
    brain, _ready = _reference_brain(world, api_key)
    until(lambda: _unfinished(database) == 0, "every command has an end", timeout=90)
    brain.end()
    world.executor.end()
    terminal.end()
    statuses = _statuses(database)
    assert len(statuses) == asked
    found = audit(world.folder / "ledger.jsonl", database)
    assert (found.duplicates, found.lost, found.unasked) == (0, 0, 0), found
    journal = world.journal()
    for command_id, status in statuses.items():
        if command_id in journal:
            assert journal[command_id]["final"], dict(journal[command_id])
            if status == "executed":
                assert journal[command_id]["outcome"] in ("EXECUTED", "PARTIAL")
    assert set(journal) <= set(statuses)


def _reference_brain(world: World, api_key: str, *more: str) -> tuple[Process, Message]:
    process = world.process(
        "brain", "brain", "--port", str(world.brain.port), "--db", str(world.folder / "brain.db"),
        "--executor-id", world.brain.executor_id, "--key-file", str(world.folder / "brain.key"), "--json",
        "--exit-with-parent", *more, environment={"MEDULLA_BRAIN_API_KEY": api_key},
    )  # fmt: skip
    return process, process.said("ready")


def _statuses(database: Path) -> dict[str, str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT id, status FROM commands").fetchall())


def _unfinished(database: Path) -> int:
    return sum(
        1
        for status in _statuses(database).values()
        if status not in ("executed", "failed", "refused", "expired", "cancelled")
    )
