"""Options that every verb which trains has, and what is said when it has trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from ..errors import UserError
from ..units import Cost, plural
from .options import COUNT, DATA, NATURAL, OUTPUT, POSITIVE, TRAINING, Device, Download, Json, Out, Root, Seed, Workers
from .output import emit, leave_a_line, out, watching

if TYPE_CHECKING:
    from ..jobs.options import Options
    from ..jobs.search.rehearsal import SearchRehearsal
    from ..jobs.train.begin import Job
    from ..jobs.train.rehearsal import Rehearsal
    from ..runs import RunFolder

__all__ = ["DEFAULTS", "LEARNING", "Learning", "Training", "carried_out", "finished", "told"]


# Metrics that are told beside the headline.
_BESIDE = ("per_class_mean", "majority", "frechet_distance", "conditional_accuracy")
# The recipes that may be meant where none is named.
USUAL = ("quick", "pose-scratch")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Learning:
    """Options of every verb that learns from DATA, studies among them."""

    recipe: Annotated[
        str | None,
        Parameter(
            help="A named recipe (`convsmith recipes`); without one quick, with weights finetune, of a ladder resnet-rs; of "
            "poses pose-scratch, with weights pose; of a generator biggan-small.",
            group=TRAINING,
        ),
    ] = None
    epochs: Annotated[
        int | None, Parameter(help="Epochs, short for --set epochs=N.", validator=COUNT, group=TRAINING)
    ] = None
    batch: Annotated[
        int | None, Parameter(help="Images a step, short for --set batch=N.", validator=COUNT, group=TRAINING)
    ] = None
    lr: Annotated[
        float | None,
        Parameter(
            help="Peak learning rate for 256 images a step, short for --set rate=X.", validator=POSITIVE, group=TRAINING
        ),
    ] = None
    settings: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set",
            help="Change the recipe: --set optimiser.momentum=0.8; or the task: --set task.radius=12.",
            group=TRAINING,
        ),
    ] = ()
    val_share: Annotated[
        float | None,
        Parameter(help="Share of each class to validate on, where DATA is not divided; 0.2 by default.", group=DATA),
    ] = None
    val: Annotated[
        str | None, Parameter(help="A second folder, .npz or .csv to validate on, as it is.", group=DATA)
    ] = None
    divide: Annotated[
        str | None,
        Parameter(
            help="Pictures with points: by individual (usual), by frame, the number of one of quad30's divisions, or a .csv that "
            "lists the frames of each part. Films: clip, whatever each was cut out of.",
            group=DATA,
        ),
    ] = None
    ruler: Annotated[
        str | None,
        Parameter(help="Two body parts whose distance is an individual's scale, such as nose,eye.", group=DATA),
    ] = None
    category: Annotated[str | None, Parameter(help="The category of a COCO .json that is wanted.", group=DATA)] = None
    task: Annotated[
        Literal["detect", "pose", "synthesise"] | None,
        Parameter(
            help="synthesise: a generator learns to make images of each class. Of a COCO .json with key points, what it is read "
            "for: pose by default, detect for its boxes and masks.",
            group=DATA,
        ),
    ] = None
    root: Root = None
    download: Download = False
    seed: Annotated[Seed, Parameter(group=TRAINING)] = 0
    dry_run: Annotated[
        bool,
        Parameter(help="Say what would run, for how long and in how much memory; train nothing.", group=OUTPUT),
    ] = False
    json: Json = False

    def options(self) -> Options:
        """These as the jobs take them."""
        from ..recipes import refuse_changes
        from ..settings import in_two

        short = {"epochs": self.epochs, "batch": self.batch, "rate": self.lr}
        shorts = (f"{field}={value}" for field, value in short.items() if value is not None)
        settings = (*self.settings, *shorts)
        # What is wrong is told before torch is imported; which recipe is the usual one is known when the data is.
        refuse_changes((self.recipe,) if self.recipe else USUAL, in_two(settings)[0])
        from ..jobs.options import Options

        return Options(
            recipe=self.recipe,
            settings=settings,
            val=self.val,
            val_share=self.val_share,
            divide=self.divide,
            ruler=self.ruler,
            category=self.category,
            task=self.task,
            root=self.root,
            download=self.download,
            seed=self.seed,
        )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Training(Learning):
    """Options of every verb that trains one network, or one supernet."""

    folds: Annotated[
        int | None,
        Parameter(
            help="Cross-validate: as many trainings, each image validated once by a network that has not seen it.",
            validator=Number(gte=2),
            group=DATA,
        ),
    ] = None
    keep: Annotated[
        Literal["last", "best"] | None,
        Parameter(
            help="Hand over the last epoch, or the best on the validation images: --set keep=best.", group=TRAINING
        ),
    ] = None
    patience: Annotated[
        int | None,
        Parameter(
            help="End after so many epochs without a better one: --set patience=N.", validator=COUNT, group=TRAINING
        ),
    ] = None
    workers: Workers = 0
    cache: Annotated[
        Path | None,
        Parameter(help="A folder for decoded images: made once, then read by every run on this data.", group=DATA),
    ] = None
    cache_side: Annotated[
        int,
        Parameter(
            help="Short side of images in the cache; 0: as many pixels as the smallest crops need.",
            validator=NATURAL,
            group=DATA,
        ),
    ] = 0
    out: Annotated[Out, Parameter(help="The run folder to make, RUN-2 where it is taken; in runs/ by default.")] = None
    name: Annotated[str | None, Parameter(show=False)] = None
    runs: Annotated[Path | None, Parameter(show=False)] = None
    device: Annotated[
        Device,
        Parameter(
            help="cpu, cuda, cuda:1, ...: where to train; the best there is by default. For design and search also a device that "
            "was calibrated from a kit, whose milliseconds are then meant: pi4, or cuda,pi4.",
        ),
    ] = None
    class_weights: Annotated[
        str,
        Parameter(help="What each class weighs in the loss: balanced, or a number for each, 1,2,0.5.", group=TRAINING),
    ] = ""
    tensorboard: Annotated[
        bool,
        Parameter(help="Write the metrics as TensorBoard's events, too: RUN/tb. Not of a search.", group=OUTPUT),
    ] = False

    def options(self) -> Options:
        parent, name = self._place()
        if self.cache_side and self.cache is None:
            raise UserError("--cache-side is of --cache FOLDER: give that too, or leave it out")
        learning = super().options()
        short = {"keep": self.keep, "patience": self.patience}
        return replace(
            learning,
            settings=(*learning.settings, *(f"{field}={value}" for field, value in short.items() if value is not None)),
            workers=self.workers,
            name=name,
            parent=parent,
            device=self.device,
            class_weights=self.class_weights,
            tensorboard=self.tensorboard,
            cache=self.cache,
            cache_side=self.cache_side,
            folds=self.folds,
        )

    def _place(self) -> tuple[Path, str | None]:
        """The folder in which the run's is made, and its name; `--runs` and `--name` are what `--out` was once."""
        if self.out is None:
            return self.runs or Path("runs"), self.name
        if self.name is not None or self.runs is not None:
            raise UserError("--out says where the run folder goes: leave out --name and --runs")
        return self.out.parent, self.out.name


