"""The system over the Expert Advisor compiled for this machine, in place of the simulated terminal.

Same folder, same ledger of effects, same words for tests; a kill is a kill of the Expert Advisor's own process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from app.adapters.key_file import load_or_create_key
from tests.mql5_host.host import BenchError, HostTerminal

from .harness import World
from .scripted_brain import Manners

MARKET = ("symbol USDJPY digits 3 contract 1000", "price USDJPY 149.850 149.860")


class EaProcess:
    """The Expert Advisor's process under the words of `Process`."""

    def __init__(self, host: HostTerminal) -> None:
        self._host = host

    def kill(self) -> None:
        self._host.kill()

    def end(self) -> int:
        try:
            self._host.close()
        except BenchError:
            return 1
        return 0


class EaWorld(World):
    """`front`: `Medulla` (libzmq) or `MedullaNoDll` (native sockets; the executor listens)."""

    def __init__(self, folder: Path, front: str, *, manners: Manners | None = None) -> None:
        super().__init__(folder, manners=manners)
        self._front = front
        self._host: HostTerminal | None = None

    def start_terminal(self, *options: str) -> EaProcess:  # type: ignore[override]
        if options:
            raise ValueError("options of the simulated terminal mean nothing here")
        first = self._host is None
        if self._host is None:
            self._host = HostTerminal(
                self.folder / "terminal",
                self._front,
                inputs={"InpMaxOrdersPerMinute": 0},
                key=load_or_create_key(self.folder / "terminal.key"),
                effects_file=self.folder / "ledger.jsonl",
            )
        self._host.start()
        for line in (*MARKET, "deposit 90000") if first else MARKET:
            self._host.control(line)
        self._ports = {"command_port": self._host.command_port, "stream_port": self._host.stream_port}
        self.terminal = EaProcess(self._host)  # type: ignore[assignment]
        return EaProcess(self._host)

    def configure(self, *, terminal_settings: Mapping[str, Any] | None = None, **more: Any) -> None:
        transport = "connect" if self._front == "Medulla" else "listen"
        super().configure(terminal_settings={"transport": transport, **(terminal_settings or {})}, **more)

    def close(self) -> None:
        super().close()
        if self._host is not None:
            self._host.kill()

    def words(self) -> Iterable[tuple[str, str]]:
        yield from super().words()
        if self._host is not None:
            yield "Expert Advisor", self._host.log()
