"""`design` and `train`: a job leaves a run folder, and every stage of it can be taken up again."""

from __future__ import annotations

import math
import shlex
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ...ambient import undisturbed
from ...arch import ArchSpec
from ...codec import to_data
from ...costs import cost
from ...data import ImageData, check_channels
from ...data.readers.dataset import Own, own_data
from ...errors import UserError
from ...families import spec as named_spec
from ...families.inflated import inflated
from ...latency import Runtime
from ...machine import this_machine
from ...plot import save
from ...recipe import BySize, Recipe
from ...recipes import CLIPS, differences, settle
from ...registry import refuse_unreadable
from ...reports.propagation import signal_plot
from ...resolve import device, origin, target_of
from ...resolve import spec as resolve_spec
from ...runs import Config, RunFolder, Stage, now
from ...scaling import Solution
from ...scaling import rule as named_rule
from ...stages import stage_rows
from ...tasks import TASKS, Classify, Task, refuse_unread, task_for
from ...training import joined, recalled, refuse_sandwich, remember, world_here
from ...units import Budget
from ...watcher import Watcher
from ...weights import write as write_weights
from ...weights.fitting import Fitted, fitted
from ..diagnose import diagnose
from ..feed import refuse_lone_images
from ..fitting import fitted_to, refuse_norms, told_of_frames
from ..options import Data, Options, refuse_settings, resolved_recipe, source_of, usual_recipe
from ..scale import line_of, met, scale
from ..source import Source, data_record
from ..timing.devices import HERE, Aim, in_two
from .stages import alone_on, board, carry_on
from .weighted import AUTO, base_of, picked, scaled

BASE = Classify.base  # what `design` scales where nothing else is asked for

__all__ = [
    "BASE",
    "Job",
    "checked",
    "describe",
    "design_job",
    "given",
    "resume_training",
    "say_weights",
    "start",
    "train_job",
]


@dataclass(frozen=True)
class Job:
    """A training job that is decided and not begun: `start` makes its run folder."""

    verb: str
    spec: ArchSpec
    images: ImageData
    source: Source
    recipe: Recipe
    options: Options
    found: Solution | None = None
    base: str | None = None
    start: Fitted | None = None  # the weights to begin with
    task: Task = field(default_factory=Classify)
    aim: Aim = HERE
    own: Own | None = None  # the data, where it is in no file


@undisturbed()
def design_job(
    data: Data,
    to: str | Budget,
    base: str | Path | ArchSpec | None,
    rule: str | None,
    options: Options,
    watcher: Watcher,
    *,
    runtime: str | Runtime = Runtime.ORT,
    threads: int = 1,
) -> Job:
    """Load the data and choose the network: the part of `design` before anything is trained or written.

    Without weights `base` (efficientnet_b0; of films `base_of_films`) is scaled by `rule` (compound, which leaves frames alone).
    With weights `base` is whose they are, and the rule must leave their shapes alone (resolution); with `auto` and neither of them,
    the best published network that has weights is taken as it is. A device elsewhere, `pi4` or with the one to train on `cuda,pi4`,
    is what milliseconds are of; without one they are measured here in `runtime` with so many `threads`.
    """
    if world_here() > 1:
        raise UserError(
            "design chooses by one process: `convsmith scale BASE --to BUDGET --out spec.json`, "
            "then `torchrun ... -m convsmith train spec.json DATA`"
        )
    here, aimed = in_two(options.device)
    device(here)  # one that is not here is told before anything is read
    budget = to if isinstance(to, Budget) else Budget.parse(to)
    aim = Aim.of(aimed, runtime, threads, [budget])
    options = replace(options, device=here)
    refuse_settings(options, _usual(options))
    source, named = source_of(data, options), base or base_of(options.weights)
    if named is not None:  # what is wrong with it is told before anything is read
        _usable(named)
    line = named_rule(rule or ("compound" if options.weights is None else "resolution"))
    images = source.load(watcher, own_data(data))
    task, recipe = _learnt(images, options)
    chosen = _usable(named or (base_of_films() if images.filmed else task.base))
    line = line_of(line, recipe, len(images.train))

    def fit(spec: ArchSpec) -> ArchSpec:
        return fitted_to(spec, task, images)

    begin, named = None, chosen.name
    refuse_norms(recipe, weights=options.weights is not None)
    if options.weights is None:
        found = scale(
            fit(chosen), to=budget, rule=line, runtime=aim.runtime, threads=threads, device=aimed, watcher=watcher
        )
    else:
        # Published networks are ranked by what they cost at their own sides, which pictures that are shown whole change.
        if base is None and rule is None and str(options.weights) == AUTO and images.sides is None:
            weighted = picked(budget, fit, watcher, aim=aim)
        else:
            weighted = scaled(chosen, options.weights, budget, line, fit, watcher, aim=aim)
        found, begin, named = weighted.found, weighted.begin, weighted.base
        options = replace(options, weights=weighted.source)
        say_weights(weighted.source, begin, watcher)
    watcher.stage("choose", f"{found.spec.name}: {found}")
    if aim.told and found.latency is not None:
        watcher.note(found.latency.told)
    if said := told_of_frames(found.spec, images.train.inputs):
        watcher.note(said)
    recipe = settle(recipe, found.spec)
    return Job(
        "design",
        regularised(found.spec, recipe),
        images,
        source,
        recipe,
        options,
        found,
        named,
        start=begin,
        task=task,
        aim=aim,
        own=own_data(data),
    )


