"""The brain's side of a campaign: an endless mix of commands, a window of them open, sent again until each has an end.

It trades and keeps books of what it asked; what must be true of them is the judge's.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import suppress

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from tests.end_to_end.scripted_brain import Manners, Message, ScriptedBrain

SYMBOLS = ("EURUSD", "GBPUSD", "USDJPY", "XAUUSD")
FAR_BELOW = {"EURUSD": 0.9, "GBPUSD": 1.0, "USDJPY": 100.0, "XAUUSD": 1500.0}
WINDOW = 6
"""Commands that are open at once."""


class Orders:
    """An endless mix of commands; what names a ticket takes it from what the brain was told."""

    def __init__(self, rng: random.Random, brain: ScriptedBrain) -> None:
        self._rng = rng
        self._brain = brain
        self._positions: list[int] = []
        self._pending: list[int] = []
        self._learnt: set[str] = set()
        self._number = 0

    def learn(self, command_id: str, end: Message) -> None:
        """A command has ended: what it opened can be closed."""
        if command_id in self._learnt or end["type"] == "COMMAND_ACK" or not end["result"]["success"]:
            return
        self._learnt.add(command_id)
        ticket = end["result"].get("ticket")
        frame = json.loads(json.loads(self._brain.frames[command_id])["payload"])
        action = frame["command"]["action"]
        if ticket and action == "OPEN_POSITION":
            self._positions.append(ticket)
        elif ticket and action == "PLACE_ORDER":
            self._pending.append(ticket)

    def __next__(self) -> Message:
        rng = self._rng
        self._number += 1
        draw = rng.random()
        symbol = rng.choice(SYMBOLS)
        if self._number % 40 == 0:
            return {"action": "CLOSE_ALL", "symbol": symbol}
        if draw < 0.15 and self._positions:
            return {
                "action": "CLOSE_POSITION",
                "ticket": self._positions.pop(rng.randrange(len(self._positions))),
            }
        if draw < 0.22 and self._pending:
            return {"action": "CANCEL_ORDER", "ticket": self._pending.pop(rng.randrange(len(self._pending)))}
        if draw < 0.30 and self._positions:
            ticket = rng.choice(self._positions)
            return {"action": "MODIFY_POSITION", "ticket": ticket, "stopLoss": 0}
        if draw < 0.40:
            return {
                "action": "PLACE_ORDER", "symbol": symbol, "type": "BUY_LIMIT", "volume": 0.01, "price": FAR_BELOW[symbol],
            }  # fmt: skip
        side = rng.choice(("BUY", "SELL"))
        return {"action": "OPEN_POSITION", "symbol": symbol, "type": side, "volume": rng.randint(1, 5) / 100}

    def __iter__(self) -> Iterator[Message]:
        return self


class CampaignBrain(ScriptedBrain):
    """A scripted brain that knows which of its connections to trade on: the newest that lives and has told STATE.

    A proxy may open a connection that only repeats what another said; when it ends, the real one is used again.
    """

    def __init__(self, manners: Manners | None = None) -> None:
        super().__init__(manners)
        self.generation = 0
        """Grows whenever another connection is the one to trade on."""
        self._living: list[ServerConnection] = []
        self._told: list[ServerConnection] = []

    @property
    def may_trade(self) -> bool:
        return self._connection is not None and self._connection in self._told

    def standing(self) -> str:
        """The connections it holds for living, and which of them it trades on."""
        with self._changed:
            place = self._living.index(self._connection) if self._connection in self._living else None
            return f"brain: {len(self._living)} connections, trades on number {place}, {self.sessions} in all"

    def _serve(self, connection: ServerConnection) -> None:
        with self._changed:
            self._living.append(connection)
            self.generation += 1
        try:
            super()._serve(connection)
        finally:
            with self._changed:
                self._living.remove(connection)
                if self._living and self._connection is connection:
                    self._connection = self._living[-1]
                    self.generation += 1

    def _hear(self, connection: ServerConnection, session: int, text: str) -> None:
        super()._hear(connection, session, text)
        if '"type":"STATE"' in text:
            self._told.append(connection)


class Trader:
    """The brain's side: keeps a window of commands open, sends again what has no end, counts who has ended."""

    def __init__(
        self, brain: CampaignBrain, rng: random.Random, *, window: int = WINDOW, expiry: int = 30_000
    ) -> None:
        self.brain = brain
        self.rng = rng
        self.window = window
        self.expiry = expiry
        self.orders = Orders(rng, brain)
        self.ids: list[str] = []
        self.open: list[str] = []
        self.sessions_told = 0
        """How often a session's STATE was answered with everything that has no end."""
        self._generation = -1

    def settle(self) -> None:
        """Take out of the window what has ended."""
        still = []
        for command_id in self.open:
            end = self.brain.final(command_id)
            if end is None:
                still.append(command_id)
            else:
                self.orders.learn(command_id, end)
        self.open = still

    def answer_state(self) -> bool:
        """What a brain does after a reconnection: once STATE is here, everything without an end is sent again, unchanged."""
        generation = self.brain.generation
        if generation == self._generation or not self.brain.may_trade:
            return False
        self._generation = generation
        self.sessions_told += 1
        self.settle()
        self.send_again()
        return True

    def send_again(self) -> None:
        with suppress(ConnectionClosed, AssertionError):
            self.brain.send_again(self.open)

    def top_up(self, most: int = 1 << 60) -> None:
        """Fill the window, up to `most` commands in all. Before the session's STATE there is nobody to trade with."""
        self.settle()
        if self._generation != self.brain.generation:
            return
        while len(self.open) < self.window and len(self.ids) < most:
            command_id = f"c{len(self.ids)}-{self.rng.getrandbits(32):08x}"
            self.ids.append(command_id)
            self.open.append(command_id)
            with suppress(ConnectionClosed, AssertionError):
                self.brain.order(next(self.orders), command_id, expiry=self.expiry)

    def finish(self, *, timeout: float = 60.0) -> None:
        """Until everything has ended; what has not by then is the judge's."""
        deadline = time.monotonic() + timeout
        while self.open and time.monotonic() < deadline:
            self.answer_state()
            self.settle()
            if self.open:
                with suppress(AssertionError):
                    self.brain.wait(self._some_end, "a further end", timeout=0.5)

    def standing(self, most: int = 3) -> str:
        """What the brain was told of the first that are open, and on how many connections."""
        told = [
            f"{name} acks {[ack['status'] for ack in self.brain.acks[name]]} "
            f"results {[result['result']['outcome'] for result in self.brain.results[name]]}"
            for name in self.open[:most]
        ]
        return f"{len(self.open)} ({'; '.join(told)}); {self.brain.standing()}"

    def _some_end(self) -> bool:
        return any(self.brain.final(command_id) is not None for command_id in self.open)
