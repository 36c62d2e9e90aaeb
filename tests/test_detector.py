"""Pyramids and Mask R-CNN as values: their wiring, how they are made and scaled, and what a plan says of regions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import convsmith as cs
from convsmith.arch import Act, ArchSpec, Map, Padding, Shape, plan
from convsmith.codec import from_json
from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.families import spec
from convsmith.families.spinenet import spinenet
from convsmith.layers import EvoNormS
from convsmith.layers.detection import Geometry
from convsmith.model import build
from convsmith.parts import (
    FPN,
    PARTS,
    BatchNorm,
    Form,
    GroupNorm,
    MaskRCNN,
    NoNorm,
    PlainConv,
    ScaledWS,
    SpineNet,
    Top,
    detector,
)
from convsmith.stages import stage_rows
from convsmith.supernet import Axes, Space
from convsmith.supernet.slicing import check
from convsmith.units import Rounding
from detectors import S0, parts_of, small

# ---- what a plan says is what the network does ---------------------------------------------------------------------------

EVERY = [
    small(),
    small(form=Form.TORCHVISION, top=Top.SUBSAMPLE),
    small(separable=True, norm=GroupNorm()),
    small(low=3, high=7, octaves=2, masks=False),
    small("efficientnet_b0", low=2, high=4),
    small("nf_resnet26"),
    small("resnetv2_50").with_style(norm=S0),
    detector(spinenet("49s").with_resolution(128), 2, width=16, fc_width=16).with_style(norm=BatchNorm(act=Act.SILU)),
]


@pytest.mark.parametrize(
    "arch", EVERY, ids=lambda arch: f"{arch.name}-{arch.neck.kind}-{arch.head.form}-{arch.neck.low}"
)
def test_shapes_and_maps_read_are_those_of_the_network(arch: ArchSpec) -> None:
    model = build(arch, seed=0).eval()
    seen: dict[str, tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]] = {}

    def note(path: str):  # type: ignore[no-untyped-def]
        def hook(_: object, ins: tuple[torch.Tensor, ...], out: object) -> None:
            outs = out if isinstance(out, tuple) else (out,)
            seen[path] = ins, tuple(one for each in outs for one in (each if isinstance(each, tuple) else (each,)))

        return hook

    nodes = plan(arch)
    for node in nodes:
        model.get_submodule(node.path).register_forward_hook(note(node.path))
    with torch.no_grad():
        maps = model.maps(arch.input.example(2, seed=1))
        model.head.rpn(*maps)
        for name, side in (("box", 7), ("mask", 14)):
            if getattr(model.head, name) is not None:
                getattr(model.head, name)(torch.randn(2, maps[0].shape[1], side, side))
    done: set[str] = set()
    for node in nodes:
        ins, outs = seen[node.path]
        assert [one.shape[1:] for one in ins] == [shape.dims for shape in node.ins], node.path
        assert [one.shape[1:] for one in outs] == [shape.dims for shape in node.outs], node.path
        assert set(node.reads) <= done
        done.add(node.path)
        if node.times == 1 and node.reads:
            read = [{id(one) for one in seen[path][1]} for path in node.reads]
            assert all(id(one) in outs for one, outs in zip(ins, read, strict=True)), node.path
    assert all(bool(one.isfinite().all()) for one in maps)
    assert from_json(ArchSpec, arch.to_json(), PARTS) == arch


def test_times_are_regions_and_masks() -> None:
    arch = small(regions=300, kept=20)
    assert {node.path: node.times for node in plan(arch) if node.path.startswith("head")} == {
        "head.rpn": 1,
        "head.box": 300,
        "head.mask": 20,
    }
    half = small(regions=150, kept=20)
    assert parts_of(arch)["box"][1] == 2 * parts_of(half)["box"][1] and cost(arch).params == cost(half).params
    rows = [(row.name, row.times) for row in stage_rows(arch)]
    assert rows[-4:] == [("neck", 1), ("head.rpn", 1), ("head.box", 300), ("head.mask", 20)]


def test_a_norm_of_groups_never_sees_a_pixel_of_too_few_channels() -> None:
    """An S layer with a group of one channel multiplies a map of one pixel by 316; with eight it has statistics."""
    for norm in (S0, GroupNorm()):
        arch = small(fc_width=24).with_style(norm=norm)
        model = build(arch, device="meta")
        for path, module in model.head.named_modules():
            groups = module.groups if isinstance(module, EvoNormS) else getattr(module, "num_groups", None)
            if groups is not None and path.startswith(("rpn", "box.fcs")):
                assert len(module.weight) // groups >= 8, path
    assert S0.for_pixels(1024) == S0 and BatchNorm().for_pixels(4) == BatchNorm()


def test_a_bare_sum_gets_its_norm_and_activation_before_a_pyramid_reads_it() -> None:
    assert isinstance(small("resnet18").neck, FPN) and small("resnet18").neck.activated
    preact, free = small("resnetv2_50"), small("nf_resnet26")
    assert not preact.neck.activated and not free.neck.activated
    with torch.device("meta"):
        keys = build(preact).state_dict()
    assert len(keys["neck.lateral.5.bare.bn.weight"]) == 2048
    laterals = {node.path: node for node in plan(free) if "lateral" in node.path}
    alpha = free.stages[0].block.alpha
    # Each stage of two blocks begins anew at 1 + alpha² and ends alpha² above it.
    assert all(node.variance == pytest.approx(1 + 2 * alpha**2) for node in laterals.values())
    bare = build(free, seed=0).neck.lateral["4"].bare
    x = torch.randn(1, 1024, 2, 2)
    torch.testing.assert_close(bare(x), x.relu() / (1 + 2 * alpha**2) ** 0.5)


def test_weights_begin_as_the_papers_do() -> None:
    """Proposals at 0.01; class scores at 0.01 and boxes at 0.001; convolutions by He's fan-out; the pyramid by its fan-in."""
    model = build(detector(spec("resnet18").with_resolution(64), 20), seed=0)
    head = model.head
    for module, deviation in (
        (head.rpn.convs[0], 0.01),
        (head.rpn.deltas, 0.01),
        (head.box.scores, 0.01),
        (head.box.deltas, 0.001),
        (head.box.convs[1].conv, (2 / (9 * 256)) ** 0.5),
        (head.mask.up.conv, (2 / (4 * 256)) ** 0.5),
        (model.neck.out["2"].conv, (1 / (9 * 256)) ** 0.5),
    ):
        assert float(module.weight.detach().std()) == pytest.approx(deviation, rel=0.05)
        assert not module.bias.any()


