"""Logging: JSON lines on stdout for a headless engine, and one rotating file a process. Secrets are masked wherever they stand,
tracebacks show no values, and what libraries log through the standard module arrives in the same place.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from loguru import logger

if TYPE_CHECKING:
    from loguru import Message, Record

ROTATION_BYTES = 10_000_000
KEPT_FILES = 10
_MASK = "***"
_SHORTEST_SECRET = 6
_BEARER = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{6,}")
_ASSIGNED = re.compile(r"(?i)\b((?:api[_-]?key|token|password|secret)[\"']?\s*[=:]\s*[\"']?)[^\s\"',}]{6,}")
_LINE = "_line"


class Masker:
    """Replaces secrets by `***`: those it was told of, and whatever stands where a secret usually does."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted(
            {text for text in secrets if len(text) >= _SHORTEST_SECRET}, key=len, reverse=True
        )

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return _ASSIGNED.sub(rf"\1{_MASK}", _BEARER.sub(rf"\1{_MASK}", text))

    def deep(self, value: Any) -> Any:
        """The same in every text of a JSON-ready value."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {str(key): self.deep(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.deep(item) for item in value]
        return value


def _plain(value: object) -> object:
    """JSON forms of what the engine logs; anything else by its name, never by its contents."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, frozenset | set):
        return sorted(map(str, value))
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return f"<{type(value).__name__}>"


def json_line(record: Record, masker: Masker) -> str:
    """One record as one line: `{"event", "at", "level", …fields, "fault"?}`."""
    fields = {key: value for key, value in record["extra"].items() if key != _LINE}
    content: dict[str, Any] = {
        "event": record["message"],
        "at": _plain(record["time"]),
        "level": record["level"].name.lower(),
    }
    content.update({key: value for key, value in fields.items() if key not in content})
    exception = record["exception"]
    if exception is not None and exception.type is not None:
        content["fault"] = "".join(
            traceback.format_exception(exception.type, exception.value, exception.traceback)
        )
    ready = json.loads(json.dumps(content, default=_plain))
    return json.dumps(masker.deep(ready), ensure_ascii=False)


class _Intercept(logging.Handler):
    """Hands the standard module's records on."""

    def emit(self, record: logging.LogRecord) -> None:
        depth, frame = 0, inspect.currentframe()
        while frame is not None and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame = frame.f_back
            depth += 1
        level = (
            record.levelname
            if record.levelname in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
            else "INFO"
        )
        logger.opt(depth=depth, exception=record.exc_info).bind(source=record.name).log(
            level, "{}", record.getMessage()
        )


class _LogSection(Protocol):
    @property
    def folder(self) -> Path: ...

    @property
    def level(self) -> str: ...


class LogSource(Protocol):
    """The part of Settings that is needed here."""

    @property
    def log(self) -> _LogSection: ...

    @property
    def secrets(self) -> Iterable[str]: ...


class EventLog:
    """log(event, level, **fields): one structured line. `fault` may be an exception: its traceback is written without values."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        """None: the log folder cannot be written."""

    def __call__(self, event: str, level: str = "info", **fields: Any) -> None:
        fault = fields.pop("fault", None)
        bound = logger
        if isinstance(fault, BaseException):
            bound = logger.opt(exception=fault)
        elif fault is not None:
            fields["fault"] = fault
        bound.bind(**fields).log(level.upper(), "{}", event)


def set_up_logging(settings: LogSource, *, process: str, stdout: TextIO | None = None) -> EventLog:
    """Replace all sinks of this process: stdout and `<process>.log` in the log folder.

    A folder that cannot be written costs the file, not the engine: one line on stderr says so.
    """
    level = settings.log.level.upper()
    masker = Masker(settings.secrets)

    def formatted(record: Record) -> str:
        record["extra"][_LINE] = json_line(record, masker)
        return "{extra[" + _LINE + "]}\n"

    stream = stdout if stdout is not None else sys.stdout

    def write(message: Message) -> None:
        stream.write(str(message))
        stream.flush()

    logger.remove()
    logger.add(write, level=level, format=formatted, diagnose=False, backtrace=False)
    log = EventLog(_add_file(settings.log.folder, process, level, formatted))
    logging.basicConfig(handlers=[_Intercept()], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    return log


def _add_file(folder: Path, process: str, level: str, formatted: Callable[[Record], str]) -> Path | None:
    file = folder / f"{process}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        logger.add(
            file,
            level=level,
            format=formatted,
            rotation=ROTATION_BYTES,
            retention=KEPT_FILES,
            encoding="utf-8",
            diagnose=False,
            backtrace=False,
        )
    except OSError as fault:
        sys.stderr.write(
            f"medulla: log.folder: {folder}: cannot be written ({fault.strerror}); going on without it\n"
        )
        return None
    return file
