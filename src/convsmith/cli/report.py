"""`convsmith report`: the page of a run, or of several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .early import known_run
from .options import RUN_HELP, Json
from .output import emit, out

if TYPE_CHECKING:
    pass

__all__ = ["report"]


def report(
    runs: Annotated[list[Path], Parameter(help=RUN_HELP, validator=known_run)], /, *, json: Json = False
) -> None:
    """The report of a run or of a search, or of several runs side by side, as one HTML file that can be mailed."""
    from ..jobs.folders import report as reported

    path = reported(runs)
    if json:
        emit({"report": str(path), "bytes": path.stat().st_size})
    else:
        out.print(f"wrote {path} ({path.stat().st_size / 1024:.0f} KiB)", soft_wrap=True)
