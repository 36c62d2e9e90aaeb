"""`convsmith calibrate`: a model of this machine's milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ..units import duration, plural
from .options import OUTPUT, TIMING, Json, RuntimeName, Threads
from .output import emit, out, watching

__all__ = ["Folder", "calibrate"]


Folder = Annotated[
    Path | None, Parameter(help="Where calibrations are kept; ~/.cache/convsmith by default.", group=OUTPUT)
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
    folder: Folder = None,
    json: Json = False,
) -> None:
    """Learn how long kernels take on this machine, so that `estimate` knows any network's milliseconds without running it."""
    from ..errors import CheckFailed
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
    within = sum(abs(ratio - 1) <= 0.15 for ratio in model.error) / len(model.error)
    if json:
        emit({"device": str(model.device), "file": str(path), "networks": networks, "minutes": model.minutes,
              "median_error": model.median_error, "within_15": within})  # fmt: skip
        return
    out.print(
        f"{model.device}: calibrated on {plural(networks, 'network')} in {duration(60 * model.minutes)}", soft_wrap=True
    )
    out.print(f"left out in turn, half are within {model.median_error:.1%}, {within:.0%} within 15 %")
    out.print(f"kept in {path}", soft_wrap=True)
