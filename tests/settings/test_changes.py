"""Changes of settings judged before anything is written: faults beside their key, what becomes looser, what counts when."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from app.settings import Settings, load_settings
from app.settings.changes import judge, reloaded, take_back, write
from app.settings.describe import describe
from app.settings.model import known_keys
from app.settings.money import MONEY

KEY = base64.b64encode(bytes(range(32))).decode()
FILE = """\
# mine
brain:
  signing_keys: {brain-1: KEY}
safety:
  max_volume_per_order: 0.50  # lots
  allowed_symbols: [EURUSD]
""".replace("KEY", KEY)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text(FILE, encoding="utf-8")
    return load_settings(file, {"api.port": "0"}, {"MEDULLA_LOG__LEVEL": "debug"})


def test_every_setting_is_described_with_what_it_does_to_the_money(settings: Settings) -> None:
    described = {info.key: info for info in describe(settings)}
    assert tuple(described) == known_keys()
    assert all(info.allowed and info.meaning and info.money for info in described.values())
    assert MONEY.keys() <= described.keys()
    order = described["safety.max_volume_per_order"]
    assert (order.value, order.default, order.kind, order.effect) == ("0.50", None, "number", "live")
    assert order.origin == f"{settings.config_path}:5"
    assert described["log.level"].choices == ("debug", "info", "warning", "error")
    assert described["log.level"].origin == "MEDULLA_LOG__LEVEL"
    assert described["safety.on_brain_lost"].choices == ("hold", "cancel_orders", "close_all")
    secret = described["brain.api_key"]
    assert (secret.kind, secret.value, secret.default, secret.secret) == ("secret", None, None, True)


def test_a_looser_limit_is_marked_and_a_tighter_one_is_not(settings: Settings) -> None:
    judged = judge(settings, {"safety.max_volume_per_order": "1", "safety.max_daily_loss": "300"})
    assert judged.faults == ()
    assert [
        (change.key, change.old, change.new, change.loosens, change.effect) for change in judged.changes
    ] == [
        ("safety.max_volume_per_order", "0.50", "1", True, "live"),
        ("safety.max_daily_loss", "off", "300", False, "live"),
    ]
    assert "looser than before" in judged.changes[0].words


def test_nothing_is_written_before_it_is_asked_for_and_then_comments_stay(settings: Settings) -> None:
    file = settings.config_path
    judged = judge(
        settings, {"safety.allowed_symbols": ["EURUSD", "GBPUSD"], "safety.max_volume_per_order": None}
    )
    assert file.read_text() == FILE
    backup = write(judged)
    assert backup is not None
    assert backup.read_text() == FILE
    assert file.read_text().startswith("# mine\n")
    after = reloaded(settings)
    assert after.safety.allowed_symbols == {"EURUSD", "GBPUSD"}
    assert after.safety.max_volume_per_order is None
    take_back(judged)
    assert file.read_text() == FILE


def test_a_file_that_was_not_there_is_made_and_taken_back(tmp_path: Path) -> None:
    fresh = load_settings(None, {}, {"MEDULLA_DATA_FOLDER": str(tmp_path)})
    judged = judge(fresh, {"safety.max_positions": "3"})
    assert write(judged) is None
    assert reloaded(fresh).safety.max_positions == 3
    take_back(judged)
    assert not fresh.config_path.exists()


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        (
            "safety.max_volume_per_order",
            "much",
            "'much' (must be a decimal number): allowed: lots, greater than 0",
        ),
        ("safety.max_volume_per_order", "0", "'0': allowed: lots, greater than 0"),
        ("safety.max_volume_per_order", "", "is empty"),
        ("safety.max_volume_per_order", ["1"], "allowed: lots"),
        ("safety.sessions", [{"days": ["mon"], "start": "08:00"}], "allowed: a list of"),
        ("safety.max_daily_los", "3", "the nearest one is safety.max_daily_loss"),
        ("brain.api_key", "secret-0123456789", "kept in the keyring"),
        ("log.level", "error", "is set by MEDULLA_LOG__LEVEL, which counts more"),
        ("api.port", "5557", "is set by the command line"),
        ("terminal.command_port", "5556", "allowed: a port that is not also terminal.stream_port"),
    ],
)
def test_each_fault_stands_beside_its_key(settings: Settings, key: str, value: object, rule: str) -> None:
    judged = judge(settings, {key: value, "safety.max_positions": "3"})  # type: ignore[dict-item]  # bad on purpose
    [fault] = judged.faults
    assert fault.key == key
    assert rule in fault.rule
    assert "secret-0123456789" not in fault.rule
    assert (judged.changes, judged.settings) == ((), None)
    assert settings.config_path.read_text() == FILE


def test_all_faults_are_found_at_once(settings: Settings) -> None:
    judged = judge(settings, {"safety.max_positions": "none", "queue.capacity": "-1", "log.folder": "logs"})
    assert [fault.key for fault in judged.faults] == ["safety.max_positions", "queue.capacity"]


def test_a_file_that_was_broken_meanwhile_is_said_and_left(settings: Settings) -> None:
    settings.config_path.write_text("safety:\n  max_positons: 3\n")
    judged = judge(settings, {"safety.max_positions": "3"})
    [fault] = judged.faults
    assert fault.key == ""
    assert "max_positions" in fault.rule
    assert "Correct the file first" in fault.rule


@pytest.mark.parametrize(
    ("asked", "loosens"),
    [
        ({"brain.signing_keys": {"brain-1": KEY, "brain-2": KEY}}, True),
        ({"brain.signing_keys": None}, False),
        ({"brain.signing_keys": None, "brain.allow_unsigned": "true"}, True),
        ({"brain.allow_unsigned": "true"}, False),
        ({"brain.url": "wss://other.example/"}, False),
    ],
)
def test_whoever_may_trade_in_addition_is_a_loosening(
    settings: Settings, asked: dict[str, object], loosens: bool
) -> None:
    judged = judge(settings, asked)  # type: ignore[arg-type]  # a mixed table
    assert judged.faults == ()
    assert bool(judged.loosens) is loosens
    assert {change.effect for change in judged.changes} == {"restart"}


def test_the_engines_own_limits_are_what_is_compared(settings: Settings) -> None:
    """Somebody loosened the file by hand: the next change through the engine must show it."""
    in_force = settings.safety
    settings.config_path.write_text(FILE.replace("0.50", "5.00"))
    judged = judge(settings, {"safety.max_positions": "3"}, in_force)
    assert [(change.key, change.loosens) for change in judged.changes] == [
        ("safety.max_volume_per_order", True),
        ("safety.max_positions", False),
    ]
