"""`convsmith export`: a network as a file that runs elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..errors import UserError
from .early import known_model
from .options import COUNT, MODEL_HELP, OUTPUT, Json, Out
from .output import emit, out, watching
from .places import writable

if TYPE_CHECKING:
    pass

__all__ = ["export"]


def export(
    model: Annotated[str, Parameter(help=f"A run, usually. {MODEL_HELP}", validator=known_model)],
    /,
    *,
    to: Annotated[Literal["onnx"], Parameter(help="The format.", group=OUTPUT)] = "onnx",
    out_file: Annotated[Out, Parameter(help="The file to write; in the run's own folder by default.")] = None,
    static_batch: Annotated[bool, Parameter(help="Fix the batch at 1 instead of leaving it free.")] = False,
    int8: Annotated[
        bool, Parameter(help="Quantise a run to eight bits, calibrated and scored on its own data.")
    ] = False,
    must: Annotated[
        str, Parameter(help="With --int8: conditions such as drop<=1,ms<=5,ratio<=0.3 (exit 1 if broken).")
    ] = "",
    child: Annotated[
        int | None, Parameter(help="Of a search: this child of its front, as its report counts.", validator=COUNT)
    ] = None,
    json: Json = False,
) -> None:
    """MODEL (a run, usually) as an ONNX file, run by onnxruntime on real inputs and compared with the network."""
    writable(out_file)
    if must and not int8:
        raise UserError("--must is a gate for --int8")
    if static_batch and int8:
        raise UserError("--int8 leaves the batch free; --static-batch is for the float file")
    if child is not None:
        from ..jobs.search.begin import export_child

        if int8:
            raise UserError("--int8 takes a finished run: give the folder of a winner, RUN/children/BUDGET")
        child_file = export_child(Path(model), child, out_file, dynamic_batch=not static_batch, watcher=watching())
        record, snippet = child_file.to_record(), child_file.snippet
    else:
        from ..jobs.ship.export import export as exported

        found = exported(model, out_file, dynamic_batch=not static_batch, int8=int8, must=must, watcher=watching())
        record, snippet = found.to_record(), found.snippet
    record |= {"format": to}
    if json:
        emit(record | {"snippet": snippet})
        return
    for key, value in record.items():
        out.print(f"{key.replace('_', ' '):>20}  {value}", soft_wrap=True)
    if snippet is not None:
        out.print("\nThe same answers without convsmith, by onnxruntime, numpy and Pillow:\n", style="dim")
        out.print(snippet, soft_wrap=True, markup=False, highlight=False)
