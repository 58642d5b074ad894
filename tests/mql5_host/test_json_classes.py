"""The Expert Advisor's reader against JSON by class (tests/faults/fuzz_json.py), inside frames with a right mac."""

from __future__ import annotations

import pytest

from tests.faults.fuzz_json import CASES

from .conftest import Rig

pytestmark = pytest.mark.processes


def test_a_frame_is_heard_exactly_if_its_json_is_good(zmq_rig: Rig) -> None:
    executor = zmq_rig.executor
    wrong = []
    for case in CASES:
        if case.value:
            executor.send(executor.body("heartbeat")[:-1] + b',"x":' + case.text + b"}")
        elif not case.good:
            executor.id += 1
            executor.send(case.text)
        else:
            continue  # a frame without its fields is dropped for that
        if executor.silent() is case.good_for_ea:
            wrong.append(case.name)
    assert wrong == []
