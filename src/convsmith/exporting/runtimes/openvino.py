"""OpenVINO's files, an .xml of the graph and a .bin of the weights beside it, made of our ONNX files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...latency import Runtime
from ..compared import Run
from ..int8 import quantise
from ..metadata import Metadata, describe
from ..onnx import write_onnx
from ..prepared import Prepared
from ..snippets import Asked
from .runtime import Eight, FileRuntime, Images, expressed
from .signal_stack import kept_signal_stack

__all__ = ["OpenVino"]

_FLOATS = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}


class OpenVino(FileRuntime):
    """OpenVINO on the CPU, in float32: processors with instructions for bfloat16 would else round to it.

    Eight bits are those of our quantised ONNX file, whose pairs of QuantizeLinear and DequantizeLinear it reads as ranges and
    runs by kernels of its own.
    """

    name: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO"
    package: ClassVar[str] = "openvino"
    modules: ClassVar[tuple[str, ...]] = ("openvino",)
    extra: ClassVar[str] = "openvino"
    suffix: ClassVar[str] = ".xml"
    timed: ClassVar[Runtime | None] = Runtime.OPENVINO
    batches: ClassVar[bool] = True
    asked: ClassVar[Asked | None] = Asked(
        "import json, numpy, openvino",
        'net = openvino.Core().compile_model({file}, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})',
        "tuple(net({given}).values())",
    )

    def files(self, path: Path) -> tuple[Path, ...]:
        return path.with_suffix(".bin"), path

    def write(self, network: Prepared, path: Path, *, batch: int | None, says: Metadata | None = None) -> None:
        with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
            source = Path(scratch) / "network.onnx"
            write_onnx(network, source, batch=batch)
            _save(source, path, says)

    def shrink(
        self, network: Prepared, whole: Path, path: Path, images: Sequence[Images], *, says: Metadata | None = None
    ) -> Eight | None:
        with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
            source, small = Path(scratch) / "network.onnx", Path(scratch) / "small.onnx"
            write_onnx(network, source, batch=None if not network.alone else 1)
            quantise(source, small, images)
            _save(small, path, says)
        return _convolutions(path)

    def load(self, path: Path, *, threads: int) -> Run:
        request = _compiled(path, threads).create_infer_request()

        def run(given: tuple[NDArray, ...]) -> list[NDArray]:
            found = request.infer(dict(enumerate(given)))
            return [np.array(found[at]) for at in range(len(found))]

        return run

    def bound(self, path: Path, given: tuple[NDArray, ...], *, threads: int) -> Callable[[], object]:
        import openvino

        request = _compiled(path, threads).create_infer_request()
        for at, one in enumerate(given):
            request.set_input_tensor(at, openvino.Tensor(one, shared_memory=True))

        def run() -> object:
            request.start_async()
            return request.wait()

        return run


def _save(source: Path, path: Path, says: Metadata | None) -> None:
    import openvino

    with expressed(OpenVino.title):
        # Not `convert_model`, which tells its makers of every use.
        model = openvino.Core().read_model(source)
        for key, text in ({} if says is None else describe(says)).items():
            model.set_rt_info(text, ["convsmith", key])
        openvino.save_model(model, path, compress_to_fp16=False)


def _compiled(path: Path, threads: int) -> Any:
    import openvino

    with expressed(OpenVino.title), kept_signal_stack():
        return openvino.Core().compile_model(path, "CPU", {**_FLOATS, "INFERENCE_NUM_THREADS": str(threads)})


def _convolutions(path: Path) -> Eight:
    """How many convolutions OpenVINO runs in eight bits here, and how many there are."""
    nodes = [node.get_rt_info() for node in _compiled(path, 1).get_runtime_model().get_ordered_ops()]
    kinds = [str(node["runtimePrecision"].value) for node in nodes if "Convolution" in str(node["layerType"].value)]
    return sum(kind in ("i8", "u8") for kind in kinds), len(kinds)
