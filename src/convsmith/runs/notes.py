"""What is worth knowing of a run beside its numbers, in a sentence each: before it is trained, and of what came of it.

One list for the terminal, for dry runs and for reports. A rule gives its sentence where it applies, and nothing otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..scores import Confusion, Scores, headline_among, worth_of
from ..units import plural
from .lines import Epoch
from .records import Config, Data

__all__ = ["OF_DATA", "OF_RESULTS", "Known", "Rule", "best_of", "notes_on", "stopped_early"]

FEWEST_STEPS = 5  # an epoch
MOST_DROPPED = 0.1  # of the images to train on
LOPSIDED = 10  # times as many images of one class as of another
FEW_TO_VALIDATE = 100  # with fewer, the 95 % interval of a share may be wider than twenty points
FEW_TO_TRAIN = 2000
FEW_INDIVIDUALS = 3  # to validate on
NEARLY_ALWAYS = 0.95
MUCH_BETTER = 0.03
RISEN = 1.1  # times the least validation loss
MAKER = "synthesise"  # the task of what makes images


@dataclass(frozen=True)
class Known:
    """What is known of a run so far. `recipe` is a `Recipe` as JSON data, and `weights` whether it began with some."""

    data: Data
    recipe: Mapping[str, Any]
    weights: bool
    epochs: tuple[Epoch, ...] = ()
    scores: Scores | None = None
    makes: bool = False  # what is trained makes images

    @classmethod
    def of(cls, config: Config, data: Data, epochs: tuple[Epoch, ...] = (), scores: Scores | None = None) -> Known:
        makes = (config.task or {}).get("kind") == MAKER
        return cls(data, config.recipe, config.weights is not None, epochs, scores, makes)

    @property
    def batch(self) -> int:
        return int(self.recipe.get("batch", 1))

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return max(1, self.data.train // self.batch)


Rule: TypeAlias = Callable[[Known], str]


def notes_on(known: Known, rules: Sequence[Rule] | None = None) -> tuple[str, ...]:
    """Every sentence that applies to what is known, in the order of the rules: those of the data, then those of the results."""
    return tuple(said for rule in rules or (*OF_DATA, *OF_RESULTS) if (said := rule(known)))


def best_of(epochs: tuple[Epoch, ...]) -> Epoch | None:
    """The epoch that validated best, as training itself chooses it."""
    return max(epochs, key=_worth, default=None)


def stopped_early(epochs: tuple[Epoch, ...], recipe: Mapping[str, Any]) -> bool:
    """Whether training ended before its time because no epoch was better for long."""
    best, patience = best_of(epochs), recipe.get("patience", 0)
    return bool(patience and best and epochs[-1].epoch - best.epoch >= patience)


# ---- of the data and the recipe --------------------------------------------------------------------------------------


def _few_steps(known: Known) -> str:
    if known.steps >= FEWEST_STEPS or known.data.train < 2 * FEWEST_STEPS:
        return ""
    n = known.data.train
    batch = 2 ** int(math.log2(n / FEWEST_STEPS))
    return f"{plural(known.steps, 'step')} an epoch, of {n:,} {known.data.what}s: --batch {batch} gives {n // batch}"


def _dropped(known: Known) -> str:
    left = known.data.train - known.steps * known.batch
    if left <= MOST_DROPPED * known.data.train:
        return ""
    of = f"{known.data.train:,} {known.data.what}s"
    return f"{left:,} of {of} are left out of each epoch, others each time: they do not fill a batch"


def _lopsided(known: Known) -> str:
    counts = {name: n for name, (n, _) in zip(known.data.classes, known.data.per_class, strict=False) if n}
    if not counts or max(counts.values()) < LOPSIDED * min(counts.values()):
        return ""
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if known.data.points:
        return (
            f"'{least}' is labelled in {plural(counts[least], 'image')} to train on, '{most}' in {counts[most]}: what is not "
            "labelled is learnt to be nowhere; --set task.mask_absent=true leaves it out"
        )
    if known.data.objects:
        few = plural(counts[least], "image")
        return f"'{least}' is in {few} to train on, '{most}' in {counts[most]}: little is learnt of the first"
    if known.makes:
        few = plural(counts[least], "image")
        return f"there are {few} of '{least}' to train on, {counts[most]} of '{most}': little is learnt of the first"
    return (
        f"{counts[most] / counts[least]:.0f} to 1 between classes: {plural(counts[most], 'image')} of '{most}' to train on, "
        f"{counts[least]} of '{least}'; --class-weights balanced gives them the same say"
    )


def _few_to_validate(known: Known) -> str:
    n = known.data.val
    if (
        not 0 < n < FEW_TO_VALIDATE or known.data.points or known.data.objects or known.makes
    ):  # points and objects are counted one by one, and an interval goes by individuals or by images
        return ""
    said = plural(n, f"validation {known.data.what}")
    return f"{said}: the 95 % interval of a score is up to {100 * min(1, 1.96 / math.sqrt(n)):.0f} points wide"


def _few_individuals(known: Known) -> str:
    n = known.data.individuals[1] if len(known.data.individuals) > 1 else 0
    if not 0 < n < FEW_INDIVIDUALS:
        return ""
    return f"validated on images of {plural(n, 'individual')}: a score says little of others, and its interval knows of no more"


def _few_to_train(known: Known) -> str:
    if known.weights or known.makes or known.data.train >= FEW_TO_TRAIN:
        return ""
    if known.data.films:
        return f"{known.data.train:,} films are few for random weights; those of a network for pictures may begin: --weights"
    return (
        f"{known.data.train:,} images are few for random weights; start from weights: --weights timm:NAME, or `design --weights "
        "auto`"
    )


# ---- of what came of it ----------------------------------------------------------------------------------------------


def _below_majority(known: Known) -> str:
    found = _classified(known.scores)
    if found is None:
        return ""
    scores, confusion = found
    (name, share), headline = confusion.largest, scores.headline
    low = headline.value if headline.interval is None else headline.interval[0]
    if low > share:
        return ""
    told = "is no better" if headline.value <= share else "cannot be told from it"
    return f"always answering '{name}' gives {share:.1%}; {headline.words} {headline.text} {told}"


def _one_answer(known: Known) -> str:
    found = _classified(known.scores)
    if found is None or (share := found[1].favourite[1]) < NEARLY_ALWAYS:
        return ""
    return f"'{found[1].favourite[0]}' is the answer to {share:.0%} of the images"


def _kept(known: Known) -> str:
    best = best_of(known.epochs)
    if known.scores is None or best is None or known.recipe.get("keep") != "best":
        return ""
    fair = "; `evaluate RUN --split test` is fair" if known.data.test else ""
    return (
        f"epoch {best.epoch} of {known.epochs[-1].epoch} is kept, the best on the validation images: a score on these is "
        f"optimistic{fair}"
    )


def _stopped(known: Known) -> str:
    if not stopped_early(known.epochs, known.recipe):
        return ""
    last, patience = known.epochs[-1].epoch, known.recipe["patience"]
    return f"stopped after epoch {last} of {known.recipe['epochs']}: none of the last {patience} was better than those before"


def _overfits(known: Known) -> str:
    losses = [(loss, epoch.epoch) for epoch in known.epochs if (loss := epoch.values.get("val_loss")) is not None]
    if known.scores is None or len(losses) < 3 or known.recipe.get("keep") == "best":
        return ""
    (least, at), (last, end) = min(losses), losses[-1]
    if end - at < 2 or last <= RISEN * least:
        return ""
    return (
        f"the network is overfitting: the validation loss has risen since epoch {at}, from {least:.2f} to {last:.2f}; more images, "
        "weights to begin with or fewer epochs would help"
    )


def _better_before(known: Known) -> str:
    """The last epoch is handed over, and another was much better: of what is a share, or an average of such."""
    best = best_of(known.epochs)
    if known.scores is None or best is None or known.recipe.get("keep") == "best":
        return ""
    then, now = (headline_among(_numbers(epoch)) for epoch in (best, known.epochs[-1]))
    if then is None or now is None or not 0 <= then.value <= 1 or then.value - now.value < MUCH_BETTER:
        return ""
    return f"epoch {best.epoch} validated at {then.text} and the last, which is kept, at {now.text}: --keep best keeps the best"


OF_DATA: tuple[Rule, ...] = (_few_steps, _dropped, _lopsided, _few_to_validate, _few_individuals, _few_to_train)
OF_RESULTS: tuple[Rule, ...] = (_below_majority, _one_answer, _kept, _stopped, _overfits, _better_before)


def _classified(scores: Scores | None) -> tuple[Scores, Confusion] | None:
    """Scores of a classifier on images of several classes, with its confusion."""
    if scores is None:
        return None
    found = next((block for block in scores.blocks if isinstance(block, Confusion)), None)
    several = found is not None and sum(any(row) for row in found.matrix) > 1
    return (scores, found) if found is not None and several else None


def _worth(epoch: Epoch) -> tuple[float, float]:
    return worth_of(_numbers(epoch))


def _numbers(epoch: Epoch) -> dict[str, float]:
    return {name: value for name, value in epoch.values.items() if value is not None}
