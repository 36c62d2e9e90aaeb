"""`report`: the page of a run, or of several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...files import write_text
from ...reports import render, write_report
from ...runs import Run

__all__ = ["report"]


def report(runs: Sequence[Run | str | Path]) -> Path:
    """The report of one run, or of several side by side, as one self-contained HTML file."""
    opened = [run if isinstance(run, Run) else Run.open(run) for run in runs]
    if len(opened) == 1:
        return write_report(opened[0].path)
    path = opened[0].path.parent / "comparison.html"
    page = render([run.path for run in opened])
    write_text(path, page)
    return path
