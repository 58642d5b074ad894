"""Contrast of every text on every ground it stands on, light and dark; and that no meaning hangs on colour alone."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication

from app.api.schemas import LinkModel, SnapshotModel
from app.gui import canned, tones, words
from app.gui.rows import LazyRow, RowMaker
from app.gui.theme import palette_of
from app.gui.tones import DARK, LIGHT, Tone, Tones, contrast
from app.gui.trade_columns import POSITIONS, PositionFacts

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


@pytest.mark.parametrize("share", [1.0, 2 / 3, 1 / 3])
@pytest.mark.parametrize("rises", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("tone", [Tone.PLAIN, Tone.UP, Tone.DOWN])
@pytest.mark.parametrize("ground", ["panel", "row"])
@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_a_value_that_is_lit_can_be_read(
    look: Tones, ground: str, tone: Tone, rises: bool, share: float
) -> None:
    assert contrast(look.of(tone), look.lit(getattr(look, ground), rises=rises, share=share)) >= ENOUGH


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_every_pair_that_qt_itself_draws_can_be_read(qapp: QApplication, look: Tones) -> None:
    """Fields, buttons, menus, tool tips, hints in empty fields, what is switched off, and what is selected in a field."""
    palette = palette_of(look)
    roles, groups = QPalette.ColorRole, QPalette.ColorGroup
    pairs = [
        (text, ground)
        for text, grounds in (
            (roles.WindowText, (roles.Window, roles.Base)),
            (roles.Text, (roles.Base, roles.AlternateBase)),
            (roles.ButtonText, (roles.Button, roles.Window)),
            (roles.PlaceholderText, (roles.Base, roles.Window)),
            (roles.ToolTipText, (roles.ToolTipBase,)),
            (roles.HighlightedText, (roles.Highlight,)),
            (roles.Link, (roles.Window, roles.Base)),
        )
        for ground in grounds
    ]
    for group in (groups.Active, groups.Inactive, groups.Disabled):
        for text, ground in pairs:
            colours = [palette.color(group, role).name() for role in (text, ground)]
            assert contrast(*colours) >= ENOUGH, (group, text, ground, colours)


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_the_curves_stand_out_from_their_ground(look: Tones) -> None:
    """Lines and bars: 3:1 (WCAG 2.1, 1.4.11)."""
    for colour in (look.accent, look.warn, look.down):
        assert contrast(colour, look.panel) >= 3.0


def test_profit_and_loss_differ_without_colour(qapp: QApplication) -> None:
    picture = canned.connected()
    profits = [row.cells[9] for row in position_rows(picture)]
    assert {cell.text[0] for cell in profits if cell.tone is Tone.UP} == {"+"}
    assert {cell.text[0] for cell in profits if cell.tone is Tone.DOWN} == {"−"}


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


def position_rows(picture: SnapshotModel) -> list[LazyRow]:
    maker = RowMaker(POSITIONS, PositionFacts)
    return [maker.row(row.ticket, row, 5, 60, None) for row in picture.positions]


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
