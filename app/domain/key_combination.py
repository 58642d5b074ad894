"""A key combination as a person writes it (`Ctrl+Alt+Shift+S`), read and written in one way. Knows no keyboard and no system."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import InvalidValue

MODIFIERS = ("Ctrl", "Alt", "Shift", "Win")
"""In the order in which they are written."""
_OTHER_NAMES = {"control": "Ctrl", "ctl": "Ctrl", "windows": "Win", "super": "Win", "meta": "Win"}
_NAMED_KEYS = {
    "space": "Space",
    "pause": "Pause",
    "break": "Pause",
    "insert": "Insert",
    "ins": "Insert",
    "delete": "Delete",
    "del": "Delete",
    "home": "Home",
    "end": "End",
    "pageup": "PageUp",
    "pagedown": "PageDown",
    "scrolllock": "ScrollLock",
}
_FUNCTION_KEYS = 24
_TAKEN_BY_WINDOWS = frozenset({"F12"})
"""The debugger's: RegisterHotKey's page says that F12 must not be used."""


@dataclass(frozen=True, slots=True)
class KeyCombination:
    """Modifiers in the order of MODIFIERS, and one key: `A`-`Z`, `0`-`9`, `F1`-`F24` or a name of this file."""

    modifiers: tuple[str, ...]
    key: str

    def __str__(self) -> str:
        return "+".join((*self.modifiers, self.key))

    @classmethod
    def parse(cls, text: str) -> KeyCombination:
        """Raises InvalidValue for anything but at least two different modifiers and one key.

        Two, because a press stops all trading: no combination that is typed in passing may do that.
        """
        parts = [part.strip() for part in text.split("+")]
        if not all(parts):
            raise InvalidValue("hotkey", "is written like Ctrl+Alt+Shift+S")
        *before, last = parts
        modifiers = [_modifier(part) for part in before]
        if len(set(modifiers)) != len(modifiers):
            raise InvalidValue("hotkey", "names a modifier twice")
        if len(modifiers) < 2:
            raise InvalidValue(
                "hotkey", "needs at least two of Ctrl, Alt, Shift and Win, so that nobody hits it in passing"
            )
        return cls(tuple(name for name in MODIFIERS if name in modifiers), _key(last))


def _modifier(text: str) -> str:
    low = text.lower()
    found = _OTHER_NAMES.get(low, low.capitalize())
    if found not in MODIFIERS:
        raise InvalidValue("hotkey", f"has {text!r} where Ctrl, Alt, Shift or Win belongs")
    return found


def _key(text: str) -> str:
    upper = text.upper()
    if len(upper) == 1 and upper.isascii() and upper.isalnum():
        return upper
    if (
        upper[:1] == "F"
        and upper[1:].isascii()
        and upper[1:].isdigit()
        and 1 <= int(upper[1:]) <= _FUNCTION_KEYS
    ):
        key = f"F{int(upper[1:])}"
        if key in _TAKEN_BY_WINDOWS:
            raise InvalidValue("hotkey", f"{key} belongs to the debugger of Windows")
        return key
    named = _NAMED_KEYS.get(text.lower().replace(" ", "").replace("_", ""))
    if named is None:
        raise InvalidValue(
            "hotkey", f"ends in {text!r}; a key is a letter, a digit, F1 to F24 or a name like Pause"
        )
    return named
