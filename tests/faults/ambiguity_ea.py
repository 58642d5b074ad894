"""The same doubts with the Expert Advisor compiled for this machine, by the accidents that its bench can make.

Cases only; the bench itself is tests/mql5_host. Each case brings its own faults and leaves none behind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.adapters.key_file import load_or_create_key
from tests.end_to_end.ea_world import MARKET
from tests.mql5_host.host import HostTerminal

from .ambiguity_cases import CODES, LEFT, SETTLED, Stand, Windows
from .kill_world import FaultWorld, Nursery

OWN_SYMBOLS = tuple(f"PAIR{number}" for number in range(len(CODES)))
"""One for each code that runs beside others."""


class EaFaultWorld(FaultWorld):
    """Executors of the nursery before the Expert Advisor. `front`: `Medulla` or `MedullaNoDll`; `more`: commands of the bench."""

    def __init__(
        self, folder: Path, front: str, *, nursery: Nursery | None = None, more: tuple[str, ...] = ()
    ) -> None:
        super().__init__(folder, nursery=nursery)
        self.front = front
        self._more = more
        self._host: HostTerminal | None = None

    @property
    def host(self) -> HostTerminal:
        assert self._host is not None
        return self._host

    def start_terminal(self, *options: str) -> Any:
        """The bench; again on the same ports and files after a crash."""
        assert not options
        first = self._host is None
        if self._host is None:
            self._host = HostTerminal(
                self.folder / "terminal",
                self.front,
                inputs={"InpMaxOrdersPerMinute": 0},
                key=load_or_create_key(self.folder / "terminal.key"),
                effects_file=self.folder / "ledger.jsonl",
            )
        self._host.start()
        market = [
            line
            for name in OWN_SYMBOLS
            for line in (f"symbol {name} digits 5", f"price {name} 1.10000 1.10010")
        ]
        for line in (*MARKET, *market, *self._more, *(("deposit 900000",) if first else ())):
            self._host.control(line)
        self._ports = {"command_port": self._host.command_port, "stream_port": self._host.stream_port}
        return self._host

    def configure(self, *, terminal_settings: Any = None, **more: Any) -> None:
        transport = "connect" if self.front == "Medulla" else "listen"
        super().configure(terminal_settings={"transport": transport, **(terminal_settings or {})}, **more)

    def close(self) -> None:
        super().close()
        if self._host is not None:
            self._host.kill()


def ea_stand(
    folder: Path,
    windows: Windows,
    front: str,
    *,
    nursery: Nursery | None = None,
    weakened: str | None = None,
    more: tuple[str, ...] = (),
) -> Stand:
    """A stand whose terminal is the Expert Advisor."""
    world = EaFaultWorld(folder, front, nursery=nursery, more=more)
    return Stand(folder, windows, weakened=weakened, world=world)


def _control(stand: Stand, command: str) -> None:
    assert isinstance(stand.world, EaFaultWorld)
    stand.world.host.control(command)


def ea_reply_lost(stand: Stand) -> None:
    _control(stand, "swallow")
    stand.buy("reply-lost")
    stand.expect("EA: reply lost after the fill", "reply-lost", SETTLED, 1)


def ea_codes_executed(stand: Stand) -> None:
    _ea_codes(stand, "exec", SETTLED, 1)


def ea_codes_not_executed(stand: Stand) -> None:
    _ea_codes(stand, "noexec", LEFT, 0)


def _ea_codes(stand: Stand, mode: str, outcomes: list[str], effects: int) -> None:
    # One after the other through the terminal, so that each meets the fault that was put there for it.
    for code, symbol in zip(CODES, OWN_SYMBOLS, strict=True):
        _control(stand, f"fault {code} {mode}")
        name = f"{mode}-{code}"
        stand.buy(name, symbol)
        stand.wait_for_answer(name)
    for code in CODES:
        stand.expect(f"EA: {code}, {mode}", f"{mode}-{code}", outcomes, effects)


def ea_late_fill(stand: Stand) -> None:
    """It is said to be unknown; the broker does it when three quarters of the patience are over."""
    _control(stand, "fault 10012 later")
    stand.buy("late")
    stand.wait_for_answer("late")
    stand.wait(stand.windows.absence * 0.75)
    _control(stand, "settle")
    stand.expect("EA: late fill", "late", SETTLED, 1)


def ea_partial_then_lost(stand: Stand) -> None:
    _control(stand, "partial 0.5")
    _control(stand, "swallow")
    stand.buy("partial", volume=0.10)
    end = stand.expect("EA: partial fill, reply lost", "partial", ["UNKNOWN", "PARTIAL"], 1)
    stand.check("EA: partial fill, reply lost", float(end["result"]["volume"]) == 0.05, str(end["result"]))
    _control(stand, "partial 0")


def ea_comment_rewritten(stand: Stand) -> None:
    _control(stand, "rewrite_comments 1")
    _control(stand, "fault 10012 exec")
    stand.buy("comment", volume=0.07, magicNumber=77)
    stand.expect("EA: comment rewritten, 10012", "comment", SETTLED, 1)
    _control(stand, "rewrite_comments 0")


def ea_crashes(stand: Stand) -> None:
    """The terminal dies before and after OrderSend, and begins again with its files."""
    assert isinstance(stand.world, EaFaultWorld)
    for moment, outcomes, effects in (("after_send", SETTLED, 1), ("before_send", LEFT, 0)):
        _control(stand, f"crash {moment}")
        stand.buy(f"crash-{moment}", OWN_SYMBOLS[effects])
        stand.world.host.wait_for_end()
        stand.world.start_terminal()
        stand.expect(f"EA: crash {moment}", f"crash-{moment}", outcomes, effects)


def ea_netting_close(stand: Stand) -> None:
    name = "EA: close on a netting account, repeated"
    # Without a magic number of its own the Expert Advisor takes a position for somebody else's.
    ticket = stand.ticket_of("net-open", volume=0.10, magicNumber=77)
    _control(stand, "swallow")
    close = {"action": "CLOSE_POSITION", "ticket": ticket}
    stand.brain.order(close, "net-close")
    stand.brain.send_again(["net-close"])
    stand.expect(name, "net-close", SETTLED, 1)
    for number in range(3):
        end = stand.brain.do(close, f"net-again-{number}")
        stand.check(name, not end["result"]["success"], f"closed again: {end['result']}")
    stand.brain.do({"action": "CLOSE_ALL", "symbol": "EURUSD"}, "net-all")
    stand.check(
        name, not stand.world.ledger("net-all"), "a close-all found something: the close was done twice"
    )


def ea_two_on_one_account(stand: Stand) -> None:
    """A second Expert Advisor on the account serves nobody."""
    assert isinstance(stand.world, EaFaultWorld)
    name = "EA: two Expert Advisors on one account"
    stand.report.tried.append(name)
    host = stand.world.host
    second = HostTerminal(stand.world.folder / "second", host.front, key=host.key)
    second.common = host.common
    second.start()
    try:
        refuses = second.panel_shows("another Medulla EA serves this account")
        stand.check(name, refuses, "the second does not say that another one serves the account")
        stand.buy("beside")
        stand.expect(name, "beside", ["EXECUTED"], 1)
        stand.check(name, second.effects() == [], "the second has traded")
    finally:
        second.kill()


EA_CASES: tuple[Callable[[Stand], None], ...] = (
    ea_reply_lost, ea_codes_executed, ea_late_fill, ea_partial_then_lost, ea_comment_rewritten, ea_codes_not_executed,
    ea_two_on_one_account, ea_crashes,
)  # fmt: skip
EA_NETTING: tuple[Callable[[Stand], None], ...] = (ea_netting_close,)
NETTING_ACCOUNT = ("account margin 0",)
