"""The largest member of a rule's line that a budget admits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..arch import ArchSpec, plan
from ..errors import BudgetError
from ..units import Budget, Cost, human
from .rule import Rule, offspring

__all__ = ["Solution", "Took", "solve"]

_FORECASTS = 8  # usually two or three are enough


class Took(Protocol):
    """Milliseconds of one image, measured here or estimated for a device: `latency.Latency`, `speed.Prediction`."""

    @property
    def median_ms(self) -> float: ...

    @property
    def noisy(self) -> str | None: ...

    @property
    def estimated_for(self) -> str | None: ...

    @property
    def runtime(self) -> str: ...

    @property
    def within(self) -> tuple[float, float]: ...

    @property
    def told(self) -> str: ...

    def to_record(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Solution:
    """An answer to a budget: the spec, where it lies on the rule's line, what it costs and what it leaves unused."""

    spec: ArchSpec
    rule: Rule
    x: float
    cost: Cost
    budget: Budget
    latency: Took | None = None  # where the budget has milliseconds: what was measured or estimated
    filled_from: int | None = None  # the side that the rule gives, where a larger one filled the budget

    @property
    def slack(self) -> dict[str, float]:
        """For each limit the share left unused; rounding makes stairs, so it is rarely zero."""
        timed = {} if self.latency is None else {"ms": 1 - self.latency.median_ms / self.budget.ms}
        return self.budget.slack(self.cost) | timed

    @property
    def where(self) -> str:
        """The place on the rule's line in the paper's letters, and how far a filled spec has left it."""
        place = self.rule.describe(self.x)
        if self.filled_from is None:
            return place
        return f"{place}; filled from {self.filled_from} to {self.spec.input.resolution} px, off the rule's line"

    def __str__(self) -> str:
        slack = ", ".join(f"{share:.1%} under the {name} limit" for name, share in self.slack.items())
        return f"{self.where} -> {self.cost} ({slack})"


def solve(
    rule: Rule, base: ArchSpec, budget: Budget, cost: Callable[[ArchSpec], Cost], *, fill: bool = False
) -> Solution:
    """The largest member of `rule`'s line through `base` that `budget` admits.

    Counting an unseen member takes long and making it does not. So a forecast says between which two members the budget ends,
    these are counted, and what they cost corrects the forecast, until the lower is counted to fit and the next above it
    not to. A forecast is never believed: where eight did not settle it, the line is searched by counts alone. On a line
    whose cost falls nowhere that member is the largest that fits; where a staircase falls, it fits and the next above
    it does not.

    `fill` then takes the largest side at which that member still fits, which is no member of the line.

    Raises:
        BudgetError: even the smallest member is over the budget, and what that one needs is named; the line never reaches
            the budget, so that no member is the largest; or `fill` has no multiply-adds to fill.
    """
    if math.isfinite(budget.ms):
        raise BudgetError(
            f"budget '{budget}': milliseconds are measured, not counted; `solve_timed` fits to them, and `scale` calls it"
        )
    if fill and math.isinf(budget.macs):
        raise BudgetError(
            f"budget '{budget}' cannot be filled: a larger side needs no more parameters; add a limit such as 300M-macs"
        )
    low, high = _ends(_Line(rule, base, budget, cost))
    if low is None:
        raise BudgetError(_too_small(rule, base, budget, cost(rule(base, rule.least))))
    if high is None:
        raise BudgetError(_never_reached(rule, base, budget, cost(rule(base, rule.most))))
    shown = math.floor((low.x + 1e-5) * 1000) / 1000  # the line was searched no finer
    x = shown if shown >= rule.least and rule(base, shown) == low.spec else low.x
    spec = replace(low.spec, name=offspring(base, f"{rule.kind}{x:.5g}"))
    found = Solution(spec, rule, x, cost(spec), budget)
    return _filled(found, cost) if fill else found


@dataclass(frozen=True)
class _Member:
    x: float
    spec: ArchSpec


