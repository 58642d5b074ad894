"""Layers in, Settings out: precedence, conversion, defaults inside the data folder, checks between keys. Every fault is one
line that names the place, the key, the value (secrets masked) and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ValidationError

from app.domain.errors import ConfigurationError
from app.settings.kinds import rule_of
from app.settings.layers import (
    ENVIRONMENT_NAME,
    PREFIX,
    Entry,
    Layer,
    environment_layer,
    override_layer,
    text_layer,
    yaml_layer,
)
from app.settings.model import (
    DATA_FOLDER,
    SECRET_KEYS,
    SECTIONS,
    AlertSettings,
    ApiSettings,
    BrainSettings,
    JournalSettings,
    LogSettings,
    QueueSettings,
    Settings,
    Sources,
    StopSettings,
    TerminalSettings,
    WatchdogSettings,
    allowed,
)
from app.settings.safety import SafetySection

CONFIG_NAME = "config.yaml"
_PATH_KEYS: dict[str, str | None] = {
    "terminal.key_file": "terminal.key",
    "journal.path": "journal.db",
    "journal.backup_folder": "backups",
    "api.token_file": "api.token",
    "log.folder": "logs",
    "brain.ca_file": None,
}
"""Settings that are paths, and their default inside the data folder."""
_MAX_SHOWN = 60


def load_settings(
    config: Path | None,
    overrides: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    text: str | None = None,
) -> Settings:
    """Defaults < config file < its `<env>` variant < environment < overrides (dotted keys).

    `config` None: `config.yaml` in the data folder, if there is one; a file that is named must exist. `text`: as if that stood in
    the config file. Raises ConfigurationError.
    """
    from_environment = environment_layer(environ)
    from_overrides = override_layer(overrides)
    path = _config_path(config, {**from_environment, **from_overrides})
    files = _files(path, config is not None and text is None, environ.get(ENVIRONMENT_NAME, ""))
    if text is not None:
        files = [path, *(file for file in files if file != path)]
    merged: Layer = {}
    for file in files:
        merged.update(yaml_layer(file) if text is None or file != path else text_layer(path, text))
    for layer in (from_environment, from_overrides):
        merged.update(layer)
    # An empty value means "not set here": the default counts, not what a lower layer said.
    merged = {key: entry for key, entry in merged.items() if not _blank(entry)}
    data_folder = _data_folder(merged)
    sections = {name: _section(name, merged, data_folder) for name in SECTIONS}
    ours = {name: value for name, value in environ.items() if name.upper().startswith(PREFIX)}
    sources = Sources(config, dict(overrides), ours)
    settings = _assemble(data_folder, sections, files, path, merged, sources)
    _check_together(settings, merged)
    return settings


# ------------------------------------------------------------------ where the files are


def default_data_folder() -> Path:
    """Local, not roaming: a journal must never be copied while it is written."""
    return Path(platformdirs.user_data_dir("Medulla", appauthor=False, roaming=False))


def _config_path(config: Path | None, given: Layer) -> Path:
    if config is not None:
        return config.expanduser().absolute()
    return _data_folder({key: entry for key, entry in given.items() if not _blank(entry)}) / CONFIG_NAME


def _blank(entry: Entry) -> bool:
    return entry.value is None or (isinstance(entry.value, str) and not entry.value.strip())


def _files(path: Path, named: bool, environment: str) -> list[Path]:
    if named and not path.is_file():
        raise ConfigurationError(
            f"{path}: there is no such file; give --config the path of a configuration file"
        )
    files = [path] if path.is_file() else []
    if environment:
        if not environment.replace("-", "").replace("_", "").isalnum():
            raise ConfigurationError(
                f"{ENVIRONMENT_NAME}: {environment!r}: allowed: letters, digits, - and _"
            )
        variant = path.with_name(f"{path.stem}.{environment}{path.suffix}")
        if variant.is_file():
            files.append(variant)
    return files


def _data_folder(layer: Layer) -> Path:
    entry = layer.get(DATA_FOLDER)
    if entry is not None:
        return _absolute(DATA_FOLDER, entry)
    journal = layer.get("journal.path")
    if journal is not None:
        # One journal is one executor: its latch, tokens and runtime file belong beside it, never to another's.
        return _absolute("journal.path", journal).parent
    return default_data_folder()


def _absolute(key: str, entry: Entry) -> Path:
    if not isinstance(entry.value, str) or not entry.value.strip() or "\0" in entry.value:
        raise _fault(key, entry)
    path = Path(entry.value).expanduser()
    return path if path.is_absolute() else ((entry.base or Path.cwd()) / path).absolute()


# ------------------------------------------------------------------ conversion


def _section(name: str, merged: Layer, data_folder: Path) -> BaseModel:
    values: dict[str, Any] = {}
    for field in SECTIONS[name].model_fields:
        key = f"{name}.{field}"
        entry = merged.get(key)
        if key in _PATH_KEYS:
            default = _PATH_KEYS[key]
            if entry is not None:
                values[field] = _absolute(key, entry)
            elif default is not None:
                # The terminal's key is shared with the terminal, which knows nothing of journals.
                shared = key == "terminal.key_file" and DATA_FOLDER not in merged
                values[field] = (default_data_folder() if shared else data_folder) / default
        elif entry is not None:
            if isinstance(entry.value, list | dict) and key not in _GROUPED:
                raise _fault(key, entry)
            values[field] = entry.value.strip() if isinstance(entry.value, str) else entry.value
    try:
        return SECTIONS[name].model_validate(values)
    except ValidationError as faults:
        first = faults.errors(include_url=False)[0]
        key = f"{name}.{first['loc'][0]}"
        cause = first.get("ctx", {}).get("error")
        rule = rule_of(cause) if isinstance(cause, ValueError) else None
        raise _fault(key, merged[key], rule) from None


_GROUPED = frozenset({"brain.signing_keys", "safety.allowed_symbols", "safety.sessions", "safety.strategies"})


def check_value(key: str, value: Any, base: Path) -> None:
    """Whether one setting may have this value (as written: text, list or group). Raises ConfigurationError without a place."""
    layer: Layer = {key: Entry(value, _NOWHERE, base)}
    try:
        if key == DATA_FOLDER:
            _absolute(key, layer[key])
        else:
            _section(key.split(".", 1)[0], layer, base)
    except ConfigurationError as fault:
        raise ConfigurationError(str(fault).removeprefix(f"{_NOWHERE}: {key}: ")) from None


_NOWHERE = "new value"


def _fault(key: str, entry: Entry, rule: str | None = None) -> ConfigurationError:
    detail = f" ({rule})" if rule else ""
    return ConfigurationError(
        f"{entry.origin}: {key}: {_shown(key, entry.value)}{detail}: allowed: {allowed(key)}"
    )


def _shown(key: str, value: Any) -> str:
    """A value as it may stand in an error line: one line, not long, no secret."""
    if key in SECRET_KEYS:
        return "***"
    if key in {"brain.url", "brain.proxy"} and isinstance(value, str):
        value = without_password(value)
    text = " ".join(str(value).split())
    return repr(text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…")


def without_password(url: str) -> str:
    """The address with `***` in place of a password."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return url
    return url.replace(f":{password}@", ":***@", 1) if password else url


