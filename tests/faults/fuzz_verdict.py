"""How a fuzzed target is refuted, and what a good refusal of a frame looks like."""

from __future__ import annotations

import re

NAMED = re.compile(r"[A-Za-z_][\w.]*: +\S", re.DOTALL)
"""A message that names the field, then the rule."""


class Refuted(AssertionError):
    """A target did what it must not; the message has the frame."""
