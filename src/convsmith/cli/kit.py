"""`convsmith kit` and `convsmith confirm`: networks go to a device that is elsewhere, and what they took there comes back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from .calibrate import Folder, Throttled
from .early import known_budget, known_model
from .options import BUDGETS, COUNT, MODEL_HELP, PROCESSES, TIMING, Elsewhere, Json
from .output import emit, out, table, watching

if TYPE_CHECKING:
    from ..jobs.timing.kit import Written

__all__ = ["confirm", "kit", "tell_kit"]


def kit(
    to_folder: Annotated[Path, Parameter(name="KIT", help="Where the kit is written; it must be new or empty.")],
    models: Annotated[tuple[str, ...], Parameter(help=MODEL_HELP, validator=known_model)] = (),
    /,
    *,
    runtime: Annotated[
        Literal["ort", "litert"], Parameter(help="What the device has: onnxruntime or LiteRT.", group=TIMING)
    ] = "ort",
    threads: Annotated[
        tuple[int, ...],
        Parameter(
            help="Threads of the runtime; several are measured each.",
            validator=PROCESSES,
            consume_multiple=True,
            group=TIMING,
        ),
    ] = (1,),
    batches: Annotated[
        tuple[int, ...],
        Parameter(
            help="Images at once; several are measured each.", validator=COUNT, consume_multiple=True, group=TIMING
        ),
    ] = (1,),
    networks: Annotated[
        int, Parameter(help="Without MODELS: networks to calibrate by.", validator=Number(gte=10), group=TIMING)
    ] = 90,
    device: Annotated[
        Elsewhere, Parameter(help="With MODELS: note what this calibrated device is expected to take.")
    ] = None,
    to: Annotated[
        str | None,
        Parameter(help="With MODELS: the milliseconds to meet, as 5ms.", validator=known_budget, group=BUDGETS),
    ] = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    """Write a folder that measures networks where there is no PyTorch: those of a calibration, or MODELS.

    Copy it to the device, run `python run.py` there, which needs NumPy and the runtime alone, and put the result.json that it
    leaves back into the folder. `convsmith calibrate --from` makes the device's model of it; of MODELS, `convsmith confirm` says
    what they took.
    """
    from ..jobs.timing.kit import write_kit

    made = write_kit(
        to_folder, models, runtime=runtime, threads=threads, batches=batches, networks=networks, device=device, to=to,
        calibrations=folder, watcher=watching(),
    )  # fmt: skip
    if json:
        asked = [{"name": one.name, "limit": one.limit, "expected": one.expected} for one in made.manifest.networks]
        emit({"folder": str(made.folder), "bytes": made.bytes, "settings": made.manifest.settings, "networks": asked})
        return
    tell_kit(made)


def tell_kit(made: Written) -> None:
    """Say what was written, and what to do with it."""
    from ..kit.run import RUNTIMES
    from ..units import plural

    package = RUNTIMES[made.manifest.runtime].package
    out.print(f"wrote {made.folder}: {plural(made.networks, 'network')}, {made.bytes / 1e6:.0f} MB", soft_wrap=True)
    result = made.folder / "result.json"
    out.print(f"copy it to the device; there `pip install numpy {package}` and `python run.py`", soft_wrap=True)
    after = f"calibrate --from {result} --device NAME" if made.manifest.calibrates else f"confirm {result}"
    out.print(f"put its result.json back into {made.folder}, then `convsmith {after}`", soft_wrap=True)


def confirm(
    result: Annotated[Path, Parameter(help="The result.json of a kit of MODELS, back in the kit's folder.")],
    /,
    *,
    accept_throttled: Throttled = False,
    folder: Folder = None,
    json: Json = False,
) -> None:
    """What networks took on the device that they were sent to, beside what was estimated and what they had to meet.

    It ends with 1 where one misses its limit.
    """
    from ..errors import CheckFailed
    from ..jobs.timing.elsewhere import confirm as confirmed

    found = confirmed(result, accept_throttled=accept_throttled, folder=folder)
    missed = [one for one in found.rows if one.met is False]
    said = f"{missed[0].name} {missed[0].verdict}" if missed else None
    if json:
        emit(found.to_record() | ({} if said is None else {"error": said}))
    else:
        body = [
            [
                one.name, str(one.threads), str(one.batch), f"{one.ms:.3g}", f"{one.low:.3g} - {one.high:.3g}",
                "-" if one.expected is None else f"{one.expected:.3g}", "-" if one.mj is None else f"{one.mj:.3g}",
            ]
            for one in found.rows
        ]  # fmt: skip
        head = "<model threads batch ms p10_-_p90 estimated mJ"
        out.print(table(f"ms per image, measured on {found.device}", head, body))
        for one in found.rows:
            if one.verdict:
                out.print(f"{one.name} {one.verdict}", soft_wrap=True)
        if found.level is not None:
            out.print(
                f"the reference took {found.level:.2f} times as long as when the device was calibrated", soft_wrap=True
            )
    if said is not None:
        raise CheckFailed(said, told=json)
