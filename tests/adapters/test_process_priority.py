"""The engine's priority: raised where the system allows it, and nothing else changes where it does not."""

from __future__ import annotations

import json
import subprocess
import sys

_ASK = """
import json, os
from app.adapters.process_priority import go_before_windows
before = os.getpriority(os.PRIO_PROCESS, 0)
raised = go_before_windows()
print(json.dumps([before, raised, os.getpriority(os.PRIO_PROCESS, 0)]))
"""


def test_the_engine_goes_first_where_it_may() -> None:
    """In a process of its own: whoever runs the tests may be allowed to raise itself, and keeps it."""
    asked = subprocess.run(
        [sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=60, check=True
    )
    before, raised, after = json.loads(asked.stdout)
    assert after == (-5 if raised else before)
