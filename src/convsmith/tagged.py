"""Values that files tell apart by a word: the base of parts, schedules, optimisers, policies and tasks."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar

__all__ = ["Tagged", "at_least", "within"]


@dataclass(frozen=True)
class Tagged(abc.ABC):
    """A frozen value with a `kind`, the word that stands for its class in JSON. Concrete kinds are final."""

    kind: ClassVar[str]


def at_least(name: str, value: float, least: float) -> None:
    """Raise `ValueError` naming the field where `value` is below `least`."""
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")


def within(name: str, value: float, low: float, high: float) -> None:
    """Raise `ValueError` naming the field where `value` is not in [low, high)."""
    if not low <= value < high:
        raise ValueError(f"{name} must be in [{low}, {high}); got {value}")
