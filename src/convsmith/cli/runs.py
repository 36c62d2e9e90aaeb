"""`convsmith runs`: what lies in a folder of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..units import duration, human
from .options import Json
from .output import emit, err, out, table

__all__ = ["runs"]


def runs(
    folder: Annotated[Path, Parameter(help="The folder that holds run folders.")] = Path("runs"),
    /,
    *,
    json: Json = False,
) -> None:
    """The runs, searches and studies in FOLDER, the youngest first: how far each has come, its score, cost and age."""
    from ..runs.overview import overviews

    found = overviews(folder)
    if json:
        emit({"folder": str(folder), "runs": [one.to_record() for one in found]})
        return
    rows = [
        [
            one.path.name,
            one.kind.name.lower(),
            "-" if one.score is None else f"{one.score.words} {one.score.text}",
            "-" if one.cost is None else human(one.cost.macs),
            "-" if one.cost is None else human(one.cost.params),
            duration(one.age),
            one.state,
        ]
        for one in found
    ]
    out.print(table(None, "<run <kind <score MACs params age <state", rows))
    if not found:
        err.print(f"{folder} holds no runs", style="dim")
    elif any(not one.finished for one in found):
        err.print(
            f"`convsmith resume {folder}/RUN` goes on with a run that is not finished", style="dim", soft_wrap=True
        )
