"""`medulla limits` against a fake engine with the real settings behind it: what is shown, what is asked, what is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import limits
from app.domain.limits import SafetyLimits, StrategyLimits
from app.engine.snapshots import LimitView

from .engine_beside import EngineBeside, command_line, engine_beside

FILE = "# mine\nsafety:\n  max_daily_loss: 300  # of the account\n  max_volume_total: 2\n"


class Person:
    """Somebody at a terminal, or a script."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def sits_there(self) -> None:
        self._patch.setattr(limits, "_somebody_there", lambda: True)


@pytest.fixture
def engine(data_folder: Path) -> Iterator[EngineBeside]:
    (data_folder / "config.yaml").write_text(FILE, encoding="utf-8")
    with engine_beside(data_folder) as made:
        made.control.now = replace(
            made.control.now,
            limits=(
                LimitView(
                    "daily_loss",
                    Decimal("250"),
                    Decimal(300),
                    "warning",
                    "83 % is used",
                    "max_daily_loss",
                    "USD",
                ),
                LimitView(
                    "positions:alpha", Decimal(1), Decimal(3), "ok", "fine", "strategies.alpha.max_positions"
                ),
            ),
        )
        yield made


def ran(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(command_line(), ["limits", *arguments], input=typed)


def asked(engine: EngineBeside) -> list[dict[str, object]]:
    return [dict(arguments) for name, arguments in engine.control.asked if name == "change_limits"]


def written(engine: EngineBeside) -> str:
    return (engine.folder / "config.yaml").read_text(encoding="utf-8")


def test_value_now_and_state_of_every_limit(engine: EngineBeside) -> None:
    shown = ran()
    assert shown.exit_code == 0
    rows = {line.split()[0]: line.split()[1:] for line in shown.stdout.splitlines() if line.strip()}
    assert rows["max_daily_loss"] == ["300", "250", "USD", "warning"]
    assert rows["max_positions"][0] == "off"
    assert rows["strategies.alpha.max_positions"] == ["3", "1", "ok"]
    assert "daily_loss: 83 % is used" in shown.stdout


def test_for_programs(engine: EngineBeside) -> None:
    found = json.loads(ran("--json").stdout)["limits"]
    row = next(row for row in found if row["limit"] == "max_daily_loss")
    assert (row["value"], row["now"], row["unit"], row["state"], row["gauge"]) == (
        "300", "250", "USD", "warning", "daily_loss",
    )  # fmt: skip
    assert {row["limit"] for row in found} >= {"max_positions", "sessions", "strategies", "strategies_only"}


def test_a_tighter_limit_is_confirmed_with_yes(engine: EngineBeside, monkeypatch: pytest.MonkeyPatch) -> None:
    Person(monkeypatch).sits_there()
    done = ran("set", "max_daily_loss", "200", typed="yes\n")
    assert done.exit_code == 0, done.output
    assert asked(engine)[0]["limits"] == SafetyLimits(
        max_daily_loss=Decimal(200), max_volume_total=Decimal(2)
    )
    assert "max_daily_loss: 200  # of the account" in written(engine)
    assert "300 → 200" in done.output


def test_a_looser_one_is_confirmed_by_its_name(engine: EngineBeside, monkeypatch: pytest.MonkeyPatch) -> None:
    Person(monkeypatch).sits_there()
    for typed in ("yes\n", "\n", "max_daily\n"):
        refused = ran("set", "max_daily_loss", "off", "--reason", "more capital", typed=typed)
        assert refused.exit_code == 3
        assert "lets more through" in refused.output
    assert (asked(engine), written(engine)) == ([], FILE)
    done = ran("set", "safety.max_daily_loss", "off", "--reason", "more capital", typed="max_daily_loss\n")
    assert done.exit_code == 0, done.output
    assert asked(engine)[0]["reason"] == "more capital"
    assert "max_daily_loss" not in written(engine)


def test_a_looser_one_needs_a_reason(engine: EngineBeside) -> None:
    refused = ran("set", "max_daily_loss", "900", "--yes")
    assert refused.exit_code == 3
    assert "REASON_REQUIRED" in refused.stderr
    assert written(engine) == FILE


def test_nobody_there_and_no_yes_changes_nothing(engine: EngineBeside) -> None:
    refused = ran("set", "max_daily_loss", "200")
    assert refused.exit_code == 3
    assert "--yes" in refused.stderr
    assert written(engine) == FILE


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("max_daily_los", "5"), "safety.max_daily_loss"),
        (("max_daily_loss", "lots"), "money in account currency"),
        (("max_positions", "-1"), "a whole number from 1"),
        (("strategies", "{broken"), "no JSON"),
        (("strategies", '{"a": {"max_positionz": 1}}'), "max_positionz"),
    ],
)
def test_what_is_wrong_is_named(engine: EngineBeside, arguments: tuple[str, str], told: str) -> None:
    refused = ran("set", "--yes", "--", *arguments)
    assert refused.exit_code == 2, refused.output
    assert told in refused.stderr
    assert written(engine) == FILE


def test_no_change_is_said(engine: EngineBeside) -> None:
    done = ran("set", "max_daily_loss", "300.0", "--yes")
    assert done.exit_code == 0
    assert "already" in done.stdout
    assert asked(engine) == []


def test_lists_and_strategies(engine: EngineBeside) -> None:
    assert ran("set", "allowed_symbols", "EURUSD,GBPUSD", "--yes").exit_code == 0
    done = ran("set", "strategies", '{"a b": {"max_positions": 3, "max_daily_loss": 0.50}}', "--yes")
    assert done.exit_code == 0, done.output
    found = asked(engine)[-1]["limits"]
    assert isinstance(found, SafetyLimits)
    assert sorted(found.allowed_symbols) == ["EURUSD", "GBPUSD"]
    assert found.strategies == (StrategyLimits("a b", max_positions=3, max_daily_loss=Decimal("0.50")),)


@pytest.mark.parametrize("name", ["daily_loss", "daily_loss:a b/ü:1"])
def test_a_latched_limit_is_re_enabled(engine: EngineBeside, name: str) -> None:
    done = ran("reenable", name, "--note", "looked")
    assert done.exit_code == 0, done.output
    assert ("reenable_limit", {"limit": name, "by": "command line", "note": "looked"}) in engine.control.asked
