"""Verbs that train, and those that work on what was trained: design, train, evaluate, export, report, resume, demo."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..errors import UserError
from .options import BUDGET, COUNT, NATURAL, POSITIVE, RULE, SEED, Json
from .output import emit, err, out, watching
from .places import writable

if TYPE_CHECKING:
    from ..jobs import Job, Options
    from ..rehearsal import Rehearsal
    from ..runs import Run
    from ..searching_rehearsal import SearchRehearsal

__all__ = ["demo", "design", "evaluate", "export", "report", "resume", "told", "train"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Training:
    """Options of every verb that trains."""

    recipe: Annotated[str, Parameter(help="A named recipe.")] = "quick"
    epochs: Annotated[int | None, Parameter(help="Epochs, short for --set epochs=N.", validator=COUNT)] = None
    settings: Annotated[
        tuple[str, ...], Parameter(name="--set", help="Change the recipe: --set optimiser.momentum=0.8.")
    ] = ()
    val: Annotated[str | None, Parameter(help="A second folder or .npz to validate on, as it is.")] = None
    root: Annotated[Path | None, Parameter(help="Where a named data set lies.")] = None
    download: Annotated[bool, Parameter(help="Allow a named data set to be downloaded.")] = False
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
    seed: Annotated[int, Parameter(help="Seed of all randomness.", validator=SEED)] = 0
    name: Annotated[str | None, Parameter(help="Name of the run folder.")] = None
    runs: Annotated[Path, Parameter(help="Where run folders are made.")] = Path("runs")
    tensorboard: Annotated[
        bool, Parameter(help="Write the metrics as TensorBoard's events, too: RUN/tb. Not of a search.")
    ] = False
    dry_run: Annotated[
        bool, Parameter(help="Say what would run, for how long and in how much memory; train nothing.")
    ] = False
    json: Json = False

    def options(self) -> Options:
        from ..jobs import Options

        epochs = () if self.epochs is None else (f"epochs={self.epochs}",)
        return Options(
            recipe=self.recipe,
            settings=(*self.settings, *epochs),
            val=self.val,
            root=self.root,
            download=self.download,
            seed=self.seed,
            workers=self.workers,
            name=self.name,
            parent=self.runs,
            tensorboard=self.tensorboard,
            cache=self.cache,
            cache_side=self.cache_side,
        )


DEFAULTS = Training()


def design(
    data: str,
    /,
    *,
    to: Annotated[str, BUDGET],
    base: Annotated[
        str | None, Parameter(help="What to scale: a name or a spec .json. Default: efficientnet_b0.")
    ] = None,
    rule: Annotated[str | None, Parameter(help=f"{RULE} Default: compound.")] = None,
    how: Annotated[
        Literal["scale", "search"],
        Parameter(help="scale BASE by RULE, or cut the network out of a supernet of SPACE, as `search` does."),
    ] = "scale",
    space: Annotated[str | None, Parameter(help="With --how search: t32 (the default), bignas, or a model.")] = None,
    training: Training = DEFAULTS,
) -> None:
    """The main job: a trained network for DATA that meets the budget, exported, measured, with a report.

    DATA is `digits`, a folder with a folder per class, an .npz with images and labels, or a named torchvision set.
    """
    if how == "search":
        from .searching import search

        if base is not None or rule is not None:
            raise UserError(
                "--base and --rule are for --how scale; with --how search, --space says which networks there are"
            )

        # A comma joins the limits of one budget here, and several budgets there.
        search(data, to=to.replace(",", "+"), space=space or "t32", training=training)
        return
    if space is not None:
        raise UserError("--space is for --how search; BASE and RULE say what --how scale chooses from")
    from ..jobs import design_job

    watcher = watching()
    found = design_job(data, to, base or "efficientnet_b0", rule or "compound", training.options(), watcher)
    _run(found, training)


def train(
    model: str,
    data: str,
    /,
    *,
    resolution: Annotated[int | None, Parameter(help="Another input side.", validator=COUNT)] = None,
    weights: Annotated[
        str | None,
        Parameter(help="Begin with these: a file, a run, timm:NAME, tv:NAME. Other classes get a new classifier."),
    ] = None,
    pseudo: Annotated[
        str | None, Parameter(help="Train on these pseudo-labels as well: a file of `pseudo-label`.")
    ] = None,
    pseudo_ratio: Annotated[
        float, Parameter(help="Pseudo-labelled images for each labelled one in an epoch.", validator=POSITIVE)
    ] = 1.0,
    training: Training = DEFAULTS,
) -> None:
    """Train MODEL on DATA by a recipe, then evaluate, export, measure and report.

    With --weights it is transfer: --recipe finetune is the protocol of the transfer studies, --set frozen=true trains the
    classifier alone, --set trunk_rate=0.1 lets everything before it learn at a tenth of its rate.
    """
    from ..jobs import train_job

    options = replace(training.options(), weights=weights, pseudo=pseudo, pseudo_ratio=pseudo_ratio)
    _run(train_job(model, data, resolution, options, watching()), training)


def demo(*, training: Training = DEFAULTS) -> None:
    """The main job on 1,797 real handwritten digits: `design digits --to 2M-macs`."""
    design("digits", to="2M-macs", training=replace(training, name=training.name or "demo"))


def resume(
    run: Path,
    /,
    *,
    force: Annotated[bool, Parameter(help="Go on although the data has changed since the start.")] = False,
    json: Json = False,
) -> None:
    """Go on with RUN from where it was stopped, to the same weights as if it had not been."""
    from ..jobs import resume as resumed
    from ..runs import Run

    if Run.open(run).read("config.json")["verb"] == "search" and (run / "space.json").is_file():
        from ..searching import resume_search
        from .searching import finished

        finished(resume_search(Run.open(run), force=force, watcher=watching()), json)
        return
    _finished(resumed(Run.open(run), force=force, watcher=watching()), json)


def evaluate(
    run: Path,
    data: str | None = None,
    /,
    *,
    split: Annotated[Literal["val", "train"], Parameter(help="Which part of the data.")] = "val",
    root: Annotated[Path | None, Parameter(help="Where a named data set lies.")] = None,
    download: Annotated[bool, Parameter(help="Allow a named data set to be downloaded.")] = False,
    json: Json = False,
) -> None:
    """Top-1 and top-5 of RUN with 95 % intervals, on its own validation images or on DATA."""
    from ..checks import evaluate as evaluated

    scores = evaluated(run, data, split=split, root=root, download=download, watcher=watching())
    if json:
        emit(scores.to_record())
        return
    for name, value, interval in (
        ("top-1", scores.top1, scores.top1_interval),
        (f"top-{scores.k}", scores.top5, scores.top5_interval),
    ):
        out.print(f"{name} {value:.2%}  [{interval[0]:.2%}, {interval[1]:.2%}]  (95 %, n = {scores.n})", markup=False)
    out.print(f"mean of classes {scores.per_class_mean:.2%}, loss {scores.loss:.4f}")


def export(
    model: str,
    /,
    *,
    to: Annotated[Literal["onnx"], Parameter(help="The format.")] = "onnx",
    out_file: Annotated[
        Path | None, Parameter(name="--out", help="Where to write; a run's own folder by default.")
    ] = None,
    static_batch: Annotated[bool, Parameter(help="Fix the batch at 1 instead of leaving it free.")] = False,
    int8: Annotated[
        bool, Parameter(help="Quantise a run to eight bits, calibrated and scored on its own data.")
    ] = False,
    must: Annotated[
        str, Parameter(help="With --int8: conditions such as drop<=1,ms<=5,ratio<=0.3 (exit 1 if broken).")
    ] = "",
    child: Annotated[
        int | None, Parameter(help="Of a search: this child of its front, as its report counts.", validator=COUNT)
    ] = None,
    json: Json = False,
) -> None:
    """MODEL (a run, usually) as an ONNX file, run by onnxruntime on real inputs and compared with the network."""
    writable(out_file)
    if must and not int8:
        raise UserError("--must is a gate for --int8")
    if static_batch and int8:
        raise UserError("--int8 leaves the batch free; --static-batch is for the float file")
    if child is not None:
        from ..searching import export_child

        if int8:
            raise UserError("--int8 takes a finished run: give the folder of a winner, RUN/children/BUDGET")
        record = export_child(
            Path(model), child, out_file, dynamic_batch=not static_batch, watcher=watching()
        ).to_record()
    else:
        from ..checks import export as exported

        found = exported(model, out_file, dynamic_batch=not static_batch, int8=int8, must=must, watcher=watching())
        record = found.to_record()
    record |= {"format": to}
    if json:
        emit(record)
        return
    for key, value in record.items():
        out.print(f"{key.replace('_', ' '):>20}  {value}", soft_wrap=True)


def report(runs: list[Path], /, *, json: Json = False) -> None:
    """The report of a run, or of several side by side, as one HTML file that can be mailed."""
    from ..checks import report as reported

    path = reported(runs)
    if json:
        emit({"report": str(path), "bytes": path.stat().st_size})
    else:
        out.print(f"wrote {path} ({path.stat().st_size / 1024:.0f} KiB)", soft_wrap=True)


def _run(job: Job, training: Training) -> None:
    from ..jobs import start

    watcher = watching()
    if not training.dry_run:
        _finished(start(job, watcher), training.json)
        return
    from ..rehearsal import rehearse

    # Building a cache would be writing.
    told(rehearse(replace(job, images=replace(job.images, cache=None)), watcher), training.json)


def told(rehearsal: Rehearsal | SearchRehearsal, json: bool) -> None:
    """Say what a dry run found."""
    if json:
        emit(rehearsal.to_record())
        return
    for line in rehearsal.lines():
        out.print(line, soft_wrap=True)


def _finished(run: Run, json: bool) -> None:
    from ..training import rank_here

    if rank_here() > 0:  # the first of several processes speaks for all
        return
    config, scores, latency = run.read("config.json"), run.read("scores.json"), run.read("latency.json")
    row = latency["rows"][0]
    files = {name: str(run.file(name)) for name in ("spec.json", "model.safetensors", "model.onnx", "report.html")}
    if json:
        short = {key: value for key, value in scores.items() if key not in ("wrong", "confusion")}
        record = {"run": str(run.path), "cost": config["cost"], "budget": config["budget"], "met": config["met"]}
        emit(record | {"scores": short, "latency": row, "export": run.read("export.json"), "files": files})
        return
    low, high = scores["top1_interval"]
    err.print()
    out.print(f"top-1    {scores['top1']:.2%}  [{low:.2%}, {high:.2%}]  (95 %, n = {scores['n']})", markup=False)
    cost = config["cost"]
    for name, limit in (config["met"] or {}).items():
        needs, allowed = (f"{limit[key]:.3g}" if name == "ms" else f"{limit[key]:,.0f}" for key in ("is", "limit"))
        out.print(f"budget   {needs} of {allowed} {name}, {limit['slack']:.1%} below")
    if not config["met"]:
        out.print(f"cost     {cost['macs']:,} MACs, {cost['params']:,} parameters")
    out.print(
        f"latency  {row['median_ms']:.3f} ms  (p10 {row['p10_ms']:.3f}, p90 {row['p90_ms']:.3f}, n = {row['n']}; "
        f"{row['runtime']}, batch {row['batch']}, {row['threads']} thread)",
        soft_wrap=True,
    )
    out.print(f"report   {files['report.html']}", soft_wrap=True)
