"""How often a classifier is right, how sure that is, and where it is wrong."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..errors import UserError
from .intervals import wilson

__all__ = ["LabelledImages", "Scores", "Wrong", "score"]


class LabelledImages(Protocol):
    """What `score` needs of a batch: uint8 images (n, 1 or 3, height, width), int64 answers, and their numbers."""

    @property
    def images(self) -> Tensor: ...
    @property
    def answers(self) -> Tensor: ...
    @property
    def indices(self) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Wrong:
    """An image that was taken for another class. `image` is a PNG as a data URI."""

    index: int
    path: str | None
    label: int
    predicted: int
    confidence: float
    image: str


@dataclass(frozen=True, slots=True)
class Scores:
    """A classifier's results on `n` images.

    `top5` counts the images whose label is among the `k` classes with the largest logits: 5, or all of fewer classes.
    The intervals are Wilson's, 95%. `loss` is the mean cross-entropy in nats; `per_class_mean` the mean, over classes
    with images, of the share of each that was right. Rows of `confusion` are true classes, columns the predicted.
    `wrong` holds the most confident mistakes, the surest first.
    """

    split: str
    top1: float
    top1_interval: tuple[float, float]
    top5: float
    top5_interval: tuple[float, float]
    k: int
    n: int
    loss: float
    per_class_mean: float
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    wrong: tuple[Wrong, ...]

    def to_record(self) -> dict[str, object]:
        """What a run folder keeps of it as `scores.json`."""
        return {
            "split": self.split,
            "top1": self.top1,
            "top1_interval": list(self.top1_interval),
            "top5": self.top5,
            "top5_interval": list(self.top5_interval),
            "k": self.k,
            "n": self.n,
            "loss": self.loss,
            "per_class_mean": self.per_class_mean,
            "classes": list(self.classes),
            "confusion": [list(row) for row in self.confusion],
            "wrong": [
                {
                    "index": one.index,
                    "path": one.path,
                    "label": one.label,
                    "predicted": one.predicted,
                    "confidence": one.confidence,
                    "image": one.image,
                }
                for one in self.wrong
            ],
        }


@dataclass(frozen=True, eq=False, slots=True)
class _Mistake:
    """A wrong image before it is drawn."""

    index: int
    label: int
    predicted: int
    confidence: float
    pixels: Tensor


def _no_path(index: int) -> None:
    return None


def score(
    model: nn.Module,
    batches: Iterable[LabelledImages],
    *,
    classes: Sequence[str],
    normalise: Callable[[Tensor], Tensor],
    device: torch.device | str,
    split: str = "val",
    thumbnails: int = 24,
    top: int = 5,
    where: Callable[[int], str | None] = _no_path,
) -> Scores:
    """Run the model, which is on `device` already, over every batch and count.

    `normalise` turns uint8 images into the model's input; `where` gives the path of an image by its number. The model
    computes in evaluation mode and is left in the mode it was in. Raises UserError where there is nothing to score, the
    model has another number of classes, or its output is not finite.
    """
    names = tuple(classes)
    k = min(top, len(names))
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    among_top, loss = 0, 0.0
    mistakes: list[_Mistake] = []
    with _evaluating(model), torch.inference_mode():
        for batch in batches:
            if len(batch.answers) == 0:  # none of its images could be read
                continue
            logits = model(normalise(batch.images.to(device, non_blocking=True))).float()
            _check(logits, names, batch.indices)
            labels = batch.answers.to(logits.device)
            loss += cross_entropy(logits, labels, reduction="none").double().sum().item()
            best = logits.topk(k, dim=1).indices
            among_top += int((best == labels[:, None]).sum())
            predicted = best[:, 0]
            np.add.at(confusion, (labels.cpu().numpy(), predicted.cpu().numpy()), 1)
            mistakes += _mistakes(batch, logits.softmax(dim=1), predicted)
            mistakes = sorted(mistakes, key=_surest_first)[:thumbnails]
    n, right = int(confusion.sum()), int(confusion.trace())
    if n == 0:
        raise UserError(f"there are no images to score in split '{split}'")
    per_class = confusion.sum(axis=1)
    seen = per_class > 0
    return Scores(
        split=split,
        top1=right / n,
        top1_interval=wilson(right, n),
        top5=among_top / n,
        top5_interval=wilson(among_top, n),
        k=k,
        n=n,
        loss=loss / n,
        per_class_mean=float((confusion.diagonal()[seen] / per_class[seen]).mean()),
        classes=names,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        wrong=tuple(
            Wrong(one.index, where(one.index), one.label, one.predicted, one.confidence, _thumbnail(one.pixels))
            for one in mistakes
        ),
    )


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for every module, then each back to its own: a frozen norm stays frozen."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


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


def _mistakes(batch: LabelledImages, shares: Tensor, predicted: Tensor) -> list[_Mistake]:
    sure = shares.gather(1, predicted[:, None])[:, 0].cpu()
    guesses = predicted.cpu()
    return [
        _Mistake(int(batch.indices[i]), int(batch.answers[i]), int(guesses[i]), float(sure[i]), batch.images[i].clone())
        for i in (guesses != batch.answers.cpu()).nonzero()[:, 0].tolist()
    ]


def _surest_first(mistake: _Mistake) -> tuple[float, int]:
    return -mistake.confidence, mistake.index


def _thumbnail(pixels: Tensor) -> str:
    """A PNG data URI of 32 to 64 pixels a side."""
    array = pixels.cpu().permute(1, 2, 0).numpy()
    picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    side = max(picture.size)
    if side > 64:
        picture.thumbnail((64, 64))
    elif side < 32:
        times = -(-32 // side)
        picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
