"""The acceptance trial, against the simulated terminal in a process of its own and against the compiled Expert Advisor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from app.adapters.mt5_zmq import ZmqBroker
from app.cli import ea, ea_accept
from app.cli.ea_desk import at_distance, smallest_volume
from app.cli.ea_trial import LaggingClock
from app.domain.commands import TradeCommand
from app.domain.execution import Execution
from app.domain.market import SymbolSpec, TradeMode
from app.domain.values import CommandId, Symbol
from app.engine.broker import DispatchTerms
from tests.contract.terminals import SimulatedTerminalProcess
from tests.mql5_host.host import HostTerminal

SimMaker = Callable[..., SimulatedTerminalProcess]
TRADES = {
    "open",
    "same id again: one deal",
    "partial close",
    "close",
    "place pending order",
    "too late: refused",
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[SimMaker]:
    """A simulated terminal whose market moves."""
    started = []

    def make(*options: str) -> SimulatedTerminalProcess:
        folder = tmp_path / f"terminal{len(started)}"
        folder.mkdir()
        terminal = SimulatedTerminalProcess(folder, ["--tick-rate", "20", "--symbols", "EURUSD", *options])
        started.append(terminal)
        asyncio.run(terminal.start())
        return terminal

    yield make
    for terminal in started:
        terminal.close()


def accepted(terminal: Any, key_file: Path, *arguments: str) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    ea.register(app)
    where = {
        "terminal.command_port": terminal.command_port,
        "terminal.stream_port": terminal.stream_port,
        "terminal.key_file": key_file,
    }
    settings = [word for name, value in where.items() for word in ("--set", f"{name}={value}")]
    words = ["ea", "accept", "--round-trips", "20", "--patience", "10", *settings, *arguments]
    return CliRunner().invoke(app, words)


def report_of(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def statuses(report: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["status"] for check in report["checks"]}


def key_of(terminal: SimulatedTerminalProcess) -> Path:
    return terminal.ledger.with_name("terminal.key")


def ask(terminal: SimulatedTerminalProcess, cmd: str, **args: Any) -> Any:
    return asyncio.run(terminal.control(cmd, **args))


def effects(terminal: SimulatedTerminalProcess) -> list[dict[str, Any]]:
    lines = terminal.ledger.read_text("utf-8").splitlines() if terminal.ledger.exists() else []
    return [json.loads(line, parse_float=Decimal) for line in lines]


def net_volume(terminal: SimulatedTerminalProcess) -> Decimal:
    """Lots bought less lots sold, by the broker's own book."""
    deals = [effect for effect in effects(terminal) if effect["effect"] == "deal"]
    return sum((deal["volume"] * (1 if deal["side"] == "BUY" else -1) for deal in deals), Decimal(0))


