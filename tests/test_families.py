"""Families against what was published about them, and against the mistakes that are easily made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convsmith.arch import ArchSpec, Padding, grown, plan
from convsmith.costs import cost
from convsmith.families import FAMILIES, names, spec
from convsmith.families.efficientnet import B0
from convsmith.families.tinynet import SIZES as TINY
from convsmith.model import build
from convsmith.parts import MBConv
from convsmith.units import RoundDepth, Rounding
from convsmith.weights.maps import Dialect, dialects
from convsmith.weights.maps import names as key_names


def millions(arch: ArchSpec) -> tuple[float, float]:
    found = cost(arch)
    return found.params / 1e6, found.macs / 1e6


def test_a_name_belongs_to_one_family():
    members = [member.name for family in FAMILIES.values() for member in family()]
    assert len(members) == len(set(members)) == len(names())


# ---- TinyNet: Han et al. (2020), released code; counts of timm 1.0.31 ----


@pytest.mark.parametrize(
    ("size", "sides", "widths", "repeats"),
    [
        ("a", (192, 96, 48, 24, 12, 6), (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 4, 4, 5, 1)),
        ("b", (188, 94, 47, 24, 12, 6), (16, 24, 32, 64, 88, 144, 240), (1, 2, 2, 3, 3, 4, 1)),
        ("c", (184, 92, 46, 23, 12, 6), (8, 16, 24, 40, 64, 104, 176), (1, 2, 2, 3, 3, 3, 1)),
        ("d", (152, 76, 38, 19, 10, 5), (8, 16, 24, 40, 64, 104, 176), (1, 1, 1, 2, 2, 3, 1)),
        ("e", (106, 53, 27, 14, 7, 4), (8, 16, 24, 40, 56, 96, 160), (1, 1, 1, 2, 2, 2, 1)),
    ],
)
def test_tinynets_are_the_released_ones(size, sides, widths, repeats):
    arch = spec(f"tinynet_{size}")
    assert tuple(stage.width for stage in arch.stages) == widths
    assert tuple(stage.depth for stage in arch.stages) == repeats
    assert tuple(dict.fromkeys(node.sides[0] for node in plan(arch))) == sides


@pytest.mark.parametrize(
    ("size", "ceiled", "all_scaled"),
    [
        ("a", (7.79, 419), (6.19, 337)),
        ("b", (5.18, 290), (3.33, 193.9)),
        ("c", (2.64, 104.8), (1.76, 89.2)),
        ("d", (2.46, 69.1), (1.64, 44.3)),
        ("e", (2.22, 31.3), (1.32, 20.2)),
    ],
)
def test_the_wrong_rules_give_the_wrong_tinynets(size, ceiled, all_scaled):
    """EfficientNet's repeats, or its scaled stem and head: another network each, as the sheet of mistakes has it."""
    _, depth, width, _ = TINY[size]
    side = spec(f"tinynet_{size}").input.resolution
    up = grown(B0, depth=depth, width=width, rounding=Rounding(keep_stem=True, least_head=1280))
    both = grown(B0, depth=depth, width=width, rounding=Rounding(depth=RoundDepth.NEAREST))
    assert millions(up.with_resolution(side)) == pytest.approx(ceiled, rel=0.006)  # printed to three digits
    assert millions(both.with_resolution(side)) == pytest.approx(all_scaled, rel=0.006)


# ---- ResNet-RS: Bello et al. (2021) ----


@pytest.mark.parametrize("depth", [50, 101, 152, 200, 270, 350, 420])
def test_resnet_rs_follows_its_closed_form(depth):
    """Stem, first block of the first stage, first blocks of the others, all other blocks, classifier."""
    arch = spec(f"resnetrs{depth}")
    inner = (64, 128, 256, 512)
    expected = 65_760 + 108_096 + sum(31 * p**2 + 25 * p for p in inner[1:]) + 2048 * 1000 + 1000
    for p, stage in zip(inner, arch.stages, strict=True):
        expected += (stage.depth - 1) * (25 * p**2 + 17 * p)
    assert cost(arch).params == expected


def test_resnet_rs_keeps_its_parameters_at_every_side_and_scales_in_area():
    arch = spec("resnetrs152")
    small, large = (cost(arch.with_resolution(side)) for side in (128, 256))
    head = 2048 * 1000
    gates = sum(
        2 * p * 4 * p for stage, p in zip(arch.stages, (64, 128, 256, 512), strict=True) for _ in range(stage.depth)
    )
    assert small.params == large.params
    assert large.macs - head - gates == 4 * (small.macs - head - gates)


