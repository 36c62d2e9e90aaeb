"""`quad30` and its kin: animals that are drawn, thirty individuals with forty frames each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np

from ....errors import DataError
from ...how import How
from ...quad.drawn import BODY, FRAMES, Quads, joints_of
from ...quad.draws import Identity
from ...split import Split
from ...targets import Body
from ..parts import WHOLE, Part, Parts
from .bodies import body_of

__all__ = ["DIVISIONS", "INDIVIDUALS", "QUADS", "individuals_of", "quad_split", "read_quads"]

# `-noshift`: the individuals out of the domain look as those of it do, only that they walk another way. `-hidden`: points
# behind another part of the animal are not labelled.
QUADS = ("quad30", "quad30-noshift", "quad30-hidden")
INDIVIDUALS, TRAINED, DIVISIONS = 30, 10, 3


def individuals_of(division: int) -> np.ndarray:
    """The ten individuals of the domain in division 1, 2 or 3."""
    return np.sort(np.random.default_rng((30, division)).permutation(INDIVIDUALS)[:TRAINED])


def quad_split(
    who: Sequence[Identity], names: Sequence[str], *, hidden: bool = True, seed: int = 0, body: Body = BODY
) -> Split:
    """All frames of some individuals by these names, such as one with another's coat: see `Identity`. Nothing is drawn yet.

    Without `hidden`, points behind another part of the animal are not labelled.
    """
    frames = np.tile(np.arange(FRAMES), len(who))
    quads = Quads(tuple(one for one in who for _ in range(FRAMES)), frames, seed)
    each = tuple(name for name in names for _ in range(FRAMES))
    return Split(quads, joints_of(quads, each, hidden=hidden, body=body), each)


def read_quads(name: str, how: How) -> Parts:
    """Three parts, as Horse-10 has them: half of ten individuals' frames to train on, the other half to validate on, within the
    domain; and all of the other twenty's, out of the domain. Asked to be divided another way, all in one."""
    division = 1 if how.divide is None else how.number
    if division is not None and not 1 <= division <= DIVISIONS:
        raise DataError(f"--divide {how.divide}: {name} has the divisions 1 to {DIVISIONS}")
    if how.list_ is not None:
        raise DataError(f"--divide {how.divide}: the frames of {name} are no files that a list could name")
    within = individuals_of(division or 1)

    @cache
    def whole() -> tuple[Split, tuple[str, ...]]:
        who = [Identity.of(k) for k in range(INDIVIDUALS)]
        if name == "quad30-noshift":
            others = [k for k in range(INDIVIDUALS) if k not in within]
            for n, k in enumerate(others):
                who[k] = replace(Identity.of(int(within[n % TRAINED])), walk=k)
        called = [f"individual {k:02}" for k in range(INDIVIDUALS)]
        body, notes = body_of(BODY.names, BODY.bones, how.ruler, name)
        return quad_split(who, called, hidden=name != "quad30-hidden", body=body), notes

    def read(chosen: Callable[[np.ndarray, np.ndarray], np.ndarray], said: str) -> Part:
        split, notes = whole()
        individual = np.repeat(np.arange(INDIVIDUALS), FRAMES)
        return Part(split.take(chosen(individual, _first_half(division or 1))), BODY.names, said, notes=notes)

    if division is None:
        return {WHOLE: partial(read, lambda individual, half: np.arange(len(individual)), "")}
    inside = partial(np.isin, test_elements=within)
    return {
        "train": partial(read, lambda k, half: np.flatnonzero(inside(k) & half), ""),
        "val": partial(read, lambda k, half: np.flatnonzero(inside(k) & ~half),
                       f"division {division}'s part within the domain, the other half of its {TRAINED} individuals' frames"),
        "test": partial(read, lambda k, half: np.flatnonzero(~inside(k)),
                        f"division {division}'s part out of the domain, all frames of the {INDIVIDUALS - TRAINED} others"),
    }  # fmt: skip


def _first_half(division: int) -> np.ndarray:
    """Of each individual's frames, half of them by chance: bool ⟨individuals · frames⟩."""
    order = np.random.default_rng((31, division)).permuted(np.tile(np.arange(FRAMES), (INDIVIDUALS, 1)), axis=1)
    return np.asarray((order < FRAMES // 2).reshape(-1))
