"""Cross-validation: a network trained on each way of leaving out one of N parts of the data, and what all of them score."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from ...ambient import undisturbed
from ...codec import to_data
from ...data.readers.dataset import own_data
from ...errors import UserError
from ...evals.intervals import across, counted, student, wilson
from ...files import write_text
from ...machine import this_machine
from ...reports.scaling import ScalingPage, render_scaling
from ...reports.tables import Cell, Table
from ...resolve import device
from ...runs import OF_DATA, OF_RESULTS, RunFolder
from ...scores import Metric, Scores, Unit, said
from ...training import Ranks, world_here
from ...watcher import Watcher
from ..options import Data, source_again
from ..source import data_record
from ..train.begin import Job, checked, describe, named
from ..train.stages import alone_on, carry_on

__all__ = [
    "CrossValidation",
    "cross_validate",
    "cross_validation_of",
    "fold_notes",
    "refuse_folds",
    "resume_folds",
    "write_folds",
]


@dataclass(frozen=True)
class CrossValidation:
    """What the folds of a run scored, in their order."""

    folds: tuple[Scores, ...]

    @property
    def n(self) -> int:
        """Images, each of which was validated once."""
        return sum(one.n for one in self.folds)

    @property
    def mean(self) -> Metric:
        """The headline: its mean over the folds, with Student's 95 % interval for the network of another such draw; none where
        all are equal."""
        values = self.values()
        interval = student(values) if len(set(values)) > 1 else None
        return replace(self.folds[0].headline, value=fmean(values), interval=interval)

    @property
    def pooled(self) -> Metric | None:
        """The headline over all images together, where it is a share of them: not of what is in them, as of points."""
        headline = self.folds[0].headline
        if headline.unit is not Unit.SHARE or not all(map(_of_images, self.folds)):
            return None
        right = sum(one.headline.value * one.n for one in self.folds)
        return counted(replace(headline, value=right / self.n, interval=None), self.n)

    def values(self) -> list[float]:
        return [one.headline.value for one in self.folds]

    def lines(self) -> list[str]:
        """The findings, in sentences."""
        mean, n = self.mean, len(self.folds)
        between = (
            f" [{mean.interval_text}], mean of {n} folds and its 95 % interval (Student's t)."
            if mean.interval
            else f" in each of {n} folds: equal scores say nothing of how far another would be off."
        )
        said = [f"{mean.title} {mean.text}{between}"]
        if (pooled := self.pooled) is not None:
            said.append(f"All {self.n:,} images together: {pooled.text} [{pooled.interval_text}] (95 %, Wilson's).")
        return said

    def to_record(self) -> dict[str, object]:
        """`folds.json`."""
        pooled = self.pooled
        return {
            "folds": len(self.folds),
            "n": self.n,
            "mean": self.mean.to_record(),
            "values": self.values(),
            "pooled": None if pooled is None else pooled.to_record(),
        }


def _of_images(scores: Scores) -> bool:
    """Whether a headline counts whole images: its interval, if it has one, is Wilson's of so many."""
    share = scores.headline
    return share.interval in (None, wilson(round(share.value * scores.n), scores.n))


def refuse_folds(job: Job) -> None:
    """Refuse to cross-validate in several processes, which train one network, and a generator."""
    if world_here() > 1:
        raise UserError("--folds trains one network after another in one process: leave out torchrun")
    if job.task.makes:
        raise UserError(
            "--folds validates each image once, and a generator is held against many at a time: leave it out"
        )


@undisturbed()
def cross_validate(job: Job, watcher: Watcher) -> RunFolder:
    """Make a folder for the job's folds, train each, and write what they score together.

    Raises:
        UserError: what `refuse_folds` and `start` refuse.
    """
    refuse_folds(job)
    checked(job)
    run = RunFolder.create(Path(job.options.parent), job.options.name or f"{named(job)}-folds")
    watcher.stage("run", f"{run.path}, {job.options.folds} folds")
    describe(run, job)
    return resume_folds(run, data=job.own, on=job.options.device, watcher=watcher)


