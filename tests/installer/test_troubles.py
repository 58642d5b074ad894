"""Each way a set-up fails has one sentence, and the sentence says what to do."""

import errno
import os
from pathlib import Path

import pytest

from installer import troubles

LOG = Path("pip.log")

PIP_OUTPUTS = {
    "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError: Failed to establish a new "
    "connection: [Errno -3] Temporary failure in name resolution'\n"
    "ERROR: No matching distribution found for alembic==1.20.1\n": "no network connection",
    "ReadTimeoutError: HTTPSConnectionPool: Read timed out.\n": "no network connection",
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n": "make room",
    "ERROR: Could not install packages due to an OSError: [WinError 112] There is not enough space\n": "make room",
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n": "not the one this checkout was tested with",
    "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))\n": "machine's date",
    "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: 'x'\n": "close every Medulla",
    "HINT: this system does not have Windows Long Path support enabled.\n": "nearer to the drive's root",
    "ERROR: No matching distribution found for pyzmq==27.3.0\n": "no ready-made pyzmq==27.3.0",
    "ERROR: something new\nby the way\n": "pip failed (ERROR: something new)",
    "": "pip failed (without a word)",
}


@pytest.mark.parametrize(("output", "told"), PIP_OUTPUTS.items())
def test_what_pip_printed_becomes_one_line_that_names_the_log(output: str, told: str) -> None:
    sentence = troubles.of_pip(output, LOG)
    assert told in sentence
    assert "pip.log" in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.ENOSPC, "the disk is full"),
        (
            errno.EROFS,
            "cannot be written (Read-only file system): put the checkout into a folder of your own",
        ),
        (errno.EACCES, "cannot be written"),
        (errno.EIO, "the next start tries again"),
    ],
)
def test_the_systems_refusals_become_one_line(code: int, told: str) -> None:
    sentence = troubles.of_system(OSError(code, os.strerror(code)), Path("checkout"))
    assert told in sentence
    assert "\n" not in sentence