@pytest.mark.processes
class TestAgainstTheSimulatedTerminal:
    def test_a_good_terminal_is_accepted_and_left_as_it_was(self, start: SimMaker, tmp_path: Path) -> None:
        terminal = start()
        paper = tmp_path / "report.md"
        result = accepted(terminal, key_of(terminal), "--json", "--report", str(paper))
        report = report_of(result)
        assert result.exit_code == 0, report
        assert set(statuses(report).values()) == {"passed"}
        assert set(statuses(report)) >= TRADES
        assert report["latencies_ms"]["question (executor → EA → executor)"]["count"] == 20
        assert report["not_tested"]
        text = paper.read_text("utf-8")
        assert "ACCEPTED" in text
        assert "| close | passed |" in text
        assert "50012345" not in text + result.stdout
        deals = [effect for effect in effects(terminal) if effect["effect"] == "deal"]
        assert {deal["volume"] for deal in deals} == {Decimal("0.01"), Decimal("0.02")}
        assert net_volume(terminal) == 0

    def test_a_second_trial_finds_the_epoch_of_the_first(self, start: SimMaker) -> None:
        terminal = start()
        first = report_of(accepted(terminal, key_of(terminal), "--json"))
        second = report_of(accepted(terminal, key_of(terminal), "--json"))
        assert first["passed"]
        assert second["passed"]
        assert "the terminal's epoch is 2 now" in " ".join(second["notes"])

    def test_stop_and_resume_can_be_left_out(self, start: SimMaker) -> None:
        terminal = start()
        result = accepted(terminal, key_of(terminal), "--json", "--no-stop")
        report = report_of(result)
        assert result.exit_code == 0
        assert [statuses(report)[name] for name in ("stop", "resume")] == ["left out", "left out"]
        assert report["notes"] == []

    def test_a_netting_account_is_tried_as_well(self, start: SimMaker) -> None:
        terminal = start("--account", "netting")
        assert report_of(accepted(terminal, key_of(terminal), "--json"))["passed"]

    def test_a_read_only_terminal_is_looked_at_and_not_traded_on(self, start: SimMaker) -> None:
        terminal = start("--mode", "read_only")
        result = accepted(terminal, key_of(terminal), "--json")
        report = report_of(result)
        assert result.exit_code == 1
        assert statuses(report)["quotes"] == "passed"
        assert {statuses(report)[name] for name in TRADES} == {"not tested"}
        assert effects(terminal) == []

    def test_an_unknown_symbol_is_named(self, start: SimMaker) -> None:
        terminal = start()
        result = accepted(terminal, key_of(terminal), "--symbol", "NOSUCH")
        assert result.exit_code == 1
        assert "the terminal does not know NOSUCH" in result.stdout
        assert effects(terminal) == []

    def test_a_broker_that_refuses_is_reported_with_its_retcode(self, start: SimMaker) -> None:
        terminal = start("--fault", "retcode:code=10006")
        result = accepted(terminal, key_of(terminal), "--json")
        report = report_of(result)
        assert result.exit_code == 1
        (open_,) = [check for check in report["checks"] if check["name"] == "open"]
        assert open_["status"] == "failed"
        assert "10006" in open_["detail"]
        assert statuses(report)["partial close"] == "not tested"
        assert statuses(report)["cleaned up"] == "passed"

    def test_what_an_unknown_outcome_left_is_closed(self, start: SimMaker) -> None:
        terminal = start("--fault", "reply_lost:times=1")
        result = accepted(terminal, key_of(terminal), "--json", "--set", "terminal.answer_timeout=0.5")
        report = report_of(result)
        assert result.exit_code == 1
        assert statuses(report)["open"] == "failed"
        assert statuses(report)["cleaned up"] == "passed"
        assert effects(terminal)
        assert net_volume(terminal) == 0

    def test_a_terminal_that_trades_twice_is_found_out(
        self, start: SimMaker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Forgetful(ZmqBroker):
            """What the terminal sees is a new id each time: as if it had no memory."""

            sent = 0

            def send(self, command: TradeCommand, terms: DispatchTerms) -> asyncio.Future[Execution]:
                self.sent += 1
                return super().send(
                    replace(command, command_id=CommandId(f"{command.command_id}-{self.sent}")), terms
                )

        monkeypatch.setattr(ea_accept, "ZmqBroker", Forgetful)
        terminal = start()
        report = report_of(accepted(terminal, key_of(terminal), "--json"))
        assert statuses(report)["same id again: one deal"] == "failed"
        assert statuses(report)["same id, other content: refused"] == "failed"
        assert statuses(report)["cleaned up"] == "passed"
        assert net_volume(terminal) == 0

    def test_a_terminal_that_executes_too_late_is_found_out(
        self, start: SimMaker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(LaggingClock, "behind", lambda _clock, _seconds: nullcontext())
        terminal = start()
        report = report_of(accepted(terminal, key_of(terminal), "--json"))
        assert statuses(report)["too late: refused"] == "failed"
        assert statuses(report)["cleaned up"] == "passed"
        assert net_volume(terminal) == 0

    def test_no_terminal_is_one_sentence(self, start: SimMaker, tmp_path: Path) -> None:
        terminal = start()
        terminal.kill()
        result = accepted(terminal, key_of(terminal), "--patience", "1")
        assert result.exit_code == 1
        assert "no terminal answers on port" in result.stdout
        missing = accepted(terminal, tmp_path / "no key")
        assert missing.exit_code == 2
        assert "cannot be read" in missing.stderr

    def test_a_report_that_cannot_be_written_is_said(self, start: SimMaker, tmp_path: Path) -> None:
        terminal = start()
        result = accepted(
            terminal, key_of(terminal), "--no-stop", "--report", str(tmp_path / "no" / "r.json")
        )
        assert result.exit_code == 1
        assert "cannot be written" in result.stderr


@pytest.mark.processes
class TestAgainstTheCompiledExpertAdvisor:
    @pytest.fixture
    def terminal(self, tmp_path: Path) -> Iterator[HostTerminal]:
        terminal = HostTerminal(tmp_path / "host")
        terminal.start()
        yield terminal
        terminal.close()

    def test_the_expert_advisor_is_accepted(self, terminal: HostTerminal) -> None:
        result = accepted(terminal, terminal.files / "Medulla/key.txt", "--json", "--patience", "3")
        assert report_of(result)["verdict"].startswith("ACCEPTED")
        assert result.exit_code == 0

    def test_the_expert_advisor_without_a_library_is_accepted(self, tmp_path: Path) -> None:
        terminal = HostTerminal(tmp_path / "host", "MedullaNoDll")
        terminal.start()
        try:
            words = ["--json", "--patience", "10", "--set", "terminal.transport=listen"]
            result = accepted(terminal, terminal.files / "Medulla/key.txt", *words)
        finally:
            terminal.close()
        assert report_of(result)["verdict"].startswith("ACCEPTED"), report_of(result)
        assert result.exit_code == 0

    @pytest.mark.parametrize("mode", [1, 2], ids=["contest", "real"])
    def test_another_account_than_a_demo_account_is_refused(self, terminal: HostTerminal, mode: int) -> None:
        terminal.control(f"account mode {mode}")
        result = accepted(terminal, terminal.files / "Medulla/key.txt", "--json")
        assert result.exit_code == 3
        assert "nothing was traded" in report_of(result)["refused"]
        assert terminal.effects() == []

    def test_the_expert_advisor_refuses_a_real_account_even_then(self, terminal: HostTerminal) -> None:
        terminal.control("account mode 2")
        wish = "--trade-on-a-real-account-and-accept-the-loss"
        result = accepted(terminal, terminal.files / "Medulla/key.txt", "--json", "--patience", "2", wish)
        report = report_of(result)
        assert result.exit_code == 1
        (open_,) = [check for check in report["checks"] if check["name"] == "open"]
        assert "DEMO_ONLY" in open_["detail"]
        assert terminal.effects() == []

    def test_trades_of_others_stay_untouched(self, terminal: HostTerminal) -> None:
        ticket = terminal.control("by_hand EURUSD 0 0.5")
        report = report_of(
            accepted(terminal, terminal.files / "Medulla/key.txt", "--json", "--patience", "2")
        )
        assert report["passed"], report
        assert not [
            effect for effect in terminal.effects() if str(effect.get("ticket")) == ticket and effect["cid"]
        ]


def spec(**more: Any) -> SymbolSpec:
    values: dict[str, Any] = {
        "symbol": Symbol("X"), "digits": 2, "point": Decimal("0.01"), "tick_size": Decimal("0.05"),
        "tick_value": Decimal(1), "contract_size": Decimal(1), "volume_min": Decimal("0.1"), "volume_max": Decimal(100),
        "volume_step": Decimal("0.1"), "volume_limit": Decimal(0), "stops_level": 0, "freeze_level": 0,
        "trade_mode": TradeMode.FULL, "filling": ("ioc",), "execution": "market", "margin_per_lot": Decimal(1),
        "currency_profit": "USD", "session_open": True,
    }  # fmt: skip
    return SymbolSpec(**(values | more))


def test_prices_lie_on_the_tick_and_beyond_the_stops_level() -> None:
    assert at_distance(spec(), Decimal("100.03"), -2) == Decimal("98.00")
    assert at_distance(spec(), Decimal("100.03"), 3) == Decimal("103.00")
    assert at_distance(spec(stops_level=500), Decimal("100.00"), -2) == Decimal("90.00")


def test_the_smallest_volume_is_on_the_brokers_step() -> None:
    assert smallest_volume(spec()) == Decimal("0.1")
    assert smallest_volume(spec(volume_min=Decimal("0.25"), volume_step=Decimal("0.1"))) == Decimal("0.3")
    assert smallest_volume(spec(volume_min=Decimal(10), volume_step=Decimal(10))) == Decimal(10)
