"""INT8 of folded normaliser-free networks against their batch-normed twins: size, eight-bit share, time, and accuracy.

Two sizes. ResNet-50 at 224 px with random weights: NF-ResNet-50 of the authors, the same blocks with batch norms before
every activation (of which those on sums cannot be folded), and the ResNet-50 whose norms all fold. And NF-ResNet-26, half as
wide, at 32 px beside its twin, both trained on the digits for a few minutes, for top-1 before and after.

    python bench/int8_nf.py [FOLDER]      FOLDER keeps what was trained and exported for the next time
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import torch

import convsmith as cs
from common import Row, answer, judged, save, spread
from convsmith.arch import ArchSpec
from convsmith.evals.intervals import wilson
from convsmith.exporting import export_onnx, ort_subject
from convsmith.exporting.int8 import quantise
from convsmith.jobs.ship.quantise import export_int8
from convsmith.latency import interleave, ratio
from convsmith.runs import RunFolder
from convsmith.surgery import restyled

SIDE, ROUNDS = 224, 40
# Two sessions of one file can lie 1-2 % apart by where their memory happens to fall, so each side has three.
SESSIONS = 3
SETTINGS = ("epochs=8", "augment.mirror=0")


@dataclass(frozen=True)
class Pair:
    """One network's files: as it is, and in eight bits."""

    name: str
    float_file: Path
    int8_file: Path

    @property
    def size_ratio(self) -> float:
        return self.int8_file.stat().st_size / self.float_file.stat().st_size


