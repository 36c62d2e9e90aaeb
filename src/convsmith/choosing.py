"""From scores to what a search hands over: a child for each budget, and the front of all that were scored."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

from .errors import UserError
from .scoring import Scorer
from .search_options import SearchOptions, Selector
from .supernet import Counting, Genes, Space, best_within, coarse_to_fine, nondominated, rewarded
from .timing import Timed
from .units import Budget

__all__ = ["choose"]

# How often the whole choice is made again, asking a missed budget's predictions for 3 % less each time.
TIGHTER = 8


def choose(
    space: Space,
    scorer: Scorer,
    budgets: Mapping[str, Budget],
    timed: Timed | None,
    how: SearchOptions,
    seed: int,
) -> dict[str, Any]:
    """`front.json`: `winners`, one a budget; `front`, the cheapest first; `tried`, (MACs, top-1) of every child scored.

    The search goes by predicted milliseconds; the best of what it finds are measured, the best first, until one is within
    the limit. Where none is, the choice is made again with stricter predictions. Depends on the scores, the predictions and
    the seed alone, so a choice that was stopped is made again with what was scored and measured, and is the same.

    Raises:
        UserError: a budget that nothing is within, counted or measured.
    """
    counting, won = Counting(space), dict[str, dict[str, Any]]()
    for attempt in range(TIGHTER):
        admits = {name: _within(budget, counting, timed, 0.97**attempt) for name, budget in budgets.items()}
        left = {name: admits[name] for name in budgets if name not in won}
        shares = {name: _share(budgets[name], counting, timed) for name in left}
        found = _looked_for(space, scorer, left, shares, how, random.Random(seed))
        for name, best in found.items():
            for genes, top1 in best:
                ms = timed.measured(genes) if timed is not None and math.isfinite(budgets[name].ms) else None
                if ms is None or ms <= budgets[name].ms:
                    won[name] = _row(genes, top1, counting, ms) | {"budget": name}
                    break
        if len(won) == len(budgets):
            break
    if missed := [name for name in budgets if name not in won]:
        assert timed is not None
        least = timed.measured(tuple(axis.values[0] for axis in space.axes))
        raise UserError(
            f"no child that was found measures within {', '.join(missed)} here; the smallest takes {least:.3g} ms. What was "
            "trained and scored is kept: begin again with a wider budget and the same --seed, or `resume`"
        )
    scores = [(genes, top1) for genes, top1 in scorer.known.items() if math.isfinite(top1)]
    return {
        "winners": [won[name] for name in budgets],
        "front": [
            _row(genes, top1, counting, None if timed is None else timed(genes))
            for genes, top1 in _front(scores, counting)
        ],
        "tried": [(counting(genes).macs, top1) for genes, top1 in scores],
        "scored": len(scores),
        "failed": len(scorer.known) - len(scores),
        "n": scorer.n,
    }


def _looked_for(
    space: Space,
    scorer: Scorer,
    admits: Mapping[str, Callable[[Genes], bool]],
    shares: Mapping[str, Callable[[Genes], float]],
    how: SearchOptions,
    rng: random.Random,
) -> dict[str, tuple[tuple[Genes, float], ...]]:
    """For each budget the best few children within it; every selector scores about as many."""
    rounds, per_round = how.rounds, how.per_round
    match how.select:
        case Selector.COARSE_TO_FINE:
            found = coarse_to_fine(space, scorer, admits, rng, rounds=rounds, per_round=per_round)
            return {name: selected.best for name, selected in found.items()}
        case Selector.REWARD:
            for share in shares.values():
                rewarded(space, scorer, share, rng, rounds=rounds, per_round=per_round)
        case Selector.NSGA2:
            # One front serves all: its second aim is the share of the first budget, which orders children as its cost does.
            share = next(iter(shares.values()))
            nondominated(space, scorer, share, rng, size=per_round, rounds=rounds * len(shares))
    least = tuple(axis.values[0] for axis in space.axes)
    scorer([least])  # within every budget that anything is within
    return {name: best_within(scorer.known, own) for name, own in admits.items()}


def _share(budget: Budget, counting: Counting, timed: Timed | None) -> Callable[[Genes], float]:
    """A child's cost as a share of the limit that binds it most."""

    def share(genes: Genes) -> float:
        needs = counting(genes)
        ms = 0.0 if timed is None or math.isinf(budget.ms) else timed(genes) / budget.ms
        return max(needs.macs / budget.macs, needs.params / budget.params, ms)

    return share


def _within(budget: Budget, counting: Counting, timed: Timed | None, strict: float) -> Callable[[Genes], bool]:
    least = tuple(axis.values[0] for axis in counting.space.axes)

    def admits(genes: Genes) -> bool:
        if not budget.admits(counting(genes)):
            return False
        # No prediction rules out the smallest child: it is for the measurement to say that nothing is fast enough.
        return timed is None or math.isinf(budget.ms) or genes == least or timed(genes) <= budget.ms * strict

    return admits


def _front(scores: list[tuple[Genes, float]], counting: Counting) -> list[tuple[Genes, float]]:
    """Those that are more accurate than everything with as few multiply-adds, the cheapest first."""
    kept: list[tuple[Genes, float]] = []
    for genes, top1 in sorted(scores, key=lambda one: (counting(one[0]).macs, -one[1])):
        if not kept or top1 > kept[-1][1]:
            kept.append((genes, top1))
    return kept


def _row(genes: Genes, top1: float, counting: Counting, ms: float | None) -> dict[str, Any]:
    needs = counting(genes)
    return {"genes": genes, "top1": top1, "macs": needs.macs, "params": needs.params, "ms": ms}
