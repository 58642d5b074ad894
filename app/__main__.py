"""`medulla`: the command line's entry point. Everything is in app/cli."""

from __future__ import annotations

from app.cli.main import main

if __name__ == "__main__":
    main()
