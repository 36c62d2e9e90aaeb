"""What the benchmarks share: rounds that interleave, the row of a table, and the files results go to."""

from __future__ import annotations

import gc
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from convsmith.latency import Latency, Ratio, Runtime, Subject, ratio, summarise
from convsmith.machine import this_machine

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One line of a table: ours and the reference as told, their ratio where there is one, `n` rounds, and the goal.

    `met` says whether the goal is met, see `judged`, and is empty where there is none.
    `n` is 1 for a fact that has no spread.
    """

    what: str
    ours: str
    reference: str
    ratio: Ratio | None
    n: int
    goal: str
    met: str = ""

    def cells(self) -> tuple[str, ...]:
        found = "" if self.ratio is None else f"{self.ratio.value:.3g} [{self.ratio.low:.3g}, {self.ratio.high:.3g}]"
        return self.what, self.ours, self.reference, found, str(self.n), self.goal, self.met


def answer(met: bool) -> str:
    return "yes" if met else "**no**"


def judged(found: Ratio, *, most: float = math.inf, least: float = 0.0) -> str:
    """`yes` or `no` by the median; in doubt where the interval lies on both sides of the goal."""
    verdict = answer(least <= found.value <= most)
    clear = (least <= found.low and found.high <= most) or found.low > most or found.high < least
    return verdict if clear else f"{verdict}, in doubt"


def timed(run: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    began = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - began) / 1e6


def rounds(
    ours: Callable[[], object], theirs: Callable[[], object], *, n: int, warm: int = 3
) -> tuple[Latency, Latency]:
    """Time both once in each of `n` rounds, in an order drawn anew, after `warm` rounds that are not counted."""
    rng = np.random.default_rng(0)
    calls, samples = (ours, theirs), ([], [])
    gc.collect()
    gc.disable()
    try:
        for done in range(-warm, n):
            for index in rng.permutation(2):
                taken = timed(calls[index])
                if done >= 0:
                    samples[index].append(taken)
    finally:
        gc.enable()
    subjects = [Subject(name, Runtime.EAGER, 1, run) for name, run in zip(("ours", "theirs"), calls, strict=True)]
    first, second = summarise(subjects, samples, threads=1).rows
    return first, second


def inverse(a: Latency, b: Latency) -> Ratio:
    """How many times as many things a second `a` does as `b`."""
    return ratio(b, a)


def spread(row: Latency, *, scale: float = 1.0, unit: str = "ms", per_second: bool = False) -> str:
    """Median and p10-p90 of a row's milliseconds x `scale`, or of `scale` things a call as things a second."""
    values = (row.median_ms, row.p10_ms, row.p90_ms)
    if per_second:
        values = (1e3 * scale / row.median_ms, 1e3 * scale / row.p90_ms, 1e3 * scale / row.p10_ms)
    else:
        values = tuple(scale * value for value in values)
    middle, low, high = (_short(value) for value in values)
    return f"{middle} {unit} ({low}-{high})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def save(
    name: str,
    title: str,
    reference: str,
    rows: Sequence[Row],
    note: str = "",
    raw: object = None,
    *,
    trial: bool = False,
) -> None:
    """Write `results/NAME.json`, but of a `trial` nothing, and print the table; `raw` is what a picture of it is drawn from."""
    machine = this_machine()
    record = {
        "name": name,
        "title": title,
        "reference": reference,
        "note": note,
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{machine.processor}, {machine.cores} cores, {machine.memory_gib:.0f} GiB, {machine.system}",
        "python": machine.python,
        "versions": dict(machine.packages),
        "rows": [asdict(row) for row in rows],
        "cells": [row.cells() for row in rows],
    }
    if raw is not None:
        record["raw"] = raw
    if not trial:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(record))


def table(record: dict) -> str:
    """The Markdown of one result file."""
    head = ("", "ours", record["reference"], "ours / reference [95 %]", "n", "goal", "met")
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ("---",) * len(head), *record["cells"])]
    return "\n".join([*lines, *(["", record["note"]] if record["note"] else [])])
