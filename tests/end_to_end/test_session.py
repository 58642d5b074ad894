"""The happy path on the wire: session, state, acknowledgement, result, market data, events (PROTOCOL §3–§5)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from .conftest import MakeWorld
from .harness import World
from .scripted_brain import stamp

pytestmark = pytest.mark.processes

BUY = {"action": "OPEN_POSITION", "symbol": "EURUSD", "type": "BUY", "volume": 0.10}
RESULT_FIELDS = {
    "success", "ticket", "openPrice", "executionTime", "slippage", "outcome", "volume", "requestedVolume", "code",
    "retcode", "message", "attempts",
}  # fmt: skip


@pytest.fixture(scope="module")
def world(module_worlds: MakeWorld) -> World:
    made = module_worlds()
    made.start()
    return made


def test_the_handshake_names_the_executor_and_carries_its_key(world: World) -> None:
    headers = world.brain.requests[0].headers
    assert headers["Authorization"] == f"Bearer {world.brain.api_key}"
    assert headers["X-Executor-Id"] == "exec_e2e"
    assert "brain-executor.v1" in headers["Sec-WebSocket-Protocol"]
    assert "Sec-WebSocket-Extensions" not in headers


def test_hello_comes_first_and_state_before_anything_else(world: World) -> None:
    said = [heard.body for heard in world.brain.messages if heard["type"] != "HEARTBEAT"]
    hello, state = said[:2]
    assert world.brain.messages[0].body is hello
    assert (hello["type"], hello["protocol"], hello["executorId"]) == ("HELLO", 1, "exec_e2e")
    assert set(hello["capabilities"]) == {"signed", "result_ack", "market_data", "state"}
    assert hello["accounts"] == [
        {"account": "50012345", "broker": "mt5", "currency": "USD", "mode": "demo", "marginMode": "hedging"}
    ]
    assert (hello["tradingState"], hello["epoch"]) == ("ACTIVE", 1)
    assert (state["type"], state["unresolved"], state["positions"]) == ("STATE", [], [])
    assert (state["tradingState"], state["epoch"]) == ("ACTIVE", 1)


def test_a_signed_command_is_acknowledged_then_answered_with_every_field(world: World) -> None:
    brain = world.brain
    end = brain.do(BUY, "happy-1", strategyId="str_happy", account="50012345")
    kinds = [heard["type"] for heard in brain.messages if heard.body.get("commandId") == "happy-1"]
    assert kinds[:2] == ["COMMAND_ACK", "EXECUTION_RESULT"]
    ack = brain.acks["happy-1"][0]
    assert {name: ack[name] for name in ("status", "code", "message", "executorId")} == {
        "status": "ACCEPTED", "code": None, "message": None, "executorId": "exec_e2e",
    }  # fmt: skip
    result = end["result"]
    assert set(result) == RESULT_FIELDS
    assert (result["success"], result["outcome"], result["code"], result["retcode"]) == (
        True,
        "EXECUTED",
        None,
        10009,
    )
    assert (result["volume"], result["requestedVolume"], result["attempts"]) == (
        Decimal("0.10"),
        Decimal("0.10"),
        1,
    )
    assert (end["executorId"], end["strategyId"], end["account"]) == ("exec_e2e", "str_happy", "50012345")
    assert isinstance(result["executionTime"], int)
    [deal] = world.ledger("happy-1")
    assert (deal["effect"], deal["ticket"], deal["price"]) == ("deal", result["ticket"], result["openPrice"])


def test_a_state_that_is_asked_for_carries_the_request_and_what_is_open(world: World) -> None:
    ticket = world.brain.do(BUY, "state-1")["result"]["ticket"]
    world.sees_position(ticket)
    with world.brain.listening() as heard:
        world.brain.say({"type": "GET_STATE", "timestamp": stamp(), "requestId": "r-7"})
        state = heard("STATE", lambda m: m["requestId"] == "r-7")
    assert ticket in {position["ticket"] for position in state["positions"]}
    recent = {brief["commandId"]: brief for brief in state["recent"]}
    assert recent["state-1"]["state"] == "EXECUTED"
    assert recent["state-1"]["result"]["ticket"] == ticket


def test_heartbeats_count_and_carry_the_executors_metrics(world: World) -> None:
    with world.brain.listening() as heard:
        first = heard("HEARTBEAT")
        second = heard("HEARTBEAT", lambda m: m["seq"] > first["seq"])
    assert second["seq"] == first["seq"] + 1
    assert {"queueDepth", "openPositions", "floating", "dailyProfit", "links"} <= set(second["metrics"])


def test_a_subscription_brings_the_seeds_market_update_until_it_is_taken_back(world: World) -> None:
    brain = world.brain
    with brain.listening() as heard:
        brain.say({"type": "SUBSCRIBE", "timestamp": stamp(), "symbols": ["USDJPY"], "minInterval": 50})
        update = heard("MARKET_UPDATE")
        assert set(update["data"]) == {"symbol", "bid", "ask", "spread", "volume"}
        assert update["data"]["symbol"] == "USDJPY"
        with world.still():
            world.hand("set_price", symbol="USDJPY", bid="151.000", ask="151.012")
            update = heard("MARKET_UPDATE", lambda m: m["data"]["bid"] == Decimal("151.000"))
        assert (update["data"]["ask"], update["data"]["spread"]) == (Decimal("151.012"), 12)
    brain.say({"type": "UNSUBSCRIBE", "timestamp": stamp(), "symbols": ["USDJPY"]})
    brain.say({"type": "GET_STATE", "timestamp": stamp(), "requestId": "unsubscribed"})
    brain.heard("STATE", lambda m: m["requestId"] == "unsubscribed")
    after = brain.mark()
    world.hand("set_price", symbol="USDJPY", bid="152.000")
    brain.do({**BUY, "symbol": "USDJPY"}, "after-unsubscribe")
    assert [m for m in brain.messages[after:] if m["type"] == "MARKET_UPDATE"] == []


def test_account_and_positions_follow_a_trade(world: World) -> None:
    with world.brain.listening() as heard:
        ticket = world.brain.do(BUY, "follow-1")["result"]["ticket"]
        positions = heard("POSITIONS_UPDATE", lambda m: ticket in [p["ticket"] for p in m["positions"]])
        [mine] = [p for p in positions["positions"] if p["ticket"] == ticket]
        assert (mine["symbol"], mine["type"], mine["volume"]) == ("EURUSD", "BUY", Decimal("0.10"))
        account = heard("ACCOUNT_UPDATE")
        assert {"balance", "equity", "margin", "freeMargin", "marginLevel", "dailyProfit", "currency"} <= set(
            account.body
        )


def test_a_stop_loss_that_is_hit_is_a_trade_event_of_nobodys_command(world: World) -> None:
    world.hand("set_price", symbol="GBPUSD", bid="1.27350", ask="1.27362")
    order = {"action": "OPEN_POSITION", "symbol": "GBPUSD", "type": "BUY", "volume": 0.05, "stopLoss": 1.26}
    ticket = world.brain.do(order, "sl-1")["result"]["ticket"]
    with world.brain.listening() as heard:
        world.hand("set_price", symbol="GBPUSD", bid="1.25900", ask="1.25912")
        event = heard("TRADE_EVENT", lambda m: (m["deal"] or {}).get("reason") == "sl")
        assert (event["positionTicket"], event["commandId"]) == (ticket, None)
        assert (event["deal"]["volume"], event["deal"]["entry"]) == (Decimal("0.05"), "out")
        heard("POSITIONS_UPDATE", lambda m: ticket not in [p["ticket"] for p in m["positions"]])


def test_a_command_that_waits_can_be_withdrawn_and_one_that_ended_cannot(world: World) -> None:
    brain = world.brain
    world.hand("add_fault", spec="slow:ms=1500,cmd=open,times=1")
    brain.order(BUY, "slow-1")
    brain.order({**BUY, "volume": 0.11}, "waits-1")
    brain.acked("waits-1")
    brain.say(brain.signed({
        "type": "CANCEL_COMMAND", "timestamp": stamp(), "commandId": "waits-1", "executorId": "exec_e2e",
    }))  # fmt: skip
    assert brain.end_of("waits-1")["result"]["outcome"] == "WITHDRAWN"
    assert brain.end_of("slow-1")["result"]["outcome"] == "EXECUTED"
    assert world.ledger("waits-1") == []
    brain.say(brain.signed({
        "type": "CANCEL_COMMAND", "timestamp": stamp(), "commandId": "slow-1", "executorId": "exec_e2e",
    }))  # fmt: skip
    brain.wait(lambda: any(a["status"] == "TOO_LATE" for a in brain.acks["slow-1"]), "TOO_LATE")


def test_a_result_is_repeated_over_reconnections_until_it_is_acknowledged(world: World) -> None:
    brain = world.brain
    brain.manners.acknowledge_results = False
    try:
        brain.do(BUY, "unacked-1")
        brain.do(BUY, "unacked-2")
        again = _next_session(world)
        assert again == ["unacked-1", "unacked-2"]
        assert {len(brain.results[name]) for name in again} == {2}
        assert brain.results["unacked-1"][0] == brain.results["unacked-1"][1]
        brain.say({"type": "RESULT_ACK", "timestamp": stamp(), "commandIds": ["unacked-1"]})
        assert _next_session(world) == ["unacked-2"]
        brain.say({"type": "RESULT_ACK", "timestamp": stamp(), "commandIds": ["unacked-2"]})
        assert _next_session(world) == []
    finally:
        brain.manners.acknowledge_results = True


def _next_session(world: World) -> list[str]:
    """Break the connection; the ids of the results that are re-sent on the next one, in their order."""
    brain = world.brain
    brain.say({"type": "GET_STATE", "timestamp": stamp(), "requestId": f"before {brain.sessions}"})
    brain.heard("STATE", lambda m: m["requestId"] == f"before {brain.sessions}")
    after = brain.mark()
    with brain.reconnection():
        brain.hang_up()
    request = f"session {brain.sessions}"
    brain.say({"type": "GET_STATE", "timestamp": stamp(), "requestId": request})
    brain.heard("STATE", lambda m: m["requestId"] == request, after=after)
    return [m["commandId"] for m in brain.messages[after:] if m["type"] == "EXECUTION_RESULT"]


def test_a_known_command_is_a_duplicate_and_its_result_follows_again(world: World) -> None:
    brain = world.brain
    brain.do(BUY, "twice-1")
    brain.send_again(["twice-1"])
    brain.wait(lambda: len(brain.results["twice-1"]) == 2, "the result again")
    assert [ack["status"] for ack in brain.acks["twice-1"]] == ["ACCEPTED", "DUPLICATE"]
    assert brain.results["twice-1"][0]["result"] == brain.results["twice-1"][1]["result"]
    assert len(world.ledger("twice-1")) == 1


def test_an_unsigned_emergency_stop_is_obeyed_and_only_a_person_resets_it(world: World) -> None:
    brain = world.brain
    world.hand("add_fault", spec="slow:ms=1500,cmd=open,times=1")
    with brain.listening() as heard:
        brain.order(BUY, "before-stop")
        waiting = [brain.order({**BUY, "volume": 0.2}, f"drained-{n}") for n in range(3)]
        for name in waiting:
            brain.acked(name)
        brain.say({"type": "EMERGENCY_STOP", "timestamp": stamp(), "reason": "the brain is worried"})
        state = heard("TRADING_STATE", lambda m: m["tradingState"] == "HALTED")
        assert (state["by"], "the brain is worried" in state["reason"]) == ("brain", True)
        for name in waiting:
            assert brain.end_of(name)["result"]["outcome"] == "STOPPED"
            assert world.ledger(name) == []
        assert brain.do(BUY, "while-halted")["code"] == "HALTED"
    assert world.status()["status"]["state"] == "HALTED"
    refused = world.medulla("resume")
    assert (refused.returncode, "reset" in refused.stderr) == (3, True)
    wrong = world.medulla("reset", "--word", "nonsense")
    assert wrong.returncode == 3
    with brain.listening() as heard:
        world.reset_and_resume()
        assert heard("TRADING_STATE", lambda m: m["tradingState"] == "REDUCING")["by"] == "operator"
        active = heard("TRADING_STATE", lambda m: m["tradingState"] == "ACTIVE")
        assert active["epoch"] == 2
    assert world.status()["status"]["state"] == "ACTIVE"
    assert brain.do(BUY, "after-reset")["result"]["outcome"] == "EXECUTED"
    brain.send_again(waiting)
    for name in waiting:
        assert (brain.acked(name, nth=2)["status"], world.ledger(name)) == ("DUPLICATE", [])
