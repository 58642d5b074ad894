"""What can be configured: every key with its default, its kind and one line of meaning. Reading files is load.py's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.domain.alert_rules import AlertRules
from app.domain.limits import SafetyLimits
from app.domain.watchdog_rules import WatchLimits
from app.settings.kinds import (
    Allowed,
    BrainUrl,
    CountOrOff,
    ExecutorId,
    FilePath,
    Flag,
    Hotkey,
    OptionalPath,
    Port,
    PortOrAny,
    ProxyUrl,
    Seconds,
    Secret,
    SecretUrls,
    SigningKeys,
    Whole,
)
from app.settings.safety import SafetySection

NOT_YET = Path()
"""Stands for a path that has its default inside the data folder."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class BrainSettings(_Section):
    url: BrainUrl = Field(
        None, description="Where the web brain is. Not set: no brain; the engine runs without one."
    )
    api_key: Secret = Field(
        None,
        description="Key the brain knows us by. Its place is the keyring (`medulla pair`) or the environment.",
    )
    executor_id: ExecutorId = Field("exec_001", description="Our name at the brain.")
    signing_keys: SigningKeys = Field(
        default_factory=lambda: MappingProxyType({}),
        description="Public keys whose signatures are believed. Commands must be signed if any is set.",
    )
    allow_unsigned: Flag = Field(False, description="Accept unsigned commands while no signing key is set.")
    ca_file: OptionalPath = Field(None, description="Certificates (PEM) to believe in place of the system's.")
    proxy: ProxyUrl = Field(None, description="Proxy to the brain. Not set: none, whatever the system says.")


class TerminalSettings(_Section):
    command_port: Port = Field(5555, description="Port of the EA's command socket on 127.0.0.1.")
    stream_port: Port = Field(
        5556,
        description="Port of the EA's stream socket on 127.0.0.1; with `listen`, the port of its stop connection.",
    )
    transport: Annotated[Literal["connect", "listen"], Allowed("connect or listen")] = Field(
        "connect",
        description="`connect` to an EA that listens; `listen` for the EA without DLL, which connects to both ports.",
    )
    key_file: FilePath = Field(
        NOT_YET,
        description="Shared secret with the EA; made by whichever side starts first. Default: `terminal.key`.",
    )
    max_in_flight: Annotated[int, Whole, Field(ge=1, le=64), Allowed("a whole number from 1 to 64")] = Field(
        1, description="Commands that may be at the terminal at once."
    )
    answer_timeout: Annotated[
        float, Seconds, Field(gt=0, le=600), Allowed("seconds, more than 0 and at most 600")
    ] = Field(10.0, description="Seconds after which a missing answer makes the outcome UNKNOWN.")
    max_attempts: Annotated[int, Whole, Field(ge=1, le=3), Allowed("1, 2 or 3")] = Field(
        3, description="Attempts inside the terminal at a refusal that certainly did nothing."
    )
    magic: Annotated[
        int, Whole, Field(ge=1, le=2**53), Allowed("a whole number from 1 to 9007199254740992")
    ] = Field(
        770000,
        description="Magic number of what is opened by commands without a `magicNumber`. "
        "The Expert Advisor takes 0 for somebody else's.",
    )

    @property
    def stop_port(self) -> int | None:
        """Where a terminal's stop connection is waited for; None: the terminal listens itself."""
        return self.stream_port if self.transport == "listen" else None


class JournalSettings(_Section):
    path: FilePath = Field(NOT_YET, description="The journal's database. Default: `journal.db`.")
    backup_folder: FilePath = Field(NOT_YET, description="Where verified backups go. Default: `backups`.")
    backup_keep: Annotated[int, Whole, Field(ge=1, le=10_000), Allowed("a whole number from 1 to 10000")] = (
        Field(48, description="How many backups are kept.")
    )


class ApiSettings(_Section):
    port: PortOrAny = Field(5557, description="Port of the local API on 127.0.0.1.")
    token_file: FilePath = Field(
        NOT_YET,
        description="Token of the scope `control`; beside it, with `.read` behind its name, the one of `read`. "
        "Default: `api.token`.",
    )


class QueueSettings(_Section):
    capacity: Annotated[int, Whole, Field(ge=1, le=100_000), Allowed("a whole number from 1 to 100000")] = (
        Field(1000, description="Commands that may wait; more are refused with QUEUE_FULL.")
    )


class LogSettings(_Section):
    folder: FilePath = Field(NOT_YET, description="Where log files go. Default: `logs`.")
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Allowed("debug, info, warning or error")
    ] = Field("info", description="Least severity that is written.")


class WatchdogSettings(_Section):
    max_latency_ms: Annotated[
        int, Whole, Field(ge=0, le=60_000), Allowed("milliseconds, a whole number to 60000; 0: off")
    ] = Field(
        1000,
        description="Longest that a command at the terminal, its heartbeat, or the brain's pong may take unsaid.",
    )
    failures_in_a_row: CountOrOff = Field(
        3, description="Entries that the broker refuses one after the other before it is said."
    )
    queue_percent: Annotated[
        int, Whole, Field(ge=0, le=100), Allowed("percent of queue.capacity, a whole number to 100; 0: off")
    ] = Field(80, description="How full the queue may be unsaid.")

    def limits(self) -> WatchLimits:
        return WatchLimits(self.max_latency_ms, self.failures_in_a_row, self.queue_percent)