# ---- making one ----------------------------------------------------------------------------------------------------------


def test_a_detector_is_made_of_any_network_and_made_again() -> None:
    base = spec("resnet50")
    found = detector(base, 5, low=3, high=7, width=64, norm=GroupNorm(), regions=200)
    assert found.stages == base.stages and found.neck == FPN(low=3, high=7, width=64, norm=GroupNorm())
    assert found.head == MaskRCNN(
        5, scale=3.0, rpn_width=64, box_width=64, mask_width=64, norm=GroupNorm(), regions=200
    )
    again = detector(found, 7, regions=50)
    assert again.neck == found.neck and again.head == replace(found.head, classes=7, regions=50)
    assert detector(spinenet("49"), 2).neck == spinenet("49").neck
    assert found.with_classes(9).head.n_names == 9
    with pytest.raises(UserError, match=r"a detector has no 'region'; did you mean 'regions'\?"):
        detector(base, 5, region=3)
    with pytest.raises(ValueError, match=r"mask_rcnn\.kept must be at least 1"):
        detector(base, 5, kept=0)


def test_what_a_neck_or_head_cannot_read_is_refused() -> None:
    with pytest.raises(
        UserError, match="begins at stride 2 reads a map of that stride, and this trunk has maps of strides 4, 8"
    ):
        cost(detector(spec("resnet18"), 3, low=1))
    with pytest.raises(
        UserError, match="mask_rcnn reads maps of one width, and these have 64, 128, 256, 512: put a neck"
    ):
        cost(replace(spec("resnet18"), head=MaskRCNN(3)))
    with pytest.raises(UserError, match=r"spinenet stands on two stages at total stride 4, .* strides 16, 32"):
        cost(replace(spec("resnet50"), neck=SpineNet()))


def test_another_number_of_classes_leaves_all_but_the_predictors() -> None:
    """`named` is what the data's names fix."""
    one, two = (build(small().with_classes(n), device="meta").state_dict() for n in (2, 4))
    changed = {key for key in one if one[key].shape != two[key].shape}
    assert changed == {key for key in one if key.startswith(MaskRCNN.named)} and len(changed) == 6


def test_heads_follow_the_network_s_style_or_have_a_norm_of_their_own() -> None:
    base = small()
    kinds = {type(one) for one in build(base.with_style(norm=S0), device="meta").head.modules()}
    assert EvoNormS in kinds and nn.BatchNorm2d not in kinds
    own = build(small(norm=GroupNorm()), device="meta")
    assert not any(isinstance(one, nn.BatchNorm2d) for one in (*own.head.modules(), *own.neck.modules()))
    assert any(isinstance(one, nn.BatchNorm2d) for one in own.stages.modules())
    free = build(base.with_style(norm=NoNorm(gain=True), conv=ScaledWS(padding=Padding.SAME)), device="meta")
    assert not any(isinstance(one, (nn.BatchNorm2d, nn.GroupNorm, EvoNormS)) for one in free.modules())
    plain = build(small(norm=NoNorm()).with_style(conv=PlainConv()), device="meta")
    assert not any(isinstance(one, nn.BatchNorm2d) for one in plain.head.modules())


