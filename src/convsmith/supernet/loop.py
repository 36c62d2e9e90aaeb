"""Training a supernet: a loop of sandwich steps with a watch on it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import Stopped, UserError
from ..model import Model
from ..recipe import Precision, Recipe
from ..training import Feed, Ranks, TrainingDiverged, rate_at
from ..training.average import averaged
from ..training.checkpoint import restore_checkpoint, save_checkpoint
from ..training.clip import clip_adaptively
from ..training.memory import keeping_memory
from ..training.optim import optimiser
from ..training.ranks import ALONE
from ..watcher import EpochDone, Started, StepDone
from .sandwich import Draw, Gradients, assert_distinct, drawn, sandwich
from .shared import Supernet
from .watchdog import Watch, look

__all__ = ["RolledBack", "SupernetRecord", "Watched", "refuse_recipe", "train_supernet"]

# Seconds between checkpoints inside an epoch; an epoch's end always writes one.
CHECKPOINT_EVERY = 60.0
# Reading a CUDA loss stops the device, so there it is looked at only every so many steps.
LOOK_EVERY = 20
# After so many falls the data or the recipe is at fault, and going back does not help.
MOST_FALLS = 10


@dataclass(frozen=True)
class Watched:
    """The smallest and the biggest child's loss on the fixed batch, and the share of the scheduled rate they were got at."""

    step: int
    smallest: float
    biggest: float
    share: float


@dataclass(frozen=True)
class RolledBack:
    """Training collapsed by `step` and goes on from step `to`, at `share` of the scheduled rate."""

    step: int
    to: int
    share: float
    reason: str


SupernetRecord = Started | StepDone | EpochDone | Watched | RolledBack


