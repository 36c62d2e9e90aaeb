"""`convsmith passport`: what corruptions leave of runs, on one page."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from .early import known_run
from .options import DATA, DATA_HELP, OUTPUT, RUN_HELP, Device, Json, Out
from .output import emit, leave_a_line, out, watching
from .places import page

__all__ = ["passport"]


def passport(
    runs: Annotated[list[Path], Parameter(help=RUN_HELP, validator=known_run)],
    /,
    *,
    data: Annotated[str | None, Parameter(help=f"What to score it on, not its own: {DATA_HELP}", group=DATA)] = None,
    split: Annotated[
        Literal["val", "train", "test", "all"] | None, Parameter(help="Which part of the data.", group=DATA)
    ] = None,
    reference: Annotated[
        Path | None, Parameter(help="The run that others are held against; the first by default.", group=OUTPUT)
    ] = None,
    out_file: Annotated[Out, Parameter(help="The page; passport.html in the run folder, of several beside it.")] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """The robustness of RUNS: fifteen corruptions at five severities, by group, with intervals, beside what each costs."""
    page(out_file)
    from ..jobs.passport import passport as made

    found = made(
        runs, data, split=split, reference=reference, out=out_file, device=device, watcher=watching(),
        command=shlex.join(["convsmith", *sys.argv[1:]]),
    )  # fmt: skip
    if json:
        emit(found.to_record())
        return
    leave_a_line()
    for sheet in found.sheets:
        out.print(f"{sheet.name}: {sheet.words}", soft_wrap=True, markup=False)
    out.print(f"passport {found.page}", soft_wrap=True)
