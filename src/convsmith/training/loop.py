"""The one training loop.

It knows neither families nor tasks: a trainee takes steps, a feed gives batches, a function evaluates, records come out.
All randomness of a step is seeded by (seed, step), so a run that was killed and resumed makes the same weights, bit for bit
on a CPU, as one that was not. Where several processes train together, each runs this loop on its part of every batch
(`ranks`). With a lookout it goes back to a good state where training collapses.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from ..errors import Stopped, UserError
from ..layers import channels_last
from ..recipe import Precision, Recipe
from ..watcher import Record, RolledBack, Started, StepDone
from .average import averaged
from .best import Best
from .checkpoint import restore_checkpoint, save_checkpoint
from .memory import keeping_memory
from .optim import optimiser
from .ranks import ALONE, Ranks
from .schedule import rate_at
from .step import Batch, Moment, Trainee, step
from .tally import Tally
from .watchdog import Lookout, Watch

__all__ = ["Feed", "TrainingDiverged", "fit"]

T = TypeVar("T")

# Seconds between checkpoints inside an epoch; an epoch's end always writes one.
CHECKPOINT_EVERY = 60.0
# Reading a CUDA loss stops the device, so there it is looked at only every so many steps.
LOOK_EVERY = 20
# After so many falls the data or the recipe is at fault, and going back does not help.
MOST_FALLS = 10


class TrainingDiverged(UserError):
    """The loss is no longer a number, or going back to a good state does not help."""


class Feed(Protocol):
    """Training data as the loop sees it: a fixed stream of batches, one for each step of the whole run.

    Where several processes train together, each one's feed gives its own part of every batch, which may be empty.
    """

    @property
    def steps_per_epoch(self) -> int: ...
    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of steps `first` to `last` - 1; the same ones wherever the stream is entered."""
        ...