def resume_folds(
    run: RunFolder,
    *,
    data: Data | None = None,
    force: bool = False,
    on: str | None = None,
    watcher: Watcher | None = None,
) -> RunFolder:
    """Begin and finish what is missing of a cross-validation. `data` and `force` as in `resume`."""
    watcher, ranks = watcher or Watcher(), Ranks(device=device(on))
    with alone_on(run, ranks):
        for at in range(run.config.folds or 0):
            fold = run.fold(at)
            watcher.stage("fold", f"{at + 1} of {run.config.folds}")
            if not fold.has("config.json"):
                _begin(run, fold, at, data, watcher)
            carry_on(fold, watcher, None, ranks, force=force, given=(data, None))
        found = cross_validation_of(run)
        run.write("folds.json", found.to_record())
        watcher.stage("report", str(write_folds(run)))
    return run


def _begin(run: RunFolder, fold: RunFolder, at: int, data: Data | None, watcher: Watcher) -> None:
    """Make the folder of one fold; its config.json is written last, and says that it is whole."""
    config, source = run.config, source_again(run, data)
    folds = config.folds or 0
    images = replace(source, fold=(at, folds)).load(watcher, own_data(data))
    fold.path.mkdir(exist_ok=True)
    for name in ("spec.json", "initial.safetensors"):
        if run.has(name):
            shutil.copyfile(run.file(name), fold.file(name))
    fold.write_data(data_record(images))
    fold.write_config(
        replace(
            config,
            name=f"{run.path.name}/{fold.path.name}",
            source=to_data(replace(source, fold=(at, folds))),
            folds=None,
        )
    )


def cross_validation_of(run: RunFolder) -> CrossValidation:
    """What a finished cross-validation scored. Raises `UserError` where a fold is missing."""
    return CrossValidation(tuple(run.fold(at).scores for at in range(run.config.folds or 0)))


def fold_notes(run: RunFolder) -> tuple[str, ...]:
    """What is worth knowing of the folds, as of single runs: of the data by the first, which is like the others, and of the
    results by each; what is so in all of them is said once."""
    folds = [run.fold(at) for at in range(run.config.folds or 0)]
    said: dict[str, list[str]] = {}
    for fold in folds:
        for note in fold.notes(OF_RESULTS):
            said.setdefault(note, []).append(fold.path.name)
    of_data = tuple(
        f"{note} (in {folds[0].path.name}, and much the same in the others)" for note in folds[0].notes(OF_DATA)
    )
    return *of_data, *(
        note if len(names) == len(folds) else f"{note} ({', '.join(names)})" for note, names in said.items()
    )


def write_folds(run: RunFolder, out: Path | None = None) -> Path:
    """Write the page of a finished cross-validation, to `report.html` in its folder or to `out`; its path."""
    found, config = cross_validation_of(run), run.config
    names = [metric.name for metric in found.folds[0].telling()]
    page = ScalingPage(
        title=f"{run.spec.name} on {config.data}: {len(found.folds)} folds",
        subtitle=(f"{found.n:,} images, each validated once", f"seed {config.seed}"),
        findings=tuple(found.lines()),
        tables=(
            Table(
                "Each fold",
                ("fold", *(found.folds[0].metric(name).words for name in names), "images"),
                (
                    *(_row(run.fold(at).path.name, one, names) for at, one in enumerate(found.folds)),
                    _together(found, names),
                ),
            ),
        ),
        notes=(
            "Every image was validated once, by the network that was not trained on it. The folds share training images, so their "
            "scores are not independent, and an interval from them is somewhat too narrow.",
            *(f"{note[:1].upper()}{note[1:]}." for note in fold_notes(run)),
        ),
        command=config.command if isinstance(config.command, str) else "",
        machine=this_machine().line,
    )
    html, _ = render_scaling(page, {})
    place = out or run.file("report.html")
    write_text(place, html)
    return place


def _together(found: CrossValidation, names: Sequence[str]) -> tuple[str | Cell, ...]:
    """The mean of each metric with its standard error."""
    cells: dict[str, str] = {}
    for metric, error in across(found.folds):
        cells[metric.name] = metric.text if error is None else f"{metric.text} ± {said(error, metric.unit)}"
    return "mean ± standard error", *(cells.get(name, "–") for name in names), f"{found.n:,}"


def _row(name: str, scores: Scores, names: Sequence[str]) -> tuple[str | Cell, ...]:
    return Cell(name, href=f"{name}/report.html"), *(scores.metric(one).text for one in names), f"{scores.n:,}"
