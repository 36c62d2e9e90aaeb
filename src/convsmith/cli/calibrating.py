"""`convsmith calibrate` and `convsmith predict`: milliseconds from a model of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from .options import COUNT, Json, RuntimeName
from .output import emit, err, machine_line, out, table, watching

__all__ = ["calibrate", "predict"]

Folder = Annotated[Path | None, Parameter(help="Where calibrations are kept; ~/.cache/convsmith by default.")]


def calibrate(
    *,
    runtime: Annotated[
        RuntimeName, Parameter(help="ort or eager; compile takes longer to compile than to measure.")
    ] = "ort",
    threads: Annotated[int, Parameter(help="Threads of the runtime.", validator=COUNT)] = 1,
    networks: Annotated[
        int, Parameter(help="Networks to time; more take longer and predict better.", validator=Number(gte=10))
    ] = 90,
    check: Annotated[bool, Parameter(help="Only say whether the calibration that exists still ranks.")] = False,
    folder: Folder = None,
    json: Json = False,
) -> None:
    """Learn how long kernels take on this machine, so that `predict` knows any network's milliseconds without running it."""
    from ..calibrating import CACHE, calibration, steady
    from ..calibrating import calibrate as calibrated
    from ..errors import CheckFailed

    where, watcher = folder or CACHE, watching()
    if check:
        found = steady(calibration(runtime, threads, where), watcher=watcher)
        if json:
            emit({"anchors": dict(found.ratios), "ranks": found.ranks})
        else:
            out.print(str(found), soft_wrap=True)
        if not found.ranks:
            raise CheckFailed("the calibration cannot rank on this machine now")
        return
    model, path = calibrated(runtime, threads, networks=networks, folder=where, watcher=watcher)
    within = sum(abs(ratio - 1) <= 0.15 for ratio in model.error) / len(model.error)
    if json:
        emit({"device": str(model.device), "file": str(path), "networks": networks, "minutes": model.minutes,
              "median_error": model.median_error, "within_15": within})  # fmt: skip
        return
    out.print(f"{model.device}: calibrated on {networks} networks in {model.minutes:.1f} minutes", soft_wrap=True)
    out.print(f"left out in turn, half are within {model.median_error:.1%}, {within:.0%} within 15 %")
    out.print(f"kept in {path}", soft_wrap=True)


def predict(
    models: Annotated[list[str], Parameter(negative=())],
    /,
    *,
    runtime: Annotated[RuntimeName, Parameter(help="ort or eager.")] = "ort",
    threads: Annotated[int, Parameter(help="Threads of the runtime.", validator=COUNT)] = 1,
    resolution: Annotated[int | None, Parameter(help="Another input side for every network.", validator=COUNT)] = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    """Milliseconds of MODELS as the calibration expects them: nothing is built, exported or run."""
    from ..calibrating import CACHE, calibration
    from ..resolve import spec as resolve_spec

    specs = [resolve_spec(name, resolution=resolution) for name in models]
    model = calibration(runtime, threads, folder or CACHE)
    found = [(spec, model.predict(spec)) for spec in specs]
    if json:
        rows = [{"model": spec.name, "ms": one.ms, "low": one.low, "high": one.high} for spec, one in found]
        emit({"device": str(model.device), "made": model.made, "predictions": rows})
        return
    body = [[spec.name, f"{one.ms:.3g}", f"{one.low:.3g} - {one.high:.3g}"] for spec, one in found]
    out.print(table(f"ms per image, predicted for {model.device}", "<model ms 90_%_of_networks", body))
    err.print(f"calibrated {model.made}; `convsmith measure` measures", style="dim", soft_wrap=True)
    err.print(machine_line(), style="dim", soft_wrap=True)
