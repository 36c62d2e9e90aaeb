"""A file that takes pictures as they lie in memory and gives probabilities: normalisation and activation are in its graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import UserError
from .metadata import PROBABILITIES, RAW, Metadata, describe
from .ort import session

__all__ = ["take_bytes"]

_APART = 1e-5  # what two orders of the same float32 arithmetic may make of a probability


def take_bytes(path: Path, given: Metadata) -> Metadata:
    """Change the file at `path`, normalised images ⟨N,C,H,W⟩ in and logits out, into one of uint8 pictures ⟨N,H,W,C⟩ in and
    probabilities out, run it beside what it was, and give back what it says of itself now. A file that needs no activation,
    such as one that gives points, gives what it gave.

    Raises:
        UserError: a network whose outputs have no known activation, or a file that gives other answers.
    """
    if given.activation == "none":
        return _with_bytes(path, given)
    if given.outputs != ("logits",):
        raise UserError(
            f"a file with its input raw gives probabilities; this network puts out {', '.join(given.outputs)}"
        )
    pictures = np.random.default_rng(0).integers(0, 256, (2, *given.resolution, given.channels), dtype=np.uint8)
    model, before = onnx.load(path), _asked(path, _prepared(pictures, given))
    says = replace(given, input=RAW, outputs=(PROBABILITIES,), activation="none")
    _wrap(model.graph, given)
    del model.metadata_props[:]
    helper.set_model_props(model, describe(says))
    onnx.save(model, path)
    apart = float(np.abs(_asked(path, pictures) - _probabilities(before, given)).max())
    if not apart <= _APART:
        raise UserError(f"with its input raw the network's probabilities differ by {apart:.2g}; allowed is {_APART:g}")
    return says


def _with_bytes(path: Path, given: Metadata) -> Metadata:
    pictures = np.random.default_rng(0).integers(0, 256, (2, *given.resolution, given.channels), dtype=np.uint8)
    model, before = onnx.load(path), _asked_all(path, _prepared(pictures, given))
    says = replace(given, input=RAW)
    first = _fed(model.graph, given)
    nodes = [*first, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.metadata_props[:]
    helper.set_model_props(model, describe(says))
    onnx.save(model, path)
    apart = max(
        float(np.median(np.abs(now - then)) / max(1.0, float(np.abs(then).max())))
        for now, then in zip(_asked_all(path, pictures), before, strict=True)
    )  # the median, since of places that score alike rounding chooses
    if not apart <= _APART:
        raise UserError(f"with its input raw the network's answers differ by {apart:.2g}; allowed is {_APART:g}")
    return says


def _wrap(graph: onnx.GraphProto, given: Metadata) -> None:
    leaving = graph.output[0]
    classes = leaving.type.tensor_type.shape.dim
    before = _fed(graph, given)
    softmax = helper.make_node("Softmax", [leaving.name], [PROBABILITIES], axis=1)
    sigmoid = helper.make_node("Sigmoid", [leaving.name], [PROBABILITIES])
    after = {"softmax": softmax, "sigmoid": sigmoid}[given.activation]
    nodes = [*before, *graph.node, after]
    answers = [one.dim_param or one.dim_value for one in classes]
    for field in (graph.node, graph.output):
        del field[:]
    graph.node.extend(nodes)
    graph.output.append(helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, answers))


def _fed(graph: onnx.GraphProto, given: Metadata) -> list[onnx.NodeProto]:
    """The nodes from raw pictures to what the graph takes; the graph's input becomes the pictures."""
    entering = graph.input[0]
    batch = entering.type.tensor_type.shape.dim
    shape = [batch[0].dim_param or batch[0].dim_value, *given.resolution, given.channels]
    scale, shift = _scale_and_shift(given)
    constants = {"pictures_scale": scale, "pictures_shift": shift}
    before = [
        helper.make_node("Cast", ["pictures"], ["pictures_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pictures_float", "pictures_scale"], ["pictures_scaled"]),
        helper.make_node("Add", ["pictures_scaled", "pictures_shift"], ["pictures_ready"]),
        helper.make_node("Transpose", ["pictures_ready"], [entering.name], perm=[0, 3, 1, 2]),
    ]
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("pictures", TensorProto.UINT8, shape))
    return before


def _scale_and_shift(given: Metadata) -> tuple[np.ndarray, np.ndarray]:
    mean, std = np.asarray(given.mean), np.asarray(given.std)
    return (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)


def _prepared(pictures: np.ndarray, given: Metadata) -> np.ndarray:
    scale, shift = _scale_and_shift(given)
    return np.ascontiguousarray((pictures * scale + shift).transpose(0, 3, 1, 2))


def _probabilities(logits: np.ndarray, given: Metadata) -> np.ndarray:
    if given.activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-logits)))
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _asked(path: Path, images: np.ndarray) -> np.ndarray:
    """What the file puts out for the images, one by one: its batch may be fixed at one."""
    return _asked_all(path, images)[0]


def _asked_all(path: Path, images: np.ndarray) -> list[np.ndarray]:
    runtime = session(path, threads=1)
    name = runtime.get_inputs()[0].name
    each = [[np.asarray(one) for one in runtime.run(None, {name: image[None]})] for image in images]
    return [np.concatenate(outputs) for outputs in zip(*each, strict=True)]
