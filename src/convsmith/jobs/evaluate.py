"""`evaluate`: what a trained run is worth, on its own images or on others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..ambient import undisturbed
from ..data import ImageData, NotDivided, Split, Views, load_to_score
from ..data.batches import ONCE
from ..data.how import How
from ..data.readers.dataset import Own, own_data
from ..data.readers.names import listed
from ..data.targets import Joints
from ..errors import DataError, UserError
from ..files import check_writable
from ..resolve import device as chosen_device
from ..resolve import trained_run
from ..runs import RunFolder, write_tables
from ..scores import Scores
from ..tasks import targets_for
from ..units import plural
from ..watcher import Watcher
from .examiner import examiner_of
from .feed import score_on, task_of, trained
from .fitting import told_of_frames
from .objects import check_results, keep_all, write_results
from .options import Data, Options, source_of
from .source import Source, loaded_again, unchanged, unread

__all__ = ["SPLITS", "Part", "evaluate", "owners", "part_to_score"]

SPLITS = ("val", "train", "test", "all")
# Those that a run makes of data that is not divided.
OWN_PARTS = ("val", "train")

_HELD_OUT = "what it makes is held against images that it was not trained on: leave out --split train"


@undisturbed()
def evaluate(
    run: RunFolder | str | Path,
    data: Data | None = None,
    *,
    split: str | None = None,
    root: str | Path | None = None,
    download: bool = False,
    how: How | None = None,
    device: str | None = None,
    out: str | Path | None = None,
    coco: str | Path | None = None,
    views: str | Views | None = None,
    inception: str | Path | None = None,
    watcher: Watcher | None = None,
) -> Scores:
    """What a trained run is worth, with 95 % intervals: on its own validation images, or on every image of `data`.

    Of a generator: how far what it makes is from these images, in features of a judge, with the floor of that.

    `split` is a part of the run's own data (val, unless it says train, test or all), or of `data` where that has parts: then
    val by default, else test. Classes are matched by name; `data` may have fewer than the run, and one image of each.
    `out` is a folder for tables as CSV: of the classes and of the confusion, of the body parts and of the individuals, or of COCO's
    numbers and of the classes. `coco` is a .json for all that a detector finds, as one of COCO's results files.
    Where `data` is what the run was trained on, moved or not, `split` val and train are the run's own parts of it. `how` says of
    pictures with points how `data` is divided, which distance is a scale and which category is wanted; what it leaves out is
    as it was of the run's own data, but for the division of other data. `views`, as "10x3", says as how many clips, in how many
    crops each, a film is looked at, whose probabilities are averaged; one in the middle where it is left out. `inception` is a file
    of Inception v3's weights, in whose features the distances of a generator are: FID where it is the file that FID is defined by.

    Raises:
        DataError: classes that the run does not know, no such part, or nothing to score.
    """
    run, watcher = trained_run(run), watcher or Watcher()
    if out is not None:
        check_writable(Path(out) / "classes.csv")
    if coco is not None:
        check_results(Path(coco))
    found = part_to_score(run, data, split=split, root=root, download=download, how=how, watcher=watcher)
    what = "film" if found.split.inputs.filmed else "image"
    watcher.stage("evaluate", f"{plural(len(found.split), what)} of {found.said}")
    if views is not None and not found.split.inputs.filmed:
        raise UserError(f"--views looks at a film as several clips, and {found.said} has images")
    if run.spec.input.frames and not found.split.inputs.filmed:
        raise UserError(f"{run.path} reads clips, and {found.said} has images")
    if said := told_of_frames(run.spec, found.split.inputs):
        watcher.note(said)
    task, where = task_of(run.config), chosen_device(device)
    seen = ONCE if views is None else views if isinstance(views, Views) else Views.parse(views)
    if inception is not None:
        if not Path(inception).is_file():
            raise UserError(f"--inception is a file of weights, and {inception} is none")
        task = task.judged_by(str(inception))
    if task.makes:
        if coco is not None or found.part == "train":
            said = "finds no objects: leave out --coco" if coco is not None else _HELD_OUT
            raise UserError(f"{run.path} makes images, and {said}")
        scores = examiner_of(task, run.spec, _own(run, watcher), run.path, where, watcher).scores(
            trained(run, run.spec), found.split
        )
        if out is not None:
            write_tables(scores, Path(out))
        return replace(scores, split=found.part, of=found.name)
    meter = task.meter(run.data.classes)
    if coco is not None:
        keep_all(meter, run)
    scores = score_on(
        trained(run, run.spec), run.spec, found.split, run.data.classes, where, task, found.roots, meter, seen
    )
    if len(seen) > 1:
        said = f"the mean over {plural(seen.clips, 'clip')} of each film, {plural(seen.crops, 'crop')} each"
        scores = replace(
            scores,
            settings=(*scores.settings, ("clips", seen.clips), ("crops", seen.crops)),
            notes=(*scores.notes, said),
        )
    if coco is not None:
        write_results(Path(coco), meter, found.split, run.data.classes, watcher)
    if out is not None:
        write_tables(scores, Path(out))
    return replace(scores, split=found.part, of=found.name)


def _own(run: RunFolder, watcher: Watcher) -> ImageData:
    """What a generator was trained on: made images are held against it as well."""
    source = Source.of(run)
    return loaded_again(run, source, None, watcher, remedy=f"`convsmith resume {run.path} {{}} PATH`", force=None)


@dataclass(frozen=True)
class Part:
    """What is scored: which part, and of what, empty where it is the run's own; and the folders that its files lie in."""

    split: Split
    part: str
    name: str
    roots: tuple[str, ...]

    @property
    def said(self) -> str:
        return self.name or f"its own part {self.part}"


