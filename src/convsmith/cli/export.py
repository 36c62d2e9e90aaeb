"""`convsmith export`: a network as a file that runs elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..errors import UserError
from ..scores import Unit
from ..units import plural
from .early import known_model
from .options import COUNT, MODEL_HELP, NATURAL, OUTPUT, POINTS, Json, Moved, MovedVal, Out
from .output import emit, out, watching
from .places import writable

if TYPE_CHECKING:
    from ..exporting import Exported
    from ..jobs.ship.quantise import Shrunk
    from ..runs import BlocksInFloat

__all__ = ["export"]


def export(
    model: Annotated[str, Parameter(help=f"A run, usually. {MODEL_HELP}")],
    /,
    *,
    to: Annotated[Literal["onnx"], Parameter(help="The format.", group=OUTPUT)] = "onnx",
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
    """MODEL (a run, usually) as an ONNX file, run by onnxruntime on real inputs and compared with the network."""
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
    from ..exporting import Exported

    if child is not None:
        from ..jobs.search.begin import export_child

        if data is not None or val is not None:
            raise UserError("--data and --val are of a run that trained; a search says by `resume` where its data lies")
        if raw_input:
            raise UserError("--raw-input takes a finished run: give the folder of a winner, RUN/children/BUDGET")
        if int8:
            raise UserError("--int8 takes a finished run: give the folder of a winner, RUN/children/BUDGET")
        found: Exported | Shrunk = export_child(
            Path(model), child, out_file, dynamic_batch=not static_batch, watcher=watching()
        )
    else:
        from ..exporting.calibration import Calibration
        from ..jobs.ship.eight_bits import EightBits
        from ..jobs.ship.export import export as exported

        found = exported(
            model,
            out_file,
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
    for line in _floats(found) if isinstance(found, Exported) else _eights(found):
        out.print(line, soft_wrap=True, markup=False)
    if snippet is not None:
        out.print("\nThe same answers without convsmith, by onnxruntime, numpy and Pillow:\n", style="dim")
        out.print(snippet, soft_wrap=True, markup=False, highlight=False)


def _floats(found: Exported) -> list[str]:
    batch = "a batch of any size" if found.dynamic_batch else "a batch of 1"
    return [
        f"file      {found.path}",
        f"size      {found.bytes / 1e6:.2f} MB, opset {found.opset}, {batch}",
        f"answers   within {found.relative_difference:.1e} of the network's (at most {found.tolerance:.0e} is allowed), "
        f"{plural(found.n, 'image')} run by {found.runtime}",
    ]


def _eights(found: Shrunk) -> list[str]:
    made, (whole, small) = found.quantised, found.timing.rows
    return [
        f"file      {made.path}",
        f"size      {made.bytes / 1e6:.2f} MB, {made.bytes / made.float_bytes:.0%} of the float file's "
        f"{made.float_bytes / 1e6:.2f} MB; {made.int8_convolutions} of {plural(made.convolutions, 'convolution')} in eight bits",
        f"score     {found.top1:.2%}, the float file's {found.float_top1:.2%} (n = {found.n})",
        *(() if found.blocks is None else _kept(found.blocks, made.path)),
        *(f"{name:<9} {row.median_ms:.3g} ms (p10 {row.p10_ms:.3g}, p90 {row.p90_ms:.3g}, n = {row.n})"
          for name, row in (("latency", small), ("float", whole))),
        *(f"          {sentence}" for sentence in found.timing.verdict),
    ]  # fmt: skip


def _kept(blocks: BlocksInFloat, file: Path) -> list[str]:
    """What stays in float, and what is lost, of images that did not choose it."""
    ends = (
        "" if blocks.lost_interval is None else " [{:.2f}, {:.2f}]".format(*(100 * end for end in blocks.lost_interval))
    )
    share = blocks.score.unit is Unit.SHARE
    lost = f"{100 * blocks.lost:.2f} points{ends}" if share else f"{blocks.lost:.4g}"
    return [
        f"lost      {lost}, of images that chose nothing; {plural(blocks.chosen_on, 'other')} chose",
        f"in float  {len(blocks.kept)} of {plural(len(blocks.blocks), 'block')}"
        + (f": {', '.join(blocks.kept)}" if blocks.kept else ""),
        f"page      {file.with_suffix('.blocks.html')}",
    ]
