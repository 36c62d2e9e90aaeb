"""`convsmith estimate`: milliseconds foretold by a calibration."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from .calibrate import Folder
from .early import known_model
from .options import SPEC_HELP, TIMING, Batch, Elsewhere, Json, Resolution, RuntimeName, Threads
from .output import emit, err, out, table, tell_machine

__all__ = ["estimate"]


def estimate(
    models: Annotated[list[str], Parameter(help=SPEC_HELP, validator=known_model)],
    /,
    *,
    runtime: Annotated[RuntimeName, Parameter(help="ort or eager.", group=TIMING)] = "ort",
    threads: Threads = 1,
    batch: Annotated[Batch, Parameter(help="Images at once, with --device.", group=TIMING)] = 1,
    device: Elsewhere = None,
    resolution: Annotated[Resolution, Parameter(help="Another input side for every network.")] = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    """Milliseconds of MODELS as the calibration expects them, here or on a device elsewhere: nothing is built, exported or run."""
    from ..jobs.timing.devices import model_of, named
    from ..resolve import spec as resolve_spec

    specs = [resolve_spec(name, resolution=resolution) for name in models]
    model = model_of(device, runtime, threads, batch, folder)
    found = [(spec, model.predict(spec)) for spec in specs]
    energy = [None if device is None else named(device, folder).millijoules(threads, batch, one.ms) for _, one in found]
    if json:
        rows: list[dict[str, object]] = [
            {"model": spec.name, "ms": one.ms, "low": one.low, "high": one.high} | ({} if mj is None else {"mj": mj})
            for (spec, one), mj in zip(found, energy, strict=True)
        ]
        emit({"device": str(model.device), "made": model.made, "predictions": rows})
        return
    body = [
        [spec.name, f"{one.ms:.3g}", f"{one.low:.3g} - {one.high:.3g}", *(() if mj is None else (f"{mj:.3g}",))]
        for (spec, one), mj in zip(found, energy, strict=True)
    ]
    head = "<model ms 90_%_of_networks" + " mJ" * any(mj is not None for mj in energy)
    out.print(table(f"ms per image, estimated for {model.device}", head, body))
    measures = "measure" if device is None else "kit FOLDER MODELS"
    err.print(f"calibrated {model.made}; `convsmith {measures}` measures", style="dim", soft_wrap=True)
    if device is None:
        tell_machine()
