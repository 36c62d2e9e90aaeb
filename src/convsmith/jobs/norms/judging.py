"""Whether a found layer is any better: trained longer, under other seeds, in other networks, on images that chose nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from ...arch import Act, ArchSpec, Norm
from ...data import ImageData
from ...errors import UserError
from ...evals.intervals import student_of_shares
from ...graphs import KNOWN, NormGraph
from ...layers import EvoNormKind
from ...parts import BatchNorm, EvoNorm, GraphNorm
from ...watcher import Watcher
from ..studies.trials import Outcome, Trial, train_all
from ..train.begin import regularised
from .options import NormSearchOptions
from .trying import Tried, in_memory, size_of

__all__ = ["RIVALS", "Against", "Finalist", "Judged", "against", "finalists_of", "judged", "reranked"]

# Seeds that no score of the search was made with: for choosing among the finalists, and, after those, for the verdict.
FIRST_SEED = 1000
# What a found layer is held against.
RIVALS: dict[str, Norm] = {
    "BN-ReLU": BatchNorm(act=Act.RELU),
    "BN-SiLU": BatchNorm(act=Act.SILU),
    "EvoNorm-B0": EvoNorm(variant=EvoNormKind.B0),
    "EvoNorm-S0": EvoNorm(variant=EvoNormKind.S0),
}
# Between a verdict and the rival.
_JOINED = {"better": "than", "worse": "than", "equal": "to", "not told apart": "from"}
_KNOWN = {graph.text for graph in KNOWN.values()}


@dataclass(frozen=True)
class Finalist:
    """A layer that was trained longer: its score in the search, and by seed the mean over the anchors; `failed` says why it has
    none."""

    graph: NormGraph
    searched: float
    scores: tuple[float, ...]
    failed: str = ""

    @property
    def mean(self) -> float:
        return fmean(self.scores) if self.scores else 0.0


@dataclass(frozen=True)
class Judged:
    """A layer in one network: its accuracy under each seed on images that chose nothing, None where training failed."""

    layer: str
    network: str
    scores: tuple[float | None, ...]

    @property
    def mean(self) -> float | None:
        done = [score for score in self.scores if score is not None]
        return fmean(done) if done else None


@dataclass(frozen=True)
class Against:
    """A layer held against a known one: the mean over seeds of the difference of their means over networks, with its 95 %
    interval, on `seeds` seeds under which both were trained in every network.

    The verdict is better or worse where the interval lies on one side of 0, equal where it lies within the margin, and else not
    told apart.
    """

    rival: str
    mean: float
    interval: tuple[float, float] | None
    seeds: int
    verdict: str

    @property
    def ends(self) -> str:
        """The interval in points."""
        if self.interval is None:
            return "no interval"
        return f"{100 * self.interval[0]:+.2f} to {100 * self.interval[1]:+.2f}"

    @property
    def said(self) -> str:
        """The verdict with its rival: better than it, equal to it, not told apart from it."""
        return f"{self.verdict} {_JOINED[self.verdict]} {self.rival}"


def finalists_of(kept: Sequence[tuple[NormGraph, Tried]], how: NormSearchOptions) -> list[tuple[NormGraph, Tried]]:
    """The best of the layers that were found, which known ones are not; those where nothing else was kept."""
    found = [one for one in kept if one[0].text not in _KNOWN]
    return list(found or kept)[: how.finalists]


def reranked(
    chosen: Sequence[tuple[NormGraph, Tried]],
    anchors: Sequence[ArchSpec],
    images: ImageData,
    how: NormSearchOptions,
    out: Path,
    workers: int,
    watcher: Watcher,
) -> tuple[Finalist, ...]:
    """The finalists, the best first, by longer trainings in the anchors, scored on the images that the search was scored on.

    Raises:
        UserError: none of them could be trained.
    """
    seeds = range(FIRST_SEED, FIRST_SEED + how.seeds)
    norms = {graph.text: GraphNorm(graph, groups=how.protocol.groups) for graph, _ in chosen}
    outcomes = _trained(norms, anchors, seeds, images, how, out, workers, watcher)
    found = []
    for graph, tried in chosen:
        own = [[outcomes[graph.text, spec.name, seed] for spec in anchors] for seed in seeds]
        failed = next((one.failed for row in own for one in row if one.failed), "")
        scores = () if failed else tuple(fmean(one.top1 for one in row) for row in own)
        found.append(Finalist(graph, tried.mean, scores, failed))
    if not any(one.scores for one in found):
        raise UserError(f"none of the {len(found)} best layers could be trained longer: {found[0].failed}")
    return tuple(sorted(found, key=lambda one: -one.mean))


def judged(
    winner: NormGraph,
    networks: Sequence[ArchSpec],
    images: ImageData,
    how: NormSearchOptions,
    out: Path,
    workers: int,
    watcher: Watcher,
) -> tuple[Judged, ...]:
    """The winner, as `found`, and its rivals in every network under the same seeds, scored on the validation part of `images`."""
    groups = how.protocol.groups
    norms: dict[str, Norm] = {"found": GraphNorm(winner, groups=groups)}
    norms |= {
        name: replace(norm, groups=groups) if isinstance(norm, EvoNorm) else norm for name, norm in RIVALS.items()
    }
    seeds = range(FIRST_SEED + how.seeds, FIRST_SEED + 2 * how.seeds)
    outcomes = _trained(norms, networks, seeds, images, how, out, workers, watcher)
    return tuple(
        Judged(
            name,
            spec.name,
            tuple(None if (one := outcomes[name, spec.name, seed]).failed else one.top1 for seed in seeds),
        )
        for spec in networks
        for name in norms
    )


def against(results: Sequence[Judged], networks: Sequence[str], margin: float) -> tuple[Against, ...]:
    """What the results in those networks say of the found layer beside each rival."""
    by = {(one.layer, one.network): one.scores for one in results}
    found = []
    for rival in dict.fromkeys(one.layer for one in results if one.layer != "found"):
        pairs = [(by["found", name], by[rival, name]) for name in networks]
        differences = []
        for seed in range(len(pairs[0][0])):
            own, other = ([side[seed] for side in sides] for sides in zip(*pairs, strict=True))
            done = [(a, b) for a, b in zip(own, other, strict=True) if a is not None and b is not None]
            if len(done) == len(networks):
                differences.append(fmean(a - b for a, b in done))
        found.append(_compared(rival, differences, margin))
    return tuple(found)


def _compared(rival: str, differences: Sequence[float], margin: float) -> Against:
    interval = student_of_shares(differences, least=-1.0)
    match interval:
        case None:
            verdict = "not told apart"
        case (low, _) if low > 0:
            verdict = "better"
        case (_, high) if high < 0:
            verdict = "worse"
        case (low, high) if -margin <= low and high <= margin:
            verdict = "equal"
        case _:
            verdict = "not told apart"
    return Against(rival, fmean(differences) if differences else 0.0, interval, len(differences), verdict)


def _trained(
    norms: Mapping[str, Norm],
    networks: Sequence[ArchSpec],
    seeds: Sequence[int],
    images: ImageData,
    how: NormSearchOptions,
    out: Path,
    workers: int,
    watcher: Watcher,
) -> dict[tuple[str, str, int], Outcome]:
    """What came of each norm in each network under each seed; what is in `out` is not trained again."""
    few, recipe = how.protocol.shown(images, how.longer)
    if len({size_of(spec) for spec in networks}) == 1:  # decoded once, and not for every training
        few = in_memory(networks[0], few)
    asked = {
        (name, spec.name, seed): Trial(regularised(spec.with_style(norm=norm), recipe), recipe, seed)
        for name, norm in norms.items()
        for spec in networks
        for seed in seeds
    }
    outcomes = train_all(list(asked.values()), few, out, workers=workers, cluster=how.cluster, watcher=watcher)
    return dict(zip(asked, outcomes, strict=True))
