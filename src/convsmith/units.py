"""Counts, budgets and rounding: the arithmetic that every paper does a little differently.

One multiply-add is one MAC, and a stored count is always MACs. "FLOPs" appears only beside it, as 2 x MACs.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from enum import StrEnum

from .errors import BudgetError, nearest
from .ranges import at_least, check_numbers

__all__ = ["Budget", "Cost", "RoundDepth", "Rounding", "count", "duration", "human", "plural"]

_SUFFIX = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
_MOST = 1e18  # of multiply-adds or parameters
_SLOWEST = 60_000  # milliseconds: nobody waits a minute for the answer about one image
_COUNT = re.compile(r"\s*(\d+(?:[._]\d+)*(?:e[+-]?\d+)?)\s*([kmgbt]?)\s*", re.IGNORECASE)


def count(text: str) -> int:
    """A count as people write it, as an integer.

    >>> count("390M"), count("0.39B"), count("5_288_548")
    (390000000, 390000000, 5288548)
    """
    match = _COUNT.fullmatch(text)
    if match is None:
        raise BudgetError(f"'{text}' is not a count; write for example 390M, 1.5G or 5288548")
    number, suffix = match.groups()
    try:
        found = float(number) * _SUFFIX[suffix.lower()]
    except ValueError:  # two points
        raise BudgetError(
            f"'{text}' is no number that a count can be; write for example 390M, 1.5G or 5288548"
        ) from None
    if found > _MOST:
        raise BudgetError(
            f"'{text:.40}' is no number that a count can be: more than {_MOST:.0e}, which no network costs"
        )
    return round(found)


def human(number: float) -> str:
    """A count with three or four significant digits and its suffix.

    >>> human(385_814_752), human(5_288_548), human(950), human(0)
    ('385.8M', '5.29M', '950', '0')
    """
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size * 0.9995:
            scaled = number / size
            return f"{scaled:.2f}{suffix}" if abs(scaled) < 99.95 else f"{scaled:.1f}{suffix}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """A time as people say it, in the unit that needs the fewest digits.

    >>> [duration(s) for s in (0.04, 15, 100, 1_020, 10_080, 1_036_800)]
    ['0.04 s', '15 s', '1.7 min', '17 min', '2.8 h', '12 days']
    """
    for size, unit, most in ((1, "s", 60), (60, "min", 60), (3600, "h", 48)):
        if seconds / size < most - 0.5:
            return f"{_two_digits(seconds / size)} {unit}"
    return f"{_two_digits(seconds / 86400)} days"


def _two_digits(number: float) -> str:
    if number >= 9.95:
        return f"{number:.0f}"
    return f"{number:.1f}".removesuffix(".0") if number >= 0.95 else f"{number:.1g}"


def plural(number: int, word: str) -> str:
    """So many of a thing.

    >>> plural(1, "epoch"), plural(30, "epoch"), plural(1_797, "image"), plural(2, "class"), plural(4, "sandwich")
    ('1 epoch', '30 epochs', '1,797 images', '2 classes', '4 sandwiches')
    """
    ending = "ren" if word.endswith("child") else "es" if word.endswith(("s", "x", "tch", "wich")) else "s"
    return f"{number:,} {word}{ending if number != 1 else ''}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one image costs: multiply-adds, trainable parameters, and activations.

    `macs` counts convolutions, linear layers and the products inside attention-like layers; norms, activations,
    pooling and additions are not MACs. `activations` is the number of elements those layers put out, which predicts
    run time on memory-bound devices better than MACs do (Radosavovic et al., 2020).
    """

    macs: int = 0
    params: int = 0
    activations: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.macs + other.macs, self.params + other.params, self.activations + other.activations)

    def __str__(self) -> str:
        return f"{human(self.macs)} MACs, {human(self.params)} parameters, {human(self.activations)} activations"


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper limits on what a network may cost; a limit at infinity does not bind.

    >>> Budget.parse("20M-macs,1.5M-params")
    Budget(macs=20000000, params=1500000, ms=inf)
    """

    macs: float = math.inf
    params: float = math.inf
    ms: float = math.inf

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise BudgetError(f"budget.{limit.name} must be a number; got {value!r:.60}")
            if not value > 0:
                raise BudgetError(f"a budget of {value} {limit.name} admits nothing; it must be above 0")
            most = _SLOWEST if limit.name == "ms" else _MOST
            if most < value < math.inf:
                raise BudgetError(f"a budget of {limit.name} is at most {most:g}: no network needs more")
        if all(math.isinf(getattr(self, limit.name)) for limit in fields(self)):
            raise BudgetError("a budget needs at least one limit, for example 20M-macs, 1.5M-params or 5ms")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """`20M-macs`, `1.5M-params`, `5ms`, or several joined by commas."""
        if not isinstance(text, str):
            raise BudgetError(
                f"a budget is written with its unit, such as '20M-macs', '1.5M-params' or '5ms'; got {text!r}"
            )
        limits: dict[str, float] = {}
        for part in text.split(","):
            name, value = _limit(part.strip(), whole=text)
            if name in limits:
                raise BudgetError(f"budget '{text}' limits {name} twice")
            limits[name] = value
        return cls(**limits)

    def admits(self, cost: Cost) -> bool:
        """Whether `cost` is within every countable limit. Milliseconds are measured, never counted: see `ms`."""
        return cost.macs <= self.macs and cost.params <= self.params

    def slack(self, cost: Cost) -> dict[str, float]:
        """For each countable limit, the share of it left unused; negative where `cost` is over it."""
        limits = {"macs": (self.macs, cost.macs), "params": (self.params, cost.params)}
        return {name: 1 - used / limit for name, (limit, used) in limits.items() if math.isfinite(limit)}

    def __str__(self) -> str:
        parts = [f"{_short(self.macs)}-macs", f"{_short(self.params)}-params", f"{self.ms:g}ms"]
        return ",".join(
            text for text, limit in zip(parts, (self.macs, self.params, self.ms), strict=True) if math.isfinite(limit)
        )


def _short(limit: float) -> str:
    text = human(limit)
    return text if "." not in text else text.rstrip("kMGT").rstrip("0").rstrip(".") + text.lstrip("0123456789.")


def _limit(part: str, *, whole: str) -> tuple[str, float]:
    folded = part.lower().replace(" ", "")
    if match := re.fullmatch(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)-?ms", folded):
        return "ms", float(match[1])
    if folded.startswith("-"):
        raise BudgetError(f"budget '{whole}': '{part}' is not a limit, which is above 0; write {part.lstrip('-')}")
    if match := re.fullmatch(r"(.*?)-?flops?", folded):
        macs = f"{_short(count(match[1]) / 2)}-macs" if _COUNT.fullmatch(match[1]) else "20M-macs"
        raise BudgetError(
            f"budget '{whole}': papers disagree on what a FLOP is; say macs: at 2 FLOPs per MAC this is {macs}"
        )
    if _COUNT.fullmatch(folded):
        raise BudgetError(
            f"budget '{whole}': '{part}' is not a limit, for it does not say of what; write {part}-macs, {part}-params or 5ms"
        )
    amount, _, unit = folded.partition("-")
    if "+" in part:
        raise BudgetError(f"budget '{whole}': limits of one budget are joined by commas here, not by +")
    if unit not in ("macs", "params"):
        hint = nearest(unit, ("macs", "params", "ms")) if unit else ""
        raise BudgetError(
            f"budget '{whole}': '{part}' is not a limit; write 20M-macs, 1.5M-params or 5ms, joined by commas{hint}"
        )
    return unit, count(amount)


class RoundDepth(StrEnum):
    """How a scaled number of repeats becomes an integer."""

    UP = "up"  # EfficientNet
    NEAREST = "nearest"  # TinyNet; ties to even, as its Python code rounds


@dataclass(frozen=True, slots=True)
class Rounding:
    """How scaled depths, widths and resolutions become integers; it differs by paper and is never implied.

    The default is EfficientNet's. Widths go to the nearest multiple of `width_to`, halves up, and up one more step
    where that would lose over a tenth:

        y = max(q, q * floor((x + q/2) / q));  y += q  if y < 0.9 x

    Repeats are rounded up, resolution to the nearest pixel (TinyNet: down). `keep_stem` leaves the stem's width alone,
    `keep_head` never narrows the head's convolution, and `least_head` is the smallest width it may take.
    """

    width_to: int = 8
    depth: RoundDepth = RoundDepth.UP
    resolution_to: int = 1
    least_resolution: int = 8
    resolution_down: bool = False
    keep_stem: bool = False
    keep_head: bool = False
    least_head: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, "rounding")
        for name in ("width_to", "resolution_to", "least_resolution"):
            at_least(f"rounding.{name}", getattr(self, name), 1)
        at_least("rounding.least_head", self.least_head, 0)

    def width(self, channels: float) -> int:
        """Channels, scaled already, as a multiple of `width_to`."""
        step = self.width_to
        rounded = max(step, int(channels + step / 2) // step * step)
        return rounded + step if rounded < 0.9 * channels else rounded

    def repeats(self, blocks: float) -> int:
        """Repeats, scaled already, as an integer of at least one."""
        # A float product such as 10 * 1.1 ends a hair above the integer it means; a bare ceil would add a block.
        whole = math.ceil(blocks - 1e-9) if self.depth is RoundDepth.UP else round(blocks)
        return max(1, whole)

    def resolution(self, pixels: float) -> int:
        """Pixels, scaled already, as a multiple of `resolution_to`."""
        step = self.resolution_to
        # 224 * 0.75 must not fall below 168 by a float's last digit.
        whole = math.floor(pixels / step + (1e-9 if self.resolution_down else 0.5))
        return max(self.least_resolution, whole * step)
