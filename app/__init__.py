"""Medulla: the executor of a Brain & Executor trading system. See docs/ for the design."""

__version__ = "0.1.0"