LEARNING, DEFAULTS = Learning(), Training()


def carried_out(job: Job, training: Training) -> None:
    """Begin the job and say what came of it, or with --dry-run what would."""
    from ..jobs.studies.folds import cross_validate, refuse_folds
    from ..jobs.train.begin import start

    watcher = watching()
    if training.folds is not None:
        refuse_folds(job)
    if not training.dry_run:
        finished(start(job, watcher) if training.folds is None else cross_validate(job, watcher), training.json)
        return
    from ..jobs.train.rehearsal import rehearse

    # Building a cache would be writing.
    told(rehearse(replace(job, images=replace(job.images, cache=None)), watcher), training.json)


def told(rehearsal: Rehearsal | SearchRehearsal, json: bool) -> None:
    """Say what a dry run found."""
    if json:
        emit(rehearsal.to_record())
        return
    for line in rehearsal.lines():
        out.print(line, soft_wrap=True)


def finished(run: RunFolder, json: bool) -> None:
    """Say what a training run came to."""
    from ..runs import OF_RESULTS, Kind
    from ..training import rank_here

    if rank_here() > 0:  # the first of several processes speaks for all
        return
    if run.kind is Kind.FOLDS:
        cross_validated(run, json)
        return
    config, scores, row = run.config, run.scores, run.latency.rows[0]
    cost, met = config.cost or Cost(), config.met or {}
    beside = (metric for metric in scores.metrics if metric.name in _BESIDE)
    files = {name: str(run.file(name)) for name in ("spec.json", "model.safetensors", "model.onnx", "report.html")}
    if json:
        known = config.to_record()
        record = {"run": str(run.path)} | {key: known[key] for key in ("cost", "budget", "met")}
        exported = run.exported.to_record()
        emit(
            record
            | {
                "scores": scores.short_record(),
                "latency": row.to_record(),
                "export": exported,
                "files": files,
                "notes": run.notes(),
            }
        )
        return
    leave_a_line()
    for line in replace(scores, metrics=(scores.headline, *beside)).lines(pad=8):
        out.print(line, markup=False)
    for name, limit in met.items():
        needs, allowed = (f"{own:.3g}" if name == "ms" else f"{own:,.0f}" for own in (limit.actual, limit.limit))
        off = f"{abs(limit.slack):.1%} {'above' if limit.slack < 0 else 'below'}"
        out.print(f"budget   {needs} of {allowed} {name}, {off}{limit.whose}")
    if not met:
        out.print(f"cost     {cost.macs:,} MACs, {cost.params:,} parameters")
    out.print(
        f"latency  {row.median_ms:.3f} ms  (p10 {row.p10_ms:.3f}, p90 {row.p90_ms:.3f}, n = {row.n}; "
        f"{row.runtime}, batch {row.batch}, {plural(row.threads, 'thread')})",
        soft_wrap=True,
    )
    for note in run.notes(OF_RESULTS):
        out.print(f"note     {note}", soft_wrap=True, markup=False, highlight=False)
    out.print(f"report   {files['report.html']}", soft_wrap=True)


def cross_validated(run: RunFolder, json: bool) -> None:
    """Say what a cross-validation came to."""
    from ..jobs.studies.folds import cross_validation_of, fold_notes

    found, page = cross_validation_of(run), str(run.file("report.html"))
    if json:
        runs = [str(run.fold(at).path) for at in range(len(found.folds))]
        emit({"run": str(run.path)} | found.to_record() | {"runs": runs, "report": page, "notes": fold_notes(run)})
        return
    leave_a_line()
    for line in found.lines():
        out.print(line, soft_wrap=True, markup=False)
    for note in fold_notes(run):
        out.print(f"note     {note}", soft_wrap=True)
    out.print(f"report   {page}", soft_wrap=True)
