"""Static INT8 quantisation of an ONNX file by onnxruntime."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..errors import UserError
from .metadata import Metadata, attach
from .snippets import snippet

__all__ = ["Quantised", "quantise"]

Images = NDArray[np.float32]
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_INT8 = ("QLinearConv", "ConvInteger")


@dataclass(frozen=True)
class Quantised:
    """A quantised file: its size and the float file's in bytes, and how many of the convolutions that onnxruntime runs, after
    its own optimisation of the graph, are in eight bits. `says` is what the file says of itself."""

    path: Path
    bytes: int
    float_bytes: int
    convolutions: int
    int8_convolutions: int
    says: Metadata | None = None

    @property
    def snippet(self) -> str | None:
        """Some lines of Python that ask the file about a picture, without this package; None where it does not say how."""
        return None if self.says is None else snippet(self.path, self.says)

    @property
    def share(self) -> float:
        return self.int8_convolutions / self.convolutions if self.convolutions else 0.0


def quantise(source: Path, path: Path, images: Sequence[Images], *, metadata: Metadata | None = None) -> Quantised:
    """Write the network of `source` to `path` with weights in eight bits for each output channel and activations in eight
    bits a tensor, their ranges those that `images` (batches ⟨N,C,H,W⟩, normalised) reach. `metadata` is what the file says of
    itself. Of a detector what makes the maps that regions are cut from goes in eight bits: trunk and neck.

    Raises `UserError` where onnxruntime cannot quantise the file.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if not images:
        raise UserError("quantisation needs images to calibrate on; got none")
    (taken,) = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"]).get_inputs()
    if taken.shape[0] == 1:
        images = [one[None] for batch in images for one in batch]
    loud = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser warns of steps that have been taken
    try:
        with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
            ready = Path(scratch) / "ready.onnx"
            quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
            quantize_static(
                str(ready),
                str(path),
                _reader(taken.name, images),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                nodes_to_exclude=_in_floats(ready),
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                # Seven bits in eight: without VNNI instructions sums of sixteen bits would overflow.
                reduce_range=True,
            )
    except Exception as error:  # the quantiser raises whatever its helpers do
        path.unlink(missing_ok=True)
        raise UserError(f"onnxruntime cannot quantise {source.name}: {error}") from error
    finally:
        logging.getLogger().setLevel(loud)
    if metadata is not None:
        attach(path, metadata)
    ran = _ran(path)
    eight = sum(ran[kind] for kind in _INT8)
    every = eight + sum(ran[kind] for kind in ("Conv", "FusedConv"))
    return Quantised(path, path.stat().st_size, source.stat().st_size, every, eight, metadata)


def _in_floats(path: Path) -> list[str]:
    """The nodes that make answers of what the last convolutions and products put out, such as points of maps: in eight bits
    places would be told in steps of a 255th of the picture. Where regions are cut from maps, all that does not make these maps.
    """
    import onnx

    graph = onnx.load(path).graph
    cut = {node.input[0] for node in graph.node if node.op_type == "RoiAlign"}
    needed: set[str] = set(cut)  # tensors that some product behind them reads
    behind = []
    for node in reversed(graph.node):
        if (node.op_type in _PRODUCTS and not cut) or needed.intersection(node.output):
            needed.update(node.input)
        else:
            behind.append(node.name)
    return behind


def _reader(name: str, images: Sequence[Images]) -> object:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest: Iterator[Images] = iter(images)

        def get_next(self) -> dict[str, Images] | None:
            batch = next(self.rest, None)
            return None if batch is None else {name: batch}

    return Reader()


def _ran(path: Path) -> Counter[str]:
    """The kinds of operation that onnxruntime runs, after its optimisation."""
    import onnx

    with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(Path(scratch) / "optimised.onnx")
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        model = onnx.load(options.optimized_model_filepath)
    return Counter(node.op_type for node in model.graph.node)
