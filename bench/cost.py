"""What a spec costs: how fast it is known, seen and unseen, against counting timm's network on the meta device."""

from __future__ import annotations

import time
from dataclasses import replace

import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

import convsmith as cs
from common import Row, answer, rounds, save, spread
from convsmith import costs
from convsmith.arch import plans
from convsmith.latency import ratio

CALLS = 20_000
ROUNDS = 15
MEMBERS = ("b1", "b4", "b7")


def seen_per_second(spec: cs.ArchSpec, other: cs.ArchSpec) -> float:
    """Calls a second, half of them with an equal value that is another object."""
    began = time.perf_counter()
    for _ in range(CALLS // 2):
        cs.cost(spec)
        cs.cost(other)
    return CALLS / (time.perf_counter() - began)


def forget() -> None:
    costs.cost.cache_clear()
    costs.node_cost.cache_clear()
    plans.plan.cache_clear()


def unseen(name: str) -> object:
    forget()
    return cs.cost(cs.spec(name))


def counted_by_timm(name: str, side: int) -> int:
    with torch.device("meta"):
        model = timm.create_model(name).eval()
        image = torch.empty(1, 3, side, side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image)
    return counter.get_total_flops() // 2


def main() -> None:
    spec = cs.spec("efficientnet_b0")
    cs.cost(spec)
    rates = sorted(seen_per_second(spec, replace(spec, name=str(spec.name))) for _ in range(9))
    rows = [
        Row(
            "seen specs a second",
            f"{rates[4]:,.0f} ({rates[0]:,.0f}-{rates[-1]:,.0f})",
            "",
            None,
            9,
            ">= 10,000",
            answer(rates[4] >= 10_000),
        )
    ]
    for size in MEMBERS:
        name = f"efficientnet_{size}"
        side = cs.spec(name).input.resolution
        assert cs.cost(cs.spec(name)).macs == counted_by_timm(name, side)
        ours, theirs = rounds(
            lambda name=name: unseen(name), lambda name=name, side=side: counted_by_timm(name, side), n=ROUNDS, warm=1
        )
        rows.append(
            Row(
                f"unseen {name}",
                spread(ours),
                spread(theirs),
                ratio(ours, theirs),
                ours.n,
                "<= 100 ms",
                answer(ours.median_ms <= 100),
            )
        )
    save(
        "cost",
        "The cost of a spec",
        "timm on meta + torch's flop counter",
        rows,
        "Unseen: all memories cleared before each call. The two counts agree to the unit.",
    )


if __name__ == "__main__":
    main()
