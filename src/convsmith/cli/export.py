"""`convsmith export`: a network as a file that runs elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..errors import UserError
from .early import known_model
from .options import COUNT, MODEL_HELP, NATURAL, OUTPUT, POINTS, Json, Moved, MovedVal, Out
from .output import emit, out, watching
from .places import writable

if TYPE_CHECKING:
    from ..exporting import Exported
    from ..exporting.runtimes import Shipped
    from ..jobs.ship.quantise import Shrunk

__all__ = ["export"]


def export(
    model: Annotated[str, Parameter(help=f"A run, usually. {MODEL_HELP}")],
    /,
    *,
    to: Annotated[
        Literal["onnx", "openvino", "executorch", "litert", "coreml"],
        Parameter(help="The runtime that it is for; each but onnx is an extra of its name.", group=OUTPUT),
    ] = "onnx",
    out_file: Annotated[Out, Parameter(help="The file to write; in the run's own folder by default.")] = None,
    static_batch: Annotated[bool, Parameter(help="Fix the batch at 1 instead of leaving it free.")] = False,
    int8: Annotated[
        bool, Parameter(help="Quantise a run to eight bits, calibrated and scored on its own data.")
    ] = False,
    raw_input: Annotated[
        bool,
        Parameter(help="Take uint8 pictures NHWC and give probabilities: normalisation and activation are inside."),
    ] = False,
    calibration: Annotated[
        Literal["minmax", "percentile", "mse"] | None,
        Parameter(help="With --int8: which range of each tensor eight bits are spread over; minmax by default."),
    ] = None,
    keep: Annotated[
        int | None,
        Parameter(
            help="With --int8: leave this many blocks in float, those that eight bits cost most.", validator=NATURAL
        ),
    ] = None,
    max_drop: Annotated[
        float | None,
        Parameter(
            help="With --int8: leave the fewest in float with which at most so many points are lost.", validator=POINTS
        ),
    ] = None,
    must: Annotated[
        str, Parameter(help="With --int8: conditions in quotes, such as 'drop<=1,ms<=5,ratio<=0.3' (exit 1 if broken).")
    ] = "",
    child: Annotated[
        int | None, Parameter(help="Of a search: this child of its front, as its report counts.", validator=COUNT)
    ] = None,
    data: Moved = None,
    val: MovedVal = None,
    json: Json = False,
) -> None:
    """MODEL (a run, usually) as a file for onnxruntime or another runtime, run there on real inputs and held against torch."""
    if child is None:  # of a search alone: that it is none is told by who opens it
        known_model(str, model)
    writable(out_file)
    if must and not int8:
        raise UserError("--must is a gate for --int8")
    if not int8 and (calibration is not None or keep is not None or max_drop is not None):
        raise UserError("--calibration, --keep and --max-drop say how to put a network in eight bits: give --int8 too")
    if keep is not None and max_drop is not None:
        raise UserError("--keep says how many blocks stay in float, --max-drop finds how many: give one of them")
    if static_batch and int8:
        raise UserError("--int8 leaves the batch free; --static-batch is for the float file")
    from ..exporting.runtimes import runtime_named

    if child is not None:
        from ..jobs.search.begin import export_child

        if data is not None or val is not None:
            raise UserError("--data and --val are of a run that trained; a search says by `resume` where its data lies")
        if raw_input:
            raise UserError("--raw-input takes a finished run: give the folder of a winner, RUN/children/BUDGET")
        if int8:
            raise UserError("--int8 takes a finished run: give the folder of a winner, RUN/children/BUDGET")
        if to != "onnx":
            raise UserError(f"--to {to} takes a finished run: give the folder of a winner, RUN/children/BUDGET")
        found: Exported | Shipped | Shrunk = export_child(
            Path(model), child, out_file, dynamic_batch=not static_batch, watcher=watching()
        )
    else:
        from ..exporting.calibration import Calibration
        from ..jobs.ship.eight_bits import EightBits
        from ..jobs.ship.export import export as exported

        found = exported(
            model,
            out_file,
            to=to,
            dynamic_batch=not static_batch,
            int8=int8 and EightBits(Calibration(calibration or "minmax"), keep, max_drop),
            raw_input=raw_input,
            must=must,
            data=data,
            val=val,
            watcher=watching(),
        )
    snippet = found.snippet
    if json:
        emit(found.to_record() | {"format": to, "snippet": snippet})
        return
    for line in found.summary:
        out.print(line, soft_wrap=True, markup=False)
    if snippet is not None:
        title = runtime_named(to).title
        out.print(f"\nThe same answers without convsmith, by {title}, numpy and Pillow:\n", style="dim")
        out.print(snippet, soft_wrap=True, markup=False, highlight=False)
