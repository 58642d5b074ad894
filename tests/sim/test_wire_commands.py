"""Commands, questions and the memory of command ids over real sockets (EA_PROTOCOL §4, §5)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.domain.execution import ExecutionState
from app.protocol import ea_messages as wire

from .wire_client import TAG, Client, Listener, close_args, open_args, place_args, terminal_and_client


async def test_the_same_id_with_the_same_content_gets_the_same_answer(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        first = await client.open("cmd-1")
        second = await client.open("cmd-1")
        assert second.data == {**first.data, "replayed": True}
        terminal.restart()
        await client.begin()
        third = await client.open("cmd-1")
        assert third.data == second.data
        assert len(terminal.life.broker.book.deals) == 1


async def test_the_same_id_with_other_content_is_a_conflict(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        await client.open("cmd-1", volume="0.10")
        other = await client.open("cmd-1", volume="0.20")
        assert (other.ok, other.code, other.data["state"]) == (False, "ID_CONFLICT", "refused")
        assert len(terminal.life.broker.book.deals) == 1


async def test_a_refused_command_may_come_again(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (_terminal, client):
        assert (await client.open("cmd-1", symbol="NOPE")).code == "SYMBOL_UNKNOWN"
        assert (await client.open("cmd-1")).data["state"] == "done"


async def test_a_rejected_command_keeps_its_answer(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (_terminal, client):
        rejected = await client.open("cmd-1", symbol="CLOSED.x", volume="1")
        assert (rejected.ok, rejected.data["state"], rejected.data["retcode"]) == (True, "rejected", 10018)
        assert (await client.open("cmd-1", symbol="CLOSED.x", volume="1")).data["replayed"] is True


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"volume": 0.1}, "volume"),
        ({"volume": "-1"}, "volume"),
        ({"volume": "1e400"}, "volume"),
        ({"side": "buy"}, "side"),
        ({"sl": "0"}, "sl"),
        ({"comment": "without the tag"}, "comment"),
        ({"comment": TAG + "x" * 20}, "comment"),
        ({"tag": "short"}, "tag"),
        ({"magic": 4711}, "magic"),
        ({"deviation": True}, "deviation"),
        ({"max_attempts": 4}, "max_attempts"),
    ],
)
async def test_bad_args_name_their_field(tmp_path: Path, change: dict[str, object], field: str) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        reply = await client.ask("open", open_args() | change, cid="cmd-1")
        assert (reply.ok, reply.code, reply.data["state"]) == (False, "INVALID_ARGS", "refused")
        assert reply.message is not None
        assert reply.message.startswith(field)
        assert len(terminal.life.commands) == 0


async def test_a_trade_needs_an_id(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (_terminal, client):
        for cid in (None, "", "with blank", "x" * 65):
            assert (await client.ask("open", open_args(), cid=cid)).code == "INVALID_ARGS"


async def test_a_pending_order_lives_changes_and_goes(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        placed = await client.ask("place", place_args("BUY_LIMIT", "1.09000", sl="1.08000"), cid="p-1")
        assert (placed.data["state"], placed.data["price"], placed.data["deal"]) == ("done", "1.09000", None)
        ticket = placed.data["order"]
        change = {"target": "order", "ticket": ticket, "price": "1.09100", "sl": "0", "tp": "1.12000"}
        assert (await client.ask("modify", change, cid="p-2")).data["state"] == "done"
        (order,) = (await client.ask("orders")).data["orders"]
        assert (order["price"], order["sl"], order["tp"]) == ("1.09100", None, "1.12000")
        assert (await client.ask("cancel", {"ticket": ticket}, cid="p-3")).data["state"] == "done"
        gone = await client.ask("cancel", {"ticket": ticket}, cid="p-4")
        assert (gone.code, gone.data["state"]) == ("NOT_FOUND", "refused")
        effects = [line.split('"effect":"')[1].split('"')[0] for line in _lines(tmp_path)]
        assert effects == ["order_placed", "order_modified", "order_cancelled"]
        assert terminal.life.broker.book.orders == {}


async def test_stops_of_a_position_are_set_kept_and_removed(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        ticket = (await client.open("c-1", sl="1.09000", tp="1.12000")).data["position"]
        change = {"target": "position", "ticket": ticket, "sl": "1.09500"}
        assert (await client.ask("modify", change, cid="c-2")).data["state"] == "done"
        change = {"target": "position", "ticket": ticket, "tp": "0.00"}
        assert (await client.ask("modify", change, cid="c-3")).data["state"] == "done"
        (position,) = terminal.life.broker.book.positions.values()
        assert (position.stop_loss, position.take_profit) == (Decimal("1.09500"), None)
        same = await client.ask("modify", change, cid="c-4")
        assert (same.data["state"], same.data["retcode"]) == ("done", 10025)


async def test_close_all_tells_of_every_position_and_touches_no_order(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        tickets = [(await client.open(f"c-{n}", magic=str(n % 2))).data["position"] for n in range(4)]
        await client.ask("place", place_args("BUY_LIMIT", "1.09000"), cid="p-1")
        everything = {"deviation": 20, "tag": TAG, "max_attempts": 1}
        some = await client.ask("close_all", everything | {"magic": "1"}, cid="all-1")
        assert [detail["ticket"] for detail in some.data["details"]] == tickets[1::2]
        assert (some.data["state"], some.data["volume"]) == ("done", "0.20")
        rest = await client.ask("close_all", everything | {"symbol": "EURUSD"}, cid="all-2")
        assert [detail["ticket"] for detail in rest.data["details"]] == tickets[::2]
        nothing = await client.ask("close_all", everything, cid="all-3")
        assert (nothing.data["state"], nothing.data["volume"]) == ("done", "0")
        assert len(terminal.life.broker.book.orders) == 1


async def test_partial_close_and_not_found(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (_terminal, client):
        ticket = (await client.open("c-1")).data["position"]
        part = await client.ask("close", close_args(ticket, volume="0.04"), cid="c-2")
        assert (part.data["state"], part.data["volume"], part.data["position"]) == ("done", "0.04", ticket)
        assert (await client.ask("close", close_args(ticket), cid="c-3")).data["volume"] == "0.06"
        assert (await client.ask("close", close_args(ticket), cid="c-4")).code == "NOT_FOUND"


async def test_find_knows_what_the_ledger_knows(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (_terminal, client):
        hints = {"tag": TAG, "since": 0}
        assert (await client.ask("find", hints, cid="c-1")).data["ledger"] == "never_seen"
        opened = await client.open("c-1")
        found = wire.finding_from_wire((await client.ask("find", hints, cid="c-1")).data)
        assert found.ledger == "result"
        assert found.execution is not None
        assert found.execution.state is ExecutionState.DONE
        assert [str(deal.ticket) for deal in found.deals] == [opened.data["deal"]]
        assert [str(position.ticket) for position in found.positions] == [opened.data["position"]]
        unrelated = (await client.ask("find", {"tag": "OTHERTAG", "since": 0}, cid="c-1")).data
        assert (unrelated["deals"], unrelated["positions"]) == ([], [])


async def test_questions(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (_terminal, client):
        await client.open("c-1")
        account = (await client.ask("account")).data
        assert (account["balance"], account["permissions"]["connected"]) == ("9999.65", True)
        spec = wire.symbol_from_wire((await client.ask("symbol", {"symbol": "US500"})).data)
        assert (spec.digits, spec.volume_step, spec.filling) == (1, Decimal("0.1"), ("fok",))
        assert (await client.ask("symbol", {"symbol": "NOPE"})).code == "SYMBOL_UNKNOWN"
        quotes = (await client.ask("quotes", {"symbols": ["EURUSD", "BTCUSD"]})).data["quotes"]
        assert [quote["symbol"] for quote in quotes] == ["EURUSD", "BTCUSD"]
        assert len((await client.ask("positions")).data["positions"]) == 1
        history = (await client.ask("history", {"from": 0, "to": 10**14})).data
        assert [deal["entry"] for deal in history["deals"]] == ["in"]
        assert (await client.ask("history", {"from": 5, "to": 4})).code == "INVALID_ARGS"
        assert (await client.ask("dance")).code == "UNKNOWN_CMD"
        snapshot = wire.snapshot_from_wire((await client.ask("snapshot")).data)
        assert (len(snapshot.positions), len(snapshot.symbols), snapshot.trade_seq) == (1, 9, 1)


async def test_history_is_cut_at_a_thousand_and_says_so(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, balance=Decimal(10**7)) as (terminal, client):
        from app.domain.values import Side, Symbol, Volume
        from app.sim.trade_requests import MarketOrder, Origin

        order = MarketOrder(Symbol("EURUSD"), Side.BUY, Volume("0.01"), "ioc")
        for _ in range(1001):
            terminal.life.broker.open(order, Origin(reason="client"))
        data = (await client.ask("history", {"from": 0, "to": 10**14})).data
        assert (len(data["deals"]), data["more"]) == (1000, True)


async def test_missing_permissions_are_named(tmp_path: Path) -> None:
    from dataclasses import replace

    async with terminal_and_client(tmp_path) as (terminal, client):
        life = terminal.life
        life.permissions = replace(life.permissions, terminal_trade_allowed=False, investor_login=True)
        refused = await client.open("c-1")
        assert refused.code == "NO_PERMISSION"
        assert refused.data["missing"] == [
            "Algo Trading button", "trading password (logged in with the investor password)",
        ]  # fmt: skip
        life.permissions = replace(life.permissions, connected=False)
        assert (await client.open("c-1")).code == "NOT_CONNECTED"


async def test_a_read_only_terminal_takes_no_trade(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, mode="read_only") as (_terminal, client):
        assert (await client.open("c-1")).code == "READ_ONLY"


async def test_the_stream_numbers_trades_and_conflates_ticks(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        listener = Listener(terminal.stream_port, terminal.key)
        await listener.next("heartbeat")
        unknown = await client.ask("subscribe", {"symbols": ["EURUSD", "NOPE"], "min_interval": 0})
        assert unknown.code == "SYMBOL_UNKNOWN"
        await client.ask("subscribe", {"symbols": ["EURUSD"], "min_interval": 50})
        assert (await listener.next("tick")).data["bid"] == "1.10500"
        for bid in ("1.10501", "1.10502", "1.10503"):
            terminal.market.set_price("EURUSD", terminal.clock.utc(), bid=Decimal(bid))
            terminal.quote_changed("EURUSD")
        tick = await listener.next("tick")
        assert (tick.data["bid"], tick.seq, tick.boot) == ("1.10503", 2, terminal.life.boot)
        opened = await client.open("c-1")
        event = await listener.next("trade")
        trade = wire.trade_event_from_wire(event.data, event.seq, wire.from_ms(event.ts))
        assert (trade.kind, trade.command_id, trade.seq) == ("deal", "c-1", 1)
        assert trade.position is not None
        assert str(trade.position.ticket) == opened.data["position"]
        await client.ask("close", close_args(opened.data["position"]), cid="c-2")
        closed = await listener.next("trade")
        assert (closed.seq, closed.data["position"]) == (2, None)
        assert (await client.ask("unsubscribe", {"symbols": ["EURUSD"]})).data["symbols"] == []
        listener.close()


async def test_lossless_ticks_are_all_there(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, client):
        listener = Listener(terminal.stream_port, terminal.key)
        await listener.next("heartbeat")
        subscribe = {"symbols": ["EURUSD"], "min_interval": 1000, "lossless": True}
        await client.ask("subscribe", subscribe)
        for point in range(20):
            bid = Decimal("1.10500") + Decimal(point) / 100000
            terminal.market.set_price("EURUSD", terminal.clock.utc(), bid=bid)
            terminal.quote_changed("EURUSD")
        ticks = [(await listener.next("tick")).seq for _ in range(21)]
        assert ticks == list(range(1, 22))
        listener.close()


async def test_a_netting_reversal_is_told_as_one_gone_and_one_new(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, account="netting") as (terminal, client):
        listener = Listener(terminal.stream_port, terminal.key)
        await listener.next("heartbeat")
        first = await client.open("c-1", volume="0.10")
        second = await client.open("c-2", side="SELL", volume="0.30")
        events = [await listener.next("trade") for _ in range(3)]
        assert [event.data["kind"] for event in events] == ["deal", "position_modified", "deal"]
        assert events[1].data["position_ticket"] == first.data["position"]
        assert events[1].data["position"] is None
        assert events[2].data["position"]["ticket"] == second.data["position"]
        assert events[2].data["position"]["identifier"] == first.data["position"]
        listener.close()


async def test_the_walking_market_ticks_by_itself(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path, tick_rate=200.0) as (terminal, client):
        listener = Listener(terminal.stream_port, terminal.key)
        await listener.next("heartbeat")
        await client.ask("subscribe", {"symbols": ["EURUSD"], "min_interval": 0})
        bids = {(await listener.next("tick")).data["bid"] for _ in range(20)}
        assert len(bids) > 3
        listener.close()


async def test_another_role_on_a_second_connection_cannot_trade(tmp_path: Path) -> None:
    async with terminal_and_client(tmp_path) as (terminal, _client):
        stopper = Client(terminal.command_port, terminal.key, role="stop")
        await stopper.begin()
        assert (await stopper.open("c-1")).code == "ROLE_NOT_ALLOWED"
        stopper.close()


def _lines(folder: Path) -> list[str]:
    return (folder / "ledger.jsonl").read_text().splitlines()


NASTY: list[Any] = [
    None, True, 0, -1, 1.5, 10**30, "", "0", "-0", "1e27", "1e-27", "9" * 28, "NaN", "١", "0x10", "1_000",
    "EURUSD", "BUY", "position", "order", [], {}, ["EURUSD"], "\u0000", "x" * 5000,
]  # fmt: skip


async def test_no_args_whatever_end_the_terminal(tmp_path: Path) -> None:
    """Every field of every command with every nasty value: one answer each, and the terminal lives."""
    async with terminal_and_client(tmp_path) as (terminal, client):
        ticket = (await client.open("start", sl="1.09000")).data["position"]
        order = (await client.ask("place", place_args("BUY_LIMIT", "1.09000"), cid="order")).data["order"]
        good: dict[str, dict[str, Any]] = {
            "open": open_args(sl="1.09000", tp="1.12000", price="1.1"),
            "place": place_args(
                "BUY_STOP_LIMIT", "1.11", stop_limit="1.105", sl="1.0", tp="1.2", expiration=1
            ),
            "modify": {
                "target": "order",
                "ticket": order,
                "price": "1.08",
                "sl": "1.0",
                "tp": "1.2",
                "expiration": 0,
            },
            "close": close_args(ticket, volume="0.01"),
            "cancel": {"ticket": order},
            "close_all": {"symbol": "US500", "magic": "1", "deviation": 1, "tag": TAG, "max_attempts": 1},
            "find": {"symbol": "EURUSD", "magic": "1", "tag": TAG, "ticket": ticket, "since": 0},
            "history": {"from": 0, "to": 1},
            "symbol": {"symbol": "EURUSD"},
            "quotes": {"symbols": ["EURUSD"]},
            "subscribe": {"symbols": ["EURUSD"], "min_interval": 0, "lossless": True},
            "unsubscribe": {"symbols": ["EURUSD"]},
        }
        asked = 0
        for cmd, args in good.items():
            for name in args:
                for value in NASTY:
                    asked += 1
                    reply = await client.ask(cmd, args | {name: value}, cid=f"n-{asked}")
                    assert reply.ok or reply.code in {"INVALID_ARGS", "SYMBOL_UNKNOWN", "NOT_FOUND"}
        assert asked > 1000
        assert (await client.ask("snapshot")).ok
        assert terminal.dropped == {}