@keeping_memory
def train_supernet(
    supernet: Supernet,
    recipe: Recipe,
    feed: Feed,
    *,
    prepare: Callable[[Tensor], Tensor],
    evaluate: Callable[[Supernet], dict[str, float]],
    checkpoint: Path,
    device: torch.device,
    seed: int,
    randoms: int = 2,
    labels_first: float = 0.0,
    draw: Draw = drawn,
    gradients: Gradients = sandwich,
    watch_every: int = 50,
    ranks: Ranks = ALONE,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[SupernetRecord]:
    """Train the shared weights in place by `recipe`, from `checkpoint` where there is one, yielding what happens.

    As `training.fit`, with one sandwich a step: the biggest child, `randoms` drawn ones, the smallest. A `StepDone`'s loss
    is the biggest child's. Every `watch_every` steps, and at an epoch's end, the smallest and the biggest child are looked
    at on the feed's first batch. Where one has collapsed, or a loss is not finite, training goes back to the weights of the
    last good look, with an optimiser that remembers nothing and half the rate, which doubles again after five good looks.
    Only states of good looks are written, so a run that was killed and resumed goes back where one that was not does, and
    makes the same weights, bit for bit on a CPU.

    For the share `labels_first` of the steps all children learn from labels, and only then from the biggest. The paper's is 0;
    in a short training the biggest has nothing to teach at first, and holding to it costs all of them accuracy.

    `draw` and `gradients` are the sandwich's two halves, for studies that change one: which children a step has beside the
    biggest, and what a batch adds to the gradients.

    The space's base carries dropout and stochastic depth, as a spec does for `fit`.

    Raises:
        UserError: a recipe that a supernet cannot be trained by, a checkpoint of another space, children that do not differ.
        TrainingDiverged: more falls than going back can cure.
        Stopped: `stop` became true; the checkpoint is of the last good look.
    """
    refuse_recipe(recipe)
    run = _Run(supernet, recipe, device, ranks, gradients)
    steps = recipe.epochs * feed.steps_per_epoch
    state, damage = ranks.from_first(lambda: restore_checkpoint(checkpoint))
    done = 0 if state is None else run.restored(state, steps, checkpoint)
    del state
    fixed = next(iter(feed.batches(0, 1)))
    with torch.no_grad():
        watched, answers = prepare(fixed.images), fixed.labels.to(device)
    if done == 0 and len(answers):
        assert_distinct(supernet, watched)
    good = run.state(done, steps)  # of the last good look
    yield Started(done, steps, damage)

    saved = time.monotonic()
    while True:
        for step, batch in zip(range(done, steps), feed.batches(done, steps), strict=True):
            # ---- a step ------------------------------------------------------------------------------------------
            torch.manual_seed(seed * 1_000_003 + step + ranks.rank * 2_654_435_761)
            rate = run.watch.share * rate_at(
                step,
                steps=steps,
                warmup=round(recipe.warmup * feed.steps_per_epoch),
                peak=recipe.rate * recipe.batch / 256,
                schedule=recipe.schedule,
                per_epoch=feed.steps_per_epoch,
            )
            epoch, ends = step // feed.steps_per_epoch + 1, (step + 1) % feed.steps_per_epoch == 0
            children = draw(supernet.space, seed=seed, step=step, randoms=randoms)
            looked = device.type == "cpu" or step % LOOK_EVERY == 0 or ends
            value = run.step(
                batch.images, batch.labels, children, prepare, rate, labelled=step < labels_first * steps, looked=looked
            )
            reason = "" if math.isfinite(value) or not looked else f"the loss became {value}"

            # ---- a look ------------------------------------------------------------------------------------------
            losses: tuple[float, ...] = ()
            stopping = ranks.any(stop())
            if not reason:
                yield StepDone(step + 1, steps, epoch, value, rate, len(batch.labels) * ranks.world)
                if ends or (step + 1) % watch_every == 0:
                    losses = look(supernet, watched, answers, ranks)
                    reason = run.watch.judged(losses, math.log(max(2, supernet.space.base.head.n_names)))
                    yield Watched(step + 1, *losses, run.watch.share)
            if reason:
                fallen = run.watch
                done = run.restored(good, steps, checkpoint)
                run.watch = run.watch.fallen(fallen)
                # A state may be good and on its way out: what it had gathered for its next steps is not gone back to.
                run.optim.state.clear()
                # What was learnt about the rate must outlive this process, or it would be learnt anew.
                good = run.state(done, steps)
                yield RolledBack(step + 1, done, run.watch.share, reason)
                if run.watch.falls > MOST_FALLS:
                    raise TrainingDiverged(
                        f"training collapsed {run.watch.falls} times, the last time at step {step + 1}: {reason}. "
                        f"The last good checkpoint is kept. Try --set rate={recipe.rate / 4:g}"
                    )
                if stopping:
                    run.save(checkpoint, good)
                    raise Stopped(_stopped(good, steps))
                break

            # ---- a good state ------------------------------------------------------------------------------------
            if losses:
                run.watch = run.watch.passed(losses)
            if ends:
                scores = evaluate(run.shipped()) if ranks.leads else {}
                yield run.tally.done(epoch, step + 1, rate, scores)
                run.tally = _Tally(device)
            if losses:
                good = run.state(step + 1, steps)
                if ends or time.monotonic() - saved > CHECKPOINT_EVERY:
                    run.save(checkpoint, good)
                    saved = time.monotonic()
            if stopping:
                run.save(checkpoint, good)
                raise Stopped(_stopped(good, steps))
        else:
            break

    run.finish()


def refuse_recipe(recipe: Recipe) -> None:
    """Raise `UserError` where a supernet cannot be trained by `recipe`."""
    if recipe.frozen or recipe.first_side < 1:
        raise UserError(
            "a supernet is trained whole and at its children's resolutions: set frozen=False and first_side=1"
        )


class _Run:
    """Everything that a step changes."""

    def __init__(
        self, supernet: Supernet, recipe: Recipe, device: torch.device, ranks: Ranks, gradients: Gradients
    ) -> None:
        self.supernet, self.recipe, self.device, self.ranks = supernet, recipe, device, ranks
        self.gradients = gradients
        self.model = supernet.model
        self.model.to(device).to(memory_format=torch.channels_last)
        ranks.align(self.model, device)
        self.optim = optimiser(self.model, recipe)
        self.average = averaged(self.model, recipe.average) if recipe.average else None
        self.autocast = _autocast(recipe.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.autocast is torch.float16)
        self.watch = Watch()
        self.tally = _Tally(device)

    def step(
        self,
        images: Tensor,
        labels: Tensor,
        children: tuple[Any, ...],
        prepare: Callable[[Tensor], Tensor],
        rate: float,
        *,
        labelled: bool,
        looked: bool,
    ) -> float:
        """One step of the optimiser; the biggest child's loss, or NaN where it was not looked at.

        A loss that is not finite leaves the weights as they are.
        """
        recipe, count = self.recipe, len(labels)
        if count == 0 and self.ranks.alone:  # every image of the batch became unreadable since the data was checked
            return 0.0
        for group in self.optim.param_groups:
            group["lr"] = rate * group["share"]
        self.optim.zero_grad(set_to_none=True)
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)  # of losses, right answers, images
        for part in _parts(count, recipe.accumulate):
            own = labels[part].to(self.device, non_blocking=True)
            seen = self.gradients(
                self.supernet,
                prepare(images[part]),
                own,
                children,
                recipe,
                labelled=labelled,
                share=len(own) / count,
                scaled=self.scaler.scale,
                autocast=self.autocast,
            )
            right = (seen.logits.argmax(1) == own).sum()
            sums += torch.stack((seen.loss.double() * len(own), right, right.new_tensor(len(own))))
        self.ranks.total(sums)
        self.ranks.combine(self.model, count)
        if recipe.clip or recipe.adaptive_clip:
            self.scaler.unscale_(self.optim)
        if recipe.adaptive_clip:
            clip_adaptively(self.model, recipe.adaptive_clip)
        if recipe.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        value = (sums[0] / sums[2].clamp_min(1)).item() if looked else math.nan
        if looked and not math.isfinite(value):
            return value
        self.scaler.step(self.optim)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.tally.add(sums)
        return value

    def shipped(self) -> Supernet:
        """The supernet that would be handed over now."""
        if self.average is None:
            return self.supernet
        average = self.average.module
        assert isinstance(average, Model)
        return self.supernet.over(average)

    def finish(self) -> None:
        if self.average is not None:
            self.model.load_state_dict(self.average.module.state_dict())

    # ---- state ---------------------------------------------------------------------------------------------------

    def state(self, step: int, steps: int) -> dict[str, Any]:
        """A copy of all that a step changes."""
        state: dict[str, Any] = {
            "step": step,
            "steps": steps,
            "space": self.supernet.space.key,
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self.optim.state_dict(),
            "scaler": self.scaler.state_dict(),
            "watch": self.watch.state(),
            "tally": self.tally.state(),
        }
        return deepcopy(state)

    def restored(self, state: dict[str, Any], steps: int, path: Path) -> int:
        """Go back to `state`, which stays as it is; the step that it is of."""
        if state.get("space") != self.supernet.space.key:
            raise UserError(f"{path} belongs to another search space than {self.supernet.space.base.name}'s")
        if state["steps"] != steps:
            raise UserError(
                f"{path} belongs to a run of {state['steps']} steps, not {steps}: its data or recipe has changed"
            )
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optim.load_state_dict(deepcopy(state["optimiser"]))  # it would keep the tensors it is given
        self.scaler.load_state_dict(state["scaler"])
        watch = state["watch"]
        self.watch = Watch(**{**watch, "usual": tuple(watch["usual"])})
        self.tally = _Tally(self.device, state["tally"])
        return int(state["step"])

    def save(self, path: Path, state: dict[str, Any]) -> None:
        if self.ranks.leads:
            save_checkpoint(path, state)


