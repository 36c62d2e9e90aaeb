"""Single verbs on what exists already: evaluate, export, measure, report."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from .arch import ArchSpec
from .errors import DataError, UserError
from .evals import Scores
from .exporting import Exported, export_onnx, ort_subject
from .feed import Source, Watcher, samples_of, score_on, trained
from .jobs import Options, source_of
from .latency import Runtime, Subject, Timing, compile_subject, eager_subject, interleave
from .reports import render, write_report
from .resolve import Target, device, resolve
from .runs import Run
from .shrinking import Shrunk, export_int8
from .training import save_atomically

__all__ = ["evaluate", "export", "measure", "report"]

SPLITS = ("val", "train")


def evaluate(
    run: Run | str | Path,
    data: str | Path | None = None,
    *,
    split: str = "val",
    root: str | Path | None = None,
    download: bool = False,
    watcher: Watcher | None = None,
) -> Scores:
    """Top-1 and top-5 with 95 % intervals of a trained run, on its own images or on other data with the same classes."""
    run = run if isinstance(run, Run) else Run.open(run)
    if not run.has("model.safetensors"):
        raise UserError(f"{run.path} has no trained weights yet; finish it with `convsmith resume {run.path}`")
    if split not in SPLITS:
        raise UserError(f"split '{split}' is none of {', '.join(SPLITS)}")
    own = Source(**run.read("config.json")["source"])
    source = own if data is None else source_of(data, Options(root=root, download=download, seed=own.seed))
    images = source.load(watcher or Watcher())
    classes = tuple(run.read("data.json")["classes"])
    if images.classes != classes:
        raise DataError(
            f"{images.name} has classes {_few(images.classes)}; {run.path.name} was trained on {_few(classes)}"
        )
    if split == "train":
        images = replace(images, val=images.train)
    return replace(score_on(trained(run, run.spec), run.spec, images, device()), split=split)


def export(
    model: Run | str | Path,
    path: str | Path | None = None,
    *,
    dynamic_batch: bool = True,
    int8: bool = False,
    must: str = "",
    watcher: Watcher | None = None,
) -> Exported | Shrunk:
    """A run, or any network that can be built, as an ONNX file that onnxruntime has run and that equals the network.

    With `int8` a run in eight bits instead, held against the float file; `must` are conditions that it has to meet, such as
    `ms<=5,drop<=0.5` (`shrinking.export_int8`).

    Raises:
        UserError: what cannot be exported, or a place that cannot be written to.
        CheckFailed: a condition is broken; nothing is written.
    """
    if int8:
        if not dynamic_batch:
            raise UserError("a file in eight bits leaves the batch free")
        return export_int8(model, path, must=must, watcher=watcher)
    if must:
        raise UserError("conditions are of files in eight bits: give int8=True")
    target = _target(model)
    samples = None
    if target.run is not None:
        source = Source(**target.run.read("config.json")["source"])
        samples = samples_of(target.run.spec, source.load(watcher or Watcher()))
    out = Path(path) if path else target.run.file("model.onnx") if target.run else Path(f"{target.label}.onnx")
    exported = export_onnx(
        target.module(), out, input_shape=target.input_shape(), dynamic_batch=dynamic_batch, samples=samples
    )
    if target.run is not None and path is None:
        target.run.write("export.json", exported.to_record())
    return exported


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
    found = [model if isinstance(model, nn.Module) else _target(model) for model in models]
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


def report(runs: Sequence[Run | str | Path]) -> Path:
    """The report of one run, or of several side by side, as one self-contained HTML file."""
    opened = [run if isinstance(run, Run) else Run.open(run) for run in runs]
    if len(opened) == 1:
        return write_report(opened[0].path)
    path = opened[0].path.parent / "comparison.html"
    page = render([run.path for run in opened])
    save_atomically(path, lambda temporary: _write(temporary, page))
    return path


def _target(model: str | Path | ArchSpec | Run) -> Target:
    if isinstance(model, ArchSpec):
        return Target(label=model.name, spec=model)
    if isinstance(model, Run):
        return Target(label=model.path.name, spec=model.spec, run=model)
    return resolve(model)


def _subject(
    name: str,
    model: Target | nn.Module,
    runtime: Runtime,
    file: Path,
    threads: int,
    batch: int,
    resolution: int | None,
) -> Subject:
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


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