@keeping_memory
def fit(
    trainee: Trainee,
    recipe: Recipe,
    feed: Feed,
    *,
    prepare: Callable[[Tensor], Tensor],
    evaluate: Callable[[Any], dict[str, float]],
    checkpoint: Path,
    device: torch.device,
    seed: int,
    lookout: Lookout | None = None,
    ranks: Ranks = ALONE,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Record]:
    """Train `trainee` in place by `recipe`, from `checkpoint` where there is one, yielding a record a step and an epoch.

    `prepare` turns uint8 images into normalised floats on `device`; `evaluate` is given what would be handed over. When the
    iterator is exhausted, the trainee's product holds the weights to ship: the moving average if the recipe has one, of the
    best epoch if it keeps that one.

    With a `lookout` what it watches is looked at now and then. Where that has collapsed, or a loss is not finite,
    training goes back to the weights of the last good look, with an optimiser that remembers nothing and half the rate,
    which doubles again after five good looks. Only states of good looks are written then, so a run that was killed and
    resumed goes back where one that was not does.

    Raises:
        UserError: the checkpoint is of another run.
        TrainingDiverged: a loss that is not finite, or with a lookout more falls than going back can cure; the last good
            checkpoint is kept.
        Stopped: `stop` became true; a checkpoint of that step, or of the last good look, is written.
    """
    # ---- state ---------------------------------------------------------------------------------------------------
    per_epoch = feed.steps_per_epoch
    steps = recipe.epochs * per_epoch
    run = _Run(trainee, recipe, steps, device, ranks, checkpoint)
    state, damage = ranks.from_first(lambda: restore_checkpoint(checkpoint))
    done = 0 if state is None else run.restore(state)
    del state
    watched: tuple[Tensor, Any] | None = None
    good: dict[str, Any] = {}  # the state of the last good look
    if lookout is not None:
        fixed = next(iter(feed.batches(0, 1)))
        with torch.no_grad():
            watched = prepare(fixed.images), fixed.answers.to(device)
        if done == 0 and len(fixed.answers):
            lookout.first(watched[0])
        good = deepcopy(run.state(done))
    before, over = done, ranks.any(run.best.over(done // per_epoch))
    done = steps if over else done  # it may have been stopped between its early end and this
    batches = feed.batches(done, steps)  # processes that read ahead begin while the start is told
    yield Started(before, steps, damage)

    saved = time.monotonic()
    while True:
        for at, batch in zip(range(done, steps), batches, strict=True):
            # ---- a step ------------------------------------------------------------------------------------------
            # No process may drop what another drops; a seed is 32 bits to the CPU's generator, which this factor fills.
            torch.manual_seed(seed * 1_000_003 + at + ranks.rank * 2_654_435_761)
            rate = run.watch.share * rate_at(
                at,
                steps=steps,
                warmup=round(recipe.warmup * per_epoch),
                peak=recipe.rate * recipe.batch / 256,
                schedule=recipe.schedule,
                per_epoch=per_epoch,
            )
            epoch, ends, inputs = at // per_epoch + 1, (at + 1) % per_epoch == 0, len(batch.answers)
            looked = device.type == "cpu" or at % LOOK_EVERY == 0 or ends
            value = run.step(batch, prepare, rate, run.moment(at, epoch - 1), looked=looked)
            reason = "" if value is None or math.isfinite(value) else f"the loss became {value}"
            if reason and lookout is None:
                raise TrainingDiverged(_diverged(reason, at, epoch, rate, recipe))

            # ---- a look ------------------------------------------------------------------------------------------
            losses: tuple[float, ...] = ()
            if not reason:
                yield StepDone(at + 1, steps, epoch, math.nan if value is None else value, rate, inputs * ranks.world)
                if lookout is not None and watched is not None and (ends or (at + 1) % lookout.every == 0):
                    losses = lookout.look(*watched, ranks)
                    reason = lookout.judged(run.watch, losses, (at + 1) / steps)
                    yield lookout.told(at + 1, losses, run.watch.share)
            stopping = ranks.any(stop())
            if reason:
                fallen = run.watch
                done = run.restore(good)
                batches = feed.batches(done, steps)
                run.watch = run.watch.fallen(fallen)
                # A state may be good and on its way out: what it had gathered for its next steps is not gone back to.
                for optim in run.optims:
                    optim.state.clear()
                # What was learnt about the rate must outlive this process, or it would be learnt anew.
                good = deepcopy(run.state(done))
                yield RolledBack(at + 1, done, run.watch.share, reason)
                if run.watch.falls > MOST_FALLS:
                    raise TrainingDiverged(
                        f"training collapsed {run.watch.falls} times, the last time at step {at + 1}: {reason}. "
                        f"The last good checkpoint is kept. Try --set rate={recipe.rate / 4:g}"
                    )
                if stopping:
                    run.save(good)
                    raise Stopped(_stopped(good))
                break

            # ---- the end of an epoch, or of this process's time --------------------------------------------------
            if losses:
                run.watch = run.watch.passed(losses)
            if ends:
                scores = evaluate(run.handed()) if ranks.leads else {}
                run.best.judge(epoch, scores, run.handed())
                # Told before it is saved: a run killed in between repeats the epoch and tells it again, and loses nothing.
                yield run.tally.done(epoch, at + 1, rate, scores)
                run.tally = Tally(device, trainee.terms)
            due = ends or time.monotonic() - saved > CHECKPOINT_EVERY
            if lookout is not None:
                if losses:
                    good = deepcopy(run.state(at + 1))
                due = due and bool(losses)
            if due or stopping:
                run.save(good or run.state(at + 1))
                saved = time.monotonic()
            if stopping:
                if good:
                    raise Stopped(_stopped(good))
                raise Stopped(f"stopped by SIGTERM after step {at + 1} of {steps}, whose checkpoint is written")
            if ends and ranks.any(run.best.over(epoch)):
                done, batches = steps, feed.batches(steps, steps)
                break
        else:
            break

    run.finish()


class _Run:
    """Everything that a step changes."""

    def __init__(
        self, trainee: Trainee, recipe: Recipe, steps: int, device: torch.device, ranks: Ranks, checkpoint: Path
    ) -> None:
        self.trainee, self.recipe, self.steps = trainee, recipe, steps
        self._device, self._ranks, self._checkpoint = device, ranks, checkpoint
        for turn in trainee.turns:
            channels_last(turn.module.to(device))
            ranks.align(turn.module, device)
        self.optims = [optimiser(turn.module, recipe, share=turn.rate) for turn in trainee.turns]
        self._average: AveragedModel | None = (
            averaged(trainee.product, recipe.average, start=recipe.average_start) if recipe.average else None
        )
        self._autocast = _autocast(recipe.precision, device)
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._autocast is torch.float16)
        self.watch = Watch()
        self.tally = Tally(device, trainee.terms)
        self.best = Best(recipe)

    def moment(self, at: int, epoch: int) -> Moment:
        return Moment(
            at,
            self.steps,
            epoch,
            self._device,
            scaled=self._scaler.scale,
            autocast=self._autocast,
            average=None if self._average is None else self._average.module,
        )

    def step(
        self, batch: Batch, prepare: Callable[[Tensor], Tensor], rate: float, moment: Moment, *, looked: bool
    ) -> float | None:
        """One step of every optimiser; the mean loss, or None where it was not looked at.

        A loss that is looked at and not finite leaves the weights as they are.
        """
        if len(batch.answers) == 0 and self._ranks.alone:  # all its images became unreadable since the data was checked
            return None
        for optim in self.optims:
            for group in optim.param_groups:
                group["lr"] = rate * group["share"]
        sums = step(
            self.trainee, self.optims, self._scaler, batch, prepare, self.recipe, moment, self._ranks, looked=looked
        )
        value = (sums[0] / sums[2].clamp_min(1)).item() if looked else None
        if value is not None and not math.isfinite(value):
            return value
        product = self.trainee.product
        if self._average is not None and any(
            one.module is product and one.due(moment.step) for one in self.trainee.turns
        ):
            self._average.update_parameters(product)
        self.tally.add(sums)
        return value

    def handed(self) -> Any:
        """What would be handed over now."""
        return self.trainee.handed(self.trainee.product if self._average is None else self._average.module)

    def finish(self) -> None:
        if self._average is not None:
            self.trainee.product.load_state_dict(self._average.module.state_dict())
        self.best.hand_over(self.trainee.product)
        self.trainee.product.eval()

    # ---- state ---------------------------------------------------------------------------------------------------

    def state(self, step: int) -> dict[str, Any]:
        """All that a step changes; the tensors are those in use."""
        return self.trainee.identity | {
            "step": step,
            "steps": self.steps,
            "model": _one([turn.module.state_dict() for turn in self.trainee.turns]),
            "average": None if self._average is None else self._average.state_dict(),
            "optimiser": _one([optim.state_dict() for optim in self.optims]),
            "scaler": self._scaler.state_dict(),
            "watch": self.watch.state(),
            "tally": self.tally.state(),
            "best": self.best.state(),
        }

    def restore(self, state: dict[str, Any]) -> int:
        """Go back to `state`, which stays as it is; the step that it is of."""
        for name, value in self.trainee.identity.items():
            if state.get(name) != value:
                raise UserError(f"{self._checkpoint} belongs to another {name} than this one")
        if state["steps"] != self.steps:
            raise UserError(
                f"{self._checkpoint} belongs to a run of {state['steps']} steps, not {self.steps}: its data or recipe has "
                "changed"
            )
        for turn, weights in zip(self.trainee.turns, _several(state["model"]), strict=True):
            turn.module.load_state_dict(weights)
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        for optim, own in zip(self.optims, _several(state["optimiser"]), strict=True):
            optim.load_state_dict(deepcopy(own))  # it would keep the tensors it is given
        self._scaler.load_state_dict(state["scaler"])
        self.watch = Watch.restored(state["watch"]) if "watch" in state else Watch()
        self.tally = Tally(self._device, self.trainee.terms, state["tally"])
        if "best" in state:  # checkpoints before 0.2 have none
            self.best.restore(state["best"])
        return int(state["step"])

    def save(self, state: dict[str, Any]) -> None:
        if self._ranks.leads:
            save_checkpoint(self._checkpoint, state)


def _one(items: list[T]) -> T | list[T]:
    """One module is kept by itself, as version 0.1 kept it; several as a list."""
    return items[0] if len(items) == 1 else items


def _several(items: Any) -> list[Any]:
    return items if isinstance(items, list) else [items]


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


def _stopped(good: dict[str, Any]) -> str:
    return f"stopped by SIGTERM; the checkpoint is of step {good['step']} of {good['steps']}, the last good look"


def _diverged(reason: str, step: int, epoch: int, rate: float, recipe: Recipe) -> str:
    lower = recipe.rate / 4
    reckoned = (
        ""
        if recipe.batch == 256
        else f" (rates are set for 256 images a step: here {recipe.rate:g} for {recipe.batch})"
    )
    return (
        f"{reason} at step {step + 1} (epoch {epoch}), at a learning rate of {rate:.4g}{reckoned}. "
        f"The last good checkpoint is kept. Try --set rate={lower:g}"
        + ("" if recipe.clip else ", --set clip=1")
        + (", --set precision=fp32" if recipe.precision is not Precision.FP32 else "")
    )
