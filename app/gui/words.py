"""What a trader reads: the engine's names put into words, each with its sign, and what can be done. Pure; decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from app.api.schemas import CommandModel, LimitModel, LinkModel, OrderModel, PermissionsModel, StatusModel
from app.gui import formats
from app.gui.tones import Tone


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sign that needs no colour, a word, and the tone that stresses both."""

    sign: str
    text: str
    tone: Tone

    def __str__(self) -> str:
        return f"{self.sign} {self.text}"


GOOD, BAD, WARNING, RESTING = "●", "■", "▲", "○"

_TRADING = {
    "ACTIVE": Phrase(GOOD, "ACTIVE", Tone.UP),
    "REDUCING": Phrase("❚❚", "PAUSED", Tone.WARN),
    "HALTED": Phrase(BAD, "HALTED", Tone.DOWN),
}
_BY = {
    "operator": "by you",
    "brain": "by the brain",
    "limit": "by a limit",
    "system": "by Medulla itself",
}
_SIDES = {"BUY": Phrase("▲", "Buy", Tone.UP), "SELL": Phrase("▼", "Sell", Tone.DOWN)}
_STATES = {
    "RECEIVED": Phrase("○", "received", Tone.DIM),
    "QUEUED": Phrase("◷", "waiting", Tone.PLAIN),
    "DISPATCHED": Phrase("→", "at the terminal", Tone.PLAIN),
    "UNKNOWN": Phrase("?", "unknown · asking the terminal", Tone.WARN),
    "TURNED_AWAY": Phrase("✕", "turned away", Tone.DOWN),
    "REFUSED": Phrase("✕", "refused", Tone.DOWN),
    "EXPIRED": Phrase("◷", "expired", Tone.DIM),
    "WITHDRAWN": Phrase("↩", "withdrawn", Tone.DIM),
    "STOPPED": Phrase("■", "dropped by the stop", Tone.DIM),
    "EXECUTED": Phrase("✓", "executed", Tone.UP),
    "PARTIAL": Phrase("◐", "partly executed", Tone.WARN),
    "REJECTED": Phrase("✕", "rejected by the broker", Tone.DOWN),
    "OPERATOR": Phrase("!", "taken over by hand", Tone.WARN),
}
_LIMITS = {
    "daily_loss": "Daily loss",
    "drawdown": "Drawdown",
    "positions": "Positions",
    "exposure": "Exposure",
    "orders_per_second": "Orders / second",
    "orders_per_minute": "Orders / minute",
    "consecutive_failures": "Failures in a row",
    "repeat_throttle": "Identical entries",
    "positions_per_symbol": "Positions / symbol",
    "exposure_per_symbol": "Exposure / symbol",
    "margin": "Margin in use",
}
_UNITS = {"drawdown": " %", "exposure": " lots", "exposure_per_symbol": " lots"}
_REMEDIES = {
    "daily_loss": "Entries are refused until you re-enable it. Look at the open positions first.",
    "drawdown": "Entries are refused. Equity has fallen too far from its peak: look at the strategy before you re-enable it.",
    "positions": "Further entries are refused until a position is closed or an order cancelled.",
    "exposure": "Entries that would go above it are refused until volume is reduced.",
    "orders_per_second": "Commands above it are refused; it frees itself within a second.",
    "orders_per_minute": "Commands above it are refused; it frees itself within a minute.",
    "consecutive_failures": "Entries are refused. See in Commands why the last ones failed, then re-enable it.",
    "positions_per_symbol": "Further entries on that symbol are refused until one there is closed or cancelled.",
    "exposure_per_symbol": "Entries on that symbol that would go above it are refused until volume is reduced there.",
    "margin": "No entry has the free margin it needs. Reduce volume before the broker closes by itself.",
    "repeat_throttle": "The same entry came too often. Ask why the brain repeats itself, then re-enable it.",
}
_LINK_STATES = {
    "up": "connected",
    "connecting": "connecting …",
    "down": "not connected",
    "degraded": "impaired",
}
_ACTIONS = {
    "OPEN_POSITION": "Open",
    "PLACE_ORDER": "Place",
    "MODIFY_POSITION": "Change position",
    "MODIFY_ORDER": "Change order",
    "CLOSE_POSITION": "Close",
    "CLOSE_ALL": "Close all",
    "CANCEL_ORDER": "Cancel order",
}


def trading(state: str) -> Phrase:
    return _TRADING.get(state, Phrase("?", state, Tone.WARN))


def by(actor: str) -> str:
    return _BY.get(actor, f"by {actor}")


def side(name: str) -> Phrase:
    """Of a position, or of an order's kind."""
    known = _SIDES.get(name)
    if known is not None:
        return known
    base = _SIDES["SELL" if name.startswith("SELL") else "BUY"]
    return Phrase(base.sign, name.replace("_", " ").capitalize(), base.tone)


