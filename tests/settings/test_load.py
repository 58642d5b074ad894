"""Where settings come from, in which order, and every wrong one with its one line."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields
from datetime import time
from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.errors import ConfigurationError
from app.domain.limits import OnBrainLost, SafetyLimits, Session, StrategyLimits
from app.domain.values import Symbol
from app.settings import Settings, load_settings
from app.settings.describe import value_of
from app.settings.load import default_data_folder
from app.settings.model import allowed, known_keys

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def _no_settings_of_this_user(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home") / "Medulla"
    monkeypatch.setattr("platformdirs.user_data_dir", lambda *_names, **_how: str(home))


def written(tmp_path: Path, text: str, name: str = "config.yaml") -> Path:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def loaded(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Settings:
    return load_settings(config, overrides or {}, environ or {})


# ------------------------------------------------------------------ defaults and precedence


def test_the_defaults_are_those_of_the_architecture(tmp_path: Path) -> None:
    settings = loaded(environ={"MEDULLA_DATA_FOLDER": str(tmp_path)})
    assert settings.data_folder == tmp_path
    assert settings.brain.url is None
    assert settings.brain.allow_unsigned is False
    assert dict(settings.brain.signing_keys) == {}
    assert (settings.terminal.command_port, settings.terminal.stream_port) == (5555, 5556)
    assert (settings.terminal.max_in_flight, settings.terminal.answer_timeout) == (1, 10.0)
    assert settings.terminal.max_attempts == 3
    assert settings.queue.capacity == 1000
    assert settings.safety == SafetyLimits()
    assert settings.terminal.key_file == tmp_path / "terminal.key"
    assert settings.journal.path == tmp_path / "journal.db"
    assert settings.api.token_file == tmp_path / "api.token"
    assert settings.read_token_file == tmp_path / "api.token.read"
    assert settings.log.folder == tmp_path / "logs"
    assert settings.runtime_file == tmp_path / "engine.json"
    assert settings.stop_file == tmp_path / "STOP"
    assert settings.warnings == ()


def test_without_any_word_the_data_folder_is_the_users_local_one(tmp_path: Path) -> None:
    config = written(tmp_path, "log: {level: debug}")
    assert loaded(config).data_folder == default_data_folder()
    assert default_data_folder().name == "Medulla"


def test_each_layer_beats_the_one_below(tmp_path: Path) -> None:
    config = written(
        tmp_path, "queue: {capacity: 1}\napi: {port: 1001}\nterminal: {max_in_flight: 1}\nlog: {level: error}"
    )
    written(
        tmp_path, "queue: {capacity: 2}\napi: {port: 1002}\nterminal: {max_in_flight: 2}", "config.live.yaml"
    )
    environ = {"MEDULLA_ENV": "live", "MEDULLA_QUEUE__CAPACITY": "3", "MEDULLA_API__PORT": "1003"}
    settings = loaded(config, environ, {"queue.capacity": "4"})
    assert settings.queue.capacity == 4
    assert settings.api.port == 1003
    assert settings.terminal.max_in_flight == 2
    assert settings.log.level == "error"
    assert [file.name for file in settings.files] == ["config.yaml", "config.live.yaml"]
    assert settings.origins["queue.capacity"] == "command line"
    assert settings.origins["api.port"] == "MEDULLA_API__PORT"
    assert settings.origins["log.level"] == f"{config}:4"


def test_the_config_of_the_data_folder_is_found_without_being_named(tmp_path: Path) -> None:
    written(tmp_path, "queue: {capacity: 7}")
    assert loaded(environ={"MEDULLA_DATA_FOLDER": str(tmp_path)}).queue.capacity == 7


def test_one_journal_is_one_executor_everything_lies_beside_it(tmp_path: Path) -> None:
    settings = loaded(written(tmp_path, "journal: {path: state/j.db}"))
    assert settings.journal.path == tmp_path / "state" / "j.db"
    assert settings.data_folder == tmp_path / "state"
    assert settings.stop_file == tmp_path / "state" / "STOP"
    assert settings.api.token_file == tmp_path / "state" / "api.token"


def test_paths_in_a_file_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = written(tmp_path, f"data_folder: {tmp_path}\nterminal: {{key_file: keys/t.key}}")
    monkeypatch.chdir(tmp_path.parent)
    assert loaded(config).terminal.key_file == tmp_path / "keys" / "t.key"
    assert loaded(config, overrides={"log.folder": "l"}).log.folder == tmp_path.parent / "l"


def test_an_empty_value_means_the_default(tmp_path: Path) -> None:
    config = written(tmp_path, 'brain:\n  url:\n  proxy: ""\nsafety:\n  max_positions: null\nlog:\n')
    settings = loaded(config, {"MEDULLA_API__PORT": ""})
    assert (settings.brain.url, settings.brain.proxy, settings.safety.max_positions) == (None, None, None)
    assert settings.api.port == 5557


# ------------------------------------------------------------------ values


def test_every_limit_is_read_exactly(tmp_path: Path) -> None:
    config = written(
        tmp_path,
        """
