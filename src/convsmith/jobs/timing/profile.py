"""Times networks in a runtime, and each of their convolutions: what a calibration of that runtime is made of."""

from __future__ import annotations

import abc
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
import onnx
import onnxruntime
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ...arch import ArchSpec
from ...exporting import export_onnx
from ...exporting.ort import ort_subject
from ...latency import Runtime, Subject, eager_subject, interleave
from ...layers import channels_last
from ...machine import this_machine
from ...model import build
from ...registry import plug_in_all, plugged
from ...speed.profiles import Convolutions, conv_shape, shared_out
from ...threads import in_threads
from ...watcher import Watcher

__all__ = ["Exported", "Network", "exported", "filters_of", "levelled", "networks_for", "timed"]

_GROUP = 15  # networks that are timed in one interleaving: memory holds them all
_RUNS = 8  # of a profile


class Network(abc.ABC):
    """A network of a calibration: something to time, and its convolutions one by one."""

    @abc.abstractmethod
    def subject(self) -> Subject:
        """The whole network, ready to be timed."""

    @abc.abstractmethod
    def profile(self) -> tuple[Convolutions, float, int]:
        """(shape, ms) of each convolution, shapes as in `speed.Kernel`; of all kernels together, the ms and how many."""

    def convolutions(self, ms: float) -> Convolutions:
        """(shape, ms) of each convolution, such that all kernels together took `ms`."""
        return shared_out(*self.profile(), ms)


def networks_for(
    runtime: Runtime, specs: Sequence[ArchSpec], scratch: Path, threads: int, workers: int | None, watcher: Watcher
) -> list[Network]:
    """The networks of `specs` in a runtime. Files go to `scratch`; `workers` processes export beside each other."""
    if runtime is Runtime.EAGER:
        return [_Eager(spec, threads) for spec in specs]
    files = exported(specs, scratch, workers or this_machine().cores, watcher)
    return [Exported(file, threads) for file in files]


def exported(specs: Sequence[ArchSpec], scratch: Path, workers: int, watcher: Watcher) -> list[Path]:
    """The networks of these specs, with random weights, as ONNX files."""
    files = [scratch / f"{at}.onnx" for at in range(len(specs))]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), plug_in_all, (plugged(),)) as pool:
        for done, _ in enumerate(pool.map(_export, specs, files), start=1):
            watcher.count("exports", done, len(specs))
    return files


def _export(spec: ArchSpec, path: Path) -> None:
    torch.set_num_threads(1)
    if path.exists():
        return
    shape, one = spec.input.shape.dims, spec.input.example()
    export_onnx(build(spec, seed=0), path, input_shape=shape, dynamic_batch=False, samples=one, tolerance=math.inf)


def timed(
    networks: Sequence[Network], references: Sequence[Network], threads: int, rounds: int, watcher: Watcher
) -> tuple[list[float], list[float]]:
    """Median ms of each network, and of each reference.

    Every group of networks is interleaved with all references, whose common drift from group to group is taken out: one
    alone may be slow for reasons of its own.
    """
    groups = [networks[at : at + _GROUP] for at in range(0, len(networks), _GROUP)]
    raw: list[tuple[list[float], list[float]]] = []
    for number, group in enumerate(groups, start=1):
        watcher.count("groups timed", number, len(groups))
        subjects = [one.subject() for one in (*references, *group)]
        rows = [row.median_ms for row in interleave(subjects, threads=threads, rounds=rounds, seconds=20).rows]
        raw.append((rows[: len(references)], rows[len(references) :]))
    return levelled(raw)


def levelled(groups: Sequence[tuple[Sequence[float], Sequence[float]]]) -> tuple[list[float], list[float]]:
    """Of groups that were timed one after another, the ms of the references and of the others: those of the others as if the
    references had taken their usual time in every group, and that usual time."""
    usual = [statistics.median(times) for times in zip(*(known for known, _ in groups), strict=True)]
    took: list[float] = []
    for known, times in groups:
        level = statistics.median(now / then for now, then in zip(known, usual, strict=True))
        took += [ms / level for ms in times]
    return took, usual


