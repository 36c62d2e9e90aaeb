"""A search's page: the front, what was handed over for each budget, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ... import plot
from ...files import write_text
from ...reports.scaling import ScalingPage, Table, render_scaling
from ...reports.search import Point, beside_foils, front_of_children, learning_ends, with_cards
from ...runs import Run
from ...units import human
from .foils import foils_of

__all__ = ["missed", "shown", "unfinished", "write_page"]


def unfinished(run: Run) -> str:
    """What a search has yet to do before it can be shown, as a sentence; empty where it is finished."""
    if not run.has("front.json"):
        return f"{run.path} has not chosen its children yet: `convsmith resume {run.path}` goes on with it"
    for row in run.read("front.json")["winners"]:
        child = Run(run.file("children") / row["budget"])
        if not (child.has("scores.json") and child.has("latency.json")):
            return f"{run.path} has not finished {child.path}: `convsmith resume {run.path}` goes on with it"
    return ""


def write_page(run: Run) -> Path:
    """Write `report.html` and the front as `front.svg` into the search's folder; the path of the page."""
    found, config = run.read("front.json"), run.read("config.json")
    n, names = found["n"], _axes(run)
    epochs = [record for record in run.metrics() if record.get("event") == "epoch"]
    axis = found["axis"]
    tried = [Point(cost, top1) for cost, top1 in found["tried"]]
    front = [_point(row, axis) for row in found["front"]]
    winners = [_point(row, "cost", row["budget"]) for row in found["winners"]]
    drawings = {"front": front_of_children(tried, front, winners, unit="predicted ms" if axis == "ms" else "MACs")}
    captions = {
        "front": f"Top-1 on the {n} held-out images that chose the children. Whiskers are 95 % intervals of one score; the "
        "best of many flatters itself, so the table gives the validation images' word. Rest the pointer on a point of "
        "the front for its card."
        + (
            " Milliseconds are predicted here; what is handed over was measured, and the table has that."
            if axis == "ms"
            else ""
        )
    }
    if epochs:
        drawings["ends"] = learning_ends(epochs)
        captions["ends"] = (
            "The two ends of the space after each epoch. Where they still rise, children are below what the same networks "
            "reach alone: train longer."
        )
    foils: dict[str, list[Point]] = {}
    for row in foils_of(run):
        if not row["failed"]:
            foils.setdefault(row["against"], []).append(_point(row, "macs"))
    if foils:
        handed = [Point(row["macs"], row["top1"], tuple(row["top1_interval"]), row["budget"]) for row in shown(run)]
        drawings["foils"] = beside_foils(handed, foils)
        captions["foils"] = (
            "Networks scaled to the winners' multiply-adds and trained alone, on the same images for as many epochs of the "
            "same recipe. All on the validation images, which chose nothing; whiskers are 95 % intervals of one score."
        )
    page, drawn = render_scaling(_page(run, config, found, names, captions, epochs), drawings)
    carded = with_cards(drawn["front"], [_card(i, row, names) for i, row in enumerate(found["front"], 1)])
    for name, text in (("report.html", page.replace(drawn["front"], carded)), ("front.svg", carded)):
        write_text(run.file(name), text)
    plot.png(drawings["front"], run.file("front.png"))
    return run.file("report.html")


def shown(run: Run) -> list[dict[str, Any]]:
    """One row a budget: the winner's folder, scores, cost and latency, as they were measured."""
    rows = []
    for row in run.read("front.json")["winners"]:
        child = Run(run.file("children") / row["budget"])
        scores, latency = child.read("scores.json"), child.read("latency.json")["rows"][0]
        rows.append(
            {
                "budget": row["budget"],
                "folder": str(child.path),
                "held_out_top1": row["top1"],
                "top1": scores["top1"],
                "top1_interval": scores["top1_interval"],
                "n": scores["n"],
                "macs": row["macs"],
                "params": row["params"],
                "ms": latency["median_ms"],
                "met": child.read("config.json")["met"],
            }
        )
    return rows


def missed(met: Mapping[str, Mapping[str, float]]) -> str:
    """How far what was shipped is over its limit of milliseconds, by the `met` of its row or run; empty where it is not."""
    limit = met.get("ms")
    if limit is None or limit["slack"] >= 0:
        return ""
    return f"as shipped it took {limit['is']:.3g} ms, {-limit['slack']:.1%} over its limit: the machine was not quiet"


