"""The evolution of layers: which are drawn, which of them are worth trying, and who descends from whom."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import UserError
from ...evolution import Parent, evolve, tournament, uniform, youngest
from ...graphs import NormGraph, drawn, mutated
from .options import DRAWN, Choice, NormSearchOptions
from .store import Seen
from .trying import Tried

__all__ = ["Candidate", "Descent", "Gate", "Layer", "descended"]

# A mutation often touches what is switched off: the change is kept and another made, so often at most.
SILENT = 50
# How often a child is drawn before a generation does with fewer.
TRIES = 200


@dataclass(frozen=True)
class Candidate:
    """A layer by its text, which it is known by, with the genome that it is written in, inactive genes among them."""

    text: str
    graph: NormGraph = field(compare=False)

    @classmethod
    def of(cls, graph: NormGraph) -> Candidate:
        return cls(graph.text, graph)


@dataclass(frozen=True)
class Layer:
    """A layer that was tried: the how-manieth, in which generation, whose child it is, and what it came to."""

    number: int
    generation: int
    graph: NormGraph
    parent: str
    came_to: Tried

    @property
    def text(self) -> str:
        return self.graph.text


@dataclass(frozen=True)
class Descent:
    """All layers of a search in the order in which they were tried, and `drawn`: how many drawings ended as what."""

    layers: tuple[Layer, ...]
    drawn: Mapping[str, int]

    @property
    def kept(self) -> tuple[Layer, ...]:
        """Those that were refused by nothing, the best mean first; of equals the first."""
        return tuple(sorted((one for one in self.layers if one.came_to.scores), key=lambda one: -one.came_to.mean))

    @property
    def refused(self) -> Counter[str]:
        """How many that were tried were refused for what."""
        return Counter(one.came_to.refused for one in self.layers if one.came_to.refused)

    def line(self, text: str) -> tuple[Layer, ...]:
        """A layer and those that it descends from, the first ancestor first."""
        known = {one.text: one for one in self.layers}
        found: list[Layer] = []
        while text in known:
            found.append(known[text])
            text = found[-1].parent
        return tuple(reversed(found))


class Gate:
    """Which drawings are worth a network: of each the cheapest question first, and every refusal counted with its reason.

    `look` says what a layer by itself comes to. Of layers that compute the same, or the same up to the scale and shift that
    follow, the first alone passes.
    """

    def __init__(self, look: Callable[[NormGraph], Seen]) -> None:
        self.counts: Counter[str] = Counter()
        self._look = look
        self._passed: set[str] = set()
        self._functions: set[str] = set()

    def admits(self, candidate: Candidate) -> bool:
        reason = self._reason(candidate)
        self.counts[reason or "tried"] += 1
        return not reason

    def child(self, graph: NormGraph, draw: Callable[[NormGraph], NormGraph]) -> Candidate:
        """What `draw` makes of a graph, again and again until another layer comes of it; what is switched off drifts."""
        before = graph.text
        for _ in range(SILENT):
            graph = draw(graph)
            if graph.text != before:
                break
            self.counts["unchanged"] += 1
        found = Candidate.of(graph)
        if found.text in self._passed and found.text != before:
            self.counts["known"] += 1
        return found

    def _reason(self, candidate: Candidate) -> str:
        if candidate.graph.dead:
            return candidate.graph.dead
        if candidate.text == "x":
            return "the identity"
        seen = self._look(candidate.graph)
        if seen.refused:
            return seen.refused
        if seen.exact in self._functions:
            return "the same function"
        if seen.standardised in self._functions:
            return "the same up to scale and shift"
        self._functions |= {seen.exact, seen.standardised} - {""}
        self._passed.add(candidate.text)
        return ""


def descended(
    how: NormSearchOptions,
    gate: Gate,
    try_: Callable[[Sequence[NormGraph]], Sequence[Tried]],
    seed: int,
) -> Descent:
    """Search until so many layers were tried, and the last generation with them. `try_` is given all new ones of a generation.

    Everything is drawn from one generator and what came of it, so the same seed gives the same layers however often the
    search was stopped and whoever tried them.

    Raises:
        UserError: nothing to begin with passes.
    """
    rng, overs = random.Random(seed), how.space.overs
    known = how.begun()
    start = list(known.values()) or [drawn(rng, overs=overs) for _ in range(DRAWN)]
    parents: dict[str, str] = {}
    layers: list[Layer] = []

    def mutate(parent: Candidate, rng: random.Random) -> Candidate:
        if how.choice is Choice.RANDOM:
            return gate.child(parent.graph, lambda graph: drawn(rng, overs=overs))
        child = gate.child(parent.graph, lambda graph: mutated(graph, rng, overs=overs))
        parents.setdefault(child.text, parent.text)
        return child

    def score(candidates: Sequence[Candidate]) -> list[tuple[float, ...]]:
        came_to = try_([one.graph for one in candidates])
        generation = layers[-1].generation + 1 if layers else 0
        for one, own in zip(candidates, came_to, strict=True):
            layers.append(Layer(len(layers) + 1, generation, one.graph, parents.get(one.text, ""), own))
        if not any(own.scores for own in came_to) and generation == 0:
            raise UserError(_none(layers))
        return [own.scores or (-math.inf,) for own in came_to]

    steps = evolve(
        [Candidate.of(graph) for graph in start],
        mutate,
        score,
        gate.admits,
        rng,
        size=how.population,
        offspring=how.offspring,
        select=youngest,
        parent=_parent(how),
        tries=TRIES,
    )
    for generation in steps:
        if len(layers) >= how.layers or not generation.born:
            break
    return Descent(tuple(layers), dict(gate.counts))


def _parent(how: NormSearchOptions) -> Parent[Candidate]:
    match how.choice:
        case Choice.PARETO:
            return tournament(how.tournament)
        case Choice.MEAN:
            return tournament(how.tournament, _highest_mean)
        case Choice.RANDOM:
            return uniform


def _highest_mean(scores: Sequence[tuple[float, ...]]) -> list[int]:
    return [max(range(len(scores)), key=lambda i: sum(scores[i]))]


def _none(layers: Sequence[Layer]) -> str:
    why = Counter(f"{one.came_to.refused}{f' in {one.came_to.anchor}' if one.came_to.anchor else ''}" for one in layers)
    said = ", ".join(f"{n} {reason}" for reason, n in why.most_common(4))
    return f"none of the {len(layers)} layers to begin with passes ({said}): give more --steps, easier anchors, or another --start"
