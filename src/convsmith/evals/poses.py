"""The pictures whose points are farthest off, small enough for a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ..scores import Pose
from .thumbnails import thumbnail

__all__ = ["Kept", "kept", "worst_of"]

# Pictures of one individual that are shown before others' are.
_ALIKE = 2


@dataclass(frozen=True, eq=False, slots=True)
class Kept:
    """A picture before it is drawn; `move` says where its pixels lie, None where they are the picture's own."""

    index: int
    error: float
    points: np.ndarray
    truth: np.ndarray
    likelihood: np.ndarray
    individual: str
    pixels: Tensor
    move: Any

    def drawn(self, where: Callable[[int], str | None]) -> Pose:
        pixels = _unpadded(self.pixels.cpu().permute(1, 2, 0).numpy())
        height, width = pixels.shape[:2]
        corners = np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]])
        (left, top), (right, bottom) = corners if self.move is None else self.move.back(corners)
        return Pose(
            predicted=tuple(map(_point, self.points)),
            true=tuple(None if np.isnan(at).any() else _point(at) for at in self.truth),
            likelihood=tuple(round(float(one), 3) for one in self.likelihood),
            error=float(self.error),
            individual=self.individual,
            image=thumbnail(pixels),
            place=(float(left), float(top), float(right), float(bottom)),
            path=where(self.index),
            index=self.index,
        )


def kept(found: Any, errors: np.ndarray, batch: Any, most: int) -> list[Kept]:
    """The worst pictures of a batch by the mean of their `errors` ⟨N,K⟩, as `worst_of` chooses: no others are copied."""
    some = np.flatnonzero(~np.isnan(errors).all(axis=1))
    means = np.nanmean(errors[some], axis=1)
    who = [str(one) for one in found.individuals[some]]
    chosen = _chosen(who, means.tolist(), found.indices[some].tolist(), most)
    moves = batch.moves or (None,) * len(found)
    return [
        Kept(
            int(found.indices[i]), float(mean), found.points[i], found.truth[i], found.likelihood[i],
            str(found.individuals[i]), batch.images[int(i)].clone(), moves[i],
        )
        for i, mean in zip(some[chosen], means[chosen], strict=True)
    ]  # fmt: skip


def worst_of(pictures: Sequence[Kept], most: int) -> list[Kept]:
    """The worst `most`, the worst first: of an individual the two worst come before a third of any, since neighbouring frames of
    one fail alike."""
    chosen = _chosen(
        [one.individual for one in pictures], [one.error for one in pictures], [one.index for one in pictures], most
    )
    return sorted((pictures[i] for i in chosen), key=lambda one: (-one.error, one.index))


def _chosen(individuals: list[str], errors: list[float], indices: list[int], most: int) -> list[int]:
    seen: Counter[str] = Counter()
    ranked = []
    for i in sorted(range(len(errors)), key=lambda i: (-errors[i], indices[i])):
        ranked.append((seen[individuals[i]] >= _ALIKE, i))
        seen[individuals[i]] += 1
    return [i for _, i in sorted(ranked, key=lambda pair: pair[0])][:most]


def _point(at: np.ndarray) -> tuple[float, float]:
    return round(float(at[0]), 2), round(float(at[1]), 2)


def _unpadded(pixels: np.ndarray) -> np.ndarray:
    """Without the black columns at the right and rows at the bottom, with which a picture is filled up to a network's input."""
    lit = pixels.max(axis=2) > 0
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    return pixels[: rows[-1] + 1, : columns[-1] + 1] if len(rows) else pixels