def outcome(command: CommandModel) -> Phrase:
    """Where a command stands, with the rule or the broker's word if it failed."""
    phrase = _STATES.get(command.state, Phrase("?", command.state.lower(), Tone.WARN))
    result = command.result
    if result is None:
        return phrase
    if command.state == "REFUSED":
        return Phrase(phrase.sign, f"refused · {result.message or result.code}", phrase.tone)
    if command.state == "REJECTED" and (result.message or result.retcode is not None):
        said = result.message or ""
        code = f" ({result.retcode})" if result.retcode is not None else ""
        return Phrase(phrase.sign, f"rejected · {said or result.code}{code}", phrase.tone)
    if command.state == "EXECUTED" and result.details:
        done = sum(detail.outcome == "EXECUTED" for detail in result.details)
        return Phrase(phrase.sign, f"executed {done}/{len(result.details)}", phrase.tone)
    if command.state == "PARTIAL" and result.volume is not None:
        asked = formats.lots(result.requested_volume)
        return Phrase(phrase.sign, f"partly · {formats.lots(result.volume)} of {asked} lots", phrase.tone)
    if result.reconciled and command.state == "EXECUTED":
        return Phrase(phrase.sign, "executed · found out later", phrase.tone)
    return phrase


def what(command: CommandModel) -> str:
    """A command in a few words: `Open Buy 0.10 EURUSD`."""
    parts = [_ACTIONS.get(command.action, command.action)]
    if command.action in {"OPEN_POSITION", "PLACE_ORDER"}:
        parts.append(side(command.side).text if command.side else "")
        parts.append(formats.lots(command.volume))
    elif command.action == "CLOSE_POSITION" and command.volume is not None:
        parts.append(formats.lots(command.volume))
    parts.append(command.symbol or "")
    if command.ticket is not None:
        parts.append(f"#{command.ticket}")
    return " ".join(part for part in parts if part)


def link(row: LinkModel) -> Phrase:
    """A chip's sign, word and tone."""
    if row.name == "brain" and row.state == "down" and row.detail.startswith("no brain"):
        return Phrase(RESTING, "none set up", Tone.DIM)
    word = _LINK_STATES.get(row.state, row.state)
    if row.state == "up":
        detail = "" if row.name in {"brain", "journal"} else row.detail
        return Phrase(GOOD, detail or ("writing" if row.name == "journal" else word), Tone.UP)
    if row.state == "down":
        return Phrase(BAD, "cannot be written" if row.name == "journal" else word, Tone.DOWN)
    told = row.detail if row.state == "degraded" and row.detail else word
    return Phrase(WARNING, told, Tone.WARN)


def limit_name(name: str) -> str:
    """A strategy's own limit is named `kind:strategy`."""
    kind, _, strategy = name.partition(":")
    label = _LIMITS.get(kind, kind.replace("_", " ").capitalize())
    return f"{label}, {strategy}" if strategy else label


def limit_now(limit: LimitModel) -> str:
    """`0.30 / 2.50 lots`; a limit that is not set says so."""
    kind = limit.name.partition(":")[0]
    places = 2 if kind in {"daily_loss", "exposure", "exposure_per_symbol", "drawdown"} else 0
    now, unit = formats.number(limit.now, places), _UNITS.get(kind, "")
    if limit.limit is None:
        return f"{now}{unit} · no limit"
    return f"{now} / {formats.number(limit.limit, places)}{unit}"


def limit_share(limit: LimitModel) -> float:
    """How much of the limit is used, 0 to 1."""
    if limit.limit is None or limit.limit <= 0:
        return 0.0
    return min(1.0, max(0.0, float(limit.now / limit.limit)))


def limit_phrase(state: str) -> Phrase:
    return {
        "ok": Phrase(GOOD, "within", Tone.UP),
        "warning": Phrase(WARNING, "close to the limit", Tone.WARN),
        "reached": Phrase(BAD, "reached", Tone.DOWN),
        "latched": Phrase(BAD, "tripped: stays until you re-enable it", Tone.DOWN),
    }.get(state, Phrase("?", state, Tone.WARN))


def remedy(name: str) -> str:
    return _REMEDIES.get(name.partition(":")[0], "Entries are refused until it is within its limit again.")


def order_kind(order: OrderModel) -> Phrase:
    return side(order.kind)


def cannot_trade(permissions: PermissionsModel | None) -> str:
    """Why no trade is possible, or nothing."""
    if permissions is None or not permissions.missing:
        return ""
    return f"No trade is possible: {', '.join(permissions.missing)}"


def title(status: StatusModel) -> str:
    """What the window is called: whose executor, which account."""
    if status.account is None:
        return f"Medulla · {status.executor_id} · no account yet"
    account = status.account
    return (
        f"Medulla · {status.executor_id} · {account.server} {account.login} "
        f"({account.mode.upper()}, {account.margin_mode}, {account.currency})"
    )