def owners(split: Split) -> tuple[str, ...]:
    """Whom each picture is of; empty where that is not known."""
    return split.groups or (split.targets.individuals if isinstance(split.targets, Joints) else ())


def part_to_score(
    run: RunFolder,
    data: Data | None,
    *,
    split: str | None,
    root: str | Path | None = None,
    download: bool = False,
    how: How | None = None,
    watcher: Watcher,
) -> Part:
    """The part of a run's own data, or of `data`, that `evaluate` is asked for. Raises as `evaluate`."""
    if split is not None and split not in SPLITS:
        raise UserError(f"split '{split}' is none of {', '.join(SPLITS)}")
    if data is None and (root is not None or download):
        raise UserError("--root and --download are of DATA, which is not given: a run knows where its own data lies")
    if data is None and how is not None and how.given:
        raise UserError(
            f"{' and '.join(how.given)}: of DATA, which is not given: a run's own data is read as it was in training"
        )
    began = Source.of(run)
    now = began if data is None else source_of(data, Options(root=root, download=download))
    source = replace(began, what=now.what, own=now.own, root=now.root, download=now.download)
    if now.what != began.what:  # other data is not divided as the run's own
        source = replace(source, divide=None)
    if how is not None:
        source = replace(source, **{name: value for name, value in vars(how).items() if value is not None})
    asked = split or ("val" if data is None else None)
    if data is None and asked in OWN_PARTS:
        source.refuse_missing(f"`convsmith evaluate {run.path} PATH --split {asked}`, PATH for {{}}")
        images = source.load(watcher, own_data(data))
        return Part(images.val if asked == "val" else images.train, asked, "", images.roots)
    found = _given(run, source, asked, own_data(data), watcher)
    if found.part in ("train", "all") and source.what == began.what:
        watcher.note(f"{run.path} was trained on images that are scored here; --split val scores those that it was not")
    return found


def _given(run: RunFolder, source: Source, part: str | None, own: Own | None, watcher: Watcher) -> Part:
    """A part of the data as it is, or one that the run made of it by itself."""
    classes = run.data.classes
    try:
        found = load_to_score(
            source.what if own is None else own,
            classes,
            targets_for(task_of(run.config)),
            part=part,
            root=None if source.root is None else Path(source.root),
            download=source.download,
            divide=source.divide,
            ruler=source.ruler,
            category=source.category,
            task=source.task,
            progress=lambda done, total: watcher.count("checking images", done, total),
        )
    except NotDivided as error:
        if part not in OWN_PARTS or not unchanged(run, images := source.load(watcher, own)):
            raise DataError(
                f"{error}, nor is it what {run.path} was begun with: without --split all of it is scored"
            ) from None
        return Part(images.val if part == "val" else images.train, part, f"{images.name}/{part}", images.roots)
    for note in (*found.notes, *unread(found.skipped)):
        watcher.note(note)
    if found.missing:
        watcher.note(f"{found.name} has no images of {listed(found.missing)}: nothing is known of them here")
    return Part(found.split, found.part, found.name, found.roots)
