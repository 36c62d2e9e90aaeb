"""Conditions that an artefact must meet: `top1>=90,drop<=1,ms<=5,mb<=4`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import UserError, nearest

__all__ = ["Condition", "conditions"]

_UNITS = {
    "top1": "% top-1",
    "drop": "points of top-1 lost",
    "ms": "ms",
    "mb": "MB",
    "ratio": "of the float file's size",
}


@dataclass(frozen=True)
class Condition:
    """`name` is one of top1, drop, ms, mb and ratio; `most` whether `limit` is an upper one."""

    name: str
    most: bool
    limit: float

    def holds(self, found: Mapping[str, float]) -> bool:
        # Written so that NaN holds nothing.
        return found[self.name] <= self.limit if self.most else found[self.name] >= self.limit

    def broken(self, found: Mapping[str, float]) -> str:
        return f"{self.name} is {found[self.name]:.4g} {_UNITS[self.name]}, must be {'<=' if self.most else '>='} {self.limit:g}"


def conditions(text: str) -> tuple[Condition, ...]:
    """Read `NAME<=NUMBER` and `NAME>=NUMBER`, comma-separated. top1 and drop are in percent and points.

    >>> conditions("drop<=1, ms<=5")[1]
    Condition(name='ms', most=True, limit=5.0)
    """
    found = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = re.fullmatch(r"(\w+)\s*(<=|>=)\s*([-+.\w]+?)\s*%?", part)
        if match is None:
            raise UserError(f"--must '{part}' is not NAME<=NUMBER or NAME>=NUMBER, such as drop<=1 or top1>=90")
        name, sign, number = match.groups()
        if name not in _UNITS:
            raise UserError(f"--must knows {', '.join(_UNITS)}, not '{name}'{nearest(name, _UNITS)}")
        try:
            found.append(Condition(name, sign == "<=", float(number)))
        except ValueError:
            raise UserError(f"--must '{part}': '{number}' is no number") from None
    return tuple(found)
