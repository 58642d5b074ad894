"""The executor with a shorter patience about absence: `python -m tests.end_to_end.impatient run …`.

A command of which the broker shows nothing is a person's after 180 s; a test of what happens then need not wait as long. Only for
tests in which nothing is filled late; the real figure is held under a fake clock.
"""

from __future__ import annotations

from datetime import timedelta

import app.domain.reconcile
from app.cli.main import main

PATIENCE_ABOUT_ABSENCE = timedelta(seconds=20)

if __name__ == "__main__":
    app.domain.reconcile.ABSENCE_IS_FINAL_AFTER = PATIENCE_ABOUT_ABSENCE
    main()
