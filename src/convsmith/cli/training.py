"""Options that every verb which trains has, and what is said when it has trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..units import Cost
from .options import COUNT, NATURAL, SEED, Json
from .output import emit, err, out, told_of, watching

if TYPE_CHECKING:
    from ..jobs.options import Options
    from ..jobs.search.rehearsal import SearchRehearsal
    from ..jobs.train.begin import Job
    from ..jobs.train.rehearsal import Rehearsal
    from ..runs import RunFolder

__all__ = ["DEFAULTS", "LEARNING", "Learning", "Training", "carried_out", "finished", "told"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Learning:
    """Options of every verb that learns from DATA, studies among them."""

    recipe: Annotated[str | None, Parameter(help="A named recipe; quick if none is given, of a ladder resnet-rs.")] = (
        None
    )
    epochs: Annotated[int | None, Parameter(help="Epochs, short for --set epochs=N.", validator=COUNT)] = None
    settings: Annotated[
        tuple[str, ...], Parameter(name="--set", help="Change the recipe: --set optimiser.momentum=0.8.")
    ] = ()
    val: Annotated[str | None, Parameter(help="A second folder, .npz or .csv to validate on, as it is.")] = None
    root: Annotated[Path | None, Parameter(help="Where a named data set lies.")] = None
    download: Annotated[bool, Parameter(help="Allow a named data set to be downloaded.")] = False
    seed: Annotated[int, Parameter(help="Seed of all randomness.", validator=SEED)] = 0
    dry_run: Annotated[
        bool, Parameter(help="Say what would run, for how long and in how much memory; train nothing.")
    ] = False
    json: Json = False

    def options(self, usual: str = "quick") -> Options:
        """These as the jobs take them; `usual` is the recipe where none is given."""
        from ..jobs.options import Options

        epochs = () if self.epochs is None else (f"epochs={self.epochs}",)
        return Options(
            recipe=self.recipe or usual,
            settings=(*self.settings, *epochs),
            val=self.val,
            root=self.root,
            download=self.download,
            seed=self.seed,
        )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Training(Learning):
    """Options of every verb that trains one network, or one supernet."""

    workers: Annotated[int, Parameter(help="Processes that read images; 0 reads in this one.", validator=NATURAL)] = 0
    cache: Annotated[
        Path | None, Parameter(help="A folder for decoded images: made once, then read by every run on this data.")
    ] = None
    cache_side: Annotated[
        int,
        Parameter(
            help="Short side of images in the cache; 0: as many pixels as the smallest crops need.", validator=NATURAL
        ),
    ] = 0
    name: Annotated[str | None, Parameter(help="Name of the run folder.")] = None
    runs: Annotated[Path, Parameter(help="Where run folders are made.")] = Path("runs")
    device: Annotated[str | None, Parameter(help="cpu, cuda, cuda:1, ...; CUDA where there is one by default.")] = None
    class_weights: Annotated[
        str, Parameter(help="What each class weighs in the loss: balanced, or a number for each, 1,2,0.5.")
    ] = ""
    tensorboard: Annotated[
        bool, Parameter(help="Write the metrics as TensorBoard's events, too: RUN/tb. Not of a search.")
    ] = False

    def options(self, usual: str = "quick") -> Options:
        return replace(
            super().options(usual),
            workers=self.workers,
            name=self.name,
            parent=self.runs,
            device=self.device,
            class_weights=self.class_weights,
            tensorboard=self.tensorboard,
            cache=self.cache,
            cache_side=self.cache_side,
        )


LEARNING, DEFAULTS = Learning(), Training()


def carried_out(job: Job, training: Training) -> None:
    """Begin the job and say what came of it, or with --dry-run what would."""
    from ..jobs.train.begin import start

    watcher = watching()
    if not training.dry_run:
        finished(start(job, watcher), training.json)
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
    from ..training import rank_here

    if rank_here() > 0:  # the first of several processes speaks for all
        return
    config, scores, row = run.config, run.scores, run.latency.rows[0]
    cost, met = config.cost or Cost(), config.met or {}
    files = {name: str(run.file(name)) for name in ("spec.json", "model.safetensors", "model.onnx", "report.html")}
    if json:
        known = config.to_record()
        record = {"run": str(run.path)} | {key: known[key] for key in ("cost", "budget", "met")}
        exported = run.exported.to_record()
        emit(record | {"scores": scores.short_record(), "latency": row.to_record(), "export": exported, "files": files})
        return
    err.print()
    out.print(told_of(replace(scores, metrics=(scores.headline,)), pad=8)[0], markup=False)
    for name, limit in met.items():
        needs, allowed = (f"{own:.3g}" if name == "ms" else f"{own:,.0f}" for own in (limit.actual, limit.limit))
        out.print(f"budget   {needs} of {allowed} {name}, {limit.slack:.1%} below")
    if not met:
        out.print(f"cost     {cost.macs:,} MACs, {cost.params:,} parameters")
    out.print(
        f"latency  {row.median_ms:.3f} ms  (p10 {row.p10_ms:.3f}, p90 {row.p90_ms:.3f}, n = {row.n}; "
        f"{row.runtime}, batch {row.batch}, {row.threads} thread)",
        soft_wrap=True,
    )
    out.print(f"report   {files['report.html']}", soft_wrap=True)
