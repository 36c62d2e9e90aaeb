"""Conditions that an artefact must meet: `top1>=90,drop<=1,ms<=5,mb<=4`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import UserError, nearest

__all__ = ["Condition", "conditions"]

_UNITS = {
    "top1": "%",
    "drop": "points of top-1 lost",
    "ms": "ms",
    "mb": "MB",
    "ratio": "of the float file's size",
}
_SAME = {"latency": "ms"}
# What may stand behind the number, and what the number may be at all.
_SUFFIX = {"top1": "%", "drop": "%", "ms": "ms", "mb": "mb", "ratio": ""}
_RANGE = {"top1": (0.0, 100.0), "drop": (-100.0, 100.0), "ms": (0.0, math.inf), "mb": (0.0, math.inf),
          "ratio": (0.0, math.inf)}  # fmt: skip


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
    """Read `NAME<=NUMBER` and `NAME>=NUMBER`, comma-separated. top1 and drop are in percent and points; latency is ms.

    Raises `UserError` for a condition that cannot be read, or that no file could meet.

    >>> conditions("drop<=1, ms<=5")[1]
    Condition(name='ms', most=True, limit=5.0)
    """
    return tuple(_condition(part) for part in filter(None, (piece.strip() for piece in text.split(","))))


def _condition(part: str) -> Condition:
    match = re.fullmatch(r"(\w+)\s*(<=|>=)\s*([-+]?[\d.]*(?:e[-+]?\d+)?)\s*(\S*)", part, re.IGNORECASE)
    if match is None:
        raise UserError(f"--must '{part}' is not NAME<=NUMBER or NAME>=NUMBER, such as drop<=1 or top1>=90")
    given, sign, number, unit = match.groups()
    name = _SAME.get(given, given)
    if name not in _UNITS:
        known = (*_UNITS, *_SAME)
        raise UserError(f"--must knows {', '.join(known)}, not '{given}'{nearest(given, known)}")
    try:
        limit = float(number)
    except ValueError:
        raise UserError(f"--must '{part}': '{number}{unit}' is no number") from None
    if unit.lower() not in ("", _SUFFIX[name]):
        wanted = f"{_SUFFIX[name]} or nothing" if _SUFFIX[name] else "nothing"
        raise UserError(f"--must '{part}': behind the number of {given} stands {wanted}, not '{unit}'")
    least, most = _RANGE[name]
    open_ended = math.isinf(most)  # times and sizes, which are never 0
    if limit > most if sign == ">=" else limit < least or (open_ended and limit == least):
        span = f"above {least:g}" if open_ended else f"from {least:g} to {most:g}"
        raise UserError(f"--must '{part}' cannot be met: {given} is {span}")
    return Condition(name, sign == "<=", limit)
