"""MT5 return codes of a trade request, and what each proves.

Source: MQL5 reference, "Return Codes of the Trade Server" (enum_trade_return_codes). Which codes are
ambiguous is our own reading (the reference does not say): a code is ambiguous when the broker may have acted although it came.
Whatever is not listed is ambiguous. Nothing ambiguous is ever sent again. The executor takes only the names from here: it is the
terminal that judges, by EA_PROTOCOL §4, which names this table (Execution.mqh; app/sim/retcodes.py has its own on purpose).
"""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """What a return code proves."""

    DONE = "done"
    PARTIAL = "partial"
    REJECTED = "rejected"
    """Certainly nothing was done, and asking again will not help."""
    TRANSIENT = "transient"
    """Certainly nothing was done; may pass by itself within the command's life."""
    AMBIGUOUS = "ambiguous"


_CODES: dict[int, tuple[str, Verdict]] = {
    10004: ("REQUOTE", Verdict.TRANSIENT),
    10006: ("REJECT", Verdict.REJECTED),
    10007: ("CANCEL", Verdict.REJECTED),
    10008: ("PLACED", Verdict.DONE),
    10009: ("DONE", Verdict.DONE),
    10010: ("DONE_PARTIAL", Verdict.PARTIAL),
    10011: ("ERROR", Verdict.AMBIGUOUS),
    10012: ("TIMEOUT", Verdict.AMBIGUOUS),
    10013: ("INVALID", Verdict.REJECTED),
    10014: ("INVALID_VOLUME", Verdict.REJECTED),
    10015: ("INVALID_PRICE", Verdict.REJECTED),
    10016: ("INVALID_STOPS", Verdict.REJECTED),
    10017: ("TRADE_DISABLED", Verdict.REJECTED),
    10018: ("MARKET_CLOSED", Verdict.REJECTED),
    10019: ("NO_MONEY", Verdict.REJECTED),
    10020: ("PRICE_CHANGED", Verdict.TRANSIENT),
    10021: ("PRICE_OFF", Verdict.TRANSIENT),
    10022: ("INVALID_EXPIRATION", Verdict.REJECTED),
    10023: ("ORDER_CHANGED", Verdict.REJECTED),
    10024: ("TOO_MANY_REQUESTS", Verdict.TRANSIENT),
    10025: ("NO_CHANGES", Verdict.REJECTED),
    10026: ("SERVER_DISABLES_AT", Verdict.REJECTED),
    10027: ("CLIENT_DISABLES_AT", Verdict.REJECTED),
    10028: ("LOCKED", Verdict.AMBIGUOUS),
    10029: ("FROZEN", Verdict.REJECTED),
    10030: ("INVALID_FILL", Verdict.REJECTED),
    10031: ("CONNECTION", Verdict.AMBIGUOUS),
    10032: ("ONLY_REAL", Verdict.REJECTED),
    10033: ("LIMIT_ORDERS", Verdict.REJECTED),
    10034: ("LIMIT_VOLUME", Verdict.REJECTED),
    10035: ("INVALID_ORDER", Verdict.REJECTED),
    10036: ("POSITION_CLOSED", Verdict.REJECTED),
    10038: ("INVALID_CLOSE_VOLUME", Verdict.REJECTED),
    10039: ("CLOSE_ORDER_EXIST", Verdict.REJECTED),
    10040: ("LIMIT_POSITIONS", Verdict.REJECTED),
    10041: ("REJECT_CANCEL", Verdict.REJECTED),
    10042: ("LONG_ONLY", Verdict.REJECTED),
    10043: ("SHORT_ONLY", Verdict.REJECTED),
    10044: ("CLOSE_ONLY", Verdict.REJECTED),
    10045: ("FIFO_CLOSE", Verdict.REJECTED),
    10046: ("HEDGE_PROHIBITED", Verdict.REJECTED),
}


def retcode_name(retcode: int) -> str:
    """`10019` -> `TRADE_RETCODE_NO_MONEY`; an unlisted code keeps its number."""
    name, _ = _CODES.get(retcode, (str(retcode), Verdict.AMBIGUOUS))
    return f"TRADE_RETCODE_{name}"


def verdict(retcode: int, *, market_order: bool, modification: bool = False) -> Verdict:
    """What `retcode` proves.

    PLACED on a market order only says that the order was taken, not that it was filled: ambiguous. NO_CHANGES on a modification
    says that all is already as asked: done.
    """
    if retcode == 10008 and market_order:
        return Verdict.AMBIGUOUS
    if retcode == 10025 and modification:
        return Verdict.DONE
    _, meaning = _CODES.get(retcode, ("", Verdict.AMBIGUOUS))
    return meaning
