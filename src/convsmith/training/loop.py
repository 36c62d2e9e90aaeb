"""The one training loop.

It knows neither families nor tasks: a feed gives batches, a function evaluates, records come out. All randomness of a
step is seeded by (seed, step), so a run that was killed and resumed makes the same weights, bit for bit on a CPU, as one
that was not. Where several processes train together, each runs this loop on its part of every batch (`ranks`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import Stopped, UserError
from ..recipe import Precision, Recipe
from ..watcher import EpochDone, Record, Started, StepDone
from .average import averaged
from .checkpoint import restore_checkpoint, save_checkpoint
from .clip import clip_adaptively
from .memory import keeping_memory
from .objective import loss_of
from .optim import answering, optimiser
from .ranks import ALONE, Ranks
from .schedule import rate_at

__all__ = ["Batch", "Feed", "TrainingDiverged", "fit"]

# Seconds between checkpoints inside an epoch; an epoch's end always writes one.
CHECKPOINT_EVERY = 60.0
# Reading a CUDA loss stops the device, so there it is looked at only every so many steps.
LOOK_EVERY = 20


class TrainingDiverged(UserError):
    """The loss is no longer a number."""


class Batch(Protocol):
    """uint8 images ⟨N,C,H,W⟩ and int64 labels ⟨N⟩."""

    @property
    def images(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor: ...


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
    model: nn.Module,
    recipe: Recipe,
    feed: Feed,
    *,
    prepare: Callable[[Tensor], Tensor],
    evaluate: Callable[[nn.Module], dict[str, float]],
    checkpoint: Path,
    device: torch.device,
    seed: int,
    ranks: Ranks = ALONE,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Record]:
    """Train `model` in place by `recipe`, from `checkpoint` where there is one, yielding a record a step and an epoch.

    `prepare` turns uint8 images into normalised floats on `device`. When the iterator is exhausted, `model` holds the
    weights to ship: the moving average if the recipe has one. Raises `TrainingDiverged` at a loss that is not finite,
    leaving the last good checkpoint, and `Stopped` after the step in which `stop` became true, leaving one of that step.
    """
    # ---- state ---------------------------------------------------------------------------------------------------
    model.to(device).to(memory_format=torch.channels_last)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and recipe.batch_norm_momentum:
            module.momentum = recipe.batch_norm_momentum
    ranks.align(model, device)
    if recipe.frozen:
        last = answering(model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(last))
    optim = optimiser(model, recipe)
    average = averaged(model, recipe.average) if recipe.average else None
    dtype = _autocast(recipe.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)

    steps = recipe.epochs * feed.steps_per_epoch
    warmup = round(recipe.warmup * feed.steps_per_epoch)
    peak = recipe.rate * recipe.batch / 256
    tally = _Tally(device)
    state, damage = ranks.from_first(lambda: restore_checkpoint(checkpoint))
    done = 0 if state is None else _restore(checkpoint, state, model, average, optim, scaler, tally, steps)
    del state
    yield Started(done, steps, damage)

    def save(step: int) -> None:
        if ranks.leads:
            save_checkpoint(checkpoint, _state(step, steps, model, average, optim, scaler, tally))

    # ---- steps ---------------------------------------------------------------------------------------------------
    saved = time.monotonic()
    for step, batch in zip(range(done, steps), feed.batches(done, steps), strict=True):
        model.train(not recipe.frozen)
        # No process may drop what another drops; a seed is 32 bits to the CPU's generator, which this factor fills.
        torch.manual_seed(seed * 1_000_003 + step + ranks.rank * 2_654_435_761)
        rate = rate_at(
            step,
            steps=steps,
            warmup=warmup,
            peak=peak,
            schedule=recipe.schedule,
            per_epoch=feed.steps_per_epoch,
        )
        for group in optim.param_groups:
            group["lr"] = rate * group["share"]

        images = len(batch.labels)
        if images == 0 and ranks.alone:  # every image of the batch became unreadable since the data was checked
            continue
        sums = torch.zeros(3, dtype=torch.float64, device=device)  # of losses, right answers, images
        optim.zero_grad(set_to_none=True)
        for part in _parts(images, recipe.accumulate):
            labels = batch.labels[part].to(device, non_blocking=True)
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
                logits, loss = loss_of(model, prepare(batch.images[part]), labels, recipe, step // feed.steps_per_epoch)
            scaler.scale(loss * (len(labels) / images)).backward()  # type: ignore[no-untyped-call]
            right = (logits.detach().argmax(1) == labels).sum()
            sums += torch.stack((loss.detach().double() * len(labels), right, right.new_tensor(len(labels))))
        ranks.total(sums)
        ranks.combine(model, images)
        if recipe.clip or recipe.adaptive_clip:
            scaler.unscale_(optim)
        if recipe.adaptive_clip:
            clip_adaptively(model, recipe.adaptive_clip)
        if recipe.clip:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)

        looked = device.type == "cpu" or step % LOOK_EVERY == 0 or (step + 1) % feed.steps_per_epoch == 0
        value = (sums[0] / sums[2].clamp_min(1)).item() if looked else math.nan
        epoch = step // feed.steps_per_epoch + 1
        if looked and not math.isfinite(value):
            raise TrainingDiverged(_diverged(value, step, epoch, rate, recipe))
        scaler.step(optim)
        scaler.update()
        if average is not None:
            average.update_parameters(model)
        tally.add(sums)
        yield StepDone(step + 1, steps, epoch, value, rate, images * ranks.world)

        # ---- the end of an epoch, or of this process's time -------------------------------------------------------
        stopping = ranks.any(stop())
        if (step + 1) % feed.steps_per_epoch == 0:
            scores = evaluate(model if average is None else average.module) if ranks.leads else {}
            finished, tally = tally.stop(), _Tally(device)
            # Told before it is saved: a run killed in between repeats the epoch and tells it again, and loses nothing.
            yield EpochDone(
                epoch,
                step + 1,
                finished.loss,
                finished.top1,
                rate,
                finished.images / finished.seconds,
                finished.seconds,
                scores,
            )
            save(step + 1)
            tally.start()
            saved = time.monotonic()
        elif stopping or time.monotonic() - saved > CHECKPOINT_EVERY:
            save(step + 1)
            saved = time.monotonic()
        if stopping:
            raise Stopped(f"stopped by SIGTERM after step {step + 1} of {steps}, whose checkpoint is written")

    if average is not None:
        model.load_state_dict(average.module.state_dict())
    model.eval()


class _Tally:
    """Sums over an epoch, kept on the device so that nothing waits for them, and saved with every checkpoint."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(3, dtype=torch.float64, device=device)
        self.seconds = 0.0
        self.start()

    def start(self) -> None:
        self._began = time.monotonic()

    def stop(self) -> _Tally:
        self.seconds += time.monotonic() - self._began
        return self

    def state(self) -> dict[str, Any]:
        return {"sums": self._sums.cpu(), "seconds": self.seconds + time.monotonic() - self._began}

    def load(self, state: dict[str, Any]) -> None:
        self._sums.copy_(state["sums"])
        self.seconds = state["seconds"]

    def add(self, sums: Tensor) -> None:
        """Of a step's losses, right answers and images."""
        self._sums += sums

    @property
    def images(self) -> int:
        return int(self._sums[2])

    @property
    def loss(self) -> float:
        return float(self._sums[0] / self._sums[2])

    @property
    def top1(self) -> float:
        return float(self._sums[1] / self._sums[2])


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


