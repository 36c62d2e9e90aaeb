"""`convsmith estimate`: milliseconds foretold by a calibration."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from .calibrate import Folder
from .early import known_model
from .options import SPEC_HELP, TIMING, Json, Resolution, RuntimeName, Threads
from .output import emit, err, out, table, tell_machine

__all__ = ["estimate"]


def estimate(
    models: Annotated[list[str], Parameter(help=SPEC_HELP, validator=known_model)],
    /,
    *,
    runtime: Annotated[RuntimeName, Parameter(help="ort or eager.", group=TIMING)] = "ort",
    threads: Threads = 1,
    resolution: Annotated[Resolution, Parameter(help="Another input side for every network.")] = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    """Milliseconds of MODELS as the calibration expects them: nothing is built, exported or run."""
    from ..jobs.timing.calibrate import CACHE, calibration
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
    tell_machine()
