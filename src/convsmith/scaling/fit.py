"""The largest member of a rule's line that a budget admits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..arch import ArchSpec
from ..errors import BudgetError
from ..latency import Latency
from ..units import Budget, Cost, human
from .rule import Rule

__all__ = ["Fit", "fit"]


@dataclass(frozen=True)
class Fit:
    """An answer to a budget: the spec, where it lies on the rule's line, what it costs and what it leaves unused."""

    spec: ArchSpec
    rule: Rule
    x: float
    cost: Cost
    budget: Budget
    latency: Latency | None = None  # where the budget has milliseconds: what was measured

    @property
    def slack(self) -> dict[str, float]:
        """For each limit the share left unused; rounding makes stairs, so it is rarely zero."""
        timed = {} if self.latency is None else {"ms": 1 - self.latency.median_ms / self.budget.ms}
        return self.budget.slack(self.cost) | timed

    def __str__(self) -> str:
        slack = ", ".join(f"{share:.1%} under the {name} limit" for name, share in self.slack.items())
        return f"{self.rule.describe(self.x)} -> {self.cost} ({slack})"


def fit(rule: Rule, base: ArchSpec, budget: Budget, cost: Callable[[ArchSpec], Cost]) -> Fit:
    """The largest member of `rule`'s line through `base` that `budget` admits, by bisection on the rule's one number.

    Raises `BudgetError` where even the smallest member is over the budget, naming what that one needs, and where the
    line never reaches the budget, so that no member is the largest.
    """
    if math.isfinite(budget.ms):
        raise BudgetError(
            f"budget '{budget}': milliseconds are measured, not counted; `fit_timed` fits to them, and `scale` calls it"
        )
    low, high = _bracket(rule, base, budget, cost)
    while high - low > 1e-5 * max(1.0, abs(high)):
        middle = (low + high) / 2
        if budget.admits(cost(rule(base, middle))):
            low = middle
        else:
            high = middle
    spec = rule(base, low)
    shown = math.floor(low * 1000) / 1000
    x = shown if rule(base, shown) == spec else low
    spec = replace(spec, name=f"{base.name}@{rule.kind}={x:.5g}")
    return Fit(spec, rule, x, cost(spec), budget)


def _bracket(rule: Rule, base: ArchSpec, budget: Budget, cost: Callable[[ArchSpec], Cost]) -> tuple[float, float]:
    """A number whose member `budget` admits and one above it whose member it does not, found outwards from the base:
    the ends of a line are networks of thousands of blocks."""

    def admits(x: float) -> bool:
        return budget.admits(cost(rule(base, x)))

    start = rule.neutral
    if rule.solves:
        # x is the share of the base's cost itself: what fills the budget in one step, where no other limit binds.
        start = min(budget.macs / cost(base).macs, rule.most)
        if rule.least <= start < rule.most and admits(start):
            return start, start
        start = max(start, rule.least)
    if admits(start):
        end, side = rule.most, "up"
    else:
        end, side = rule.least, "down"
    x, step = start, (end - start) / 64
    while x != end:
        before, x, step = x, x + step, 2 * step
        x = min(x, end) if side == "up" else max(x, end)
        if admits(x) != (side == "up"):
            return (before, x) if side == "up" else (x, before)
    member = cost(rule(base, end))
    if side == "down":
        raise BudgetError(_too_small(rule, base, budget, member))
    shrinks = rule.most == rule.neutral
    raise BudgetError(
        f"{base.name} scaled by '{rule.kind}' never reaches {budget}: even {rule.describe(end)} needs only {member}. "
        + ("This rule only shrinks; `compound` grows" if shrinks else "Use another rule or another limit")
    )


def _too_small(rule: Rule, base: ArchSpec, budget: Budget, smallest: Cost) -> str:
    # Each limit that binds, raised to what the smallest member needs, and a little for the rounding of the print.
    needs = [
        f"{human(math.ceil(used * 1.005))}-{name}"
        for name, used, limit in (("macs", smallest.macs, budget.macs), ("params", smallest.params, budget.params))
        if used > limit
    ]
    return (
        f"no member of {base.name} scaled by '{rule.kind}' fits {budget}: the smallest ({rule.describe(rule.least)}) "
        f"needs {smallest}. The nearest budget that can be met is {','.join(needs)}"
    )
