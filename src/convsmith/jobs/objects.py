"""`evaluate RUN --coco FILE`: all that a detector finds, as one of COCO's results files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..data import Split
from ..data.targets import Objects
from ..errors import UserError
from ..evals import Meter
from ..evals.coco_files import as_annotations
from ..evals.detections import Detected
from ..files import check_writable, write_text
from ..runs import RunFolder
from ..units import plural
from ..watcher import Watcher

__all__ = ["check_results", "keep_all", "write_results"]


def check_results(path: Path) -> None:
    """Refuse, before any work, what is no place for a results file."""
    if path.suffix != ".json":
        raise UserError(f"--coco writes a .json; got {path.name}")
    check_writable(path)


def keep_all(meter: Meter, run: RunFolder) -> None:
    """Have a meter hold on to all that is found. Raises `UserError` where nothing is that has a place in such a file."""
    if not isinstance(meter, Detected):
        raise UserError(f"COCO's results files are of objects with boxes, and {run.path} finds none")
    meter.keep()


def write_results(path: Path, meter: Meter, split: Split, names: Sequence[str], watcher: Watcher) -> None:
    """A list of what was found, by the numbers that images and categories have in the data's own file, as `loadRes` of pycocotools
    reads it: boxes and scores not rounded, masks as compressed runs.

    Classes of the run that the data's file does not have are left out, and counted: they have no number there.
    """
    assert isinstance(meter, Detected) and isinstance(split.targets, Objects)
    numbers, rows, foreign = split.targets.category_ids, list[dict[str, object]](), 0
    for _, truth, found in meter.everything:
        for label, row in zip(found.labels.tolist(), as_annotations(found, truth.size), strict=True):
            if numbers[label - 1] < 0:
                foreign += 1
                continue
            rows.append({"image_id": truth.image_id, "category_id": numbers[label - 1]} | row)
    write_text(path, json.dumps(rows))
    if foreign:
        lacking = [name for name, number in zip(names, numbers, strict=True) if number < 0]
        watcher.note(
            f"{plural(foreign, 'detection')} of {', '.join(lacking)} left out of {path}: its data has no such category"
        )
    if not rows:
        watcher.note(f"{path} is an empty list, as nothing was found; pycocotools refuses such a file")
