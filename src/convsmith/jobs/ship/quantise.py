"""A run as a file in eight bits: calibrated and scored on the run's own data, timed beside the float file, and gated."""

from __future__ import annotations

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
from ...exporting.calibration import Calibration, Images
from ...exporting.compared import Run, compared, on_tensors
from ...exporting.int8 import Quantiser
from ...exporting.metadata import Metadata
from ...exporting.must import conditions
from ...exporting.prepared import prepared
from ...exporting.raw import take_bytes
from ...exporting.runtimes import Eight, export_file, placed, runtime_named, size_of
from ...files import check_writable, write_json, write_text
from ...latency import Timing, interleave
from ...locks import at_work
from ...machine import this_machine
from ...recipe import Augment
from ...reports.eight_bits import render_blocks
from ...resolve import target_of, trained_run
from ...runs import BlocksInFloat, RunFolder
from ...units import plural
from ...watcher import Watcher
from ..feed import metadata_of, normaliser, samples_of, task_of, trained, validation_batches
from ..options import Data, source_again
from ..source import loaded_again
from .eight_bits import USUAL, EightBits
from .keeping import Choice, Judge, Judged, choose, halves

__all__ = ["Shrunk", "export_int8"]

_CALIBRATION = 8  # batches of 16 training images
_LOOKED_AT = 64  # images by which blocks are ordered


@dataclass(frozen=True)
class Shrunk:
    """A file in eight bits beside the float one, both run by `runtime`: bytes, top-1 on `n` validation images, and ms of one
    image.

    `eight` is how many convolutions run in eight bits, and how many there are, None where the runtime does not tell.
    `agreement` is the share of some validation images of which the file and torch put the same class first, None where there
    are no classes. `says` is what the file says of itself, `snippet` some lines of Python that ask it about a picture, without
    this package. `blocks` is what was found where blocks were tried; `n` is then of the images that chose nothing.
    """

    path: Path
    bytes: int
    float_bytes: int
    eight: Eight | None
    runtime: str
    top1: float
    float_top1: float
    n: int
    agreement: float | None
    timing: Timing  # of the float file and of this one
    says: Metadata
    snippet: str | None
    calibration: Calibration = Calibration.MINMAX
    blocks: BlocksInFloat | None = None

    @property
    def ms(self) -> float:
        return self.timing.rows[1].median_ms

    @property
    def float_ms(self) -> float:
        return self.timing.rows[0].median_ms

    @property
    def summary(self) -> tuple[str, ...]:
        """Lines for a person."""
        float_, small = self.timing.rows
        counted = ""
        if self.eight is not None:
            counted = f"; {self.eight[0]} of {plural(self.eight[1], 'convolution')} in eight bits"
        same = "" if self.agreement is None else f"; the same class first as torch for {self.agreement:.0%}"
        return (
            f"file      {self.path}",
            f"size      {self.bytes / 1e6:.2f} MB, {self.bytes / self.float_bytes:.0%} of the float file's "
            f"{self.float_bytes / 1e6:.2f} MB{counted}",
            f"score     {self.top1:.2%}, the float file's {self.float_top1:.2%} (n = {self.n}){same}",
            *(() if self.blocks is None else self.blocks.summary),
            *(() if self.blocks is None else (f"page      {self.path.with_suffix('.blocks.html')}",)),
            *(f"{name:<9} {row.median_ms:.3g} ms (p10 {row.p10_ms:.3g}, p90 {row.p90_ms:.3g}, n = {row.n})"
              for name, row in (("latency", small), ("float", float_))),
            *(f"          {sentence}" for sentence in self.timing.verdict),
        )  # fmt: skip

    def to_record(self) -> dict[str, object]:
        """`export_int8.json` of a run folder, `export_NAME_int8.json` of another runtime than onnxruntime."""
        counted = {} if self.eight is None else {"convolutions": self.eight[1], "int8_convolutions": self.eight[0]}
        return {
            "file": self.path.name, "bytes": self.bytes, "float_bytes": self.float_bytes,
            "size_ratio": self.bytes / self.float_bytes, **counted,
            "top1": self.top1, "float_top1": self.float_top1, "n": self.n, "ms": self.ms, "float_ms": self.float_ms,
            "verdict": list(self.timing.verdict), "runtime": self.runtime,
        } | ({} if self.agreement is None else {"agreement": self.agreement}) | self._asked()  # fmt: skip

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
            "mb": self.bytes / 1e6, "ratio": self.bytes / self.float_bytes,
        }  # fmt: skip