def base_of_films() -> ArchSpec:
    """What `design` scales for films where nothing else is asked for: a ResNet-18 of 8 frames, of 112 pixels as torchvision's
    networks for clips have them. The choice is ours."""
    return inflated(named_spec("resnet18"), frames=8, stride=2).with_resolution(112)


def say_weights(source: str | Path, begin: Fitted, watcher: Watcher) -> None:
    """Where the weights are from, and what was chosen and left out."""
    watcher.stage("weights", str(source))
    for note in begin.notes:
        watcher.note(note)


def sound(spec: ArchSpec, folder: Path | None) -> None:
    """Refuse a network whose signal dies before it is trained; the plot that shows where goes to `folder`, if there is one."""
    found = diagnose(spec, draws=1, branches_on=True)
    if found.verdict.healthy:
        return
    if folder is None:
        raise UserError(f"{spec.name} would not train: {found.verdict.wrong[0]}; `convsmith diagnose` draws where")
    picture = folder / f"{spec.name}-signal.svg"
    save(signal_plot([found.trace], found.theory), picture)
    raise UserError(
        f"{spec.name} would not train: {found.verdict.wrong[0]}. The signal is drawn in {picture}; "
        "`convsmith train` trains it all the same"
    )


@undisturbed()
def train_job(
    model: str | Path | ArchSpec, data: Data, resolution: int | None, options: Options, watcher: Watcher
) -> Job:
    """Load the data and fit the network's classifier to it: the part of `train` before anything is written."""
    device(options.device)  # one that is not here is told before anything is read
    refuse_settings(options, _usual(options))
    spec, source = _usable(model), source_of(data, options)
    images = source.load(watcher, own_data(data))
    task, recipe = _learnt(images, options)
    refuse_norms(recipe, weights=options.weights is not None)
    spec = fitted_to(spec, task, images)
    begin = None
    target = target_of(model)
    if target.run is not None and target.trained and options.weights is None:
        path = target.run.path
        watcher.note(f"{path} is trained anew, from random weights: --weights {path} would begin with its own")
    if options.weights is not None:
        begin = fitted(spec, origin(options.weights, spec.name), classes=len(images.classes))
        spec = begin.spec  # padding, epsilon and how images are normalised are the weights'
        say_weights(options.weights, begin, watcher)
    if resolution is not None:
        spec = fitted_to(spec, task, images, resolution)
    watcher.stage("choose", f"{spec.name} at {spec.input.px} px: {cost(spec)}")
    for said in (cramped(spec), told_of_frames(spec, images.train.inputs)):
        if said:
            watcher.note(said)
    recipe = settle(recipe, spec)
    if recipe.frozen and begin is None:
        raise UserError(
            "--set frozen=true trains a classifier on features, and untrained ones are noise: give --weights"
        )
    return Job(
        "train",
        regularised(spec, recipe),
        images,
        source,
        recipe,
        options,
        start=begin,
        task=task,
        own=own_data(data),
    )


def _usual(options: Options) -> list[str]:
    """The recipes that may be meant where none is named: of every task's."""
    usual = [kind.recipes[options.weights is not None] for kind in TASKS]
    return list(dict.fromkeys(usual if options.weights is not None else [*usual, CLIPS.name]))


def _usable(model: str | Path | ArchSpec) -> ArchSpec:
    """The network, where it takes pictures and its parts can be read again."""
    spec = resolve_spec(model)
    check_channels(spec.input.channels)
    refuse_unreadable(spec)
    return spec


def _learnt(images: ImageData, options: Options) -> tuple[Task, Recipe]:
    """What is learnt, and by which recipe. Refused where the task does not read what the recipe sets."""
    task = task_for(images, options.class_weights, options.task_settings, word=options.task)
    recipe = resolved_recipe(options, usual_recipe(task, options, filmed=images.filmed))
    refuse_unread(task, recipe)
    refuse_sandwich(recipe)
    return task, recipe


def cramped(spec: ArchSpec) -> str:
    """What is to be said of images too small for the network's strides; empty where they are not."""
    rows = stage_rows(spec)
    least = math.prod(row.stride for row in rows)
    if min(spec.input.sides) >= least:
        return ""
    alone = next((row.name for row in rows if row.size == 1 and row.name != "head"), "head")
    return (
        f"{spec.input.px} px are few for {spec.name}, whose strides make one pixel of {least}: from {alone} on a map has one "
        f"pixel, and 3x3 filters see nothing but borders; --resolution {least} or more gives them something to see"
    )


