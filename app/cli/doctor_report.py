"""One line of the doctor's report, and the three ways to make one. What is looked at stands in doctor_checks.py and
doctor_machine.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report; `remedy` is what a person does about it, empty when all is well."""

    name: str
    state: State
    detail: str
    remedy: str = ""


def ok(name: str, detail: str) -> Check:
    return Check(name, State.OK, detail)


def warning(name: str, detail: str, remedy: str) -> Check:
    return Check(name, State.WARNING, detail, remedy)


def fault(name: str, detail: str, remedy: str) -> Check:
    return Check(name, State.FAULT, detail, remedy)
