"""Contrast of every text on every ground it stands on, light and dark; and that no meaning hangs on colour alone."""

from __future__ import annotations

import pytest

from app.api.schemas import LinkModel
from app.gui import canned, tones, words
from app.gui.tones import DARK, LIGHT, Tone, Tones, contrast

ENOUGH = 4.5


@pytest.mark.parametrize("tone", list(Tone))
@pytest.mark.parametrize("ground", ["panel", "row", "ground"])
@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_every_text_can_be_read_on_every_ground(look: Tones, ground: str, tone: Tone) -> None:
    assert contrast(look.of(tone), getattr(look, ground)) >= ENOUGH


@pytest.mark.parametrize("tone", [tone for tone in Tone if tone is not Tone.DIM])
@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_a_selected_row_can_be_read(look: Tones, tone: Tone) -> None:
    assert contrast(look.of(tone), look.chosen) >= ENOUGH


@pytest.mark.parametrize(
    ("text", "ground"),
    [
        (tones.ON_RED, tones.STOP_RED),
        (tones.ON_RED, tones.STOP_PRESSED),
        (tones.STOP_TEXT, tones.STOP_GROUND),
        (tones.BANNER_LINK_TEXT, tones.ON_RED),
    ],
)
def test_the_stop_can_be_read(text: str, ground: str) -> None:
    assert contrast(text, ground) >= ENOUGH


def test_known_ratios() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#777777") == pytest.approx(1)


def test_link_states_differ_in_sign_and_word() -> None:
    said = [
        words.link(LinkModel(name="brain", state=state, detail="", latency_ms=None))
        for state in ("up", "down", "degraded")
    ]
    assert len({phrase.sign for phrase in said}) == 3
    assert len({phrase.text for phrase in said}) == 3


def test_sides_limits_and_trading_states_differ_in_sign() -> None:
    assert words.side("BUY").sign != words.side("SELL").sign
    assert len({words.trading(state).sign for state in ("ACTIVE", "REDUCING", "HALTED")}) == 3
    assert len({words.limit_phrase(state).sign for state in ("ok", "warning", "reached")}) == 3


def test_every_state_of_a_command_has_a_word_of_its_own() -> None:
    from app.domain.command_states import CommandState

    command = canned.connected().commands[0].model_copy(update={"result": None})
    said = {str(words.outcome(command.model_copy(update={"state": state.name}))) for state in CommandState}
    assert len(said) == len(CommandState)
