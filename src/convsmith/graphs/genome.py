"""A layer as a list of genes: what a search draws, mutates and writes down.

Nodes 0 to 3 are the input x, zero, and two vectors with one number a channel that are trained: v0, which starts at 0, and v1, which
starts at 1. Gene i is node 4 + i and reads nodes before it; the last one is the layer's core c(x), after which

    y = gamma c(x) + beta,

a number each a channel. Genes that the last does not lead back to are inactive: later mutations may switch them on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from ..tagged import LATER
from .expression import LEAVES, SPACE, Expression, Op, Over
from .simplify import simplified

__all__ = ["FIRST", "MOST", "Gene", "NormGraph"]

FIRST = len(LEAVES)  # the number of the first gene
MOST = 16  # genes: a text doubles with every node that is used twice


@dataclass(frozen=True, slots=True)
class Gene:
    """A primitive of the nodes numbered `a` and, where it takes two, `b`; a moment is taken `over` an index set."""

    op: Op
    a: int
    b: int | None = field(default=None, metadata=LATER)
    over: Over | None = field(default=None, metadata=LATER)


@dataclass(frozen=True)
class NormGraph:
    """A normalisation-activation layer as a graph of primitives (Liu et al., 2020).

    Two graphs are equal where their genes are; they are the same layer where their `key` is.

    >>> silu = NormGraph((Gene(Op.SIGMOID, 0), Gene(Op.MUL, 0, 4)))
    >>> silu.text
    'mul(sigmoid(x),x)'

    Raises:
        ValueError: no genes or too many, one that reads itself or a later one, a wrong number of inputs, an index set where
            there is no moment or none where there is one.
    """

    genes: tuple[Gene, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.genes) <= MOST:
            raise ValueError(f"a graph has 1 to {MOST} genes; got {len(self.genes)}")
        for number, gene in enumerate(self.genes, FIRST):
            if problem := _problem(number, gene):
                raise ValueError(f"node {number} ({gene.op}) {problem}")

    @cached_property
    def expression(self) -> Expression:
        """What it computes before gamma and beta, simplified."""
        found: dict[int, Expression] = dict(enumerate(_LEAVES))
        active = self.active
        for number in sorted(active):
            gene = self.genes[number - FIRST]
            args = (found[gene.a],) if gene.b is None else (found[gene.a], found[gene.b])
            found[number] = simplified(gene.op, args, gene.over)
        return found[FIRST + len(self.genes) - 1]

    @cached_property
    def active(self) -> frozenset[int]:
        """The numbers of the genes that the last leads back to."""
        met: set[int] = set()
        rest = [FIRST + len(self.genes) - 1]
        while rest:
            number = rest.pop()
            if number >= FIRST and number not in met:
                met.add(number)
                gene = self.genes[number - FIRST]
                rest += [gene.a] if gene.b is None else [gene.a, gene.b]
        return frozenset(met)

    @property
    def text(self) -> str:
        """The layer's identity: its simplified active graph, as `div(mul(sigmoid(x),x),std_group(x))`."""
        return self.expression.text

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits of the text's SHA-256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @cached_property
    def simplified(self) -> NormGraph:
        """The same layer with its simplified active genes alone, in an order that the text decides."""
        return NormGraph.of(self.expression)

    @property
    def complexity(self) -> int:
        """How many distinct primitives the simplified graph has."""
        return sum(node.op is not None for node in self.expression.nodes())

    @property
    def batch(self) -> bool:
        """Whether evaluation needs statistics that training gathered."""
        return any(node.running for node in self.expression.nodes())

    @property
    def dead(self) -> str:
        """Why no network could learn with it, from the graph alone: "no x" in it, or "no map", as x enters by moments only;
        "" where neither is so."""
        if not self.expression.contains:
            return "no x"
        return "" if self.expression.support & SPACE else "no map"

    @staticmethod
    def of(expression: Expression) -> NormGraph:
        """The graph of an expression, a gene for each of its nodes."""
        numbers = {name: number for number, name in enumerate(LEAVES)}
        genes: list[Gene] = []
        for node in expression.nodes():
            if node.op is not None:
                a, b = (*(numbers[arg.text] for arg in node.args), None)[:2]
                assert a is not None
                numbers[node.text] = FIRST + len(genes)
                genes.append(Gene(node.op, a, b, node.over))
        if not genes:  # a leaf; a sum with 0 is the node that puts it out
            genes.append(Gene(Op.ADD, numbers[expression.text], numbers["0"]))
        return NormGraph(tuple(genes))


_LEAVES = tuple(Expression.leaf(name) for name in LEAVES)


def _problem(number: int, gene: Gene) -> str:
    """What is wrong with the gene of that number; "" where nothing is."""
    if (gene.b is not None) != gene.op.binary:
        return f"takes {1 + gene.op.binary} input{'s' * gene.op.binary}"
    if (gene.over is not None) != gene.op.moment:
        return "needs an index set" if gene.op.moment else "is no moment, which alone is taken over an index set"
    for read in (gene.a, gene.b):
        if read is not None and not 0 <= read < number:
            return f"reads nodes 0 to {number - 1}; got {read}"
    return ""