def narrow() -> ArchSpec:
    base = cs.spec("nf_resnet50_paper")
    stages = tuple(replace(stage, depth=2, width=stage.width // 2) for stage in base.stages)
    stem = replace(base.stem, width=base.stem.width // 2, pool=False)
    return replace(base, name="nf_resnet26_half", stages=stages, stem=stem).with_resolution(32)


def large() -> dict[str, ArchSpec]:
    free = cs.spec("nf_resnet50_paper").with_resolution(SIDE)
    return {"NF": free, "BN twin": restyled(free, "batch"), "ResNet-50": cs.spec("resnet50").with_resolution(SIDE)}


@torch.no_grad()
def exported(spec: ArchSpec, folder: Path) -> Pair:
    """Random weights, branches on, norms with statistics of noise."""
    pair = Pair(spec.name, folder / f"{spec.name}.onnx", folder / f"{spec.name}.int8.onnx")
    if pair.int8_file.is_file():
        return pair
    model = cs.build(spec, seed=0)
    for parameter in model.parameters():
        if parameter.ndim == 0:
            parameter.fill_(1.0)
    images = torch.randn((8, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    model.train()(images)
    export_onnx(model.eval(), pair.float_file, input_shape=(3, SIDE, SIDE))
    quantise(pair.float_file, pair.int8_file, [images.numpy()])
    return pair


def trained(spec: ArchSpec, folder: Path) -> RunFolder:
    path = folder / spec.name
    if (path / "export_int8.json").is_file():
        return RunFolder.open(path)
    run = cs.train(spec, "digits", options=cs.Options(settings=SETTINGS, parent=folder, name=spec.name))
    export_int8(run)
    return run


def between(file: Path) -> tuple[int, int]:
    """How many convolutions of a QDQ file read both their map and their filters from DequantizeLinear, and how many are."""
    graph = onnx.load(file).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    convs = [node for node in graph.node if node.op_type == "Conv"]
    both = [node for node in convs if {made_by.get(name) for name in node.input[:2]} == {"DequantizeLinear"}]
    return len(both), len(convs)


def size_row(what: str, ours: Pair, twin: Pair) -> Row:
    return Row(
        f"{what}: INT8 file over float file",
        f"{ours.size_ratio:.4f} of {ours.float_file.stat().st_size / 1e6:.2f} MB",
        f"{twin.size_ratio:.4f} of {twin.float_file.stat().st_size / 1e6:.2f} MB",
        None,
        1,
        "at most 0.27",
        answer(ours.size_ratio <= 0.27),
    )


def share_row(what: str, ours: Pair, twin: Pair) -> Row:
    (mine, of_mine), (theirs, of_theirs) = between(ours.int8_file), between(twin.int8_file)
    return Row(
        f"{what}: convolutions in eight bits",
        f"{mine} of {of_mine}",
        f"{theirs} of {of_theirs}",
        None,
        1,
        "all",
        answer(mine == of_mine > 0),
    )


def time_rows(what: str, ours: Pair, others: dict[str, Pair]) -> list[Row]:
    pairs = {"NF": ours} | others
    files = {
        (name, bits): (pair.float_file, pair.int8_file)[bits == 8] for name, pair in pairs.items() for bits in (32, 8)
    }
    keys = [(name, bits, n) for n in range(SESSIONS) for name, bits in files]
    subjects = [ort_subject(f"{name} {bits} {n}", files[name, bits], threads=1) for name, bits, n in keys]
    rows = dict(zip(keys, interleave(subjects, threads=1, rounds=ROUNDS, seconds=160).rows, strict=True))
    made = []
    for bits in (32, 8):
        for name in others:
            found = sorted(
                (ratio(rows["NF", bits, n], rows[name, bits, n]) for n in range(SESSIONS)), key=lambda one: one.value
            )
            middle = found[SESSIONS // 2]
            kind = "float" if bits == 32 else "INT8"
            goal, met = ("at most 1.03", judged(middle, most=1.03)) if name == "BN twin" else ("", "")
            mine, theirs = rows["NF", bits, 0], rows[name, bits, 0]
            made.append(
                Row(f"{what}: {kind}, one image", spread(mine), f"{name}: {spread(theirs)}", middle, mine.n, goal, met)
            )
    return made


def score_row(run: RunFolder) -> Row:
    found = run.int8
    n, was, now = found.n, found.float_top1, found.top1
    low, high = wilson(round(now * n), n)
    return Row(
        f"{run.spec.name}, digits at {run.spec.input.resolution} px: top-1 of the INT8 file",
        f"{now:.2%} ({low:.1%}-{high:.1%})",
        f"float file: {was:.2%}, lost {100 * (was - now):.2f} points",
        None,
        n,
        "",
    )


def main() -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch)
        runs = [trained(spec, folder) for spec in (narrow(), restyled(narrow(), "batch"))]
        small = [Pair(run.spec.name, run.file("model.onnx"), run.file("model.int8.onnx")) for run in runs]
        big = {name: exported(spec, folder) for name, spec in large().items()}
        rows = [
            size_row("ResNet-50, 224 px", big["NF"], big["BN twin"]),
            size_row("ResNet-26 half, 32 px", *small),
            share_row("ResNet-50, 224 px", big["NF"], big["BN twin"]),
            share_row("ResNet-26 half, 32 px", *small),
            *time_rows("ResNet-50, 224 px", big["NF"], {name: big[name] for name in ("BN twin", "ResNet-50")}),
            *time_rows("ResNet-26 half, 32 px", small[0], {"BN twin": small[1]}),
            *(score_row(run) for run in runs),
        ]
    note = (
        f"onnxruntime, one thread, batch 1; the middle ratio of {SESSIONS} pairs of sessions, interleaved. The twin has a batch "
        "norm before each activation; the 17 of ResNet-50's blocks and head read sums and stay in its files. ResNet-50 is the "
        "post-activation network, whose norms all fold; beside it each ReLU on a sum that the skip needs too costs a pass that "
        "quantises anew, while the convolutions take the same time in onnxruntime's profile. Trained by the recipe quick with "
        f"{', '.join(SETTINGS)}, seed 0, one run."
    )
    save("int8_nf", "INT8 of folded normaliser-free networks", "reference", rows, note)


if __name__ == "__main__":
    main()
