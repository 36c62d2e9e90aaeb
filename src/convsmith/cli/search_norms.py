"""`convsmith search norms`: a layer that normalises and activates, searched for on the user's data."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from .options import (
    COUNT,
    DATA,
    NETWORK,
    OUTPUT,
    SEARCHING,
    TRAINING,
    Cluster,
    Data,
    Download,
    Jobs,
    Json,
    Out,
    Root,
    Seed,
)
from .output import emit, out, table, watching

if TYPE_CHECKING:
    from ..jobs.norms.begin import NormSearch

__all__ = ["norms"]


def norms(
    data: Data,
    /,
    *,
    layers: Annotated[
        int,
        Parameter(
            help="Layers to try in networks. A few dozen show how it works; thousands, in a night, may find something.",
            validator=COUNT,
            group=SEARCHING,
        ),
    ] = 48,
    space: Annotated[
        Literal["B", "S"],
        Parameter(help="B: moments over the batch, too. S: none, every image by itself.", group=SEARCHING),
    ] = "B",
    start: Annotated[
        tuple[str, ...],
        Parameter(
            help="Known layers to begin with (`convsmith list --norms`), or random; the simplest that normalise by default.",
            group=SEARCHING,
        ),
    ] = (),
    choice: Annotated[
        Literal["pareto", "mean", "random"],
        Parameter(
            help="Who has children: what none beats in every anchor, the best mean; random draws every layer anew.",
            group=SEARCHING,
        ),
    ] = "pareto",
    anchor: Annotated[
        tuple[str, ...],
        Parameter(
            help="Networks to try layers in, by turns: small-resnetv2, NAME@SIDE, a spec .json; three toys of 16 px by default.",
            group=NETWORK,
        ),
    ] = (),
    judge: Annotated[
        tuple[str, ...],
        Parameter(help="Networks to judge the best layer in; two other toys by default.", group=NETWORK),
    ] = (),
    steps: Annotated[int, Parameter(help="Training steps of a score.", validator=COUNT, group=TRAINING)] = 100,
    finalists: Annotated[
        int, Parameter(help="How many of the best are trained longer; 10 in a night.", validator=COUNT, group=SEARCHING)
    ] = 2,
    longer: Annotated[
        int,
        Parameter(help="How many times as long these, and the judged, are trained.", validator=COUNT, group=SEARCHING),
    ] = 2,
    seeds: Annotated[
        int,
        Parameter(
            help="Trainings of each of these; 3 is the least that says anything; 9 in a night.",
            validator=COUNT,
            group=SEARCHING,
        ),
    ] = 3,
    scores: Annotated[
        Path | None,
        Parameter(
            help="A file of what is known of layers, which may serve several searches; OUT/layers.jsonl.",
            group=SEARCHING,
        ),
    ] = None,
    val: Annotated[
        str | None, Parameter(help="A second folder, .npz or .csv to judge on, as it is.", group=DATA)
    ] = None,
    val_share: Annotated[
        float | None,
        Parameter(help="Share of each class to judge on, where DATA is not divided; 0.2 by default.", group=DATA),
    ] = None,
    root: Root = None,
    download: Download = False,
    seed: Annotated[Seed, Parameter(group=TRAINING)] = 0,
    jobs: Jobs = None,
    cluster: Cluster = None,
    out_folder: Annotated[
        Out, Parameter(help="Where results and the page go; a search that is there goes on. Default: runs/norms-DATA")
    ] = None,
    dry_run: Annotated[
        bool,
        Parameter(help="Say how long it would take and how many layers a night allows; search nothing.", group=OUTPUT),
    ] = False,
    json: Json = False,
) -> None:
    """Search for a layer in the place of every normalisation and the activation behind it, on DATA.

    Layers are graphs of sums, products and moments. Most are refused at once; what learns in every anchor has children. The
    best are trained longer, and one is held against BN-ReLU, BN-SiLU and EvoNorm in other networks, on images that chose
    nothing. A search that was stopped goes on from --out. A folder that is called norms is searched as `search ./norms`.
    """
    from ..jobs.norms.begin import search_norms
    from ..jobs.norms.options import Choice, LayerSpace, NormSearchOptions
    from ..jobs.norms.protocol import LayerProtocol
    from ..jobs.options import Options

    usual = NormSearchOptions()
    how = NormSearchOptions(
        layers=layers,
        space=LayerSpace(space),
        start=start,
        choice=Choice(choice),
        anchors=anchor or usual.anchors,
        others=judge or usual.others,
        finalists=finalists,
        longer=longer,
        seeds=seeds,
        jobs=jobs or 0,
        cluster=cluster,
        protocol=LayerProtocol(steps=steps),
    )
    options = Options(val=val, val_share=val_share, root=root, download=download, seed=seed)
    if dry_run:
        from ..jobs.norms.rehearsal import rehearse_norms

        found = rehearse_norms(data, how=how, options=options, watcher=watching())
        if json:
            emit(found.to_record())
            return
        for line in found.lines():
            out.print(line, soft_wrap=True)
        return
    folder = out_folder or Path("runs") / f"norms-{Path(data).stem}"
    command = shlex.join(["convsmith", *sys.argv[1:]])
    told(
        search_norms(data, out=folder, how=how, options=options, scores=scores, command=command, watcher=watching()),
        json,
    )


def told(found: NormSearch, json: bool) -> None:
    """Say what a search found."""
    from ..jobs.norms.page import findings

    if json:
        emit(
            found.to_record()
            | {"findings": findings(found), "file": str(found.folder / "layer.json"), "report": str(found.report)}
        )
        return
    rows = [[one.rival, one.verdict, f"{100 * one.mean:+.2f}", one.ends, str(one.seeds)] for one in found.against]
    for line in findings(found):
        out.print(line, soft_wrap=True, highlight=False, markup=False)
    out.print(table(None, "<beside <found_is points interval seeds", rows))
    out.print(f"layer    {found.folder / 'layer.json'}", soft_wrap=True)
    out.print(f"report   {found.report}", soft_wrap=True)
