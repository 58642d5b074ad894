"""Configuration, read once, checked whole, handed down as frozen values (docs/configuration.md).

Nothing here knows who uses it; secrets of the keyring are not read here.
"""

from app.settings.load import load_settings
from app.settings.model import (
    ApiSettings,
    BrainSettings,
    JournalSettings,
    LogSettings,
    QueueSettings,
    Settings,
    TerminalSettings,
)

__all__ = [
    "ApiSettings",
    "BrainSettings",
    "JournalSettings",
    "LogSettings",
    "QueueSettings",
    "Settings",
    "TerminalSettings",
    "load_settings",
]
