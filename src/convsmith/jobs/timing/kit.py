"""`kit`: a folder that measures networks on a device that has a runtime and no PyTorch."""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import nn

from ...ambient import undisturbed
from ...arch import ArchSpec
from ...codec import to_data
from ...errors import UserError, nearest
from ...exporting.runtimes import FileRuntime, export_file, that_runs
from ...kit import Asked, File, Manifest
from ...kit.run import RUNTIMES
from ...latency import Runtime
from ...machine import this_machine
from ...registry import plug_in_all, plugged
from ...resolve import Target, target_of
from ...runs import RunFolder
from ...units import Budget
from ...watcher import Watcher
from .calibrate import anchor_networks, calibration_networks
from .devices import named
from .profile import filters_of

__all__ = ["Written", "write_kit"]

NETWORKS, ROUNDS, OWN_ROUNDS, SECONDS, GROUP = 90, 15, 30, 20.0, 12
NETS = "networks"


@dataclass(frozen=True)
class Written:
    """A kit that was written: where, of how many networks without the references, and how large it is."""

    folder: Path
    networks: int
    bytes: int
    manifest: Manifest


@undisturbed()
def write_kit(
    folder: str | Path,
    models: Sequence[str | Path | ArchSpec | RunFolder | nn.Module] = (),
    *,
    runtime: str | Runtime = Runtime.ORT,
    threads: Sequence[int] = (1,),
    batches: Sequence[int] = (1,),
    networks: int = NETWORKS,
    device: str | None = None,
    to: str | Budget | None = None,
    workers: int | None = None,
    calibrations: Path | None = None,
    seed: int = 0,
    watcher: Watcher | None = None,
) -> Written:
    """Write a folder whose `run.py` measures networks in `runtime` on the device that it is copied to: with each number of
    `threads` and each of `batches`, which takes Python, NumPy and the runtime there.

    Without `models` these are `networks` random ones of every family, and what they bring back calibrates (`calibrate_from`). Given
    models are measured (`confirm`): runs with what they were trained to, others with random weights. `device` is a calibrated
    device, whose estimates are written beside them (`calibrations` is where calibrations are kept), and `to` the milliseconds that
    they have to meet; a run that was made for a device and a limit says both itself.

    Raises:
        UserError: a folder that is not empty, a runtime that no kit is for, a network that no file can be made of.
    """
    folder, watcher = Path(folder).absolute(), watcher or Watcher()
    targets = [target_of(model) for model in models]
    device = device or next((found for one in targets if (found := _aimed(one))), None)
    kind = _runtime(runtime if device is None else _its_runtime(device, runtime, calibrations))
    settings = tuple(product(_counts("--threads", threads), _counts("--batches", batches)))
    limit = None if to is None else (to if isinstance(to, Budget) else Budget.parse(to)).ms
    if limit is not None and math.isinf(limit):
        raise UserError(f"a kit measures milliseconds, and '{to}' limits none; --to 5ms would")
    if not targets and (device is not None or to is not None):
        raise UserError("--device and --to are of networks to be confirmed: give MODELS")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty, and a kit needs a folder of its own: give another name")
    estimates = _Estimates(device, settings, calibrations, watcher)
    with _whole(folder) as made:
        if targets:
            asked = [_own(at, one, made, kind, settings, limit, estimates, watcher) for at, one in enumerate(targets)]
            (anchor, *_) = anchor_networks()
            references = [_network("r0", Target(anchor.name, anchor), made, kind, settings)]
        else:
            asked, references = _random(networks, made, kind, settings, workers, seed, watcher)
        manifest = Manifest(
            runtime=kind.value,
            settings=settings,
            rounds=OWN_ROUNDS if targets else ROUNDS,
            seconds=SECONDS,
            group=GROUP,
            calibrates=not targets,
            references=tuple(one.id for one in references),
            networks=(*references, *asked),
            convsmith=dict(this_machine().packages).get("convsmith", "unknown"),
            device=device,
        )
        manifest.write(made)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Written(folder, len(asked), size, manifest)


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to write to, which takes its name if the block ends well and vanishes if not."""
    made = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    (made / NETS).mkdir(parents=True)
    try:
        yield made
        if folder.exists():
            folder.rmdir()
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _its_runtime(device: str, runtime: str | Runtime, calibrations: Path | None) -> str:
    """That of a calibrated device, where no other was asked for."""
    own = named(device, calibrations).runtime
    if runtime not in (Runtime.ORT, own):
        raise UserError(f"{device} was measured in {own}, and --runtime {runtime} is another: leave it out")
    return own


def _runtime(runtime: str | Runtime) -> Runtime:
    name = str(runtime)
    if name not in RUNTIMES:
        raise UserError(f"kits are for {', '.join(RUNTIMES)}, not for '{name}'{nearest(name, RUNTIMES)}")
    _files(Runtime(name)).require()
    return Runtime(name)


def _files(runtime: Runtime) -> FileRuntime:
    """How the files of a kit's runtime are written."""
    found = that_runs(runtime)
    assert found is not None  # torch itself is in no kit
    return found


