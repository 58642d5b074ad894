"""The acceptance on paper: Markdown for people, JSON for programs. What was not tried is said as plainly as what was."""

from __future__ import annotations

import json
import platform
from typing import Any, Final

from app.cli.ea_trial import Acceptance
from app.engine.metrics import percentile

NEVER_TESTED: Final = (
    "what the terminal does when it is killed between asking the broker and writing the result down",
    "requotes, rejections, partial fills and lost answers of the broker: a demo server seldom gives them",
    "a broken connection between terminal and broker, and synchronisation after it",
    "the stop from the chart's button, the stop file and the stop on silence",
    "stop and stop-limit orders, expirations, close_all, and stops that are hit",
    "the other account kind (hedging or netting), other symbols, real money",
    "days of running: memory, reconnections, the terminal's own updates",
)
"""The contract suite and the bench try most of these with the same source; this trial does not."""


def as_data(result: Acceptance) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "verdict": result.verdict,
        "passed": result.passed,
        "refused": result.refused or None,
        "began": result.began.isoformat(timespec="seconds"),
        "medulla": result.version,
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "terminal": result.terminal,
        "ea_mode": result.ea_mode,
        "account": {
            "login": result.login,
            "server": result.server,
            "company": result.company,
            "mode": result.account_mode,
            "margin_mode": result.margin_mode,
        },
        "symbol": str(result.symbol),
        "magic": str(result.magic),
        "smallest_volume": None if result.volume is None else str(result.volume),
        "checks": [
            {"name": check.name, "status": check.status.value, "detail": check.detail}
            for check in result.checks
        ],
        "latencies_ms": {name: _percentiles(times) for name, times in result.latencies.items()},
        "notes": result.notes,
        "not_tested": list(NEVER_TESTED),
    }


def _percentiles(times: list[float]) -> dict[str, float | int]:
    ordered = sorted(times)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {"count": len(ordered)} | {
        name: round(percentile(ordered, share), 3) for name, share in shares.items()
    }


def as_json(result: Acceptance) -> str:
    return json.dumps(as_data(result), ensure_ascii=False)


def as_markdown(result: Acceptance) -> str:
    data = as_data(result)
    account = data["account"]
    lines = [
        "# Acceptance of the Medulla Expert Advisor",
        "",
        f"**{_cell(result.verdict)}**",
        "",
        "| | |",
        "|---|---|",
        f"| when | {data['began']} |",
        f"| Medulla | {data['medulla']} on {data['system']} |",
        f"| terminal | {_cell(data['terminal'])}, mode {data['ea_mode']} |",
        f"| account | {account['login']} at {_cell(account['server'])} ({_cell(account['company'])}), {account['mode']},"
        f" {account['margin_mode']} |",
        f"| traded | {_cell(data['symbol'])}, smallest volume {data['smallest_volume']} lots, magic {data['magic']} |",
        "",
        "## Checks",
        "",
        "| check | result | detail |",
        "|---|---|---|",
        *(
            f"| {_cell(check.name)} | {check.status.value} | {_cell(check.detail)} |"
            for check in result.checks
        ),
        "",
        "## Times, ms",
        "",
        "| what | count | p50 | p95 | p99 | worst |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {row['count']} | {row['p50']} | {row['p95']} | {row['p99']} | {row['max']} |"
            for name, row in data["latencies_ms"].items()
        ),
        "",
    ]
    if result.notes:
        lines += ["## Notes", "", *(f"- {_cell(note)}" for note in result.notes), ""]
    lines += ["## Not tested here", "", *(f"- {what}" for what in NEVER_TESTED), ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """What a broker or a terminal calls itself must not break the table."""
    return " ".join(text.split()).replace("|", "\\|")
