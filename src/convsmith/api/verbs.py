"""Verbs that give a `Run`: with what one most often sets by keyword, the rest in `Options`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..arch import ArchSpec
from ..jobs import folders
from ..jobs.options import Data, Options
from ..jobs.search import begin as searching
from ..jobs.search.options import SearchOptions
from ..jobs.studies.folds import cross_validate
from ..jobs.train import begin
from ..latency import Runtime
from ..recipe import Recipe
from ..runs import RunFolder
from ..units import Budget
from ..watcher import Watcher
from .run import Run
from .words import answering

__all__ = ["design", "resume", "search", "train"]


@answering
def design(
    data: Data,
    *,
    to: str | Budget,
    base: str | Path | ArchSpec | None = None,
    rule: str | None = None,
    weights: str | Path | None = None,
    recipe: str | Recipe | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    workers: int | None = None,
    name: str | None = None,
    device: str | None = None,
    runtime: str | Runtime = Runtime.ORT,
    threads: int = 1,
    options: Options | None = None,
    watcher: Watcher | None = None,
) -> Run:
    """The main job: scale `base` to the budget, train it on `data`, evaluate, export, measure, report.

    `base` is efficientnet_b0 and `rule` compound where nothing else is said. `weights` are those of the base to begin with,
    and then the rule is resolution, which keeps their shapes; `auto` without a base takes the best published network that
    meets the budget and has weights.

    `data` is what the command line takes, or any map-style dataset of images and labels, or a pair of them to train and to
    validate on. `weights` and what follows are short for the options' own: `lr` is the peak learning rate, for 256 images a
    step, `name` the run folder's. Milliseconds are of `runtime` with so many `threads`, of which the run then has a file, or of
    the calibrated device that `device` names.

    Raises:
        UserError: an impossible budget, data or options; nothing is written then.
    """
    watcher = watcher or Watcher()
    settings = {"epochs": epochs, "batch": batch, "rate": lr}
    chosen = _options(options, settings, recipe=recipe, workers=workers, name=name, device=device, weights=weights)
    job = begin.design_job(data, to, base, rule, chosen, watcher, runtime=runtime, threads=threads)
    return _run(_done(job, watcher))


@answering
def train(
    model: str | Path | ArchSpec,
    data: Data,
    *,
    resolution: int | None = None,
    weights: str | Path | None = None,
    recipe: str | Recipe | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    workers: int | None = None,
    name: str | None = None,
    device: str | None = None,
    options: Options | None = None,
    watcher: Watcher | None = None,
) -> Run:
    """Train `model` on `data` by a recipe, then evaluate, export, measure and report.

    `data` as `design` takes it; `weights` are those to begin with. What has a keyword here is short for the
    options' own: `lr` is the peak learning rate, for 256 images a step, `name` the run folder's.
    """
    watcher = watcher or Watcher()
    settings = {"epochs": epochs, "batch": batch, "rate": lr}
    chosen = _options(options, settings, recipe=recipe, workers=workers, name=name, device=device, weights=weights)
    return _run(_done(begin.train_job(model, data, resolution, chosen, watcher), watcher))


@answering
def search(
    data: Data,
    *,
    to: str | Sequence[str],
    weights: str | Path | None = None,
    recipe: str | Recipe | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    workers: int | None = None,
    name: str | None = None,
    device: str | None = None,
    options: Options | None = None,
    how: SearchOptions | None = None,
    watcher: Watcher | None = None,
) -> Run:
    """Train a supernet on `data` and hand over a finished child for each budget, with the front they stand on.

    `to` is budgets, each its own (`["2M-macs", "5ms"]`, or joined by commas); `+` joins limits of one. The winners are
    `run.children`, runs like any other. `weights` are those of the model that `how.space` names, whose network is the
    biggest of the space and begins with them.

    Raises:
        UserError: a budget that no child meets, a space that does not fit, wrong options.
    """
    settings = {"epochs": epochs, "batch": batch, "rate": lr}
    chosen = _options(options, settings, recipe=recipe, workers=workers, name=name, device=device, weights=weights)
    return _run(searching.search(data, to=to, options=chosen, how=how, watcher=watcher))


@answering
def resume(
    run: RunFolder | str | Path,
    *,
    data: Data | None = None,
    val: str | Path | None = None,
    force: bool = False,
    device: str | None = None,
    watcher: Watcher | None = None,
) -> Run:
    """Go on with a training or a search where it was stopped, whatever stopped it; stages that are done are left alone.

    `data` is what it was begun with, where that is in no file or was moved, and `val` what it is validated on, where that
    was moved: they are held against what the run remembers of them.

    Raises:
        DataError: the data is not what it was; forced, it is taken as it is now.
    """
    return _run(folders.resume(run, data=data, val=val, force=force, device=device, watcher=watcher))


def _options(options: Options | None, settings: dict[str, float | None], **others: Any) -> Options:
    """The options with what was given by keyword in their place; `settings` are of the recipe."""
    options = options or Options()
    changes = tuple(f"{key}={own}" for key, own in settings.items() if own is not None)
    given = {key: own for key, own in others.items() if own is not None}
    return replace(options, **given, settings=(*options.settings, *changes))


def _done(job: begin.Job, watcher: Watcher) -> RunFolder:
    return begin.start(job, watcher) if job.options.folds is None else cross_validate(job, watcher)


def _run(folder: RunFolder) -> Run:
    return Run(folder.path)
