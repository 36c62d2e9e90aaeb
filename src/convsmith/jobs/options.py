"""What every training job may be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.readers.dataset import Own, described, own_data
from ..errors import UserError
from ..ranges import above, at_least, check_numbers
from ..recipe import Recipe
from ..recipes import CLIPS, changed, refuse_changes
from ..recipes import recipe as named_recipe
from ..runs import RunFolder
from ..settings import in_two
from ..tasks import Task, refuse_task_settings
from .source import Source

__all__ = [
    "Data", "Options", "base_recipe", "refuse_settings", "resolved_recipe", "source_again", "source_of",
    "usual_recipe",
]  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What every training job may be told: the options of the command line, by the same names where nothing else is said.

    `recipe` is a name or a value, and `settings` change it as `--set` does: `("batch=32", "mixup=0.2")`; those that begin
    with `task.` change the task, `"task.radius=12"`. `val` is a second
    folder, `.npz` or `.csv` to validate on; without it `val_share` of each class is set aside. `root` is where a named data
    set lies, and `download` allows it to be fetched. `workers` processes read images; with 0 this one does. The run's folder
    is `name`, made up where it is None, in `parent` (`--runs`). `weights` are those to begin with. `pseudo` is a file of
    `pseudo_label`, of which `pseudo_ratio` images are drawn for each labelled one.
    """

    recipe: str | Recipe | None = (
        None  # without one the task's: finetune or pose with weights, else quick or pose-scratch
    )
    settings: tuple[str, ...] = ()
    val: str | Path | None = None
    root: str | Path | None = None
    download: bool = False
    val_share: float | None = None  # of each class, set aside where the data is not divided; None is a fifth
    divide: str | Path | None = (
        None  # pictures with points: individual, frame, a number, or a .csv of the frames of each part
    )
    ruler: str | None = None  # two points, as "nose,eye", whose distance is the scale of an individual
    category: str | None = None  # the one of a COCO file that is wanted
    task: str | None = None  # synthesise; or detect or pose, where a COCO file has objects with key points
    folds: int | None = None  # cross-validation: as many trainings, each validated on another part
    seed: int = 0
    workers: int = 0
    name: str | None = None
    parent: str | Path = "runs"
    weights: str | Path | None = None
    pseudo: str | Path | None = None
    pseudo_ratio: float = 1.0
    # Such as cpu or cuda:1; without it CUDA where there is one, else the CPU. A search and a design may name a calibrated device
    # elsewhere whose milliseconds are meant, alone or behind it: pi4, or cuda,pi4.
    device: str | None = None
    class_weights: str = ""  # `balanced`, or a number for each class, joined by commas
    tensorboard: bool = False
    cache: str | Path | None = None  # a folder for decoded images, made once and shared by all runs on this data
    cache_side: int = 0  # their short side; 0 is as many pixels as the smallest crops need

    def __post_init__(self) -> None:
        check_numbers(self)
        at_least("seed", self.seed, 0, 2**63 - 1)
        at_least("workers", self.workers, 0)
        at_least("cache_side", self.cache_side, 0)
        above("pseudo_ratio", self.pseudo_ratio, 0)

    @property
    def recipe_settings(self) -> tuple[str, ...]:
        return in_two(self.settings)[0]

    @property
    def task_settings(self) -> tuple[str, ...]:
        return in_two(self.settings)[1]


# A name, a path, or a dataset of the user's own: with a length and items that are (PIL image or uint8 tensor, label); a pair
# of these is to train on and to validate on.
Data = str | Path | Own


def source_of(data: Data, options: Options) -> Source:
    """Where the data is, in absolute terms, so that a run can be resumed from another folder."""
    own = own_data(data)

    def located(path: str | Path) -> str:
        return str(Path(path).resolve() if Path(path).exists() else path)

    return Source(
        what=located(data) if isinstance(data, str | Path) else described(data),
        val=None if options.val is None else located(options.val),
        root=None if options.root is None else located(options.root),
        download=options.download,
        seed=options.seed,
        pseudo=None if options.pseudo is None else located(options.pseudo),
        pseudo_ratio=options.pseudo_ratio,
        cache=None if options.cache is None else str(Path(options.cache).resolve()),
        cache_side=options.cache_side,
        own=own is not None,
        val_share=options.val_share,
        fold=None if options.folds is None else (0, _folds(options)),
        divide=None if options.divide is None else _division(options.divide),
        ruler=options.ruler,
        category=options.category,
        task=options.task,
    )


def _division(divide: str | Path) -> str:
    """A way to divide; a list of frames by where it lies, in absolute terms."""
    path = Path(divide).expanduser()
    return str(path.resolve()) if path.suffix.lower() == ".csv" else str(divide)


def _folds(options: Options) -> int:
    if options.folds is None or options.folds < 2:
        raise UserError(
            f"--folds needs two parts or more, each validated by a network of the others; got {options.folds}"
        )
    if options.val is not None or options.val_share is not None:
        raise UserError("--folds says what is validated on: leave out --val and --val-share")
    return options.folds


def source_again(run: RunFolder, data: Data | None, val: str | Path | None = None) -> Source:
    """Where the data of a run is now: where it was, or at `data`, and what it is validated on at `val`."""
    source = Source.of(run)
    now = source if data is None else source_of(data, Options())
    apart = source.val if val is None else source_of(val, Options()).what
    return replace(source, what=now.what, own=now.own, val=apart)


def base_recipe(options: Options, usual: str) -> Recipe:
    """The recipe that the options name, without their changes; `usual` where they name none."""
    named = options.recipe or usual
    return named_recipe(named) if isinstance(named, str) else named


def resolved_recipe(options: Options, usual: str) -> Recipe:
    """The recipe that the options name, else the `usual` one, with the options' changes."""
    return changed(base_recipe(options, usual), options.recipe_settings)


def usual_recipe(task: Task, options: Options, *, filmed: bool = False) -> str:
    """The name of the recipe that a task is trained by where nobody says; of films from nothing it is `clips`."""
    scratch, tuned = task.recipes
    if filmed:
        scratch = CLIPS.name
    return scratch if options.weights is None else tuned


def refuse_settings(options: Options, usual: Sequence[str]) -> None:
    """Raise `UserError`, before the data is known and so the task, where no recipe that may be meant can be changed so: the
    one that the options name, else any of the `usual` ones, the likeliest first; or where no task has such a field."""
    refuse_task_settings(options.task_settings)
    if options.recipe is None:
        refuse_changes(usual, options.recipe_settings)
    else:
        resolved_recipe(options, "")
