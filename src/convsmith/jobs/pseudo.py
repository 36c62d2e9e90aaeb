"""A trained run labels images that nobody labelled."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..ambient import undisturbed
from ..data import Labels, Split, eval_batches
from ..data.readers.pseudo import PseudoLabels, chosen, contents_of, named, unlabelled
from ..errors import UserError
from ..evals import outputs
from ..files import check_writable, write_text
from ..resolve import device as chosen_device
from ..resolve import trained_run
from ..runs import RunFolder
from ..tasks import Classify
from ..units import plural
from ..watcher import Watcher
from .feed import at_once, normaliser, task_of, trained

__all__ = ["pseudo_label"]


@undisturbed()
def pseudo_label(
    teacher: RunFolder | str | Path,
    images: str | Path,
    out: str | Path,
    *,
    threshold: float = 0.5,
    balance: int | None = None,
    device: str | None = None,
    watcher: Watcher | None = None,
) -> PseudoLabels:
    """Label `images` (a folder, flat or not, or an `.npz`) by the run `teacher` and write the labels it is sure of to `out`.

    An image is kept where the largest softmax probability is at least `threshold`; `balance` makes every class that has
    any exactly so many, the surest first, repeated where there are fewer. Images that cannot be read are counted.
    """
    watcher = watcher or Watcher()
    if not 0 <= threshold <= 1:
        raise UserError(f"--threshold is a probability; got {threshold}")
    if balance is not None and balance < 1:
        raise UserError(f"--balance must be at least 1; got {balance}")
    out = Path(out)
    check_writable(out)
    run = trained_run(teacher)
    if not isinstance(task_of(run.config), Classify):
        raise UserError(f"{run.path} gives no one label an image: pseudo-labels are a classifier's")
    if run.spec.input.frames:
        raise UserError(f"{run.path} reads clips: pseudo-labels are of images")
    spec, inputs, where = run.spec, unlabelled(images, watcher.note), chosen_device(device)
    split = Split(inputs, Labels(np.zeros(len(inputs), np.int64)))  # nobody reads these answers
    classes = run.data.classes
    model, ready = trained(run, spec).to(where), normaliser(spec, where)
    scores, labels, read = np.full(len(split), -1.0), np.zeros(len(split), np.int64), 0
    batches = eval_batches(split, sides=spec.input.sides, channels=spec.input.channels, batch=at_once(spec))
    for batch, logits in outputs(model, batches, prepare=ready, device=where):
        done = int(batch.indices[-1]) + 1
        watcher.count("labelling images", done, len(split))
        best, label = logits.float().softmax(1).max(1)
        at = batch.indices.numpy()
        scores[at], labels[at], read = best.cpu().numpy(), label.cpu().numpy(), read + len(at)
    kept = chosen(scores, labels, threshold=threshold, balance=balance)
    if not kept:
        raise UserError(f"of {plural(read, 'image')} the teacher is sure of none at {threshold}: lower --threshold")
    source = str(Path(images).resolve())
    made = PseudoLabels(
        source,
        classes,
        tuple((named(inputs, images, i), classes[label], score) for i, label, score in kept),
        teacher=run.path.resolve().name,
        threshold=threshold,
        balance=balance,
        looked=len(split),
        unreadable=len(split) - read,
        contents=contents_of(inputs.take(np.array([i for i, _, _ in kept], np.int64))),
    )
    write_text(out, replace(made, source=Path(os.path.relpath(source, out.resolve().parent)).as_posix()).to_json())
    return made
