"""What the simulated terminal heard and did, each with this machine's monotonic clock, for tests that compare moments of several
processes. One JSON line at once for everything; the terminal itself never reads it.
"""

from __future__ import annotations

import os
from pathlib import Path

from app.domain.errors import ConfigurationError
from app.protocol import strict_json
from app.protocol.ea_frames import Request
from app.sim.clock import SimClock
from app.sim.effects import Effect


class WireLog:
    """Appends to `path`, over restarts too; None: nothing is written. Times are monotonic seconds as text, to the microsecond."""

    def __init__(self, path: Path | None, clock: SimClock) -> None:
        """Raises ConfigurationError when the file cannot be opened."""
        self._clock = clock
        self._file = -1
        if path is not None:
            try:
                self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            except OSError as fault:
                raise ConfigurationError(f"--wire-log {path}: {fault.strerror}") from None

    def frame(self, request: Request) -> None:
        """A frame with a good seal has been taken from the wire, whatever becomes of it."""
        if self._file >= 0:
            self._write(
                "frame", {"cmd": request.cmd, "cid": request.cid, "epoch": request.epoch, "id": request.id}
            )

    def asking(self, cid: str, looked: float, left: float) -> None:
        """The broker is about to be asked. `looked`: the monotonic second of the last look at the command's time; `left`:
        seconds that it had then."""
        if self._file >= 0:
            self._write("asking", {"cid": cid, "looked": f"{looked:.6f}", "left": f"{left:.6f}"})

    def effect(self, effect: Effect) -> None:
        """Something changed at the broker."""
        if self._file >= 0:
            self._write(
                "effect",
                {"effect": effect.kind, "cid": effect.cid, "seq": effect.seq, "reason": effect.reason},
            )

    def stopped(self, by: str, reason: str) -> None:
        """The latch holds, on disk; whoever asked for it has no answer yet."""
        if self._file >= 0:
            self._write("stopped", {"by": by, "reason": reason})

    def resumed(self, epoch: int) -> None:
        """The latch is open again."""
        if self._file >= 0:
            self._write("resumed", {"epoch": epoch})

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, what: str, content: dict[str, object]) -> None:
        line = {"mono": f"{self._clock.monotonic():.6f}", "what": what} | content
        os.write(self._file, strict_json.dumps(line).encode() + b"\n")
