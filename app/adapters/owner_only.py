"""Takes a file away from the other users of the machine: mode 600, or on Windows an access list with one entry."""

from __future__ import annotations

import getpass
import subprocess
import sys
from pathlib import Path
from typing import Final

_TIMEOUT: Final = 20.0


def restrict_to_owner(path: Path) -> str:
    """Returns what went wrong, for a person; empty if only this user can open the file now."""
    if sys.platform != "win32":
        try:
            path.chmod(0o600)
        except OSError as fault:
            return fault.strerror or str(fault)
        return ""
    command = ["icacls", str(path), "/inheritance:r", "/grant:r", f"{getpass.getuser()}:F", "/Q"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as fault:
        return str(fault)
    return "" if done.returncode == 0 else (done.stderr or done.stdout).strip()
