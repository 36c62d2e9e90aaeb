"""What a user can name, found: a data set in its parts, none of them looked into yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from ..errors import DataError, nearest
from .how import How
from .inputs.items import name_of
from .readers.clips.folder import holds_films, read_films
from .readers.clips.moving import MOVING_DIGITS, read_moving
from .readers.dataset import Own, own_data, parts_of, read_dataset
from .readers.folder import read_folder
from .readers.named import TORCHVISION_SETS, read_digits, read_torchvision
from .readers.npz import read_npz
from .readers.objects.layout import objects_at
from .readers.objects.scenes import DIGIT_SCENES, read_scenes
from .readers.parts import WHOLE, Part, Parts
from .readers.points.coco import annotations_in, read_coco
from .readers.points.deeplabcut import project_at, read_project, read_table_alone, table_in
from .readers.points.lists import in_listed_parts, read_list
from .readers.points.quads import QUADS, read_quads
from .readers.points.tables import begins_as_table
from .readers.table import names_films, read_table

__all__ = ["NAMES", "Found", "existing", "find", "is_table", "read_objects_or_points"]

NAMES = ("digits", DIGIT_SCENES, MOVING_DIGITS, *QUADS, *TORCHVISION_SETS)


USUAL = How()  # nothing is said


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """A data set by its name, in its parts. `mirror` is False where a mirrored image is not of its class."""

    name: str
    parts: Parts
    mirror: bool = True

    @property
    def divided(self) -> bool:
        """Whether it comes in parts of its own."""
        return WHOLE not in self.parts


def find(
    what: str | Path | Own,
    *,
    root: Path | None,
    download: bool,
    progress: Callable[[int, int], None],
    known: Sequence[str] = (),
    how: How = USUAL,
) -> Found:
    """The data set that is `what`, as `load_data` takes it; `known` are the classes of a network that it is to score, `how`
    what is said of points in pictures.

    Raises:
        DataError: there is no such data, or it cannot be read; or it has labels, and something was said of points.
    """
    if isinstance(what, str) and what in QUADS:
        how.refuse_of_points(what)
        return Found(what, read_quads(what, how))
    if what == DIGIT_SCENES:
        how.refuse_of_objects(DIGIT_SCENES)
        how.refuse_category(DIGIT_SCENES)
        return Found(DIGIT_SCENES, read_scenes(), mirror=False)
    if what == MOVING_DIGITS:
        how.refuse_of_films(MOVING_DIGITS)
        return Found(MOVING_DIGITS, read_moving(), mirror=False)
    if isinstance(what, str | Path) and what != "digits" and what not in TORCHVISION_SETS:
        path = existing(what)
        name = path.resolve().name if path.is_dir() else path.stem
        if (parts := _objects_or_points(path, how)) is not None:
            return Found(name, parts)
        if _are_films(path):
            how.refuse_of_films(str(what))
            return Found(name, read_folder(path, known, read_films) if path.is_dir() else read_table(path))
    how.refuse_of_labels(str(what) if isinstance(what, str | Path) else name_of(parts_of(what)[0]))
    if not isinstance(what, str | Path):
        return _find_own(what, progress, tuple(known))
    if what == "digits":
        return Found("digits", {WHOLE: read_digits}, mirror=False)
    if isinstance(what, str) and what in TORCHVISION_SETS:
        return Found(what, read_torchvision(what, root, download))
    path = existing(what)
    if path.is_dir():
        return Found(path.resolve().name, read_folder(path, known))
    return Found(path.stem, read_table(path) if is_table(path) else read_npz(path))


def _are_films(path: Path) -> bool:
    """Whether a folder or a table is of films."""
    return holds_films(path) if path.is_dir() else is_table(path) and names_films(path)


def read_objects_or_points(path: Path, how: How) -> Callable[[], Part] | None:
    """What reads all objects or points of a file, or of a folder, that is not divided; None where it has labels."""
    parts = _objects_or_points(path, how)
    if parts is None:
        return None
    return next(parts[name] for name in (WHOLE, "val", "test", "train") if name in parts)


def _objects_or_points(path: Path, how: How) -> Parts | None:
    """The parts of a file or a folder that has objects or points; None where it has labels."""
    if (parts := objects_at(path, how.category, how.task)) is not None:
        how.refuse_of_objects(str(path))
        return parts
    if (read := _points(path, how)) is not None:
        how.refuse_of_points(str(path))
        return _divided(read, how, path.resolve().name if path.is_dir() else path.stem)
    return None


def _points(path: Path, how: How) -> Callable[[], Part] | None:
    if path.is_dir():
        if (root := project_at(path)) is not None:
            return partial(read_project, root, how.ruler)
        if (table := table_in(path)) is not None:
            return partial(read_table_alone, table, how.ruler)
        file = annotations_in(path)
    else:
        file = path if path.suffix.lower() == ".json" else None
    if file is not None:
        return partial(read_coco, file, how.category, how.ruler)
    return partial(read_table_alone, path, how.ruler) if is_table(path) and begins_as_table(path) else None


def _divided(read: Callable[[], Part], how: How, name: str) -> Parts:
    """The parts that a list divides data in, or all of it."""
    if how.number is not None:
        raise DataError(
            f"--divide {how.divide}: only quad30 has numbered divisions; {name} is divided by individual or frame"
        )
    return {WHOLE: read} if how.list_ is None else in_listed_parts(read, read_list(how.list_), name)


def existing(what: str | Path) -> Path:
    """A folder, an .npz or a .csv file that is there."""
    path = Path(what).expanduser()
    if not path.exists():
        raise DataError(
            f"there is no data '{what}'{nearest(str(what), NAMES)}; give a folder with one sub-folder per class, an "
            f".npz or .csv file, a DeepLabCut project, COCO's .json, pictures with masks, YOLO's labels, or one of "
            f"{', '.join(NAMES)}"
        )
    if not path.is_dir() and path.suffix.lower() not in (".npz", ".csv", ".json"):
        raise DataError(f"{path} is neither a folder nor an .npz, .csv or .json file")
    return path


def is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _find_own(own: Own, progress: Callable[[int, int], None], known: tuple[str, ...]) -> Found:
    if own_data(own) is None:
        raise DataError(
            f"{type(own).__name__} is no data: give the name of a set, a path, a dataset with a length and items that are "
            "(image, label), or a pair of such (train, val)"
        )
    train, val = parts_of(own)
    total = len(train) + (0 if val is None else len(val))

    @cache
    def first() -> Part:
        return read_dataset(train, lambda done: progress(done, total), classes=known)

    def second() -> Part:
        assert val is not None
        found = read_dataset(val, lambda done: progress(len(train) + done, total), classes=known or first().classes)
        return replace(found, name=f"the second dataset, {name_of(val)}")

    return Found(name_of(train), {WHOLE: first} if val is None else {"train": first, "val": second})
