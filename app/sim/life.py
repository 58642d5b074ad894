"""One life (boot) of the simulated terminal: everything that is loaded at start and lost at a restart.

The market and the faults are the outside world and live longer. No socket and no command is handled here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from app.domain.market import Permissions
from app.protocol.ea_fields import to_ms
from app.protocol.ea_session import TerminalSessions
from app.sim.broker import Broker
from app.sim.clock import SimClock
from app.sim.effects import Effect
from app.sim.ledger import AppendOnlyFile, CommandLedger, StateFile, TerminalState
from app.sim.market import Market


@dataclass(frozen=True, slots=True)
class Origins:
    """How an account begins; ignored once its ledger exists."""

    margin_mode: str = "hedging"
    leverage: int = 100
    balance: Decimal = Decimal(10000)
    first_ticket: int = 10001234


class Life:
    """Broker, sessions, command memory, latch and permissions of one boot."""

    def __init__(self, ledger: Path, market: Market, clock: SimClock, origins: Origins) -> None:
        """Load or make the files. Raises LedgerDamaged, LedgerFailed."""
        self.boot = secrets.token_hex(16)
        self.clock = clock
        self.market = market
        self._file = StateFile(ledger.with_name(ledger.name + ".state"))
        state = self._file.load()
        if state is None:
            state = TerminalState(
                margin_mode=origins.margin_mode,
                leverage=origins.leverage,
                deposit=origins.balance,
                first_ticket=origins.first_ticket,
            )
            if ledger.exists() and ledger.stat().st_size > 0:
                # A latch may be lost with the file; whoever cannot know whether he was stopped, is.
                state = replace(state, stopped=True, stop_reason=f"{self._file.path.name} was missing")
            self._file.save(state)
        self.state = state
        self.broker = Broker(market, clock, AppendOnlyFile(ledger), state)
        self.commands = CommandLedger(ledger.with_name(ledger.name + ".commands"))
        self.sessions = TerminalSessions(epoch=state.epoch, new_sid=lambda: secrets.token_hex(16))
        self.permissions = Permissions()
        self.trade_seq = 0
        self.listen: Callable[[Effect], None] = self.broker.listen

    def now_ms(self) -> int:
        return to_ms(self.clock.utc())

    def keep_epoch(self) -> None:
        """Store the epoch that the sessions have reached. Raises LedgerFailed."""
        self._save(replace(self.state, epoch=self.sessions.epoch))

    def latch(self, reason: str, epoch: int) -> TerminalState:
        """Stop, durably; a second stop changes nothing. Raises LedgerFailed, stopped in memory all the same."""
        if not self.state.stopped:
            latched = replace(
                self.state,
                stopped=True,
                stop_reason=reason,
                latched_at=self.now_ms(),
                latched_epoch=max(epoch, self.sessions.epoch),
                epoch=self.sessions.epoch,
            )
            self.state = latched
            self._file.save(latched)
        return self.state

    def unlatch(self) -> None:
        """Raises LedgerFailed: then it stays stopped."""
        self._save(
            replace(self.state, stopped=False, stop_reason=None, latched_at=None, epoch=self.sessions.epoch)
        )

    def close(self) -> None:
        self.broker.ledger.close()
        self.commands.close()

    def _save(self, state: TerminalState) -> None:
        self._file.save(state)
        self.state = state
