"""What a detector is worth: COCO's numbers in the pictures' own pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..layers.detection.pasting import Pasted, pasted
from ..rle import of_part
from ..scores import Curve, Curves, ErrorKind, ErrorKinds, Metric, Scenes, Scores, Table, named
from ..units import plural
from .coco import NUMBERS, AveragePrecision
from .error_kinds import KINDS, kinds_of
from .matching import Found, Kind, Matched, Truth, match
from .scenes import CUTOFF, Kept, kept, worst_of

__all__ = ["Detected", "Paste", "in_pictures"]

Paste = Callable[[np.ndarray, np.ndarray, tuple[int, int]], Pasted]

_WORDS = {
    "ap": "AP", "ap50": "AP at an overlap of 0.5", "ap75": "AP at 0.75", "ap_small": "AP of small ones, to 32 x 32 px",
    "ap_medium": "AP of medium ones", "ap_large": "AP of large ones, from 96 x 96 px", "ar1": "AR of one detection",
    "ar10": "AR of ten", "ar100": "AR of a hundred", "ar_small": "AR of small ones", "ar_medium": "AR of medium ones",
    "ar_large": "AR of large ones",
}  # fmt: skip
_CURVES = (0.5, 0.75)


class Detected:
    """Counts what a detector finds against what is there (`data.Truth`), in the pictures' own pixels, to which `batch.moves` lead.

    It puts out `layers.detection.Detections`, an exported file the same four as a sequence: boxes ⟨N,D,4⟩ in pixels of what it is
    shown, scores ⟨N,D⟩, labels ⟨N,D⟩, 0 where there is nothing, and masks ⟨N,D,28,28⟩, which may be missing. Masks are put into
    their picture one by one, by `paste`, and kept as runs.

    Metrics: COCO's twelve numbers (`evals.coco`) by masks, where detections and truths have them, then by boxes; those that there
    is no object for are left out. The headline is AP by masks, or by boxes where there are none. It and AP by boxes have a
    95 % interval, a bootstrap's over pictures. Blocks: the numbers and each class as tables, the precision at each recall, the
    kinds of mistakes (`evals.error_kinds`), and up to `pictures` of the worst pictures. With `pictures` 0, as while training,
    there are metrics alone, without intervals.
    """

    def __init__(self, names: Sequence[str], *, pictures: int = 24, paste: Paste = pasted) -> None:
        self._names, self._pictures, self._paste = tuple(names), pictures, paste
        self._matched: dict[Kind, list[Matched]] = {"mask": [], "box": []}
        self._worst: list[Kept] = []
        self._everything: list[tuple[int, Truth, Found]] | None = None

    @torch.inference_mode()
    def add(self, outputs: Any, batch: Any) -> None:
        truths: Sequence[Truth] = batch.answers.truth
        found = in_pictures(outputs, batch.moves, [one.size for one in truths], len(self._names), self._paste)
        worst = []
        for i, (index, truth, own) in enumerate(zip(batch.indices.tolist(), truths, found, strict=True)):
            masks = own.masks is not None and truth.rles is not None
            for kind in self._matched:
                if kind == "box" or masks:
                    self._matched[kind].append(match(truth, own, kind))
            if self._everything is not None:
                self._everything.append((index, truth, own))
            if self._pictures:
                by = self._matched["mask" if masks else "box"][-1]
                worst.append(kept(index, by, truth, own, batch.images[i], batch.moves[i]))
        before = {one.index for one in self._worst}
        chosen = worst_of([*self._worst, *(one for one in worst if one is not None)], self._pictures)
        self._worst = [one if one.index in before else one.copied() for one in chosen]

    def keep(self) -> None:
        """Hold on to all that is found from now on."""
        self._everything = []

    @property
    def everything(self) -> list[tuple[int, Truth, Found]]:
        """Each picture's number in the data, what it shows and what was found there, since `keep`."""
        return self._everything or []

    def each(self) -> np.ndarray | None:
        """None: AP is no mean over pictures."""
        return None

    def scores(self, split: str, where: Callable[[int], str | None]) -> Scores:
        pictures = self._matched["box"]
        if not pictures:
            raise UserError(f"there are no pictures to score in split '{split}'")
        objects = sum(int(one.real[:, 0].sum()) for one in pictures)
        if not objects:
            raise UserError(f"there is no object in any picture of split '{split}': nothing can be scored")
        by: dict[Kind, AveragePrecision] = {
            kind: AveragePrecision(tuple(own), len(self._names))
            for kind, own in self._matched.items()
            if len(own) == len(pictures)
        }
        metrics = [one for kind, of in by.items() for one in self._metrics(kind, of)]
        kind = next(iter(by))
        blocks = (
            _numbers(by, metrics),
            self._classes(by),
            _curves(by),
            _kinds(kind, by[kind]),
            Scenes(self._names, tuple(one.drawn(where) for one in self._worst), CUTOFF),
        )
        return Scores(
            split=split,
            n=len(pictures),
            metrics=tuple(metrics),
            settings=(("objects", objects),),
            blocks=blocks if self._pictures else (),
            notes=tuple(self._notes(objects, by)),
        )

    def _metrics(self, kind: Kind, of: AveragePrecision) -> Iterator[Metric]:
        for name in NUMBERS:
            if not np.isnan(of[name]):
                interval = of.interval() if name == "ap" and self._pictures else None
                yield named(f"{kind}_{name}", of[name], interval)

    def _classes(self, by: dict[Kind, AveragePrecision]) -> Table:
        """A row for each class: its truths, the pictures that show one, and its AP."""
        matched = self._matched["box"]
        rows = []
        for k, name in enumerate(self._names):
            own = [int((one.wanted[one.real[:, 0]] == k + 1).sum()) for one in matched]
            numbers = [_said(value) for of in by.values() for value in (of.each_class[k].mean(), of.each_class[k, 0])]
            rows.append((name, sum(own), sum(n > 0 for n in own), *numbers))
        columns = (f"{kind} {name}" for kind in by for name in ("AP", "AP50"))
        return Table("Each class", ("class", "objects", "pictures", *columns), tuple(rows))

    def _notes(self, objects: int, by: dict[Kind, AveragePrecision]) -> Iterator[str]:
        crowds = sum(int((~one.real[:, 0]).sum()) for one in self._matched["box"])
        more = f" and {plural(crowds, 'crowd')}" if crowds else ""
        yield f"{plural(objects, 'object')}{more}; the intervals are a bootstrap's over the pictures"
        some = {int(label) for one in self._matched["box"] for label in one.wanted[one.real[:, 0]]}
        if lacking := [name for k, name in enumerate(self._names, start=1) if k not in some]:
            yield (f"{plural(len(lacking), 'class')} without an object here, {lacking[0]} first: left out of all means")
        if "mask" not in by:
            yield "by boxes alone: there are no masks in the data, or none are found"


