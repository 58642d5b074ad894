"""No text is cut: every state, pane and dialog, at the scales that Windows offers and on the smallest usual screen."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

SCREEN = (1920, 1080)
"""Pixels of a usual screen; at 200 % it is as small as the window may become."""


@pytest.mark.parametrize(
    ("scale", "sizes"),
    [
        ("1", ["1280x720", "1440x900"]),
        ("1.25", ["1280x720", "1536x816"]),
        ("1.5", ["1280x672", "1280x720"]),
        ("2", ["960x540", "1280x720"]),
    ],
)
def test_no_text_is_cut(scale: str, sizes: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.gui.cut_texts", *sizes],
        env={**os.environ, "QT_SCALE_FACTOR": scale, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["looked_at"] > 20
    assert found["cut"] == {}
