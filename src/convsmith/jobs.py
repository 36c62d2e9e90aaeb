"""The jobs: what the verbs do, in Python. A job leaves a run folder, and every stage of it can be taken up again."""

from __future__ import annotations

import math
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .arch import ArchSpec
from .calibrating import expectation
from .codec import from_data, to_data
from .costs import cost
from .data import ImageData
from .errors import DataError
from .evals import score
from .exporting import export_onnx, ort_subject
from .feed import (
    Feed,
    Source,
    Watcher,
    fingerprint,
    normaliser,
    samples_of,
    score_on,
    shape_of,
    trained,
    validation_batches,
)
from .latency import Runtime, interleave
from .machine import this_machine
from .model import build
from .parts import PooledClassifier
from .recipe import KINDS, Recipe
from .recipes import changed, differences, settle
from .recipes import recipe as named_recipe
from .reports import write_report
from .resolve import device
from .resolve import spec as resolve_spec
from .runs import Run, now
from .scaling import Fit, ResNetRS, Rule, fit, fit_timed, regime
from .scaling import rule as named_rule
from .sized import BySize
from .stages import stage_rows
from .stopwatch import Stopwatch
from .training import EpochDone, Record, load_checkpoint, save_atomically
from .training import fit as training_loop
from .units import Budget

__all__ = [
    "Job",
    "Options",
    "design",
    "design_job",
    "resume",
    "scale",
    "start",
    "train",
    "train_job",
]

# ---- design and train ------------------------------------------------------------------------------------------------


def scale(
    model: str | Path | ArchSpec,
    *,
    to: str | Budget,
    rule: str | Rule = "compound",
    classes: int | None = None,
    runtime: str | Runtime = Runtime.ORT,
    threads: int = 1,
    watcher: Watcher | None = None,
) -> Fit:
    """The largest member of `rule`'s line through `model` that meets every part of the budget.

    Multiply-adds and parameters are counted. Milliseconds are measured on this machine, of one image, in `runtime` with
    `threads` threads: members are built, exported and timed until one meets the limit and the next larger does not. Where
    this device is calibrated, the first to be timed is the one that the calibration expects to meet the limit.
    `rule` is a rule, its name, or the file of one that `fit-scaling` wrote.

    >>> scale("mobilenetv2_100", to="100M-macs").spec.input.resolution
    160
    """
    base = resolve_spec(model)
    base = base if classes is None else base.with_classes(classes)
    budget = to if isinstance(to, Budget) else Budget.parse(to)
    line = rule if isinstance(rule, Rule) else named_rule(rule)
    if math.isinf(budget.ms):
        return fit(line, base, budget, cost)
    with Stopwatch(Runtime(runtime), threads, watcher or Watcher()) as time:
        return fit_timed(line, base, budget, cost, time, expectation(runtime, threads))


@dataclass(frozen=True)
class Options:
    """What every training job may be told."""

    recipe: str | Recipe = "quick"
    settings: tuple[str, ...] = ()
    val: str | Path | None = None
    root: str | Path | None = None
    download: bool = False
    seed: int = 0
    workers: int = 0
    name: str | None = None
    parent: str | Path = "runs"


@dataclass(frozen=True)
class Job:
    """A training job that is decided and not begun: `start` makes its run folder."""

    verb: str
    spec: ArchSpec
    images: ImageData
    source: Source
    recipe: Recipe
    options: Options
    found: Fit | None = None
    base: str | None = None


def design_job(
    data: str | Path, to: str | Budget, base: str | Path | ArchSpec, rule: str, options: Options, watcher: Watcher
) -> Job:
    """Load the data and choose the network: the part of `design` before anything is trained or written."""
    recipe, source = _recipe(options), source_of(data, options)
    chosen = resolve_spec(base)
    budget = to if isinstance(to, Budget) else Budget.parse(to)
    images = source.load(watcher)
    line = named_rule(rule)
    if isinstance(line, ResNetRS):  # its strategy depends on how long this training is
        line = replace(line, regime=regime(recipe.epochs, len(images.train)))
    found = scale(chosen, to=budget, rule=line, classes=len(images.classes), watcher=watcher)
    watcher.stage("choose", f"{found.spec.name}: {found}")
    recipe = settle(recipe, found.spec)
    return Job("design", regularised(found.spec, recipe), images, source, recipe, options, found, chosen.name)


