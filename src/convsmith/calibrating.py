"""Calibrates the latency model of this machine, keeps it in the cache folder, and says whether it still holds."""

from __future__ import annotations

import json
import math
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from .arch import ArchSpec
from .errors import UserError
from .exporting import export_onnx
from .exporting.ort import ort_subject
from .families import spec as member
from .feed import Watcher
from .latency import Runtime, interleave
from .machine import this_machine
from .model import build
from .resolve import spec as resolve_spec
from .runs import now
from .speed import Device, DeviceModel, Observed, Prediction, members
from .training import save_atomically

__all__ = ["CACHE", "Steady", "calibrate", "calibration", "predict", "steady", "this_device"]

CACHE = Path.home() / ".cache" / "convsmith"
# Three shapes of cost: depthwise, dense, and squeezing. Timed again on another day, they say whether a calibration holds.
ANCHORS = (("mobilenetv2_100", 128), ("resnet18", 96), ("efficientnet_b0", 96))
_GROUP = 15  # networks that are timed in one interleaving: memory holds them all


def this_device(runtime: Runtime, threads: int) -> Device:
    """What a calibration made here and now would hold for."""
    if runtime is not Runtime.ORT:
        raise UserError(
            f"only onnxruntime can be calibrated so far, not {runtime.value}: measure with `--runtime {runtime.value}`"
        )
    if threads < 1:
        raise UserError(f"threads are at least 1; got {threads}")
    machine = this_machine()
    return Device(machine.processor, machine.system, runtime.value, onnxruntime.__version__, threads)


def place(device: Device, folder: Path) -> Path:
    """The file of a device's calibration."""
    name = "-".join((device.processor, device.runtime, device.version, f"{device.threads}t"))
    return folder / "speed" / ("".join(c if c.isalnum() or c in ".-" else "_" for c in name) + ".json")


def calibration(runtime: str | Runtime = Runtime.ORT, threads: int = 1, folder: Path = CACHE) -> DeviceModel:
    """The calibration of this device, or a `UserError` that says how to make one."""
    device = this_device(Runtime(runtime), threads)
    path = place(device, folder)
    if not path.exists():
        raise UserError(
            f"there is no calibration for {device}: run `convsmith calibrate --threads {threads}` (minutes)"
        )
    model = DeviceModel.from_json(path.read_text(encoding="utf-8"), str(path))
    if model.device != device:
        raise UserError(f"{path} was made on {model.device}, this is {device}: run `convsmith calibrate`")
    return model


