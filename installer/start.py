"""The one file a newcomer runs: `python3 installer/start.py demo`, `... test`, or any `medulla` command.

It only checks the interpreter and hands over. Its syntax stays old, so that an old Python can still say
that it is too old.
"""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - reached by interpreters that cannot run the rest
    sys.exit(
        "medulla set-up: Medulla needs Python 3.11 or newer, and this is Python %d.%d. "  # noqa: UP031
        "Start it with a newer one, for example: python3.11 installer/start.py demo"
        % tuple(sys.version_info[:2])
    )

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from installer.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
