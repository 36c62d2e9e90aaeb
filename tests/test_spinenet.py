"""SpineNet's graph: who reads whom, the maps that it puts out, and how it deepens."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convsmith.arch import plan
from convsmith.families.spinenet import spinenet
from convsmith.model import build
from convsmith.parts.necks.spinenet import NETS, joined
from convsmith.supernet.slicing import blank


def test_one_net_joins_another_without_being_resampled() -> None:
    """O12: the extra rule acts exactly once, and with a map of stride 4 as well."""
    assert {at: more for at, more in joined().items() if more} == {14: (11,)}
    assert joined({at: net for at, net in NETS.items() if at < 17})[14] == (11,)


def test_every_net_reads_earlier_ones_and_one_that_is_no_coarser() -> None:
    levels = {0: 2, 1: 2} | {at: net.level for at, net in NETS.items()}
    for number, net in NETS.items():
        assert max(net.parents) < number
        assert min(levels[at] for at in net.parents) <= net.level, "sides are taken from a map that is made coarser"


@pytest.mark.parametrize("sides", [(128, 256), (100, 72)])
def test_a_spinenet_puts_out_five_maps_of_its_sides(sides: tuple[int, int]) -> None:
    """O12: s/8 to s/128, rounded up where s is no multiple of 128."""
    net = build(spinenet("49s"), seed=0).eval()
    with torch.no_grad():
        maps = net.maps(torch.randn(1, 3, *sides))
    assert [one.shape[1:] for one in maps] == [
        (128, *(-(-side // 2**level) for side in sides)) for level in range(3, 8)
    ]


def test_without_weights_a_spinenet_s_maps_are_constant() -> None:
    """O12: nothing but convolutions carries what a pixel is."""
    net = build(spinenet("49s"), seed=0).eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.zero_()
        for one in net.maps(torch.randn(1, 3, 128, 128)):
            assert torch.equal(one, one[:, :, :1, :1].expand_as(one))


def test_deeper_spinenets_differ_in_repeats_only() -> None:
    """O12: 49 and 96 share stem, resampling and endpoints."""
    shapes = [
        {
            key: one.shape
            for key, one in blank(spinenet(size)).state_dict().items()
            if "resample" in key or "ends" in key
        }
        for size in ("49", "96")
    ]
    assert shapes[0] == shapes[1] and len(shapes[0]) > 300


def test_stochastic_depth_rises_over_the_nets_and_spares_the_trunk() -> None:
    arch = spinenet("49").with_style(drop_path=0.3)
    assert all(node.drop_path == 0 for node in plan(arch))
    net = build(arch, device="meta")
    rates = [net.get_submodule(f"neck.nets.{at}.blocks.0.drop").rate for at in (2, 9, 16)]
    assert rates == pytest.approx([0.3 * at / 15 for at in (1, 8, 15)])