def train_job(
    model: str | Path | ArchSpec, data: str | Path, resolution: int | None, options: Options, watcher: Watcher
) -> Job:
    """Load the data and fit the network's classifier to it: the part of `train` before anything is written."""
    recipe, source = _recipe(options), source_of(data, options)
    spec = resolve_spec(model)
    images = source.load(watcher)
    spec = spec.with_classes(len(images.classes))
    spec = spec if resolution is None else spec.with_resolution(resolution)
    watcher.stage("choose", f"{spec.name} at {spec.input.resolution} px: {cost(spec)}")
    recipe = settle(recipe, spec)
    return Job("train", regularised(spec, recipe), images, source, recipe, options)


def design(
    data: str | Path,
    *,
    to: str | Budget,
    base: str | Path | ArchSpec = "efficientnet_b0",
    rule: str = "compound",
    options: Options | None = None,
    watcher: Watcher | None = None,
) -> Run:
    """The main job: scale `base` to the budget, train it on `data`, evaluate, export, measure, report."""
    watcher = watcher or Watcher()
    return start(design_job(data, to, base, rule, options or Options(), watcher), watcher)


def train(
    model: str | Path | ArchSpec,
    data: str | Path,
    *,
    resolution: int | None = None,
    options: Options | None = None,
    watcher: Watcher | None = None,
) -> Run:
    """Train `model` on `data` by a recipe, then evaluate, export, measure and report."""
    watcher = watcher or Watcher()
    return start(train_job(model, data, resolution, options or Options(), watcher), watcher)


def start(job: Job, watcher: Watcher) -> Run:
    """Make the job's run folder and carry the run to its report."""
    run = Run.create(Path(job.options.parent), job.options.name or f"{job.images.name}-{job.spec.name}")
    watcher.stage("run", str(run.path))
    watcher.stage("recipe", f"{job.recipe.name}; what differs from the paper:")
    for line in differences(job.recipe, job.spec, images=len(job.images.train)):
        watcher.note(line)
    _describe(run, job)
    return _carry_on(run, watcher, job.images)


def resume(run: Run | str | Path, *, watcher: Watcher | None = None) -> Run:
    """Go on where a run was stopped, whatever stopped it; stages that are done are left alone."""
    return _carry_on(run if isinstance(run, Run) else Run.open(run), watcher or Watcher(), None)


def met(found: Fit) -> dict[str, dict[str, float]]:
    """For each limit of the budget: the limit, what the network needs, and the share left."""
    needs: dict[str, float] = {"macs": found.cost.macs, "params": found.cost.params}
    if found.latency is not None:
        needs["ms"] = found.latency.median_ms
    limits = {"macs": found.budget.macs, "params": found.budget.params, "ms": found.budget.ms}
    return {name: {"limit": limits[name], "is": needs[name], "slack": slack} for name, slack in found.slack.items()}


def source_of(data: str | Path, options: Options) -> Source:
    """Where the data is, in absolute terms, so that a run can be resumed from another folder."""

    def located(path: str | Path) -> str:
        return str(Path(path).resolve() if Path(path).exists() else path)

    return Source(
        what=located(data),
        val=None if options.val is None else located(options.val),
        root=None if options.root is None else located(options.root),
        download=options.download,
        seed=options.seed,
    )


def _recipe(options: Options) -> Recipe:
    base = named_recipe(options.recipe) if isinstance(options.recipe, str) else options.recipe
    return changed(base, options.settings)


def regularised(spec: ArchSpec, recipe: Recipe) -> ArchSpec:
    """The spec with the recipe's dropout and stochastic depth, by the spec's size where the recipe says so."""
    fixed = settle(recipe, spec)
    assert not isinstance(fixed.dropout, BySize) and not isinstance(fixed.drop_path, BySize)
    head = replace(spec.head, dropout=fixed.dropout) if isinstance(spec.head, PooledClassifier) else spec.head
    return replace(spec, head=head).with_style(drop_path=fixed.drop_path, ramp=fixed.ramp)


