"""The signal propagation plots of Brock et al. (2021), re-made at initialisation, with theory beside them.

A pre-activation ResNet of 4 stages of 50 bottlenecks (the released code's ResNet-600), a quarter as wide, unit Gaussian
images of 64 px, circular padding (zeros take energy on small maps): batch norm and He, no norm and He, normaliser-free with
He's and with standardised filters, ReLU and SiLU, the latter twice as wide as well. Also times a verdict, and asks `verdict`
about every broken network and a list of healthy ones. Writes docs/signal-*.svg and results/signal.json.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import convsmith as cs
from broken import BROKEN, he, nf, preact
from common import Row, answer, save
from convsmith import plot
from convsmith.arch import Act, ArchSpec, Padding, plan
from convsmith.parts import NoNorm, PlainConv
from convsmith.reports.propagation import signal_plot
from convsmith.resolve import foreign
from convsmith.signal import Trace, expected, trace, verdict

DOCS = Path(__file__).parents[1] / "docs"
DEPTHS = (50, 50, 50, 50)
HEALTHY = (
    "timm:resnet50", "timm:efficientnet_b0", "timm:mobilenetv3_large_100", "timm:regnety_008", "timm:convnext_atto",
    "timm:resnetv2_50", "timm:ghostnet_100", "timm:tinynet_e", "timm:repvgg_a0", "timm:nf_regnet_b0", "tv:resnet18",
    "tv:resnext50_32x4d", "tv:densenet121", "tv:mobilenet_v2", "tv:shufflenet_v2_x1_0", "tv:regnet_y_400mf",
    "tv:convnext_tiny", "tv:efficientnet_v2_s", "tv:mobilenet_v3_large", "timm:darknet53",
)  # fmt: skip


def circular(spec: ArchSpec, name: str) -> ArchSpec:
    conv = replace(spec.style.conv, padding=Padding.CIRCULAR)
    return replace(spec, name=name).with_style(conv=conv)


def traced(spec: ArchSpec, change: Callable[[nn.Module], nn.Module]) -> Trace:
    def make(seed: int) -> nn.Module:
        model = cs.build(spec, seed=seed)
        torch.manual_seed(seed)
        return change(model)

    return trace(make, input_shape=(3, 64, 64), batch=4, draws=2, name=spec.name)


def worst(found: Trace, theory: Sequence[float]) -> list[float]:
    """The largest |found / theory - 1| of the variance in each stage."""
    errors: dict[str, float] = {}
    for point, one in zip(found.points[1:], theory, strict=True):
        stage = point.path.split(".")[1]
        errors[stage] = max(errors.get(stage, 0.0), abs(point.out.var / one - 1))
    return list(errors.values())


def main() -> None:
    warnings.simplefilter("ignore")
    own = lambda model: model  # noqa: E731
    bn = circular(preact(DEPTHS, 16), "BN, ReLU, He")
    bare = circular(preact(DEPTHS, 16).with_style(norm=NoNorm(act=Act.RELU)), "no norm, He")
    plain = circular(nf(DEPTHS, width=16).with_style(conv=PlainConv(), norm=NoNorm(act=Act.RELU)), "NF, He, ReLU")
    free = circular(nf(DEPTHS, width=16), "NF, Scaled WS, ReLU")
    silu = circular(nf(DEPTHS, width=16, act=Act.SILU), "NF, Scaled WS, SiLU")
    wide = circular(nf(DEPTHS, width=32, act=Act.SILU), "NF, Scaled WS, SiLU, twice as wide")
    rows: list[Row] = []
    with torch.no_grad():
        signal_bn, theory_bn = traced(bn, he), expected(bn, init="he")
        signal_bare = traced(bare, he)
        signal_plain, signal_free = traced(plain, he), traced(free, own)
        signal_silu, signal_wide = traced(silu, own), traced(wide, own)
    theory_free, theory_silu = expected(free), expected(silu)
    assert theory_bn is not None and theory_free is not None and theory_silu is not None
    for name, traces, theory in (
        ("bn", [signal_bn], theory_bn),
        ("no-norm", [signal_bare], expected(bare, init="he")),
        ("nf", [signal_free, signal_plain], theory_free),
        ("silu", [signal_silu, signal_wide], theory_silu),
    ):
        plot.save(signal_plot(traces, theory), DOCS / f"signal-{name}.svg")
        if len(sys.argv) > 1:
            plot.save(signal_plot(traces, theory), Path(sys.argv[1]) / f"signal-{name}.png")
    law = [node.part.variance(node.variance, keeps=node.keeps) for node in plan(silu)[1:-1]]
    for found, theory in (
        (signal_bn, theory_bn),
        (signal_free, theory_free),
        (signal_silu, theory_silu),
        (signal_wide, theory_silu),
    ):
        errors = worst(found, [one.var for one in theory])
        told = ", ".join(f"{error:.1%}" for error in errors)
        rows.append(Row(f"{found.name}: variance against theory, worst of each stage", told, "", None, 2, ""))
    told = ", ".join(f"{error:.1%}" for error in worst(signal_silu, law))
    rows.append(Row(f"{silu.name}: variance against beta^2, worst of each stage", told, "", None, 2, ""))
    grown = [point.out.var + point.out.sqmean for point in signal_bare.points[1:] if point.out.finite]
    rate = (grown[40] / grown[0]) ** (1 / 40)
    rows.append(Row("no norm, He: energy times, a block", f"{rate:.2f}", "theory 2", None, 2, ""))
    last = signal_plain.points[-1].out
    rows.append(
        Row("NF, He: variance and squared mean at the end", f"{last.var:.2f}, {last.sqmean:.2f}", "", None, 2, "")
    )

    told = [verdict(trace(one.make(), input_shape=(3, 64, 64), draws=1, batch=4)) for one in BROKEN]
    for one, said in zip(BROKEN, told, strict=True):
        laws = ", ".join(dict.fromkeys(finding.law for finding in said.wrong))
        rows.append(
            Row(f"broken: {one.name}", laws, "", None, 1, "named", answer(one.laws <= {f.law for f in said.wrong}))
        )
    for name in HEALTHY:
        said = verdict(trace(foreign(name), draws=1, batch=4, name=name))
        laws = ", ".join(dict.fromkeys(finding.law for finding in said.wrong)) or "-"
        notes = ", ".join(finding.law for finding in said.findings if not finding.wrong)
        rows.append(
            Row(f"healthy: {name}", laws, f"noted: {notes}" if notes else "", None, 1, "silent", answer(said.healthy))
        )
    model, times = foreign("timm:resnet50"), []
    for _ in range(3):
        began = time.perf_counter()
        verdict(trace(model))
        times.append(time.perf_counter() - began)
    middle = sorted(times)[1]
    rows.append(
        Row(
            "seconds a verdict, ResNet-50 at 224 px, two draws of 4",
            f"{middle:.1f}",
            "",
            None,
            3,
            "< 10",
            answer(middle < 10),
        )
    )
    assert math.isfinite(middle)
    save("signal", "Signal propagation", "", rows, note="at initialisation; 200 bottlenecks of 64 to 512 channels")


if __name__ == "__main__":
    main()
