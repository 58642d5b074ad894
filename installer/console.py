"""What the set-up says to the person in front of it: short progress lines, and errors of one sentence.

Everything goes to stderr: stdout belongs to the program that is started, and scripts read it.
"""

import sys
import time


class SetUpError(Exception):
    """The set-up cannot go on. The message is one line: what happened, and what to do about it."""


class Progress:
    """Lines of the form `medulla set-up  12.3 s  step`; seconds since the first line."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since this progress began."""
        return time.monotonic() - self._began

    def say(self, step: str) -> None:
        """Print one step with the time elapsed so far."""
        print(f"medulla set-up {self.seconds:6.1f} s  {step}", file=sys.stderr, flush=True)
