"""Calibrates the latency model of this machine, keeps it in the cache folder, and says whether it still holds."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from ...ambient import undisturbed
from ...arch import ArchSpec
from ...errors import UserError
from ...families import spec as member
from ...files import write_text
from ...firstbytes import read_text
from ...latency import Runtime, interleave
from ...machine import this_machine
from ...runs import now
from ...speed import Device, DeviceModel, Observed, members
from ...watcher import Watcher
from .profile import networks_for, timed

__all__ = [
    "ANCHORS", "CACHE", "Steady", "anchor_networks", "calibrate", "calibration", "calibration_networks", "expectation",
    "steady", "this_device",
]  # fmt: skip

CACHE = Path.home() / ".cache" / "convsmith"
# Three shapes of cost: depthwise, dense, and squeezing. Timed again on another day, they say whether a calibration holds.
ANCHORS = (("mobilenetv2_100", 128), ("resnet18", 96), ("efficientnet_b0", 96))


def this_device(runtime: Runtime, threads: int) -> Device:
    """What a calibration made here and now would hold for."""
    if runtime is Runtime.COMPILE:
        raise UserError(
            "torch.compile takes longer to compile the calibration's networks than to measure yours: measure with "
            "`--runtime compile`, or calibrate ort or eager"
        )
    if runtime not in (Runtime.ORT, Runtime.EAGER):
        raise UserError(
            "this machine is calibrated in ort or eager, which say what each kernel took; `convsmith measure --runtime "
            f"{runtime}` measures"
        )
    if threads < 1:
        raise UserError(f"threads are at least 1; got {threads}")
    machine = this_machine()
    version = onnxruntime.__version__ if runtime is Runtime.ORT else torch.__version__
    return Device(machine.processor, machine.system, runtime.value, version, threads)


def place(device: Device, folder: Path | None = None) -> Path:
    """The file of a device's calibration under `folder`, or in the user's cache."""
    name = "-".join((device.processor, device.runtime, device.version, f"{device.threads}t"))
    return (folder or CACHE) / "speed" / ("".join(c if c.isalnum() or c in ".-" else "_" for c in name) + ".json")


def calibration(runtime: str | Runtime = Runtime.ORT, threads: int = 1, folder: Path | None = None) -> DeviceModel:
    """The calibration of this device, or a `UserError` that says how to make one."""
    device = this_device(Runtime(runtime), threads)
    path = place(device, folder)
    if not path.exists():
        raise UserError(
            f"there is no calibration for {device}: run `convsmith calibrate --runtime {device.runtime} "
            f"--threads {threads}` (minutes)"
        )
    model = DeviceModel.from_json(read_text(path), str(path))
    if model.device != device:
        raise UserError(f"{path} was made on {model.device}, this is {device}: run `convsmith calibrate`")
    return model


@undisturbed()
def calibrate(
    runtime: str | Runtime = Runtime.ORT,
    threads: int = 1,
    *,
    networks: int = 90,
    rounds: int = 15,
    workers: int | None = None,
    folder: Path | None = None,
    seed: int = 0,
    watcher: Watcher | None = None,
) -> tuple[DeviceModel, Path]:
    """Make and time random networks of every family, fit the model, and keep it under `folder`, or in the user's cache.

    `workers` processes export beside each other; timing is done when they are gone.
    """
    watcher, device, began = watcher or Watcher(), this_device(Runtime(runtime), threads), time.monotonic()
    specs = calibration_networks(networks, seed)
    with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
        made = networks_for(Runtime(runtime), [*specs, *anchor_networks()], Path(scratch), threads, workers, watcher)
        own, anchors = made[: len(specs)], made[len(specs) :]
        took, anchored = timed(own, anchors, threads, rounds, watcher)
        observed = []
        for at, spec in enumerate(specs):
            watcher.count("profiles", at + 1, len(specs))
            observed.append(Observed(spec, took[at], own[at].convolutions(took[at])))
    watcher.stage("fit", f"{sum(len(one.convs) for one in observed)} convolutions of {len(specs)} networks")
    known = [(f"{name}@{side}", ms) for (name, side), ms in zip(ANCHORS, anchored, strict=True)]
    minutes = (time.monotonic() - began) / 60
    model = DeviceModel.fitted(observed, device, anchors=known, made=now(), minutes=minutes)
    path = place(device, folder)
    write_text(path, model.to_json())
    return model, path


def expectation(runtime: str | Runtime, threads: int, folder: Path | None = None) -> Callable[[ArchSpec], float] | None:
    """Milliseconds of a spec by this device's calibration, or None where there is none that holds."""
    try:
        return calibration(runtime, threads, folder).ms
    except UserError:
        return None


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


@undisturbed()
def steady(model: DeviceModel, *, rounds: int = 15, watcher: Watcher | None = None) -> Steady:
    """Time the anchors again and compare them with the calibration."""
    with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
        threads, runtime = model.device.threads, Runtime(model.device.runtime)
        made = networks_for(runtime, anchor_networks(), Path(scratch), threads, 1, watcher or Watcher())
        rows = interleave([one.subject() for one in made], threads=threads, rounds=rounds, seconds=10).rows
    pairs = zip(model.anchors, rows, strict=True)
    return Steady(tuple((name, row.median_ms / then) for (name, then), row in pairs))


def calibration_networks(networks: int, seed: int) -> list[ArchSpec]:
    """Random networks of every family, which a device is calibrated by.

    Two of three are shallow: they have as many different kernels as deep ones and are made in a fraction of the time. The
    others show what depth adds: weights that no cache holds, and what lies between kernels.
    """
    rng, deep = np.random.default_rng(seed), networks // 3
    specs = [*members(networks - deep, rng, shallow=True), *members(deep, rng)]
    # Of each kind some in every group that is timed, and in every fold that is left out.
    return [specs[at] for at in rng.permutation(len(specs))]


def anchor_networks() -> list[ArchSpec]:
    """What is timed in every group, and again on another day."""
    return [member(name).with_resolution(side) for name, side in ANCHORS]
