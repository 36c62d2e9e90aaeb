"""One member of every family in every runtime that is installed, in floats and eight bits: whether it passes, how near its
answers are, how long it takes beside onnxruntime. Writes bench/results/runtimes.json and the table of docs/runtimes.md.

Classifiers have learned the digits for some steps, so that what eight bits do to a decision can be seen; networks for other tasks
have random weights and noise for input. Each family is a process of its own, since a runtime may end it. First come all files, then
the time of each, a family's in turns; FOLDER goes on where it was stopped, and `--no-times` fills it with some families' files
beside other work.

    python bench/runtimes.py [--families resnet,tinynet] [--side 64] [--keep FOLDER] [--no-times]
    python bench/runtimes.py --page                                                    the table, from what there is
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import convsmith as cs
from common import RESULTS, Row, answer, save
from convsmith.arch import ArchSpec
from convsmith.errors import UserError
from convsmith.exporting.compared import compared
from convsmith.exporting.prepared import Prepared, prepared
from convsmith.exporting.runtimes import RUNTIMES, FileRuntime, export_file, size_of
from convsmith.families import FAMILIES, TASKS
from convsmith.latency import Subject, interleave, ratio

PAGE = Path(__file__).parent.parent / "docs" / "runtimes.md"
BEGIN, END = "<!-- the table: bench/runtimes.py --page -->", "<!-- end of the table -->"
ROUNDS, SECONDS, SHOWN, CALIBRATION, STEPS, BATCH, LR = 30, 30, 64, 64, 150, 16, 2e-3


def member(family: str, side: int) -> ArchSpec:
    found = FAMILIES[family]()[0]
    return found if family in ("mask_rcnn", "biggan") else found.with_resolution(side).with_classes(10)


def pictures(side: int) -> tuple[Tensor, Tensor]:
    """The digits, a pixel for 8/side, of three equal channels, and what they are; in an order of their own."""
    data = load_digits()
    images = torch.from_numpy(data.images).float()[:, None] / 8 - 1
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    large = nn.functional.interpolate(images, (side, side), mode="bilinear").expand(-1, 3, -1, -1)
    return large[order].contiguous(), torch.from_numpy(data.target)[order]


def trained(spec: ArchSpec, images: Tensor, labels: Tensor) -> nn.Module:
    """The network after `STEPS` steps on the images: enough for its decisions to be more than chance."""
    model = cs.build(spec, seed=0)
    for module in model.modules():
        if isinstance(getattr(module, "momentum", None), float):
            module.momentum = 0.1  # statistics of the last batches, whatever a family's own pace is
    optim = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.01)
    pace = torch.optim.lr_scheduler.OneCycleLR(optim, LR, total_steps=STEPS)
    rows = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        some = torch.randint(len(images), (BATCH,), generator=rows)
        optim.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model.train()(images[some]), labels[some]).backward()
        optim.step()
        pace.step()
    return model.eval()


def examined(family: str, side: int, folder: Path) -> dict[str, Any]:
    """What became of a family's member in each runtime; its files are left in `folder`."""
    spec, began = member(family, side), time.monotonic()
    shape, samples, labels = spec.input.shape.dims, None, None
    if family in TASKS:
        model: nn.Module = cs.build(spec, seed=0).eval()
        seen = spec.example(CALIBRATION, seed=1)
    else:
        images, answers = pictures(side)
        model = trained(spec, images[:1500], answers[:1500])
        samples, labels = images[-SHOWN:], answers[-SHOWN:]
        seen = (images[:CALIBRATION],)
    network = prepared(model, input_shape=shape, samples=samples)
    found: dict[str, Any] = {"family": family, "network": spec.name, "side": side, "input": list(shape), "runs": {}}
    for runtime in RUNTIMES.values():
        if not runtime.installed:
            continue
        for bits, made in tried(network, runtime, folder, [one.numpy() for one in torch.split(seen[0], 16)], labels):
            found["runs"].setdefault(runtime.name, {})[bits] = made
            print(f"{family} {runtime.name} {bits}: {made}", file=sys.stderr, flush=True)
    return found | {"seconds": time.monotonic() - began}