def calibrate(
    runtime: str | Runtime = Runtime.ORT,
    threads: int = 1,
    *,
    networks: int = 60,
    rounds: int = 15,
    workers: int | None = None,
    folder: Path = CACHE,
    seed: int = 0,
    watcher: Watcher | None = None,
) -> tuple[DeviceModel, Path]:
    """Export and time shallow random networks of every family, fit the model, and keep it under `folder`.

    `workers` processes export beside each other; timing is done when they are gone.
    """
    watcher, device, began = watcher or Watcher(), this_device(Runtime(runtime), threads), time.monotonic()
    specs = members(networks, np.random.default_rng(seed), shallow=True)
    with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
        files = exported([*specs, *_anchors()], Path(scratch), workers or this_machine().cores, watcher)
        took = timed(files, threads, rounds, watcher)
        observed = []
        for at, spec in enumerate(specs):
            watcher.count("profiles", at + 1, len(specs))
            observed.append(Observed(spec, took[at], profiled(files[at], threads, took[at])))
    watcher.stage("fit", f"{sum(len(one.convs) for one in observed)} convolutions of {len(specs)} networks")
    anchors = [(f"{name}@{side}", ms) for (name, side), ms in zip(ANCHORS, took[len(specs) :], strict=True)]
    minutes = (time.monotonic() - began) / 60
    model = DeviceModel.fitted(observed, device, anchors=anchors, made=now(), minutes=minutes)
    path = place(device, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_atomically(path, lambda temporary: _write(temporary, model.to_json()))
    return model, path


def exported(specs: Sequence[ArchSpec], scratch: Path, workers: int, watcher: Watcher) -> list[Path]:
    """The networks of these specs, with random weights, as ONNX files."""
    files = [scratch / f"{at}.onnx" for at in range(len(specs))]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for done, _ in enumerate(pool.map(_export, specs, files), start=1):
            watcher.count("exports", done, len(specs))
    return files


def _export(spec: ArchSpec, path: Path) -> None:
    import torch

    torch.set_num_threads(1)
    if path.exists():
        return
    side = spec.input.resolution
    shape = (spec.input.channels, side, side)
    one = torch.zeros(1, *shape)
    export_onnx(build(spec, seed=0), path, input_shape=shape, dynamic_batch=False, samples=one, tolerance=math.inf)


def timed(files: Sequence[Path], threads: int, rounds: int, watcher: Watcher) -> list[float]:
    """Median ms of each file. Each group is interleaved with the first file, whose drift between groups is taken out."""
    first = files[0]
    found: dict[Path, float] = {}
    level: list[float] = []
    groups = [files[at : at + _GROUP] for at in range(0, len(files), _GROUP)]
    raw: list[tuple[float, list[tuple[Path, float]]]] = []
    for number, group in enumerate(groups, start=1):
        watcher.count("groups timed", number, len(groups))
        own = list(dict.fromkeys([first, *group]))
        rows = interleave(
            [ort_subject(f.stem, f, threads=threads) for f in own], threads=threads, rounds=rounds, seconds=20
        ).rows
        level.append(rows[0].median_ms)
        raw.append((rows[0].median_ms, [(f, row.median_ms) for f, row in zip(own, rows, strict=True)]))
    usual = statistics.median(level)
    for reference, rows_ in raw:
        found |= {f: ms * usual / reference for f, ms in rows_}
    return [found[f] for f in files]


def profiled(path: Path, threads: int, ms: float, runs: int = 8) -> tuple[tuple[tuple[int, ...], float], ...]:
    """(shape, ms) of each convolution by onnxruntime's own profile, scaled so that all kernels add up to `ms`."""
    with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        options.enable_profiling, options.profile_file_prefix = True, str(Path(scratch) / "profile")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        taken = session.get_inputs()[0]
        image = np.random.default_rng(0).standard_normal(taken.shape).astype(np.float32)
        for _ in range(runs):
            session.run(None, {taken.name: image})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    took: dict[str, list[float]] = {}
    what: dict[str, Any] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            took.setdefault(event["name"], []).append(event["dur"])
            what[event["name"]] = event["args"]
    middle = {name: statistics.median(times) for name, times in took.items()}
    scale = ms / max(sum(middle.values()), 1e-9)
    convs = ((name, args) for name, args in what.items() if "Conv" in args["op_name"])
    return tuple((_shape(args), max(middle[name] * scale, 1e-4)) for name, args in convs)


def _shape(args: Any) -> tuple[int, ...]:
    """(channels in, out, kernel, stride, groups, rows, columns) from the types that a profile notes."""
    image, weight = (next(iter(one.values())) for one in args["input_type_shape"][:2])
    out = next(iter(args["output_type_shape"][0].values()))
    # A blocked layout pads channels to its blocks: the weight has the network's own numbers unless it is padded, too.
    groups = max(1, image[1] // weight[1]) if weight[1] > 1 or image[1] == 1 else weight[0]
    if weight[1] * groups != image[1] and weight[1] != 1:
        groups = 1
    return (weight[1] * groups, weight[0], weight[2], max(1, round(image[2] / out[2])), groups, out[2], out[3])


def predict(
    model: str | Path | ArchSpec, *, runtime: str | Runtime = Runtime.ORT, threads: int = 1, folder: Path = CACHE
) -> Prediction:
    """Milliseconds of one image as this device's calibration expects them; nothing is built, exported or run."""
    return calibration(runtime, threads, folder).predict(resolve_spec(model))


@dataclass(frozen=True)
class Steady:
    """How a calibration stands today: the anchors' time now over then, and whether predictions can still rank."""

    ratios: tuple[tuple[str, float], ...]

    @property
    def level(self) -> float:
        return statistics.median(ratio for _, ratio in self.ratios)

    @property
    def spread(self) -> float:
        """The largest departure of an anchor from the common level: 0 where the machine is only slower or faster."""
        return max(abs(ratio / self.level - 1) for _, ratio in self.ratios)

    @property
    def ranks(self) -> bool:
        """Whether kinds of networks keep their order: a common factor does not matter, one kind's own does."""
        return self.spread <= 0.15

    def __str__(self) -> str:
        each = ", ".join(f"{name} x{ratio:.2f}" for name, ratio in self.ratios)
        verdict = "the ranking holds" if self.ranks else "it cannot rank here and now: calibrate again"
        return f"anchors now over then: {each}; {verdict}"


def steady(model: DeviceModel, *, rounds: int = 15, watcher: Watcher | None = None) -> Steady:
    """Time the anchors again and compare them with the calibration."""
    with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
        files = exported(_anchors(), Path(scratch), 1, watcher or Watcher())
        subjects = [ort_subject(f.stem, f, threads=model.device.threads) for f in files]
        rows = interleave(subjects, threads=model.device.threads, rounds=rounds, seconds=10).rows
    pairs = zip(model.anchors, rows, strict=True)
    return Steady(tuple((name, row.median_ms / then) for (name, then), row in pairs))


def _anchors() -> list[ArchSpec]:
    return [member(name).with_resolution(side) for name, side in ANCHORS]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
