"""What a reader should know before believing a run's score: each in a sentence, from the files of the run alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..scores import Confusion, Unit
from .facts import RunFacts
from .format import ends, percent

__all__ = ["notes"]

# From these on a thing is worth a word.
WIDE = 0.10  # an interval, from end to end
LOPSIDED = 10  # times as many training images in the largest class as in the smallest
NEARLY_ALWAYS = 0.9  # of the answers are one class
RISEN = 1.1  # times the least validation loss
FEW_STEPS = 2  # an epoch


def notes(facts: RunFacts) -> tuple[str, ...]:
    """The notes on a run, the gravest first; none where nothing speaks against its score."""
    return tuple(said for rule in _RULES if (said := rule(facts)))


def _majority(facts: RunFacts) -> str:
    found = _confusion(facts)
    if found is None or facts.scores is None:
        return ""
    own = [sum(row) for row in found.matrix]
    share, right = max(own) / max(sum(own), 1), facts.scores.headline
    if right.name != "top1":
        return ""
    answer = f"always answering '{found.classes[own.index(max(own))]}'"
    if right.value <= share:
        return f"The score is no better than {answer}, which gives {percent(share)}."
    if right.interval is not None and right.interval[0] <= share:
        return f"The score cannot be told from {answer}, which gives {percent(share)}."
    return ""


def _one_answer(facts: RunFacts) -> str:
    found = _confusion(facts)
    if found is None:
        return ""
    answers = [sum(column) for column in zip(*found.matrix, strict=True)]
    most, n = max(answers), max(sum(answers), 1)
    true = sum(found.matrix[answers.index(most)]) / n
    if most / n < NEARLY_ALWAYS or true >= NEARLY_ALWAYS:
        return ""
    return f"The network answers '{found.classes[answers.index(most)]}' for {percent(most / n, 0)} of the images."


def _few_images(facts: RunFacts) -> str:
    if facts.scores is None:
        return ""
    score = facts.scores.headline
    if score.unit is not Unit.SHARE or score.interval is None or score.interval[1] - score.interval[0] <= WIDE:
        return ""
    return f"The {facts.scores.n:,} {facts.scores.split} images are few: the true {score.words} may lie anywhere in {ends(score)}."


def _overfits(facts: RunFacts) -> str:
    losses = _losses(facts)
    if len(losses) < 3:
        return ""
    (least, at), (last, end) = min(losses), losses[-1]
    if end - at < 2 or last <= RISEN * least:
        return ""
    return (
        f"The network is overfitting: the validation loss has risen since epoch {at}, from {least:.2f} to {last:.2f}. "
        "More images, weights to begin with or fewer epochs would help."
    )


def _few_steps(facts: RunFacts) -> str:
    batch = facts.config.recipe.get("batch") if facts.config else None
    if facts.data is None or not isinstance(batch, int) or facts.data.train >= FEW_STEPS * batch:
        return ""
    return f"Batches of {batch} make one step an epoch of {facts.data.train:,} training images: a smaller batch would learn more."


def _lopsided(facts: RunFacts) -> str:
    if facts.data is None or len(facts.data.per_class) != len(facts.data.classes) or not facts.data.classes:
        return ""
    counts = [train for train, _ in facts.data.per_class]
    if max(counts) < LOPSIDED * max(min(counts), 1):
        return ""
    names = facts.data.classes
    return (
        f"The classes are lopsided: '{names[counts.index(max(counts))]}' has {max(counts):,} training images, "
        f"'{names[counts.index(min(counts))]}' has {min(counts):,}."
    )


_RULES: Sequence[Callable[[RunFacts], str]] = (
    _majority, _one_answer, _overfits, _few_images, _few_steps, _lopsided,
)  # fmt: skip


def _confusion(facts: RunFacts) -> Confusion | None:
    blocks = facts.scores.blocks if facts.scores else ()
    return next((block for block in blocks if isinstance(block, Confusion) and block.classes), None)


def _losses(facts: RunFacts) -> list[tuple[float, int]]:
    """The validation loss of each epoch that has one, with the epoch's number."""
    found = [(epoch.values.get("val_loss"), epoch.epoch) for epoch in facts.epochs]
    return [(loss, number) for loss, number in found if loss is not None and math.isfinite(loss)]
