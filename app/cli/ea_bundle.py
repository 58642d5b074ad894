"""What goes into a terminal's folder and where: sources of the Expert Advisor, libraries, key, preset. Contents only; who writes
them is adapters/ea_files.py.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path, PurePosixPath

from app.adapters.ea_files import Item
from app.adapters.pinned_wheel import PinnedFile
from app.domain.errors import ConfigurationError
from app.settings import Settings

EXPERTS = PurePosixPath("MQL5/Experts/Medulla")
INCLUDE = PurePosixPath("MQL5/Include/Medulla")
LIBRARIES = PurePosixPath("MQL5/Libraries")
PRESET = PurePosixPath("MQL5/Presets/Medulla.set")
KEY = PurePosixPath("MQL5/Files/Medulla/key.txt")
WITH_LIBRARY = "Medulla.mq5"
WITHOUT_LIBRARY = "MedullaNoDll.mq5"
_DEFAULT_ORDER = Decimal(1)
"""Lots: what the EA takes at most in one order while the executor's settings name no limit."""


def source_folder(given: Path | None) -> Path:
    """Where the EA's sources are: given, beside the program's package, or beside a frozen program. Raises ConfigurationError."""
    candidates = (
        [given]
        if given is not None
        else [
            Path(__file__).resolve().parents[2] / "mql5_ea",
            Path(sys.executable).resolve().parent / "mql5_ea",
        ]
    )
    for folder in candidates:
        if (folder / WITHOUT_LIBRARY).is_file():
            return folder
    raise ConfigurationError(
        f"--source: {candidates[0]} holds no {WITHOUT_LIBRARY}; name the folder mql5_ea of Medulla's sources"
    )


def source_items(folder: Path, *, with_library: bool) -> list[Item]:
    """The EA's own files. Raises ConfigurationError."""
    fronts = [WITH_LIBRARY, WITHOUT_LIBRARY] if with_library else [WITHOUT_LIBRARY]
    try:
        items = [Item(EXPERTS / name, (folder / name).read_bytes()) for name in fronts]
        includes = sorted((folder / "Include" / "Medulla").glob("*.mqh"))
        items += [Item(INCLUDE / file.name, file.read_bytes()) for file in includes]
    except OSError as fault:
        raise ConfigurationError(f"--source: {fault.filename}: cannot be read ({fault.strerror})") from None
    if not includes:
        raise ConfigurationError(f"--source: {folder} holds no Include/Medulla/*.mqh")
    return items


def library_items(contents: Mapping[str, bytes]) -> list[Item]:
    return [Item(LIBRARIES / name, content) for name, content in contents.items()]


def library_path(file: PinnedFile) -> PurePosixPath:
    return LIBRARIES / file.name


def key_item(key: bytes) -> Item:
    return Item(KEY, key.hex().encode() + b"\n")


def preset_item(settings: Settings) -> Item:
    """A `.set` file: UTF-16 with a mark, one `name=value` a line, as the terminal itself writes them."""
    text = "".join(f"{name}={value}\r\n" for name, value in preset(settings).items())
    return Item(PRESET, text.encode("utf-16"), a_persons=True)


def preset(settings: Settings) -> dict[str, str]:
    """Inputs of the EA: our ports, demo accounts only, and the executor's own hard limits a second time."""
    safety = settings.safety
    return {
        "InpHost": "127.0.0.1",
        "InpCommandPort": str(settings.terminal.command_port),
        "InpStreamPort": str(settings.terminal.stream_port),
        "InpKeyFile": "\\".join(KEY.parts[2:]),
        "InpKeyInCommon": "false",
        "InpMode": "1",
        "InpTouchForeign": "false",
        "InpStopFile": "Medulla\\STOP",
        "InpMaxVolumePerOrder": _number(safety.max_volume_per_order, _DEFAULT_ORDER),
        "InpMaxVolumePerSymbol": _number(safety.max_volume_per_symbol),
        "InpMaxVolumeTotal": _number(safety.max_volume_total),
        "InpMaxPositions": str(safety.max_positions or 0),
        "InpMaxOrdersPerMinute": str(safety.max_orders_per_minute),
        "InpAllowedSymbols": ",".join(sorted(safety.allowed_symbols)),
        "InpMaxSpreadPoints": str(safety.max_spread_points or 0),
        "InpRequireStopLoss": "true" if safety.require_stop_loss else "false",
        "InpMaxDailyLoss": _number(safety.max_daily_loss),
        "InpSelfTest": "false",
    }


def _number(value: Decimal | None, default: Decimal = Decimal(0)) -> str:
    return format(default if value is None else value, "f")
