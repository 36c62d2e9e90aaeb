"""How far the points that a network finds are from where they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from ..layers.score_maps import decoded, encoded
from ..scores import Metric, Poses, Scores, Table, Unit, named
from ..units import plural
from .intervals import bootstrapped
from .poses import Kept, kept, worst_of

__all__ = ["Body", "Found", "PointErrors", "frame_first"]

# DeepLabCut's `pcutoff`: predictions of a smaller likelihood are told as unsure. No metric here leaves them out.
CUTOFF = 0.6
# The disc of `_cross_entropy`: DeepLabCut's `pos_dist_thresh`, in pixels of the picture.
RADIUS = 17.0
SURE_FEW = 0.05


class Body(Protocol):
    """What the points are of: their names, and pairs of their numbers to draw a line between (`data.targets.Body`)."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def bones(self) -> tuple[tuple[int, int], ...]: ...


@dataclass(frozen=True, eq=False)
class Found:
    """Points of n pictures in the pictures' own pixels: `points` ⟨n,K,2⟩ with their `likelihood` ⟨n,K⟩, `truth` ⟨n,K,2⟩, NaN where
    one is not labelled, `scales` ⟨n⟩ of the individuals, NaN where one has none, and the pictures' `indices` ⟨n⟩ in the data."""

    points: np.ndarray
    likelihood: np.ndarray
    truth: np.ndarray
    scales: np.ndarray
    individuals: np.ndarray
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def pixels(self) -> np.ndarray:
        """The Euclidean distance of each point from its label ⟨n,K⟩ in pixels; NaN where it is not labelled."""
        distances: np.ndarray = np.linalg.norm(self.points - self.truth, axis=2)
        return distances

    @cached_property
    def errors(self) -> np.ndarray:
        """The same over the scale of the picture's individual ⟨n,K⟩, whichever points of it are labelled in this picture."""
        shares: np.ndarray = self.pixels / self.scales[:, None]
        return shares

    def within(self, threshold: float) -> np.ndarray:
        """1 where a normalised error is at most `threshold`, 0 where it is more, NaN where there is none ⟨n,K⟩."""
        return np.where(np.isnan(self.errors), np.nan, self.errors <= threshold)

    @property
    def scaled(self) -> bool:
        """Whether any labelled point is of an individual with a scale."""
        return bool((~np.isnan(self.errors)).any())


