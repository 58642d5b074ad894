"""A process that writes commands to a journal as fast as they are confirmed, and says each one that is; ends by being killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from app.adapters.journal_sqlite import SqliteJournal
from app.domain.errors import JournalFailed
from tests.contract import journal_script as script


def _failed(failure: JournalFailed) -> None:
    raise SystemExit(str(failure))


async def main(path: Path, first: int) -> None:
    journal = await SqliteJournal.open(path, _failed)
    print("ready", flush=True)
    number = first
    while True:
        burst = [journal.append(*script.life(f"c{number + step}")) for step in range(5)]
        for step, future in enumerate(burst):
            await future
            print(f"c{number + step}", flush=True)
        number += 5


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
