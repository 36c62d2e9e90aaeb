"""`convsmith passport`: what corruptions leave of runs, on one page."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .options import Json
from .output import emit, err, out, watching

__all__ = ["passport"]


def passport(
    runs: list[Path],
    /,
    *,
    data: Annotated[str | None, Parameter(help="Other pictures than the run's own validation images.")] = None,
    split: Annotated[str | None, Parameter(help="Which part of the data.")] = None,
    reference: Annotated[
        Path | None, Parameter(help="The run that others are held against; the first by default.")
    ] = None,
    to: Annotated[Path | None, Parameter(name=("--out", "-o"), help="The page.")] = None,
    device: Annotated[str | None, Parameter(help="cpu, cuda, cuda:1, ...; CUDA where there is one by default.")] = None,
    json: Json = False,
) -> None:
    """The robustness of RUNS: fifteen corruptions at five severities, by group, with intervals, beside what each costs."""
    from ..jobs.passport import passport as made

    found = made(
        runs, data, split=split, reference=reference, out=to, device=device, watcher=watching(),
        command=shlex.join(["convsmith", *sys.argv[1:]]),
    )  # fmt: skip
    if json:
        emit(found.to_record())
        return
    err.print()
    for sheet in found.sheets:
        out.print(f"{sheet.name}: {sheet.words}", soft_wrap=True, markup=False)
    out.print(f"passport {found.page}", soft_wrap=True)