class PointErrors:
    """Counts points against labels (`data.targets.Points`), in the pictures' own pixels, to which `batch.moves` leads back.

    A network puts out score and offset maps ⟨N,3K,h,w⟩ (`layers.score_maps`), an exported file points ⟨N,K,2⟩ in pixels of what it
    is shown and likelihoods ⟨N,K⟩.

    Metrics: `pck`, the share of labelled points whose error is at most `threshold` of the individual's scale; `error`, the mean
    of error / scale; `pixels`, the mean Euclidean distance (what DeepLabCut prints as RMSE, in which nothing is squared); `loss`,
    where maps are given, the mean of `loss(maps, answers)` over the pictures, or of a cross-entropy of the scores. Means are over
    all (picture, point) entries that have a label together, as Horse-10's are. Individuals without a scale count in `pixels`
    alone, which is the headline where no one has any. Every point counts, however unlikely the network holds it.

    The 95 % intervals are a bootstrap's over individuals, or over pictures where all are of one. Blocks: a table of the points, one
    of the individuals, and up to `pictures` of the worst pictures.
    """

    def __init__(
        self,
        body: Body,
        *,
        threshold: float = 0.3,
        pictures: int = 24,
        loss: Callable[[Tensor, Any], Tensor] | None = None,
    ) -> None:
        self._body, self._threshold, self._pictures = body, threshold, pictures
        self._loss_of = loss or _cross_entropy
        self._losses: list[float] = []
        self._parts: list[Found] = []
        self._worst: list[Kept] = []
        self._scaled = False

    @torch.inference_mode()
    def add(self, outputs: Tensor | Sequence[Tensor], batch: Any) -> None:
        points, likelihood = self._decoded(outputs, batch)
        for i, move in enumerate(batch.moves):
            points[i] = move.back(points[i])
        answers = batch.answers
        part = Found(
            points,
            likelihood,
            answers.truth.double().cpu().numpy(),
            answers.scales.double().cpu().numpy(),
            np.array(answers.individuals, dtype=object),
            batch.indices.cpu().numpy(),
        )
        self._parts.append(part)
        if self._pictures:
            self._keep(part, batch)

    def _keep(self, part: Found, batch: Any) -> None:
        """The worst pictures so far, by normalised error; by pixels until the first picture of an individual with a scale."""
        if part.scaled and not self._scaled:
            self._scaled, self._worst = True, []
        errors = part.errors if self._scaled else part.pixels
        self._worst = worst_of([*self._worst, *kept(part, errors, batch, self._pictures)], self._pictures)

    def _decoded(self, outputs: Tensor | Sequence[Tensor], batch: Any) -> tuple[np.ndarray, np.ndarray]:
        """Points ⟨N,K,2⟩ in pixels of what was shown, and likelihoods ⟨N,K⟩; the loss is added up where there are maps."""
        joints, n = len(self._body.names), len(batch.indices)
        if isinstance(outputs, Tensor):
            if outputs.ndim != 4 or outputs.shape[1] < 3 * joints:
                raise UserError(
                    f"the model gives outputs of shape {tuple(outputs.shape[1:])}, but {joints} body parts need maps of "
                    f"{3 * joints} channels"
                )
            maps = outputs.float()
            _refuse_infinite(maps[:, : 3 * joints], batch.indices)
            self._losses.append(float(self._loss_of(maps, batch.answers.to(maps.device))) * n)
            points, likelihood = decoded(maps, joints)
        else:
            points, likelihood = (torch.as_tensor(one).float() for one in outputs)
            if points.shape[1:] != (joints, 2) or likelihood.shape[1:] != (joints,):
                raise UserError(
                    f"the model finds {points.shape[1] if points.ndim > 1 else 0} points, but the data has {joints} body parts"
                )
            _refuse_infinite(points, batch.indices)
        return points.double().cpu().numpy(), likelihood.double().cpu().numpy()

    @property
    def found(self) -> Found:
        """All points so far, in the order they were counted. Raises `UserError` where there are none."""
        if not self._parts:
            raise UserError("there are no pictures to score")
        names = ("points", "likelihood", "truth", "scales", "individuals", "indices")
        return Found(*(np.concatenate([vars(part)[name] for part in self._parts]) for name in names))

    def each(self) -> np.ndarray:
        """What each picture adds to the headline ⟨n⟩. Their mean is the headline m, and their spread that of a mean over entries:
        m + n / M (S_i - m M_i) of a picture with M_i of the M labelled points, whose values sum to S_i."""
        found = self.found
        values = found.within(self._threshold) if found.scaled else found.pixels
        sums, sizes = np.nansum(values, axis=1), (~np.isnan(values)).sum(1)
        mean = sums.sum() / sizes.sum()
        shares: np.ndarray = mean + (sums - mean * sizes) * len(sums) / sizes.sum()
        return shares

    def scores(self, split: str, where: Callable[[int], str | None]) -> Scores:
        if not self._parts:
            raise UserError(f"there are no pictures to score in split '{split}'")
        found = self.found
        labelled = int((~np.isnan(found.pixels)).sum())
        if not labelled:
            raise UserError(f"no body part is labelled in any picture of split '{split}': nothing can be scored")
        individuals = list(dict.fromkeys(found.individuals.tolist()))
        metrics = [self._metric(one, values, found) for one, values in self._measured(found)]
        if self._losses:
            metrics.append(named("loss", sum(self._losses) / len(found)))
        blocks = (
            self._table("body part", self._body.names, found, lambda k: (slice(None), k)),
            self._table("individual", individuals, found, lambda k: found.individuals == individuals[k]),
        )
        worst = tuple(one.drawn(where) for one in self._worst)
        poses = Poses(self._body.names, self._body.bones, worst, "" if found.scaled else "px", CUTOFF)
        return Scores(
            split=split,
            n=len(found),
            metrics=tuple(metrics),
            settings=(("threshold", self._threshold), ("points", labelled)),
            blocks=(*blocks, poses) if self._pictures else blocks,
            notes=tuple(_notes(found, len(individuals), labelled)),
        )

    def _measured(self, found: Found) -> Iterator[tuple[Metric, np.ndarray]]:
        """Each metric before its value, with its values of all entries ⟨n,K⟩: the headline first."""
        if found.scaled:
            yield Metric("pck", 0.0, label=f"PCK@{self._threshold:g}"), found.within(self._threshold)
            yield named("error", 0.0), found.errors
        yield named("pixels", 0.0), found.pixels

    def _metric(self, metric: Metric, values: np.ndarray, found: Found) -> Metric:
        pictures, _ = at = np.nonzero(~np.isnan(values))
        own = values[at]
        groups = found.individuals[pictures]
        if len(set(groups.tolist())) < 2:
            groups = pictures
        several = len(set(groups.tolist())) > 1
        interval = bootstrapped(own, groups.astype(str) if groups.dtype == object else groups) if several else None
        return replace(metric, value=float(own.mean()), interval=interval)

    def _table(self, of: str, names: Sequence[str], found: Found, part: Callable[[int], Any]) -> Table:
        """A row for each body part or individual: its labelled points and what they are off by."""
        measured = tuple(self._measured(found))
        rows = []
        for k, name in enumerate(names):
            n = int((~np.isnan(found.pixels[part(k)])).sum())
            rows.append((name, n, *(_mean(values[part(k)]) for _, values in reversed(measured))))
        columns = (
            of,
            "points",
            *(f"{one.words}, px" if one.unit is Unit.PIXELS else one.words for one, _ in reversed(measured)),
        )
        return Table(f"Each {of}", columns, tuple(rows))


