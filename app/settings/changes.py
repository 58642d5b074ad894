"""What a change of settings would do, judged as a whole before anything is written: every fault beside its key, what becomes
looser, what counts at once and what from the next start. The file is written by `write` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import ConfigurationError
from app.domain.limit_changes import compare
from app.domain.limits import SafetyLimits
from app.settings import edit
from app.settings.describe import Effect, Plain, effect_of, plain, value_of
from app.settings.layers import nearest
from app.settings.load import check_value, load_settings
from app.settings.model import SECRET_KEYS, Settings, known_keys

BACKUP_SUFFIX = ".before-change"


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One setting that gets another value; texts for a person."""

    key: str
    old: str
    new: str
    loosens: bool
    """True: more can be lost, or more people can trade, than before."""
    effect: Effect
    words: str


@dataclass(frozen=True, slots=True)
class SettingFault:
    """What is wrong with one asked value; `key` is empty if it is the file as a whole."""

    key: str
    rule: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was asked, thought through. Nothing has been done."""

    changes: tuple[SettingChange, ...]
    faults: tuple[SettingFault, ...]
    settings: Settings | None
    """As they would be; None: there are faults."""
    old_text: str
    text: str
    """The file as it is, and as it would be."""
    path: Path

    @property
    def loosens(self) -> tuple[SettingChange, ...]:
        return tuple(change for change in self.changes if change.loosens)


def reloaded(settings: Settings) -> Settings:
    """The same sources read again. Raises ConfigurationError."""
    given = settings.sources
    text = edit.read_text(settings.config_path)
    return load_settings(given.config, given.overrides, given.environ, text=text)


def judge(
    settings: Settings, asked: Mapping[str, Plain | None], in_force: SafetyLimits | None = None
) -> Judgement:
    """Never raises for what was asked: faults are listed. None takes a key out of the file, so that its default counts.

    `in_force`: the limits of a running engine, if they are to be compared instead of the file's.
    """
    path, given = settings.config_path, settings.sources
    old_text = text = ""
    faults: list[SettingFault] = []
    try:
        old_text = text = edit.read_text(path)
        before = load_settings(given.config, given.overrides, given.environ, text=old_text)
    except ConfigurationError as fault:
        return Judgement(
            (), (SettingFault("", f"{fault}. Correct the file first"),), None, old_text, text, path
        )
    for key, value in asked.items():
        rule = _fault_of(before, key, value)
        if rule:
            faults.append(SettingFault(key, rule))
    after = None
    if not faults:
        try:
            text = edit.with_changes(path, old_text, asked)
            after = load_settings(given.config, given.overrides, given.environ, text=text)
        except ConfigurationError as fault:
            faults.append(_of_the_whole(str(fault), asked, path))
    if after is None:
        return Judgement((), tuple(faults), None, old_text, old_text, path)
    return Judgement(differences(before, after, in_force), (), after, old_text, text, path)


def write(judgement: Judgement) -> Path | None:
    """Put the judged text in place, whole or not at all. Returns the copy of the old file. Raises ConfigurationError."""
    if judgement.settings is None:
        raise ConfigurationError(f"{judgement.path}: there are faults; nothing was written")
    if judgement.text == judgement.old_text and judgement.path.exists():
        return None
    return edit.replace_text(judgement.path, judgement.old_text, judgement.text, BACKUP_SUFFIX)


def take_back(judgement: Judgement) -> None:
    """The file as it was before `write`. Raises ConfigurationError."""
    if judgement.old_text:
        edit.replace_text(judgement.path, "", judgement.old_text, "")
        return
    try:
        judgement.path.unlink(missing_ok=True)
    except OSError as fault:
        raise ConfigurationError(f"{judgement.path}: cannot be removed: {fault.strerror or fault}") from None


# ------------------------------------------------------------------ faults


def _fault_of(settings: Settings, key: str, value: Plain | None) -> str:
    if key not in known_keys():
        return f"there is no such setting; the nearest one is {nearest(key)}"
    if key in SECRET_KEYS:
        return "is a secret: it is kept in the keyring, never in the file"
    origin = settings.origins.get(key, "")
    if origin and not origin.startswith(f"{settings.config_path}:"):
        where = "the command line" if origin == "command line" else origin
        return f"is set by {where}, which counts more than the file; change it there"
    if value is None:
        return ""
    if isinstance(value, str) and not value.strip():
        return "is empty; leave it out for the default"
    try:
        check_value(key, value, settings.config_path.parent)
    except ConfigurationError as fault:
        return str(fault)
    return ""


def _of_the_whole(message: str, asked: Mapping[str, Plain | None], path: Path) -> SettingFault:
    """A fault between keys, put beside the asked one that it names."""
    for key in sorted(asked, key=len, reverse=True):
        if f" {key}: " in message:
            return SettingFault(key, message.split(f" {key}: ", 1)[1])
    return SettingFault("", message.removeprefix(f"{path}: "))


# ------------------------------------------------------------------ differences


def differences(
    before: Settings, after: Settings, in_force: SafetyLimits | None = None
) -> tuple[SettingChange, ...]:
    """Every setting that differs, in the order of the documentation."""
    limits = {
        f"safety.{change.name}": change
        for change in compare(before.safety if in_force is None else in_force, after.safety)
    }
    found = []
    for key in known_keys():
        limit = limits.get(key)
        if limit is not None:
            found.append(_change(key, limit.old, limit.new, limit.loosens))
        elif not key.startswith("safety.") and key not in SECRET_KEYS:
            old, new = value_of(before, key), value_of(after, key)
            if old != new:
                found.append(_change(key, shown(old), shown(new), _admits_more(key, before, after)))
    return tuple(found)


def _change(key: str, old: str, new: str, loosens: bool) -> SettingChange:
    when = "in force at once" if effect_of(key) == "live" else "from the next start of the engine"
    looser = "looser than before, " if loosens else ""
    return SettingChange(key, old, new, loosens, effect_of(key), f"{key}: {old} → {new}: {looser}{when}")


def _admits_more(key: str, before: Settings, after: Settings) -> bool:
    """Whether somebody can trade who could not before."""
    if key not in {"brain.allow_unsigned", "brain.signing_keys"}:
        return False
    unsigned = after.brain.allow_unsigned and not after.brain.signing_keys
    unsigned_before = before.brain.allow_unsigned and not before.brain.signing_keys
    if unsigned and not unsigned_before:
        return True
    known = before.brain.signing_keys
    return key == "brain.signing_keys" and any(
        known.get(name) != public for name, public in after.brain.signing_keys.items()
    )


def shown(value: Plain | None) -> str:
    """A value in one line for a person."""
    if value is None:
        return "not set"
    if isinstance(value, str):
        return value
    if not value:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {item}" for name, item in value.items())
    return ", ".join(shown(plain(item)) if not isinstance(item, str) else item for item in value)
