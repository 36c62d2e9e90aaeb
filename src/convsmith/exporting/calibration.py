"""Which range of each tensor eight bits are spread over: all that some images reach, or less, so that most of it is told finer."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..errors import UserError

if TYPE_CHECKING:
    from onnxruntime.quantization.calibrate import TensorsData

__all__ = ["Calibration", "Images", "least_error", "operators", "percentile", "ranges_of"]

Images = NDArray[np.float32]
Ends = tuple[float, float]
Histogram = tuple[NDArray[np.int64], NDArray[np.float64]]

_BINS = 2048  # eight for each of the levels that eight bits tell apart
_LEVELS = 255
_INSIDE = 0.9999
_ENDS = 64  # that are tried for each end of a range
_AT_ONCE = 4  # images whose maps are held in memory together


class Calibration(StrEnum):
    """How the range of a tensor follows from the values that images give it.

    minmax: from the smallest to the largest. percentile: so that 99.99 % lie within, as many beyond either end. mse: the one
    with the least mean squared error of the values in eight bits. What lies beyond a range becomes its end.
    """

    MINMAX = "minmax"
    PERCENTILE = "percentile"
    MSE = "mse"


def ranges_of(model: Path, images: Sequence[Images], calibration: Calibration) -> TensorsData:
    """The range of each tensor of `model` that onnxruntime's quantiser may ask for, as `images` reach it.

    The smallest and the largest are those of onnxruntime's own calibrator. Its percentiles are not used: it counts in bins that
    are symmetric about 0, which leaves few to what SiLU puts out.

    Raises:
        UserError: the images, or what the network makes of them, are not finite.
    """
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData, create_calibrator

    if not all(np.isfinite(batch).all() for batch in images):
        raise UserError("the images to calibrate on are not finite: ranges of them would be of nothing")
    taken = _input_of(model)
    with tempfile.TemporaryDirectory(prefix="convsmith-") as scratch:
        calibrator = create_calibrator(
            model,
            operators(),
            augmented_model_path=str(Path(scratch) / "augmented.onnx"),
            calibrate_method=CalibrationMethod.MinMax,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of what is no number, which is told below
            calibrator.collect_data(_reader(taken, images))
        found = calibrator.compute_data()
    ends = {name: (float(np.ravel(low)[0]), float(np.ravel(high)[0])) for name, (low, high) in _whole(found)}
    if unsound := [name for name, both in ends.items() if not np.isfinite(both).all()]:
        raise UserError(
            f"the network puts out numbers that are not finite ({unsound[0]}): there is no range to calibrate"
        )
    choose = _CHOICES.get(calibration)
    if choose is None:
        return found
    counted = _histograms(model, taken, images, ends)
    chosen = {name: choose(*histogram) for name, histogram in counted.items()}
    ranges = {name: np.array([chosen.get(name, own)], np.float32).T for name, own in ends.items()}
    made = {name: TensorData(lowest=low, highest=high) for name, (low, high) in ranges.items()}
    return TensorsData(CalibrationMethod.MinMax, made)


def operators() -> list[str]:
    """The kinds of operation that onnxruntime's quantiser knows, in a steady order."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return sorted({*QDQRegistry, *QLinearOpsRegistry})


def percentile(counts: NDArray[np.int64], edges: NDArray[np.float64]) -> Ends:
    """The range that 99.99 % of the values of a histogram lie in, at most half of the others beyond either end."""
    beyond = (1 - _INSIDE) / 2 * counts.sum()
    up, down = np.cumsum(counts), np.cumsum(counts[::-1])
    low = int(np.searchsorted(up, beyond, side="right"))
    high = len(counts) - int(np.searchsorted(down, beyond, side="right"))
    return float(edges[low]), float(edges[high])


def least_error(counts: NDArray[np.int64], edges: NDArray[np.float64]) -> Ends:
    """The range [a, b] with the least mean squared error of the values x of a histogram in eight bits,

        min sum n(x) (x - q(x))^2,   q(x) = a + s clip(round((x - a) / s), 0, 255),   s = (b - a) / 255

    over 64 places of the upper end, then as many of the lower one. 0 is within, as zero padding needs it.
    """
    values = (edges[1:] + edges[:-1]) / 2
    low, high = min(float(edges[0]), 0.0), max(float(edges[-1]), 0.0)
    shares = np.arange(1, _ENDS + 1) / _ENDS
    if high > 0:
        high *= float(shares[np.argmin([_error(values, counts, low, high * share) for share in shares])])
    if low < 0:
        low *= float(shares[np.argmin([_error(values, counts, low * share, high) for share in shares])])
    return low, high


_CHOICES: dict[Calibration, Callable[..., Ends]] = {
    Calibration.PERCENTILE: percentile,
    Calibration.MSE: least_error,
}


def _error(values: NDArray[np.float64], counts: NDArray[np.int64], low: float, high: float) -> float:
    step = (high - low) / _LEVELS
    told = low + step * np.clip(np.round((values - low) / step), 0, _LEVELS)
    return float(counts @ (values - told) ** 2)


def _whole(found: TensorsData) -> Iterator[tuple[str, tuple[Any, Any]]]:
    return ((name, data.range_value) for name, data in found.items())


def _input_of(model: Path) -> str:
    (taken,) = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"]).get_inputs()
    name: str = taken.name
    return name


def _reader(name: str, images: Sequence[Images]) -> object:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest: Iterator[Images] = iter(images)

        def get_next(self) -> dict[str, Images] | None:
            batch = next(self.rest, None)
            return None if batch is None else {name: batch}

    return Reader()


def _histograms(model: Path, taken: str, images: Sequence[Images], ends: dict[str, Ends]) -> dict[str, Histogram]:
    """How often the values of each tensor fall into each part of its range; of those that are one number nothing."""
    import onnx

    wide = onnx.load(model)
    there = {one.name for one in wide.graph.output}
    asked = [name for name, (low, high) in ends.items() if high > low]
    wide.graph.output.extend(onnx.ValueInfoProto(name=name) for name in asked if name not in there | {taken})
    options = onnxruntime.SessionOptions()
    # As it stands in the file: an optimised graph would not have all of its tensors.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    runtime = onnxruntime.InferenceSession(wide.SerializeToString(), options, providers=["CPUExecutionProvider"])
    edges = {name: np.linspace(*ends[name], _BINS + 1) for name in asked}
    counts = {name: np.zeros(_BINS, np.int64) for name in asked}
    run = [name for name in asked if name != taken]
    for batch in images:
        for some in np.array_split(batch, -(-len(batch) // _AT_ONCE)):
            values = dict(zip(run, runtime.run(run, {taken: some}), strict=True)) | {taken: some}
            for name in asked:
                counts[name] += np.histogram(values[name], bins=_BINS, range=ends[name])[0]
    return {name: (counts[name], edges[name]) for name in asked}
