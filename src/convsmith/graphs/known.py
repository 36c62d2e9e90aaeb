"""Layers that people know, as graphs: where a search may begin, and what it is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .draw import GENES
from .expression import Op, Over
from .genome import FIRST, Gene, NormGraph

__all__ = ["KNOWN"]

_X, _0, _V0, _V1 = range(FIRST)


def _graph(*genes: Gene) -> NormGraph:
    """A graph of as many genes as a search's, the last of which these are; they count their nodes from the first of them."""
    shift = GENES - len(genes)

    def moved(node: int | None) -> int | None:
        return node if node is None or node < FIRST else node + shift

    def placed(gene: Gene) -> Gene:
        a = moved(gene.a)
        assert a is not None
        return Gene(gene.op, a, moved(gene.b), gene.over)

    return NormGraph((*(Gene(Op.ADD, _X, _X) for _ in range(shift)), *(placed(gene) for gene in genes)))


def _standardised(over: Over) -> tuple[Gene, ...]:
    """(x - mean) / std, at node 8."""
    return (
        Gene(Op.MEAN, _X, over=over),
        Gene(Op.NEG, 4),
        Gene(Op.ADD, _X, 5),
        Gene(Op.STD, _X, over=over),
        Gene(Op.DIV, 6, 7),
    )


def _affine(over: Over) -> tuple[Gene, ...]:
    """(x - mean) / std * v1 + v0, at node 10."""
    return (*_standardised(over), Gene(Op.MUL, 8, _V1), Gene(Op.ADD, 9, _V0))


def _relu(over: Over) -> NormGraph:
    return _graph(*_affine(over), Gene(Op.MAX, 10, _0))


def _silu(over: Over) -> NormGraph:
    return _graph(*_affine(over), Gene(Op.SIGMOID, 10), Gene(Op.MUL, 10, 11))


def _gated(second: Op) -> NormGraph:
    """EvoNorm-S1 and S2."""
    return _graph(Gene(Op.SIGMOID, _X), Gene(Op.MUL, _X, 4), Gene(second, _X, over=Over.GROUP), Gene(Op.DIV, 5, 6))


def _bounded(*slope: Gene, second: Op = Op.RMS) -> NormGraph:
    """EvoNorm-B: x / max(std over the batch, node 7)."""
    batch, own = Gene(Op.STD, _X, over=Over.BATCH), Gene(second, _X, over=Over.INSTANCE)
    return _graph(batch, own, *slope, Gene(Op.MAX, 4, 7), Gene(Op.DIV, _X, 8))


KNOWN: Mapping[str, NormGraph] = MappingProxyType(
    {
        "bn-relu": _relu(Over.BATCH),
        "bn-relu-outside": _graph(*_standardised(Over.BATCH), Gene(Op.MAX, 8, _V0)),
        "bn-silu": _silu(Over.BATCH),
        "gn-relu": _relu(Over.GROUP),
        "gn-silu": _silu(Over.GROUP),
        "in-relu": _relu(Over.INSTANCE),
        "ln-relu": _relu(Over.LAYER),
        "evonorm-b0": _bounded(Gene(Op.MUL, _V1, _X), Gene(Op.ADD, 6, 5), second=Op.STD),
        "evonorm-b1": _bounded(Gene(Op.MUL, _X, 5), Gene(Op.ADD, 6, 5)),
        "evonorm-b2": _bounded(Gene(Op.NEG, _X), Gene(Op.ADD, 5, 6)),
        "evonorm-s0": _graph(
            Gene(Op.MUL, _V1, _X),
            Gene(Op.SIGMOID, 4),
            Gene(Op.MUL, _X, 5),
            Gene(Op.STD, _X, over=Over.GROUP),
            Gene(Op.DIV, 6, 7),
        ),
        "evonorm-s1": _gated(Op.STD),
        "evonorm-s2": _gated(Op.RMS),
        "frn": _graph(Gene(Op.RMS, _X, over=Over.INSTANCE), Gene(Op.DIV, _X, 4), Gene(Op.MAX, 5, _V0)),
        "relu": _graph(Gene(Op.MAX, _X, _0)),
        "silu": _graph(Gene(Op.SIGMOID, _X), Gene(Op.MUL, _X, 4)),
        "tanh": _graph(Gene(Op.TANH, _X)),
        "identity": _graph(Gene(Op.ADD, _X, _0)),
    }
)
