"""`convsmith list`: the ledger of published variants."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..errors import UserError, nearest
from ..units import Budget, Cost, human
from .options import BUDGET, Json, Pattern
from .output import emit, err, out, table

if TYPE_CHECKING:
    from ..ledger import Row

__all__ = ["list_", "row_record"]


def list_(
    pattern: Pattern = "*",
    /,
    *,
    family: Annotated[str | None, Parameter(help="Only this family, or those with this in their name.")] = None,
    norms: Annotated[
        bool, Parameter(help="The layers that are known as graphs, for `convert --norm`, and no networks.", negative=())
    ] = False,
    task: Annotated[
        Literal["classify", "detect", "video", "synthesise"], Parameter(help="Only networks for this task.")
    ] = "classify",
    to: Annotated[str | None, BUDGET] = None,
    sort: Annotated[
        Literal["name", "px", "params", "macs", "top-1"] | None,
        Parameter(help="Order by a column, the smallest first, of top-1 the best; by family without it."),
    ] = None,
    json: Json = False,
) -> None:
    """The ledger: every published variant, our exact counts beside the published ones."""
    if norms:
        _list_norms(pattern, json=json)
        return
    from ..ledger import Verdict, families, published

    known = families(task)
    # A part of a name will do where it is not itself one: `lambda` is both families of lambda networks.
    chosen = [one for one in known if family is None or family == one] or [one for one in known if str(family) in one]
    if not chosen:
        raise UserError(f"unknown family '{family}'; families are {', '.join(known)}{nearest(str(family), known)}")
    rows = [row for row in published(pattern, task=task) if row.family in chosen]
    if not rows:
        variants = {row.name for row in published(task=task)}
        raise UserError(f"no variant matches '{pattern}'{nearest(pattern, variants)}")
    if to is not None:
        rows = _within(rows, Budget.parse(to))
    if sort is not None:
        rows = sorted(rows, key=_ORDERS[sort])
    if json:
        emit({"task": task, "rows": [row_record(row) for row in rows]})
        return
    # Where there is no room for all, what is needed to choose one stays.
    columns = _OF_TASK[task]
    named = [name for name in columns if out.width >= _ROOM or name not in _BESIDE]
    out.print(table(None, " ".join(named), [[columns[name](row) for name in named] for row in rows]))
    shown = list(dict.fromkeys(row.family for row in rows))
    if len(shown) > 1:
        counts = [[name, *_verdicts([row for row in rows if row.family == name])] for name in shown]
        verdicts = " ".join(["<family", "rows", *(verdict.value.replace(" ", "_") for verdict in Verdict)])
        out.print("")
        out.print(table(None, verdicts, [*counts, ["all", *_verdicts(rows)]]))
    err.print(
        "Counts are exact; MACs are multiply-adds; top-1 is the source's. A count agrees with the published one within the "
        "rounding of that or 1 %; any other has its reason in `convsmith show NAME`, or NAME@px for a row at another side.",
        style="dim",
    )


def _list_norms(pattern: str, *, json: bool) -> None:
    """The known graphs. Complexity is the number of primitives; B layers read the batch, S layers single images."""
    from fnmatch import fnmatch

    from ..graphs import KNOWN, equation, formula

    found = {name: graph for name, graph in KNOWN.items() if fnmatch(name, pattern)}
    if not found:
        raise UserError(f"no known graph matches '{pattern}'{nearest(pattern, KNOWN)}")
    if json:
        rows = [
            {
                "name": name,
                "formula": formula(graph),
                "text": graph.text,
                "key": graph.key,
                "primitives": graph.complexity,
                "batch": graph.batch,
            }
            for name, graph in found.items()
        ]
        emit({"norms": rows})
        return
    cells = [
        [name, str(graph.complexity), "B" if graph.batch else "S", equation(graph)] for name, graph in found.items()
    ]
    out.print(table(None, "<name primitives <kind <formula", cells))
    err.print(
        "B layers read the batch, S layers single images alone. A scale and a shift a channel follow. "
        "`convsmith convert MODEL --norm NAME`.",
        style="dim",
    )


_ORDERS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: row.name,
    "px": lambda row: row.resolution,
    "params": lambda row: row.params,
    "macs": lambda row: row.macs,
    "top-1": lambda row: -(row.paper_top1 or 0),
}


def _within(rows: list[Row], budget: Budget) -> list[Row]:
    """Those that the budget admits. Raises UserError where there are none, or where it is of time, which is not counted."""
    if math.isfinite(budget.ms):
        raise UserError(f"`list` counts and measures nothing: `convsmith pick --to {budget}` measures")
    found = [row for row in rows if budget.admits(Cost(row.macs, row.params))]
    if not found:
        least = min(rows, key=lambda row: row.macs)
        raise UserError(
            f"none of these {len(rows)} variants meets {budget}; the one of fewest MACs is {least.name}: {human(least.macs)} "
            f"MACs, {human(least.params)} parameters"
        )
    return found


def _published_macs(row: Row) -> str:
    """The paper's multiply-adds as published, and whether it counts each as two."""
    if row.paper_macs is None:
        return "-"
    return row.paper_macs.text + (" (2x)" if row.unit == "2xMACs" else "")


