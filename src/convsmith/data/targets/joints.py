"""Points in each picture: joints of a body, or other things that have a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...units import plural
from ..moves import Move
from .targets import Targets

__all__ = ["Body", "Joints", "Points"]


@dataclass(frozen=True)
class Body:
    """What the points are of: their names, and what is known of these as numbers from 0.

    `bones` are pairs to draw a line between; `pairs` those that change places in a mirror, such as a left and a right ear;
    `ruler` the two whose distance, its median over an individual's pictures, is the scale of the individual.
    """

    names: tuple[str, ...]
    bones: tuple[tuple[int, int], ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    ruler: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        known = range(len(self.names))
        ruler = () if self.ruler is None else (self.ruler,)
        for one, other in (*self.bones, *self.pairs, *ruler):
            if one == other or one not in known or other not in known:
                raise ValueError(f"({one}, {other}) are no two of {len(self.names)} points, counted from 0")
        swapped = [one for pair in self.pairs for one in pair]
        if len(swapped) != len(set(swapped)):
            raise ValueError("a point changes places with one other in a mirror, not with several")

    @property
    def mirrored(self) -> list[int]:
        """For each point, the one that stands in its place in a mirror."""
        order = list(range(len(self.names)))
        for one, other in self.pairs:
            order[one], order[other] = other, one
        return order


@dataclass(frozen=True, eq=False)
class Points:
    """Joints of one batch. `shown` ⟨N,K,2⟩ are in pixels of what the network is shown, `truth` in the picture's own; both are
    NaN where a joint is not labelled. `zoom` ⟨N⟩ is how many pixels are shown for one of the picture, `scales` ⟨N⟩ the scale
    of the individual in the picture's pixels, NaN where it has none."""

    shown: Tensor
    truth: Tensor
    zoom: Tensor
    scales: Tensor
    individuals: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.shown)

    def __getitem__(self, part: slice) -> Points:
        return Points(
            self.shown[part], self.truth[part], self.zoom[part], self.scales[part], self.individuals[part]
        )  # fmt: skip

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Points:
        shown, truth, zoom, scales = (
            one.to(device, non_blocking=non_blocking) for one in (self.shown, self.truth, self.zoom, self.scales)
        )
        return Points(shown, truth, zoom, scales, self.individuals)


