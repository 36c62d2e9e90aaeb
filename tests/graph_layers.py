"""Graph layers and what independent code found for them: what the tests of graphs and of their layers share."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convsmith.graphs import Gene, NormGraph, Op, Over, drawn
from convsmith.layers import GraphNorm2d

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "layer_search.json").read_text(encoding="utf-8"))
LAYERS: dict[str, dict[str, Any]] = GOLDEN["layers"]
# Where the golden numbers call a layer otherwise than `KNOWN`.
NAMES = {"bn_relu6nodes": "bn-relu-outside", "frn_tlu": "frn", "affine": "identity"} | {
    f"{series}{number}": f"evonorm-{series}{number}" for series in "bs" for number in range(3)
}
NESTED = NormGraph(
    (
        Gene(Op.MEAN, 0, over=Over.BATCH),
        Gene(Op.NEG, 4),
        Gene(Op.ADD, 0, 5),
        Gene(Op.MUL, 3, 0),
        Gene(Op.MEAN, 7, over=Over.BATCH),
        Gene(Op.MAX, 0, 8),
        Gene(Op.STD, 9, over=Over.BATCH),
        Gene(Op.DIV, 6, 10),
    )
)


def of_genome(genome: list[list[Any]]) -> NormGraph:
    """A graph as the golden numbers write it."""

    def gene(word: str, a: int, last: Any = None) -> Gene:
        op = Op(word)
        return Gene(op, a, last if op.binary else None, Over(last) if op.moment else None)

    return NormGraph(tuple(gene(*one) for one in genome))


def waves(count: int, *terms: tuple[float, float, float]) -> Tensor:
    """The sum of scale * sin(speed i + phase) for i = 0, 1, ..., in double precision."""
    at = torch.arange(count, dtype=torch.float64)
    return torch.stack([scale * (speed * at + phase).sin() for scale, speed, phase in terms]).sum(0)


@cache
def alive(count: int, seed: int = 0) -> tuple[NormGraph, ...]:
    """Different random graphs that have a map of x, of both spaces."""
    rng, found = random.Random(seed), dict[str, NormGraph]()
    while len(found) < count:
        graph = drawn(rng)
        if not graph.dead:
            found.setdefault(graph.text, graph)
    return tuple(found.values())


def layer(graph: NormGraph, channels: int = 8, *, groups: int = 4, momentum: float = 0.1, seed: int = 0) -> GraphNorm2d:
    """A layer in double precision whose vectors are not those that it begins with."""
    made = GraphNorm2d(graph, channels, groups=groups, momentum=momentum).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(channels, generator=generator, dtype=torch.float64) / 4)
    return made


def maps(*shape: int, seed: int = 0) -> Tensor:
    """Maps whose channels differ in scale and mean."""
    generator = torch.Generator().manual_seed(seed)
    channels = torch.arange(shape[1], dtype=torch.float64)[:, None, None]
    return torch.randn(shape, generator=generator, dtype=torch.float64) * (0.5 + channels / 4) + (channels - 3) / 4
