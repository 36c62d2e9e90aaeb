"""Networks that find joints: their stride, their maps, and everything that reads their plan. Numbers of oracles are the sheet's."""

from __future__ import annotations

import csv
import json
import random
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

import convsmith as cs
from convsmith.arch import Act, ArchSpec, Block, Conv, Image, Padding, Stage, Style, plan, taps, trunk
from convsmith.costs import cost, node_costs, operations
from convsmith.errors import UserError
from convsmith.layers import Doubling, ScaledWSConv2d
from convsmith.layers.score_maps import map_side
from convsmith.model import build
from convsmith.parts import (
    BasicBlock,
    BatchNorm,
    Bottleneck,
    ConvStem,
    GroupNorm,
    Keypoints,
    Lambda,
    MBConv,
    NFBottleneck,
    NoNorm,
    PlainConv,
    PooledClassifier,
    PreActBottleneck,
    ScaledWS,
    keypoints_for,
    posed,
)
from convsmith.speed import kernels
from convsmith.stages import stage_rows
from convsmith.supernet import Axes, Space, Supernet, space_from
from convsmith.supernet.counting import Counting
from convsmith.surgery import NormName, restyled
from convsmith.weights.fitting import fitted
from convsmith.weights.origins import Origin
from supernets import undropped

JOINTS = 22
THIRTEEN = (
    *(f"mobilenetv2_{width}" for width in ("035", "050", "075", "100")),
    "resnet50",
    "resnet101",
    *(f"efficientnet_b{size}" for size in range(7)),
)


def shown(spec: ArchSpec, height: int, width: int) -> ArchSpec:
    return replace(spec, input=replace(spec.input, resolution=height, width=width))


def small(block: Block | None = None, head: Keypoints | PooledClassifier | None = None, **style: object) -> ArchSpec:
    """A network of stride 16 in three stages."""
    bare = isinstance(block, PreActBottleneck | NFBottleneck)
    return ArchSpec(
        name="small",
        input=Image(48, width=64),
        style=Style(**{"norm": BatchNorm(), "conv": PlainConv()} | style),  # type: ignore[arg-type]
        stem=ConvStem(16, bare=bare),
        stages=tuple(Stage(block or BasicBlock(), 2, width, 2) for width in (16, 24, 32)),
        head=head or Keypoints(3, activated=not bare),
    )


