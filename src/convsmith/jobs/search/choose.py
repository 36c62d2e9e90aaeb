"""From scores to what a search hands over: a child for each budget, and the front of all that were scored."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ...errors import UserError
from ...runs import Front, FrontRow, Ranked
from ...scores import Unit
from ...supernet import Counting, Genes, Space, best_within, coarse_to_fine, nondominated, rewarded
from ...units import Budget
from .options import SearchOptions, Selector
from .predicted import Timed
from .ranking import Halves, as_good_and_cheaper, order_within
from .scores import Scorer

__all__ = ["choose"]

# How often the whole choice is made again, going by what a missed budget's measurements said of its predictions.
AGAIN = 8


def choose(
    space: Space,
    scorer: Scorer,
    budgets: Mapping[str, Budget],
    timed: Timed | None,
    how: SearchOptions,
    seed: int,
    *,
    halves: Halves | None = None,
) -> Front:
    """A winner for each budget, the front and all that was tried. A cost is predicted milliseconds where every budget limits
    them, else multiply-adds.

    The search goes by predicted milliseconds; the best of what it finds are measured, the best first, until one is within
    the limit twice. Where none is, the choice is made again: children measured go by their measurements, and predictions
    are scaled by what they were off by. At last the best that was ever measured within the limit is taken, if only the
    smallest child. Depends on the scores, the predictions, the measurements and the seed alone, so a choice that was stopped
    is made again with what was scored and measured, and is the same.

    With `halves` it is looked whether scores order children of a winner's cost at all (`order_within`); where they do not, the
    cheapest of those that score as well is taken for it.

    Raises:
        UserError: a budget that nothing is within, counted or measured.
    """
    counting, won = Counting(space), dict[str, FrontRow]()
    least = tuple(axis.values[0] for axis in space.axes)
    seen: dict[Genes, float] = {}  # what this choice has measured: `timed` may know more, of a choice that was stopped
    scale = dict.fromkeys(budgets, 1.0)

    def first_within(name: str, best: Iterable[tuple[Genes, float]]) -> None:
        """The first that measures within the budget twice wins it."""
        for genes, _ in best:
            ms = None
            if timed is not None and math.isfinite(limit := budgets[name].ms):
                ms = seen[genes] = max(seen.get(genes, 0.0), timed.measured(genes))
                if ms <= limit:
                    ms = seen[genes] = max(ms, timed.measured(genes, times=2))
                if ms > limit:
                    continue
            won[name] = replace(_row(genes, scorer, counting, ms), budget=name)
            return

    for _ in range(AGAIN):
        left = [name for name in budgets if name not in won]
        if not left:
            break
        admits = {name: _within(budgets[name], counting, timed, seen, scale[name]) for name in left}
        shares = {name: _share(budgets[name], counting, timed) for name in left}
        for name, best in _looked_for(space, scorer, admits, shares, how, random.Random(seed)).items():
            first_within(name, best)
            if name not in won and timed is not None and best:
                off = statistics.median(seen[genes] / timed(genes) for genes, _ in best)
                scale[name] = max(1.03 * scale[name], off)
    for name in [name for name in budgets if name not in won]:
        budget, (smallest,) = budgets[name], scorer([least])
        if timed is None or not math.isfinite(smallest):
            raise UserError(f"no child within {name} gives finite outputs: the supernet's weights are damaged")
        fit = {
            genes: scorer.known[genes]
            for genes, ms in seen.items()
            if budget.admits(counting(genes)) and ms <= budget.ms
        }
        first_within(name, [*best_within(fit, lambda genes: True), (least, smallest)])
        if name not in won:
            raise UserError(
                f"no child that was found measures within {name} here; the smallest takes {seen[least]:.3g} ms. What was "
                "trained and scored is kept: on a quieter machine remove the search's timed.json and `resume` it"
            )
    in_ms = timed is not None and all(math.isfinite(budget.ms) for budget in budgets.values())
    price: Callable[[Genes], float] = timed if timed is not None and in_ms else lambda genes: counting(genes).macs
    ranked = []
    for at, (name, budget) in enumerate(budgets.items()):
        chosen = won[name]
        found = None if halves is None else order_within(space, halves, chosen.macs, random.Random(f"{seed} {at}"))
        if found is None:
            continue
        if not found.sure:
            own = _within(budget, counting, timed, seen, scale[name])
            first_within(name, as_good_and_cheaper(space, scorer, own, price, chosen.genes))
        tau, low, high = (one if math.isfinite(one) else None for one in (found.tau, found.low, found.high))
        ranked.append(Ranked(name, tau, low, high, found.n, cheaper=won[name] is not chosen))
    scores = sorted((genes, worth) for genes, worth in scorer.known.items() if math.isfinite(worth))
    return Front(
        winners=tuple(replace(won[name], cost=price(won[name].genes)) for name in budgets),
        front=tuple(
            _row(genes, scorer, counting, None if timed is None else timed(genes)) for genes in _front(scores, price)
        ),
        axis="ms" if in_ms else "macs",
        tried=tuple((price(genes), scorer.metric(genes).value) for genes, _ in scores),
        scored=len(scores),
        failed=len(scorer.known) - len(scores),
        n=scorer.n,
        ranked=tuple(ranked),
    )


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
    least = tuple(axis.values[0] for axis in space.axes)
    match how.select:
        case Selector.COARSE_TO_FINE:
            found = coarse_to_fine(space, scorer, admits, rng, rounds=rounds, per_round=per_round)
            return {name: selected.best for name, selected in found.items()}
        case Selector.REWARD:
            scorer([least])
            if (score := scorer.metric(least)).unit is not Unit.SHARE:
                raise UserError(
                    f"--select reward multiplies shares, and {score.words} is none: choose another --select"
                )
            for share in shares.values():
                rewarded(space, scorer, share, rng, rounds=rounds, per_round=per_round)
        case Selector.NSGA2:
            # One front serves all: its second aim is the share of the first budget, which orders children as its cost does.
            share = next(iter(shares.values()))
            nondominated(space, scorer, share, rng, size=per_round, rounds=rounds * len(shares))
    scorer([least])  # within every budget that anything is within
    return {name: best_within(scorer.known, own) for name, own in admits.items()}


def _share(budget: Budget, counting: Counting, timed: Timed | None) -> Callable[[Genes], float]:
    """A child's cost as a share of the limit that binds it most."""

    def share(genes: Genes) -> float:
        needs = counting(genes)
        ms = 0.0 if timed is None or math.isinf(budget.ms) else timed(genes) / budget.ms
        return max(needs.macs / budget.macs, needs.params / budget.params, ms)

    return share


