"""What can go wrong while packages are fetched, and the one sentence that tells a person about it.

Pure text in, text out. The patterns are those of pip 22 to 26, of CPython's venv, and of the operating
systems' own errors.
"""

import errno
import re
from pathlib import Path

#: ERROR_DISK_FULL and ERROR_HANDLE_DISK_FULL of Windows.
_WINDOWS_DISK_FULL = (112, 39)


def of_system(error: OSError, folder: Path) -> str:
    """The sentence for an operating system's refusal while the set-up writes below `folder`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or getattr(error, "winerror", None) in _WINDOWS_DISK_FULL:
        return f"the disk is full: make room where {folder} lies, then start again"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return (
            f"{error.filename or folder} cannot be written ({error.strerror}): "
            "put the checkout into a folder of your own, then start again"
        )
    return f"the operating system refused ({error}); the next start tries again"


_OF_PIP: tuple[tuple[str, str], ...] = (
    (
        r"No space left on device|Disk quota exceeded|not enough space on the disk|WinError 112",
        "the disk became full while packages were installed: make room, then start again",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        "a downloaded file is not the one this checkout was tested with, so nothing of it was used: "
        "start again, and if it stays so, ask whoever runs the package index you use",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|certificate verify failed",
        "the package index could not be trusted (its certificate was refused): check this machine's date, "
        "and on a company network the PIP_CERT setting",
    ),
    (
        r"Name or service not known|name resolution|getaddrinfo failed|nodename nor servname"
        r"|NewConnectionError|Failed to establish a new connection|Network is unreachable|Connection refused"
        r"|ConnectTimeout|Read ?[Tt]imed? ?out|ReadTimeoutError|ProxyError|Connection reset"
        r"|RemoteDisconnected|ConnectionError",
        "the packages could not be fetched, for there is no network connection to the package index: "
        "connect and start again (installer/README.md tells how to do without a network)",
    ),
    (
        r"[Ll]ong ?[Pp]ath",
        "the path of this folder is too long for Windows: move the checkout nearer to the drive's root",
    ),
    (
        r"Read-only file system|Permission denied|Access is denied|WinError 5\b|WinError 32",
        "a file of the environment could not be written: close every Medulla that runs from it, "
        "check that the folder is yours, then start again",
    ),
)


def of_pip(output: str, log: Path) -> str:
    """The sentence for a failed run of pip, from what it printed; `log` holds the whole of it."""
    for pattern, sentence in _OF_PIP:
        if re.search(pattern, output):
            return f"{sentence} [details: {log}]"
    if missing := re.search(r"No matching distribution found for (\S+)", output):
        return (
            f"the package index has no ready-made {missing.group(1)} for this Python and machine, or did not "
            f"answer: check the network, and use 64-bit Python 3.11, 3.12 or 3.13 on Windows or Linux [details: {log}]"
        )
    said = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in said if line.upper().startswith("ERROR")] or said
    return f"pip failed ({errors[-1] if errors else 'without a word'}) [details: {log}]"