class _Line:
    """A rule's line against a budget: which of its members fit, by counting them or by a forecast from those counted."""

    def __init__(self, rule: Rule, base: ArchSpec, budget: Budget, cost: Callable[[ArchSpec], Cost]) -> None:
        self.rule, self.base, self.budget, self.cost = rule, base, budget, cost
        self._known: list[tuple[ArchSpec, float, float, Cost]] = []

    def member(self, x: float) -> _Member:
        try:
            return _Member(x, self.rule(self.base, x))
        except ValueError as error:
            raise BudgetError(f"{self.base.name} scaled by '{self.rule.kind}' towards {self.budget}: {error}") from None

    def counted(self, spec: ArchSpec) -> bool:
        """Whether it fits, which the forecast learns from."""
        cost = self.cost(spec)
        self._known.append((spec, *_work(spec), cost))
        return self.budget.admits(cost)

    def forecast(self, spec: ArchSpec) -> bool:
        """Whether it fits if it costs what the nearest counted member does, in proportion to their rough work."""
        macs, params = _work(spec)
        _, own_macs, own_params, cost = min(
            self._known, key=lambda known: (known[0] != spec, abs(math.log(macs / known[1])))
        )
        # In this order a counted member is forecast at exactly its count.
        by_macs, by_params = cost.macs * (macs / own_macs), cost.params * (params / own_params)
        return by_macs <= self.budget.macs and by_params <= self.budget.params

    def edge(
        self, fits: Callable[[ArchSpec], bool], start: _Member, share: float, fine: float = 1e-5
    ) -> tuple[_Member | None, _Member | None]:
        """The two members between which the budget ends, `fine` apart in x; None for one that lies beyond the line's end.

        Outwards from `start` by a share of what is left of the line, and twice as far each time, for its ends are networks
        of thousands of blocks; then by halving.
        """
        up = fits(start.spec)
        end = self.rule.most if up else self.rule.least
        found, over, step = start, False, abs(end - start.x) * share
        while not over:
            if found.x == end:
                return (found, None) if up else (None, found)
            before, x = found, found.x + step if up else found.x - step
            found = self.member(min(x, end) if up else max(x, end))
            over, step = found.spec != before.spec and fits(found.spec) != up, 2 * step
        low, high = (before, found) if up else (found, before)
        while high.x - low.x > fine * max(1.0, abs(high.x)):
            found = self.member((low.x + high.x) / 2)
            if found.spec == low.spec or (found.spec != high.spec and fits(found.spec)):
                low = found
            else:
                high = found
        return low, high


def _ends(line: _Line) -> tuple[_Member | None, _Member | None]:
    """The largest member that fits and the next above it, both counted; None for one that the line does not have."""
    rule = line.rule
    if rule.solves:
        # x is the share of the base's cost itself: what fills the budget in one step, where no other limit binds. To make
        # a member is to count many, so there is nothing to forecast.
        share = min(line.budget.macs / line.cost(line.base).macs, rule.most)
        start = line.member(max(share, rule.least))
        if rule.least <= share < rule.most and line.counted(start.spec):
            return start, start
        return line.edge(line.counted, start, 1 / 64)
    start = line.member(rule.neutral)
    line.counted(start.spec)
    low, high = line.edge(line.forecast, start, 1 / 64, fine=0.01)  # a first look
    start = low or high or start
    line.counted(start.spec)
    for _ in range(_FORECASTS):
        low, high = line.edge(line.forecast, start, 1 / 4096)
        if low is not None and not line.counted(low.spec):
            start = low
        elif high is not None and line.counted(high.spec):
            start = high
        else:
            return low, high
    return line.edge(line.counted, start, 1 / 4096)


def _filled(found: Solution, cost: Callable[[ArchSpec], Cost]) -> Solution:
    """The same member at the largest side that fits; `found` itself where that is its own."""
    before = side = found.spec.input.resolution
    neck = found.spec.neck
    grid = 1 if neck is None else neck.coarsest
    step, growing = 1, True
    while step >= 1:
        if found.budget.admits(cost(found.spec.with_resolution(side + step * grid))):
            side += step * grid
        else:
            growing = False
        step = 2 * step if growing else step // 2
    if side == before:
        return found
    spec = replace(found.spec.with_resolution(side), name=offspring(found.spec, f"{side}px"))
    return replace(found, spec=spec, cost=cost(spec), filled_from=before)


def _work(spec: ArchSpec) -> tuple[float, float]:
    """What multiply-adds and parameters are roughly in proportion to, as if every unit were one 1x1 convolution.

    It knows the stairs of a line, depths, widths and sides, and nothing of what is in a unit.
    """
    macs = params = 0
    for node in plan(spec):
        own = sum(shape.channels for shape in node.ins) * node.c_out
        params += own
        macs += own * math.prod(node.outs[0].sides) * node.times  # a vector is of one position
    return macs, params


def _too_small(rule: Rule, base: ArchSpec, budget: Budget, smallest: Cost) -> str:
    # Each limit that binds, raised to what the smallest member needs, and a little for the rounding of what is shown.
    needs = [
        f"{human(math.ceil(used * 1.005))}-{name}"
        for name, used, limit in (("macs", smallest.macs, budget.macs), ("params", smallest.params, budget.params))
        if used > limit
    ]
    return (
        f"no member of {base.name} scaled by '{rule.kind}' fits {budget}: the smallest ({rule.describe(rule.least)}) "
        f"needs {smallest}. The nearest budget that can be met is {','.join(needs)}"
    )


def _never_reached(rule: Rule, base: ArchSpec, budget: Budget, largest: Cost) -> str:
    shrinks = rule.most == rule.neutral
    return (
        f"{base.name} scaled by '{rule.kind}' never reaches {budget}: even {rule.describe(rule.most)} needs only {largest}. "
        + ("This rule only shrinks; `compound` grows" if shrinks else "Use another rule or another limit")
    )
