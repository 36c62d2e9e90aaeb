"""Random graphs and mutants."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .expression import Op, Over
from .genome import FIRST, Gene, NormGraph

__all__ = ["B_SPACE", "GENES", "S_SPACE", "drawn", "mutated"]

B_SPACE: tuple[Over, ...] = tuple(Over)
S_SPACE: tuple[Over, ...] = tuple(over for over in Over if over is not Over.BATCH)  # images know nothing of one another
GENES = 10
_OPS = tuple(Op)


def drawn(rng: random.Random, *, overs: Sequence[Over] = B_SPACE, genes: int = GENES) -> NormGraph:
    """A random graph: each gene's primitive uniform over all, its inputs over all nodes before it, its index set over `overs`."""
    return NormGraph(tuple(_gene(FIRST + index, rng, overs) for index in range(genes)))


def mutated(graph: NormGraph, rng: random.Random, *, overs: Sequence[Over] = B_SPACE) -> NormGraph:
    """The graph with one gene, of all alike, redrawn whole. Often nothing changes but a gene that is inactive."""
    at = rng.randrange(len(graph.genes))
    return NormGraph((*graph.genes[:at], _gene(FIRST + at, rng, overs), *graph.genes[at + 1 :]))


def _gene(number: int, rng: random.Random, overs: Sequence[Over]) -> Gene:
    op = rng.choice(_OPS)
    a = rng.randrange(number)
    return Gene(op, a, rng.randrange(number) if op.binary else None, rng.choice(overs) if op.moment else None)