@dataclass(frozen=True, eq=False)
class Joints(Targets):
    """The joints of each picture, float64 ⟨n,K,2⟩ as (x, y) in its own pixels, NaN where one is not labelled.

    `scales` ⟨n⟩ are those of the pictures' individuals (`Body.ruler`), NaN where there is none; `individuals` their names.
    """

    moved: ClassVar[bool] = True
    said: ClassVar[str] = "points in its pictures"
    sought: ClassVar[str] = "finds points"
    names: ClassVar[tuple[str, str]] = ("body part", "body parts")

    xy: np.ndarray
    body: Body
    scales: np.ndarray
    individuals: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.xy)
        if self.xy.shape[1:] != (len(self.body.names), 2) or len(self.scales) != n or len(self.individuals) != n:
            raise ValueError(
                f"points of shape {self.xy.shape} for {len(self.body.names)} names, {len(self.scales)} scales and "
                f"{len(self.individuals)} individuals"
            )

    @classmethod
    def of(cls, xy: np.ndarray, body: Body, individuals: Sequence[str]) -> Joints:
        """Joints whose individuals' scales are told by these pictures: take them of all there are, before any are set aside."""
        names = np.array(individuals)
        scales = np.full(len(xy), np.nan)
        if body.ruler is not None:
            one, other = body.ruler
            lengths = np.linalg.norm(xy[:, one] - xy[:, other], axis=1)
            for name in np.unique(names):
                own = lengths[names == name]
                own = own[~np.isnan(own)]
                if len(own) and np.median(own) > 0:
                    scales[names == name] = np.median(own)
        return cls(xy, body, scales, tuple(individuals))

    def __len__(self) -> int:
        return len(self.xy)

    def take(self, indices: np.ndarray) -> Joints:
        individuals = tuple(self.individuals[i] for i in indices)
        return Joints(self.xy[indices], self.body, self.scales[indices], individuals)

    def joined(self, *others: Joints) -> Joints:
        every = (self, *others)
        return Joints(
            np.concatenate([one.xy for one in every]),
            self.body,
            np.concatenate([one.scales for one in every]),
            sum((one.individuals for one in every), ()),
        )

    def answers(self, indices: np.ndarray, moves: Sequence[Move], sides: tuple[int, int] | None = None) -> Points:
        """The joints where the pictures' pixels went; in a mirror image, left and right have changed names."""
        truth = self.xy[indices]
        shown, zoom = np.empty_like(truth), np.empty(len(truth))
        for k, move in enumerate(moves):
            shown[k] = move.points(truth[k])
            if move.mirrored:
                shown[k] = shown[k, self.body.mirrored]
            zoom[k] = move.zoom
        single = [torch.from_numpy(one.astype(np.float32)) for one in (shown, truth, zoom, self.scales[indices])]
        return Points(single[0], single[1], single[2], single[3], tuple(self.individuals[i] for i in indices))

    @property
    def mirrors(self) -> bool:
        """Only where it is known which points change places: else a left hand would be taught to be a right one."""
        return bool(self.body.pairs)

    def in_order(self, names: tuple[str, ...]) -> Joints:
        """These points under `names`, in their order: NaN where one of them is not known here."""
        own = self.body.names
        at = {own.index(name): k for k, name in enumerate(names) if name in own}
        xy = np.full((len(self), len(names), 2), np.nan)
        xy[:, list(at.values())] = self.xy[:, list(at)]

        def both(pairs: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
            return tuple((at[one], at[other]) for one, other in pairs if one in at and other in at)

        body = self.body
        ruler = next(iter(both([body.ruler])), None) if body.ruler else None
        return Joints(xy, Body(names, both(body.bones), both(body.pairs), ruler), self.scales, self.individuals)

    def sound(self, names: tuple[str, ...], where: str, lost: str = "", what: str = "image") -> tuple[str, ...]:
        if np.isnan(self.xy).all():
            raise DataError(f"{where} has pictures, and not one point that is labelled to train on{lost}")
        if len(self) < 2:
            raise DataError(f"{where} has one picture to train on and to validate on{lost}; give it two or more")
        return self.body.names

    def foreign(self, classes: tuple[str, ...]) -> str:
        return "" if self.body.names == classes else f"other body parts than training: {', '.join(self.body.names)}"

    def oddities(self) -> tuple[str, ...]:
        never = [name for name, n in zip(self.body.names, self.counts(0), strict=True) if not n]
        without = np.isnan(self.scales)
        lone = len({name for name, lacks in zip(self.individuals, without, strict=True) if lacks})
        said = []
        if never:
            said.append(f"never labelled in the training pictures, and so nothing is learnt of: {', '.join(never)}")
        if lone and self.body.ruler is not None:
            one, other = (self.body.names[k] for k in self.body.ruler)
            said.append(
                f"{plural(lone, 'individual')} ({plural(int(without.sum()), 'training picture')}) without a scale, as {one} and "
                f"{other} are never labelled together: their errors count in pixels only"
            )
        return tuple(said)

    def outside(self, sizes: np.ndarray) -> tuple[str, ...]:
        ends = sizes[:, None, ::-1] - 0.5  # a whole number is the middle of a pixel
        beyond = np.argwhere(((self.xy < -0.5) | (self.xy > ends)).any(-1))  # a comparison with NaN is false
        if not len(beyond):
            return ()
        picture, joint = beyond[0]
        return (
            f"{plural(len(beyond), 'labelled point')} in {plural(len(sizes), 'picture')} outside the picture, of which nothing is "
            f"learnt: first {self.body.names[joint]} of {self.individuals[picture]}",
        )

    def samples(self, names: tuple[str, ...], most: int) -> dict[str, np.ndarray]:
        """By individual."""
        own = np.array(self.individuals)
        return {name: np.flatnonzero(own == name) for name in list(dict.fromkeys(self.individuals))[:most]}

    def to_bytes(self) -> bytes:
        return f"{self.xy.shape} {self.body}".encode() + self.xy.astype(np.float64).tobytes()

    def counts(self, classes: int) -> np.ndarray:
        """In how many pictures each joint is labelled."""
        return np.asarray((~np.isnan(self.xy[..., 0])).sum(0), dtype=np.int64)
