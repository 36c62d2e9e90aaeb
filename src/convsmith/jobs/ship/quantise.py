"""A run as an INT8 file: calibrated and scored on the run's own data, timed beside the float file, and gated."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...arch import ArchSpec
from ...data import ImageData, span_of, train_batches
from ...data.readers.dataset import own_data
from ...errors import CheckFailed, UserError
from ...evals import evaluate
from ...exporting import export_onnx
from ...exporting.int8 import Quantised, quantise
from ...exporting.must import conditions
from ...exporting.ort import ort_subject, runner
from ...exporting.raw import take_bytes
from ...files import check_writable, whole
from ...latency import Timing, interleave
from ...locks import at_work
from ...recipe import Augment
from ...resolve import target_of, trained_run
from ...runs import Int8, RunFolder
from ...watcher import Watcher
from ..feed import metadata_of, normaliser, samples_of, task_of, trained, validation_batches
from ..options import Data, source_again
from ..source import loaded_again

__all__ = ["Shrunk", "export_int8"]

_CALIBRATION = 8  # batches of 16 training images


@dataclass(frozen=True)
class Shrunk:
    """The INT8 file beside the float one: sizes, shares, top-1 on `n` validation images, and ms of one image."""

    quantised: Quantised
    top1: float
    float_top1: float
    n: int
    timing: Timing  # of the float file and of this one

    @property
    def ms(self) -> float:
        return self.timing.rows[1].median_ms

    @property
    def float_ms(self) -> float:
        return self.timing.rows[0].median_ms

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
            "verdict": list(self.timing.verdict),
        }  # fmt: skip

    def numbers(self) -> dict[str, float]:
        """What a condition may name."""
        return {
            "top1": 100 * self.top1, "drop": 100 * (self.float_top1 - self.top1), "ms": self.ms,
            "mb": self.quantised.bytes / 1e6, "ratio": self.quantised.bytes / self.quantised.float_bytes,
        }  # fmt: skip


def export_int8(
    model: RunFolder | str | Path | ArchSpec | nn.Module,
    path: str | Path | None = None,
    *,
    raw_input: bool = False,
    must: str = "",
    data: Data | None = None,
    val: str | Path | None = None,
    threads: int = 1,
    watcher: Watcher | None = None,
) -> Shrunk:
    """Quantise a run's network to `path`, calibrated on its training images: by default to its folder's model.int8.onnx, with
    `raw_input` to model.raw.int8.onnx, which takes uint8 pictures and gives probabilities.

    Top-1 of both files is that of onnxruntime on the validation images; their times are interleaved. `must` are conditions
    such as `drop<=1,ms<=5`: where one is broken nothing is written, and `CheckFailed` says by how much. Raises `UserError`,
    before any work, for what is no run or has no weights yet, and for a place that cannot be written to.
    """
    asked, watcher = conditions(must), watcher or Watcher()
    target = target_of(model)
    if target.run is None:
        raise UserError(
            f"INT8 is calibrated and checked on a run's data, and {target.label} is not a run: train it first"
        )
    run = trained_run(target.run)
    if run.spec.head.makes:
        raise UserError(f"{run.path} makes images: there is no file in eight bits of a generator yet. Leave out --int8")
    out = Path(path) if path is not None else run.file("model.raw.int8.onnx" if raw_input else "model.int8.onnx")
    check_writable(out)
    images = run_data(run, data, val, watcher)
    shape = run.spec.input.shape.dims
    alone = at_work(run.path) if path is None else nullcontext()
    with alone, tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
        large, small = Path(scratch) / "float.onnx", Path(scratch) / out.name
        watcher.stage("export", "the float network")
        export_onnx(trained(run, run.spec), large, input_shape=shape, samples=samples_of(run.spec, images))
        watcher.stage("quantise", f"ranges of {16 * _CALIBRATION} training images")
        says = metadata_of(run.spec, images.classes, task_of(run.config))
        made = quantise(large, small, _calibration(run, images), metadata=says)
        watcher.stage("score", f"{len(images.val)} validation images, both files")
        before, after = (_headline(file, run, images) for file in (large, small))
        if raw_input:  # what is scored above is the same network; what is timed is the file as it is handed over
            take_bytes(large, says)
            says = take_bytes(small, says)
            made = replace(made, bytes=small.stat().st_size, float_bytes=large.stat().st_size, says=says)
        subjects = [ort_subject(name, file, threads=threads) for name, file in (("float", large), ("int8", small))]
        timing = interleave(subjects, threads=threads, rounds=60, seconds=15)
        made = replace(made, path=out)
        shrunk = Shrunk(made, after, before, len(images.val), timing)
        broken = [condition.broken(shrunk.numbers()) for condition in asked if not condition.holds(shrunk.numbers())]
        if broken:
            raise CheckFailed("; ".join(broken) + ". Nothing was written")
        with whole(out) as temporary:
            shutil.copyfile(small, temporary)
        if path is None and not raw_input:
            run.write_int8(Int8.from_record(shrunk.to_record()))
    return shrunk


def run_data(run: RunFolder, data: Data | None, val: str | Path | None, watcher: Watcher) -> ImageData:
    """A run's data from where it lies now; from a place that is told, only if it is the same."""
    source, remedy = source_again(run, data, val), f"`convsmith export {run.path} {{}} PATH`"
    if data is not None or val is not None:
        return loaded_again(run, source, own_data(data), watcher, remedy=remedy, force=None)
    source.refuse_missing(remedy)
    return source.load(watcher)


def _calibration(run: RunFolder, images: ImageData) -> list[NDArray[np.float32]]:
    ready = normaliser(run.spec, torch.device("cpu"))
    batch = min(16, len(images.train))
    batches = train_batches(
        images.train, sides=run.spec.input.sides, channels=run.spec.input.channels, batch=batch,
        augment=Augment(), seed=0, first_step=0, last_step=_CALIBRATION, span=span_of(run.spec.input),
    )  # fmt: skip
    return [ready(one.images).contiguous().numpy() for one in batches if len(one.answers)]


def _headline(file: Path, run: RunFolder, images: ImageData) -> float:
    """What the task judges by, of an exported file on the validation images."""
    here = torch.device("cpu")
    network, meter = (
        runner(file, threads=torch.get_num_threads()),
        task_of(run.config).meter(images.classes, pictures=0),
    )
    batches = validation_batches(run.spec, images.val)()
    return evaluate(network, batches, meter, prepare=normaliser(run.spec, here), device=here).headline.value
