"""Lets one set-up at a time work in a checkout: the operating system's file lock, gone with the process
that held it.
"""

import os
import sys
import time
from pathlib import Path
from types import TracebackType

from installer import troubles
from installer.console import Progress, SetUpError

#: How long to wait for another set-up, in seconds: longer than a first one takes on a slow line.
PATIENCE_S = 30 * 60.0


class SetUpLock:
    """Held while the environment is made. A second start waits for the first and says so.

    On POSIX the handle may be inherited: a pip that outlives a killed set-up still holds the lock, so nothing is built
    under its hands. Windows has no such lock to share, but refuses to move a folder whose programs still run.
    """

    def __init__(self, folder: Path, progress: Progress, *, patience_s: float = PATIENCE_S) -> None:
        self._path = folder / "lock"
        self._progress = progress
        self._patience_s = patience_s
        self._handle = -1

    def __enter__(self) -> None:
        """Wait for the lock. Raises SetUpError when the folder cannot be written or patience ends."""
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise SetUpError(troubles.of_system(error, self._path.parent.parent)) from error
        deadline = time.monotonic() + self._patience_s
        told = False
        os.set_inheritable(self._handle, True)
        while not _try_lock(self._handle):
            if not told:
                self._progress.say("another start is setting this checkout up: waiting for it")
                told = True
            if time.monotonic() >= deadline:
                os.close(self._handle)
                raise SetUpError(
                    f"another set-up has held {self._path} for {self._patience_s:.0f} s: "
                    "end that process, then start again"
                )
            time.sleep(0.1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the next one in; closing the file releases the lock on every system."""
        os.close(self._handle)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