def _packages(row: Row) -> list[str]:
    """Who has weights of the network; `package` is one that holds nothing else."""
    from ..ledger import weights_of

    return list(dict.fromkeys(one.package if one.source else "package" for one in weights_of(row.name) if one.tag))


def _verdicts(rows: list[Row]) -> list[str]:
    """How many rows there are, then how many of each verdict."""
    from ..ledger import Verdict

    counts = Counter(row.verdict for row in rows)
    return [str(len(rows)), *(str(counts[verdict]) for verdict in Verdict)]


def _agreement(row: Row) -> str:
    from ..ledger import Verdict

    if row.verdict is not Verdict.DIFFERS:
        return row.verdict
    return ", ".join(
        f"{field} {printed.difference(ours):+.1%}"
        for field, printed, ours in row.differences()
        if not printed.agrees(ours)
    )


def row_record(row: Row) -> dict[str, object]:
    """A row of the ledger for `--json`."""
    from ..ledger import weights_of

    record = dataclasses.asdict(row)
    record["paper_params"] = row.paper_params.text if row.paper_params else None
    record["paper_macs"] = row.paper_macs.text if row.paper_macs else None
    record["weights"] = [f"{one.package}:{one.model}:{one.tag}" for one in weights_of(row.name) if one.tag]
    return record | {"agrees": row.agrees if any(row.differences()) else None}


_COLUMNS: dict[str, Callable[[Row], str]] = {
    "<name": lambda row: row.name,
    "px": lambda row: str(row.resolution),
    "params": lambda row: human(row.params),
    "paper_params": lambda row: row.paper_params.text if row.paper_params else "-",
    "MACs": lambda row: human(row.macs),
    "paper_MACs": _published_macs,
    "top-1": lambda row: f"{row.paper_top1:.1f}" if row.paper_top1 is not None else "-",
    "<weights": lambda row: ", ".join(_packages(row)) or "none",
    "<agrees": _agreement,
}
_DETECTORS: dict[str, Callable[[Row], str]] = {
    name: column for name, column in _COLUMNS.items() if name not in ("top-1", "<weights")
} | {"<AP": lambda row: row.metric.replace(" AP ", " ") or "-"}
_OF_CLIPS = {name: column for name, column in _COLUMNS.items() if name not in ("top-1", "<weights")} | {
    "px": lambda row: row.px,
    "<top-1": lambda row: row.metric.removeprefix("top-1 ").partition(",")[0] or "-",
}
_GENERATORS = {name: column for name, column in _DETECTORS.items() if name != "<AP"}
_OF_TASK = {"classify": _COLUMNS, "detect": _DETECTORS, "video": _OF_CLIPS, "synthesise": _GENERATORS}
_BESIDE = ("paper_params", "paper_MACs", "<agrees")
_ROOM = 100  # columns that all of them need
