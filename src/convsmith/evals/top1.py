"""How often a classifier is right, how sure that is, and where it is wrong."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..errors import UserError
from ..scores import Confusion, Metric, Mistake, Mistakes, Scores, Unit, named
from .intervals import wilson

__all__ = ["Top1"]

_FRAMES = 4  # of a clip that is shown


@dataclass(frozen=True, eq=False, slots=True)
class _Mistake:
    """A wrong image before it is drawn."""

    index: int
    label: int
    predicted: int
    confidence: float
    pixels: Tensor


class Top1:
    """Counts logits ⟨N,classes⟩ against int64 labels ⟨N⟩.

    Metrics: `top1`; `top5`, the share of images whose label is among the `k` classes with the largest logits, 5 or all of
    fewer classes; `per_class_mean`, the mean over classes with images of the share of each that was right (balanced
    accuracy); `majority`, the share of the largest class, which always answering it would score; `loss`, the mean
    cross-entropy in nats. The intervals are Wilson's, 95 %. Blocks: the confusion matrix, and up to `pictures` of the
    most confident mistakes.
    """

    def __init__(self, classes: Sequence[str], *, top: int = 5, pictures: int = 24) -> None:
        self._classes = tuple(classes)
        self._k = min(top, len(self._classes))
        self._confusion = np.zeros((len(self._classes), len(self._classes)), dtype=np.int64)
        self._among_top, self._loss = 0, 0.0
        self._right: list[np.ndarray] = []
        self._pictures = pictures
        self._mistakes: list[_Mistake] = []

    @torch.inference_mode()
    def add(self, outputs: Tensor, batch: Any) -> None:
        logits = outputs.float()
        _check(logits, self._classes, batch.indices)
        labels = batch.answers.to(logits.device)
        self._loss += cross_entropy(logits, labels, reduction="none").double().sum().item()
        # Of equal logits, as files in eight bits often have, the first class wins, as every runtime's argmax has it.
        predicted = logits.argmax(dim=1)
        among = (logits.topk(self._k, dim=1).indices == labels[:, None]).any(1) | (predicted == labels)
        self._among_top += int(among.sum())
        np.add.at(self._confusion, (labels.cpu().numpy(), predicted.cpu().numpy()), 1)
        self._right.append((predicted == labels).cpu().numpy())
        if self._pictures:
            self._mistakes += _mistakes(batch, logits.softmax(dim=1), predicted, self._pictures)
            self._mistakes = sorted(self._mistakes, key=_surest_first)[: self._pictures]

    def each(self) -> np.ndarray:
        """Whether each image was right, bool ⟨n⟩."""
        return np.concatenate(self._right)

    def scores(self, split: str, where: Callable[[int], str | None]) -> Scores:
        confusion = self._confusion
        n, right = int(confusion.sum()), int(confusion.trace())
        if n == 0:
            raise UserError(f"there are no images to score in split '{split}'")
        per_class = confusion.sum(axis=1)
        seen = per_class > 0
        balanced = float((confusion.diagonal()[seen] / per_class[seen]).mean())
        wrong = tuple(
            Mistake(one.label, one.predicted, one.confidence, _thumbnail(one.pixels), where(one.index), one.index)
            for one in self._mistakes
        )
        return Scores(
            split=split,
            n=n,
            metrics=(
                Metric("top1", right / n, wilson(right, n), label="top-1"),
                Metric("top5", self._among_top / n, wilson(self._among_top, n), label=f"top-{self._k}"),
                named("per_class_mean", balanced),
                named("majority", int(per_class.max()) / n),
                Metric("loss", self._loss / n, unit=Unit.NATS, more_is_better=False, label="loss"),
            ),
            settings=(("k", self._k),),
            blocks=(
                Confusion(self._classes, tuple(tuple(row) for row in confusion.tolist())),
                Mistakes(self._classes, wrong),
            ),
        )


def _check(logits: Tensor, classes: tuple[str, ...], indices: Tensor) -> None:
    if logits.ndim != 2 or logits.shape[1] != len(classes):
        raise UserError(
            f"the model gives outputs of shape {tuple(logits.shape[1:])}, but the data has {len(classes)} classes"
        )
    finite = logits.isfinite().all(dim=1).cpu()
    if not finite.all():
        raise UserError(
            f"the model's output for image {int(indices[~finite][0])} is not finite; the training that made it "
            "diverged, or the weights are damaged"
        )


def _mistakes(batch: Any, shares: Tensor, predicted: Tensor, most: int) -> list[_Mistake]:
    """The most confident mistakes of a batch: no others are copied."""
    guesses, labels, indices = predicted.cpu().numpy(), batch.answers.cpu().numpy(), batch.indices.cpu().numpy()
    sure = shares.gather(1, predicted[:, None])[:, 0].cpu().numpy()
    wrong = np.flatnonzero(guesses != labels)
    chosen = wrong[np.lexsort((indices[wrong], -sure[wrong]))][:most]
    return [
        _Mistake(int(indices[i]), int(labels[i]), int(guesses[i]), float(sure[i]), batch.images[i].clone())
        for i in chosen.tolist()
    ]


def _surest_first(mistake: _Mistake) -> tuple[float, int]:
    return -mistake.confidence, mistake.index


def _spread(clip: Tensor, most: int) -> list[Tensor]:
    """Frames of a clip ⟨C,T,H,W⟩, spread evenly from the first to the last."""
    n = clip.shape[1]
    return [clip[:, round(k * (n - 1) / max(1, most - 1))] for k in range(min(most, n))]


def _thumbnail(pixels: Tensor, most: int = 64) -> str:
    """A PNG data URI of 32 to 64 pixels a side; of a clip, of four of its frames side by side."""
    if pixels.ndim == 4:
        return _thumbnail(torch.cat(_spread(pixels, _FRAMES), 2), 64 * _FRAMES)
    array = pixels.cpu().permute(1, 2, 0).numpy()
    picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    side = max(picture.size)
    if side > most:
        picture.thumbnail((most, most))
    elif side < 32:
        times = -(-32 // side)
        picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
