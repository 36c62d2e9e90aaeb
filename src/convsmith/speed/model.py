"""A calibrated model of one device: the time of any spec from its kernels, with an interval."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arch import ArchSpec
from ..errors import UserError
from .features import OTHERS, UNNAMED, convolutions, described, others, touched
from .kernels import Kernel, kernels

__all__ = ["Device", "DeviceModel", "Observed", "Prediction"]

Array = NDArray[np.float64]
_FOLDS = 5
# On one core of the development machine onnxruntime took 0.83 to 1.09 times as long for 11 of them as for plain ones, torch
# 0.83 to 1.98 times.
_UNSEEN = 1.5
_RIDGE = 0.03  # of the time that is no convolution's: what a sum may claim beyond is for the data to show
_HELD = 0.9  # of networks left out, by the interval
_EVEN = 0.5  # of what is doubted: as much for every network, whatever is known of it
_DOUBTS = 3
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
    def runtime(self) -> str:
        """The one that the device was measured in."""
        return self.device.runtime

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

    ln(time) of a convolution is a quadratic in the logarithms of its shape, and of the bytes that its network touches, plus a
    Gaussian process over the same; the weights of everything else are not negative. `error` are the ratios found / predicted
    of calibration networks, each predicted by a model that had not seen it.
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
    sums: tuple[str, ...] = UNNAMED  # what each of the weights is of
    around: tuple[float, ...] = ()  # for each shape ln of the bytes that its network touches
    doubt: tuple[float, ...] = ()  # half an interval of ln(time): what each of `_doubts` adds to it

    @staticmethod
    def fitted(observed: Sequence[Observed], device: Device, *, anchors: Any, made: str, minutes: float) -> DeviceModel:
        """The model of these networks' times, and its errors on those left out, in five folds."""
        if len(observed) < 2 * _FOLDS:
            raise ValueError(f"a device model needs {2 * _FOLDS} networks; got {len(observed)}")
        whole = _fit(observed, device, None)
        errors, doubts = np.ones(len(observed)), np.ones((len(observed), _DOUBTS))
        for fold in range(_FOLDS):
            seen = [one for at, one in enumerate(observed) if at % _FOLDS != fold]
            left = _fit(seen, device, whole.scales)
            for at in range(fold, len(observed), _FOLDS):
                expected = left._expected(observed[at].spec)
                errors[at], doubts[at] = observed[at].ms / expected.ms, expected.doubts
        return replace(
            whole,
            error=tuple(map(float, errors)),
            doubt=_doubt(np.abs(np.log(errors)), doubts),
            anchors=tuple(anchors),
            made=made,
            minutes=minutes,
        )

    @property
    def median_error(self) -> float:
        """Of calibration networks, each left out in turn."""
        return float(np.median(np.abs(np.asarray(self.error) - 1)))

    def ms(self, spec: ArchSpec) -> float:
        """The milliseconds expected of one image."""
        found = kernels(spec)
        shapes, times = convolutions(found)
        convs = float(np.exp(self._ln_convs(shapes, touched(found))[0]) @ times) if shapes else 0.0
        return convs + self._others(found)

    def predict(self, spec: ArchSpec) -> Prediction:
        """`ms` with an interval.

        Half of it, of ln(time), is what the model was wrong by where it had not seen the network, in proportion to how little
        it knows of this one: how unlike its convolutions are to those it saw, and which share of the time is none of theirs.
        Calibration networks have no dilated or transposed convolutions: these are taken to be as quick as plain ones of as
        many multiply-adds, and the interval is wider by what that may be wrong by.
        """
        expected, found = self._expected(spec), kernels(spec)
        ms = expected.ms
        shapes, times = convolutions(found, ("dilated", "transposed"))
        unseen = float(np.exp(self._ln_convs(shapes, touched(found))[0]) @ times) if shapes else 0.0
        if self.doubt:
            half = float(np.asarray(self.doubt) @ expected.doubts)
            low, high = np.exp(-half), np.exp(half)
        else:
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
        return _regressor(described(self.shapes, self.around), np.asarray(self.ln_ms), self.scales)

    def _ln_convs(
        self, shapes: Sequence[tuple[int, ...]], touches: float, *, unsure: bool = False
    ) -> tuple[Array, Array]:
        """ln(ms) of convolutions in a network that touches so many bytes; where `unsure`, with its deviation, else with 0."""
        rows = described(shapes, [float(np.log(touches))] * len(shapes) if self.around else ())
        line, process, mean, deviation = self._process
        rest, scatter = (
            process.predict((rows - mean) / deviation, return_std=True)
            if unsure
            else (process.predict((rows - mean) / deviation), np.zeros(len(rows)))
        )
        return np.asarray(_quadratic(rows) @ line + rest), np.asarray(scatter)

    def _others(self, found: Mapping[Kernel, int]) -> float:
        sums = others(found, fuses=self.device.fuses)
        return sum(weight * sums[name] for name, weight in zip(self.sums, self.weights, strict=True))

    def _expected(self, spec: ArchSpec) -> _Expected:
        found = kernels(spec)
        shapes, times = convolutions(found)
        rest = self._others(found)
        ln_ms, scatter = self._ln_convs(shapes, touched(found), unsure=True) if shapes else (np.zeros(0), np.zeros(0))
        each = np.exp(ln_ms) * times
        ms = float(each.sum()) + rest
        return _Expected(ms, np.asarray([1.0, rest / ms, float(each @ scatter) / ms]))


