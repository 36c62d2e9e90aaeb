"""What lies in a folder of runs, at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import UserError
from ..scores import Metric
from ..units import Cost
from .kinds import Kind, kind_of
from .run import RunFolder

__all__ = ["Overview", "overviews"]


@dataclass(frozen=True)
class Overview:
    """A folder: what made it, how far it has come, its headline score and its cost where it has them.

    `age` is in seconds since it was begun, of a study since it was written to.
    """

    path: Path
    kind: Kind
    state: str
    age: float
    score: Metric | None = None
    cost: Cost | None = None

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
    return sorted((_overview(path, kind) for path, kind in found if kind is not None), key=lambda one: one.age)


def _overview(path: Path, kind: Kind) -> Overview:
    now, written = datetime.now(UTC), datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if kind in (Kind.SCALING, Kind.LADDER):
        state = "finished" if (path / "study.html").is_file() else "begun"
        return Overview(path, kind, state, (now - written).total_seconds())
    run = RunFolder(path)
    try:
        config = run.config
        score = run.scores.headline if run.has("scores.json") else None
        begun = datetime.fromisoformat(config.started) if config.started else written
        return Overview(path, kind, _state(run), (now - begun).total_seconds(), score, config.cost)
    except UserError as error:  # a damaged file is worth a line, and no reason to hide the others
        return Overview(path, kind, str(error).splitlines()[0], (now - written).total_seconds())


def _state(run: RunFolder) -> str:
    """How far a run has come: all that it has to do ends with its report."""
    if run.has("report.html"):
        return "finished"
    if run.trained:
        return "trained"
    epochs = run.epochs
    return f"epoch {epochs[-1].epoch} of {run.config.recipe.get('epochs', '?')}" if epochs else "begun"