def _state(
    step: int, steps: int, model: nn.Module, average: Any, optim: Any, scaler: Any, tally: _Tally
) -> dict[str, Any]:
    return {
        "step": step,
        "steps": steps,
        "model": model.state_dict(),
        "average": average.state_dict() if average is not None else None,
        "optimiser": optim.state_dict(),
        "scaler": scaler.state_dict(),
        "tally": tally.state(),
    }


def _parts(images: int, parts: int) -> Iterator[slice]:
    """A batch cut as evenly as can be, without empty parts."""
    cuts = [images * i // parts for i in range(parts + 1)]
    return (slice(first, last) for first, last in pairwise(cuts) if last > first)


def _restore(
    path: Path,
    state: dict[str, Any],
    model: nn.Module,
    average: Any,
    optim: Any,
    scaler: Any,
    tally: _Tally,
    steps: int,
) -> int:
    if state["steps"] != steps:
        raise UserError(
            f"{path} belongs to a run of {state['steps']} steps, not {steps}: its data or recipe has changed"
        )
    model.load_state_dict(state["model"])
    if average is not None:
        average.load_state_dict(state["average"])
    optim.load_state_dict(state["optimiser"])
    scaler.load_state_dict(state["scaler"])
    tally.load(state["tally"])
    return int(state["step"])


def _diverged(value: float, step: int, epoch: int, rate: float, recipe: Recipe) -> str:
    lower = recipe.rate / 4
    return (
        f"the loss became {value} at step {step + 1} (epoch {epoch}), at a learning rate of {rate:.4g}. "
        f"The last good checkpoint is kept. Try --set rate={lower:g}"
        + ("" if recipe.clip else ", --set clip=1")
        + (", --set precision=fp32" if recipe.precision is not Precision.FP32 else "")
    )
