"""Whether held-out scores order the children of one cost at all, and what to hand over where they do not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence

from ...evals.ranking import Agreement, agreement
from ...supernet import Counting, Genes, Space, within_band
from .scores import Scorer

__all__ = ["LOOKED_AT", "Halves", "as_good_and_cheaper", "order_within"]

# How far from a winner's multiply-adds, as a share of them, children count as of its cost; and by how many of them their order
# is looked at, if the space has a dozen.
BAND, LOOKED_AT, LEAST = 0.1, 16, 12

# The worths of children by each half of the held-out images.
Halves = Callable[[Sequence[Genes]], Sequence[tuple[float, float]]]


def order_within(space: Space, halves: Halves, macs: float, rng: random.Random) -> Agreement | None:
    """How far two halves of the held-out images agree on the order of drawn children within 10 % of `macs`; None where the space
    has no dozen there.

    Were their scores more than noise, the order by one half would be found again by the other.
    """
    band = within_band(space, macs, LOOKED_AT, rng, band=BAND)
    scores = [own for own in halves(band) if all(map(math.isfinite, own))]
    return agreement(*zip(*scores, strict=True)) if len(scores) >= LEAST else None


def as_good_and_cheaper(
    space: Space,
    scorer: Scorer,
    admits: Callable[[Genes], bool],
    price: Callable[[Genes], float],
    winner: Genes,
) -> Iterable[tuple[Genes, float]]:
    """Those that were scored within 10 % of the winner's multiply-adds and cost less, the cheapest first, whose score is within a
    standard error of the winner's (Breiman et al., 1984, of trees). None of a score that has no interval."""
    counting, best = Counting(space), scorer.metric(winner)
    if best.interval is None:
        return ()
    # An interval of 95 % reaches two standard errors.
    least, macs = best.value - (best.value - best.interval[0]) / 2, counting(winner).macs
    found = [
        (genes, worth)
        for genes, worth in scorer.known.items()
        if abs(counting(genes).macs / macs - 1) <= BAND
        and price(genes) < price(winner)
        and scorer.metric(genes).value >= least
        and admits(genes)
    ]
    return sorted(found, key=lambda one: (price(one[0]), one[0]))
