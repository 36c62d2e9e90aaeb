"""What lies in a folder of runs, at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import UserError
from ..scores import Metric
from ..units import Cost
from .kinds import Kind, kind_of
from .records import Row
from .run import RunFolder

__all__ = ["Overview", "overviews"]


@dataclass(frozen=True)
class Overview:
    """A folder: what made it, how far it has come, when it was begun (a study: written to), and what is known of its data,
    its cost, its latency and its headline score on `n` images.

    Of a search the score is that of its best child, of a cross-validation the mean of its folds.
    """

    path: Path
    kind: Kind
    state: str
    begun: datetime
    data: str = ""
    score: Metric | None = None
    n: int | None = None
    cost: Cost | None = None
    latency: Row | None = None

    @property
    def finished(self) -> bool:
        """Whether all is done that it has to do."""
        return self.state == "finished"

    @property
    def age(self) -> float:
        """Seconds since it was begun."""
        return (datetime.now(UTC) - self.begun).total_seconds()

    def to_record(self) -> dict[str, object]:
        score = None if self.score is None else {"name": self.score.name, "value": self.score.value}
        cost = None if self.cost is None else {"macs": self.cost.macs, "params": self.cost.params}
        return {
            "run": str(self.path), "kind": self.kind.name.lower(), "state": self.state, "score": score, "cost": cost,
            "age_s": self.age,
        }  # fmt: skip


def overviews(folder: Path) -> list[Overview]:
    """What is in `folder` that is ours, the youngest first.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}")
    found = ((path, kind_of(path)) for path in sorted(folder.iterdir()) if path.is_dir())
    every = [_overview(path, kind) for path, kind in found if kind is not None]
    return sorted(every, key=lambda one: one.begun, reverse=True)


def _overview(path: Path, kind: Kind) -> Overview:
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if kind.study:
        return Overview(path, kind, "finished" if (path / "study.html").is_file() else "begun", written)
    run = RunFolder(path)
    try:
        config = run.config
        begun = datetime.fromisoformat(config.started).astimezone(UTC) if config.started else written
        latency = run.latency.rows[0] if run.has("latency.json") else None
        return Overview(path, kind, _state(run), begun, config.data or "", *_judged(run), config.cost, latency)
    except (UserError, ValueError) as error:  # a damaged file is worth a line, and no reason to hide the others
        return Overview(path, kind, str(error).splitlines()[0], written)


def _judged(run: RunFolder) -> tuple[Metric | None, int | None]:
    """The score that a folder is judged by, and the images it is of; None where there is none yet."""
    if run.kind is Kind.SEARCH and run.has("front.json"):
        front = run.front
        return max((row.score for row in front.winners), key=lambda score: score.worth, default=None), front.n
    if run.kind is Kind.FOLDS and run.has("folds.json"):
        folds = run.crossed
        return folds.mean, folds.n
    if run.has("scores.json"):
        scores = run.scores
        return scores.headline, scores.n
    return None, None


def _state(run: RunFolder) -> str:
    """How far a run has come: all that it has to do ends with its report."""
    if run.has("report.html"):
        return "finished"
    if run.kind is Kind.FOLDS:
        folds = run.config.folds or 0
        return f"{sum(run.fold(at).has('report.html') for at in range(folds))} of {folds} folds"
    if run.trained:
        return "trained"
    epochs = run.epochs
    return f"epoch {epochs[-1].epoch} of {run.config.recipe.get('epochs', '?')}" if epochs else "begun"
