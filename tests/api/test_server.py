"""Every route over a real socket: what is asked of the engine, and what is answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from app.api import routes
from app.api.asks import OperateAsk
from app.api.client import RequestRefused
from app.api.schemas import EquityModel
from app.api.server import ApiServer
from app.domain.commands import UNCHANGED, CancelOrder, CloseAll, ClosePosition, ModifyPosition
from app.domain.errors import ConfigurationError, JournalFailed, TerminalUnavailable
from app.domain.values import Price, Ticket, Volume
from app.engine.control import Refused
from app.engine.snapshots import AlertView, HotkeyView, TargetView

from .fake_control import BIG_TICKET, NOON, WORD, FakeControl
from .running import TOKENS, api_client, raw_client, serving


async def test_the_status_keeps_every_digit_and_names_what_is_missing() -> None:
    async with serving(FakeControl(), ("a warning",)) as server, raw_client(server, TOKENS.read) as client:
        body = (await client.get("/status")).json()
    assert body["status"] == {
        "state": "ACTIVE",
        "epoch": 7,
        "reason": "started",
        "by": "operator",
        "since": "2026-11-20T12:00:00Z",
    }
    assert body["account"]["balance"] == "10000.00"
    assert body["account"]["margin_level"] is None
    assert body["permissions"]["missing"] == ["Algo Trading button"]
    assert body["links"][1] == {"name": "brain", "state": "down", "detail": "no url", "latency_ms": None}
    assert body["warnings"] == ["a warning"]
    assert "commands" not in body


async def test_lists_come_with_tickets_as_text() -> None:
    async with serving(FakeControl()) as server, api_client(server) as client:
        assert [(p.ticket, str(p.volume)) for p in (await client.positions()).positions] == [("5001", "0.10")]
        assert [(o.ticket, o.kind) for o in (await client.orders()).orders] == [("6001", "BUY_LIMIT")]
        assert [(q.symbol, q.bid < q.ask) for q in (await client.quotes()).quotes] == [("EURUSD", True)]
        commands = (await client.commands(limit=1)).commands
        assert [c.command_id for c in commands] == ["c-2"]
        assert commands[0].result is not None
        assert commands[0].result.ticket == str(BIG_TICKET)
        assert "medulla_queue_depth 0" in await client.metrics()


async def test_a_commands_history_comes_from_the_journal() -> None:
    async with serving(FakeControl()) as server, api_client(server) as client:
        history = await client.command("c-1")
        assert (history.command_id, history.state, [row.seq for row in history.rows]) == (
            "c-1",
            "RECEIVED",
            [1, 2, 3],
        )
        assert history.rows[0].payload["volume"] == "0.10"
        with pytest.raises(RequestRefused) as refused:
            await client.command("never")
        assert (refused.value.status, refused.value.code) == (404, "UNKNOWN_COMMAND")


async def test_journal_rows_are_paged() -> None:
    async with serving(FakeControl()) as server, api_client(server) as client:
        first = await client.journal_rows(limit=2)
        assert ([row.seq for row in first.rows], first.next_after) == ([1, 2], 2)
        rest = await client.journal_rows(after=first.next_after)
        assert ([row.seq for row in rest.rows], rest.next_after) == ([3], 3)
        last = await client.journal_rows(after=3)
        assert (last.rows, last.next_after) == ((), 3)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "after=-1", "after=x", "limit=٣", "limit=1e3"])
async def test_a_bad_page_is_refused_by_name(query: str) -> None:
    async with serving(FakeControl()) as server, raw_client(server, TOKENS.read) as client:
        answer = await client.get(f"/journal/rows?{query}")
        assert answer.status_code == 400
        assert query.split("=", maxsplit=1)[0] in answer.json()["message"]


async def test_a_stop_passes_while_the_journal_hangs() -> None:
    control = FakeControl()
    control.held.free.clear()
    async with serving(control) as server, raw_client(server, TOKENS.control) as client:
        reading = [asyncio.Task(client.get("/journal/rows")) for _ in range(5)]
        await control.held.waiting.wait()
        receipt = (await client.post("/emergency-stop", json={"reason": "fire", "by": "ann"})).json()
        assert receipt["latched"] is True
        assert receipt["proofs"] == ["latched", "terminal acknowledged"]
        assert not any(task.done() for task in reading)
        control.held.free.set()
        assert {answer.status_code for answer in await asyncio.gather(*reading)} == {200}
    assert control.asked == [("stop", {"reason": "fire", "by": "ann", "close_positions": None})]


async def test_a_reader_of_a_hanging_journal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "JOURNAL_TIMEOUT", 0.01)
    control = FakeControl()
    control.held.free.clear()
    async with serving(control) as server, raw_client(server, TOKENS.read) as client:
        answer = await client.get("/commands/c-1")
        assert (answer.status_code, answer.json()["code"]) == (504, "TIMED_OUT")


async def test_a_stop_needs_no_body_at_all() -> None:
    control = FakeControl()
    async with serving(control) as server, raw_client(server, TOKENS.control) as client:
        assert (await client.get("/stop-receipt")).status_code == 404
        assert (await client.post("/emergency-stop")).json()["by"] == "operator"
        assert (await client.get("/stop-receipt")).json()["latched"] is True


async def test_every_act_reaches_the_engine_with_who_and_why() -> None:
    control = FakeControl()
    async with serving(control) as server, api_client(server) as client:
        await client.emergency_stop(reason="r", close_positions=True)
        await client.pause(reason="lunch", by="bob")
        challenge = await client.reset_challenge()
        await client.reset(word=challenge.word, note="looked at the account")
        await client.resume()
        await client.acknowledge_unknown("c-9", note="seen")
        await client.reenable_limit("max_daily_loss", note="new day")
        await client.retry_brain()
        assert await client.acknowledge_alert("20261121T120000-3", note="on it", by="ann") == 1
        assert await client.acknowledge_alert("all") == 1
        tested = await client.test_alerts(by="ann")
        assert [(target.name, target.fault) for target in tested.targets] == [
            ("1 json", None),
            ("2 tgram", "no answer"),
        ]
    assert control.asked == [
        ("stop", {"reason": "r", "by": "operator", "close_positions": True}),
        ("pause", {"reason": "lunch", "by": "bob"}),
        ("reset_challenge", {}),
        ("reset", {"word": WORD, "by": "operator", "note": "looked at the account"}),
        ("resume", {"by": "operator"}),
        ("acknowledge_unknown", {"command_id": "c-9", "by": "operator", "note": "seen"}),
        ("reenable_limit", {"limit": "max_daily_loss", "by": "operator", "note": "new day"}),
        ("retry_brain", {}),
        ("acknowledge_alert", {"alert_id": "20261121T120000-3", "by": "ann", "note": "on it"}),
        ("acknowledge_alert", {"alert_id": "all", "by": "operator", "note": ""}),
        ("test_alerts", {"by": "ann"}),
    ]


async def test_alerts_and_their_targets_are_shown() -> None:
    control = FakeControl()
    control.now = replace(
        control.now,
        alerts=(
            AlertView("a-2", NOON, "critical", "TERMINAL_LOST", "gone", over_at=NOON),
            AlertView("a-1", NOON, "info", "X", "y", acknowledged_at=NOON, acknowledged_by="ann"),
        ),
        alert_targets=(TargetView("1 json", 3, 1, "no answer"),),
        hotkey=HotkeyView("Ctrl+Alt+Shift+S", "taken", "another program"),
        brain_clock_offset=-1.5,
    )
    async with serving(control) as server, api_client(server) as client:
        found = await client.alerts()
        status = await client.status()
    assert [(alert.alert_id, alert.over_at, alert.acknowledged_by) for alert in found.alerts] == [
        ("a-2", NOON, None),
        ("a-1", None, "ann"),
    ]
    assert [(target.name, target.sent, target.dropped, target.fault) for target in found.targets] == [
        ("1 json", 3, 1, "no answer")
    ]
    assert status.hotkey is not None
    assert (status.hotkey.state, status.brain_clock_offset) == ("taken", -1.5)


async def test_reading_alone_acknowledges_nothing() -> None:
    control = FakeControl()
    async with serving(control) as server, raw_client(server, TOKENS.read) as client:
        assert (await client.get("/alerts")).status_code == 200
        assert (await client.post("/alerts/all/acknowledge", json={})).status_code == 403
        assert (await client.post("/alerts/test", json={})).status_code == 403
    assert control.asked == []


@pytest.mark.parametrize(
    ("ask", "action"),
    [
        (
            {"action": "CLOSE_POSITION", "ticket": "5001", "volume": "0.10"},
            ClosePosition(Ticket(5001), Volume("0.10")),
        ),
        ({"action": "CLOSE_POSITION", "ticket": str(BIG_TICKET)}, ClosePosition(Ticket(BIG_TICKET))),
        ({"action": "CANCEL_ORDER", "ticket": 6001}, CancelOrder(Ticket(6001))),
        ({"action": "CLOSE_ALL"}, CloseAll()),
        (
            {"action": "MODIFY_POSITION", "ticket": "5001", "stop_loss": "0", "take_profit": "1.2"},
            ModifyPosition(Ticket(5001), None, Price("1.2")),
        ),
        (
            {"action": "MODIFY_POSITION", "ticket": "1", "stop_loss": "1.1"},
            ModifyPosition(Ticket(1), Price("1.1"), UNCHANGED),
        ),
    ],
)
async def test_an_operators_command_becomes_the_domains(ask: dict[str, Any], action: object) -> None:
    control = FakeControl()
    async with serving(control) as server, api_client(server) as client:
        result = await client.operate(OperateAsk.model_validate(ask))
    assert result.outcome == "EXECUTED"
    assert control.asked == [("operate", {"action": action, "by": "operator"})]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/operate", b'{"action":"OPEN_POSITION"}', "action"),
        ("/operate", b'{"action":"CLOSE_POSITION"}', "ticket"),
        ("/operate", b'{"action":"CANCEL_ORDER","ticket":"1","volume":"1"}', "volume"),
        ("/operate", b'{"action":"CLOSE_POSITION","ticket":"1","volume":"-1"}', "volume"),
        ("/operate", b'{"action":"CLOSE_POSITION","ticket":"1","ticket":"2"}', "duplicate key"),
        ("/emergency-stop", b'{"reason":"x","colse_positions":true}', "colse_positions"),
        ("/emergency-stop", b'{"close_positions":NaN}', "NaN"),
        ("/emergency-stop", b"[]", "object"),
        ("/limits/x/reenable", b'{"note":""}', "note"),
        ("/unknown/bad%20id/acknowledge", b'{"note":"n"}', "commandId"),
    ],
)
async def test_what_cannot_be_understood_is_refused_by_name_and_not_done(
    path: str, body: bytes, named: str
) -> None:
    control = FakeControl()
    async with serving(control) as server, raw_client(server, TOKENS.control) as client:
        answer = await client.post(path, content=body)
    assert answer.status_code == 400
    assert named in answer.json()["message"]
    assert control.asked == []


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Refused("HALTED", "Reset first."), 409, "HALTED"),
        (TerminalUnavailable("no session"), 503, "TERMINAL_LOST"),
        (JournalFailed("disk full"), 503, "JOURNAL_FAILED"),
    ],
)
async def test_a_refusal_comes_in_words(fault: Exception, status: int, code: str) -> None:
    control = FakeControl()
    control.refusal = fault
    async with serving(control) as server, raw_client(server, TOKENS.control) as client:
        answer = await client.post("/resume", json={})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert str(fault) in answer.json()["message"]


async def test_other_addresses_and_methods_are_answered_in_words() -> None:
    async with serving(FakeControl()) as server, raw_client(server, TOKENS.control) as client:
        assert (await client.get("/docs")).json()["code"] == "NO_SUCH_ROUTE"
        assert (await client.get("/emergency-stop")).json()["code"] == "WRONG_METHOD"


async def test_a_taken_port_is_a_configuration_error_of_one_line() -> None:
    async with serving(FakeControl()) as server:
        second = ApiServer(FakeControl(), port=server.port, tokens=TOKENS)
        with pytest.raises(ConfigurationError, match=rf"api\.port: {server.port}: .* allowed: a free port"):
            await second.start()
        await second.close()


async def test_equity_of_the_last_hours_is_read_from_the_journal() -> None:
    control = FakeControl()
    async with serving(control) as server, api_client(server) as client:
        day = await client.equity()
        assert day.account == "123"
        assert [(point.equity, point.peak) for point in day.samples] == [
            (Decimal(9997), Decimal(10_100)),
            (Decimal(9999), Decimal(10_100)),
        ]
        assert [point.equity for point in (await client.equity(hours=2)).samples] == [Decimal(9999)]
        control.change(account=None)
        assert await client.equity() == EquityModel(account=None, samples=())
        with pytest.raises(RequestRefused, match="hours: must be a whole number from 1 to 168"):
            await client.equity(hours=0)
