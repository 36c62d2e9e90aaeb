"""What a search for a layer may be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ...arch import ArchSpec
from ...errors import UserError, nearest
from ...graphs import B_SPACE, KNOWN, S_SPACE, NormGraph, Over
from ...ranges import at_least, check_numbers
from .anchors import OTHERS, TOYS
from .protocol import LayerProtocol

__all__ = ["Choice", "LayerSpace", "NormSearchOptions"]

# Beginning with nothing: as many random graphs are drawn, of which one in six is alive.
DRAWN = 1000
FROM_NOTHING = "random"


class LayerSpace(StrEnum):
    """B: moments over the batch among others, which need running averages. S: none; every image is seen by itself."""

    B = "B"
    S = "S"

    @property
    def overs(self) -> tuple[Over, ...]:
        """What a moment may be taken over."""
        return B_SPACE if self is LayerSpace.B else S_SPACE

    @property
    def start(self) -> tuple[str, ...]:
        """The known layers that a search usually begins with: the simplest that normalise."""
        return (
            ("bn-relu", "bn-relu-outside", "gn-relu", "in-relu")
            if self is LayerSpace.B
            else ("gn-relu", "in-relu", "ln-relu")
        )


class Choice(StrEnum):
    """Who has a child: of a tournament's members one that none beats in every anchor, or the one with the best mean; or
    nobody, and children are drawn at random, which shows what descent is worth."""

    PARETO = "pareto"
    MEAN = "mean"
    RANDOM = "random"


@dataclass(frozen=True)
class NormSearchOptions:
    """How a layer is searched for and judged.

    `layers` are tried in networks, those that are refused there among them; what is refused without a network does not count.
    A generation has `offspring` children of the youngest `population`, whose parents are chosen by `choice` among `tournament`
    drawn members. `start` names known layers to begin with, or is `random`.

    `anchors` are the networks that layers are tried in, the first that refuses most in front, and `others` those that the best
    is judged in: ours by name, or whatever a spec may be named by.

    The best `finalists` are trained `longer` times as long in the anchors under `seeds` seeds; the best of these is then held
    against known layers in the others, under seeds and on images that chose nothing. Two layers whose difference
    lies within `margin` of 0, with its interval, are equal.

    `jobs` processes of this machine try layers beside each other, 0: one for each core; `cluster` is the address of a Ray
    cluster that does it instead. What is found does not depend on either.

    The defaults are for a demonstration of some minutes on small images; a night on one machine takes thousands of `layers`, 10
    `finalists` trained 4 times as long, and 9 `seeds`.
    """

    layers: int = 48
    space: LayerSpace = LayerSpace.B
    start: tuple[str, ...] = ()
    choice: Choice = Choice.PARETO
    population: int = 48
    tournament: int = 8
    offspring: int = 16
    anchors: tuple[str | ArchSpec, ...] = tuple(spec.name for spec in TOYS)
    others: tuple[str | ArchSpec, ...] = tuple(spec.name for spec in OTHERS)
    finalists: int = 2
    longer: int = 2
    seeds: int = 3
    margin: float = 0.01
    jobs: int = 0
    cluster: str | None = None
    protocol: LayerProtocol = field(default_factory=LayerProtocol)

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in ("layers", "population", "tournament", "offspring", "finalists", "longer", "seeds"):
            at_least(name, getattr(self, name), 1)
        at_least("margin", self.margin, 0, 1)
        at_least("jobs", self.jobs, 0)
        if not self.anchors or not self.others:
            raise UserError("a layer is searched for in one network at least, and judged in one other at least")
        self.begun()

    def begun(self) -> Mapping[str, NormGraph]:
        """The known layers to begin with, by name; none where a search begins with random graphs.

        Raises:
            UserError: no such layer, or one with a moment over the batch in the space without.
        """
        names = self.start or self.space.start
        if names == (FROM_NOTHING,):
            return {}
        for name in names:
            if name not in KNOWN:
                raise UserError(f"--start {name} is no known layer{nearest(name, (*KNOWN, FROM_NOTHING))}")
            if self.space is LayerSpace.S and KNOWN[name].batch:
                raise UserError(
                    f"{name} takes a moment over the batch, which space S leaves out: begin with {', '.join(self.space.start)}"
                )
        return {name: KNOWN[name] for name in names}
