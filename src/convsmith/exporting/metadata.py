"""What an ONNX file says of itself: all that one needs, besides the file, to get the network's answers about a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnxruntime

from ..errors import UserError
from ..machine import this_machine

__all__ = ["NORMALISED", "PROBABILITIES", "RAW", "RESIZE", "Metadata", "attach", "describe", "of_session"]

# How evaluation shows a picture to a network, in words for whoever does it again.
RESIZE = "least size of its shape that covers the resolution, rounded down; bilinear, antialiased; then the centre"
WHOLE = "largest size of its shape that fits the resolution, rounded; bilinear, antialiased; at the top left, filled up with black"
_VIEWS = {"middle": RESIZE, "whole": WHOLE}
# What a file takes: prepared images, or pictures as they lie in memory.
NORMALISED, RAW = "float32 NCHW", "uint8 NHWC"
PROBABILITIES = "probabilities"
_NEEDED = ("resolution", "channels", "mean", "std", "resize")


@dataclass(frozen=True)
class Metadata:
    """What a network takes and gives. `resolution` is (height, width), `mean` and `std` a number for each channel on the
    scale from 0 to 1; `classes` is empty where the outputs have numbers only. `activation` makes probabilities of the
    outputs: softmax of one class an image, sigmoid of any number, none where they are that already. `input` is what the
    file takes; one that takes raw pictures has `mean` and `std` in itself. `convsmith` is the version that wrote it.

    Of a network that finds points `classes` are their names, `bones` the pairs of them, as numbers from 0, to draw a line
    between; its points are in pixels of what it was shown. `view` is `middle`, the centre of a picture, or `whole`, a
    picture to its borders.

    Of a network that reads clips, `frames` images of a film are one input, float32 ⟨N,C,frames,H,W⟩, `stride` of its frames apart.
    """

    resolution: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("logits",)
    task: str = "classify"
    activation: str = "softmax"
    resize: str = RESIZE
    input: str = NORMALISED
    view: str = "middle"
    bones: tuple[tuple[int, int], ...] = ()
    frames: int = 0
    stride: int = 1
    convsmith: str = field(default_factory=lambda: dict(this_machine().packages).get("convsmith", "unknown"))

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def raw(self) -> bool:
        """Whether the file takes pictures as they are and gives probabilities."""
        return self.input == RAW


def describe(given: Metadata) -> dict[str, str]:
    """The metadata as an ONNX file holds it: texts by name. `resolution`, `channels`, `mean`, `std`, `outputs`, `classes`, `frames`
    and `stride` are JSON; the last two are of clips alone. `classes` is left out where there are no names, `input` where it is
    normalised."""
    told = {
        "convsmith": given.convsmith,
        "task": given.task,
        "activation": given.activation,
        "resolution": json.dumps(given.resolution),
        "channels": json.dumps(given.channels),
        "mean": json.dumps(given.mean),
        "std": json.dumps(given.std),
        "resize": given.resize,
        "outputs": json.dumps(given.outputs),
    }
    told |= {"input": given.input} if given.raw else {}
    told |= {"view": given.view} if given.view != "middle" else {}
    told |= {"frames": json.dumps(given.frames), "stride": json.dumps(given.stride)} if given.frames else {}
    told |= {"bones": json.dumps(given.bones)} if given.bones else {}
    return told | ({"classes": json.dumps(given.classes, ensure_ascii=False)} if given.classes else {})


def of_session(runtime: onnxruntime.InferenceSession, source: str) -> Metadata:
    """What the file behind an open session says of itself; `source` is its name in messages.

    Raises:
        UserError: the file says nothing or too little, asks for something that this version does not do.
    """
    return _read(runtime.get_modelmeta().custom_metadata_map, source)


def attach(path: Path, given: Metadata) -> None:
    """Write the metadata into the ONNX file at `path`, in the place of what it had."""
    import onnx

    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, describe(given))
    onnx.save(model, path)


def _read(told: Mapping[str, str], source: str) -> Metadata:
    missing = [name for name in _NEEDED if name not in told]
    if missing:
        raise UserError(
            f"{source} does not say how its images are prepared: its metadata lacks {', '.join(missing)}. `convsmith export` "
            "writes files that do"
        )
    view = told.get("view", "middle")
    if told["resize"] != _VIEWS.get(view):
        raise UserError(
            f"{source} asks for images resized in a way that this version does not know: {told['resize']!r} (written by "
            f"convsmith {told.get('convsmith', 'of an unknown version')})"
        )
    if (activation := told.get("activation", "softmax")) not in ("softmax", "sigmoid", "none"):
        raise UserError(f"{source} makes probabilities by '{activation}', which this version does not know")
    if (taken := told.get("input", NORMALISED)) not in (NORMALISED, RAW):
        raise UserError(f"{source} takes images as '{taken}', which this version does not know")
    try:
        height, width = (int(side) for side in json.loads(told["resolution"]))
        mean, std = (tuple(float(one) for one in json.loads(told[name])) for name in ("mean", "std"))
        names, outputs = (
            tuple(str(one) for one in json.loads(told.get(name, "[]"))) for name in ("classes", "outputs")
        )
        bones = tuple((int(one), int(other)) for one, other in json.loads(told.get("bones", "[]")))
        channels = int(json.loads(told["channels"]))
        frames, stride = int(json.loads(told.get("frames", "0"))), int(json.loads(told.get("stride", "1")))
    except (ValueError, TypeError) as error:
        raise UserError(f"the metadata of {source} is damaged: {error}") from None
    if not len(mean) == len(std) == channels or min(height, width) < 1 or not min(std, default=0.0) > 0:
        raise UserError(f"the metadata of {source} is damaged: {channels} channels, mean {mean}, std {std}")
    if frames < 0 or stride < 1:
        raise UserError(f"the metadata of {source} is damaged: clips of {frames} frames, {stride} apart")
    return Metadata(
        resolution=(height, width),
        mean=mean,
        std=std,
        classes=names,
        outputs=outputs or ("logits",),
        task=told.get("task", "classify"),
        activation=activation,
        resize=told["resize"],
        input=taken,
        view=view,
        bones=bones,
        frames=frames,
        stride=stride,
        convsmith=told.get("convsmith", ""),
    )
