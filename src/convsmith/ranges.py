"""What the numbers of a value may be: refused where the value is made, before anything reckons with them."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Iterator
from functools import cache

from .errors import UserError

__all__ = ["DEEPEST", "MOST", "OutOfRange", "above", "at_least", "check_numbers", "leaves", "odd", "within"]

# Of pixels a side, channels, classes and the like: far beyond every network, and near enough that shapes can be reckoned with.
MOST = 2**20
_WIDEST = 1023  # of kernels and scopes
# Of blocks in a network, each of which is a value in its plan.
DEEPEST = 2**16

_WHOLE = 2**63 - 1  # what torch and numpy take


class OutOfRange(UserError, ValueError):
    """A number that a field cannot have: a wrong value in Python, and a mistake in what was asked for wherever it comes from."""


def check_numbers(value: object, of: str = "") -> None:
    """Raise `OutOfRange` where a field of a dataclass holds another kind of number than its annotation says.

    An int is a whole number, a float a finite one, whichever way it is written; True and False are neither. `of` is what the
    message puts before the name of the field, such as `stage`.
    """
    where = f"{of}." if of else ""
    for field in _numeric(type(value)):  # type: ignore[arg-type]  # a class can be hashed
        own = getattr(value, field.name)
        if field.several and not isinstance(own, tuple):
            raise OutOfRange(f"{where}{field.name} must be a tuple of numbers; got {_said(own)}")
        for item in _flat(own):
            if not (_is_number(item, field.whole) or isinstance(item, field.others)):
                kind = "a whole number" if field.whole else "a finite number"
                raise OutOfRange(f"{where}{field.name} must be {kind}; got {_said(item)}")


def at_least(name: str, value: float, least: float, most: float = MOST) -> None:
    """Raise `OutOfRange` naming the field where `value` is below `least` or above `most`."""
    if not value >= least:
        raise OutOfRange(f"{name} must be at least {least}; got {_said(value)}")
    _at_most(name, value, most)


def above(name: str, value: float, low: float, most: float = MOST) -> None:
    """Raise `OutOfRange` naming the field where `value` is not above `low`, or above `most`."""
    if not value > low:
        raise OutOfRange(f"{name} must be above {low}; got {_said(value)}")
    _at_most(name, value, most)


def within(name: str, value: float, low: float, high: float) -> None:
    """Raise `OutOfRange` naming the field where `value` is not in [low, high)."""
    if not low <= value < high:
        raise OutOfRange(f"{name} must be in [{low}, {high}); got {_said(value)}")


def odd(name: str, kernel: int) -> None:
    """Refuse an even kernel: it has no centre, so maps would shift and shrink."""
    if not 1 <= kernel <= _WIDEST or kernel % 2 == 0:
        raise OutOfRange(f"{name} must be odd, from 1 to {_WIDEST}; got {kernel}")


def _at_most(name: str, value: float, most: float) -> None:
    if not value <= most:
        raise OutOfRange(f"{name} must be at most {most:,}; got {_said(value)}")


class _Field(typing.NamedTuple):
    """A field that holds numbers: whether these are whole, whether they are several, and what else may stand there."""

    name: str
    whole: bool
    several: bool
    others: tuple[type, ...]


@cache
def _numeric(cls: type) -> tuple[_Field, ...]:
    try:
        hints = typing.get_type_hints(cls)
    except NameError:  # a class that was made inside a function, of types that are known there only
        return ()
    found = []
    for field in dataclasses.fields(typing.cast(typing.Any, cls)):
        hint = hints[field.name]
        kinds = set(leaves(hint))
        if kinds & {int, float}:
            others = tuple(kind for kind in kinds - {int, float} if isinstance(kind, type))
            found.append(_Field(field.name, float not in kinds, typing.get_origin(hint) is tuple, others))
    return tuple(found)


def leaves(hint: typing.Any) -> list[typing.Any]:
    """The types that a type is made of, at the ends: of `tuple[float, ...] | None` float, Ellipsis and NoneType."""
    arguments = typing.get_args(hint)
    return [leaf for item in arguments for leaf in leaves(item)] if arguments else [hint]


def _flat(item: object) -> Iterator[object]:
    if isinstance(item, tuple):
        for one in item:
            yield from _flat(one)
    else:
        yield item


def _is_number(item: object, whole: bool) -> bool:
    if isinstance(item, bool) or not isinstance(item, int | float):
        return False
    return isinstance(item, int) and abs(item) <= _WHOLE if whole else abs(item) <= sys.float_info.max


def _said(item: object) -> str:
    """As Python writes it; of an int with thousands of digits, which it refuses to write, how large it is."""
    if isinstance(item, int) and abs(item) > _WHOLE:
        return f"an int of {item.bit_length()} bits"
    return f"{item!r:.60}"
