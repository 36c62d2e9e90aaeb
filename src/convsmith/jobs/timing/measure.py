"""`measure`: networks timed in turns on this machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ...ambient import undisturbed
from ...arch import ArchSpec
from ...errors import UserError
from ...exporting import ort_subject
from ...latency import Runtime, Subject, Timing, interleave
from ...resolve import Target, target_of
from ...runs import RunFolder
from ...units import duration, plural
from ...watcher import Watcher
from ..feed import refuse_misfit
from .subjects import ready, refuse_missing

__all__ = ["measure"]

SECONDS = 30.0  # after which no round begins


@undisturbed()
def measure(
    models: Sequence[str | Path | ArchSpec | RunFolder | nn.Module] | str | Path | ArchSpec | RunFolder | nn.Module,
    *,
    runtime: str | Runtime = Runtime.ORT,
    threads: int = 1,
    batch: int = 1,
    rounds: int = 30,
    resolution: int | None = None,
    seed: int = 0,
    watcher: Watcher | None = None,
) -> Timing:
    """Interleaved timing of several networks: median, p10 and p90 in milliseconds per image, and which can be ranked.

    `resolution` replaces each network's own. A live network is timed on images of its spec; one without a spec at
    `resolution`, or at 224 px, with three channels. A run that is not trained is timed too, since no runtime here is faster
    for other weights. The watcher is told of both.
    """
    watcher, runtime = watcher or Watcher(), Runtime(runtime)
    refuse_missing(runtime)
    subjects: list[Subject] = []
    # A name that leads nowhere is told before the first is prepared.
    found, began = [target_of(model) for model in _several(models)], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
        for index, target in enumerate(found):
            name = target.label if target.live is None else f"{target.label} {index + 1}"
            watcher.stage("prepare", name)
            if said := target.assumed(resolution):
                watcher.note(said)
            if target.run is not None and not target.trained:
                watcher.note(f"{target.run.path} is not trained yet: its network is timed with random weights")
            place = Path(scratch) / str(index)
            subjects.append(_subject(name, target, runtime, place, threads, batch, resolution))
            if index == 0:
                left = (time.monotonic() - began) * (len(found) - 1) + SECONDS
                watcher.note(
                    f"about {duration(left)} at most: as long for each network as for the first, then the rounds"
                )
        watcher.stage("measure", f"{runtime}, batch {batch}, {plural(threads, 'thread')}, interleaved")
        return interleave(
            subjects,
            threads=threads,
            rounds=rounds,
            seconds=SECONDS,
            seed=seed,
            progress=lambda done, total: watcher.count("rounds", done, total),
        )


def _several(
    models: Sequence[str | Path | ArchSpec | RunFolder | nn.Module] | str | Path | ArchSpec | RunFolder | nn.Module,
) -> Sequence[str | Path | ArchSpec | RunFolder | nn.Module]:
    """The models; one that is given alone is a list of one."""
    return [models] if isinstance(models, str | Path | ArchSpec | RunFolder | nn.Module) else models


def _subject(
    name: str,
    target: Target,
    runtime: Runtime,
    place: Path,
    threads: int,
    batch: int,
    resolution: int | None,
) -> Subject:
    if target.onnx is not None:
        if runtime is not Runtime.ORT:
            raise UserError(f"{target.label} is an ONNX file; it runs in onnxruntime only (--runtime ort)")
        if resolution is not None:
            raise UserError(
                f"{target.label} is an ONNX file, whose side is fixed: --resolution is for networks that are built"
            )
        return ort_subject(name, target.onnx, batch=batch, threads=threads)
    module, shape = target.module(untrained=True), target.input_shape(resolution)
    given = target.given(batch)
    if given and resolution is not None:
        raise UserError(f"{target.label} is not shown images, whose side --resolution could set")
    if not given and (target.live is not None or resolution is not None):
        refuse_misfit(target.label, module, shape)
    return ready(name, module, runtime, place, input_shape=shape, threads=threads, batch=batch, given=given)