def in_pictures(
    outputs: Any, moves: Sequence[Any], sizes: Sequence[tuple[int, int]], classes: int, paste: Paste = pasted
) -> list[Found]:
    """What a detector puts out for a batch, in the pictures' own pixels: boxes clipped to them, masks as runs.

    `outputs` are boxes ⟨N,D,4⟩ in pixels of what was shown, scores and labels ⟨N,D⟩ and masks ⟨N,D,S,S⟩ or None, as
    `layers.detection.Detections` has them or one after another; `sizes` are the pictures' (height, width).

    Raises:
        UserError: outputs of other shapes, not finite, or of classes that the data has not.
    """
    boxes, scores, labels, masks = _four(outputs)
    if boxes.ndim != 3 or boxes.shape[2] != 4 or scores.shape != boxes.shape[:2] or labels.shape != scores.shape:
        raise UserError(
            f"the model finds boxes {tuple(boxes.shape[1:])}, scores {tuple(scores.shape[1:])} and labels "
            f"{tuple(labels.shape[1:])}; these are no detections"
        )
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise UserError(
            "what the model finds is not finite; the training that made it diverged, or the weights are damaged"
        )
    if labels.size and labels.max() > classes:
        raise UserError(f"the model finds things of class {labels.max()}, but the data has {plural(classes, 'class')}")
    found = []
    for i, (move, size) in enumerate(zip(moves, sizes, strict=True)):
        some = np.flatnonzero(labels[i])
        at = _back(boxes[i, some], move)
        # A mask covers its whole box, whether or not all of that lies in the picture.
        runs = None
        if masks is not None:
            parts = [paste(_upright(masks[i, d], move), box, size) for d, box in zip(some, at, strict=True)]
            runs = tuple(of_part(one.pixels, (one.top, one.left), size) for one in parts)
        clipped = np.clip(at, 0, [size[1], size[0]] * 2)
        found.append(Found(clipped, scores[i, some], labels[i, some], runs))
    return found


def _four(outputs: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    names = ("boxes", "scores", "labels", "masks")
    parts = [getattr(outputs, name) for name in names] if hasattr(outputs, "boxes") else [*outputs, None][:4]

    def plain(one: Any, kind: type) -> np.ndarray:
        array = one.detach().cpu().numpy() if isinstance(one, Tensor) else np.asarray(one)
        return np.asarray(array, kind)

    masks = None if parts[3] is None else plain(parts[3], np.float32)
    return plain(parts[0], np.float64), plain(parts[1], np.float64), plain(parts[2], np.int64), masks


def _back(boxes: np.ndarray, move: Any) -> np.ndarray:
    """Boxes ⟨n,4⟩ of what was shown, in the picture. Moves speak of the middles of pixels, boxes of their corners."""
    corners = move.back(boxes.reshape(-1, 2, 2) - 0.5) + 0.5
    return np.concatenate([corners.min(1), corners.max(1)], axis=1)


def _upright(mask: np.ndarray, move: Any) -> np.ndarray:
    return mask[:, ::-1] if move.mirrored else mask


def _numbers(by: dict[Kind, AveragePrecision], metrics: Sequence[Metric]) -> Table:
    """A row for each of the twelve numbers, with the intervals that there are."""
    known = {one.name: one for one in metrics}
    rows = []
    for name in NUMBERS:
        cells: list[str | float | None] = []
        for kind, of in by.items():
            interval = getattr(known.get(f"{kind}_{name}"), "interval", None)
            cells += [_said(of[name]), "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"]
        rows.append((_WORDS[name], *cells))
    columns = [one for kind in by for one in (f"by {kind}", f"95 % ({kind})")]
    return Table("Average precision and recall", ("number", *columns), tuple(rows))


def _curves(by: dict[Kind, AveragePrecision]) -> Curves:
    curves = []
    for kind, of in by.items():
        for overlap in _CURVES:
            values = tuple(round(float(one), 4) for one in of.curve(overlap))
            curves.append(Curve(f"{kind}, overlap {overlap:g}", values))
    return Curves(tuple(curves))


def _kinds(kind: Kind, of: AveragePrecision) -> ErrorKinds:
    found = kinds_of(of.pictures, of.classes)
    rows = zip(KINDS, found.counts, found.costs, strict=True)
    return ErrorKinds(kind, found.right, tuple(ErrorKind(name, n, round(cost, 6)) for name, n, cost in rows))


def _said(value: float) -> float | str:
    """A number of a table; of no object there is none."""
    return "none" if np.isnan(value) else round(float(value), 4)
