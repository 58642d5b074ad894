"""Sound payloads of the terminal's wire, from which the fuzzing of its two halves makes unsound ones."""

from __future__ import annotations

KEY = bytes(range(32))
NONCE = "0" * 32
PERMISSIONS = {
    "connected": True, "synchronised": True, "terminal_trade_allowed": True, "ea_trade_allowed": True,
    "account_trade_allowed": True, "account_expert_allowed": True, "investor_login": False,
}  # fmt: skip
ACCOUNT = {
    "login": "1", "server": "s", "company": "c", "currency": "USD", "mode": "demo", "margin_mode": "hedging",
    "leverage": 100,
    "balance": "10", "credit": "0", "equity": "10", "margin": "0", "free_margin": "10",
}  # fmt: skip
POSITION = {
    "ticket": "7", "identifier": "7", "symbol": "EURUSD", "side": "BUY", "volume": "0.10", "open_price": "1.10000",
    "sl": None, "tp": "1.2",
    "swap": "0", "profit": "-1.5", "magic": "77", "comment": "aB3dE6gH", "opened_at": 1700000000000,
    "current_price": "1.1",
}  # fmt: skip
ORDER = {
    "ticket": "8", "symbol": "EURUSD", "kind": "BUY_LIMIT", "volume": "0.10", "price": "1.09", "stop_limit": None,
    "sl": "1.0", "tp": None,
    "expiration": 1800000000000, "magic": "77", "comment": "", "placed_at": 1700000000000,
}  # fmt: skip
DEAL = {
    "ticket": "9", "order": "8", "position": "7", "symbol": "EURUSD", "side": "SELL", "volume": "0.10",
    "price": "1.1", "profit": "0", "swap": "0",
    "commission": "-0.1", "magic": "77", "comment": "", "reason": "expert", "entry": "in", "time": 1700000000000,
}  # fmt: skip
SPEC = {
    "symbol": "EURUSD", "digits": 5, "point": "0.00001", "tick_size": "0.00001", "tick_value": "1",
    "contract_size": "100000", "volume_min": "0.01",
    "volume_max": "100", "volume_step": "0.01", "volume_limit": "0", "stops_level": 0, "freeze_level": 0,
    "trade_mode": "full",
    "filling": ["fok", "ioc"], "execution": "market", "margin_per_lot": "1000", "currency_profit": "USD",
    "session_open": True,
}  # fmt: skip
QUOTE = {"symbol": "EURUSD", "bid": "1.10000", "ask": "1.10010", "time": 1700000000000, "volume": 1}
BEAT = {
    "permissions": PERMISSIONS,
    "account": ACCOUNT,
    "stopped": False,
    "epoch": 0,
    "queue": 0,
    "trade_seq": 0,
}
EXECUTION = {
    "state": "done", "retcode": 10009, "code": None, "order": "8", "deal": "9", "position": "7", "volume": "0.10",
    "requested": "0.10",
    "price": "1.10010", "quote": "1.10000", "attempts": 1, "replayed": False, "message": None,
}  # fmt: skip
FINDING = {
    "ledger": "result", "execution": EXECUTION, "sent_at": 1700000000000, "connected": True, "synchronised": True,
    "positions": [POSITION],
    "orders": [ORDER], "deals": [DEAL],
}  # fmt: skip
SNAPSHOT = {
    "account": ACCOUNT, "permissions": PERMISSIONS, "positions": [POSITION], "orders": [ORDER], "symbols": [SPEC],
    "quotes": [QUOTE],
    "time": 1700000000000, "server_utc_offset": 7200, "trade_seq": 0,
}  # fmt: skip
TRADE = {
    "kind": "deal", "cid": "c-1", "deal": DEAL, "position_ticket": "7", "position": POSITION, "order_ticket": "8",
    "order": ORDER, "amount": "5",
    "account": ACCOUNT,
}  # fmt: skip