def _describe(run: Run, job: Job) -> None:
    """Write down everything the run was given: what resuming and the report read."""
    found = job.found
    run.write_spec(job.spec)
    run.write("data.json", job.images.to_record() | {"fingerprint": fingerprint(job.images)})
    run.write(
        "config.json",
        {
            "verb": job.verb,
            "convsmith": dict(this_machine().packages).get("convsmith", "unknown"),
            "started": now(),
            "name": run.path.name,
            "data": job.images.name,
            "source": to_data(job.source),
            "seed": job.options.seed,
            "workers": job.options.workers,
            "command": shlex.join(["convsmith", *sys.argv[1:]]) if Path(sys.argv[0]).name == "convsmith" else None,
            "budget": str(found.budget) if found else None,
            "base": job.base,
            "rule": found.rule.kind if found else None,
            "x": found.x if found else None,
            "met": met(found) if found else None,
            "cost": to_data(cost(job.spec)),
            "stages": [to_data(row) for row in stage_rows(job.spec)],
            "recipe": to_data(job.recipe),
            "differences": differences(job.recipe, job.spec, images=len(job.images.train)),
            "machine": to_data(this_machine()),
        },
    )


# ---- the stages of a run ---------------------------------------------------------------------------------------------


def _carry_on(run: Run, watcher: Watcher, images: ImageData | None) -> Run:
    config, spec, where = run.read("config.json"), run.spec, device()

    def data() -> ImageData:
        nonlocal images
        if images is None:
            images = Source(**config["source"]).load(watcher)
            if fingerprint(images) != run.read("data.json")["fingerprint"]:
                raise DataError(f"the data at {config['source']['what']} is not what {run.path} was begun with")
        return images

    if not run.has("model.safetensors"):
        _train(run, config, spec, data(), where, watcher)
    if not run.has("scores.json"):
        watcher.stage("evaluate", f"{len(data().val)} validation images")
        run.write("scores.json", score_on(trained(run, spec), spec, data(), where).to_record())
    if not run.has("export.json"):
        watcher.stage("export", "ONNX, batch norm folded, run by onnxruntime on real images")
        samples = samples_of(spec, data())
        exported = export_onnx(trained(run, spec), run.file("model.onnx"), input_shape=shape_of(spec), samples=samples)
        run.write("export.json", exported.to_record())
    if not run.has("latency.json"):
        watcher.stage("measure", "onnxruntime, batch 1, one thread")
        subject = ort_subject(run.path.name, run.file("model.onnx"), batch=1, threads=1)
        timing = interleave([subject], threads=1, progress=lambda d, t: watcher.count("rounds", d, t))
        if config["met"] and "ms" in config["met"]:
            # What was measured to choose the network gives way to what is shipped; a kill in between repeats both.
            limit, took = config["met"]["ms"]["limit"], timing.rows[0].median_ms
            config["met"]["ms"] = {"limit": limit, "is": took, "slack": 1 - took / limit}
            run.write("config.json", config)
        run.write("latency.json", timing.to_record())
    watcher.stage("report", str(write_report(run.path)))
    return run


def _train(
    run: Run, config: dict[str, Any], spec: ArchSpec, images: ImageData, where: torch.device, watcher: Watcher
) -> None:
    recipe = from_data(Recipe, config["recipe"], KINDS, source=str(run.file("config.json")))
    feed = Feed(spec, images, recipe, config["seed"], config["workers"])
    normalise = normaliser(spec, where)
    validation = validation_batches(spec, images)
    model = build(spec, seed=config["seed"])
    done = load_checkpoint(run.file("last.pt"))["step"] if run.has("last.pt") else 0
    # Also where nothing was saved yet: a kill between an epoch's line and its checkpoint leaves the line alone.
    run.rewind(done)
    if done:
        watcher.note(f"resuming after step {done} of {recipe.epochs * feed.steps_per_epoch}")

    def evaluate(network: nn.Module) -> dict[str, float]:
        scores = score(network, validation(), classes=images.classes, normalise=normalise, device=where, thumbnails=0)
        return {"val_loss": scores.loss, "val_top1": scores.top1}

    watcher.stage("train", f"{recipe.name}: {recipe.epochs} epochs of {feed.steps_per_epoch} steps on {where}")
    for record in training_loop(
        model,
        recipe,
        feed,
        prepare=normalise,
        evaluate=evaluate,
        checkpoint=run.file("last.pt"),
        device=where,
        seed=config["seed"],
    ):
        watcher.record(record)
        if (logged := _logged(record)) is not None:
            run.log(logged)

    from safetensors.torch import save_file

    state = {key: value.contiguous().cpu() for key, value in model.state_dict().items()}
    save_atomically(run.file("model.safetensors"), lambda path: save_file(state, path))


def _logged(record: Record) -> dict[str, Any] | None:
    if not isinstance(record, EpochDone):
        return None
    data = to_data(replace(record, scores={}))
    return {"event": "epoch", **{key: value for key, value in data.items() if key != "scores"}, **record.scores}
