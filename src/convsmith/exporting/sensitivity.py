"""How far a network in eight bits is from the one in float, before anything decides."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .calibration import Images
from .int8 import Quantiser

__all__ = ["Deviation"]


class Deviation:
    """What eight bits cost on some images: of y in float and y' in eight bits, the mean over tensors of

        sum (y' - y)^2 / sum (y - mean y)^2

    y is what the part of the network that goes in eight bits puts out: a classifier's logits, a detector's maps. It needs no
    labels, and tells blocks apart that cost no answer on a few hundred images.
    """

    def __init__(self, quantiser: Quantiser, images: Sequence[Images]) -> None:
        self._quantiser, self._images = quantiser, images
        self._names = quantiser.puts_out()
        self._whole = self._run(quantiser.in_float(self._names).SerializeToString())

    def __call__(self, floats: Collection[str] = ()) -> float:
        """Of the file in which the nodes `floats` stay in float."""
        with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
            path = Path(scratch) / "eight.onnx"
            self._quantiser.save(path, floats=floats, also=self._names)
            found = self._run(str(path))
        return float(np.mean([_apart(own, other) for own, other in zip(self._whole, found, strict=True)]))

    def _run(self, file: str | bytes) -> list[NDArray[np.float32]]:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        runtime = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        (taken,) = runtime.get_inputs()
        parts = self._images if taken.shape[0] != 1 else [one[None] for batch in self._images for one in batch]
        found = [runtime.run(list(self._names), {taken.name: part}) for part in parts]
        return [np.concatenate(own) for own in zip(*found, strict=True)]


def _apart(own: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    own, other = own.astype(np.float64), other.astype(np.float64)
    return float(((other - own) ** 2).sum() / (((own - own.mean()) ** 2).sum() or 1.0))
