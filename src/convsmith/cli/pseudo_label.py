"""The verb that makes labels: pseudo-label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..units import plural
from .early import known_run
from .options import COUNT, OUTPUT, RUN_HELP, SHARE, Json
from .output import emit, out, table, watching

__all__ = ["pseudo_label"]


def pseudo_label(
    teacher: Annotated[Path, Parameter(help=RUN_HELP, validator=known_run)],
    images: Annotated[Path, Parameter(help="A folder of images, flat or of folders, or an .npz.")],
    /,
    *,
    out_file: Annotated[Path, Parameter(name=["--out", "-o"], help="The file to write.", group=OUTPUT)] = Path(
        "pseudo.json"
    ),
    threshold: Annotated[float, Parameter(help="The least probability that is believed.", validator=SHARE)] = 0.5,
    balance: Annotated[
        int | None,
        Parameter(help="So many of each class, the surest first, repeated where fewer.", validator=COUNT),
    ] = None,
    json: Json = False,
) -> None:
    """Label IMAGES by the run TEACHER; `train --pseudo` learns from the file."""
    from ..jobs.pseudo import pseudo_label as labelled

    made = labelled(teacher, images, out_file, threshold=threshold, balance=balance, watcher=watching())
    counts = made.per_class()
    if json:
        emit({"file": str(out_file), "looked": made.looked, "unreadable": made.unreadable, "kept": len(made.rows),
              "per_class": dict(zip(made.classes, counts, strict=True))})  # fmt: skip
        return
    shown = sorted(zip(made.classes, counts, strict=True), key=lambda pair: -pair[1])
    rows = [[name, str(count)] for name, count in (shown if len(shown) <= 20 else [*shown[:10], *shown[-10:]])]
    out.print(table(f"{plural(len(made.rows), 'label')} on {plural(made.looked, 'image')}", "<class labels", rows))
    if made.unreadable:
        out.print(f"could not be read, and skipped: {plural(made.unreadable, 'image')}")
    out.print(f"wrote {out_file}", soft_wrap=True)
