"""No text is cut: every state, pane and dialog, at the scales that Windows offers and on the smallest usual screens.

1920x1080 at 200 % is 960x540, as small as the window may become. The scales in between:
`pytest tests/gui/test_scales.py -m long`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("scale", "sizes"),
    [
        ("1", ["1280x720"]),
        ("2", ["960x540"]),
        pytest.param("1", ["1440x900", "1920x1080"], marks=pytest.mark.long),
        pytest.param("1.25", ["1280x720", "1536x816"], marks=pytest.mark.long),
        pytest.param("1.5", ["1280x672", "1280x720"], marks=pytest.mark.long),
        pytest.param("2", ["1280x720"], marks=pytest.mark.long),
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
