"""`convsmith predict RUN FILM` of a classifier: its labels over time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from ..files import whole
from .output import emit, out, table, watching
from .places import writable

if TYPE_CHECKING:
    from ..jobs.predict import Predictor, Stretch

__all__ = ["check_picture", "tell_over_time"]

SHOWN = 40  # stretches on the screen


def check_picture(path: Path | None) -> None:
    """Refuse, before any work, what is no place for a picture of a timeline."""
    if path is None:
        return
    if path.suffix not in (".svg", ".png"):
        raise UserError(f"--timeline draws a .svg or a .png; got {path.name}")
    writable(path)


def tell_over_time(
    predictor: Predictor,
    film: Path,
    *,
    every: float | None,
    top: int,
    batch: int,
    out_file: Path | None,
    picture: Path | None,
    json: bool,
) -> None:
    """The labels of each stretch of a film on the screen, or as JSON; in a .csv, row by row as they come; and as a picture."""
    from ..data.films import Film
    from ..jobs.predict import Stretch, Timeline, over_time

    if out_file is not None and out_file.suffix != ".csv":
        raise UserError(f"--out writes a .csv; got {out_file.name} (--json prints all of it as JSON)")
    opened, every_label = Film(film), list[Stretch]()
    top = min(top, predictor.outputs)
    told = top if picture is None else predictor.outputs  # a lane has no holes
    with _rows_into(out_file, top) as write:
        for one in over_time(predictor, opened, every=every, top=told, batch=batch, watcher=watching()):
            write(one)
            every_label.append(one)
    if picture is not None:
        _draw(every_label, film.name, picture)
    rows = [replace(one, top=one.top[:top]) for one in every_label]
    written = [str(place) for place in (out_file, picture) if place is not None]
    found = Timeline(str(film), rows[-1].end, tuple(rows), opened.lost)
    if json:
        emit({"model": predictor.label, **found.to_record(), "files": written})
        return
    body = [
        [f"{one.start:.2f}", f"{one.end:.2f}", one.label, f"{one.probability:.1%}",
         ", ".join(f"{label} {share:.1%}" for label, share in one.top[1:3])]
        for one in rows[:SHOWN]
    ]  # fmt: skip
    more = f"and {len(rows) - SHOWN} more (all with --out or --json)" if len(rows) > SHOWN else None
    out.print(table(f"{film.name}, {found.seconds:.1f} s", "from_s to_s <label probability <then", body, caption=more))
    for place in written:
        out.print(f"wrote {place}", soft_wrap=True, markup=False)


def _draw(rows: list[Stretch], name: str, picture: Path) -> None:
    from ..plot import save
    from ..plot.timeline import labels_over_time

    save(labels_over_time([(one.start, one.end, dict(one.top)) for one in rows], name), picture)


@contextmanager
def _rows_into(path: Path | None, top: int) -> Iterator[Callable[[Stretch], None]]:
    """A function that adds a stretch to a .csv, which is there once all is written; it does nothing without a path."""
    if path is None:
        yield lambda one: None
        return
    numbers = ["", *(str(k) for k in range(2, top + 1))]
    with whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["start_s", "end_s", *(f"{name}{k}" for k in numbers for name in ("label", "probability"))])
        yield lambda one: rows.writerow(
            [
                f"{one.start:.3f}",
                f"{one.end:.3f}",
                *(cell for label, share in one.top[:top] for cell in (label, f"{share:.6g}")),
            ]
        )