# ---- scaling and searching -------------------------------------------------------------------------------------------------


def test_scaling_takes_trunk_pyramid_and_heads_together() -> None:
    base = detector(spec("resnet18").with_resolution(256), 10, width=64, fc_width=256, regions=100, kept=20)
    found = cs.scale(base, to="1G-macs").spec
    assert found.head.n_names == 10 and found.input.resolution % 64 == 0
    for name in ("rpn_width", "box_width", "mask_width", "fc_width"):
        assert getattr(found.head, name) < getattr(base.head, name), name
    assert found.neck.width < 64 and found.stages[-1].width < base.stages[-1].width
    side = found.input.resolution
    assert (found.head.regions, found.head.kept) == (max(50, round(100 * (side / 256) ** 2)), 20)
    assert found.head.box_convs == 4 and side < 256
    assert 0.5e9 < cost(found).macs <= 1e9


def test_what_a_rounding_says_of_a_classifier_s_head_is_not_said_of_a_detector_s() -> None:
    """The tiny formula keeps a classifier's convolution at 1280 or more."""
    narrow = cs.grown(small(), width=0.5, rounding=cs.Tiny().rounding)
    assert (narrow.head.box_width, narrow.head.fc_width, narrow.neck.width) == (8, 16, 8)


def test_a_smaller_image_has_fewer_regions_and_a_larger_one_as_many() -> None:
    base = small(side=256, regions=1000, kept=100)
    half, twice = (cs.grown(base, resolution=factor, rounding=Rounding()) for factor in (0.5, 2))
    assert (half.head.regions, half.head.kept) == (250, 25)
    assert twice.head == base.head and base.with_resolution(64).head == base.head
    tiny = cs.grown(base, resolution=0.01, rounding=Rounding())
    assert (tiny.input.resolution, tiny.head.regions, tiny.head.kept) == (64, 62, 20)


def test_growing_repeats_a_spinenet_s_blocks_on_both_sides_of_the_seam() -> None:
    deep = cs.grown(spinenet("49"), depth=3, resolution=1.7, rounding=Rounding())
    assert deep.neck == replace(spinenet("49").neck, repeats=3) and {stage.depth for stage in deep.stages} == {3}
    assert deep.input.resolution == 384, "the multiple of 128 nearest to 381"


def test_a_search_may_vary_the_trunk_of_a_detector() -> None:
    """Children are views: the pyramid's first convolutions are cut with the stages, nothing behind them changes."""
    base = small()
    free = tuple(Axes(width=(stage.width // 2, stage.width), depth=(1, 2)) for stage in base.stages[1:])
    check(Space(base=base, stages=(Axes(), *free)))
    with pytest.raises(UserError, match="finds places in what it is shown"):
        Space(base=base, stages=(Axes(), *free), resolution=(32, 64))
    grouped = base.with_style(norm=GroupNorm(groups=8))
    with pytest.raises(UserError, match="normalises groups"):
        check(Space(base=grouped, stages=(Axes(), *free)))


def test_settings_of_the_mathematics_are_the_head_s() -> None:
    head = MaskRCNN(3, scale=3.0, ratios=(1.0,), regions=64, kept=8, level=3, side=32.0)
    settings = head.settings((8, 16, 32))
    assert (settings.strides, settings.scale, settings.ratios, settings.found) == ((8, 16, 32), 3.0, (1.0,), 8)
    assert (settings.level, settings.side, settings.regions[1], settings.pooled) == (3, 32.0, 64, None)
    theirs = replace(head, geometry=Geometry.TORCHVISION).settings((4, 8, 16, 32, 64))
    assert (theirs.pooled, theirs.geometry, theirs.regions[0]) == (4, Geometry.TORCHVISION, 2 * 64)
    assert build(small(low=3, high=5), device="meta").head.settings.strides == (8, 16, 32)


def test_a_pyramid_adds_what_is_coarser() -> None:
    """M_l = lateral(C_l) + enlarged(M_{l+1}), by hand on three maps of one channel."""
    neck = FPN(low=2, high=4, width=1, norm=NoNorm())
    maps = [Map(f"stages.{at}", 2 ** (2 + at), Shape(1, (4 >> at, 4 >> at))) for at in range(3)]
    nodes, _ = neck.unrolled(maps)
    module = neck.assembled({node.path: node.part.build(node, spec("resnet18").style) for node in nodes})
    with torch.no_grad():
        for one in module.modules():
            if isinstance(one, nn.Conv2d):
                one.weight.zero_()
                one.weight[..., one.kernel_size[0] // 2, one.kernel_size[1] // 2] = 1
        given = tuple(torch.full((1, 1, 4 >> at, 4 >> at), 10.0**at) for at in range(3))
        fine, middle, top = module(given)
    assert fine.unique().tolist() == [111] and middle.unique().tolist() == [110] and top.unique().tolist() == [100]
