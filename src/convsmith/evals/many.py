"""How well a network says which of several labels an image has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ..errors import UserError
from ..scores import Metric, Scores, Table, Unit
from .intervals import wilson

__all__ = ["ManyRight", "average_precision"]

# Draws of a bootstrap: the ends of a 95 % interval from 200 are known to a few percent of its width.
_DRAWS = 200


class ManyRight:
    """Counts logits ⟨N,classes⟩ against answers ⟨N,classes⟩ of 0 and 1. A label is given where its logit is above 0.

    Metrics: `map`, the mean over classes that occur of their average precision, with a 95 % interval by bootstrap over the
    images; `f1`, over all labels together; `exact`, the share of images with every label right (Wilson's interval); `loss`,
    the mean binary cross-entropy in nats. A table has each class's average precision. With `intervals=False` the bootstrap,
    which takes longer than the counting, is left out.
    """

    def __init__(self, classes: Sequence[str], *, intervals: bool = True) -> None:
        self._classes, self._intervals = tuple(classes), intervals
        self._logits: list[np.ndarray] = []
        self._answers: list[np.ndarray] = []
        self._loss = 0.0

    @torch.inference_mode()
    def add(self, outputs: Tensor, batch: Any) -> None:
        logits = outputs.float()
        if logits.ndim != 2 or logits.shape[1] != len(self._classes):
            raise UserError(
                f"the model gives outputs of shape {tuple(logits.shape[1:])}, but the data has {len(self._classes)} classes"
            )
        if not logits.isfinite().all():
            raise UserError(
                "the model's output is not finite; the training that made it diverged, or the weights are damaged"
            )
        answers = batch.answers.to(logits.device)
        loss = binary_cross_entropy_with_logits(logits, answers, reduction="none").double().mean(1)
        self._loss += loss.sum().item()
        self._logits.append(logits.cpu().numpy())
        self._answers.append(answers.cpu().numpy() > 0.5)

    def each(self) -> None:
        """None: average precision is of a ranking of all images."""

    def scores(self, split: str, where: Callable[[int], str | None]) -> Scores:
        if not self._logits:
            raise UserError(f"there are no images to score in split '{split}'")
        logits, answers = np.concatenate(self._logits), np.concatenate(self._answers)
        n = len(logits)
        each = [average_precision(logits[:, c], answers[:, c]) for c in range(len(self._classes))]
        known = [one for one in each if one is not None]
        if not known:
            raise UserError(
                f"none of the {len(self._classes)} classes occurs in split '{split}': nothing can be ranked"
            )
        given = logits > 0
        both = 2 * int((given & answers).sum())
        exact = int((given == answers).all(1).sum())
        rounded = [None if one is None else round(one, 4) for one in each]
        rows = tuple((name, int(answers[:, c].sum()), rounded[c]) for c, name in enumerate(self._classes))
        return Scores(
            split=split,
            n=n,
            metrics=(
                Metric(
                    "map",
                    float(np.mean(known)),
                    self._interval(logits, answers),
                    unit=Unit.NONE,
                    label="mean average precision",
                ),
                Metric("exact", exact / n, wilson(exact, n), label="all labels right"),
                Metric(
                    "f1", both / max(1, int(given.sum()) + int(answers.sum())), unit=Unit.NONE, label="F1 of all labels"
                ),
                Metric("loss", self._loss / n, unit=Unit.NATS, more_is_better=False, label="loss"),
            ),
            blocks=(Table("Average precision of each class", ("class", "images", "average precision"), rows),),
        )

    def _interval(self, logits: np.ndarray, answers: np.ndarray) -> tuple[float, float] | None:
        if not self._intervals or len(logits) < 2:
            return None
        rng, means = np.random.default_rng(0), []
        for _ in range(_DRAWS):
            drawn = rng.integers(0, len(logits), len(logits))
            each = [average_precision(logits[drawn, c], answers[drawn, c]) for c in range(len(self._classes))]
            known = [one for one in each if one is not None]
            if known:
                means.append(float(np.mean(known)))
        low, high = np.quantile(means, (0.025, 0.975))
        return float(low), float(high)


def average_precision(scores: np.ndarray, answers: np.ndarray) -> float | None:
    """The area under precision over recall, as a sum over the images that have the label; None where none has.

        AP = mean over positives of the share of positives among all that score at least as high

    >>> average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True]))
    0.8333333333333333
    """
    positives = int(answers.sum())
    if positives == 0:
        return None
    order = np.argsort(-scores, kind="stable")
    ranked, sorted_answers = scores[order], answers[order]
    right = np.cumsum(sorted_answers)
    # Ties stand together: each is counted at the end of its run, whichever order they came in.
    last = np.searchsorted(-ranked, -ranked, side="right") - 1
    precision = right[last] / (last + 1)
    return float(precision[sorted_answers].sum() / positives)