# ---- dilation and total stride ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", Padding)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kind", [PlainConv, ScaledWS])
def test_a_dilated_convolution_is_one_with_zeros_between_its_taps(
    kind: type[Conv], stride: int, padding: Padding
) -> None:
    conv = kind(padding=padding).build(4, 6, 3, stride=stride, dilation=2)
    spread = PlainConv(padding=padding).build(4, 6, 5, stride=stride, bias=True)
    plain = conv.plain() if isinstance(conv, ScaledWSConv2d) else conv
    spread.weight.data.zero_()
    spread.weight.data[:, :, ::2, ::2] = plain.weight.detach()
    spread.bias.data.copy_(0 if conv.bias is None else conv.bias.detach())
    images = torch.randn(2, 4, 12, 15)
    torch.testing.assert_close(conv(images), spread(images), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(plain(images), spread(images), rtol=1e-5, atol=1e-5)


NF = {"norm": NoNorm(act=Act.RELU, gain=True), "conv": ScaledWS()}


@pytest.mark.parametrize(
    "block", [BasicBlock(), Bottleneck(), Bottleneck(groups=2), PreActBottleneck(), NFBottleneck(skip_init=False)]
)
def test_every_second_cell_of_a_dilated_network_is_what_the_strided_one_holds(block: Block) -> None:
    """Where stride becomes dilation the weights keep their meaning: the map is the same one, seen four times as densely."""
    style = NF if isinstance(block, NFBottleneck) else {}
    whole = small(block, PooledClassifier(3), **style)
    dense = whole.at_stride(4)
    assert [stage.stride for stage in dense.stages] == [2, 1, 1]
    one, other = build(whole, seed=0).eval(), build(dense, seed=1).eval()
    other.load_state_dict(one.state_dict())
    images = whole.input.example(2, seed=0)
    with torch.no_grad():
        coarse, fine = one.maps(images)[-1], other.maps(images)[-1]
    assert fine.shape[2:] == (12, 16)
    torch.testing.assert_close(fine[:, :, ::4, ::4], coarse, rtol=1e-4, atol=1e-5)


def test_blocks_without_the_rule_keep_their_taps_and_everything_shows_the_dilation() -> None:
    """Sheet 3.1: DeepLabCut's MobileNetV2 and EfficientNet are not dilated, its ResNets are, by 2 in their last stage."""
    for name, stages in (("mobilenetv2_100", 7), ("efficientnet_b0", 7)):
        before, after = cs.spec(name), cs.spec(name).at_stride(16)
        assert [stage.block for stage in after.stages] == [stage.block for stage in before.stages]
        assert [s.stride for s in after.stages] == [
            s.stride if i != stages - 2 else 1 for i, s in enumerate(before.stages)
        ]
    resnet = cs.spec("resnet50").at_stride(16)
    assert [stage.block.dilated(3).dilation for stage in resnet.stages] == [3, 3, 3, 6]  # type: ignore[attr-defined]
    assert [row.what for row in stage_rows(resnet)][3:5] == ["bottleneck k3", "bottleneck k3 d2"]
    assert (stage_rows(resnet)[4].size, resnet.stages[3].traded) == (14, 2)
    mixed = Bottleneck(mixer=Lambda(scope=None))
    assert mixed.dilated(2) == mixed
    eighth = cs.spec("resnet50").at_stride(8)
    assert [stage.block.dilation for stage in eighth.stages] == [1, 1, 2, 4]  # type: ignore[attr-defined]
    assert resnet.at_stride(8) == eighth and resnet.at_stride(16) == resnet


def test_what_is_not_dilated_is_written_as_it_was_and_what_is_comes_back() -> None:
    text = cs.spec("resnet50").to_json()
    assert "dilation" not in text and "traded" not in text
    dense = posed(cs.spec("resnet50"), 4)
    assert cs.from_json(dense.to_json()) == dense
    assert json.loads(dense.to_json())["stages"][3]["traded"] == 2


def test_a_stem_beyond_the_stride_is_refused() -> None:
    with pytest.raises(UserError, match="the stem of resnet50 divides by 4 already"):
        cs.spec("resnet50").at_stride(2)


def test_surgery_and_mixers_keep_the_dilation() -> None:
    free = restyled(posed(cs.spec("resnetv2_50"), 4), "nf")
    assert free.stages[3].block.dilation == 2 and isinstance(free.head, Keypoints)  # type: ignore[attr-defined]
    dense = cs.spec("resnet50").at_stride(16)
    assert dense.with_mixer(3, Lambda(scope=7)).with_mixer(3, None) == dense
    cut = dense.with_mixer(3, Lambda(scope=7), blocks=[1])
    assert [stage.traded for stage in cut.stages] == [1, 1, 1, 2, 1, 1]


# ---- maps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sides", [(48, 64), (162, 288), (163, 290), (33, 17)])
def test_maps_have_two_cells_for_every_sixteen_pixels_begun(sides: tuple[int, int]) -> None:
    """Sheet 3.2, and the golden map sizes of 162 x 288."""
    spec = shown(small(), *sides)
    net = build(spec, device="meta").eval()
    out = net(torch.empty(2, 3, *sides, device="meta"))
    assert out.shape == (2, 9, map_side(sides[0]), map_side(sides[1]))
    assert plan(spec)[-1].outs[0].sides == out.shape[2:]


def test_the_golden_map_of_the_paper(shared_data: Path) -> None:
    golden = shared_data.parent / "spec" / "golden" / "pose.csv"
    if not golden.is_file():
        pytest.skip(f"{golden.name} is not there")
    with golden.open() as file:
        rows = {row["metric"]: row for row in csv.DictReader(file) if row["metric"].startswith("map_")}
    assert {row["confidence"] for row in rows.values()} == {"derived"}
    assert [int(row["value"]) for row in rows.values()] == [map_side(162), map_side(288)] == [22, 36]


def test_a_shift_of_sixteen_pixels_moves_the_maps_by_two_cells() -> None:
    """Oracle 7, with random weights, away from the borders; a half-cell slip anywhere would break it."""
    spec = shown(small(), 256, 288)
    spec = replace(spec, stages=tuple(replace(stage, depth=1) for stage in spec.stages))
    net = build(spec, seed=0).eval()
    wide = torch.randn(1, 3, 272, 304, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        own = net(wide[:, :, 16:, 16:])
        moved = net(wide[:, :, :256, :288])  # what was at (x, y) is at (x + 16, y + 16)
    # The trunk reaches 43 px to either side, 6 cells, and the transposed convolution one input cell, 2 more.
    torch.testing.assert_close(moved[:, :, 10:-8, 10:-8], own[:, :, 8:-10, 8:-10], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(moved[:, :, 9:-9, 9:-9], own[:, :, 8:-10, 8:-10], rtol=1e-2, atol=1e-3)


def test_cells_lie_where_the_grid_says() -> None:
    """Input cell i stands for the pixels 16 i to 16 i + 15 and makes the cells 2 i and 2 i + 1, at 16 i + 4 and 16 i + 12."""
    double = Doubling(1, 1)
    double.weight.data.zero_()
    double.weight.data[0, 0, 1:, 1:] = 1.0
    coarse = torch.randn(1, 1, 5, 7)
    torch.testing.assert_close(double(coarse), coarse.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_a_transposed_convolutions_cost_by_two_derivations() -> None:
    """Each number that enters meets every tap: h w C_in C_out 9. And it is the adjoint of a strided convolution, which
    multiplies as often."""
    h, w, c_in, c_out = 11, 18, 320, 44
    found = operations(Doubling(c_in, c_out), torch.zeros(1, c_in, h, w))
    adjoint = operations(nn.Conv2d(c_out, c_in, 3, stride=2, padding=1), torch.zeros(1, c_out, 2 * h, 2 * w))
    assert found.macs == adjoint.macs == h * w * c_in * c_out * 9
    assert (found.params, found.activations) == (c_in * c_out * 9 + c_out, c_out * 4 * h * w)
    spec = small()
    assert (
        operations(build(spec, seed=0), spec.input.example()).macs
        == cost(spec).macs
        == sum(kernel.macs * n for kernel, n in kernels(spec).items())
    )


def test_the_start_is_undecided_and_the_gradient_reaches_the_stem() -> None:
    net = build(small(), seed=0)
    maps = net(net.spec.input.example(4, seed=0))
    assert float(maps.detach().abs().mean()) < 0.5
    maps.square().sum().backward()
    assert float(next(net.stem.parameters()).grad.abs().sum()) > 0  # type: ignore[union-attr]


def test_an_intermediate_is_there_in_training_only() -> None:
    """Behind the 3 K channels, of an earlier stage of stride 16; it costs parameters and, of an evaluation, nothing."""
    spec = small(head=PooledClassifier(3))
    spec = replace(spec, stages=(*spec.stages, Stage(BasicBlock(), 2, 40, 1)), head=Keypoints(3, intermediate=True))
    net, images = build(spec, seed=0), spec.input.example(2, seed=0)
    assert net(images).shape == (2, 12, 6, 8)
    assert net.eval()(images).shape == (2, 9, 6, 8)
    node, own = plan(spec)[-1], node_costs(spec)[-1]
    assert node.reads == ("stages.2.1",) and own.macs == own.activations == 0 and own.params == 32 * 3 * 9 + 3
    assert [row.times for row in stage_rows(spec)][-1] == 0
    assert kernels(spec) and len(net.maps(images)) == 5
    assert len(build(replace(spec, head=Keypoints(3)), seed=0).maps(images)) == len(taps(trunk(spec))) == 4
    with pytest.raises(UserError, match="intermediate supervision reads another map of total stride 16"):
        plan(small(head=Keypoints(3, intermediate=True)))
    deep = posed(cs.spec("resnet101"), JOINTS, intermediate=True)
    assert plan(deep)[-1].reads == ("stages.2.22",)


def test_a_trunk_of_another_stride_is_told_what_to_do() -> None:
    with pytest.raises(UserError, match=r"total stride 16, and this one has 32: give it spec.at_stride\(16\)"):
        cost(replace(cs.spec("resnet18"), head=Keypoints(3)))
    with pytest.raises(UserError, match="total stride 16, and this one has 8"):
        cost(replace(small(), stages=small().stages[:2]))
    with pytest.raises(ValueError, match=r"keypoints\.joints"):
        Keypoints(0)


def test_which_head_a_network_gets() -> None:
    """MobileNetV2 keeps the classifier's convolution, EfficientNet ends in its last block, bare sums keep their norm-act."""
    heads = {name: keypoints_for(cs.spec(name), 5) for name in ("mobilenetv2_035", "efficientnet_b0", "resnetv2_50")}
    assert [heads[name].width for name in heads] == [1280, 0, 0]
    assert [heads[name].activated for name in heads] == [True, True, False]
    kept = posed(cs.spec("mobilenetv2_100"), 5, intermediate=True)
    assert keypoints_for(kept, 7) == Keypoints(7, 1280, True) and kept.with_classes(7).head == keypoints_for(kept, 7)
    assert Keypoints.whole and not PooledClassifier.whole


# ---- the paper's thirteen networks, and crossings ---------------------------------------------------------------------


@pytest.mark.parametrize("name", THIRTEEN)
def test_the_papers_networks_at_stride_sixteen(name: str) -> None:
    """22 joints at 162 x 288: the map, the cost, and the classifier's weights in every part of the trunk."""
    base = cs.spec(name)
    spec = shown(posed(base, JOINTS), 162, 288)
    net = build(spec, device="meta").eval()
    assert net(torch.empty(1, 3, 162, 288, device="meta")).shape == (1, 3 * JOINTS, 22, 36)
    total = cost(spec)
    assert total.macs == sum(row.macs for row in stage_rows(spec))
    assert total.params == sum(parameter.numel() for parameter in net.parameters())
    classifier = {key: value for key, value in build(base, device="meta").state_dict().items() if "fc." not in key}
    own = net.state_dict()
    trunk_keys = {key for key in own if not key.startswith("head.")}
    assert trunk_keys == {key for key in classifier if not key.startswith("head.")}
    assert all(own[key].shape == classifier[key].shape for key in trunk_keys)
    conv = {key for key in own if key.startswith("head.conv.")}
    assert conv == ({key for key in classifier if key.startswith("head.conv.")} if "mobilenetv2" in name else set())


@pytest.mark.parametrize("name", ["mobilenetv2_035", "resnet18", "efficientnet_b0"])
def test_pretrained_weights_load_in_whichever_names(name: str) -> None:
    net = build(cs.spec(name), seed=0)
    ours = net.state_dict()
    spec = posed(net.spec, JOINTS)
    for state in (ours, cs.to_timm(net)):
        fit = fitted(spec, Origin(name, state))
        fresh = {"head.score.weight", "head.score.bias", "head.offset.weight", "head.offset.bias"}
        assert set(fit.fresh) == fresh and fit.spec.head == spec.head
        assert all(torch.equal(tensor, ours[key]) for key, tensor in fit.state.items())
        assert set(fit.state) == set(build(spec, device="meta").state_dict()) - fresh
        assert any("head.score, head.offset" in note for note in fit.notes)
    pose = build(spec, seed=1)
    assert fitted(spec.with_classes(5), Origin(name, pose.state_dict())).spec.head == spec.head
    again = fitted(spec.with_classes(5), Origin(name, pose.state_dict()), classes=5)
    assert len(again.fresh) == 4 and again.spec.head.n_names == 5
    with pytest.raises(UserError, match="is no classifier"):
        cs.to_timm(pose)


CROSSED = ("lambdaresnet50", "nf_resnet50", "nf_regnet_b0", "ghostnet_100", "efficientnet_lite0", "bignas_s")


@pytest.mark.parametrize("name", [name for name in CROSSED if name in cs.names()])
def test_crossings_find_joints_too(name: str) -> None:
    spec = shown(posed(cs.spec(name), 4), 48, 80)
    out = build(spec, seed=0).eval()(spec.input.example(1, seed=0))
    assert out.shape == (1, 12, 6, 10) and bool(out.isfinite().all())


@pytest.mark.parametrize("norm", ["evonorm-s0", "evonorm-b0", "group"])
def test_any_norm_finds_joints_too(norm: NormName) -> None:
    spec = shown(restyled(posed(cs.spec("mobilenetv2_035"), 4), norm), 48, 80)
    out = build(spec, seed=0)(spec.input.example(2, seed=0))
    assert out.shape == (2, 12, 6, 10) and bool(out.isfinite().all())


# ---- what reads a plan ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule", [cs.Compound(), cs.InverseCompound(), cs.Width(), cs.Depth(), cs.Resolution(), cs.Tiny(), cs.ResNetRS()]
)
def test_scaling_keeps_the_joints_and_the_shape_of_the_picture(rule: cs.Rule) -> None:
    base = shown(posed(cs.spec("mobilenetv2_100"), 5), 96, 160)
    found = cs.scale(base, to="110M-macs", rule=rule)
    assert found.spec.head.n_names == 5 and found.cost.macs <= 110e6
    height, width = found.spec.input.sides
    assert abs(width / height - 160 / 96) < 0.03
    assert cost(found.spec) == found.cost


def test_signal_theory_traces_it() -> None:
    found = cs.diagnose(small(Bottleneck()), draws=1)
    assert str(found)


SPACE = Space(
    base=small(MBConv(expand=2, se=None, skips=True), Keypoints(3, 24), zero_last=True),
    stages=(Axes((), (1, 2), (3,), (1.5, 2)), Axes((16, 24), (1, 2)), Axes((24, 32))),
    head=(16, 24),
)


def test_children_of_a_space_of_poses_are_the_sliced_supernet() -> None:
    supernet, counting, rng = Supernet(SPACE, seed=0), Counting(SPACE), random.Random(0)
    images = SPACE.base.input.example(4, seed=0)
    for child in (SPACE.smallest(), *(SPACE.sample(rng) for _ in range(3))):
        shared, own = supernet.child(child)(images), undropped(supernet.extract(child))(images)
        assert torch.equal(shared, own) and shared.shape == (4, 9, 6, 8)
        assert counting(SPACE.genes(child)) == cost(child)
    shared.sum().backward()
    assert supernet.model.get_parameter("head.score.weight").grad is not None
    assert supernet.extract(SPACE.smallest()).get_parameter("head.score.weight").shape == (16, 3, 3, 3)


def test_a_space_of_poses_has_one_resolution_and_a_space_can_be_had_over_another_base() -> None:
    with pytest.raises(UserError, match="resolution: small finds places in what it is shown"):
        replace(SPACE, resolution=(32, 48))
    classes = replace(SPACE, base=replace(SPACE.base, head=PooledClassifier(3, 24)), resolution=(32, 48))
    assert classes.over(SPACE.base) == SPACE
    assert classes.over(replace(SPACE.base, head=Keypoints(3))).head == ()
    found = space_from(small(head=Keypoints(3)), width=0.5)
    assert found.base.head == Keypoints(3) and found.size() > 100


def test_strides_of_a_plan_multiply_to_the_maps() -> None:
    spec = posed(cs.spec("efficientnet_b0"), 3)
    sides = [node.outs[0].sides for node in plan(spec) if not node.path.startswith("head")]
    assert all(after[0] in (before[0], -(-before[0] // 2)) for before, after in pairwise(sides)) and sides[-1] == (
        14,
        14,
    )
    grouped = small(head=Keypoints(3, 16), norm=GroupNorm())
    assert build(grouped, seed=0)(grouped.input.example(2, seed=0)).shape == (2, 9, 6, 8)


def test_the_python_of_the_page_runs() -> None:
    page = (Path(__file__).parents[1] / "docs" / "pose.md").read_text(encoding="utf-8")
    (code,) = (one for one in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL) if "posed" in one)
    exec(compile(code, "pose.md", "exec"), {})
