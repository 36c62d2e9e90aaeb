"""A detector as three graphs and the NumPy between them, since no exporter takes it whole: how many regions there are depends on
the picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import UserError
from ..layers.detection import Detections
from ..model import Model
from ..parts.heads.mask_rcnn import Detector
from . import regions
from .onnx import Exported, ExportError, export_onnx
from .ort import session

__all__ = ["DetectorFiles", "detector_runner", "export_detector"]

TRUNK, BOXES, MASKS, NUMBERS, BETWEEN = "trunk.onnx", "boxes.onnx", "masks.onnx", "detector.json", "regions.py"


@dataclass(frozen=True, slots=True)
class DetectorFiles:
    """A folder with `trunk.onnx` (images -> scores, deltas and maps of each stride), `boxes.onnx` (regions ⟨R,C,7,7⟩ -> scores and
    deltas), `masks.onnx` (regions ⟨R,C,14,14⟩ -> logits) where there are masks, `detector.json` with the numbers between them, and
    `regions.py`, which needs NumPy alone. Each graph was run and found equal to its part of the model."""

    folder: Path
    trunk: Exported
    boxes: Exported
    masks: Exported | None

    @property
    def bytes(self) -> int:
        """Of the graphs together."""
        return sum(one.bytes for one in (self.trunk, self.boxes, self.masks) if one is not None)


def export_detector(
    model: Model, folder: Path, *, samples: Tensor | None = None, tolerance: float = 1e-4
) -> DetectorFiles:
    """Write `model` to `folder` and prove each graph by running it, as `export_onnx` does.

    The canvas is the spec's input; `samples` are normalised images NCHW of it, None for noise. Regions to compare on are noise.

    Raises:
        ExportError: a model that is no detector, or what `export_onnx` refuses.
    """
    head = model.head
    if not isinstance(head, Detector):
        raise ExportError(f"{model.spec.name} ends in {model.spec.head.describe()}, which is no detector")
    folder.mkdir(parents=True, exist_ok=True)
    channels, (height, width) = model.spec.input.channels, model.spec.input.sides
    n = len(head.settings.strides)
    names = tuple(f"{kind}{i}" for kind in ("scores", "deltas", "maps") for i in range(n))
    trunk = export_onnx(
        _Trunk(model, head),
        folder / TRUNK,
        input_shape=(channels, height, width),
        samples=samples,
        tolerance=tolerance,
        names=names,
    )
    with torch.no_grad():
        wide = model.eval().maps(torch.zeros(1, channels, height, width))[0].shape[1]
    boxes = export_onnx(
        _Called(head.box), folder / BOXES, input_shape=(wide, 7, 7), tolerance=tolerance, names=("scores", "deltas")
    )
    masks = None
    if head.mask is not None:
        masks = export_onnx(_Called(head.mask), folder / MASKS, input_shape=(wide, 14, 14), tolerance=tolerance)
    numbers = asdict(head.settings) | {"geometry": str(head.settings.geometry), "canvas": [height, width]}
    (folder / NUMBERS).write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    (folder / BETWEEN).write_text(Path(regions.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    return DetectorFiles(folder, trunk, boxes, masks)


def detector_runner(folder: Path, *, threads: int) -> Callable[[Tensor], Detections]:
    """The graphs in `folder` as a function of normalised images ⟨N,C,H,W⟩ of their canvas.

    Raises:
        UserError: a folder that holds no such files, or damaged ones.
    """
    try:
        numbers: dict[str, Any] = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        canvas, n = tuple(numbers["canvas"]), len(numbers["strides"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder} holds no exported detector: its {NUMBERS} is absent or damaged") from None
    trunk, box = _runs(folder / TRUNK, threads), _runs(folder / BOXES, threads)
    mask = _runs(folder / MASKS, threads) if (folder / MASKS).is_file() else None

    def run(images: Tensor) -> Detections:
        out = trunk(images.contiguous().numpy())
        found = regions.find(
            out[:n],
            out[n : 2 * n],
            out[2 * n :],
            lambda x: (lambda both: (both[0], both[1]))(box(x)),
            None if mask is None else lambda x: mask(x)[0],
            canvas,
            numbers,
        )
        masks = None if found.masks is None else torch.from_numpy(found.masks)
        boxes, scores, labels = (torch.from_numpy(one) for one in found[:3])
        return Detections(boxes, scores, labels, masks)

    return run


def _runs(path: Path, threads: int) -> Callable[[np.ndarray], list[np.ndarray]]:
    runtime = session(path, threads=threads)
    name = runtime.get_inputs()[0].name
    return lambda x: [np.asarray(one) for one in runtime.run(None, {name: x})]


class _Trunk(nn.Module):
    def __init__(self, model: Model, head: Detector) -> None:
        super().__init__()
        self.model, self.rpn = model, head.rpn

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = self.model.maps(images)
        scores, deltas = self.rpn(*maps)
        return (*scores, *deltas, *maps)


class _Called(nn.Module):
    """A part under another module, so that it is copied with nothing around it."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Any:
        return self.part(x)
