"""Run the compiled Expert Advisor like `medulla sim`: `python -m tests.mql5_host --command-port P --stream-port Q --key-file F`.

Ready when it prints its JSON line; ends with the end of standard input or a signal. Lines on standard input are control
commands (runtime/control.cpp), answered line by line.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from .host import FRONTS, BenchError, HostTerminal


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--front", choices=FRONTS, default="Medulla")
    options.add_argument("--command-port", type=int, default=0)
    options.add_argument("--stream-port", type=int, default=0)
    options.add_argument("--key-file", type=Path, required=True)
    options.add_argument("--ledger", type=Path, help="the broker's effects, one JSON line each")
    options.add_argument(
        "--folder", type=Path, help="where terminal and broker keep their files; temporary by default"
    )
    options.add_argument(
        "--input", action="append", default=[], metavar="NAME=VALUE", help="an input of the EA"
    )
    given = options.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="medulla-ea-") as temporary:
        terminal = HostTerminal(
            given.folder or Path(temporary),
            given.front,
            inputs=dict(pair.split("=", 1) for pair in given.input),
            key=bytes.fromhex(given.key_file.read_text().strip()),
            command_port=given.command_port or None,
            stream_port=given.stream_port or None,
            effects_file=given.ledger,
        )
        terminal.write_key(terminal.key)
        terminal.start()
        try:
            ports = {"command_port": terminal.command_port, "stream_port": terminal.stream_port}
            print(json.dumps({"event": "ready", "front": given.front} | ports), flush=True)
            for line in sys.stdin:
                try:
                    print(f"ok {terminal.control(line.strip())}".rstrip(), flush=True)
                except BenchError as problem:
                    print(problem, flush=True)
        except KeyboardInterrupt:
            pass
        finally:
            terminal.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
