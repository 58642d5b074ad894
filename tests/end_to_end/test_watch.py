"""Watchdogs and alerts between real processes: told to a webhook, acknowledged, remembered over a kill; a frozen engine
reconciles.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from time import monotonic

import pytest

from tests.adapters.alert_targets import Webhook, webhook

from .conftest import MakeWorld
from .harness import Line, World, ask_engine, until

pytestmark = pytest.mark.processes

BUY = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.10}


def alerts(world: World) -> dict[str, Line]:
    """The newest alert of each code."""
    code, found = ask_engine(world.folder, "GET", "/alerts")
    assert code == 200, found
    return {alert["code"]: alert for alert in reversed(found["alerts"])}


@pytest.fixture(scope="module")
def watched(module_worlds: MakeWorld) -> Iterator[tuple[World, Webhook]]:
    """A world whose alerts go to a webhook."""
    world = module_worlds()
    with webhook() as phone:
        world.brain.open()
        world.start_terminal()
        world.configure()
        world.start_executor(environment=addresses(phone))
        world.brain.heard("STATE")
        yield world, phone


def addresses(phone: Webhook) -> dict[str, str]:
    return {"MEDULLA_ALERTS__URLS": f"json://ann:geheim@127.0.0.1:{phone.port}/token-of-mine"}


def test_an_engine_that_stood_still_reconciles_and_says_so_once(watched: tuple[World, Webhook]) -> None:
    world, phone = watched
    after = world.brain.mark()
    began = monotonic()
    world.executor.freeze()
    until(lambda: monotonic() - began > 6, "longer than an engine may stand still unnoticed")
    world.executor.thaw()
    told = world.brain.heard("ALERT", lambda m: m["code"] == "RESUMED", after=after)
    assert told["severity"] == "warning"
    assert "entries wait until the terminal is reconciled" in told["message"]
    assert world.brain.do(BUY)["result"]["outcome"] == "EXECUTED"
    said = [m["code"] for m in world.brain.messages[after:] if m["type"] == "ALERT"]
    assert said.count("RESUMED") == 1
    assert len(world.ledger()) == 1
    assert phone.about("RESUMED")["title"] == "Medulla exec_e2e: WARNING RESUMED"


def test_a_lost_terminal_reaches_a_phone_and_stays_until_it_is_acknowledged(
    watched: tuple[World, Webhook],
) -> None:
    world, phone = watched
    code, tested = ask_engine(world.folder, "POST", "/alerts/test", by="tests")
    [target] = tested["targets"]
    assert (code, target["name"], target["fault"]) == (200, "1 json", None)
    assert "tests" in phone.about("exec_e2e: test")["message"]

    world.terminal.kill()
    told = phone.about("TERMINAL_LOST")
    assert (told["title"], told["type"]) == ("Medulla exec_e2e: CRITICAL TERMINAL_LOST", "failure")
    world.brain.heard("ALERT", lambda m: m["code"] == "TERMINAL_LOST")
    world.start_terminal()
    world.executor.said("ready", nth=2)
    until(lambda: "TERMINAL_BACK" in alerts(world), "the terminal's return is told")
    lost = alerts(world)["TERMINAL_LOST"]
    assert lost["over_at"] is not None
    assert lost["acknowledged_at"] is None

    # Nobody has seen it yet: a killed engine remembers it.
    world.executor.kill()
    world.start_executor(environment=addresses(phone))
    until(lambda: "TERMINAL_LOST" in alerts(world), "the alert of the run before")
    again = alerts(world)["TERMINAL_LOST"]
    assert (again["alert_id"], again["acknowledged_at"]) == (lost["alert_id"], None)
    acknowledged = world.medulla("alerts", "ack", lost["alert_id"], "--note", "the cable")
    assert (acknowledged.returncode, acknowledged.stdout) == (0, "Acknowledged: 1.\n"), acknowledged.stderr
    assert alerts(world)["TERMINAL_LOST"]["acknowledged_by"] == "command line"
    assert world.brain.do(BUY)["result"]["outcome"] == "EXECUTED"
    assert world.executor.end() == 0
    said = "\n".join(text for _, text in world.words())
    logs = "\n".join(file.read_text(encoding="utf-8") for file in (world.folder / "logs").glob("*.log"))
    for secret in ("geheim", "token-of-mine"):
        assert secret not in said + logs
    with sqlite3.connect(f"file:{world.journal_file}?mode=ro", uri=True) as journal:
        rows = journal.execute("SELECT payload FROM events WHERE kind = 'AlertAcknowledged'").fetchall()
        held = journal.execute("SELECT count(*) FROM events WHERE payload LIKE '%geheim%'").fetchone()
    journal.close()
    assert [json.loads(row[0])["alert_id"] for row in rows] == [lost["alert_id"]]
    assert held == (0,)