# ---- EfficientNet-Lite: tensorflow/tpu ----


@pytest.mark.parametrize("size", range(5))
def test_lite_networks_keep_stem_head_and_ends(size):
    arch = spec(f"tf_efficientnet_lite{size}")
    assert arch.stem.width == 32 and arch.head.width == 1280
    assert arch.stages[0].depth == arch.stages[-1].depth == 1
    assert all(isinstance(stage.block, MBConv) and stage.block.se is None for stage in arch.stages)
    assert arch.style.conv.padding is Padding.SAME and arch.input.std[0] * 255 == pytest.approx(128)


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("tf_")])
def test_a_tf_network_differs_in_what_costs_nothing(name):
    """Padding and the image's numbers; the counts are those of its symmetric twin."""
    here, twin = spec(name), spec(name.removeprefix("tf_"))
    assert cost(here) == cost(twin)
    assert replace(here.with_style(conv=twin.style.conv), name=twin.name, input=twin.input) == twin


# ---- BigNAS: Yu et al. (2020); counts derived twice, here and in closed form ----


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("bignas_min", 3_844_372, 217_632_640),
        ("bignas_b0", 5_385_508, 400_641_760),
        ("bignas_max", 11_015_222, 1_891_542_528),
    ],
)
def test_the_ends_of_bignas_space_cost_what_the_closed_form_says(name, params, macs):
    assert (cost(spec(name)).params, cost(spec(name)).macs) == (params, macs)


def test_without_projections_the_middle_child_is_efficientnet_b0():
    child = spec("bignas_b0")
    plain = replace(child, stages=tuple(replace(s, block=replace(s.block, skips=False)) for s in child.stages))
    assert cost(plain) == cost(spec("efficientnet_b0"))


def test_every_block_of_bignas_has_a_skip():
    net = build(spec("bignas_b0"), device="meta")
    assert all(block.skip is not None for stage in net.stages for block in stage)


# ---- GhostNet: Han et al. (2020), "GhostNet"; the table of timm 1.0.31, whose keys and shapes test_weights asserts ----


@pytest.mark.parametrize(
    ("name", "stem", "widths", "last"),
    [
        ("ghostnet_050", 8, {8, 12, 20, 40, 56, 80}, 480),
        ("ghostnet_100", 16, {16, 24, 40, 80, 112, 160}, 960),
        ("ghostnet_130", 20, {20, 32, 52, 104, 144, 208}, 1248),
    ],
)
def test_ghostnets_widths_are_multiples_of_four_and_its_last_layer_is_fixed(name, stem, widths, last):
    arch = spec(name)
    assert (arch.stem.width, {stage.width for stage in arch.stages}) == (stem, widths)
    assert (arch.head.width, arch.head.hidden) == (last, 1280)


def test_a_ghost_blocks_inner_width_is_rounded_by_itself():
    """1.3 * 72 = 93.6 goes to 92; three times the rounded output of 32 would be 96."""
    block = build(spec("ghostnet_130"), device="meta").get_submodule("stages.2.0.branch")
    assert block.ghost1.channels == 92


# ---- parity of what `bench/parity.py` has no room for: other widths, and torchvision's MnasNet ----


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("ghostnet_130", "timm:ghostnet_130"),
        ("semnasnet_075", "timm:semnasnet_075"),
        ("mnasnet_050", "tv:mnasnet0_5"),
        ("mnasnet_100", "tv:mnasnet1_0"),
    ],
)
def test_other_widths_and_packages_agree_too(ours, theirs):
    pytest.importorskip("timm")
    from parity import distance

    found = distance(ours, theirs, 64)
    # float64: the order of summation may differ, and many layers amplify it.
    assert found.evaluation <= 1e-9 and found.training <= 1e-9 and found.gradients <= 1e-8


def test_torchvision_s_names_tell_mnasnet_from_mobilenetv2():
    """Both are inverted residuals without squeeze-excitation; a network that is neither gets no wrong name."""
    first = {name: key_names(spec(name), Dialect.TORCHVISION) for name in ("mnasnet_100", "mobilenetv2_100")}
    assert first["mnasnet_100"]["stem.conv.conv.weight"] == "layers.0.weight"
    assert first["mobilenetv2_100"]["stem.conv.conv.weight"] == "features.0.0.weight"
    assert Dialect.TORCHVISION not in dialects(spec("semnasnet_100"))
