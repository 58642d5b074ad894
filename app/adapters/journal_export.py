"""The command table as CSV, JSON lines or Parquet: one row a command, numbers as exact text.

For people and spreadsheets. The event log itself, with its hashes, is only in the journal and its backups.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from app.adapters.journal_schema import commands
from app.domain.errors import MedullaError

COLUMNS = tuple(column.name for column in commands.columns if column.name not in ("final", "finished_seq"))


class ExportFormat(Enum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class ExportFailed(MedullaError):
    """The export could not be made. The journal is untouched."""


def export(rows: Iterable[dict[str, Any]], form: ExportFormat, target: Path) -> int:
    """Write all rows to `target` (replaced only when it is complete); how many. Raises ExportFailed."""
    unfinished = target.with_name(target.name + ".part")
    try:
        if form is ExportFormat.PARQUET:
            count = _parquet(rows, unfinished)
        else:
            with unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
                count = write_text(rows, form, stream)
        unfinished.replace(target)
    except OSError as fault:
        raise ExportFailed(
            f"The export {target} could not be written ({fault}). The journal is untouched."
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def write_text(rows: Iterable[dict[str, Any]], form: ExportFormat, stream: TextIO) -> int:
    """CSV (RFC 4180, a header line) or JSON lines to an open text stream; how many rows. Raises ExportFailed for Parquet."""
    if form is ExportFormat.PARQUET:
        raise ExportFailed("Parquet is no text: name a file with --out.")
    count = 0
    writer = csv.writer(stream)
    if form is ExportFormat.CSV:
        writer.writerow(COLUMNS)
    for row in rows:
        if form is ExportFormat.CSV:
            writer.writerow([_cell(row[name]) for name in COLUMNS])
        else:
            stream.write(json.dumps({name: row[name] for name in COLUMNS}, ensure_ascii=False) + "\n")
        count += 1
    return count


def _cell(value: Any) -> Any:
    """A spreadsheet runs a cell that begins so as a formula, and comments come from outside: such text gets an apostrophe."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        try:
            Decimal(value)
        except InvalidOperation:
            return "'" + value
    return value


def _parquet(rows: Iterable[dict[str, Any]], target: Path) -> int:
    try:
        # By name, so that the checks do not ask for a package that few install.
        pyarrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise ExportFailed(
            "Parquet needs the package pyarrow, which is not installed: pip install pyarrow, or export csv or jsonl."
        ) from None
    schema = pyarrow.schema(
        [
            (column.name, pyarrow.int64() if column.type.python_type is int else pyarrow.string())
            for column in commands.columns
            if column.name in COLUMNS
        ]
    )
    count = 0
    with parquet.ParquetWriter(target, schema) as writer:
        for part in _parts(rows, 5_000):
            chosen = [{name: row[name] for name in COLUMNS} for row in part]
            writer.write_table(pyarrow.Table.from_pylist(chosen, schema=schema))
            count += len(part)
    return count


def _parts(rows: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
