"""What a folder is: the one place that decides, for every verb that is given one."""

from __future__ import annotations

import json
import re
from enum import Enum
from pathlib import Path
from typing import Any

__all__ = ["FAMILY_FILE", "Kind", "kind_of", "no_run"]

FAMILY_FILE = "family.json"

_TRIAL = re.compile(r"[0-9a-f]{16}\.(json|pt)")


class Kind(Enum):
    """What made a folder, and so what can be done with it. The first four are run folders."""

    TRAINING = "a training run"
    SEARCH = "a search"
    CHILD = "a child of a search"
    FOLDS = "a cross-validation"
    SCALING = "a study of `convsmith fit-scaling`"
    LADDER = "a study of `convsmith ladder`"
    FAMILY = "a study of `convsmith family`"
    NORMS = "a study of `convsmith search norms`"

    @property
    def study(self) -> bool:
        """Whether it is of many trainings, and no run folder."""
        return self in (Kind.SCALING, Kind.LADDER, Kind.FAMILY, Kind.NORMS)


def kind_of(folder: Path) -> Kind | None:
    """The kind of `folder`, finished or not; None where it is none of ours."""
    config = _read(folder / "config.json")
    if "verb" in config:
        if config["verb"] != "search":
            return Kind.FOLDS if config.get("folds") else Kind.TRAINING
        return Kind.CHILD if config.get("rule") == "search" else Kind.SEARCH
    if (folder / FAMILY_FILE).is_file():
        return Kind.FAMILY
    if _read(folder / "search.json").get("searched") == "norms":
        return Kind.NORMS
    study = _read(folder / "study.json")
    if "rule" in study or (folder / "hours.json").is_file() or _trials(folder / "trials"):
        return Kind.SCALING
    return Kind.LADDER if "steps" in study or _trials(folder) else None


def no_run(given: str | Path) -> str:
    """Why `given` is no run folder, and what would be one."""
    folder = Path(given)
    kind = kind_of(folder)
    if kind is not None and kind.study:
        return (
            f"{folder} is {kind.value} and not a run folder: its page is {folder / 'study.html'}, and a study that was "
            f"stopped goes on when the command that began it is given again with --out {folder}"
        )
    if not folder.exists():
        why = "does not exist"
    elif not folder.is_dir():
        why = "is not a folder"
    elif (folder / "config.json").is_file():
        why = "is not a run folder (its config.json does not say which verb made it)"
    else:
        why = "is not a run folder (it has no config.json)"
    return f"{given} {why}; a run is the folder that `convsmith train`, `design` or `search` makes"


def _trials(folder: Path) -> bool:
    """Whether it holds trainings of a study: results or checkpoints named by sixteen digits."""
    return folder.is_dir() and any(_TRIAL.fullmatch(file.name) for file in folder.iterdir())


def _read(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none, or no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
