"""`robustness`: a run's score on pictures that are corrupted in fifteen ways at five severities."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..ambient import undisturbed
from ..corruptions import CORRUPTIONS, GROUPS, SEVERITIES
from ..data import Batch, Corrupted, Split, eval_batches, span_of
from ..data.how import How
from ..data.images import placed
from ..errors import UserError, nearest
from ..evals import bootstrapped, evaluate
from ..files import whole
from ..layers import running
from ..model import Model
from ..resolve import device as chosen_device
from ..resolve import trained_run
from ..runs import Cell, Mean, Robustness, RunFolder, Worst, WorstPose
from ..scores import Mistakes, Poses, Scores
from ..supernet import calibrate
from ..tasks import Task
from ..units import duration, plural
from ..watcher import Watcher
from .evaluate import Part, owners, part_to_score
from .feed import at_once, normaliser, record_of_weights, task_of, trained
from .options import Data

__all__ = ["asked", "robustness"]

# Pictures that norms are given new statistics from, at most.
ADAPTED_ON = 512


@undisturbed()
def robustness(
    run: RunFolder | str | Path,
    data: Data | None = None,
    *,
    corrupt: Sequence[str] = (),
    severity: Sequence[int] = SEVERITIES,
    split: str | None = None,
    adapt: bool = False,
    seed: int = 0,
    root: str | Path | None = None,
    download: bool = False,
    how: How | None = None,
    device: str | None = None,
    watcher: Watcher | None = None,
) -> Robustness:
    """What is left of a trained run's score on corrupted pictures, written as `robustness.json`; clean ones are scored, too.

    Whatever is asked of the pictures stays as it is: labels are not moved where a corruption moves what they are of a little.

    Args:
        data, split: what is scored, as `evaluate` takes it.
        corrupt: names of corruptions, or of groups of them; all fifteen where there are none.
        severity: 1 to 5; all five where it is left out.
        adapt: give norms the statistics of the corrupted pictures, for each corruption and severity (Schneider et al., 2020).
        seed: of what the corruptions draw.

    Raises:
        UserError: an unknown name or severity, or a run that is not trained.
    """
    names, severities = asked(corrupt), _severities(severity)
    run, watcher = trained_run(run), watcher or Watcher()
    part = part_to_score(run, data, split=split, root=root, download=download, how=how, watcher=watcher)
    watcher.stage("evaluate", f"{plural(len(part.split), 'clean picture')} of {part.said}")
    model, task = trained(run, run.spec), task_of(run.config)
    if adapt and all(running(module) is None for module in model.modules()):
        raise UserError(f"{run.spec.name} has no norms with statistics to adapt: leave out --adapt")
    trial = _Trial(model, task, run.data.classes, part, chosen_device(device))
    began = time.monotonic()
    clean, right = trial.scored(part.split)
    watcher.stage("corrupt", _planned(len(part.split), names, severities, time.monotonic() - began, trial, seed))
    cells: list[Cell] = []
    rows: list[np.ndarray | None] = []
    worst: list[Worst | WorstPose] = []
    of = _numbered(owners(part.split))
    pairs = [(name, level) for name in names for level in severities]
    for done, (name, level) in enumerate(pairs, start=1):
        spoilt = replace(part.split, inputs=Corrupted(part.split.inputs, name, level, seed))
        found, each = trial.scored(spoilt, adapt=adapt)
        cells.append(Cell(name, level, found.headline.value, found.headline.interval))
        rows.append(each)
        worst += _worst(found, right, name, level)
        watcher.count(f"{name} at severity {level}", done, len(pairs))
    record = Robustness(
        data=part.said if part.name else f"{run.data.name}/{part.part}",
        n=len(part.split),
        pictures=_pictures(part.split),
        clean=clean.headline,
        cells=tuple(cells),
        means=tuple(_means(cells, rows, of)),
        worst=tuple(_surest([one for one in worst if isinstance(one, Worst)])),
        poses=tuple(_farthest([one for one in worst if isinstance(one, WorstPose)])),
        bones=next((block.bones for block in clean.blocks if isinstance(block, Poses)), ()),
        individuals=0 if of is None else int(of.max()) + 1,
        classes=run.data.classes,
        seed=seed,
        adapted=adapt,
        own=not part.name and part.part == "val",
    )
    record_of_weights(run, "robustness.json", record.to_record())
    if right is not None:
        with whole(run.file("robustness.npz")) as path, path.open("wb") as file:
            arrays: dict[str, Any] = {"clean": right, "cells": np.stack([row for row in rows if row is not None])}
            if of is not None:
                arrays["owners"] = of
            np.savez_compressed(file, **arrays)
    return record


def asked(corrupt: Sequence[str]) -> tuple[str, ...]:
    """The names of corruptions that names, groups and commas ask for, in ImageNet-C's order; all where nothing is asked.

    >>> asked(["fog,noise"])
    ('gaussian_noise', 'shot_noise', 'impulse_noise', 'fog')
    """
    words = [word for one in corrupt for word in one.replace(",", " ").split() if word != "all"]
    known = {one.name: one.group for one in CORRUPTIONS}
    for word in words:
        if word not in known and word not in GROUPS:
            raise UserError(
                f"there is no corruption '{word}'{nearest(word, (*known, *GROUPS))}; there are {', '.join(known)}, and the "
                f"groups {', '.join(GROUPS)}"
            )
    return tuple(name for name, group in known.items() if not words or name in words or group in words)


def _severities(severity: Sequence[int]) -> tuple[int, ...]:
    wrong = [level for level in severity if level not in SEVERITIES]
    if wrong or not severity:
        raise UserError(f"severity {wrong[0] if wrong else 'none'} is none of 1, 2, 3, 4, 5")
    return tuple(sorted(set(severity)))


@dataclass(frozen=True, eq=False)
class _Trial:
    """A trained network and how it is scored."""

    model: Model
    task: Task
    classes: tuple[str, ...]
    part: Part
    device: torch.device

    def scored(self, split: Split, *, adapt: bool = False) -> tuple[Scores, np.ndarray | None]:
        """Its scores on a split, and what of the headline is each picture's."""
        model, prepare = self.model.to(self.device), normaliser(self.model.spec, self.device)
        if adapt:
            model = copy.deepcopy(model)
            few = -(-ADAPTED_ON // at_once(self.model.spec))
            calibrate(model, [prepare(one.images.to(self.device)) for one in islice(self._batches(split), few)])
        meter = self.task.meter(self.classes, pictures=8)
        scores = evaluate(
            model,
            self._batches(split),
            meter,
            prepare=prepare,
            device=self.device,
            where=lambda i: placed(split.inputs.where(i), self.part.roots),
        )
        return scores, meter.each()

    def _batches(self, split: Split) -> Iterator[Batch]:
        image = self.model.spec.input
        return eval_batches(
            split, sides=image.sides, channels=image.channels, batch=at_once(self.model.spec), span=span_of(image)
        )


def _planned(n: int, names: Sequence[str], severities: Sequence[int], clean_s: float, trial: _Trial, seed: int) -> str:
    """What is about to be done and, from a picture of each corruption, for how long."""
    inputs, began = trial.part.split.inputs, time.monotonic()
    for name in names:
        Corrupted(inputs, name, severities[-1], seed).decode(0)
    seconds = len(severities) * (n * (time.monotonic() - began) + len(names) * clean_s)
    sets = len(names) * len(severities)
    return f"{len(names)} corruptions x {len(severities)} severities, {sets * n:,} pictures, {duration(seconds)}"


def _numbered(whose: Sequence[str]) -> np.ndarray | None:
    """Individuals as numbers from 0, over which to draw; None where there are not two or more."""
    names, numbers = np.unique(np.array(whose, dtype=str), return_inverse=True)
    return numbers if len(names) > 1 else None


def _means(cells: Sequence[Cell], rows: Sequence[np.ndarray | None], of: np.ndarray | None) -> Iterator[Mean]:
    group_of = {known.name: known.group for known in CORRUPTIONS}
    for over in ("all", *GROUPS):
        own = [place for place, cell in enumerate(cells) if over in ("all", group_of[cell.corruption])]
        if not own:
            continue
        each = [row for place in own if (row := rows[place]) is not None]
        interval = bootstrapped(np.mean(each, axis=0), of) if each else None
        yield Mean(over, float(np.mean([cells[place].score for place in own])), interval)


def _worst(found: Scores, clean: np.ndarray | None, name: str, level: int) -> Iterator[Worst | WorstPose]:
    """The surest mistake, or the pose that is farthest off, among those pictures that are right without corruption: of poses, no
    worse than their mean."""
    if clean is None:
        return
    good = clean >= clean.mean() if found.headline.more_is_better else clean <= clean.mean()
    for block in found.blocks:
        match block:
            case Mistakes():
                mistakes = (Worst(name, level, one) for one in block.wrong if _holds(clean, one.index))
                yield from islice(mistakes, 1)
            case Poses():
                yield from islice((WorstPose(name, level, one) for one in block.worst if _holds(good, one.index)), 1)
            case _:
                pass


def _holds(right: np.ndarray, index: int | None) -> bool:
    return index is not None and index < len(right) and bool(right[index])


def _farthest(worst: Sequence[WorstPose]) -> Iterator[WorstPose]:
    """Of each corruption one, the farthest off."""
    for known in CORRUPTIONS:
        own = [one for one in worst if one.corruption == known.name]
        if own:
            yield max(own, key=lambda one: one.pose.error)


def _surest(worst: Sequence[Worst]) -> Iterator[Worst]:
    """Of each corruption one, the surest."""
    for known in CORRUPTIONS:
        own = [one for one in worst if one.corruption == known.name]
        if own:
            yield max(own, key=lambda one: one.mistake.confidence)


def _pictures(split: Split) -> str:
    """Sixteen digits of what is to come of the pictures and of how some of them look."""
    digest = hashlib.sha256(split.targets.to_bytes())
    for i in np.linspace(0, len(split) - 1, min(len(split), 64)).astype(int).tolist():
        digest.update(split.inputs.decode(i).contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
