"""`convsmith evaluate`: what a run is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from .options import Json
from .output import emit, out, told_of, watching

if TYPE_CHECKING:
    pass

__all__ = ["evaluate"]


def evaluate(
    run: Path,
    data: str | None = None,
    /,
    *,
    split: Annotated[Literal["val", "train"], Parameter(help="Which part of the data.")] = "val",
    root: Annotated[Path | None, Parameter(help="Where a named data set lies.")] = None,
    download: Annotated[bool, Parameter(help="Allow a named data set to be downloaded.")] = False,
    device: Annotated[str | None, Parameter(help="cpu, cuda, cuda:1, ...; CUDA where there is one by default.")] = None,
    json: Json = False,
) -> None:
    """Top-1 and top-5 of RUN with 95 % intervals, on its own validation images or on DATA."""
    from ..jobs.evaluate import evaluate as evaluated

    scores = evaluated(run, data, split=split, root=root, download=download, device=device, watcher=watching())
    if json:
        emit(scores.to_record())
        return
    for line in told_of(scores):
        out.print(line, markup=False)
