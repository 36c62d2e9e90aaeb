"""Static INT8 quantisation of an ONNX file by onnxruntime."""

from __future__ import annotations

import copy
import logging
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime

from ..errors import UserError
from .calibration import Calibration, Images, operators, ranges_of
from .graph_units import units_of
from .metadata import Metadata, attach

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

__all__ = ["Quantised", "Quantiser", "quantise"]

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
    def share(self) -> float:
        return self.int8_convolutions / self.convolutions if self.convolutions else 0.0


class Quantiser:
    """An ONNX file of a float network, and the range of each of its tensors, from which files in eight bits are written.

    Weights are put in eight bits for each output channel, activations in eight bits a tensor. Of a detector what makes the maps
    that regions are cut from goes in eight bits: trunk and neck.
    """

    def __init__(self, source: Path, images: Sequence[Images], calibration: Calibration = Calibration.MINMAX) -> None:
        """Calibrate `source` on `images`, batches ⟨N,C,H,W⟩ that are normalised.

        Raises:
            UserError: there are no images, they are not finite, or onnxruntime cannot quantise the file.
        """
        import onnx
        from onnxruntime.quantization.shape_inference import quant_pre_process

        images = [batch for batch in images if len(batch)]
        if not images:
            raise UserError("quantisation needs images to calibrate on; got none")
        (taken,) = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"]).get_inputs()
        if taken.shape[0] == 1:
            images = [one[None] for batch in images for one in batch]
        self.source = source
        with _quantising(source), tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
            ready = Path(scratch) / "ready.onnx"
            quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
            self._model = onnx.load(ready)
            self._ranges = ranges_of(ready, images, calibration)
        self._last = _in_floats(self._model.graph)

    def units(self, paths: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The nodes of each unit of `paths`, those of a plan, that go in eight bits, by name. One that holds no convolution and
        no product is told with the unit before it."""
        products = {node.name for node in self._model.graph.node if node.op_type in _PRODUCTS}
        last = set(self._last)
        found: dict[str, tuple[str, ...]] = {}
        for path, nodes in units_of(self._model.graph, paths).items():
            own = tuple(name for name in nodes if name not in last)
            if products.intersection(own) or not found:
                found[path] = own
            else:
                found[next(reversed(found))] += own
        return found

    def puts_out(self) -> tuple[str, ...]:
        """The tensors at which eight bits end: what the file puts out, or what its last part, in floats, reads."""
        graph, last = self._model.graph, set(self._last)
        made = {name for node in graph.node if node.name not in last for name in node.output if name in self._ranges}
        read = [name for node in graph.node if node.name in last for name in node.input]
        return tuple(dict.fromkeys(name for name in (*(one.name for one in graph.output), *read) if name in made))

    def save(self, path: Path, *, floats: Collection[str] = (), also: Collection[str] = ()) -> None:
        """Write a file in eight bits to `path`, in which the nodes `floats` stay in float and the tensors `also` are put out.

        Raises:
            UserError: onnxruntime cannot quantise the file.
        """
        from onnxruntime.quantization import QDQQuantizer, QuantType

        with _quantising(self.source, path):
            quantiser = QDQQuantizer(
                self.in_float(also),
                True,  # scales for each output channel
                True,  # seven bits of weights in eight: without VNNI instructions sums of sixteen bits would overflow
                QuantType.QInt8,
                QuantType.QUInt8,
                copy.deepcopy(self._ranges),  # it makes that of what a ReLU reads the ReLU's own
                [],
                [*self._last, *floats],
                operators(),
                {},
            )
            quantiser.quantize_model()
            quantiser.model.save_model_to_file(str(path))

    def in_float(self, also: Collection[str] = ()) -> ModelProto:
        """The network in float, with the tensors `also` put out."""
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        there = {one.name for one in model.graph.output}
        model.graph.output.extend(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in also if name not in there
        )
        return model

    def write(self, path: Path, *, floats: Collection[str] = (), metadata: Metadata | None = None) -> Quantised:
        """`save` a file that says `metadata` of itself, and look at what of it onnxruntime runs in eight bits."""
        self.save(path, floats=floats)
        if metadata is not None:
            attach(path, metadata)
        ran = _ran(path)
        eight = sum(ran[kind] for kind in _INT8)
        every = eight + sum(ran[kind] for kind in ("Conv", "FusedConv"))
        return Quantised(path, path.stat().st_size, self.source.stat().st_size, every, eight, metadata)


def quantise(
    source: Path,
    path: Path,
    images: Sequence[Images],
    *,
    calibration: Calibration = Calibration.MINMAX,
    metadata: Metadata | None = None,
) -> Quantised:
    """Write the network of `source` to `path` in eight bits, calibrated on `images` (`Quantiser`)."""
    return Quantiser(source, images, calibration).write(path, metadata=metadata)


@contextmanager
def _quantising(source: Path, path: Path | None = None) -> Iterator[None]:
    """Whatever onnxruntime's quantiser raises is a `UserError`, and no half of a file is left at `path`."""
    loud = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser warns of steps that have been taken
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the quantiser raises whatever its helpers do
        if path is not None:
            path.unlink(missing_ok=True)
        raise UserError(f"onnxruntime cannot quantise {source.name}: {error}") from error
    finally:
        logging.getLogger().setLevel(loud)


def _in_floats(graph: GraphProto) -> list[str]:
    """The nodes that make answers of what the last convolutions and products put out, such as points of maps: in eight bits
    places would be told in steps of a 255th of the picture. Where regions are cut from maps, all that does not make these maps.
    """
    cut = {node.input[0] for node in graph.node if node.op_type == "RoiAlign"}
    needed: set[str] = set(cut)  # tensors that some product behind them reads
    behind = []
    for node in reversed(graph.node):
        if (node.op_type in _PRODUCTS and not cut) or needed.intersection(node.output):
            needed.update(node.input)
        else:
            behind.append(node.name)
    return behind


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
