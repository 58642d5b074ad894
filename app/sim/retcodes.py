"""The trade server's return codes that the simulated broker can give (MQL5 reference, enum_trade_return_codes).

A table of its own on purpose: an oracle that shared the executor's table could not catch a mistake in it.
"""

from __future__ import annotations

from enum import IntEnum


class Retcode(IntEnum):
    """TRADE_RETCODE_…"""

    REQUOTE = 10004
    REJECT = 10006
    CANCEL = 10007
    PLACED = 10008
    DONE = 10009
    DONE_PARTIAL = 10010
    ERROR = 10011
    TIMEOUT = 10012
    INVALID = 10013
    INVALID_VOLUME = 10014
    INVALID_PRICE = 10015
    INVALID_STOPS = 10016
    TRADE_DISABLED = 10017
    MARKET_CLOSED = 10018
    NO_MONEY = 10019
    PRICE_CHANGED = 10020
    PRICE_OFF = 10021
    INVALID_EXPIRATION = 10022
    ORDER_CHANGED = 10023
    TOO_MANY_REQUESTS = 10024
    NO_CHANGES = 10025
    SERVER_DISABLES_AT = 10026
    CLIENT_DISABLES_AT = 10027
    LOCKED = 10028
    FROZEN = 10029
    INVALID_FILL = 10030
    CONNECTION = 10031
    ONLY_REAL = 10032
    LIMIT_ORDERS = 10033
    LIMIT_VOLUME = 10034
    INVALID_ORDER = 10035
    POSITION_CLOSED = 10036
    INVALID_CLOSE_VOLUME = 10038
    CLOSE_ORDER_EXIST = 10039
    LIMIT_POSITIONS = 10040
    LONG_ONLY = 10042
    SHORT_ONLY = 10043
    CLOSE_ONLY = 10044


DONE = frozenset({Retcode.DONE, Retcode.PLACED, Retcode.DONE_PARTIAL})
TRANSIENT = frozenset({Retcode.REQUOTE, Retcode.PRICE_CHANGED, Retcode.PRICE_OFF, Retcode.TOO_MANY_REQUESTS})
"""Certainly did nothing and may pass by themselves: the terminal may try again (EA_PROTOCOL §4)."""
AMBIGUOUS = frozenset({0, Retcode.ERROR, Retcode.TIMEOUT, Retcode.LOCKED, Retcode.CONNECTION})
"""May or may not have been done; nobody sends it again. Unlisted codes count as these."""
CERTAIN_REFUSALS = frozenset(Retcode) - DONE - AMBIGUOUS
