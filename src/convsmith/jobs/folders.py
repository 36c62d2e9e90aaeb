"""`resume` and `report`: what made a folder decides how it goes on and what its page is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..ambient import undisturbed
from ..errors import UserError
from ..files import write_text
from ..reports import render, render_index, write_report
from ..resolve import weights_of
from ..runs import Kind, RunFolder
from ..watcher import Watcher
from .options import Data
from .search.begin import resume_search
from .search.page import unfinished, write_page
from .studies.folds import resume_folds, write_folds
from .train.begin import resume_training

__all__ = ["report", "report_index", "resume"]


# Where the networks lie that a folder of that kind is about.
_NETWORKS_OF = {Kind.SEARCH: "children/*", Kind.FOLDS: "fold-*"}


@undisturbed()
def resume(
    run: RunFolder | str | Path,
    *,
    data: Data | None = None,
    val: str | Path | None = None,
    force: bool = False,
    device: str | None = None,
    watcher: Watcher | None = None,
) -> RunFolder:
    """Go on with a training or a search where it was stopped, whatever stopped it; stages that are done are left alone.

    `data` is what it was begun with, where that is in no file (a dataset of one's own) or was moved, and `val` what it is
    validated on, where that was given apart and was moved.

    Raises:
        DataError: the data has changed since the start; forced, it is taken as it is now, and so is a part of one's own.
        UserError: no run, or a child of a search that the search has yet to finish.
    """
    found = run if isinstance(run, RunFolder) else RunFolder.open(run)
    if force:
        found.renew_parts()
    match found.kind:
        case Kind.SEARCH:
            return resume_search(found, data=data, val=val, force=force, on=device, watcher=watcher)
        case Kind.FOLDS:
            if val is not None:
                raise UserError(
                    f"{found.path} is a cross-validation, whose data has no validation part apart: leave out --val"
                )
            return resume_folds(found, data=data, force=force, on=device, watcher=watcher)
        case Kind.CHILD:
            weights_of(found)  # they come from the search alone: training would make others
            return resume_training(found, data=data, val=val, force=force, on=device, watcher=watcher)
        case _:
            return resume_training(found, data=data, val=val, force=force, on=device, watcher=watcher)


def report(runs: Sequence[RunFolder | str | Path] | RunFolder | str | Path, out: str | Path | None = None) -> Path:
    """The report of a run or of a search, or of several runs side by side, as one self-contained HTML file.

    It is written to `out`: `report.html` in the run's folder by default, of several `comparison.html` beside the first.

    Raises:
        UserError: no run, a search that is not finished, or one among several.
    """
    given = [runs] if isinstance(runs, RunFolder | str | Path) else runs
    opened = [run if isinstance(run, RunFolder) else RunFolder.open(run) for run in given]
    place = None if out is None else Path(out)
    if len(opened) == 1:
        return _page(opened[0], place)
    for run in opened:
        if networks := _NETWORKS_OF.get(run.kind):
            raise UserError(
                f"{run.path} is {run.kind.value}, which has a page of its own; side by side stand networks, such as "
                f"{run.path}/{networks}"
            )
    place = place or opened[0].path.parent / "comparison.html"
    write_text(place, render([run.path for run in opened], place.parent))
    return place


def _page(run: RunFolder, place: Path | None) -> Path:
    match run.kind:
        case Kind.FOLDS:
            return write_folds(run, place)
        case Kind.SEARCH:
            if said := unfinished(run):
                raise UserError(said)
            return write_page(run, place)
        case _:
            return write_report(run.path, place)


def report_index(folder: str | Path, out: str | Path | None = None) -> Path:
    """One page over all runs, searches and studies that lie in `folder`, written to `out`: `index.html` in it by default.

    Raises:
        UserError: no such folder, or nothing of ours in it.
    """
    folder = Path(folder)
    place = folder / "index.html" if out is None else Path(out)
    write_text(place, render_index(folder, place.parent))
    return place
