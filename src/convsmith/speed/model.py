"""A calibrated model of one device: the time of any spec from its kernels, with an interval."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arch import ArchSpec
from ..errors import UserError
from .features import convolutions, described, others
from .kernels import kernels

__all__ = ["Device", "DeviceModel", "Observed", "Prediction"]

Array = NDArray[np.float64]
_FOLDS = 5
# On one core of the development machine onnxruntime took 0.83 to 1.09 times as long for 11 of them as for plain ones, torch
# 0.83 to 1.98 times.
_UNSEEN = 1.5
_TRIED = 500  # convolutions that the process's hyperparameters are chosen on


@dataclass(frozen=True)
class Device:
    """What a calibration holds for: another processor, runtime, version, number of threads or batch needs its own.

    `name` is what the user calls a device that is elsewhere; this machine has none.
    """

    processor: str
    system: str
    runtime: str
    version: str
    threads: int
    batch: int = 1
    name: str = ""

    @property
    def fuses(self) -> bool:
        """Whether what follows a convolution is folded into it."""
        return self.runtime != "eager"

    def __str__(self) -> str:
        made = f"{self.processor}, {self.runtime} {self.version}, {self.threads} thread{'s' * (self.threads > 1)}"
        made += f", batch {self.batch}" * (self.batch > 1)
        return f"{self.name} ({made})" if self.name else made

    def to_record(self) -> dict[str, object]:
        """JSON-ready values: what every calibration has, and what only those from elsewhere have."""
        later = {"batch": 1, "name": ""}
        return {field: own for field, own in asdict(self).items() if own != later.get(field)}


@dataclass(frozen=True)
class Prediction:
    """Milliseconds of one image on a device, with the interval that held 90 % of the networks left out of its calibration."""

    ms: float
    low: float
    high: float
    device: Device

    @property
    def noisy(self) -> None:
        """No rounds were timed that could be."""
        return None

    @property
    def estimated_for(self) -> str:
        """The device, by name."""
        return self.device.name

    @property
    def median_ms(self) -> float:
        """The milliseconds expected."""
        return self.ms

    @property
    def within(self) -> tuple[float, float]:
        """The interval."""
        return self.low, self.high

    @property
    def told(self) -> str:
        """A line that says what was estimated, and for which device."""
        return (
            f"estimated {self.ms:.3g} ms for {self.device}; 90 % of the networks left out of its calibration were within "
            f"{self.low:.3g} to {self.high:.3g}"
        )

    def to_record(self) -> dict[str, object]:
        """JSON-ready values."""
        own = {"ms": self.ms, "low": self.low, "high": self.high}
        return {"estimated_for": str(self.device), "batch": self.device.batch, "threads": self.device.threads} | own


@dataclass(frozen=True)
class Observed:
    """One calibration network: its time, and the time of each of its convolutions (shape, ms) out of its profile."""

    spec: ArchSpec
    ms: float
    convs: tuple[tuple[tuple[int, ...], float], ...]


@dataclass(frozen=True)
class DeviceModel:
    """Time = sum of convolutions + a weighted sum of everything else.

    ln(time) of a convolution is a quadratic in the logarithms of its shape plus a Gaussian process over the same; the
    weights of everything else are not negative. `error` are the ratios found / predicted of calibration networks, each
    predicted by a model that had not seen it.
    """

    device: Device
    shapes: tuple[tuple[int, ...], ...]
    ln_ms: tuple[float, ...]
    scales: tuple[float, ...]  # of the process: signal variance, noise variance, then one length a feature
    weights: tuple[float, ...]
    error: tuple[float, ...]
    anchors: tuple[
        tuple[str, float], ...
    ]  # networks by name with their ms at calibration: what another day is compared to
    made: str
    minutes: float

    @staticmethod
    def fitted(observed: Sequence[Observed], device: Device, *, anchors: Any, made: str, minutes: float) -> DeviceModel:
        """The model of these networks' times, and its errors on those left out, in five folds."""
        if len(observed) < 2 * _FOLDS:
            raise ValueError(f"a device model needs {2 * _FOLDS} networks; got {len(observed)}")
        whole = _fit(observed, None, fuses=device.fuses)
        errors = np.ones(len(observed))
        for fold in range(_FOLDS):
            seen = [one for at, one in enumerate(observed) if at % _FOLDS != fold]
            part = _fit(seen, whole[2], fuses=device.fuses)
            left = DeviceModel(device, part[0], part[1], part[2], part[3], (1.0,), (), "", 0.0)
            for at in range(fold, len(observed), _FOLDS):
                errors[at] = observed[at].ms / left.ms(observed[at].spec)
        error = tuple(map(float, errors))
        return DeviceModel(device, whole[0], whole[1], whole[2], whole[3], error, tuple(anchors), made, minutes)

    @property
    def median_error(self) -> float:
        """Of calibration networks, each left out in turn."""
        return float(np.median(np.abs(np.asarray(self.error) - 1)))

    def ms(self, spec: ArchSpec) -> float:
        """The milliseconds expected of one image."""
        found = kernels(spec)
        shapes, times = convolutions(found)
        convs = float(np.exp(self._ln_convs(shapes)) @ times) if shapes else 0.0
        return convs + float(others(found, fuses=self.device.fuses) @ np.asarray(self.weights))

    def predict(self, spec: ArchSpec) -> Prediction:
        """`ms` with an interval. Calibration networks have no dilated or transposed convolutions: these are taken to be as
        quick as plain ones of as many multiply-adds, and the interval is wider by what that may be wrong by."""
        ms = self.ms(spec)
        shapes, times = convolutions(kernels(spec), ("dilated", "transposed"))
        unseen = float(np.exp(self._ln_convs(shapes)) @ times) if shapes else 0.0
        low, high = np.quantile(self.error, (0.05, 0.95))
        least, most = ms - unseen + unseen / _UNSEEN, ms - unseen + unseen * _UNSEEN
        return Prediction(ms, float(least * low), float(most * high), self.device)

    def to_record(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"device": self.device.to_record()}

    def to_json(self) -> str:
        return json.dumps(self.to_record(), indent=None) + "\n"

    @staticmethod
    def from_json(text: str, source: str) -> DeviceModel:
        try:
            return DeviceModel.from_record(json.loads(text))
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{source} is not a calibration ({error}); remove it and run `convsmith calibrate`"
            ) from None

    @staticmethod
    def from_record(data: dict[str, Any]) -> DeviceModel:
        """The model that `to_record` wrote. Raises ValueError, TypeError or KeyError where it did not."""
        nested = {name: tuple(tuple(one) for one in data[name]) for name in ("shapes", "anchors")}
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
        return DeviceModel(**values | nested | {"device": Device(**data["device"])})

    @cached_property
    def _process(self) -> Any:
        return _regressor(described(self.shapes), np.asarray(self.ln_ms), self.scales)

    def _ln_convs(self, shapes: Sequence[tuple[int, ...]]) -> Array:
        rows = described(shapes)
        line, process, mean, deviation = self._process
        return np.asarray(_quadratic(rows) @ line + process.predict((rows - mean) / deviation))


