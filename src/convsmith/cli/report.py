"""`convsmith report`: the page of a run, of several, or over a folder of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..errors import UserError
from .early import known_run
from .options import RUN_HELP, Json, Out
from .output import emit, out
from .places import page

__all__ = ["report"]


def report(
    runs: Annotated[tuple[Path, ...], Parameter(help=RUN_HELP, validator=known_run)] = (),
    /,
    *,
    index: Annotated[
        Path | None, Parameter(help="Instead: one page over all runs, searches and studies in this folder.")
    ] = None,
    out_file: Annotated[Out, Parameter(help="The page to write; beside what it is of by default.")] = None,
    json: Json = False,
) -> None:
    """The report of a run or of a search, or of several runs side by side, as one HTML file that can be mailed."""
    from ..jobs.folders import report as reported
    from ..jobs.folders import report_index

    page(out_file)
    if bool(runs) == (index is not None):
        raise UserError("give the folders of runs to report on, or --index FOLDER for one page over all that lie in it")
    path = reported(runs, out_file) if index is None else report_index(index, out_file)
    if json:
        emit({"report": str(path), "bytes": path.stat().st_size})
    else:
        out.print(f"wrote {path} ({path.stat().st_size / 1024:.0f} KiB)", soft_wrap=True)
