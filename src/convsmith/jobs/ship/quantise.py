"""A run as an INT8 file: calibrated and scored on the run's own data, timed beside the float file, and gated."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ...arch import ArchSpec, plan
from ...data import ImageData, Split, span_of, train_batches
from ...data.readers.dataset import own_data
from ...errors import CheckFailed, UserError
from ...evals import evaluate
from ...exporting import export_onnx
from ...exporting.calibration import Calibration, Images
from ...exporting.int8 import Quantised, Quantiser
from ...exporting.must import conditions
from ...exporting.ort import ort_subject, runner
from ...exporting.raw import take_bytes
from ...files import check_writable, whole, write_json, write_text
from ...latency import Timing, interleave
from ...locks import at_work
from ...machine import this_machine
from ...recipe import Augment
from ...reports.eight_bits import render_blocks
from ...resolve import target_of, trained_run
from ...runs import BlocksInFloat, Int8, RunFolder
from ...watcher import Watcher
from ..feed import metadata_of, normaliser, samples_of, task_of, trained, validation_batches
from ..options import Data, source_again
from ..source import loaded_again
from .eight_bits import USUAL, EightBits
from .keeping import Choice, Judged, choose, halves

__all__ = ["Shrunk", "export_int8"]

_CALIBRATION = 8  # batches of 16 training images
_LOOKED_AT = 64  # images by which blocks are ordered


@dataclass(frozen=True)
class Shrunk:
    """The INT8 file beside the float one: sizes, shares, top-1 on `n` validation images, and ms of one image. `blocks` is what was
    found where blocks were tried; `n` is then of the images that chose nothing."""

    quantised: Quantised
    top1: float
    float_top1: float
    n: int
    timing: Timing  # of the float file and of this one
    calibration: Calibration = Calibration.MINMAX
    blocks: BlocksInFloat | None = None

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
        } | self._asked()  # fmt: skip

    def _asked(self) -> dict[str, object]:
        """What is not as usual."""
        chosen: dict[str, object] = (
            {} if self.calibration is Calibration.MINMAX else {"calibration": self.calibration.value}
        )
        if self.blocks is None:
            return chosen
        ends = self.blocks.lost_interval
        return chosen | {"in_float": list(self.blocks.kept), "blocks": len(self.blocks.blocks),
                         "lost": self.blocks.lost, "lost_interval": None if ends is None else list(ends)}  # fmt: skip

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
    eight: EightBits = USUAL,
    must: str = "",
    data: Data | None = None,
    val: str | Path | None = None,
    threads: int = 1,
    watcher: Watcher | None = None,
) -> Shrunk:
    """Quantise a run's network to `path`, calibrated on its training images: by default to its folder's model.int8.onnx, with
    `raw_input` to model.raw.int8.onnx, which takes uint8 pictures and gives probabilities.

    `eight` says how ranges are chosen, and whether blocks that eight bits cost most stay in float. Then what each costs lies beside
    the file, as `NAME.blocks.json` and as a page, `NAME.blocks.html`.

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
    beside = [out.with_suffix(f".blocks.{kind}") for kind in ("json", "html")]
    for place in (out, *beside):
        check_writable(place)
    images = run_data(run, data, val, watcher)
    shape = run.spec.input.shape.dims
    alone = at_work(run.path) if path is None else nullcontext()
    with alone, tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
        large, small = Path(scratch) / "float.onnx", Path(scratch) / out.name
        watcher.stage("export", "the float network")
        export_onnx(trained(run, run.spec), large, input_shape=shape, samples=samples_of(run.spec, images))
        watcher.stage("quantise", f"ranges of {16 * _CALIBRATION} training images")
        says = metadata_of(run.spec, images.classes, task_of(run.config))
        quantiser = Quantiser(large, _calibration(run, images), eight.calibration)
        choice, judging = None, images.val
        if eight.tries:
            choosing, judging = halves(images.val)
            choice = _chosen(run, quantiser, eight, choosing, images, Path(scratch), threads, watcher)
        made = quantiser.write(small, floats=() if choice is None else choice.nodes, metadata=says)
        watcher.stage("score", f"{len(judging)} validation images, both files")
        before, after = (_judged(file, run, judging, images.classes) for file in (large, small))
        if raw_input:  # what is scored above is the same network; what is timed is the file as it is handed over
            take_bytes(large, says)
            says = take_bytes(small, says)
            made = replace(made, bytes=small.stat().st_size, float_bytes=large.stat().st_size, says=says)
        subjects = [ort_subject(name, file, threads=threads) for name, file in (("float", large), ("int8", small))]
        timing = interleave(subjects, threads=threads, rounds=60, seconds=15)
        made = replace(made, path=out)
        shrunk = Shrunk(made, after.metric.value, before.metric.value, len(judging), timing, eight.calibration)
        if choice is not None:
            shrunk = replace(shrunk, blocks=_found(shrunk, choice, before, after, eight))
        broken = [condition.broken(shrunk.numbers()) for condition in asked if not condition.holds(shrunk.numbers())]
        if broken:
            raise CheckFailed("; ".join(broken) + ". Nothing was written")
        with whole(out) as temporary:
            shutil.copyfile(small, temporary)
        if shrunk.blocks is None:
            for told in beside:  # of a file that this one has replaced
                told.unlink(missing_ok=True)
        else:
            write_json(beside[0], shrunk.blocks.to_record())
            write_text(beside[1], render_blocks(shrunk.blocks))
            if shrunk.blocks.over:
                watcher.note(shrunk.blocks.over)
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


