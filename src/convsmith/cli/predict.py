"""`convsmith predict`: what a trained network says of images."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import UserError
from ..files import whole
from ..units import plural
from .options import COUNT, NETWORK, Batch, Device, Json, Out
from .output import emit, out, table, watching
from .places import writable

if TYPE_CHECKING:
    from ..jobs.predict import Prediction, Unreadable

__all__ = ["predict"]

_SHOWN = 20  # images on the screen; of more, the first few and a summary
_FIRST = 10


def predict(
    model: Annotated[
        str, Parameter(help="A run, a child of a search, or an .onnx file that `export` wrote; a name with --weights.")
    ],
    images: Annotated[list[str], Parameter(help="Files, folders, or patterns such as 'photos/*.jpg'.")],
    /,
    *,
    top: Annotated[int, Parameter(help="How many classes of each image.", validator=COUNT)] = 5,
    out_file: Annotated[Out, Parameter(help="A .csv with a row for each image that could be read.")] = None,
    weights: Annotated[
        str | None,
        Parameter(help="For a network by name or spec: a file, timm:NAME, tv:NAME; labels are numbers.", group=NETWORK),
    ] = None,
    batch: Batch = 64,
    threads: Annotated[
        int | None, Parameter(help="Threads of the network, and as many that decode.", validator=COUNT)
    ] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """What MODEL (a run, a search's child, an exported .onnx) says of IMAGES: files, folders, patterns.

    Images that cannot be read are listed; it is an error where none can.
    """
    from ..jobs.predict import Unreadable, opened

    writable(out_file)
    if out_file is not None and out_file.suffix != ".csv":
        raise UserError(f"--out writes a .csv; got {out_file.name} (--json prints all of it as JSON)")
    predictor = opened(model, weights=weights, device=device, threads=threads)
    shown: list[Prediction] = []
    unreadable: list[Unreadable] = []
    shares: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    with _rows(out_file, min(top, predictor.outputs)) as write:
        for one in predictor.stream(images, top=top, batch=batch, watcher=watching()):
            if isinstance(one, Unreadable):
                unreadable.append(one)
                continue
            write(one)
            shares[one.label][0] += 1
            shares[one.label][1] += one.probability
            if json or len(shown) <= _SHOWN:
                shown.append(one)
    n = int(sum(count for count, _ in shares.values()))
    if json:
        emit(
            {
                "model": predictor.label,
                "images": n + len(unreadable),
                "predictions": [one.to_record() for one in shown],
                "unreadable": [one.to_record() for one in unreadable],
                "file": None if out_file is None else str(out_file),
            }
        )
        return
    if n > _SHOWN:
        _summarise(shares, n)
        shown = shown[:_FIRST]
    body = [
        [
            str(one.path),
            one.label,
            f"{one.probability:.1%}",
            ", ".join(f"{label} {share:.1%}" for label, share in one.top[1:]),
        ]
        for one in shown
    ]
    title = f"the first {len(shown)} of {n} images" if n > len(shown) else None
    out.print(table(title, "<image <label probability <then", body))
    if unreadable:
        out.print(f"{len(unreadable)} of {plural(n + len(unreadable), 'image')} could not be read:", highlight=False)
        for each in unreadable[:_FIRST]:
            out.print(f"  {each.path}: {each.why}", soft_wrap=True, markup=False)
        if len(unreadable) > _FIRST:
            out.print(f"  and {len(unreadable) - _FIRST} more (all in --json)")
    if out_file is not None:
        out.print(f"wrote {out_file}", soft_wrap=True, markup=False)


def _summarise(shares: dict[str, list[float]], n: int) -> None:
    ordered = sorted(shares.items(), key=lambda pair: -pair[1][0])
    body = [
        [label, str(int(count)), f"{count / n:.1%}", f"{total / count:.1%}"]
        for label, (count, total) in ordered[:_SHOWN]
    ]
    more = f"and {len(ordered) - _SHOWN} more classes" if len(ordered) > _SHOWN else None
    out.print(table(f"{n} images", "<label images share mean_probability", body, caption=more))
    out.print()


@contextmanager
def _rows(path: Path | None, top: int) -> Iterator[Callable[[Prediction], None]]:
    """A function that writes a row of the file, which is there once all are written; one that does nothing without a file."""
    if path is None:
        yield lambda one: None
        return
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.writer(file, lineterminator="\n")
        numbers = ["", *(str(k) for k in range(2, top + 1))]
        rows.writerow(["file", *(f"{name}{k}" for k in numbers for name in ("label", "probability"))])

        def write(one: Prediction) -> None:
            rows.writerow([one.path, *(cell for label, share in one.top for cell in (label, f"{share:.6g}"))])

        yield write