@dataclass(frozen=True)
class Exported(Network):
    """A network in onnxruntime, which profiles itself."""

    path: Path
    threads: int

    def subject(self) -> Subject:
        return ort_subject(self.path.stem, self.path, threads=self.threads)

    def profile(self) -> tuple[Convolutions, float, int]:
        with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
            options.log_severity_level = 3
            options.enable_profiling, options.profile_file_prefix = True, str(Path(scratch) / "profile")
            session = onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
            taken = session.get_inputs()[0]
            image = np.random.default_rng(0).standard_normal(taken.shape).astype(np.float32)
            for _ in range(_RUNS):
                session.run(None, {taken.name: image})
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        took: dict[str, list[float]] = {}
        what: dict[str, Any] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                took.setdefault(event["name"], []).append(event["dur"] / 1e3)
                what[event["name"]] = event["args"]
        middle = {name: statistics.median(times) for name, times in took.items()}
        own = filters_of(self.path)
        convs = ((name, args) for name, args in what.items() if "Conv" in args["op_name"])
        found = tuple((conv_shape(name, *_types(args), own), middle[name]) for name, args in convs)
        return found, sum(middle.values()), len(middle)


def _types(args: Any) -> tuple[Any, Any, Any]:
    """The dimensions of what a convolution reads, of its filters, and of what it writes, as a profile notes them."""
    image, weight = (next(iter(one.values())) for one in args["input_type_shape"][:2])
    return image, weight, next(iter(args["output_type_shape"][0].values()))


def filters_of(path: Path) -> dict[str, tuple[list[int], int]]:
    """(dimensions of the filters, groups) of a file's convolutions, by every name that a profile may know them by: the
    node's own, that of what it puts out, and that of what the activation behind it does, which the runtime merges into it."""
    graph = onnx.load(path).graph
    dims = {one.name: list(one.dims) for one in graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found: dict[str, tuple[list[int], int]] = {}
    for node in graph.node:
        if node.op_type == "Conv" and node.input[1] in dims:
            groups = next((one.i for one in node.attribute if one.name == "group"), 1)
            behind = readers.get(node.output[0], [])
            names = (node.name, node.output[0], *(behind[0].output if len(behind) == 1 else ()))
            found |= dict.fromkeys(names, (dims[node.input[1]], groups))
    return found


@dataclass(frozen=True)
class _Eager(Network):
    """A network as torch runs it, operation by operation."""

    spec: ArchSpec
    threads: int

    def subject(self) -> Subject:
        return eager_subject(self.spec.name, build(self.spec, seed=0), input_shape=self.spec.input.shape.dims)

    def profile(self) -> tuple[Convolutions, float, int]:
        with in_threads(self.threads):
            model = channels_last(build(self.spec, seed=0).eval())
            passes, whole, kernels = [], [], 0
            image = channels_last(self.spec.input.example())
            for _ in range(_RUNS):
                began, watch = time.perf_counter(), _Watched()
                with torch.no_grad(), watch:  # inference mode would hide what a convolution is made of
                    model(image)
                whole.append((time.perf_counter() - began) * 1e3 - watch.lost)
                passes.append(watch.found)
                kernels = watch.kernels
        convs = tuple((runs[0][0], statistics.median(took for _, took in runs)) for runs in zip(*passes, strict=True))
        return convs, statistics.median(whole), kernels


class _Watched(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Times each convolution that torch runs, and counts all operations; `lost` is the ms that went into watching."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[tuple[tuple[int, ...], float]] = []
        self.lost = 0.0
        self.kernels = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        began = time.perf_counter()
        out: Tensor = func(*args, **(kwargs or {}))
        took = (time.perf_counter() - began) * 1e3
        self.kernels += 1
        if func is torch.ops.aten.convolution.default:
            image, weight, stride, groups = args[0], args[1], args[3], args[8]
            many, _, rows, columns = out.shape
            shape = (image.shape[1], weight.shape[0], weight.shape[2], stride[0], groups, many * rows, columns)
            self.found.append((shape, took))
        self.lost += (time.perf_counter() - began) * 1e3 - took
        return out