def _counts(option: str, given: Sequence[int]) -> tuple[int, ...]:
    found = tuple(dict.fromkeys(given))
    if not found or min(found) < 1:
        raise UserError(f"{option} are 1 or more; got {' '.join(map(str, given)) or 'none'}")
    return found


def _random(
    networks: int,
    folder: Path,
    runtime: Runtime,
    settings: Sequence[tuple[int, int]],
    workers: int | None,
    seed: int,
    watcher: Watcher,
) -> tuple[list[Asked], list[Asked]]:
    """The networks of a calibration, exported by `workers` processes beside each other, and its references."""
    if networks < 10:
        raise UserError(f"a calibration needs ten networks at least; got {networks}")
    own, anchors = calibration_networks(networks, seed), anchor_networks()
    ids = [*(f"n{at}" for at in range(networks)), *(f"r{at}" for at in range(len(anchors)))]
    made = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers or this_machine().cores, context, plug_in_all, (plugged(),)) as pool:
        each = partial(_to_look_into, folder=folder, runtime=runtime, settings=settings)
        for one in pool.map(each, ids, [*own, *anchors]):
            made.append(one)
            watcher.count("exports", len(made), len(ids))
    return made[:networks], made[networks:]


def _to_look_into(
    id: str, spec: ArchSpec, *, folder: Path, runtime: Runtime, settings: Sequence[tuple[int, int]]
) -> Asked:
    """A network of a calibration, with the names of its convolutions where the runtime times each."""
    torch.set_num_threads(1)
    made = _network(id, Target(spec.name, spec), folder, runtime, settings)
    if not RUNTIMES[runtime].times_kernels:
        return made
    filters = filters_of(folder / next(iter(made.files.values())).file)
    return replace(made, filters={name: (tuple(dims), groups) for name, (dims, groups) in filters.items()})


def _network(id: str, target: Target, folder: Path, runtime: Runtime, settings: Sequence[tuple[int, int]]) -> Asked:
    """One network, its files written: one for all batches where the runtime leaves a batch open."""
    if target.onnx is not None:
        raise UserError(f"{target.label} is an ONNX file already: give the run or the network that it was made of")
    if target.given():
        raise UserError(f"{target.label} is not shown images, which is what a kit shows")
    writer, module, shape = _files(runtime), target.module(untrained=True), target.input_shape()
    batches = tuple(dict.fromkeys(batch for _, batch in settings))
    one_file, noise = writer.batches, torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    files: dict[str, File] = {}
    for batch in (max(batches),) if one_file else batches:
        path = folder / NETS / f"{id}{'' if one_file else f'-{batch}'}{writer.suffix}"
        takes = None if one_file and batch > 1 else batch
        export_file(module, path, writer, input_shape=shape, batch=takes, samples=noise, tolerance=math.inf)
        files |= {str(each): File.of(path, folder) for each in (batches if one_file else (batch,))}
    spec = None if target.spec is None else to_data(target.spec)
    return Asked(id, f"{target.label}@{shape[-1]}", files, shape, spec)


@dataclass(frozen=True)
class _Estimates:
    """What a calibrated device expects of networks, in each setting that it was measured with."""

    device: str | None
    settings: Sequence[tuple[int, int]]
    calibrations: Path | None
    watcher: Watcher

    def __call__(self, spec: ArchSpec | None) -> tuple[float | None, ...]:
        if self.device is None or spec is None:
            return ()
        known = {(one.device.threads, one.device.batch): one for one in named(self.device, self.calibrations).models}
        try:
            return tuple(known[at].ms(spec) if at in known else None for at in self.settings)
        except UserError as error:
            self.watcher.note(str(error))
            return ()


def _own(
    at: int,
    target: Target,
    folder: Path,
    runtime: Runtime,
    settings: Sequence[tuple[int, int]],
    limit: float | None,
    estimates: _Estimates,
    watcher: Watcher,
) -> Asked:
    watcher.stage("export", target.label)
    made = _network(f"n{at}", target, folder, runtime, settings)
    if target.run is not None and limit is None:
        met = target.run.config.met or {}
        limit = met["ms"].limit if "ms" in met else None
    return replace(made, limit=limit, expected=estimates(target.spec))


def _aimed(target: Target) -> str | None:
    """The device elsewhere that a run was made for."""
    limits = {} if target.run is None else target.run.config.met or {}
    return limits["ms"].estimated_for if "ms" in limits else None
