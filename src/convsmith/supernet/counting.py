"""The cost of children by looking it up: what lets a search ask for it many thousand times a second."""

from __future__ import annotations

from ..arch import plan
from ..costs import node_costs
from ..units import Cost
from .space import Genes, Space

__all__ = ["Counting"]

# Resolution and stem's width, then width, depth, kernel and expansion of each stage, then the head's width.
_FIRST, _PER_STAGE = 2, 4
_BEHIND = ("neck", "head")


class Counting:
    """A function from genes to the child's cost: `costs.cost` of its spec, exactly, once its parts have been seen.

    Strides are the space's, so what a stage costs depends on the resolution, the width that enters and its own four genes;
    the whole is the sum of stem, stages and what follows: a head that reads the last map, or a neck and a head that may
    read any. Genes are taken to be the space's; `Space.spec` is what checks them.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        behind = [node for node in plan(space.biggest()) if node.path.partition(".")[0] in _BEHIND]
        self._chain = not any(node.reads for node in behind)
        self._known: dict[tuple[float, ...], tuple[int, int, int]] = {}

    def __call__(self, genes: Genes) -> Cost:
        known, keys = self._known, self._keys(genes)
        try:
            parts = [known[key] for key in keys]
        except KeyError:
            self._learn(genes, keys)
            parts = [known[key] for key in keys]
        macs, params, activations = (sum(numbers) for numbers in zip(*parts, strict=True))
        return Cost(macs, params, activations)

    def _keys(self, genes: Genes) -> list[tuple[float, ...]]:
        """One key for the stem, each stage and what follows; its first number says which."""
        side, width = genes[0], genes[1]
        widths = [width]
        keys: list[tuple[float, ...]] = [(-1, side, width)]
        for stage in range((len(genes) - _FIRST) // _PER_STAGE):
            at = _FIRST + _PER_STAGE * stage
            keys.append((stage, side, width, *genes[at : at + _PER_STAGE]))
            width = genes[at]
            widths.append(width)
        keys.append((-2, side, *(widths[-1:] if self._chain else widths), genes[-1]))
        return keys

    def _learn(self, genes: Genes, keys: list[tuple[float, ...]]) -> None:
        spec = self.space.spec(genes)
        sums = [Cost()] * len(keys)
        for node, own in zip(plan(spec), node_costs(spec), strict=True):
            name, _, rest = node.path.partition(".")
            at = len(keys) - 1 if name in _BEHIND else 1 + int(rest.partition(".")[0]) if rest else 0
            sums[at] = sums[at] + own
        for key, one in zip(keys, sums, strict=True):
            self._known[key] = (one.macs, one.params, one.activations)
