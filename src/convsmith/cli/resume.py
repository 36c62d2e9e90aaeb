"""`convsmith resume`: any run, from where it was stopped."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from .options import DATA, Device, Json, Moved, MovedVal, Run
from .output import err, watching
from .search import finished as search_finished
from .training import finished

__all__ = ["resume"]


def resume(
    run: Run,
    /,
    *,
    data: Moved = None,
    val: MovedVal = None,
    force: Annotated[bool, Parameter(help="Go on although the data has changed since the start.", group=DATA)] = False,
    device: Device = None,
    json: Json = False,
) -> None:
    """Go on with RUN from where it was stopped, to the same weights as if it had not been."""
    from ..jobs.folders import resume as resumed
    from ..runs import Kind, RunFolder

    done = RunFolder(run).has("report.html")
    found = resumed(run, data=data, val=val, force=force, device=device, watcher=watching())
    if done:
        err.print(f"{run} is finished: there was nothing left to do", style="dim", soft_wrap=True)
    if found.kind is Kind.SEARCH:
        search_finished(found, json)
    else:
        finished(found, json)
