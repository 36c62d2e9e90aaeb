"""The page of a search for a layer: what was found, whether it is any better, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

import torch

from ... import plot
from ...arch import ArchSpec
from ...evolution import front
from ...files import write_json, write_text
from ...graphs import NormGraph, equation, formula
from ...machine import this_machine
from ...model import Model, build
from ...parts import GraphNorm
from ...reports.norms import anchor_against_anchor, refusals, response_curves, scores_in_turn
from ...reports.propagation import signal_plot
from ...reports.scaling import ScalingPage, render_scaling
from ...reports.tables import Cell, Table
from ...reports.view import Verdict
from ...signal import trace
from ...units import plural
from .judging import RIVALS, Against
from .prices import Price, priced
from .trying import BROKEN, wearing

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from .begin import NormSearch

__all__ = ["findings", "response", "written"]

# Standard deviations of what the layer is shown.
SCALES = (0.5, 1.0, 2.0)


def written(found: NormSearch, *, command: str = "") -> Path:
    """Write the page, its drawings and `prices.json` into the search's folder; the path of the page."""
    prices = _prices(found)
    write_json(
        found.folder / "prices.json", {one.layer: {"step_ms": one.step_ms, "saved": one.saved} for one in prices}
    )
    drawings = _drawings(found)
    captions = {
        "scores": "Mean top-1 over the anchors on held-out images, under one seed: the best of many equal layers looks better by "
        "luck alone, which is why the finalists were trained again.",
        "refused": "Grey: drawings that came to nothing without a network. Blue: layers that were tried in networks.",
        "anchors": "A layer that suits one network may fail in another. Filled: no other layer is as good in every anchor and "
        "better in one.",
        "response": "What one channel of the found layer puts out in training, before it has learnt anything: curves that lie on "
        "each other mean that the scale of what comes in does not matter.",
    } | {
        f"signal-{at}": f"Signal propagation of {spec.name}, untrained, with the found layer and with BN-ReLU."
        for at, spec in enumerate(found.plan.anchors, 1)
    }
    page, drawn = render_scaling(_page(found, prices, {n: captions[n] for n in drawings}, command), drawings)
    write_text(found.report, page)
    for name, text in drawn.items():
        write_text(found.folder / f"{name}.svg", plot.alone(text))
    return found.report


def findings(found: NormSearch) -> list[str]:
    """What the search says, in sentences."""
    how, descent = found.plan.how, found.descent
    lines = [f"The layer: {formula(found.winner)}, with a scale and a shift behind it ({found.winner.key})."]
    lines += [_sentence(one, found) for one in found.against]
    best = descent.kept[0]
    if found.finalists[0].graph.text != best.text:
        lines.append(
            f"The best score of the search was {best.came_to.mean:.1%}, of another layer, which longer training put behind it."
        )
    if how.begun() and descent.line(found.winner.text)[-1].generation == 0:
        lines.append("Nothing that was found is better than the start: the best layer was there from the beginning.")
    if len(descent.layers) < 2000:
        lines.append(
            f"{plural(len(descent.layers), 'layer')} were tried; a search that is to be believed tries thousands (--layers 2000)."
        )
    for one in found.judged:
        if failed := sum(score is None for score in one.scores):
            lines.append(
                f"{one.layer} in {one.network}: {plural(failed, 'training')} of {how.seeds} failed and are left out."
            )
    return lines


