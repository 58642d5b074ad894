"""Key combinations as people write them; what would be hit in passing is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidValue
from app.domain.key_combination import MODIFIERS, KeyCombination


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Ctrl+Alt+Shift+S", "Ctrl+Alt+Shift+S"),
        (" shift + CONTROL+alt+s ", "Ctrl+Alt+Shift+S"),
        ("win+ctrl+0", "Ctrl+Win+0"),
        ("ctrl+shift+f5", "Ctrl+Shift+F5"),
        ("ctrl+alt+F024", "Ctrl+Alt+F24"),
        ("ctrl+alt+break", "Ctrl+Alt+Pause"),
        ("ctrl+alt+page down", "Ctrl+Alt+PageDown"),
        ("super+alt+del", "Alt+Win+Delete"),
    ],
)
def test_one_way_to_write_it(text: str, read: str) -> None:
    assert str(KeyCombination.parse(text)) == read


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "written like"),
        ("Ctrl++S", "written like"),
        ("S", "at least two"),
        ("Ctrl+S", "at least two"),
        ("Ctrl+Ctrl+S", "twice"),
        ("Control+Ctrl+S", "twice"),
        ("Ctrl+AltGr+S", "'AltGr'"),
        ("Ctrl+Alt+Shift", "'Shift'"),
        ("Ctrl+Alt+ß", "'ß'"),
        ("Ctrl+Alt+F25", "'F25'"),
        ("Ctrl+Alt+F0", "'F0'"),
        ("Ctrl+Alt+F12", "debugger"),
    ],
)
def test_what_is_refused_says_why(text: str, rule: str) -> None:
    with pytest.raises(InvalidValue) as fault:
        KeyCombination.parse(text)
    assert rule in fault.value.rule


@given(
    st.sets(st.sampled_from(MODIFIERS), min_size=2),
    st.sampled_from(["A", "Z", "0", "9", "F1", "F24", "Space", "Home", "ScrollLock"]),
)
def test_what_was_read_reads_the_same_again(modifiers: set[str], key: str) -> None:
    once = KeyCombination.parse("+".join([*modifiers, key]))
    assert KeyCombination.parse(str(once)) == once
    assert set(once.modifiers) == modifiers


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read = KeyCombination.parse(text)
    except InvalidValue:
        return
    assert len(read.modifiers) >= 2
