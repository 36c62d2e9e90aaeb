"""`convsmith calibrate`: a model of this machine's milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ..errors import CheckFailed, UserError
from ..units import duration, plural
from .options import OUTPUT, TIMING, Elsewhere, Json, RuntimeName, Threads
from .output import emit, out, watching

if TYPE_CHECKING:
    from ..speed import DeviceModel

__all__ = ["Folder", "Throttled", "calibrate"]


Folder = Annotated[
    Path | None, Parameter(help="Where calibrations are kept; ~/.cache/convsmith by default.", group=OUTPUT)
]


Throttled = Annotated[
    bool,
    Parameter(name="--accept-throttled", help="Take a result though its device slowed down on the way.", group=TIMING),
]


def calibrate(
    *,
    runtime: Annotated[
        RuntimeName,
        Parameter(help="ort or eager; compile takes longer to compile than to measure.", group=TIMING),
    ] = "ort",
    threads: Threads = 1,
    networks: Annotated[
        int,
        Parameter(
            help="Networks to time; more take longer and predict better.", validator=Number(gte=10), group=TIMING
        ),
    ] = 90,
    check: Annotated[
        bool, Parameter(help="Only say whether the calibration that exists still ranks.", group=TIMING)
    ] = False,
    result: Annotated[
        Path | None,
        Parameter(
            name="--from",
            help="Of a device elsewhere: the result.json that a kit brought back, in the kit's folder.",
            group=TIMING,
        ),
    ] = None,
    device: Annotated[Elsewhere, Parameter(help="With --from: what to call the device, such as pi4.")] = None,
    accept_throttled: Throttled = False,
    folder: Folder = None,
    json: Json = False,
) -> None:
    """Learn how long kernels take, here or, from what a `kit` brought back, on a device elsewhere: `estimate` then knows any
    network's milliseconds without running it."""
    if (result is None) is not (device is None):
        raise UserError(
            "--from and --device go together: `calibrate --from KIT/result.json --device pi4`; this machine needs neither"
        )
    if result is not None and device is not None:
        if (runtime, threads, networks, check) != ("ort", 1, 90, False):
            raise UserError("--runtime, --threads, --networks and --check are of this machine; a kit has its own")
        _elsewhere(result, device, accept_throttled, folder, json)
        return
    from ..jobs.timing.calibrate import CACHE, calibration, steady
    from ..jobs.timing.calibrate import calibrate as calibrated

    where, watcher = folder or CACHE, watching()
    if check:
        found = steady(calibration(runtime, threads, where), watcher=watcher)
        failed = None if found.ranks else "the calibration cannot rank on this machine now"
        if json:
            record = {"anchors": dict(found.ratios), "ranks": found.ranks}
            emit(record if failed is None else record | {"error": failed})
        else:
            out.print(str(found), soft_wrap=True)
        if failed is not None:
            raise CheckFailed(failed, told=json)
        return
    model, path = calibrated(runtime, threads, networks=networks, folder=where, watcher=watcher)
    if json:
        emit(_record(model) | {"file": str(path)})
        return
    _tell(model)
    out.print(f"kept in {path}", soft_wrap=True)


def _elsewhere(result: Path, device: str, accept_throttled: bool, folder: Path | None, json: bool) -> None:
    from ..jobs.timing.elsewhere import calibrate_from

    made, path = calibrate_from(result, device, accept_throttled=accept_throttled, folder=folder, watcher=watching())
    if json:
        models = [_record(one) | {"watts": watts} for one, watts in zip(made.models, made.watts, strict=True)]
        emit({"name": device, "file": str(path), "models": models})
        return
    for model, watts in zip(made.models, made.watts, strict=True):
        _tell(model)
        if watts is not None:
            out.print(f"its processor draws {watts:.3g} W meanwhile, idling included")
    out.print(f"kept in {path}; `convsmith estimate MODEL --device {device}` estimates for it", soft_wrap=True)


def _within(model: DeviceModel) -> float:
    return sum(abs(ratio - 1) <= 0.15 for ratio in model.error) / len(model.error)


def _record(model: DeviceModel) -> dict[str, object]:
    return {"device": str(model.device), "networks": len(model.error), "minutes": model.minutes,
            "median_error": model.median_error, "within_15": _within(model)}  # fmt: skip


def _tell(model: DeviceModel) -> None:
    out.print(
        f"{model.device}: calibrated on {plural(len(model.error), 'network')} in {duration(60 * model.minutes)}",
        soft_wrap=True,
    )
    out.print(f"left out in turn, half are within {model.median_error:.1%}, {_within(model):.0%} within 15 %")
