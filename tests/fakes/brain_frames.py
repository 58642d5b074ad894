"""The seed's message and small changes to it, read by the executor's own rules: shared by the tests of the brain's wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.commands import (
    TradeCommand,
)
from app.protocol import brain_inbound as inbound
from app.protocol.signing import SigningKeys, private_key, public_key_text, sign

NOW = datetime(2024, 1, 1, tzinfo=UTC)
KEY = private_key(b"m" * 32)
OPEN_RULES = inbound.ReadingRules("exec_001", SigningKeys({}), allow_unsigned=True)
SIGNED_RULES = inbound.ReadingRules("exec_001", SigningKeys({"k1": public_key_text(KEY)}))
SEED = (
    '{"type":"TRADE_SIGNAL","timestamp":"2024-01-01T00:00:00Z","command":{"action":"OPEN_POSITION",'
    '"symbol":"EURUSD","type":"BUY","volume":0.01,"stopLoss":1.0950,"takeProfit":1.1050,'
    '"magicNumber":123456,"comment":"AI_Strategy_001"},"priority":"HIGH","expiry":5000,"strategyId":"str_abc123"}'
)


def message(**changes: Any) -> dict[str, Any]:
    """The seed's message with fields changed; `command__volume=…` reaches into the command, `...` removes a field."""
    body = json.loads(SEED)
    body |= {"commandId": "cmd_1", "executorId": "exec_001", "account": "12345678"}
    for path, value in changes.items():
        where = body
        *parents, name = path.split("__")
        for parent in parents:
            where = where[parent]
        if value is ...:
            where.pop(name, None)
        else:
            where[name] = value
    return body


def read(body: dict[str, Any] | str, rules: inbound.ReadingRules = OPEN_RULES) -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    return inbound.read_frame(text, rules, {"12345678"}).message


def command(body: dict[str, Any] | str) -> TradeCommand:
    found = read(body)
    assert isinstance(found, inbound.Signal), found
    return found.command


def action(**fields: Any) -> Any:
    return command(message(command=fields)).action


def refusal(body: dict[str, Any] | str, rules: inbound.ReadingRules = OPEN_RULES) -> inbound.FrameRefused:
    with pytest.raises(inbound.FrameRefused) as caught:
        read(body, rules)
    return caught.value


def signed(body: dict[str, Any] | str) -> str:
    return sign(body if isinstance(body, str) else json.dumps(body), "k1", KEY)
