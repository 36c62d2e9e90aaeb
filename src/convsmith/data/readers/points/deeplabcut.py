"""A DeepLabCut project: its labelled frames, by video, or one of its CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import DataError
from ....units import plural
from ...images import Skipped
from ...inputs import Files
from ...split import Split
from ...targets import Joints
from ..names import listed, worded
from ..parts import Part
from .bodies import body_of
from .tables import Table, read_labels

__all__ = ["project_at", "read_project", "read_table_alone", "table_in"]

_LABELED, _CONFIG, _LABELS = "labeled-data", "config.yaml", "CollectedData_"


def project_at(path: Path) -> Path | None:
    """The project that a folder is, or of which it is the folder labeled-data; None where it is neither."""
    whole = path.resolve()
    if _is_project(path):
        return path
    return whole.parent if whole.name == _LABELED and _is_project(whole.parent) else None


def table_in(folder: Path) -> Path | None:
    """The labels of a folder that holds the frames of one video."""
    return next(iter(sorted(folder.glob(f"{_LABELS}*.csv")) or sorted(folder.glob(f"{_LABELS}*.h5"))), None)


def _is_project(path: Path) -> bool:
    """Whether labels lie in it, or its config.yaml names body parts: other folders have a file of that name, too."""
    if any((path / _LABELED).glob(f"*/{_LABELS}*")):
        return True
    try:
        return b"bodyparts:" in (path / _CONFIG).read_bytes()
    except OSError:
        return False


def read_project(root: Path, ruler: str | None) -> Part:
    """Every labelled frame of a project. The individual of a frame is the folder of its video.

    `CollectedData_*.csv` is read in each folder of labeled-data, or the .h5 where there is no .csv. Names and bones are those
    of config.yaml, without which the names are the tables' own. The crops that config.yaml has of videos are not used: labels
    are in pixels of the frames as they lie there. Frames whose image is missing are skipped and listed.

    Raises:
        DataError: no labels, several animals in a picture, other body parts in one file than in another.
    """
    config = _config(root / _CONFIG) if (root / _CONFIG).is_file() else {}
    if config.get("multianimalproject"):
        raise DataError(f"{root} is a project of several animals in a picture (multianimalproject): that is not read")
    files = _files(root, config.get("scorer"))
    tables = [read_labels(file) for file in files]
    given = config.get("bodyparts")
    names = tuple(str(one) for one in given) if isinstance(given, list) and given else tables[0].header.bodyparts
    source = str(root / _CONFIG) if given else str(files[0])
    xy = np.concatenate([_ordered(one, names, file, source) for one, file in zip(tables, files, strict=True)])
    rows = [(frame, file.parent) for one, file in zip(tables, files, strict=True) for frame in one.frames]
    bones, notes = _bones(config.get("skeleton"), names)
    return _part(root, rows, xy, names, bones, ruler, notes)


def read_table_alone(path: Path, ruler: str | None) -> Part:
    """The frames of one table, whose paths are looked for from its folder upwards, and beside it."""
    table = read_labels(path)
    rows = [(frame, path.parent) for frame in table.frames]
    root = next((one for one in path.resolve().parents if any((one / frame).is_file() for frame in table.frames[:9])),
                path.parent)  # fmt: skip
    return _part(root, rows, table.xy, table.header.bodyparts, (), ruler, ())


def _part(
    root: Path,
    rows: Sequence[tuple[str, Path]],
    xy: np.ndarray,
    names: tuple[str, ...],
    bones: tuple[tuple[int, int], ...],
    ruler: str | None,
    notes: tuple[str, ...],
) -> Part:
    paths = [_image(root, frame, folder) for frame, folder in rows]
    videos = [worded(path.parent.name) for path in paths]
    body, said = body_of(tuple(worded(name) for name in names), bones, ruler, root.name)
    # The scales are told by all labels there are, also of frames whose image is lost.
    joints = Joints.of(xy, body, videos)
    split = Split(Files(tuple(map(str, paths))), joints, tuple(videos))
    there = np.array([path.is_file() for path in paths])
    if not there.any():
        raise DataError(f"none of the {plural(len(paths), 'labelled frame')} of {root} is there, {paths[0]} first")
    missing = tuple(
        Skipped(str(path), "it is labelled, and there is no such image")
        for path, found in zip(paths, there, strict=True)
        if not found
    )
    return Part(split.take(np.flatnonzero(there)), body.names, skipped=missing, notes=(*notes, *said))


def _image(root: Path, frame: str, folder: Path) -> Path:
    """Where the image of a row lies: by its path in the project, or beside the table under its name."""
    path = root.joinpath(*frame.split("/")[-3:])
    beside = folder / frame.rsplit("/", 1)[-1]
    return path if path.is_file() or not beside.is_file() else beside


def _files(root: Path, scorer: object) -> list[Path]:
    """The table of each video."""
    labeled = root / _LABELED
    if not labeled.is_dir():
        raise DataError(f"{root} has no folder {_LABELED}, where a project's labels lie")
    found = []
    for folder in sorted(one for one in labeled.iterdir() if one.is_dir()):
        tables = sorted(folder.glob(f"{_LABELS}*.csv")) or sorted(folder.glob(f"{_LABELS}*.h5"))
        own = [one for one in tables if one.stem == f"{_LABELS}{scorer}"]
        if len(tables) > 1 and not own:
            raise DataError(f"{folder} has labels of several people, {listed([one.name for one in tables])}")
        found += own or tables
    if not found:
        raise DataError(f"{root} has no labels: no {_LABELS}*.csv in a folder of {labeled}")
    return found


def _ordered(table: Table, names: tuple[str, ...], file: Path, source: str) -> np.ndarray:
    """A table's points in the order of `names`, which are its own in some order."""
    own = table.header.bodyparts
    if set(own) != set(names):
        other = [one for one in own if one not in names]
        lacking = [one for one in names if one not in own]
        parts = [f"it has {listed(other)}"] if other else []
        parts += [f"it lacks {listed(lacking)}"] if lacking else []
        raise DataError(f"{file} has other body parts than {source}: {' and '.join(parts)}")
    return table.xy[:, [own.index(name) for name in names]]


def _bones(skeleton: object, names: tuple[str, ...]) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...]]:
    """The skeleton of config.yaml as pairs of numbers, and what is said of lines in it that are between no two body parts."""
    bones, odd = [], []
    for line in skeleton if isinstance(skeleton, list) else []:
        ends = [str(one) for one in line] if isinstance(line, list) else [str(line)]
        for one, other in zip(ends, ends[1:] or [""], strict=False):
            if one in names and other in names and one != other:
                bones.append((names.index(one), names.index(other)))
            else:
                odd.append(f"{one}-{other}")
    said = (f"skeleton: left out, since they are between no two body parts: {listed(odd)}",) if odd else ()
    return tuple(bones), said


def _config(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} is no configuration of DeepLabCut's")
    return found
