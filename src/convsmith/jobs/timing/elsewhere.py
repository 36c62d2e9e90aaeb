"""The latency model of a device that is not here, from what a kit brought back; and whether what was sent there met its limit."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ...ambient import undisturbed
from ...errors import UserError
from ...kit import Asked, Manifest, Result
from ...kit.result import Network, Profile
from ...runs import now
from ...speed import Calibrated, Device, DeviceModel, Observed
from ...speed.profiles import Convolutions, Filters, conv_shape, shared_out
from ...speed.totals import shared_totals
from ...watcher import Watcher
from .devices import keep, named, names, refuse_name
from .profile import levelled

__all__ = ["Confirmed", "Outcome", "calibrate_from", "confirm"]


@undisturbed()
def calibrate_from(
    result: str | Path,
    device: str,
    *,
    accept_throttled: bool = False,
    folder: Path | None = None,
    watcher: Watcher | None = None,
) -> tuple[Calibrated, Path]:
    """Make the latency model of the device that a kit was run on, the same that `calibrate` makes of this machine, and keep it by
    the name `device` under `folder`, or in the user's cache: one model for each number of threads and each batch.

    `result` is the kit's result.json, back in the kit's folder.

    Raises:
        UserError: it is cut off, of another kit, of networks that do not calibrate, has what is no time, or is of a device that
            throttled.
    """
    refuse_name(device)
    watcher = watcher or Watcher()
    found, manifest = Result.of(Path(result), accept_throttled=accept_throttled)
    if not manifest.calibrates:
        raise UserError(
            f"{result} is of a kit of your own networks: `convsmith confirm` reads it, and a kit that is written without MODELS "
            "calibrates"
        )
    models, watts = [], []
    for at, (threads, batch) in enumerate(found.settings, start=1):
        watcher.count("models", at, len(found.settings))
        own = Device(
            found.device.processor, found.device.system, manifest.runtime, found.device.version, threads, batch, device
        )
        models.append(_model(found, manifest, own))
        drawn = [one.mj / ms for one, ms in _energies(found, manifest, threads, batch) if one.mj is not None]
        watts.append(statistics.median(drawn) if drawn else None)
    made = Calibrated(device, tuple(models), found.kit, tuple(watts))
    return made, keep(made, folder)


def _model(found: Result, manifest: Manifest, device: Device) -> DeviceModel:
    began, setting = time.monotonic(), (device.threads, device.batch)
    groups = manifest.groups()
    took, anchored = levelled(
        [
            (found.medians(*setting, at, manifest.references), found.medians(*setting, at, own))
            for at, own in enumerate(groups)
        ]
    )
    observed = []
    for id, ms in zip((id for own in groups for id in own), took, strict=True):
        asked, profile = manifest.network(id), found.about(*setting, id).profile
        convs = () if profile is None else _convolutions(profile, ms, device.batch, asked.filters)
        observed.append(Observed(asked.arch(), ms, convs))
    if not any(one.convs for one in observed):
        observed = shared_totals(observed)
    anchors = [(manifest.network(id).name, ms) for id, ms in zip(manifest.references, anchored, strict=True)]
    minutes = sum(one.seconds for one in found.rounds if (one.threads, one.batch) == setting) / 60
    minutes += (time.monotonic() - began) / 60
    return DeviceModel.fitted(observed, device, anchors=anchors, made=now(), minutes=minutes)


def _convolutions(profile: Profile, ms: float, batch: int, filters: Filters) -> Convolutions:
    """(shape, ms) of each convolution for one image: what the profile of a whole batch says, shared among its images."""
    convs = tuple(
        (conv_shape(one.name, *one.taken, one.given, filters, batch), one.ms / batch) for one in profile.convolutions
    )
    return shared_out(convs, profile.ms / batch, profile.kernels, ms)


def _energies(found: Result, manifest: Manifest, threads: int, batch: int) -> list[tuple[Network, float]]:
    """What was found of each network beside its rounds, and its ms."""
    ids = [(at, id) for at, own in enumerate(manifest.groups()) for id in own]
    return [(found.about(threads, batch, id), found.medians(threads, batch, at, [id])[0]) for at, id in ids]


@dataclass(frozen=True)
class Confirmed:
    """A network that was sent to a device: what it took there, what had been estimated, and the limit it was to meet."""

    name: str
    threads: int
    batch: int
    ms: float
    low: float
    high: float
    n: int
    expected: float | None = None
    limit: float | None = None
    mj: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it is within its limit; None where it has none."""
        return None if self.limit is None else self.ms <= self.limit

    @property
    def verdict(self) -> str:
        """Met or missed, by how much, and what to ask for next: as much less than was expected as it took more than the limit."""
        if self.limit is None:
            return ""
        share = abs(1 - self.ms / self.limit)
        if self.met:
            return f"met {self.limit:g} ms, {share:.1%} under it"
        return f"missed {self.limit:g} ms by {share:.1%}: scale again with --to {self.next:.3g}ms"

    @property
    def next(self) -> float | None:
        """The estimate to ask for, were it off by as much again; None without a limit."""
        return None if self.limit is None else (self.expected or self.limit) * self.limit / self.ms


@dataclass(frozen=True)
class Outcome:
    """What came back of a kit: its networks as they were measured there. `level` is how many times as long the reference took as
    when the device was calibrated; None where it was not."""

    device: str
    rows: tuple[Confirmed, ...]
    level: float | None

    def to_record(self) -> dict[str, object]:
        """JSON-ready values."""
        rows = [asdict(one) | {"met": one.met} for one in self.rows]
        return {"device": self.device, "level": self.level, "networks": rows}


def confirm(result: str | Path, *, accept_throttled: bool = False, folder: Path | None = None) -> Outcome:
    """What the networks of a kit took on the device that it was run on, beside what was estimated and what they had to meet.

    Raises:
        UserError: as `calibrate_from` does for a result that cannot be believed.
    """
    found, manifest = Result.of(Path(result), accept_throttled=accept_throttled)
    rows = [
        _confirmed(found, manifest, manifest.network(id), (threads, batch), group)
        for threads, batch in found.settings
        for group, own in enumerate(manifest.groups())
        for id in own
    ]
    machine = f"{found.device.processor}, {manifest.runtime} {found.device.version}"
    said = f"{manifest.device} ({machine})" if manifest.device else machine
    return Outcome(said, tuple(rows), _level(found, manifest, folder))


def _confirmed(found: Result, manifest: Manifest, asked: Asked, setting: tuple[int, int], group: int) -> Confirmed:
    times = [one.ms[asked.id] for one in found.of_group(*setting, group)]
    low, middle, high = (float(value) for value in np.quantile(times, (0.1, 0.5, 0.9)))
    at = manifest.settings.index(setting)
    expected, limit = asked.expected[at] if asked.expected else None, asked.limit if at == 0 else None
    energy = found.about(*setting, asked.id).mj
    return Confirmed(asked.name, *setting, middle, low, high, len(times), expected, limit, energy)


def _level(found: Result, manifest: Manifest, folder: Path | None) -> float | None:
    """The reference's time now over that of the calibration, where the device is known by name and both have it."""
    if manifest.device is None or manifest.device not in names(folder):
        return None
    ratios = []
    for model in named(manifest.device, folder).models:
        threads, batch = model.device.threads, model.device.batch
        then = dict(model.anchors) if (threads, batch) in found.settings else {}
        for id in manifest.references:
            if (name := manifest.network(id).name) in then:
                ratios.append(found.medians(threads, batch, 0, [id])[0] / then[name])
    return statistics.median(ratios) if ratios else None