# ------------------------------------------------------------------ together


def _assemble(
    data_folder: Path,
    sections: Mapping[str, BaseModel],
    files: list[Path],
    path: Path,
    merged: Layer,
    sources: Sources,
) -> Settings:
    brain, terminal, journal = sections["brain"], sections["terminal"], sections["journal"]
    api, queue, safety, log = sections["api"], sections["queue"], sections["safety"], sections["log"]
    watchdogs, alerts, stop = sections["watchdogs"], sections["alerts"], sections["stop"]
    if not (
        isinstance(brain, BrainSettings)
        and isinstance(terminal, TerminalSettings)
        and isinstance(journal, JournalSettings)
        and isinstance(api, ApiSettings)
        and isinstance(queue, QueueSettings)
        and isinstance(safety, SafetySection)
        and isinstance(watchdogs, WatchdogSettings)
        and isinstance(alerts, AlertSettings)
        and isinstance(stop, StopSettings)
        and isinstance(log, LogSettings)
    ):
        raise TypeError("SECTIONS names another class than Settings expects")
    return Settings(
        data_folder=data_folder,
        brain=brain,
        terminal=terminal,
        journal=journal,
        api=api,
        queue=queue,
        safety=safety.limits(),
        watchdogs=watchdogs,
        alerts=alerts,
        stop=stop,
        log=log,
        files=tuple(files),
        config_path=path,
        origins=MappingProxyType({key: entry.origin for key, entry in merged.items()}),
        warnings=tuple(_warnings(brain, safety, merged)),
        sources=sources,
    )


def _warnings(brain: BrainSettings, safety: SafetySection, merged: Layer) -> list[str]:
    found = []
    key = merged.get("brain.api_key")
    if key is not None and key.base is not None:
        found.append(
            f"{key.origin}: brain.api_key: a secret in a file can be read by whoever reads the file; store it with "
            "`medulla pair`, or set MEDULLA_BRAIN__API_KEY, and remove it here"
        )
    if brain.allow_unsigned and brain.signing_keys:
        found.append(
            "brain.allow_unsigned has no effect while brain.signing_keys are set: unsigned commands are refused"
        )
    elif brain.allow_unsigned:
        found.append(
            "brain.allow_unsigned is on: whoever holds the api key can trade without a signature; "
            "set brain.signing_keys (`medulla pair`) and turn it off"
        )
    for narrow, wide in safety.pointless():
        found.append(
            f"{_origin(f'safety.{narrow}', merged)}: safety.{narrow} has no effect: safety.{wide} is tighter"
        )
    return found


def _check_together(settings: Settings, merged: Layer) -> None:
    ports = [
        ("terminal.command_port", settings.terminal.command_port),
        ("terminal.stream_port", settings.terminal.stream_port),
        ("api.port", settings.api.port),
    ]
    seen: dict[int, str] = {}
    # What was set is blamed, not a default that happened to be there first.
    for key, port in sorted(ports, key=lambda item: item[0] in merged):
        if port in seen:
            raise ConfigurationError(
                f"{_origin(key, merged)}: {key}: {port}: allowed: a port that is not also {seen[port]}"
            )
        if port:
            seen[port] = key


def _origin(key: str, merged: Layer) -> str:
    entry = merged.get(key)
    return entry.origin if entry is not None else "default"