def checked(job: Job) -> None:
    """Refuse, before anything is written, what would be found out later."""
    if job.options.tensorboard:
        board()
    if job.found is not None and not job.spec.head.makes:  # `train` takes what it is given
        sound(job.found.spec, Path(job.options.parent))


@undisturbed()
def start(job: Job, watcher: Watcher) -> RunFolder:
    """Make the job's run folder and carry the run to its report. Under `torchrun`, the first process does all but train."""
    checked(job)
    with joined(device(job.options.device)) as ranks:
        refuse_lone_images(job.spec, job.recipe, len(job.images.train), ranks)
        run, new = ranks.from_first(lambda: _begun(job, watcher))
        with alone_on(run, ranks):
            return carry_on(run, watcher, job.images if new else None, ranks, given=(job.own, None))


def _begun(job: Job, watcher: Watcher) -> tuple[RunFolder, bool]:
    """The job's run folder, and whether it is new: not where `torchrun` has started its processes again."""
    if (before := recalled()) is not None and (Path(before) / "config.json").is_file():
        watcher.note(f"started again by torchrun: going on with {before}")
        return RunFolder.open(before), False
    run = RunFolder.create(Path(job.options.parent), job.options.name or named(job))
    remember(str(run.path.resolve()))
    watcher.stage("run", str(run.path))
    describe(run, job)
    for line in run.notes():
        watcher.note(line)
    differs = differences(job.recipe, job.spec, images=len(job.images.train))
    watcher.stage("recipe", f"{job.recipe.name}; what differs from the paper:" if differs else job.recipe.name)
    for line in differs:
        watcher.note(line)
    return run, True


def named(job: Job) -> str:
    """What a run is called where nobody says: `photos-resnet18`, or `photos-20M` after the budget that was asked for, with
    the base where it is not the usual one."""
    if job.found is None:
        return f"{job.images.name}-{job.spec.name}"
    usual = base_of_films().name if job.images.filmed else job.task.base
    base = () if job.base == usual else (job.base or "",)
    return "-".join((job.images.name, *base, str(job.found.budget).replace("-macs", "").replace(",", "-")))


def resume_training(
    run: RunFolder,
    *,
    data: Data | None = None,
    val: str | Path | None = None,
    force: bool = False,
    on: str | None = None,
    watcher: Watcher | None = None,
) -> RunFolder:
    """Go on with a training where it was stopped, whatever stopped it; stages that are done are left alone.

    `data` is needed where the run was begun with a dataset that lives in Python, and otherwise says where the files lie now;
    so does `val` of a second folder or file that it is validated on.
    Raises `DataError` where the data is not what the run was begun with, unless it is forced.
    """
    with joined(device(on)) as ranks, alone_on(run, ranks):
        return carry_on(run, watcher or Watcher(), None, ranks, force=force, given=(data, val))


def regularised(spec: ArchSpec, recipe: Recipe) -> ArchSpec:
    """The spec with the recipe's dropout and stochastic depth, by the spec's size where the recipe says so."""
    fixed = settle(recipe, spec)
    assert not isinstance(fixed.dropout, BySize) and not isinstance(fixed.drop_path, BySize)
    return replace(spec, head=spec.head.with_dropout(fixed.dropout)).with_style(
        drop_path=fixed.drop_path, ramp=fixed.ramp
    )


def describe(run: RunFolder, job: Job) -> None:
    """Write down everything the run was given: what resuming and the report read."""
    found = job.found
    run.write_spec(job.spec)
    if job.start is not None:  # kept, so that resuming needs nothing from elsewhere
        write_weights(run.file("initial.safetensors"), job.start.state)
    run.write_data(data_record(job.images))
    run.write_config(
        Config(
            verb=job.verb,
            convsmith=dict(this_machine().packages).get("convsmith", "unknown"),
            started=now(),
            name=run.path.name,
            data=job.images.name,
            source=to_data(job.source),
            seed=job.options.seed,
            weights=None if job.options.weights is None else str(job.options.weights),
            workers=job.options.workers,
            tensorboard=job.options.tensorboard,
            command=given(),
            budget=str(found.budget) if found else None,
            base=job.base,
            rule=found.rule.kind if found else None,
            x=found.x if found else None,
            met=met(found) if found else None,
            cost=cost(job.spec),
            stages=tuple(Stage(**asdict(row)) for row in stage_rows(job.spec)),
            threads=None if job.aim.threads == 1 else job.aim.threads,
            runtime=job.aim.recorded,
            task=None if job.task == Classify() else to_data(job.task),
            folds=job.options.folds,
            recipe=to_data(job.recipe),
            differences=tuple(differences(job.recipe, job.spec, images=len(job.images.train))),
            machine=this_machine(),
        )
    )


def given() -> str | None:
    """The command of this process, None where it is not convsmith's own, as in Python."""
    return shlex.join(["convsmith", *sys.argv[1:]]) if Path(sys.argv[0]).name == "convsmith" else None
