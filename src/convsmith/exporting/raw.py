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
    probabilities out, run it beside what it was, and give back what it says of itself now.

    Raises:
        UserError: a network that is no classifier, or a file that gives other probabilities.
    """
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


def _wrap(graph: onnx.GraphProto, given: Metadata) -> None:
    entering, leaving = graph.input[0], graph.output[0]
    batch, classes = (one.type.tensor_type.shape.dim for one in (entering, leaving))
    shape = [batch[0].dim_param or batch[0].dim_value, *given.resolution, given.channels]
    scale, shift = _scale_and_shift(given)
    constants = {"pictures_scale": scale, "pictures_shift": shift}
    before = [
        helper.make_node("Cast", ["pictures"], ["pictures_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pictures_float", "pictures_scale"], ["pictures_scaled"]),
        helper.make_node("Add", ["pictures_scaled", "pictures_shift"], ["pictures_ready"]),
        helper.make_node("Transpose", ["pictures_ready"], [entering.name], perm=[0, 3, 1, 2]),
    ]
    softmax = helper.make_node("Softmax", [leaving.name], [PROBABILITIES], axis=1)
    sigmoid = helper.make_node("Sigmoid", [leaving.name], [PROBABILITIES])
    after = {"softmax": softmax, "sigmoid": sigmoid}[given.activation]
    nodes = [*before, *graph.node, after]
    answers = [one.dim_param or one.dim_value for one in classes]
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    for field in (graph.node, graph.input, graph.output):
        del field[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info("pictures", TensorProto.UINT8, shape))
    graph.output.append(helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, answers))


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
    runtime = session(path, threads=1)
    name = runtime.get_inputs()[0].name
    return np.concatenate([np.asarray(runtime.run(None, {name: image[None]})[0]) for image in images])
