"""The tree of errors that rules raise. Each class says whose fault it is and what the program then does.

    MedullaError
    ├── InvalidValue            the sender's fault: the message is refused, nothing else changes
    ├── IllegalTransition       our fault: a bug; nothing was changed, the command stays where it was
    ├── JournalFailed           the disk's fault: trading stops (HALTED), nothing un-journalled is sent
    │   ├── JournalDamaged      at start: refuse to start, keep the file, say how to restore a backup
    │   ├── JournalInUse        at start: another instance owns the journal
    │   └── JournalTooNew       at start: written by a newer version; nothing is changed
    ├── TerminalUnavailable     the link's fault: certainly not sent; the command may be refused or wait
    ├── SecretMissing           the operator's: what to store and where
    └── ConfigurationError      the operator's: one line, exit code 2

Errors of an outside library never cross a port: adapters translate them into these.
"""

from __future__ import annotations


class MedullaError(Exception):
    """Base of everything Medulla raises on purpose."""


class InvalidValue(MedullaError, ValueError):
    """A value breaks a rule. Names the field and the rule; never echoes secrets."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule

    def within(self, parent: str) -> InvalidValue:
        """The same fault, named from one level further out (`command` + `volume` -> `command.volume`)."""
        return InvalidValue(f"{parent}.{self.field}" if self.field else parent, self.rule)


class IllegalTransition(MedullaError):
    """A state machine was asked for an arrow that its table does not list. Nothing was changed."""


class JournalFailed(MedullaError):
    """The journal could not be written or read. Trading stops; nothing un-journalled is sent."""


class JournalDamaged(JournalFailed):
    """The journal's file is not a sound database or its hash chain is broken."""


class JournalInUse(JournalFailed):
    """Another instance of Medulla owns this journal."""


class JournalTooNew(JournalFailed):
    """The journal was written by a newer version of Medulla."""


class TerminalUnavailable(MedullaError):
    """There is no live session with the terminal: the request was certainly not sent."""


class SecretMissing(MedullaError):
    """A secret that is needed is not stored. The message says where it belongs."""


class ConfigurationError(MedullaError):
    """The configuration is wrong. The message is one line: file, key, value, what is allowed."""