def frame_first(errors: np.ndarray) -> float:
    """The mean over pictures of each picture's own mean of `errors` ⟨n,K⟩: another number than ours where labels are missing, and
    what some re-implementations of Horse-10 tell. NaN where nothing is labelled."""
    some = errors[~np.isnan(errors).all(axis=1)]
    return float(np.nanmean(some, axis=1).mean()) if len(some) else float("nan")


def _mean(values: np.ndarray) -> float | None:
    own = values[~np.isnan(values)]
    return round(float(own.mean()), 4) if len(own) else None


def _cross_entropy(maps: Tensor, answers: Any) -> Tensor:
    """The mean cross-entropy of the score maps towards discs of 17 pixels of the picture, in nats."""
    targets = encoded(answers.shown, RADIUS * answers.zoom, (maps.shape[2], maps.shape[3]))
    scores = maps[:, : answers.shown.shape[1]]
    return F.binary_cross_entropy_with_logits(scores, targets.scores)


def _refuse_infinite(outputs: Tensor, indices: Tensor) -> None:
    finite = outputs.flatten(1).isfinite().all(1).cpu()
    if not finite.all():
        raise UserError(
            f"the model's output for picture {int(indices[~finite][0])} is not finite; the training that made it diverged, or the "
            "weights are damaged"
        )


def _notes(found: Found, individuals: int, labelled: int) -> Iterator[str]:
    """How the numbers came about, in sentences."""
    over = (
        f"over {individuals} individuals" if individuals > 1 else "over the pictures, since all are of one individual"
    )
    yield f"{labelled:,} labelled points; the intervals are a bootstrap's {over}"
    unscaled = np.isnan(found.scales)
    if not found.scaled:
        yield "no individual has a scale, so errors are in pixels alone: --ruler names two body parts whose distance is one"
    elif unscaled.any():
        who = sorted(set(found.individuals[unscaled].tolist()))
        yield (
            f"{plural(int(unscaled.sum()), 'picture')} of {plural(len(who), 'individual')} without a scale, {who[0]} first: in "
            "pixels alone"
        )
    sure = float((found.likelihood >= CUTOFF).mean())
    if sure < SURE_FEW:
        yield (
            f"{sure:.0%} of the predictions have a likelihood of {CUTOFF:g} or more: a plot that leaves out the others, as "
            "DeepLabCut's pcutoff does, is nearly empty"
        )
