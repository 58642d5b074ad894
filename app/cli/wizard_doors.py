"""What the first start needs and the window may not reach by itself: engines found, terminals stopped, settings read again."""

from __future__ import annotations

from pathlib import Path

from app.api.client import EngineNotRunning, Target, find_engine
from app.cli.control import stop_terminal
from app.domain.errors import ConfigurationError, SecretMissing
from app.gui.wizard_page import WizardDoors
from app.settings import Settings, load_settings
from app.settings.changes import reloaded


def wizard_doors() -> WizardDoors:
    """The real ones."""
    return WizardDoors(find=engine_of, terminal_stop=stop_terminal, reload=_again, load=_alone)


def engine_of(settings: Settings) -> Target:
    """Raises EngineNotRunning, also for a token that cannot be read."""
    try:
        return find_engine(settings.runtime_file, settings.api.token_file)
    except SecretMissing as fault:
        raise EngineNotRunning(str(fault)) from None


def _again(settings: Settings) -> Settings:
    try:
        return reloaded(settings)
    except ConfigurationError as fault:
        raise ValueError(str(fault)) from None


def _alone(config: Path) -> Settings:
    """Of that file, and of no variable: whose it is has nothing to do with this user's own."""
    try:
        return load_settings(config, {}, {})
    except ConfigurationError as fault:
        raise ValueError(str(fault)) from None
