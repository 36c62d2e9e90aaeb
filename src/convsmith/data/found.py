"""What a user can name, found: a data set in its parts, none of them looked into yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from ..errors import DataError, nearest
from .inputs.items import name_of
from .readers.dataset import Own, own_data, parts_of, read_dataset
from .readers.folder import read_folder
from .readers.named import TORCHVISION_SETS, read_digits, read_torchvision
from .readers.npz import read_npz
from .readers.parts import WHOLE, Part, Parts
from .readers.table import read_table

__all__ = ["NAMES", "Found", "existing", "find", "is_table"]

NAMES = ("digits", *TORCHVISION_SETS)


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
) -> Found:
    """The data set that is `what`, as `load_data` takes it; `known` are the classes of a network that it is to score.

    Raises:
        DataError: there is no such data, or it cannot be read.
    """
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


def existing(what: str | Path) -> Path:
    """A folder, an .npz or a .csv file that is there."""
    path = Path(what).expanduser()
    if not path.exists():
        raise DataError(
            f"there is no data '{what}'{nearest(str(what), NAMES)}; give a folder with one sub-folder per class, an "
            f".npz or .csv file, or one of {', '.join(NAMES)}"
        )
    if not path.is_dir() and path.suffix.lower() not in (".npz", ".csv"):
        raise DataError(f"{path} is neither a folder nor an .npz or .csv file")
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
