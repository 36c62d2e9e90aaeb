"""onnxruntime on the CPU: how every ONNX file here is opened, and how one is timed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as refusals
from torch import Tensor

from ..errors import UserError
from ..firstbytes import disguise_of
from ..latency import Runtime, Subject
from .compared import Run, on_tensors

__all__ = ["bound", "input_shape", "ort_subject", "runner", "runs", "session"]

_UNREADABLE = (
    refusals.Fail,
    refusals.InvalidArgument,
    refusals.InvalidGraph,
    refusals.InvalidProtobuf,
    refusals.NotImplemented,
    refusals.RuntimeException,
)


def session(path: Path, *, threads: int) -> onnxruntime.InferenceSession:
    """The ONNX file at `path`, ready to run with `threads` threads and every graph optimisation.

    Raises `UserError` if there is no such file or it is not a network that onnxruntime can run.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    if what := disguise_of(path):
        raise UserError(f"{path} is {what}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors only, which are raised as well
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _UNREADABLE as error:
        raise UserError(f"{path} is not an ONNX file that onnxruntime can run: {error}") from error


def runner(path: Path, *, threads: int) -> Callable[[Tensor], Any]:
    """The ONNX file at `path` as a function of prepared images on the CPU: one tensor, or as many as the file puts out. A file of
    a fixed batch is given as many at a time."""
    runtime = session(path, threads=threads)
    many = runtime.get_inputs()[0].shape[0]
    return on_tensors(_run_by(runtime), many if isinstance(many, int) else None)


def runs(path: Path, *, threads: int) -> Run:
    """The ONNX file at `path` as a function of a batch of each of its inputs."""
    return _run_by(session(path, threads=threads))


def _run_by(runtime: onnxruntime.InferenceSession) -> Run:
    names = [one.name for one in runtime.get_inputs()]

    def run(batch: tuple[NDArray, ...]) -> list[NDArray]:
        return [np.asarray(one) for one in runtime.run(None, dict(zip(names, batch, strict=True)))]

    return run


def input_shape(runtime: onnxruntime.InferenceSession) -> tuple[int | None, *tuple[int, ...]]:
    """(batch, channels, height, width) of the session's images, of raw pictures (batch, height, width, channels), of clips
    (batch, channels, frames, height, width); the batch is None where the file leaves it open.

    Raises `UserError` if the network takes anything but one batch of images of a fixed size, float32 or uint8.
    """
    inputs = runtime.get_inputs()
    if (
        len(inputs) != 1
        or inputs[0].type not in ("tensor(float)", "tensor(uint8)")
        or len(inputs[0].shape) not in (4, 5)
    ):
        taken = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
        raise UserError(
            f"a network of one float32 input NCHW or NCTHW, or uint8 NHWC, can be measured; this one takes {taken}"
        )
    batch, *image = inputs[0].shape
    if not all(isinstance(side, int) for side in image):
        raise UserError(f"the file leaves the size of its images open ({image}); export it at a fixed size")
    return batch if isinstance(batch, int) else None, *image


def _shapes(runtime: onnxruntime.InferenceSession) -> tuple[Any, ...]:
    """The batch, None where it is open, and behind it the shape of each input without the batch."""
    inputs = runtime.get_inputs()
    if [one.name for one in inputs] == ["z", "y"]:
        batch, dim = inputs[0].shape
        return batch if isinstance(batch, int) else None, (dim,), ()
    batch, *image = input_shape(runtime)
    return batch, tuple(image)


# What is drawn for an input of each type: images or latents, raw pictures, the class of what is to be made.
_DRAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "tensor(float)": lambda rng, shape: rng.standard_normal(shape, dtype=np.float32),
    "tensor(uint8)": lambda rng, shape: rng.integers(0, 256, shape, dtype=np.uint8),
    "tensor(int64)": lambda rng, shape: np.zeros(shape, np.int64),
}


def ort_subject(name: str, path: Path, *, batch: int = 1, threads: int) -> Subject:
    """The ONNX file at `path` as a subject: random normal images, or raw pictures, of a fixed seed, bound to the session
    once; of a generator random numbers and class 0.

    Raises `UserError` as `session` and `input_shape` do, and if the file was exported for another batch.
    """
    if batch < 1 or threads < 1:
        raise UserError(f"batch and threads are at least 1; got batch={batch}, threads={threads}")
    runtime = session(path, threads=threads)
    fixed, *shapes = _shapes(runtime)
    if fixed not in (None, batch):
        raise UserError(f"{path} was exported for batches of {fixed}, not {batch}; export it with a dynamic batch")
    rng = np.random.default_rng(0)
    drawn = (_DRAWS[taken.type](rng, (batch, *own)) for taken, own in zip(runtime.get_inputs(), shapes, strict=True))
    return Subject(name, Runtime.ORT, batch, _bound(runtime, tuple(drawn)), threads=threads)


def bound(path: Path, given: tuple[NDArray, ...], *, threads: int) -> Callable[[], object]:
    """One forward of the ONNX file at `path` over a batch of each of its inputs, which the session is handed once."""
    return _bound(session(path, threads=threads), given)


def _bound(runtime: onnxruntime.InferenceSession, given: tuple[NDArray, ...]) -> Callable[[], object]:
    binding = runtime.io_binding()
    for taken, one in zip(runtime.get_inputs(), given, strict=True):
        binding.bind_cpu_input(taken.name, one)
    for output in runtime.get_outputs():
        binding.bind_output(output.name)

    def run() -> object:
        return runtime.run_with_iobinding(binding)

    return run