def export_int8(
    model: RunFolder | str | Path | ArchSpec | nn.Module,
    path: str | Path | None = None,
    *,
    to: str = "onnx",
    raw_input: bool = False,
    eight: EightBits = USUAL,
    must: str = "",
    data: Data | None = None,
    val: str | Path | None = None,
    threads: int = 1,
    watcher: Watcher | None = None,
) -> Shrunk:
    """Quantise a run's network to `path` for the runtime `to`, calibrated on its training images: by default to its folder's
    model.int8.onnx (or .xml, .pte, .tflite), with `raw_input` to model.raw.int8.onnx, which takes uint8 pictures and gives
    probabilities.

    `eight` says how ranges are chosen, and whether blocks that eight bits cost most stay in float. Then what each costs lies beside
    the file, as `NAME.blocks.json` and as a page, `NAME.blocks.html`.

    Top-1 of both files is that of their runtime on the validation images; their times are interleaved. `must` are conditions
    such as `drop<=1,ms<=5`: where one is broken nothing is written, and `CheckFailed` says by how much. Raises `UserError`,
    before any work, for what is no run or has no weights yet, for a place that cannot be written to, and for a runtime that
    has no files in eight bits.
    """
    asked, watcher, runtime = conditions(must), watcher or Watcher(), runtime_named(to)
    if runtime.floats:
        raise UserError(runtime.floats)
    runtime.require()
    target = target_of(model)
    if target.run is None:
        raise UserError(
            f"INT8 is calibrated and checked on a run's data, and {target.label} is not a run: train it first"
        )
    run = trained_run(target.run)
    if run.spec.head.makes:
        raise UserError(f"{run.path} makes images: there is no file in eight bits of a generator yet. Leave out --int8")
    if raw_input:
        runtime.refuse_raw()
    if eight != USUAL:
        runtime.refuse_choice()
    out = Path(path) if path is not None else run.file(f"model{'.raw' if raw_input else ''}.int8{runtime.suffix}")
    runtime.check(out)
    # Of a file whose blocks were chosen: another runtime's of the same name must not take them away.
    beside = [out.with_suffix(f".blocks.{kind}") for kind in ("json", "html")] if runtime.chooses else []
    for place in beside if eight.tries else ():
        check_writable(place)
    images = run_data(run, data, val, watcher)
    shape, many = run.spec.input.shape.dims, torch.get_num_threads()
    alone = at_work(run.path) if path is None else nullcontext()
    with alone, placed(out, runtime) as small, tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
        large = Path(scratch) / f"float{runtime.suffix}"
        watcher.stage("export", "the float network")
        network = prepared(trained(run, run.spec), input_shape=shape, samples=samples_of(run.spec, images, 64))
        each = export_file(network, large, runtime, input_shape=shape, batch=None).batch
        watcher.stage("quantise", f"ranges of {16 * _CALIBRATION} training images")
        says = metadata_of(run.spec, images.classes, task_of(run.config))
        ranged, choice, judging = _calibration(run, images), None, images.val
        if eight == USUAL:
            counted = runtime.shrink(network, large, small, ranged, says=says)
        else:
            quantiser = Quantiser(large, ranged, eight.calibration)
            if eight.tries:
                choosing, judging = halves(images.val)

                def judge(file: Path) -> Judged:
                    return _judged(runtime.load(file, threads=many), each, run, choosing, images.classes)

                choice = _chosen(run, quantiser, eight, judge, choosing, Path(scratch), threads, watcher)
            made = quantiser.write(small, floats=() if choice is None else choice.nodes, metadata=says)
            counted = made.int8_convolutions, made.convolutions
        watcher.stage("score", f"{len(judging)} validation images, both files")
        opened = [runtime.load(file, threads=many) for file in (large, small)]
        before, after = (_judged(file, each, run, judging, images.classes) for file in opened)
        agreement = compared(network, opened[1]).agreement
        shown = tuple(one[:1].contiguous().numpy() for one in network.given)
        if raw_input:  # what is scored above is the same network; what is timed is the file as it is handed over
            take_bytes(large, says)
            says = take_bytes(small, says)
            shown = (np.zeros((1, *says.resolution, says.channels), np.uint8),)
        subjects = [
            runtime.subject(name, file, shown, threads=threads) for name, file in (("float", large), ("int8", small))
        ]
        timing = interleave(subjects, threads=threads, rounds=60, seconds=15)
        shrunk = Shrunk(
            out, size_of(small, runtime), size_of(large, runtime), counted, str(runtime), after.metric.value,
            before.metric.value, len(judging), agreement, timing, says, runtime.snippet(out, says), eight.calibration,
        )  # fmt: skip
        if choice is not None:
            shrunk = replace(shrunk, blocks=_found(shrunk, choice, before, after, eight))
        broken = [condition.broken(shrunk.numbers()) for condition in asked if not condition.holds(shrunk.numbers())]
        if broken:
            raise CheckFailed("; ".join(broken) + ". Nothing was written")
    if shrunk.blocks is None:
        for told in beside:  # of a file that this one has replaced
            told.unlink(missing_ok=True)
    else:
        write_json(beside[0], shrunk.blocks.to_record())
        write_text(beside[1], render_blocks(shrunk.blocks))
        if shrunk.blocks.over:
            watcher.note(shrunk.blocks.over)
    if path is None and not raw_input:
        run.write(runtime.record_of_eight, shrunk.to_record())
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


def _judged(file: Run, each: int | None, run: RunFolder, part: Split, classes: Sequence[str]) -> Judged:
    """What the task judges by, of an exported file on some images, `each` at a time, None for a batch."""
    here = torch.device("cpu")

    meter = task_of(run.config).meter(classes, pictures=0)
    batches = validation_batches(run.spec, part)()
    scores = evaluate(on_tensors(file, each), batches, meter, prepare=normaliser(run.spec, here), device=here)
    return Judged(scores.headline, meter.each(), scores.n)


def _chosen(
    run: RunFolder,
    quantiser: Quantiser,
    eight: EightBits,
    judge: Judge,
    choosing: Split,
    folder: Path,
    threads: int,
    watcher: Watcher,
) -> Choice:
    ready, few = normaliser(run.spec, torch.device("cpu")), choosing.take(np.arange(min(len(choosing), _LOOKED_AT)))
    return choose(
        quantiser,
        {node.path: node.part.describe() for node in plan(run.spec)},
        eight,
        judge=judge,
        images=[ready(batch.images).contiguous().numpy() for batch in validation_batches(run.spec, few)()],
        folder=folder,
        threads=threads,
        watcher=watcher,
    )


def _found(shrunk: Shrunk, choice: Choice, before: Judged, after: Judged, eight: EightBits) -> BlocksInFloat:
    return BlocksInFloat(
        file=shrunk.path.name,
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