def _calibration(run: RunFolder, images: ImageData) -> list[Images]:
    ready = normaliser(run.spec, torch.device("cpu"))
    batch = min(16, len(images.train))
    batches = train_batches(
        images.train, sides=run.spec.input.sides, channels=run.spec.input.channels, batch=batch,
        augment=Augment(), seed=0, first_step=0, last_step=_CALIBRATION, span=span_of(run.spec.input),
    )  # fmt: skip
    return [ready(one.images).contiguous().numpy() for one in batches if len(one.answers)]


def _judged(file: Path, run: RunFolder, part: Split, classes: Sequence[str]) -> Judged:
    """What the task judges by, of an exported file on some images."""
    here = torch.device("cpu")
    network, meter = (
        runner(file, threads=torch.get_num_threads()),
        task_of(run.config).meter(classes, pictures=0),
    )
    batches = validation_batches(run.spec, part)()
    scores = evaluate(network, batches, meter, prepare=normaliser(run.spec, here), device=here)
    return Judged(scores.headline, meter.each(), scores.n)


def _chosen(
    run: RunFolder,
    quantiser: Quantiser,
    eight: EightBits,
    choosing: Split,
    images: ImageData,
    folder: Path,
    threads: int,
    watcher: Watcher,
) -> Choice:
    ready, few = normaliser(run.spec, torch.device("cpu")), choosing.take(np.arange(min(len(choosing), _LOOKED_AT)))
    return choose(
        quantiser,
        {node.path: node.part.describe() for node in plan(run.spec)},
        eight,
        judge=lambda file: _judged(file, run, choosing, images.classes),
        images=[ready(batch.images).contiguous().numpy() for batch in validation_batches(run.spec, few)()],
        folder=folder,
        threads=threads,
        watcher=watcher,
    )


def _found(shrunk: Shrunk, choice: Choice, before: Judged, after: Judged, eight: EightBits) -> BlocksInFloat:
    return BlocksInFloat(
        file=shrunk.quantised.path.name,
        calibration=eight.calibration.value,
        chosen_on=choice.whole.n,
        float_chosen=choice.whole.metric,
        blocks=choice.blocks,
        curve=choice.curve,
        kept=choice.kept,
        quoted_on=shrunk.n,
        score=after.metric,
        float_score=before.metric,
        lost=before.lost(after),
        lost_interval=before.lost_interval(after),
        ms=shrunk.ms,
        float_ms=shrunk.float_ms,
        max_drop=eight.max_drop,
        machine=this_machine().line,
    )
