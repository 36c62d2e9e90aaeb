"""One page over a folder of runs, searches and studies: what each came to, and the way to its page."""

from __future__ import annotations

import math
from pathlib import Path

from ..errors import UserError
from ..runs import Kind, Overview, overviews
from .facts import RunFacts
from .format import amount, count, ends, ms, when
from .links import within
from .tables import Cell, Table
from .templates import template
from .view import verdict

__all__ = ["render_index"]

_HEAD = ("name", "kind", "score", "state", "MACs", "params", "latency", "begun")
_NETWORKS = (Kind.TRAINING, Kind.CHILD)
_LEGEND = (
    "Small, beneath a score: its 95 % interval and the images it is of. Scores on different data cannot be compared."
)


def render_index(folder: Path, at: Path | None = None) -> str:
    """The page over what lies in `folder`, the newest first, to be put into the folder `at` (`folder` itself by default).

    What is not ours is passed over. Raises UserError where there is no such folder or nothing in it.
    """
    found = overviews(folder)
    if not found:
        raise UserError(f"{folder} holds no runs: give the folder that run folders lie in, as `runs/`")
    rows = tuple(_row(one, at or folder) for one in found)
    table = Table("", _HEAD, rows, words=("kind", "state", "begun"), legend=_LEGEND)
    return template("index.html.j2").render(name=folder.resolve().name, table=table)


def _row(one: Overview, at: Path) -> tuple[str | Cell, ...]:
    page = next((name for name in ("report.html", "study.html") if (one.path / name).is_file()), None)
    way = within(one.path, at)
    return (
        Cell(one.path.name, (one.data,) if one.data else (), "" if page is None or way is None else way + page),
        one.kind.name.lower(),
        _score(one),
        _state(one),
        "–" if one.cost is None else count(one.cost.macs),
        "–" if one.cost is None else count(one.cost.params),
        _latency(one),
        when(one.begun.isoformat(timespec="seconds")),
    )


def _score(one: Overview) -> str | Cell:
    if one.score is None or not math.isfinite(one.score.value):
        return "–"
    interval = () if one.score.interval is None else (ends(one.score),)
    return Cell(f"{one.score.words} {amount(one.score)}", (*interval, f"n = {one.n:,}"))


def _state(one: Overview) -> str:
    """Of a network that is whole, what became of its budget."""
    return verdict(RunFacts.read(one.path)).headline if one.finished and one.kind in _NETWORKS else one.state


def _latency(one: Overview) -> str | Cell:
    if one.latency is None:
        return "–"
    spread = f"{ms(one.latency.p10_ms, unit=False)}–{ms(one.latency.p90_ms, unit=False)}"
    return Cell(ms(one.latency.median_ms), (spread,))
