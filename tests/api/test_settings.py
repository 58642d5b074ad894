"""Settings over the local API: described without secrets, judged, written, in force, journalled; else refused with a code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters import keyring_secrets
from app.api.client import ApiClient, RequestRefused, Target
from app.api.server import ApiServer
from app.domain.errors import JournalFailed
from app.domain.events import SettingChanged
from app.engine.control import Refused
from app.settings import Settings, load_settings
from app.settings.desk import EngineSettings

from .fake_control import NOON, FakeControl
from .running import TOKENS, raw_client

FILE = "# mine\nsafety:\n  max_volume_per_order: 0.50  # lots\n"


class Noon:
    def now(self) -> Any:
        return NOON


class Keeping:
    """The journal of a control that also takes rows."""

    def __init__(self) -> None:
        self.events: list[SettingChanged] = []
        self.fault: JournalFailed | None = None

    async def append(self, *events: Any) -> None:
        if self.fault is not None:
            raise self.fault
        self.events += events


class Control(FakeControl):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.limits = settings.safety
        self.kept = Keeping()

    @property
    def journal(self) -> Any:
        return self.kept


@dataclass
class Running:
    control: Control
    settings: Settings
    server: ApiServer
    ended: list[tuple[str, str]] = field(default_factory=list)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Running]:
    file = folder / "config.yaml"
    file.write_text(FILE)
    settings = load_settings(file, {"data_folder": str(folder)}, {"MEDULLA_LOG__LEVEL": "error"})
    control = Control(settings)
    ended: list[tuple[str, str]] = []

    async def end(reason: str, by: str) -> None:
        ended.append((reason, by))

    desk = EngineSettings(settings, control, Noon())  # type: ignore[arg-type]  # as much clock as is asked for
    server = ApiServer(control, port=0, tokens=TOKENS, settings=desk, end=end)
    await server.start()
    try:
        yield Running(control, settings, server, ended)
    finally:
        await server.close()


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as made:
        yield made


@pytest.fixture
async def client(up: Running) -> AsyncIterator[ApiClient]:
    async with ApiClient(Target(up.server.port, TOKENS.control)) as made:
        yield made


async def refused(asking: Any) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        await asking
    return caught.value


async def test_every_setting_is_shown_with_its_source_and_no_secret(up: Running, client: ApiClient) -> None:
    shown = {setting.key: setting for setting in (await client.settings()).settings}
    order = shown["safety.max_volume_per_order"]
    assert (order.value, order.default, order.effect, order.locked) == ("0.50", None, "live", False)
    assert order.origin == f"{up.settings.config_path}:3"
    assert order.money.startswith("One wrong number")
    assert shown["log.level"].locked
    assert shown["log.level"].origin == "MEDULLA_LOG__LEVEL"
    key = shown["brain.api_key"]
    assert (key.value, key.secret) == (None, True)
    assert "keyring" in key.origin


async def test_the_read_token_may_look_but_not_change(up: Running) -> None:
    async with raw_client(up.server, TOKENS.read) as reader:
        assert (await reader.get("/settings")).status_code == 200
        for path in ("/settings/check", "/settings/apply", "/settings/secret", "/engine/end"):
            assert (await reader.post(path, json={})).json()["code"] == "SCOPE_TOO_SMALL"


async def test_check_does_nothing_and_says_all(up: Running, client: ApiClient) -> None:
    judged = await client.check_settings({"safety.max_volume_per_order": "1", "queue.capacity": 5})
    assert [(change.key, change.loosens, change.effect) for change in judged.changes] == [
        ("queue.capacity", False, "restart"),
        ("safety.max_volume_per_order", True, "live"),
    ]
    judged = await client.check_settings({"safety.max_volume_per_order": "much", "log.level": "info"})
    assert [fault.key for fault in judged.errors] == ["safety.max_volume_per_order", "log.level"]
    assert up.settings.config_path.read_text() == FILE
    assert up.control.asked == []


async def test_a_tighter_limit_is_written_in_force_and_needs_no_words(up: Running, client: ApiClient) -> None:
    done = await client.apply_settings({"safety.max_volume_per_order": "0.20"}, by="ann")
    assert done.restart == ()
    assert up.control.limits.max_volume_per_order == Decimal("0.20")
    assert up.settings.config_path.read_text() == FILE.replace("0.50", "0.20")
    backup = up.settings.config_path.with_name("config.yaml.before-change")
    assert done.backup == str(backup)
    assert backup.read_text() == FILE
    [setting] = [
        row for row in (await client.settings()).settings if row.key == "safety.max_volume_per_order"
    ]
    assert (setting.value, setting.pending) == ("0.20", False)


async def test_a_looser_one_needs_a_reason_and_a_confirmation(up: Running, client: ApiClient) -> None:
    looser = {"safety.max_volume_per_order": "5"}
    assert (await refused(client.apply_settings(looser, confirm=True))).code == "REASON_REQUIRED"
    assert (await refused(client.apply_settings(looser, reason="  ", confirm=True))).code == "REASON_REQUIRED"
    assert (await refused(client.apply_settings(looser, reason="more capital"))).code == "CONFIRM_REQUIRED"
    assert up.settings.config_path.read_text() == FILE
    assert up.control.asked == []
    await client.apply_settings(looser, reason="more capital", confirm=True, by="ann")
    [(name, asked)] = up.control.asked
    assert (name, asked["reason"], asked["by"]) == ("change_limits", "more capital", "ann")
    assert up.control.limits.max_volume_per_order == 5


async def test_what_is_no_limit_is_journalled_and_waits_for_a_restart(up: Running, client: ApiClient) -> None:
    done = await client.apply_settings({"queue.capacity": 50, "brain.allow_unsigned": False}, by="ann")
    assert done.restart == ("queue.capacity",)
    [event] = up.control.kept.events
    assert (event.key, event.old, event.new, event.by) == ("queue.capacity", "1000", "50", "ann")
    shown = {setting.key: setting for setting in (await client.settings()).settings}
    assert shown["queue.capacity"].pending
    assert shown["queue.capacity"].value == "50"
    assert not shown["log.level"].pending


async def test_wrong_values_are_refused_with_field_and_rule(up: Running) -> None:
    async with raw_client(up.server, TOKENS.control) as raw:
        answer = await raw.post("/settings/apply", json={"changes": {"safety.max_daily_loss": "-1"}})
        assert answer.status_code == 400
        assert answer.json()["code"] == "INVALID_SETTINGS"
        [error] = answer.json()["errors"]
        assert error["key"] == "safety.max_daily_loss"
        assert "greater than 0" in error["rule"]
        answer = await raw.post("/settings/apply", json={"changes": {"a": [[[["deep"]]]]}})
        assert answer.json()["code"] == "INVALID_REQUEST"
        answer = await raw.post("/settings/apply", json={"changes": {}, "force": True})
        assert answer.json()["code"] == "INVALID_REQUEST"


async def test_what_the_journal_does_not_take_is_not_left_in_the_file(up: Running, client: ApiClient) -> None:
    up.control.kept.fault = JournalFailed("disk full")
    assert (await refused(client.apply_settings({"queue.capacity": "50"}))).code == "JOURNAL_FAILED"
    assert up.settings.config_path.read_text() == FILE
    up.control.kept.fault = None
    up.control.refusal = Refused("HALTED", "not now")
    assert (await refused(client.apply_settings({"safety.max_positions": "2"}))).code == "HALTED"
    assert up.settings.config_path.read_text() == FILE


async def test_a_broken_file_is_said_not_hidden(up: Running, client: ApiClient) -> None:
    up.settings.config_path.write_text("safety: [\n")
    fault = await refused(client.settings())
    assert fault.code == "CONFIGURATION_WRONG"
    assert "is not YAML" in str(fault)


async def test_a_secret_goes_to_the_keyring_or_nowhere(
    up: Running, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = await refused(client.set_secret("brain.api_key", "canary-0123456789"))
    assert fault.code == "KEYRING_UNUSABLE"
    assert "canary" not in str(fault)
    kept: dict[tuple[str, str], str] = {}

    class Keyring:
        def get_password(self, service: str, name: str) -> str | None:
            return kept.get((service, name))

        def set_password(self, service: str, name: str, secret: str) -> None:
            kept[service, name] = secret

    monkeypatch.setattr(keyring_secrets, "system_backend", Keyring)
    await client.set_secret("brain.api_key", "canary-0123456789", by="ann")
    assert kept == {("Medulla", "brain.api_key/exec_001"): "canary-0123456789"}
    [event] = up.control.kept.events
    assert (event.key, event.new, event.by) == ("brain.api_key", "***", "ann")
    assert up.settings.config_path.read_text() == FILE
    shown = await client.settings()
    assert "canary" not in shown.model_dump_json()
    origins = {setting.key: setting.origin for setting in shown.settings if setting.secret}
    assert origins == {"brain.api_key": "keyring", "alerts.urls": "default"}


async def test_the_engine_ends_when_asked(up: Running, client: ApiClient) -> None:
    await client.end_engine(reason="closing time", by="desktop")
    assert up.ended == [("closing time", "desktop")]


async def test_a_server_without_a_desk_has_no_such_routes() -> None:
    server = ApiServer(FakeControl(), port=0, tokens=TOKENS)
    await server.start()
    try:
        headers = {"Authorization": f"Bearer {TOKENS.control}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{server.port}", headers=headers, trust_env=False
        ) as raw:
            assert (await raw.get("/settings")).json()["code"] == "NO_SUCH_ROUTE"
            assert (await raw.post("/engine/end", json={})).json()["code"] == "NO_SUCH_ROUTE"
    finally:
        await server.close()