def response(graph: NormGraph, groups: int, scale: float) -> list[tuple[float, float]]:
    """(input, output) of one channel of the fresh layer in training, on normal noise of that standard deviation, ordered."""
    layer = GraphNorm(graph, groups=groups).build(groups).train()
    noise = torch.randn((8, groups, 16, 16), generator=torch.Generator().manual_seed(0)) * scale
    with torch.no_grad():
        out = layer(noise)
    pairs = sorted(zip(noise[:, 0].flatten().tolist(), out[:, 0].flatten().tolist(), strict=True))
    within = [(x, y) for x, y in pairs if abs(x) <= 3 * scale]
    # A layer that knows its image gives several outputs for one input: what is drawn is their mean over neighbours.
    few = max(1, len(within) // 64)
    return [
        (fmean(x for x, _ in part), fmean(y for _, y in part))
        for part in (within[at : at + few] for at in range(0, len(within), few))
    ]


def _drawings(found: NormSearch) -> dict[str, Figure]:
    plan, descent = found.plan, found.descent
    in_turn = [(one.number, one.came_to.mean) for one in descent.layers if one.came_to.scores]
    start = max(one.came_to.mean for one in descent.kept if one.generation == 0)
    drawings = {
        "scores": scores_in_turn(in_turn, start, len(descent.layers)),
        "refused": refusals(
            {name: n for name, n in descent.drawn.items() if name != "tried"},
            dict(descent.refused) | {"kept": len(descent.kept)},
        ),
    }
    if len(plan.anchors) > 1:
        scores = [one.came_to.scores for one in descent.kept]
        texts = [one.text for one in descent.kept]
        marked = {"found": texts.index(found.winner.text)}
        marked |= {"start": next(at for at, one in enumerate(descent.kept) if one.generation == 0)}
        drawings["anchors"] = anchor_against_anchor(
            [(own[0], own[1]) for own in scores], front(scores), marked, (plan.anchors[0].name, plan.anchors[1].name)
        )
    drawings["response"] = response_curves(
        {scale: response(found.winner, plan.how.protocol.groups, scale) for scale in SCALES}
    )
    for at, spec in enumerate(plan.anchors, 1):
        worn = {
            "found": wearing(spec, found.winner, plan.how.protocol),
            "BN-ReLU": spec.with_style(norm=RIVALS["BN-ReLU"]),
        }
        drawings[f"signal-{at}"] = signal_plot(
            [trace(partial(_made, own), input_shape=own.input.shape.dims, name=name) for name, own in worn.items()]
        )
    return drawings


def _made(spec: ArchSpec, seed: int) -> Model:
    return build(spec, seed=seed)


def _prices(found: NormSearch) -> tuple[Price, ...]:
    plan = found.plan
    few, recipe = plan.how.protocol.shown(plan.parts)
    norms = {"found": GraphNorm(found.winner, groups=plan.how.protocol.groups), **RIVALS}
    return priced(norms, plan.others[0], few, recipe, plan.task)


def _page(found: NormSearch, prices: Sequence[Price], captions: Mapping[str, str], command: str) -> ScalingPage:
    plan, how, descent = found.plan, found.plan.how, found.descent
    line = descent.line(found.winner.text)
    descent_rows = tuple(
        (
            str(one.number),
            str(one.generation),
            f"{one.came_to.mean:.2%}" if one.came_to.scores else one.came_to.refused,
            equation(one.graph),
        )
        for one in line
    )
    finalists = tuple(
        (
            str(place),
            f"{one.searched:.2%}",
            one.failed or f"{one.mean:.2%}",
            str(one.graph.complexity),
            formula(one.graph),
        )
        for place, one in enumerate(found.finalists, 1)
    )
    networks = [spec.name for spec in (*plan.anchors, *plan.others)]
    by = {(one.layer, one.network): one for one in found.judged}
    known = {one.layer: one for one in prices}
    judged = tuple(
        (
            layer,
            *(_share(by[layer, name].mean) for name in networks),
            f"{known[layer].step_ms:.1f}",
            f"{known[layer].saved:.1f}",
        )
        for layer in dict.fromkeys(one.layer for one in found.judged)
    )
    against = tuple(
        (one.rival, one.verdict, Cell(f"{100 * one.mean:+.2f}", (one.ends,)), str(one.seeds)) for one in found.against
    )
    return ScalingPage(
        title=f"A layer searched for on {plan.images.name}",
        verdict=_verdict(found),
        subtitle=(
            f"{plural(len(descent.layers), 'layer')} tried",
            f"space {how.space}",
            f"parents by {how.choice}",
            f"{plural(len(plan.parts.val), 'held-out image')} chose",
            f"{plural(len(plan.images.val), 'image')} judged",
        ),
        findings=tuple(findings(found)),
        captions=captions,
        tables=(
            Table(
                "Held against known layers",
                ("layer", "found is", "points", "seeds"),
                against,
                words=("found is",),
                legend=f"In {_names(plan.others)}, which the search never saw: the difference of top-1, by seed, and its 95 % "
                "interval.",
            ),
            Table(
                "In numbers",
                ("layer", *networks, "ms", "kept"),
                judged,
                legend=f"Top-1 on images that chose nothing, the mean of {plural(how.seeds, 'seed')}; milliseconds of a training "
                f"step of {plan.others[0].name} by one thread; what a layer keeps for the backward pass, in inputs.",
            ),
            Table(
                "The best, trained longer",
                ("place", "searched", "longer", "nodes", "layer"),
                finalists,
                words=("layer",),
            ),
            Table("Descent", ("layer", "generation", "score", "formula"), descent_rows, words=("formula",)),
        ),
        failures=tuple(
            f"{formula(one.graph)}: {one.came_to.anchor}" for one in descent.layers if one.came_to.refused == BROKEN
        ),
        notes=(
            f"Began with {', '.join(how.begun()) or 'random graphs'}; every layer stands in the place of all norms and the "
            "activations behind them, and is affine where nothing was activated.",
            f"A score: {how.protocol.steps} steps of {how.protocol.batch} images in {_names(plan.anchors)}, "
            f"seed {how.protocol.seed}, groups of channels: {how.protocol.groups}.",
            f"Use it: convsmith convert MODEL --norm {found.folder / 'layer.json'}",
        ),
        command=command,
        machine=this_machine().line,
    )


def _verdict(found: NormSearch) -> Verdict:
    rival = found.against[0]
    details = tuple(one.said for one in found.against[1:])
    match rival.verdict:
        case "better":
            return Verdict("met", f"Better than {rival.rival} by {100 * rival.mean:.1f} points", details)
        case "worse":
            return Verdict("missed", f"Worse than {rival.rival} by {-100 * rival.mean:.1f} points", details)
        case "equal":
            return Verdict("none", f"Equal to {rival.rival} within {100 * found.plan.how.margin:g} points", details)
        case _:
            return Verdict("unfinished", f"Not told apart from {rival.rival}: more seeds may tell (--seeds)", details)


def _sentence(one: Against, found: NormSearch) -> str:
    ends = f" [{one.ends}]" if one.interval else ""
    where = f"over {plural(one.seeds, 'seed')} in {_names(found.plan.others)}"
    return f"{one.said[:1].upper()}{one.said[1:]}: a difference of {100 * one.mean:+.2f} points{ends} {where}."


def _names(networks: Sequence[ArchSpec]) -> str:
    return ", ".join(spec.name for spec in networks)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"