def _within(
    budget: Budget, counting: Counting, timed: Timed | None, seen: Mapping[Genes, float], scale: float
) -> Callable[[Genes], bool]:
    """By measurements where `seen` has them, else by predictions x `scale`."""
    least = tuple(axis.values[0] for axis in counting.space.axes)

    def admits(genes: Genes) -> bool:
        if not budget.admits(counting(genes)):
            return False
        if timed is None or math.isinf(budget.ms):
            return True
        if genes == least:  # nothing but the end rules it out: then nothing was fast enough
            return True
        return (seen[genes] if genes in seen else timed(genes) * scale) <= budget.ms

    return admits


def _front(scores: list[tuple[Genes, float]], price: Callable[[Genes], float]) -> list[Genes]:
    """Those that are worth more than everything as cheap, the cheapest first."""
    kept: list[tuple[Genes, float]] = []
    for genes, worth in sorted(scores, key=lambda one: (price(one[0]), -one[1], one[0])):
        if not kept or worth > kept[-1][1]:
            kept.append((genes, worth))
    return [genes for genes, _ in kept]


def _row(genes: Genes, scorer: Scorer, counting: Counting, ms: float | None) -> FrontRow:
    needs = counting(genes)
    return FrontRow(genes=genes, score=scorer.metric(genes), macs=needs.macs, params=needs.params, ms=ms)