@dataclass(frozen=True)
class _Expected:
    """The ms of a network, and what there is to doubt: always something; the share that is no convolution's; how unsure the
    process is of the convolutions, as a share."""

    ms: float
    doubts: Array


def _doubt(errors: Array, doubts: Array) -> tuple[float, ...]:
    """Half an interval for each unit of `doubts`, such that 90 % of `errors` of networks left out are within theirs.

    Half of the mean error is expected of every network alike, so that a few cannot make others' intervals wide; the other half
    is made of the doubts by least squares without negative shares. Then all is scaled so that of n errors, in units of what is
    expected of each, the ceil(0.9 (n + 1))-th is just inside (split conformal prediction).
    """
    from scipy.optimize import nnls

    share = (1 - _EVEN) * nnls(doubts, errors)[0]
    share[0] += _EVEN * float(errors.mean())
    units = np.sort(errors / (doubts @ share))
    place = min(len(units), int(np.ceil(_HELD * (len(units) + 1))))
    return tuple(float(one * units[place - 1]) for one in share)


def _fit(observed: Sequence[Observed], device: Device, scales: tuple[float, ...] | None) -> DeviceModel:
    """The model without its errors."""
    found = [kernels(one.spec) for one in observed]
    seen: dict[tuple[tuple[int, ...], float], list[float]] = {}
    for one, of_it in zip(observed, found, strict=True):
        around = float(np.log(touched(of_it)))
        for shape, ms in one.convs:
            seen.setdefault((tuple(shape), around), []).append(ms)
    shapes, around_each = tuple(shape for shape, _ in seen), tuple(around for _, around in seen)
    ln_ms = np.log([np.median(times) for times in seen.values()])
    rows = described(shapes, around_each)
    scales = _hyperparameters(rows, ln_ms) if scales is None else scales
    sums = [others(one, fuses=device.fuses) for one in found]
    took = np.asarray([one.ms for one in observed])
    rest = took - np.asarray([sum(ms for _, ms in one.convs) for one in observed])
    weights = _weights(np.asarray([[one[name] for name in OTHERS] for one in sums]), rest, took)
    return DeviceModel(
        device, shapes, tuple(map(float, ln_ms)), scales, weights, (1.0,), (), "", 0.0, OTHERS, around_each
    )


def _weights(sums: Array, rest: Array, took: Array) -> tuple[float, ...]:
    """Of everything but convolutions. Relative errors count, so that small networks do."""
    from scipy.optimize import nnls

    size = sums.mean(0) + 1e-12
    columns = sums / size / took[:, None]
    # What several sums explain alike they share.
    small = _RIDGE * len(took) ** 0.5 * np.diag(columns.mean(0))
    found = nnls(np.vstack([columns, small]), np.concatenate([rest / took, np.zeros(len(small))]))[0]
    return tuple(float(weight) for weight in found / size)


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
