"""One page over a folder of runs, searches and studies: what each came to, and the way to its page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import UserError
from ..runs import Front, Kind, kind_of, read
from ..scores import Metric
from .facts import RunFacts
from .format import amount, count, ends, ms, when
from .links import within
from .tables import Cell, Table
from .templates import template
from .view import verdict

__all__ = ["render_index"]


@dataclass(frozen=True)
class Entry:
    """A folder of ours: what made it, how far it has come, when it was begun, and of a network what it is worth and costs."""

    folder: Path
    kind: Kind
    state: str
    started: str
    score: Metric | None = None
    n: int | None = None
    facts: RunFacts | None = None


def render_index(folder: Path, at: Path | None = None) -> str:
    """The page over what lies in `folder`, the newest first, to be put into the folder `at` (`folder` itself by default).

    What is not ours, or cannot be opened, is passed over. Raises UserError where there is no such folder or nothing in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}")
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    entries = [_entry(path, kind) for path in inside if (kind := kind_of(path)) is not None]
    if not entries:
        raise UserError(f"{folder} holds no runs: give the folder that run folders lie in, as `runs/`")
    entries.sort(key=lambda entry: entry.started, reverse=True)
    rows = tuple(_row(entry, at or folder) for entry in entries)
    head = ("name", "kind", "score", "state", "MACs", "params", "latency", "begun")
    table = Table("", head, rows, words=("kind", "state", "begun"), legend=_LEGEND)
    return template("index.html.j2").render(name=folder.resolve().name, table=table)


_LEGEND = (
    "Small, beneath a score: its 95 % interval and the images it is of. Scores on different data cannot be compared."
)


def _entry(folder: Path, kind: Kind) -> Entry:
    written = datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="seconds")
    if kind in (Kind.SCALING, Kind.LADDER):
        return Entry(folder, kind, "finished" if (folder / "study.html").is_file() else "not finished", written)
    facts = RunFacts.read(folder)
    started = facts.config.started if facts.config and facts.config.started else written
    if kind is Kind.SEARCH:
        try:
            front = read(folder / "front.json", Front)
        except (OSError, ValueError):
            return Entry(folder, kind, "not finished", started, facts=facts)
        best = max((row.score for row in front.winners), key=lambda score: score.worth, default=None)
        return Entry(folder, kind, f"{len(front.winners)} children", started, best, front.n, facts)
    score = facts.scores.headline if facts.scores else None
    return Entry(folder, kind, verdict(facts).headline, started, score, facts.scores.n if facts.scores else None, facts)


def _row(entry: Entry, at: Path) -> tuple[str | Cell, ...]:
    facts, score = entry.facts, entry.score
    page = next((name for name in ("report.html", "study.html") if (entry.folder / name).is_file()), None)
    way = within(entry.folder, at)
    latency = facts.latency.rows[0] if facts and facts.latency and facts.latency.rows else None
    data = facts.config.data if facts and facts.config and facts.config.data else ""
    small = () if score is None or score.interval is None else (ends(score),)
    return (
        Cell(entry.folder.name, (data,) if data else (), "" if page is None or way is None else way + page),
        entry.kind.name.lower(),
        "–"
        if score is None or not math.isfinite(score.value)
        else Cell(f"{score.words} {amount(score)}", (*small, f"n = {entry.n:,}")),
        entry.state,
        "–" if facts is None or facts.macs is None else count(facts.macs),
        "–" if facts is None or facts.params is None else count(facts.params),
        "–"
        if latency is None
        else Cell(ms(latency.median_ms), (f"{ms(latency.p10_ms, unit=False)}–{ms(latency.p90_ms, unit=False)}",)),
        when(entry.started),
    )
