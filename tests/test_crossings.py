"""Crossings: any family, in any norm, with any mixer, at any scale, is a network like the others.

Random pairs of ideas that no paper put together. What holds for a published network has to hold for these: its cost is
the sum over its plan and the count of the whole, it survives JSON, it learns, and its export computes the same.
"""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st

from convsmith.arch import Act, ArchSpec, Conv, Mixer, Norm, Padding, grown, plan
from convsmith.costs import cost, operations
from convsmith.exporting import export_onnx
from convsmith.families import FAMILIES, TASKS
from convsmith.graphs import KNOWN
from convsmith.model import build
from convsmith.parts import BatchNorm, EvoNorm, EvoNormKind, GraphNorm, GroupNorm, Lambda, NoNorm, PlainConv, ScaledWS
from convsmith.resolve import from_json
from convsmith.units import RoundDepth, Rounding

acts = st.sampled_from([Act.RELU, Act.RELU6, Act.SILU, Act.GELU])
batch_norms = st.builds(BatchNorm, act=acts, eps=st.sampled_from([1e-5, 1e-3]))
norms: st.SearchStrategy[Norm] = st.one_of(
    batch_norms,
    st.builds(GroupNorm, act=acts, groups=st.sampled_from([4, 32])),
    st.builds(EvoNorm, variant=st.sampled_from(EvoNormKind)),
    st.builds(GraphNorm, graph=st.sampled_from([KNOWN[name] for name in ("bn-silu", "gn-relu", "ln-relu", "frn")])),
)
plain: st.SearchStrategy[Conv] = st.builds(PlainConv, padding=st.sampled_from([Padding.SYMMETRIC, Padding.SAME]))
# Weights are standardised where nothing else normalises, and beside a norm too.
styles = st.one_of(
    st.tuples(norms, plain),
    st.tuples(st.builds(NoNorm, act=acts), st.builds(ScaledWS)),
    st.tuples(batch_norms, st.builds(ScaledWS)),
)
# Networks for another task than to classify pictures have tests of their own.
CHAINS = sorted(name for name, family in FAMILIES.items() if name not in TASKS and family()[0].neck is None)

mixers: st.SearchStrategy[Mixer] = st.builds(
    Lambda, key=st.sampled_from([4, 8]), heads=st.sampled_from([1, 2]), intra=st.sampled_from([1, 2]),
    scope=st.sampled_from([3, 7, None]),
)  # fmt: skip


@st.composite
def crossings(draw: st.DrawFn) -> ArchSpec:
    members = FAMILIES[draw(st.sampled_from(CHAINS))]()
    base = draw(st.sampled_from(members))
    # Small enough to run: what is tested does not depend on size.
    width = draw(st.sampled_from([0.125, 0.25]))
    rounding = Rounding(depth=RoundDepth.NEAREST, width_to=draw(st.sampled_from([8, 16])))
    small = grown(base, width=width, depth=min(1.0, 6 / base.depth), rounding=rounding)
    small = small.with_resolution(draw(st.integers(33, 65))).with_classes(draw(st.integers(2, 9)))
    norm, conv = draw(styles)
    crossed = small.with_style(norm=norm, conv=conv, drop_path=draw(st.sampled_from([0.0, 0.1])))
    places = [i for i, stage in enumerate(crossed.stages) if "mixer" in {field.name for field in fields(stage.block)}]
    if places and draw(st.booleans()):
        crossed = crossed.with_mixer(draw(st.sampled_from(places)), draw(mixers))
    return replace(crossed, name="crossing")


@given(crossings())
@settings(max_examples=40)  # the most of all tests: so many ideas meet here
def test_a_crossing_is_a_network_like_the_others(arch: ArchSpec) -> None:
    note(str([stage.block.describe() for stage in arch.stages]))
    assert from_json(arch.to_json()) == arch
    net = build(arch, seed=0)
    side = arch.input.resolution
    x = torch.randn(2, arch.input.channels, side, side)
    whole = operations(build(arch, device="meta"), torch.empty(1, arch.input.channels, side, side, device="meta"))
    assert cost(arch) == whole
    logits = net.train()(x)
    assert logits.shape == (2, arch.head.classes) and torch.isfinite(logits).all()
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
    with torch.inference_mode():
        assert torch.isfinite(net.eval()(x)).all()


@given(crossings())
@settings(max_examples=30)
def test_a_crossing_shrinks_and_grows(arch: ArchSpec) -> None:
    """A larger width, depth or resolution never costs less."""
    rounding = Rounding(width_to=8)
    for factors in ({"width": 1.5}, {"depth": 1.5}, {"resolution": 1.5}):
        assert cost(grown(arch, rounding=rounding, **factors)).macs >= cost(arch).macs
    assert next(node.path for node in plan(arch)) == "stem"


@pytest.mark.slow
@given(crossings())
@settings(max_examples=3)  # each takes torch's exporter seconds, the more the more blocks there are
def test_a_crossings_export_computes_the_same(arch: ArchSpec) -> None:
    import tempfile
    from pathlib import Path

    arch = replace(arch, stages=(*arch.stages[:1], *arch.stages[1:][-2:]))
    shape = (arch.input.channels, arch.input.resolution, arch.input.resolution)
    with tempfile.TemporaryDirectory() as folder:
        found = export_onnx(build(arch, seed=0).eval(), Path(folder) / "net.onnx", input_shape=shape)
    assert found.relative_difference <= 1e-4