class AlertSettings(_Section):
    urls: SecretUrls = Field(
        (),
        description="Where alerts are sent to, as Apprise addresses. From the environment or the keyring "
        "(`medulla alerts add`) alone.",
    )
    minimum_level: Annotated[Literal["info", "warning", "critical"], Allowed("info, warning or critical")] = (
        Field("warning", description="Least severity that is sent.")
    )
    per_code_seconds: Annotated[
        int, Whole, Field(ge=0, le=86_400), Allowed("seconds, a whole number to 86400; 0: off")
    ] = Field(60, description="Least time between two messages about the same thing.")
    per_hour: Annotated[
        int, Whole, Field(ge=0, le=1000), Allowed("a whole number to 1000; 0: as many as there are")
    ] = Field(20, description="Most messages within an hour; a quarter of them is kept for critical ones.")
    repeat_minutes: Annotated[
        int, Whole, Field(ge=0, le=1440), Allowed("minutes, a whole number to 1440; 0: never")
    ] = Field(5, description="How often critical alerts come again until they are acknowledged.")

    def rules(self) -> AlertRules:
        return AlertRules(self.minimum_level, self.per_code_seconds, self.per_hour, self.repeat_minutes)


class StopSettings(_Section):
    hotkey: Hotkey = Field(
        "Ctrl+Alt+Shift+S",
        description="Keys that stop everything on Windows, whatever window is in front; `off`: none.",
    )


SECTIONS: dict[str, type[BaseModel]] = {
    "brain": BrainSettings,
    "terminal": TerminalSettings,
    "journal": JournalSettings,
    "api": ApiSettings,
    "queue": QueueSettings,
    "safety": SafetySection,
    "watchdogs": WatchdogSettings,
    "alerts": AlertSettings,
    "stop": StopSettings,
    "log": LogSettings,
}
RETIRED = {
    "journal.retention_days": "nothing is ever taken out of the journal (docs/journal.md); delete the line",
}
"""Settings of earlier versions, and what became of them."""
OUTSIDE_FILES = frozenset({"alerts.urls"})
"""Secrets that are taken from the environment alone: not from a file, and not from the command line, which others can list."""
DATA_FOLDER = "data_folder"
DATA_FOLDER_ALLOWED = Allowed("a path of a folder on a disk of this machine")
SECRET_KEYS = frozenset({"brain.api_key", "alerts.urls"})


@dataclass(frozen=True, slots=True)
class Sources:
    """What load_settings was given, so that the same can be read again after the file has changed."""

    config: Path | None
    overrides: Mapping[str, str]
    environ: Mapping[str, str]
    """The variables of our prefix alone; a secret may be among them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked, with every path absolute. Made by load_settings alone."""

    data_folder: Path
    brain: BrainSettings
    terminal: TerminalSettings
    journal: JournalSettings
    api: ApiSettings
    queue: QueueSettings
    safety: SafetyLimits
    watchdogs: WatchdogSettings
    alerts: AlertSettings
    stop: StopSettings
    log: LogSettings
    files: tuple[Path, ...]
    """Configuration files that were read, in order of precedence, lowest first."""
    config_path: Path
    """The main configuration file, whether it exists or not: where `medulla pair` writes."""
    origins: Mapping[str, str]
    """Where each setting that is not at its default was set."""
    warnings: tuple[str, ...]
    """One line each, for stderr, `doctor` and the status."""
    sources: Sources = field(repr=False, compare=False)

    @property
    def state_folder(self) -> Path:
        """The journal's folder. Latch, stop file and runtime file live beside the journal that they belong to, so that two
        executors with two journals never share a stop by accident."""
        return self.journal.path.parent

    @property
    def runtime_file(self) -> Path:
        """Written by a running engine: pid, ports, start, version (JSON)."""
        return self.state_folder / "engine.json"

    @property
    def stop_file(self) -> Path:
        """While it exists, trading is halted."""
        return self.state_folder / "STOP"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never stand in a log line."""
        key = () if self.brain.api_key is None else (self.brain.api_key.get_secret_value(),)
        return (*key, *(url.get_secret_value() for url in self.alerts.urls))

    @property
    def read_token_file(self) -> Path:
        """Token of the scope `read`."""
        return self.api.token_file.with_name(self.api.token_file.name + ".read")


def known_keys() -> tuple[str, ...]:
    """Every key, dotted, in the order of the documentation."""
    return (
        DATA_FOLDER,
        *(f"{name}.{key}" for name, section in SECTIONS.items() for key in section.model_fields),
    )


def allowed(key: str) -> str:
    """What the setting may be, in words."""
    if key == DATA_FOLDER:
        return DATA_FOLDER_ALLOWED.text
    section, name = key.split(".", 1)
    for item in SECTIONS[section].model_fields[name].metadata:
        if isinstance(item, Allowed):
            return item.text
    return "another value"