class _Tally:
    """Sums over an epoch, kept on the device so that nothing waits for them."""

    def __init__(self, device: torch.device, state: dict[str, Any] | None = None) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)
        self.before = 0.0
        if state is not None:
            self.sums.copy_(state["sums"])
            self.before = state["seconds"]
        self.began = time.monotonic()

    def add(self, sums: Tensor) -> None:
        self.sums += sums

    def state(self) -> dict[str, Any]:
        return {"sums": self.sums.cpu(), "seconds": self.before + time.monotonic() - self.began}

    def done(self, epoch: int, step: int, rate: float, scores: dict[str, float]) -> EpochDone:
        loss, right, images = self.sums.tolist()
        seconds = self.before + time.monotonic() - self.began
        count = max(1.0, images)
        return EpochDone(epoch, step, loss / count, right / count, rate, images / seconds, seconds, scores)


def _autocast(precision: Precision, device: torch.device) -> torch.dtype | None:
    match precision:
        case Precision.BF16:
            return torch.bfloat16
        case Precision.FP16:
            return torch.float16
        case Precision.AUTO if device.type == "cuda" and torch.cuda.is_bf16_supported():
            return torch.bfloat16
        case _:
            return None


def _parts(images: int, parts: int) -> Iterator[slice]:
    """A batch cut as evenly as can be, without empty parts."""
    cuts = [images * i // parts for i in range(parts + 1)]
    return (slice(first, last) for first, last in pairwise(cuts) if last > first)


def _stopped(state: dict[str, Any], steps: int) -> str:
    return f"stopped by SIGTERM; the checkpoint is of step {state['step']} of {steps}, the last good look"
