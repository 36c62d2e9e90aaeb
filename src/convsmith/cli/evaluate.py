"""`convsmith evaluate`: what a run is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from .options import DATA, DATA_HELP, Device, Download, Json, Out, Root, Run
from .output import emit, out, watching

if TYPE_CHECKING:
    pass

__all__ = ["evaluate"]


def evaluate(
    run: Run,
    data: Annotated[str | None, Parameter(help=f"What to score it on, not its own: {DATA_HELP}")] = None,
    /,
    *,
    split: Annotated[
        Literal["val", "train", "test", "all"] | None,
        Parameter(help="Which part; of DATA that is not divided, all by default, otherwise val.", group=DATA),
    ] = None,
    root: Root = None,
    download: Download = False,
    device: Device = None,
    out_folder: Annotated[Out, Parameter(help="A folder for classes.csv and, of a classifier, confusion.csv.")] = None,
    json: Json = False,
) -> None:
    """Top-1 and top-5 of RUN with 95 % intervals, on its own validation images, or on every image of DATA."""
    from ..jobs.evaluate import evaluate as evaluated

    scores = evaluated(
        run, data, split=split, root=root, download=download, device=device, out=out_folder, watcher=watching()
    )
    if json:
        emit(scores.to_record())
        return
    for line in scores.lines():
        out.print(line, markup=False)
