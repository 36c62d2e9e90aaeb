"""The largest member of a rule's line that a budget of milliseconds admits: found by measuring, never by counting alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from ..arch import ArchSpec
from ..errors import BudgetError
from ..units import Budget, Cost
from .rule import Rule
from .solve import Solution, Took, solve

__all__ = ["solve_timed"]

_ENOUGH = 0.04  # a share of the limit left unused that is not worth another member: a session's own spread
_TRIES = 12
_NEAR = 1.3  # times the limit: what a busy machine may make of a member that meets it


def solve_timed(
    rule: Rule,
    base: ArchSpec,
    budget: Budget,
    cost: Callable[[ArchSpec], Cost],
    time: Callable[[ArchSpec], Took],
    expect: Callable[[ArchSpec], float] | None = None,
) -> Solution:
    """The member of `rule`'s line through `base` that `budget` admits in every limit, its milliseconds by `time`.

    Time along a line is nearly a power of the multiply-adds, so each measurement says where to look next, between the
    slowest member known to meet the limit and the fastest known to miss it. No single measurement near the limit decides:
    what is returned met it by its median twice, of two measurements or of three, and its latency is the slower of these two.
    `time` may also be what a calibration estimates for a device that is not here. `expect`, milliseconds by a calibration, only
    says where to begin. It ends at a slack of 4 %, at two members with none between them, or after twelve.

    Raises `BudgetError` where the smallest member takes longer, with what it takes, and as `solve` does for the other limits.
    """
    line = _Line(rule, base, budget, cost)
    found = _Search(budget.ms)
    start = float(cost(base).macs)
    for macs in found.guesses(start if expect is None else line.expected(start, budget.ms, expect)):
        member = line.at(macs)
        if member.cost.macs in found.seen:
            if found.met is None or found.nothing_up_to(macs):
                break
            continue
        found.add(member, _judged(member, budget.ms, time))
        if found.met is not None and found.met.slack["ms"] <= _ENOUGH:
            break
    if found.met is None:
        took = min(found.missed.values())
        raise BudgetError(
            f"no member of {base.name} scaled by '{rule.kind}' meets {budget}: the smallest that was tried takes {took:.3g} ms. "
            f"The nearest budget that can be met is about {took * 1.1:.2g}ms"
        )
    return found.met


def _judged(member: Solution, limit: float, time: Callable[[ArchSpec], Took]) -> Took:
    """The middle one of a member's measurements, the slower of two: one where it is far over the limit, two else, three
    where these disagree.

    A busy machine makes any single one too slow, and a member once taken for too slow would hide all above it.
    """
    taken = [time(member.spec)]
    if taken[0].median_ms <= limit * _NEAR:
        taken.append(time(member.spec))
    if len({one.median_ms <= limit for one in taken}) == 2:
        taken.append(time(member.spec))
    return sorted(taken, key=lambda one: one.median_ms)[len(taken) // 2]


@dataclass(frozen=True)
class _Line:
    rule: Rule
    base: ArchSpec
    budget: Budget
    cost: Callable[[ArchSpec], Cost]

    def at(self, macs: float) -> Solution:
        """The largest member within `macs` and the countable limits; the ends of the line where `macs` lies beyond."""
        smallest, largest = (self.rule(self.base, x) for x in (self.rule.least, self.rule.most))
        least, most = self.cost(smallest), self.cost(largest)
        # One above the largest's would have no largest member.
        allowed = min(max(macs, least.macs), most.macs * (1 - 1e-9), self.budget.macs)
        made = solve(self.rule, self.base, Budget(macs=max(allowed, 1.0), params=self.budget.params), self.cost)
        return replace(made, budget=self.budget)

    def expected(self, start: float, ms: float, expect: Callable[[ArchSpec], float]) -> float:
        """The multiply-adds of a member that `expect` gives `ms`: time and multiply-adds nearly go together, so three steps do."""
        macs = start
        for _ in range(3):
            member = self.at(macs)
            macs = member.cost.macs * ms / expect(member.spec)
        return macs


@dataclass
class _Search:
    limit: float
    met: Solution | None = None
    missed: dict[int, float] = field(default_factory=dict)  # MACs -> ms of what was too slow
    seen: dict[int, float] = field(default_factory=dict)
    empty: float = 0.0  # no member has more multiply-adds than the best and as many as this

    def add(self, member: Solution, took: Took) -> None:
        """Note what a member took."""
        self.seen[member.cost.macs] = took.median_ms
        if took.median_ms > self.limit:
            self.missed[member.cost.macs] = took.median_ms
        elif self.met is None or member.cost.macs > self.met.cost.macs:
            self.met = replace(member, latency=took)

    def nothing_up_to(self, macs: float) -> bool:
        """Note that the stairs have no step between the best and `macs`; whether there is hardly room for one above."""
        self.empty = max(self.empty, macs)
        return self._ceiling() < self.empty * 1.02

    def _ceiling(self) -> int | float:
        """The multiply-adds of the fastest member known to miss, above the best; none is infinity."""
        least = 0 if self.met is None else self.met.cost.macs
        return min((macs for macs in self.missed if macs > least), default=math.inf)

    def guesses(self, start: float) -> Iterator[float]:
        """Multiply-adds to try, each from all that was measured before."""
        yield start
        for _ in range(_TRIES - 1):
            yield math.exp(self._next())

    def _next(self) -> float:
        if self.met is None:
            macs, ms = min(self.missed.items())
            # Overheads keep small members from shrinking as their multiply-adds do: step down further than asked.
            return math.log(macs) + 1.3 * math.log(self.limit * 0.97 / ms)
        best, ceiling = self.met.cost.macs, self._ceiling()
        goal, took = math.log(self.limit * 0.985), math.log(self.seen[best])
        low = math.log(max(best, self.empty))
        if ceiling not in self.missed:
            return low + min(max(goal - took, math.log(1.02)), math.log(8.0))
        share = (goal - took) / max(math.log(self.missed[int(ceiling)]) - took, 1e-6)
        return low + min(max(share, 0.1), 0.9) * (math.log(ceiling) - low)
