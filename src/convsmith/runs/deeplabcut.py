"""DeepLabCut's own files of points: predictions as it writes them, and its tables of results.

A table of predictions has three header rows, `scorer`, `bodyparts` and `coords` (x, y, likelihood), and a row a picture. Errors
are mean Euclidean distances in pixels, which DeepLabCut names rmse; those with a p-cutoff leave out predictions whose likelihood is
below it. Sources: DeepLabCut's user guide, and the names and columns that its `apis/evaluation.py` and `keypoint_error` write.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files import whole, write_text

__all__ = ["PCUTOFF", "Errors", "Points", "has_h5", "write_points", "write_results"]

PCUTOFF = 0.6
COMBINED = "CombinedEvaluation-results.csv"


@dataclass(frozen=True, eq=False)
class Points:
    """Predictions of a network by the name `scorer`: `rows` say which picture each is of, `xy` ⟨n,K,2⟩ is in the picture's pixels,
    `likelihood` ⟨n,K⟩."""

    scorer: str
    names: tuple[str, ...]
    rows: tuple[str | int, ...]
    xy: np.ndarray
    likelihood: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """⟨n,3K⟩, of each point x, y and likelihood."""
        every: np.ndarray = np.concatenate((self.xy, self.likelihood[..., None]), axis=2).reshape(len(self.xy), -1)
        return every


@dataclass(frozen=True, eq=False)
class Errors:
    """Pixel errors ⟨n,K⟩ of one part of the data, NaN where a point is not labelled, and the likelihoods ⟨n,K⟩."""

    pixels: np.ndarray
    likelihood: np.ndarray

    def mean(self, cutoff: float | None = None) -> float | None:
        """Over all entries, those with a smaller likelihood left out; None where there is none."""
        return _mean(self._kept(cutoff))

    def means(self, cutoff: float | None = None) -> list[float | None]:
        """The same for each point."""
        return [_mean(column) for column in self._kept(cutoff).T]

    def _kept(self, cutoff: float | None) -> np.ndarray:
        return self.pixels if cutoff is None else np.where(self.likelihood >= cutoff, self.pixels, np.nan)


def has_h5() -> bool:
    """Whether the packages are there that write a table in HDF5."""
    return all(importlib.util.find_spec(name) is not None for name in ("pandas", "tables"))


def write_points(points: Points, place: Path) -> tuple[Path, ...]:
    """`place` as .csv and, where pandas and tables are installed (`has_h5`), as .h5 with the key `df_with_missing`."""
    names = [name for name in points.names for _ in range(3)]
    head = [
        ("scorer", *[points.scorer] * len(names)),
        ("bodyparts", *names),
        ("coords", *("x", "y", "likelihood") * len(points.names)),
    ]
    rows = ((row, *values) for row, values in zip(points.rows, points.values.tolist(), strict=True))
    written = [_table(_named(place, ".csv"), (*head, *rows))]
    if has_h5():
        written.append(_write_h5(points, _named(place, ".h5")))
    return tuple(written)


def _named(place: Path, ending: str) -> Path:
    # Not `with_suffix`: a run's name may have a dot.
    return place.parent / (place.name + ending)


def _write_h5(points: Points, path: Path) -> Path:
    pandas = importlib.import_module("pandas")
    columns = pandas.MultiIndex.from_product(
        [[points.scorer], points.names, ["x", "y", "likelihood"]], names=["scorer", "bodyparts", "coords"]
    )
    frame = pandas.DataFrame(points.values, index=_index(points.rows), columns=columns)
    with whole(path) as draft:
        frame.to_hdf(draft, key="df_with_missing", mode="w")
    return path


def _index(rows: Sequence[str | int]) -> object:
    """Of pictures of a project the three parts of their paths, as newer versions have it; else as it is."""
    pandas = importlib.import_module("pandas")
    parts = [tuple(str(row).split("/")) for row in rows]
    return pandas.MultiIndex.from_tuples(parts) if parts and all(len(part) == 3 for part in parts) else list(rows)


def write_results(
    scorer: str,
    names: Sequence[str],
    train: Errors,
    test: Errors,
    folder: Path,
    *,
    fraction: float,
    shuffle: int,
    epochs: int,
    cutoff: float = PCUTOFF,
) -> tuple[Path, ...]:
    """`<scorer>-results.csv`, one row; `CombinedEvaluation-results.csv`, that row among those of other evaluations; and
    `<scorer>-keypoint-results.csv`. `train` and `test` are the pictures that were trained on and all others.

    mAP and mAR are empty: they need a similarity of whole bodies, which is not measured here.
    """
    row: dict[str, object] = {
        "%Training dataset": round(fraction, 2),
        "Shuffle number": shuffle,
        "Training epochs": epochs,
        "Detector epochs (TD only)": -1,
        "pcutoff": cutoff,
    }
    for part, errors in (("train", train), ("test", test)):
        row |= {
            f"{part} rmse": _rounded(errors.mean()),
            f"{part} rmse_pcutoff": _rounded(errors.mean(cutoff)),
            f"{part} mAP": None,
            f"{part} mAR": None,
        }
    keypoints: list[tuple[object, ...]] = [("Error Type", *names)]
    for ending, at in (("", None), (" with p-cutoff", cutoff)):
        keypoints += [("Train error (px)" + ending, *train.means(at)), ("Test error (px)" + ending, *test.means(at))]
    return (
        _table(folder / f"{scorer}-results.csv", (("", *row), (0, *row.values()))),
        _combined(folder / COMBINED, scorer, row),
        _table(folder / f"{scorer}-keypoint-results.csv", keypoints),
    )


def _combined(path: Path, scorer: str, row: dict[str, object]) -> Path:
    """The row at the end of those that are there; in the place of an earlier one of the same scorer."""
    head = ("", *row)
    others: list[list[str]] = []
    if path.is_file():
        found = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
        if found and tuple(found[0]) == head:
            others = [one for one in found[1:] if one and one[0] != scorer]
    return _table(path, (head, *others, (scorer, *row.values())))


def _table(path: Path, rows: Iterable[Sequence[object]]) -> Path:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())
    return path


def _mean(values: np.ndarray) -> float | None:
    own = values[~np.isnan(values)]
    return float(own.mean()) if len(own) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
