"""`evaluate RUN --deeplabcut FOLDER`: what a run finds in all its pictures, as DeepLabCut's own files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..ambient import undisturbed
from ..data.how import How
from ..data.images import placed
from ..errors import DataError, UserError
from ..evals import PointErrors
from ..evals.loop import outputs
from ..evals.points import Found
from ..resolve import device as chosen_device
from ..resolve import trained_run
from ..runs import RunFolder
from ..runs.deeplabcut import PCUTOFF, Errors, Points, has_h5, write_points, write_results
from ..units import plural
from ..watcher import Watcher
from .evaluate import Part, part_to_score
from .feed import normaliser, task_of, trained, validation_batches
from .options import Data

__all__ = ["write_deeplabcut"]


@undisturbed()
def write_deeplabcut(
    run: RunFolder | str | Path,
    folder: str | Path,
    data: Data | None = None,
    *,
    cutoff: float = PCUTOFF,
    root: str | Path | None = None,
    download: bool = False,
    how: How | None = None,
    device: str | None = None,
    watcher: Watcher | None = None,
) -> tuple[Path, ...]:
    """The predictions of a run for every picture of its data, and DeepLabCut's tables of its errors; the files.

    As in DeepLabCut, "test" are all pictures that were not trained on: those of the validation part and, where there is one, of
    the test part. `data` is where the run's own data lies now, where that is another place.

    Raises:
        UserError: a run that finds no points, or is not trained.
    """
    run, watcher = trained_run(run), watcher or Watcher()
    names = ("train", "val", "test") if run.data.test else ("train", "val")
    parts = {
        name: part_to_score(run, data, split=name, root=root, download=download, how=how, watcher=watcher)
        for name in names
    }
    watcher.stage("evaluate", f"{plural(sum(len(part.split) for part in parts.values()), 'picture')} for DeepLabCut")
    found = {name: _found(run, part, device) for name, part in parts.items()}
    if not has_h5():
        watcher.note(
            "the predictions are written as CSV alone: HDF5 needs pandas and tables (pip install pandas tables)"
        )
    scorer, folder = f"convsmith_{run.path.name}", Path(folder)
    points = Points(
        scorer,
        run.data.classes,
        tuple(row for name, part in parts.items() for row in _rows(part, found[name])),
        np.concatenate([one.points for one in found.values()]),
        np.concatenate([one.likelihood for one in found.values()]),
    )
    errors = {name: Errors(one.pixels, one.likelihood) for name, one in found.items()}
    held = [errors[name] for name in names[1:]]
    test = Errors(np.concatenate([one.pixels for one in held]), np.concatenate([one.likelihood for one in held]))
    epochs = run.epochs
    return (
        *write_points(points, folder / scorer),
        *write_results(
            scorer, points.names, errors["train"], test, folder, fraction=len(found["train"]) / len(points.rows),
            shuffle=_shuffle(run), epochs=epochs[-1].epoch if epochs else 0, cutoff=cutoff,
        ),
    )  # fmt: skip


def _found(run: RunFolder, part: Part, device: str | None) -> Found:
    """What the run finds in a part, and what was labelled there."""
    spec, where = run.spec, chosen_device(device)
    meter = task_of(run.config).meter(run.data.classes, pictures=0)
    if not isinstance(meter, PointErrors):
        raise UserError(f"DeepLabCut's files are of points in pictures, and {run.path} gives each image classes")
    model = trained(run, spec).to(where)
    batches = validation_batches(spec, part.split)()
    for batch, out in outputs(model, batches, prepare=normaliser(spec, where), device=where):
        meter.add(out, batch)
    found = meter.found
    if len(found) < len(part.split):
        raise DataError(f"{plural(len(part.split) - len(found), 'picture')} of {part.said} cannot be read any more")
    return found


def _rows(part: Part, found: Found) -> list[str]:
    """The pictures' paths in their project; what stands in no file is counted within its part."""
    inputs = part.split.inputs
    return [placed(inputs.where(i), part.roots) or f"{part.part}/{i}" for i in found.indices.tolist()]


def _shuffle(run: RunFolder) -> int:
    """The number of the division that the run was asked for; 1, DeepLabCut's first, where it has none."""
    divide = str(run.config.source.get("divide", ""))
    return int(divide) if divide.isdigit() else 1