def timed(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """`found`, with the times of the files that it left in `folder`."""
    shown = tuple(one.numpy() for one in member(found["family"], found["side"]).example(1, seed=1))
    subjects: list[Subject] = []
    for name, runs in found["runs"].items():
        runtime = RUNTIMES[name]
        for bits, made in runs.items():
            if "reason" not in made and not runtime.unrun:
                file = folder / f"{bits}{runtime.suffix}"
                subjects.append(runtime.subject(f"{name} {bits}", file, shown, threads=1))
    timing = interleave(subjects, threads=1, rounds=ROUNDS, seconds=SECONDS)
    rows = {row.name: row for row in timing.rows}
    for name, row in rows.items():
        runtime_name, bits = name.split()
        times = {"ms": row.median_ms, "p10": row.p10_ms, "p90": row.p90_ms, "n": row.n}
        if beside := rows.get(f"onnx {bits}"):
            one = ratio(row, beside)
            times |= {"ratio": one.value, "low": one.low, "high": one.high}
        found["runs"][runtime_name][bits] |= times
    return found | {"verdict": list(timing.verdict)}


def tried(
    network: Prepared, runtime: FileRuntime, folder: Path, images: list[Any], labels: Tensor | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is found of the float file, then of the one in eight bits: numbers, or the reason why there is none."""
    whole, small = folder / f"float{runtime.suffix}", folder / f"int8{runtime.suffix}"
    try:
        made = export_file(network, whole, runtime, input_shape=(), batch=1)
    except UserError as error:
        yield "float", {"reason": str(error)}
        return
    told = made.to_record()
    kept = ("bytes", "relative_difference", "max_abs_difference", "tolerance", "agreement", "n", "not_run")
    yield "float", {key: told[key] for key in kept if key in told}
    if runtime.floats:
        yield "int8", {"reason": runtime.floats}
        return
    if len(network.names) > 1:
        yield "int8", {"reason": "of a generator there is no file in eight bits yet"}
        return
    try:
        eight = runtime.shrink(network, whole, small, images)
        run = runtime.load(small, threads=torch.get_num_threads())
        near = compared(network, run)
    except UserError as error:
        yield "int8", {"reason": str(error)}
        return
    said: dict[str, Any] = {
        "bytes": size_of(small, runtime), "relative_difference": near.relative, "agreement": near.agreement, "n": near.n
    }  # fmt: skip
    if eight is not None:
        said["int8_convolutions"], said["convolutions"] = eight
    if labels is not None:
        given = network.given[0]
        own = torch.cat([network.network(one) for one in given.split(1)]).argmax(1)
        eighths = torch.cat([torch.from_numpy(run((one.numpy(),))[0]) for one in given.split(1)]).argmax(1)
        said |= {"top1": float((eighths == labels).float().mean()), "float_top1": float((own == labels).float().mean())}
    yield "int8", said


# ---- the table -----------------------------------------------------------------------------------------------------------


def page(record: dict[str, Any]) -> str:
    """The table of all families, then how the runtimes compare, as Markdown."""
    families, names = record["raw"]["families"], [name for name in RUNTIMES if name in record["raw"]["versions"]]
    heads = [f"{RUNTIMES[name].title}, {bits}" for name in names for bits in ("float", "int8")]
    lines = ["| family: network, input | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    reasons: dict[str, int] = {}
    for one in families:
        cells = [cell(one["runs"].get(name, {}).get(bits), reasons) for name in names for bits in ("float", "int8")]
        lines.append(
            f"| {one['family']}: `{one['network']}`, {'x'.join(map(str, one['input']))} | " + " | ".join(cells) + " |"
        )
    versions = ", ".join(f"{RUNTIMES[name].title} {version}" for name, version in record["raw"]["versions"].items())
    said = [f"{number}. {reason}" for reason, number in reasons.items()]
    return "\n".join([*lines, "", f"{record['device']}; {versions}; {record['date']}.", "", *said])


def cell(made: dict[str, Any] | None, reasons: dict[str, int]) -> str:
    if made is None:
        return ""
    if "reason" in made:
        return f"**no** ({reasons.setdefault(made['reason'], len(reasons) + 1)})"
    if "not_run" in made:
        return f"converted ({reasons.setdefault(made['not_run'], len(reasons) + 1)})"
    same = "" if made.get("agreement") is None else f", {made['agreement']:.0%} same"
    took = "" if "ms" not in made else f"; {made['ms']:.3g} ms"
    beside = f" (x{made['ratio']:.2f})" if made.get("ratio", 1) != 1 else ""
    return f"{made['relative_difference']:.0e}{same}{took}{beside}"


def rows_of(families: list[dict[str, Any]], versions: dict[str, str]) -> list[Row]:
    made = []
    for name in versions:
        for bits in ("float", "int8"):
            runs = [found for one in families if (found := one["runs"].get(name, {}).get(bits)) is not None]
            passed = [found for found in runs if "reason" not in found]
            apart = [found["relative_difference"] for found in passed if "relative_difference" in found]
            ratios = [found["ratio"] for found in passed if "ratio" in found]
            told = f"{len(passed)} of {len(families)} families"
            if apart:
                told += f"; answers within {max(apart):.1e} of the largest logit"
            beside = f"x{statistics.median(ratios):.2f} (median of {len(ratios)})" if ratios and name != "onnx" else ""
            made.append(
                Row(
                    f"{RUNTIMES[name].title}, {bits}",
                    told,
                    beside,
                    None,
                    len(families),
                    "all",
                    answer(len(passed) == len(families)),
                )
            )
    return made


def asked_apart(step: str, family: str, side: int, keep: Path) -> dict[str, Any]:
    """`examined` or `timed` in a process of its own, or what was kept of it."""
    kept = keep / f"{family}-{side}" / f"{step}.json"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([sys.executable, __file__, "--one", step, str(kept), family, str(side)], check=False)
        if not kept.is_file():
            died = {"reason": f"the process ended with {done.returncode}"}
            spec = member(family, side)
            runs = {name: {"float": died, "int8": died} for name in RUNTIMES if RUNTIMES[name].installed}
            return {
                "family": family, "network": spec.name, "side": side, "input": list(spec.input.shape.dims), "runs": runs
            }  # fmt: skip
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def one_apart(step: str, told: str, family: str, side: str) -> None:
    """What `asked_apart` asks of the process of its own."""
    folder = Path(told).parent
    if step == "files":
        found = examined(family, int(side), folder)
    else:
        found = timed(json.loads((folder / "files.json").read_text(encoding="utf-8")), folder)
    half = Path(f"{told}.part")
    half.write_text(json.dumps(found), encoding="utf-8")
    half.replace(told)


def write_page() -> None:
    record = json.loads((RESULTS / "runtimes.json").read_text(encoding="utf-8"))
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{page(record)}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")
    print(f"wrote {PAGE}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--trial", action="store_true", help="print, and write nothing")
    parser.add_argument("--no-times", action="store_true", help="make what files are missing, and stop there")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.page:
        write_page()
        return
    if asked.one:
        one_apart(*asked.one)
        return
    with tempfile.TemporaryDirectory() as scratch:
        keep = asked.keep or Path(scratch)
        made = {family: asked_apart("files", family, asked.side, keep) for family in asked.families.split(",")}
        if asked.no_times:
            return
        for family, found in made.items():
            if "seconds" in found:
                made[family] = asked_apart("times", family, asked.side, keep)
    families = list(made.values())
    versions = {name: one.version for name, one in RUNTIMES.items() if one.installed}
    told = ", ".join(f"{RUNTIMES[name].title} {version}" for name, version in versions.items())
    note = (
        "One thread, batch 1, files of a family in turns; the reference is the time beside onnxruntime's, below 1 is quicker. "
        f"Classifiers learned the digits for {STEPS} steps. {told}."
    )
    raw = {"families": families, "versions": versions}
    save(
        "runtimes",
        "Families in other runtimes",
        "time beside onnxruntime",
        rows_of(families, versions),
        note,
        raw,
        trial=asked.trial,
    )
    if not asked.trial:
        write_page()


if __name__ == "__main__":
    main()
