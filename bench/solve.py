"""Budgets: are they met, how much is left unused, and how many are solved in a second?

Twenty random budgets on six families, compound rule: seven of multiply-adds, seven of parameters, six of milliseconds
measured on this machine (`--no-ms` leaves those out). Speed is of counted budgets, on families that were not seen before
(their parts are measured on the way; all memories are cleared before each round) and again on the same ones.
"""

from __future__ import annotations

import random
import statistics
import sys
import time

from common import Row, answer, save
from convsmith import costs
from convsmith.arch import plans
from convsmith.costs import cost
from convsmith.families import spec
from convsmith.jobs.scale import scale
from convsmith.scaling import Compound, solve
from convsmith.units import Budget

BASES = ("efficientnet_b0", "mobilenetv2_100", "resnet18", "resnetrs50", "nf_regnet_b0", "ghostnet_100")
FRESH = ("mnasnet_100", "mobilenetv1_100", "tinynet_a", "efficientnet_lite0", "resnetv2_50", "nf_resnet50")

ROUNDS = 9
NAMES = {"macs": "macs", "filled": "macs, filled by resolution,", "params": "params", "ms": "ms"}


def main() -> None:
    rng, met, slack = random.Random(0), [], {"macs": [], "filled": [], "params": [], "ms": []}
    for at in range(20):
        name = BASES[at % len(BASES)]
        base, factor = spec(name), 2 ** rng.uniform(-2, 2)
        kind = "macs" if at < 7 else "params" if at < 14 else "ms"
        if kind == "ms":
            if "--no-ms" in sys.argv:
                continue
            budget = Budget(ms=round(rng.uniform(3, 25), 1))
            found = scale(base, to=budget)
            ok = found.latency is not None and found.latency.median_ms <= budget.ms
        else:
            budget = Budget(**{kind: factor * getattr(cost(base), kind)})
            found = solve(Compound(), base, budget, cost)
            ok = budget.admits(cost(found.spec))
            if kind == "macs":
                filled = solve(Compound(), base, budget, cost, fill=True)
                ok = ok and budget.admits(cost(filled.spec))
                slack["filled"].append(filled.slack["macs"])
        met.append(ok)
        slack[kind].append(found.slack[kind])
        print(f"{name} {budget}: {found}", file=sys.stderr)

    def solved(names: tuple[str, ...], *, seen: bool) -> float:
        if not seen:
            costs.cost.cache_clear()
            costs.node_cost.cache_clear()
            plans.plan.cache_clear()
        bases, began, n = [spec(name) for name in names], time.perf_counter(), 0
        for base in bases:
            for factor in (0.3, 0.5, 0.8, 1.5, 3.0):
                solve(Compound(), base, Budget(macs=factor * cost(base).macs), cost)
                n += 1
        return n / (time.perf_counter() - began)

    rates = [(solved(FRESH, seen=False), solved(FRESH, seen=True)) for _ in range(ROUNDS)]
    unseen, seen = (sorted(column) for column in zip(*rates, strict=True))
    rows = [
        Row("budgets met", f"{sum(met)} of {len(met)}", "", None, len(met), "all", answer(all(met))),
        *(
            Row(f"{NAMES[kind]} left unused, median", f"{statistics.median(own):.1%}", f"most {max(own):.1%}", None, len(own),
                "<= 3 %" if kind == "macs" else "", answer(statistics.median(own) <= 0.03) if kind == "macs" else "")
            for kind, own in slack.items() if own
        ),
        *(
            Row(f"budgets a second, {what}", f"{own[ROUNDS // 2]:.0f} ({own[0]:.0f}-{own[-1]:.0f})", "", None, ROUNDS,
                f">= {goal}", answer(own[ROUNDS // 2] >= goal))
            for what, own, goal in (("unseen families", unseen, 20), ("seen", seen, 200))
        ),
    ]  # fmt: skip
    note = "The six budgets of milliseconds were left out (--no-ms)." if "--no-ms" in sys.argv else ""
    save("solve", "Budgets solved", "", rows, note)


if __name__ == "__main__":
    main()
