"""What holds for every test, whatever it tests. Fixtures belong to the folders that use them."""

from __future__ import annotations

import gc

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was collected lives until the end: no collection of garbage looks at it again.

    The window's tests collect after each test; among some thousand tests that are kept, that was most of the time they took.
    """
    gc.collect()
    gc.freeze()
