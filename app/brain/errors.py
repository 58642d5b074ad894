"""What can go wrong in the brain, by who has to act.

BrainError
├── StoreFailed       the disk's fault: the command was certainly not sent, the result is not acknowledged and comes again
├── QueueFull         too many commands wait for this executor: certainly not sent
└── BrainMisconfigured  the operator's fault: one line that says what and where
"""

from __future__ import annotations


class BrainError(Exception):
    """Base of everything the brain raises on purpose."""


class StoreFailed(BrainError):
    """The brain's database could not be written or read."""


class QueueFull(BrainError):
    """More commands wait for this executor than the brain keeps; this one was neither stored nor sent."""


class BrainMisconfigured(BrainError):
    """The brain cannot start as it was asked to. The message is one line: what, where, what is allowed."""
