"""A run as an INT8 file: calibrated and scored on the run's own data, timed beside the float file, and gated."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...data import ImageData, train_batches
from ...errors import CheckFailed, UserError
from ...exporting import export_onnx
from ...exporting.int8 import Quantised, quantise
from ...exporting.must import conditions
from ...exporting.ort import ort_subject, session
from ...latency import interleave
from ...recipe import Augment
from ...resolve import resolve
from ...runs import Run
from ...watcher import Watcher
from ..feed import metadata_of, normaliser, samples_of, trained, validation_batches
from ..source import Source

__all__ = ["Shrunk", "export_int8"]

_CALIBRATION = 8  # batches of 16 training images


@dataclass(frozen=True)
class Shrunk:
    """The INT8 file beside the float one: sizes, shares, top-1 on `n` validation images, and ms of one image."""

    quantised: Quantised
    top1: float
    float_top1: float
    n: int
    ms: float
    float_ms: float

    @property
    def snippet(self) -> str | None:
        """Some lines of Python that ask the file about a picture, without this package."""
        return self.quantised.snippet

    def to_record(self) -> dict[str, object]:
        """`export_int8.json` of a run folder."""
        return {
            "file": self.quantised.path.name, "bytes": self.quantised.bytes, "float_bytes": self.quantised.float_bytes,
            "size_ratio": self.quantised.bytes / self.quantised.float_bytes,
            "convolutions": self.quantised.convolutions, "int8_convolutions": self.quantised.int8_convolutions,
            "top1": self.top1, "float_top1": self.float_top1, "n": self.n, "ms": self.ms, "float_ms": self.float_ms,
        }  # fmt: skip

    def numbers(self) -> dict[str, float]:
        """What a condition may name."""
        return {
            "top1": 100 * self.top1, "drop": 100 * (self.float_top1 - self.top1), "ms": self.ms,
            "mb": self.quantised.bytes / 1e6, "ratio": self.quantised.bytes / self.quantised.float_bytes,
        }  # fmt: skip


def export_int8(
    model: Run | str | Path,
    path: str | Path | None = None,
    *,
    must: str = "",
    threads: int = 1,
    watcher: Watcher | None = None,
) -> Shrunk:
    """Quantise a run's network to `path` (its folder's model.int8.onnx by default), calibrated on its training images.

    Top-1 of both files is that of onnxruntime on the validation images; their times are interleaved. `must` are conditions
    such as `drop<=1,ms<=5`: where one is broken nothing is written, and `CheckFailed` says by how much. Raises `UserError`,
    before any work, for what is no run or has no weights yet, and for a place that cannot be written to.
    """
    asked, watcher = conditions(must), watcher or Watcher()
    target = None if isinstance(model, Run) else resolve(model)
    run = model if isinstance(model, Run) else None if target is None else target.run
    if run is None:
        raise UserError(f"INT8 is calibrated and checked on a run's data, and {model} is not a run: train it first")
    if not run.has("model.safetensors"):
        raise UserError(
            f"{run.path} has no weights yet (model.safetensors): `convsmith resume {run.path}` goes on with it"
        )
    out = Path(path) if path is not None else run.file("model.int8.onnx")
    folder = _folder(out)
    images = Source(**run.read("config.json")["source"]).load(watcher)
    side = run.spec.input.resolution
    shape = (run.spec.input.channels, side, side)
    with _scratch(folder) as scratch:
        whole, small = Path(scratch) / "float.onnx", Path(scratch) / out.name
        watcher.stage("export", "the float network")
        export_onnx(trained(run, run.spec), whole, input_shape=shape, samples=samples_of(run.spec, images))
        watcher.stage("quantise", f"ranges of {16 * _CALIBRATION} training images")
        made = quantise(whole, small, _calibration(run, images), metadata=metadata_of(run.spec, images.classes))
        watcher.stage("score", f"{len(images.val)} validation images, both files")
        before, after = (_top1(file, run, images) for file in (whole, small))
        subjects = [ort_subject(name, file, threads=threads) for name, file in (("float", whole), ("int8", small))]
        rows = interleave(subjects, threads=threads, rounds=60, seconds=15).rows
        made = replace(made, path=out)
        shrunk = Shrunk(made, after, before, len(images.val), rows[1].median_ms, rows[0].median_ms)
        broken = [condition.broken(shrunk.numbers()) for condition in asked if not condition.holds(shrunk.numbers())]
        if broken:
            raise CheckFailed("; ".join(broken) + ". Nothing was written")
        _placed(small, out)
    if path is None:
        run.write("export_int8.json", shrunk.to_record())
    return shrunk


def _folder(out: Path) -> Path:
    if out.is_dir():
        raise UserError(f"{out} is a folder; give the name of a file, such as {out / 'model.int8.onnx'}")
    if not out.parent.is_dir():
        raise UserError(f"there is no folder {out.parent} to write {out.name} to")
    return out.parent


def _scratch(folder: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix=".convsmith-", dir=folder)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error


def _placed(made: Path, out: Path) -> None:
    try:
        made.replace(out)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error


def _calibration(run: Run, images: ImageData) -> list[NDArray[np.float32]]:
    ready = normaliser(run.spec, torch.device("cpu"))
    batch = min(16, len(images.train))
    batches = train_batches(
        images.train, resolution=run.spec.input.resolution, channels=run.spec.input.channels, batch=batch,
        augment=Augment(), seed=0, first_step=0, last_step=_CALIBRATION,
    )  # fmt: skip
    return [ready(one.images).contiguous().numpy() for one in batches if len(one.labels)]


def _top1(file: Path, run: Run, images: ImageData) -> float:
    runtime, ready = session(file, threads=torch.get_num_threads()), normaliser(run.spec, torch.device("cpu"))
    name, right, seen = runtime.get_inputs()[0].name, 0, 0
    for batch in validation_batches(run.spec, images)():
        if len(batch.labels) == 0:
            continue
        logits = runtime.run(None, {name: ready(batch.images).contiguous().numpy()})[0]
        right += int((np.asarray(logits).argmax(1) == batch.labels.numpy()).sum())
        seen += len(batch.labels)
    return right / max(seen, 1)