def _fit(observed: Sequence[Observed], scales: tuple[float, ...] | None, *, fuses: bool) -> Any:
    """Shapes, their ln ms, the process's scales, and the weights of everything else."""
    seen: dict[tuple[int, ...], list[float]] = {}
    for one in observed:
        for shape, ms in one.convs:
            seen.setdefault(tuple(shape), []).append(ms)
    shapes = tuple(seen)
    ln_ms = np.log([np.median(times) for times in seen.values()])
    rows = described(shapes)
    scales = _hyperparameters(rows, ln_ms) if scales is None else scales
    from scipy.optimize import nnls

    found = [kernels(one.spec) for one in observed]
    sums = np.asarray([others(one, fuses=fuses) for one in found])
    took = np.asarray([one.ms for one in observed])
    rest = took - np.asarray([sum(ms for _, ms in one.convs) for one in observed])
    size = sums.max(0) + 1e-12
    # Relative errors count, so that small networks do.
    weights = nnls(sums / size / took[:, None], rest / took)[0] / size
    return shapes, tuple(map(float, ln_ms)), scales, tuple(map(float, weights))


def _quadratic(rows: Array) -> Array:
    sizes = rows[:, :4]
    crossed = np.c_[rows[:, 0] * rows[:, 1], rows[:, 0] * rows[:, 2], rows[:, 1] * rows[:, 2]]
    made: Array = np.c_[np.ones(len(rows)), rows, sizes**2, crossed, rows[:, 5:6] * rows[:, :5]]
    return made


def _rest(rows: Array, ln_ms: Array) -> tuple[Array, Array, Array, Array]:
    line: Array = np.asarray(np.linalg.lstsq(_quadratic(rows), ln_ms, rcond=1e-8)[0], float)
    mean, deviation = rows.mean(0), rows.std(0) + 1e-9
    return line, ln_ms - _quadratic(rows) @ line, mean, deviation


def _hyperparameters(rows: Array, ln_ms: Array) -> tuple[float, ...]:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    _, rest, mean, deviation = _rest(rows, ln_ms)
    some = np.random.default_rng(0).permutation(len(rows))[:_TRIED]
    kernel = ConstantKernel(0.1) * Matern([2.0] * rows.shape[1], nu=1.5) + WhiteKernel(0.03)
    with warnings.catch_warnings():
        # A feature that says nothing has a length at its bound.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = GaussianProcessRegressor(kernel).fit(((rows - mean) / deviation)[some], rest[some]).kernel_
    return (float(found.k1.k1.constant_value), float(found.k2.noise_level), *map(float, found.k1.k2.length_scale))


def _regressor(rows: Array, ln_ms: Array, scales: Sequence[float]) -> tuple[Array, Any, Array, Array]:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    line, rest, mean, deviation = _rest(rows, ln_ms)
    kernel = ConstantKernel(scales[0]) * Matern(list(scales[2:]), nu=1.5)
    process = GaussianProcessRegressor(kernel, alpha=scales[1], optimizer=None)
    return line, process.fit((rows - mean) / deviation, rest), mean, deviation
