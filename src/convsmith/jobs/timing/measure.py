"""`measure`: networks timed in turns on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ...arch import ArchSpec
from ...errors import UserError
from ...exporting import export_onnx, ort_subject
from ...latency import Runtime, Subject, Timing, compile_subject, eager_subject, interleave
from ...resolve import Target, target_of
from ...runs import Run
from ...watcher import Watcher

__all__ = ["measure"]


def measure(
    models: Sequence[str | Path | ArchSpec | Run | nn.Module],
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

    `resolution` replaces each network's own. A bare module is timed at it, or at 224 px with three channels.
    """
    watcher, runtime = watcher or Watcher(), Runtime(runtime)
    subjects: list[Subject] = []
    # A name that leads nowhere is told before the first is prepared.
    found = [model if isinstance(model, nn.Module) else target_of(model) for model in models]
    with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
        for index, model in enumerate(found):
            name = model.label if isinstance(model, Target) else f"{type(model).__name__} {index + 1}"
            watcher.stage("prepare", name)
            file = Path(scratch) / f"{index}.onnx"
            subjects.append(_subject(name, model, runtime, file, threads, batch, resolution))
        watcher.stage("measure", f"{runtime}, batch {batch}, {threads} thread{'s' * (threads > 1)}, interleaved")
        return interleave(
            subjects,
            threads=threads,
            rounds=rounds,
            seed=seed,
            progress=lambda done, total: watcher.count("rounds", done, total),
        )


def _subject(
    name: str,
    model: Target | nn.Module,
    runtime: Runtime,
    file: Path,
    threads: int,
    batch: int,
    resolution: int | None,
) -> Subject:
    shape: tuple[int, ...]
    if isinstance(model, nn.Module):
        side = resolution or 224
        module, shape = model, (3, side, side)
    else:
        if model.onnx is not None:
            if runtime is not Runtime.ORT:
                raise UserError(f"{model.label} is an ONNX file; it runs in onnxruntime only (--runtime ort)")
            return ort_subject(name, model.onnx, batch=batch, threads=threads)
        module, shape = model.module(), model.input_shape(resolution)
    if runtime is Runtime.EAGER:
        return eager_subject(name, module, input_shape=shape, batch=batch)
    if runtime is Runtime.COMPILE:
        return compile_subject(name, module, input_shape=shape, batch=batch)
    export_onnx(module, file, input_shape=shape, dynamic_batch=False)
    return ort_subject(name, file, batch=batch, threads=threads)