safety:
  allowed_symbols: [EURUSD, "#AAPL"]
  max_volume_per_order: 0.1
  max_volume_total: 1000000.123456789
  price_collar_percent: 0.3
  max_daily_loss: 1e3
  margin_cushion: 2
  require_stop_loss: yes
  on_brain_lost: cancel_orders
  sessions:
    - {days: [mon, Tue], start: 08:00, end: "22:30"}
    - {days: [fri], start: 22:00, end: 2:00}
""",
    )
    safety = loaded(config).safety
    assert safety.allowed_symbols == {"EURUSD", "#AAPL"}
    assert str(safety.max_volume_per_order) == "0.1"
    assert str(safety.max_volume_total) == "1000000.123456789"
    assert safety.price_collar_percent == Decimal("0.3")
    assert safety.max_daily_loss == 1000
    assert safety.require_stop_loss is True
    assert safety.on_brain_lost is OnBrainLost.CANCEL_ORDERS
    assert safety.sessions == (
        Session(frozenset({0, 1}), time(8), time(22, 30)),
        Session(frozenset({4}), time(22), time(2)),
    )


def test_lists_and_groups_can_come_as_text() -> None:
    settings = loaded(
        environ={
            "MEDULLA_SAFETY__ALLOWED_SYMBOLS": "EURUSD, GBPUSD",
            "MEDULLA_BRAIN__SIGNING_KEYS": f'{{"k-1": "{KEY}"}}',
            "MEDULLA_BRAIN__API_KEY": "secret-key-123",
        },
        overrides={"safety.sessions": '[{"days": ["sun"], "start": "00:00", "end": "23:59"}]'},
    )
    assert settings.safety.allowed_symbols == {"EURUSD", "GBPUSD"}
    assert dict(settings.brain.signing_keys) == {"k-1": KEY}
    assert settings.safety.sessions[0].days == {6}
    assert settings.brain.api_key is not None
    assert settings.brain.api_key.get_secret_value() == "secret-key-123"
    assert settings.warnings == ()
    assert "secret-key-123" not in repr(settings)


def test_a_signing_key_may_be_named_in_the_variable() -> None:
    settings = loaded(environ={"MEDULLA_BRAIN__SIGNING_KEYS__brain-1": KEY.rstrip("=").replace("+", "-")})
    assert dict(settings.brain.signing_keys) == {"brain-1": KEY}


def test_dotted_keys_are_understood_in_a_file(tmp_path: Path) -> None:
    assert loaded(written(tmp_path, "queue.capacity: 5\napi.port: 0")).queue.capacity == 5


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = loaded()
    with pytest.raises(ValueError, match="frozen"):
        settings.brain.url = "wss://other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.brain.signing_keys["k"] = KEY  # type: ignore[index]


# ------------------------------------------------------------------ warnings


def test_a_secret_in_a_file_is_taken_with_a_warning_that_does_not_show_it(tmp_path: Path) -> None:
    settings = loaded(written(tmp_path, "brain: {api_key: canary-123456}"))
    assert settings.brain.api_key is not None
    (warning,) = settings.warnings
    assert "config.yaml:1: brain.api_key" in warning
    assert "MEDULLA_BRAIN__API_KEY" in warning
    assert "canary" not in warning


def test_accepting_unsigned_commands_is_a_warning() -> None:
    assert "allow_unsigned is on" in loaded(overrides={"brain.allow_unsigned": "true"}).warnings[0]
    both = {"brain.allow_unsigned": "true", "brain.signing_keys.k": KEY}
    assert "no effect" in loaded(overrides=both).warnings[0]


def test_a_limit_that_a_tighter_one_makes_pointless_is_a_warning() -> None:
    settings = loaded(overrides={"safety.max_volume_per_order": "2", "safety.max_volume_total": "1"})
    assert (
        "safety.max_volume_per_order has no effect: safety.max_volume_total is tighter"
        in settings.warnings[0]
    )
    assert loaded(overrides={"safety.max_orders_per_minute": "5"}).warnings == ()


# ------------------------------------------------------------------ what is wrong, in one line

WRONG: list[tuple[str, str, str]] = [
    ("brain.url", "http://brain.example", "a wss:// address"),
    ("brain.url", "ws://brain.example/x", "only to this machine"),
    ("brain.url", "wss://u:p@brain.example", "without user name"),
    ("brain.url", "wss://host:99999", "a wss:// address"),
    ("brain.proxy", "ftp://x", "socks5://"),
    ("brain.executor_id", "has space", "1 to 64 characters"),
    ("brain.executor_id", "x" * 65, "1 to 64 characters"),
    ("brain.api_key", "has space in it", "visible ASCII"),
    ("brain.signing_keys", '{"k": "AAAA"}', "32-byte Ed25519 public key"),
    ("brain.signing_keys", '{"bad id": "' + KEY + '"}', "ids of A-Z"),
    ("brain.signing_keys", "[1, 2]", "a group of"),
    ("brain.allow_unsigned", "maybe", "true or false"),
    ("terminal.command_port", "0", "1 to 65535"),
    ("terminal.command_port", "65536", "1 to 65535"),
    ("terminal.command_port", "55.5", "1 to 65535"),
    ("terminal.command_port", "5_555", "1 to 65535"),
    ("terminal.command_port", "٥٥٥٥", "1 to 65535"),
    ("terminal.stream_port", "5555", "a port that is not also terminal.command_port"),
    ("terminal.max_in_flight", "0", "1 to 64"),
    ("terminal.answer_timeout", "0", "more than 0"),
    ("terminal.answer_timeout", "nan", "more than 0"),
    ("terminal.max_attempts", "4", "1, 2 or 3"),
    ("watchdogs.max_latency_ms", "-1", "0: off"),
    ("watchdogs.queue_percent", "101", "percent of queue.capacity"),
    ("alerts.minimum_level", "loud", "info, warning or critical"),
    ("alerts.repeat_minutes", "1.5", "0: never"),
    ("stop.hotkey", "S", "at least two of"),
    ("stop.hotkey", "Ctrl+Alt+F12", "debugger"),
    ("api.port", "-1", "0 (any free one) to 65535"),
    ("api.port", "5556", "a port that is not also terminal.stream_port"),
    ("queue.capacity", "0", "1 to 100000"),
    ("log.level", "loud", "debug, info, warning or error"),
    ("safety.allowed_symbols", "EUR USD!?", "as the broker spells them"),
    ("safety.max_volume_per_order", "0", "greater than 0"),
    ("safety.max_volume_per_order", "-0.1", "greater than 0"),
    ("safety.max_volume_per_order", "NaN", "lots"),
    ("safety.max_volume_per_order", "Infinity", "lots"),
    ("safety.max_volume_per_order", "1,5", "lots"),
    ("safety.max_volume_per_order", "1" * 40, "at most 28 digits"),
    ("safety.max_positions", "0", "leave it out for no limit"),
    ("safety.max_positions", "1.5", "a whole number"),
    ("safety.max_orders_per_second", "-1", "0: off"),
    ("safety.price_collar_percent", "101", "at most 100"),
    ("safety.margin_cushion", "-1", "from 0 (off)"),
    ("safety.on_brain_lost", "panic", "hold, cancel_orders or close_all"),
    ("safety.sessions", "always", "start"),
    ("safety.sessions", '[{"days": ["monday"], "start": "08:00", "end": "09:00"}]', "[mon, tue"),
    ("safety.sessions", '[{"days": ["mon"], "start": "24:00", "end": "09:00"}]', "HH:MM"),
    ("safety.sessions", '[{"days": ["mon"], "start": "09:00", "end": "09:00"}]', "HH:MM"),
    ("safety.sessions", '[{"days": ["mon"], "start": "09:00"}]', "HH:MM"),
]


@pytest.mark.parametrize(("key", "value", "rule"), WRONG)
@pytest.mark.parametrize("source", ["variable", "option"])
def test_a_wrong_value_is_one_line_with_place_key_value_and_rule(
    key: str, value: str, rule: str, source: str
) -> None:
    variable = "MEDULLA_" + key.upper().replace(".", "__")
    environ, overrides = ({variable: value}, {}) if source == "variable" else ({}, {key: value})
    with pytest.raises(ConfigurationError) as fault:
        load_settings(None, overrides, environ)
    line = str(fault.value)
    assert "\n" not in line
    assert line.startswith(f"{variable if source == 'variable' else 'command line'}: {key}: ")
    assert "allowed: " in line
    assert rule in line.split("allowed: ")[1] or rule in line
    if key == "brain.api_key":
        assert value not in line
        assert "***" in line


def test_a_wrong_value_in_a_file_names_file_and_line(tmp_path: Path) -> None:
    config = written(tmp_path, "# mine\napi:\n  port: eighty\n")
    with pytest.raises(ConfigurationError) as fault:
        loaded(config)
    assert str(fault.value) == (
        f"{config}:3: api.port: 'eighty': allowed: a port number, 0 (any free one) to 65535"
    )


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as fault:
        loaded(overrides={"brain.proxy": "gopher://me:canary@proxy:1"})
    assert "canary" not in str(fault.value)


@pytest.mark.parametrize(
    ("text", "unknown", "nearest"),
    [
        ("brain: {ulr: x}", "brain.ulr", "brain.url"),
        ("brain: {apikey: x}", "brain.apikey", "brain.api_key"),
        ("safety: {max_daily_los: 1}", "safety.max_daily_los", "safety.max_daily_loss"),
        ("max_daily_loss: 1", "max_daily_loss", "safety.max_daily_loss"),
        ("barin: {url: x}", "barin", "brain"),
        ("safety: {strategys: {a: {max_positions: 1}}}", "safety.strategys", "safety.strategies"),
        ("zzz: 1", "zzz", ""),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(
    tmp_path: Path, text: str, unknown: str, nearest: str
) -> None:
    config = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as fault:
        loaded(config)
    line = str(fault.value)
    assert line.startswith(f"{config}:1: {unknown}: there is no such setting; the nearest one is {nearest}")
    assert "\n" not in line


@pytest.mark.parametrize("variable", ["MEDULLA_BRAIN_URL", "MEDULLA_SAFETY__MAX_POSITION", "MEDULLA_X"])
def test_an_unknown_variable_is_an_error(variable: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{variable}: .* the nearest one is "):
        loaded(environ={variable: "1"})


def test_other_programs_variables_do_not_matter() -> None:
    environ = {"PATH": "x", "MEDULLAX": "1", "MEDULLA_BRAIN_API_KEY": "the reference brain's"}
    assert loaded(environ=environ).origins == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("brain: {url: a\n", "is not YAML"),
        ("a: b: c", "is not YAML"),
        ("- 1\n- 2", "must hold `key: value` lines"),
        ("just words", "must hold `key: value` lines"),
        ("api: 5", "api: is a group"),
        ("api: [port]", "api: is a group"),
        ("api: {port: {a: 1}}", "api.port: "),
        ("api: {port: 1}\napi: {port: 2}", "api.port: stands twice"),
        ("api: {port: 1, port: 2}", "api.port: stands twice"),
        ("brain: {signing_keys: {k: a, k: b}}", "brain.signing_keys.k: stands twice"),
        ("? [a]\n: 1", "a key must be a plain word"),
        ("safety: {sessions: &a [*a]}", "nested too deeply"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    config = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as fault:
        loaded(config)
    assert says in str(fault.value)
    assert str(fault.value).startswith(str(config))
    assert "\n" not in str(fault.value)


def test_addresses_of_alerts_come_from_the_environment_alone_and_are_never_shown(tmp_path: Path) -> None:
    address = "json://user:geheim@example.test/path"
    settings = loaded(environ={"MEDULLA_ALERTS__URLS": f"{address}  tgram://1:abc/2"})
    assert [url.get_secret_value() for url in settings.alerts.urls] == [address, "tgram://1:abc/2"]
    assert address in settings.secrets
    assert "geheim" not in repr(settings)
    config = written(tmp_path, f"alerts:\n  urls: {address}\n")
    for give in (lambda: loaded(config), lambda: loaded(overrides={"alerts.urls": address})):
        with pytest.raises(ConfigurationError, match="MEDULLA_ALERTS__URLS") as fault:
            give()
        assert "geheim" not in str(fault.value)
    with pytest.raises(ConfigurationError) as fault:
        loaded(environ={"MEDULLA_ALERTS__URLS": "geheim"})
    assert "alerts.urls" in str(fault.value)
    assert "geheim" not in str(fault.value)


def test_a_setting_that_is_gone_says_what_became_of_it(tmp_path: Path) -> None:
    config = written(tmp_path, "journal:\n  retention_days: 400\n")
    with pytest.raises(ConfigurationError, match=r"journal\.retention_days: this setting is gone"):
        loaded(config)


def test_the_hotkey_is_written_one_way_and_may_be_off() -> None:
    def hotkey(text: str) -> str:
        return loaded(environ={"MEDULLA_STOP__HOTKEY": text}).stop.hotkey

    assert (hotkey("shift + control+f5"), hotkey("OFF"), hotkey("")) == (
        "Ctrl+Shift+F5",
        "off",
        "Ctrl+Alt+Shift+S",
    )


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file"):
        loaded(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"brain: {executor_id: \xe9}")
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        loaded(tmp_path / "latin.yaml")
    (tmp_path / "huge.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigurationError, match="is larger than"):
        loaded(tmp_path / "huge.yaml")
    with pytest.raises(ConfigurationError, match="MEDULLA_ENV"):
        loaded(written(tmp_path, ""), {"MEDULLA_ENV": "../x"})


# ------------------------------------------------------------------ completeness


def test_settings_and_limits_have_the_same_names() -> None:
    limits = {f"safety.{field.name}" for field in fields(SafetyLimits)}
    assert {key for key in known_keys() if key.startswith("safety.")} == limits


def test_every_key_says_what_is_allowed_and_stands_in_the_documentation() -> None:
    document = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    for key in known_keys():
        assert allowed(key) != "another value"
        assert f"`{key}`" in document, key


# ------------------------------------------------------------------ limits of single strategies


def test_strategies_are_read_exactly_from_a_file_and_from_a_variable(tmp_path: Path) -> None:
    wanted = (
        StrategyLimits(
            "a 1:ü",
            allowed_symbols=frozenset({Symbol("EURUSD"), Symbol("XAUUSD")}),
            max_volume_per_order=Decimal("0.10"),
            max_daily_loss=Decimal("50.5"),
        ),
        StrategyLimits("b", max_volume_total=Decimal(2), max_positions=3, max_orders_per_minute=30),
    )
    text = (
        "safety:\n  strategies_only: yes\n  strategies:\n"
        "    b: {max_volume_total: 2, max_positions: 3, max_orders_per_minute: 30}\n"
        "    'a 1:ü': {allowed_symbols: [EURUSD, XAUUSD], max_volume_per_order: 0.10, max_daily_loss: 50.5}\n"
    )
    found = load_settings(written(tmp_path, text), {}, {}).safety
    assert (found.strategies, found.strategies_only) == (wanted, True)
    variable = {"MEDULLA_SAFETY__STRATEGIES": '{"b": {"max_positions": "7"}}'}
    assert load_settings(written(tmp_path, text), {}, variable).safety.strategies == (
        StrategyLimits("b", max_positions=7),
    )


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ("{a: {max_position: 3}}", "a: there is no limit 'max_position' for a strategy"),
        ("{a: {max_positions: 0}}", "a.max_positions must be a whole number from 1"),
        ("{a: {max_positions: 1.5}}", "a.max_positions must be a whole number from 1"),
        ("{a: {max_volume_total: -1}}", "a.max_volume_total must be greater than 0"),
        ("{a: {max_daily_loss: lots}}", "a.max_daily_loss must be a decimal number"),
        ("{a: 3}", "a must be a group of limits"),
        ("{'': {max_positions: 3}}", "a strategy is named as its commands' strategyId"),
        ("[a, b]", "must be a group of at most"),
        ("{a: {allowed_symbols: {EURUSD: 1}}}", "a.allowed_symbols must be a list of symbols"),
    ],
)
def test_a_wrong_limit_of_a_strategy_is_named(tmp_path: Path, group: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        load_settings(written(tmp_path, f"safety: {{strategies: {group}}}"), {}, {})
    assert told in str(fault.value)
    assert "safety.strategies" in str(fault.value)


def test_strategies_are_described_as_they_would_be_written(tmp_path: Path) -> None:
    text = "safety: {strategies: {a: {max_positions: 3, allowed_symbols: [EURUSD], max_daily_loss: 0.50}}}"
    settings = load_settings(written(tmp_path, text), {}, {})
    assert value_of(settings, "safety.strategies") == {
        "a": {"allowed_symbols": ["EURUSD"], "max_daily_loss": "0.50", "max_positions": "3"}
    }