def _page(
    run: Run,
    config: dict[str, Any],
    found: dict[str, Any],
    names: list[str],
    captions: dict[str, str],
    epochs: list[dict[str, Any]],
) -> ScalingPage:
    machine, recipe = config["machine"], config["recipe"]
    rows, findings = [], []
    for row in found["winners"]:
        child = Run(run.file("children") / row["budget"])
        scores, latency = child.read("scores.json"), child.read("latency.json")["rows"][0]
        low, high = scores["top1_interval"]
        rows.append(
            (
                row["budget"],
                f"{scores['top1']:.2%}",
                f"{100 * low:.1f} – {100 * high:.1f}",
                f"{row['top1']:.2%}",
                human(row["macs"]),
                human(row["params"]),
                f"{latency['median_ms']:.3g}",
                f"children/{row['budget']}/",
            )
        )
        findings.append(
            f"{row['budget']}: top-1 {scores['top1']:.2%} [{low:.1%}, {high:.1%}] on {scores['n']} validation images, "
            f"{human(row['macs'])} MACs, {latency['median_ms']:.3g} ms measured after export"
            + (f"; {said}." if (said := missed(child.read("config.json")["met"])) else ".")
        )
    front = [
        (
            str(number),
            f"{row['top1']:.2%}",
            _interval(row),
            human(row["macs"]),
            human(row["params"]),
            "–" if row["ms"] is None else f"{row['ms']:.3g}",
            _short(row, names),
        )
        for number, row in enumerate(found["front"], 1)
    ]
    against = [
        (
            f"{row['against']} for {row['budget']}",
            row["failed"] or f"{row['top1']:.2%}",
            "–" if row["failed"] else _interval(row),
            human(row["macs"]),
            human(row["params"]),
            f"{row['resolution']} px",
        )
        for row in foils_of(run)
    ]
    falls = sum(record.get("event") == "rolled back" for record in run.metrics())
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"])
    return ScalingPage(
        title=f"Search on {config['data']}: {', '.join(config['budgets'])}",
        subtitle=(
            f"{found['scored']} children scored",
            f"{found['n']} held-out images",
            f"{recipe['epochs']} epochs of '{recipe['name']}'",
            f"space '{config['how']['space']}'",
            f"chosen by {config['how'].get('select', 'coarse-to-fine')}",
        ),
        findings=tuple(findings),
        captions=captions,
        tables=(
            Table(
                "Handed over",
                ("budget", "top-1", "95 %", "held-out", "MACs", "params", "ms", "folder"),
                tuple(rows),
            ),
            *(
                [Table("Trained alone", ("network", "top-1", "95 %", "MACs", "params", "side"), tuple(against))]
                if against
                else []
            ),
            Table(
                "The front",
                ("child", "held-out top-1", "95 %", "MACs", "params", "ms, predicted", "genes"),
                tuple(front),
            ),
        ),
        notes=(
            "One set of weights was trained; every child is a part of it with norm statistics of its own, trained no further.",
            "Children were chosen by training images that were held out; top-1 in the first table is of the validation "
            "images, which had no part in it.",
            f"Training fell and was taken back {falls} times." if falls else "Training never had to be taken back.",
            f"Any child of the front: convsmith export {run.path} --child NUMBER",
        ),
        command=config["command"] or "",
        machine=f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; Python {machine['python']}, {versions}",
    )


def _axes(run: Run) -> list[str]:
    """The names of the genes, in their order."""
    stages = len(run.read("space.json")["stages"])
    own = [f"{what} {stage + 1}" for stage in range(stages) for what in ("width", "depth", "kernel", "expand")]
    return ["side", "stem", *own, "head"]


def _short(row: dict[str, Any], names: list[str]) -> str:
    """Side, then width x depth of each stage with its kernel."""
    genes = dict(zip(names, row["genes"], strict=True))
    stages = range(1, (len(names) - 3) // 4 + 1)
    parts = [f"{genes[f'width {i}']:g}x{genes[f'depth {i}']:g}k{genes[f'kernel {i}']:g}" for i in stages]
    return f"{genes['side']:g} px: {genes['stem']:g}, {', '.join(parts)}, {genes['head']:g}"


def _card(number: int, row: dict[str, Any], names: list[str]) -> str:
    ms = "" if row["ms"] is None else f", about {row['ms']:.3g} ms"
    return (
        f"child {number}: {row['top1']:.2%} held out, {human(row['macs'])} MACs, {human(row['params'])} params{ms}; "
        f"{_short(row, names)} (width x depth, kernel)"
    )


def _point(row: dict[str, Any], axis: str, name: str = "") -> Point:
    return Point(row[axis], row["top1"], tuple(row["top1_interval"]), name)


def _interval(row: dict[str, Any]) -> str:
    low, high = row["top1_interval"]
    return f"{100 * low:.1f} – {100 * high:.1f}"
