"""The short form of the fuzzing: JSON by class, some thousand frames a decoder; what is made worse on purpose is noticed."""

from __future__ import annotations

import asyncio
import functools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.protocol import strict_json
from tests.faults import fuzz_campaign, fuzz_judge
from tests.faults.fuzz_api import ACTS, PORT, TOKENS, Act, ApiTarget, Asked
from tests.faults.fuzz_brain import BrainTarget, flips
from tests.faults.fuzz_json import CASES

SEED = 4
FRAMES = {"brain": 1500, "executor": 1200, "terminal": 1200, "api": 1500}


def test_json_by_class_at_the_brains_reader() -> None:
    wrong = []
    for case in CASES:
        try:
            strict_json.loads(case.frame())
            good = True
        except strict_json.InvalidJson:
            good = False
        if good is not case.good:
            wrong.append(case.name)
    assert wrong == []


def test_the_second_reader_agrees_on_every_class() -> None:
    wrong = []
    for case in CASES:
        try:
            fuzz_judge.read(case.frame().decode())
            good = True
        except (fuzz_judge.NotStrict, UnicodeDecodeError):
            good = False
        if good is not case.good:
            wrong.append(case.name)
    assert wrong == []


@pytest.mark.parametrize("target", FRAMES)
async def test_nothing_crashes_and_nothing_malformed_is_accepted(target: str) -> None:
    found, outcomes = await fuzz_campaign.TARGETS[target](FRAMES[target], SEED)
    assert found == []
    assert len(outcomes) >= 8, "the frames no longer reach beyond the first check"


def test_no_signed_frame_with_a_bit_turned_is_accepted() -> None:
    assert flips(BrainTarget(SEED), 1000) == 0


async def test_a_reader_that_is_made_worse_is_noticed() -> None:
    for control in await fuzz_campaign.controls(SEED):
        assert control.caught_by, control.name


BODIES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=30),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["by", "note", "action", "x"]), inner)
        ),
        max_leaves=6,
    ).map(lambda value: strict_json.encode(value, ascii_only=True).encode()),
)


@functools.cache
def an_api() -> ApiTarget:
    """One for all examples: making it is the dear part."""
    return ApiTarget(SEED)


@given(act=st.sampled_from(ACTS), body=BODIES)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
    derandomize=True,
)
def test_any_body_at_any_act_is_done_or_refused_in_words(act: Act, body: bytes) -> None:
    headers = [
        (b"host", f"127.0.0.1:{PORT}".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"authorization", b"Bearer " + TOKENS.control.encode()),
    ]
    asked = Asked("POST", act.path, "", headers, body, "control", act)
    status, _ = asyncio.run(an_api().send(asked))
    assert status in {200, 400, 409}
