"""Many small trainings, on local processes or a Ray cluster, each done once: what studies of scaling are made of.

A trial is trained by one thread wherever it runs, so that its result does not depend on how many run beside it. A finished
one leaves a file named by a hash of all it depends on; one that was killed goes on from its checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ...arch import ArchSpec
from ...codec import to_json
from ...data import ImageData
from ...errors import UserError
from ...files import write_text
from ...locks import at_work
from ...recipe import Keep, Recipe
from ...scores import Unit
from ...watcher import Watcher
from ..feed import Feed, normaliser, refuse_lone_images, validation_batches
from ..source import fingerprint
from .farm import Farm, orphaned

__all__ = ["Outcome", "Trial", "train_all"]


@dataclass(frozen=True)
class Trial:
    """One training: a network, how it is trained, its seed, and what is set of the task, as `--set` has it."""

    spec: ArchSpec
    recipe: Recipe
    seed: int
    task: tuple[str, ...] = ()

    def key(self, data: str) -> str:
        """The name of its result: a hash of all that the result depends on. The spec's own name does not count."""
        text = "\0".join((to_json(replace(self.spec, name="")), to_json(self.recipe), data, str(self.seed), *self.task))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """What a trial gave: the headline, a share, and the loss on the `n` validation images of the last epoch, or why it failed."""

    top1: float
    loss: float
    n: int
    failed: str = ""


def train_all(
    trials: Sequence[Trial],
    images: ImageData,
    out: Path,
    *,
    workers: int = 1,
    cluster: str | None = None,
    watcher: Watcher | None = None,
) -> tuple[Outcome, ...]:
    """The outcome of every trial, in their order, those of earlier calls read from `out`.

    `workers` local processes train beside each other; `cluster` is the address of a Ray cluster whose every free core
    trains one. Both give the same outcomes as one process. A training that diverges is an outcome that says so.
    """
    if any(trial.recipe.keep is not Keep.LAST or trial.recipe.patience for trial in trials):
        raise UserError(
            "a study compares last epochs, since choosing flatters every network: leave out keep and patience"
        )
    for spec, recipe in {(trial.spec, trial.recipe) for trial in trials}:
        refuse_lone_images(spec, recipe, len(images.train))
    watcher, data = watcher or Watcher(), fingerprint(images)
    keys = [trial.key(data) for trial in trials]
    todo = {key: trial for key, trial in zip(keys, trials, strict=True) if not (out / f"{key}.json").exists()}
    done, total = len(set(keys)) - len(todo), len(set(keys))
    if done:
        watcher.note(f"{done} of {total} trials were done before")
    # The dearest first: the last to end should be short.
    order = sorted(todo, key=lambda key: -_effort(todo[key]))
    work = {key: (todo[key], None if cluster else out / f"{key}.pt") for key in order}
    with at_work(out), Farm(_trained, images, workers=workers, cluster=cluster if work else None) as farm:
        for key, outcome in farm(work) if work else ():
            _keep(out / f"{key}.json", outcome)
            done += 1
            watcher.count("trials", done, total)
            if outcome.failed:
                watcher.note(f"{todo[key].spec.name}, seed {todo[key].seed}: {outcome.failed}")
    return tuple(_kept(out / f"{key}.json") for key in keys)


def _effort(trial: Trial) -> float:
    from ...costs import cost

    return cost(trial.spec).macs * trial.recipe.epochs


def _trained(images: ImageData, work: tuple[Trial, Path | None]) -> Outcome:
    """A trial with the checkpoint that it goes on from; without one, as on another machine, it begins anew."""
    trial, checkpoint = work
    if checkpoint is not None:
        return train_one(trial, images, checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        return train_one(trial, images, Path(folder) / "last.pt")


def train_one(trial: Trial, images: ImageData, checkpoint: Path) -> Outcome:
    """Train a trial by one thread. A process whose parent was killed stops at its next step."""
    import torch

    from ...evals import evaluate
    from ...model import build
    from ...resolve import device
    from ...tasks import task_for
    from ...training import Single, fit, forget_checkpoint
    from ...watcher import StepDone

    torch.set_num_threads(1)
    where = device()
    normalise, validation = normaliser(trial.spec, where), validation_batches(trial.spec, images.val)
    model, task = build(trial.spec, seed=trial.seed), task_for(images, settings=trial.task)
    try:
        for record in fit(
            Single(model, task, trial.recipe),
            trial.recipe,
            Feed(trial.spec, images, trial.recipe, trial.seed, 0),
            prepare=normalise,
            evaluate=lambda network: {},  # only the last epoch counts: choosing the best would flatter every network
            checkpoint=checkpoint,
            device=where,
            seed=trial.seed,
        ):
            if isinstance(record, StepDone) and orphaned():
                os._exit(1)
        meter = task.meter(images.classes, pictures=0)
        found = evaluate(model, validation(), meter, prepare=normalise, device=where)
        if found.headline.unit is not Unit.SHARE:
            raise UserError(
                f"a study goes by shares, and the {found.headline.words} of these pictures is none: no individual has a scale"
            )
        outcome = Outcome(found.headline.value, found["loss"], found.n)
    except UserError as error:
        outcome = Outcome(0.0, 0.0, 0, failed=str(error))
    forget_checkpoint(checkpoint)
    return outcome


# ---- results on disk -------------------------------------------------------------------------------------------------


def _keep(path: Path, outcome: Outcome) -> None:
    write_text(path, json.dumps(asdict(outcome)))


def _kept(path: Path) -> Outcome:
    try:
        return Outcome(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is not a trial's result ({error}); remove it to train that trial again") from None
