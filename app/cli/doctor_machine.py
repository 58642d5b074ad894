"""The doctor's look at the machine beside the trading: stop key, alert targets, clock, sleep, room on the disk."""

from __future__ import annotations

import ctypes
import platform
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from app.cli.doctor_report import Check, fault, ok, warning
from app.settings import Settings

if TYPE_CHECKING:
    from app.api.schemas import StatusModel

_MOST_OFFSET = 2.0
"""Seconds of difference to the brain's clock from which entries are refused (PROTOCOL §6, CLOCK_SKEW)."""
_NOTABLE_OFFSET = 0.5
_LITTLE_ROOM = 2 * 2**30
_NO_ROOM = 200 * 2**20
_POWERCFG_PATIENCE = 5.0
_SLEEPS = (
    ("sleeps", "STANDBYIDLE", "standby"),
    ("hibernates", "HIBERNATEIDLE", "hibernate"),
)
_SETTING = re.compile(r"0x([0-9a-fA-F]{1,8})\b")


def machine(settings: Settings, status: StatusModel | None) -> list[Check]:
    return [
        hotkey(settings, status),
        alert_targets(settings, status),
        *clock(settings, status),
        *sleep(),
        *session(),
        disk(settings),
    ]


# ------------------------------------------------------------------ stop key and alerts


def hotkey(settings: Settings, status: StatusModel | None) -> Check:
    key = settings.stop.hotkey
    if status is not None and status.hotkey is not None:
        held = status.hotkey
        if held.state in {"taken", "failed"}:
            return warning(
                "Stop key",
                f"{held.combination}: {held.detail}",
                "Set stop.hotkey to other keys, then restart.",
            )
        return ok("Stop key", f"{held.combination}: {held.detail}")
    if key == "off":
        return ok("Stop key", "switched off (stop.hotkey)")
    if sys.platform != "win32":
        return ok(
            "Stop key",
            f"there is none on {platform.system()}: stop in the window, or with `medulla stop`",
        )
    return ok("Stop key", f"{key}: the engine takes it when it starts")


def alert_targets(settings: Settings, status: StatusModel | None) -> Check:
    name, remedy = (
        "Alerts",
        "`medulla alerts add`, then restart the engine and `medulla alerts test` (docs/alerts.md).",
    )
    if status is not None:
        lost = [
            f"{target.name}: {target.fault}" for target in status.alert_targets if target.fault is not None
        ]
        if lost:
            return warning(
                name, f"do not arrive: {'; '.join(lost)}", "`medulla alerts test`; check the address."
            )
        if status.alert_targets:
            return ok(name, "are sent to " + ", ".join(target.name for target in status.alert_targets))
        return warning(name, "stay on this machine: nobody hears of a stop at night", remedy)
    from app.adapters.alert_addresses import KeptAddresses

    number = len(settings.alerts.urls) + KeptAddresses(settings).count
    if not number:
        return warning(name, "stay on this machine: nobody hears of a stop at night", remedy)
    return ok(name, f"{number} addresses are set; `medulla alerts test` tries them")


# ------------------------------------------------------------------ the clock


def clock(settings: Settings, status: StatusModel | None) -> list[Check]:
    """Against the brain, which judges the age of what it sends; there is nothing to say without one."""
    if settings.brain.url is None:
        return []
    offset = status.brain_clock_offset if status is not None else None
    if offset is None:
        return [ok("Clock", "not measured: that takes an open session with the brain")]
    said = f"{offset:+.1f} s to the brain's"
    remedy = (
        "Synchronise this machine's clock: Settings > Time > Sync now, or `w32tm /resync` as administrator."
        if sys.platform == "win32"
        else "Synchronise this machine's clock: `timedatectl set-ntp true`."
    )
    if abs(offset) > _MOST_OFFSET:
        return [fault("Clock", f"{said}: entries are refused above {_MOST_OFFSET:.0f} s", remedy)]
    if abs(offset) > _NOTABLE_OFFSET:
        return [warning("Clock", f"{said}; entries are refused above {_MOST_OFFSET:.0f} s", remedy)]
    return [ok("Clock", said)]


# ------------------------------------------------------------------ sleep


def idle_seconds(text: str) -> tuple[int, int] | None:
    """(plugged in, on battery) out of `powercfg /query` of one setting; 0: never. None: it cannot be read.

    Its words are in the language of Windows; the two present values stand last, in hexadecimal.
    """
    found = _SETTING.findall(text)
    return (int(found[-2], 16), int(found[-1], 16)) if len(found) >= 2 else None


def sleep() -> list[Check]:
    """Windows alone: a machine that sleeps does not trade and cannot be stopped from afar."""
    if sys.platform != "win32":
        return []
    return [sleep_check({name: _powercfg(name) for _, name, _ in _SLEEPS})]


def sleep_check(answers: dict[str, str]) -> Check:
    """`answers`: what powercfg said of each setting; empty where it said nothing."""
    found, unread = [], []
    remedies = []
    for verb, name, option in _SLEEPS:
        idle = idle_seconds(answers.get(name, ""))
        if idle is None:
            unread.append(name)
            continue
        for seconds, place, short in zip(idle, ("plugged in", "on battery"), ("ac", "dc"), strict=True):
            if seconds:
                found.append(f"{verb} after {seconds // 60} min {place}")
                remedies.append(f"`powercfg /change {option}-timeout-{short} 0`")
    if found:
        return warning(
            "Sleep", f"this machine {', '.join(found)}: nothing is traded then", " ".join(remedies)
        )
    if unread:
        return warning(
            "Sleep",
            "powercfg did not say when this machine sleeps",
            "Look in Settings > System > Power: Sleep must be Never.",
        )
    return ok("Sleep", "this machine does not sleep by itself; closing a lid or the power button still may")


def _powercfg(setting: str) -> str:
    try:
        done = subprocess.run(
            ["powercfg", "/query", "SCHEME_CURRENT", "SUB_SLEEP", setting],
            capture_output=True,
            timeout=_POWERCFG_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("ascii", "replace")


def session() -> list[Check]:
    """Windows alone: in session 0, where services live, there is no keyboard and no MetaTrader."""
    if sys.platform != "win32":
        return []
    number = ctypes.c_ulong()
    kernel = ctypes.windll.kernel32
    if kernel.ProcessIdToSessionId(kernel.GetCurrentProcessId(), ctypes.byref(number)) and number.value == 0:
        return [
            warning(
                "Session",
                "this is session 0, where services run: MetaTrader has no screen here and the stop key no keyboard",
                "Start Medulla by a task 'At log on' that runs only when the user is logged on, not as a service.",
            )
        ]
    return []


# ------------------------------------------------------------------ the disk


def disk(settings: Settings) -> Check:
    place = settings.state_folder
    try:
        free = shutil.disk_usage(next(folder for folder in (place, *place.parents) if folder.exists())).free
    except (OSError, StopIteration) as trouble:
        return warning("Disk", f"{place}: cannot be looked at ({trouble})", "Look at the disk by hand.")
    said = f"{_size(free)} free for the journal"
    remedy = "Make room on that disk; a journal that cannot be written stops trading."
    if free < _NO_ROOM:
        return fault("Disk", said, remedy)
    return warning("Disk", said, remedy) if free < _LITTLE_ROOM else ok("Disk", said)


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"
