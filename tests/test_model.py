"""A built network is a plain module with the field's habits."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from torch import nn

from convsmith.arch import Act, ArchSpec, Stage, plan
from convsmith.errors import UserError
from convsmith.families import names, spec
from convsmith.layers import Conv2d, DropPath, Residual, SqueezeExcite
from convsmith.model import build
from convsmith.parts import PARTS, BasicBlock, Bottleneck, DeepStem, GroupNorm, Shortcut
from specs import specs
from test_surface import documented

SMALL = spec("efficientnet_b0").with_resolution(64).with_classes(7)


def image(arch: ArchSpec, n: int = 2, side: int | None = None) -> torch.Tensor:
    side = side or arch.input.resolution
    return torch.randn(n, arch.input.channels, side, side, generator=torch.Generator().manual_seed(1))


# ---- any spec --------------------------------------------------------------------------------------------------------


@given(specs)
def test_any_spec_builds_runs_and_trains(arch: ArchSpec) -> None:
    model = build(arch, seed=0)
    logits = model(image(arch, n=3))
    assert logits.shape == (3, arch.head.classes)
    assert logits.isfinite().all()
    model.eval()(image(arch)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


@given(specs)
def test_maps_have_the_plan_s_widths_and_sides(arch: ArchSpec) -> None:
    model = build(arch, seed=0).eval()
    seen = {}
    nodes = {node.path: node for node in plan(arch)}
    for path in nodes:
        model.get_submodule(path).register_forward_hook(
            lambda _, inputs, out, path=path: seen.update({path: (inputs[0].shape[1:], out.shape[1:])})
        )
    model.stages(model.stem(image(arch)))
    for path, (entered, left) in seen.items():
        node = nodes[path]
        assert entered == node.ins[0].dims
        assert left == node.outs[0].dims
    assert len(seen) == arch.depth + 1


@given(specs)
def test_evaluation_does_not_depend_on_the_rest_of_the_batch(arch: ArchSpec) -> None:
    model, x = build(arch, seed=0).eval(), image(arch, n=4)
    with torch.inference_mode():
        torch.testing.assert_close(model(x)[1:2], model(x[1:2]), rtol=1e-4, atol=1e-5)


@given(specs)
def test_weights_depend_on_the_seed_alone(arch: ArchSpec) -> None:
    state = torch.get_rng_state()
    one, two = build(arch, seed=3).state_dict(), build(arch, seed=3).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", names("classify"))
def test_every_published_network_builds_and_says_what_it_is(name: str) -> None:
    model = build(spec(name), device="meta")
    nodes = plan(model.spec)
    assert model.num_classes == 1000
    assert model.head_hidden_size == model.get_classifier().in_features
    assert model.feature_info.channels()[-1] == nodes[-2].c_out or model.spec.neck is not None
    assert all(parameter.is_meta for parameter in model.parameters())


# ---- the field's habits ----------------------------------------------------------------------------------------------


def test_forward_is_features_then_head() -> None:
    model, x = build(SMALL, seed=0).eval(), image(SMALL)
    maps = model.forward_features(x)
    assert maps.shape == (2, 1280, 2, 2)
    assert torch.equal(model.forward_head(maps), model(x))
    assert model.forward_head(maps, pre_logits=True).shape == (2, 1280)


def test_the_classifier_can_be_replaced_and_taken_off() -> None:
    model, x = build(SMALL, seed=0).eval(), image(SMALL)
    model.reset_classifier(3)
    assert model(x).shape == (2, 3)
    assert (model.num_classes, model.spec.head.classes) == (3, 3)
    model.reset_classifier(0)
    assert model(x).shape == (2, 1280)
    assert model.num_classes == 0


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenetv2_100", "resnet18", "resnet50"])
def test_features_are_timm_s(name: str) -> None:
    timm = pytest.importorskip("timm")
    theirs = timm.create_model(name, features_only=True).feature_info
    info = build(spec(name), device="meta").feature_info
    assert info.channels() == theirs.channels()
    assert info.reduction() == theirs.reduction()


def test_features_only_returns_the_maps_it_names() -> None:
    arch = spec("resnet18").with_resolution(64)
    model, x = build(arch, seed=0).eval(), image(arch)
    trunk = model.features_only(out_indices=(0, 2, 4))
    maps = trunk(x)
    assert [tuple(m.shape[1:]) for m in maps] == [(64, 32, 32), (128, 8, 8), (512, 2, 2)]
    assert torch.equal(maps[-1], model.forward_features(x))
    assert trunk.feature_info.reduction() == [2, 8, 32]
    assert "stages_3" not in model.features_only(out_indices=(0, 1)).steps
    assert [m.shape[1] for m in model.features_only(out_indices=(-1,))(x)] == [512]
    with pytest.raises(UserError, match="outside the 5 maps of resnet18"):
        model.features_only(out_indices=(5,))


@pytest.mark.parametrize("side", [33, 64, 100, 31])
def test_any_side_goes_through(side: int) -> None:
    assert build(SMALL, seed=0).eval()(image(SMALL, side=side)).shape == (2, 7)


def test_channels_last_changes_the_layout_and_not_the_answer() -> None:
    model, x = build(SMALL, seed=0).eval(), image(SMALL)
    expected = model(x)
    last = model.to(memory_format=torch.channels_last)
    found = last(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_state_dict_keys_are_stable() -> None:
    keys = list(build(spec("resnet50"), device="meta").state_dict())
    assert keys[:3] == ["stem.conv.conv.weight", "stem.conv.norm.bn.weight", "stem.conv.norm.bn.bias"]
    assert "stages.1.0.branch.reduce.conv.weight" in keys
    assert "stages.1.0.skip.norm.bn.running_var" in keys
    assert keys[-2:] == ["head.fc.weight", "head.fc.bias"]
    b0 = build(spec("efficientnet_b0"), device="meta").state_dict()
    assert len(b0) == 360  # as in timm, torchvision and lukemelas: spec sheet 7.1
    assert "stages.1.0.branch.expand.conv.weight" in b0


def test_a_model_can_be_copied() -> None:
    model, x = build(SMALL, seed=0).eval(), image(SMALL)
    assert torch.equal(copy.deepcopy(model)(x), model(x))


def test_torch_export_takes_it_with_any_batch() -> None:
    model = build(SMALL, seed=0).eval()
    program = torch.export.export(model, (image(SMALL),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    x = image(SMALL, n=5)
    torch.testing.assert_close(program.module()(x), model(x), rtol=1e-5, atol=1e-6)


# ---- initialisation, spec sheet 2.3 and 8.2.16 -----------------------------------------------------------------------


def test_b0_starts_as_the_released_code_does() -> None:
    model = build(spec("efficientnet_b0"), seed=0)
    by_kernel: dict[int, list[torch.Tensor]] = {3: [], 5: []}
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.out_channels > 1:
            by_kernel[module.kernel_size[0]].append(module.weight.flatten())
    assert torch.cat(by_kernel[3]).std().item() == pytest.approx(0.4714, rel=0.02)  # sqrt(2 / 9); some 30,000 draws
    assert torch.cat(by_kernel[5]).std().item() == pytest.approx(0.2828, rel=0.02)
    dense = model.get_submodule("stages.5.1.branch.project.conv").weight
    assert dense.std().item() == pytest.approx((2 / 192) ** 0.5, rel=0.02)
    fc = model.get_classifier()
    assert fc.weight.abs().max().item() <= 1000**-0.5
    assert fc.weight.std().item() == pytest.approx(1000**-0.5 / 3**0.5, rel=0.02)
    assert not fc.bias.any()
    norm = model.get_submodule("stem.conv.norm.bn")
    assert (norm.eps, norm.momentum) == (1e-3, 0.01)


def test_a_residual_network_may_start_as_the_identity() -> None:
    arch = spec("resnet18").with_resolution(32)
    assert arch.style.zero_last
    model = build(arch, seed=0).eval()
    x = model.stem(image(arch))
    torch.testing.assert_close(model.stages[0](x), x)  # stage 1 keeps width and side, so zero branches leave x as it is


# ---- layers ----------------------------------------------------------------------------------------------------------


def test_dropped_paths_keep_the_expectation_and_evaluation_drops_nothing() -> None:
    drop = DropPath(0.25)
    ones = torch.ones(40_000, 1, 1, 1)
    kept = drop(ones)
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert kept.mean().item() == pytest.approx(1.0, abs=0.012)  # four standard errors: 4 * sqrt(1/3 / 40,000)
    assert drop.eval()(ones) is ones


def test_a_whole_image_is_dropped_or_none_of_it() -> None:
    out = DropPath(0.5)(torch.ones(64, 3, 4, 4)).flatten(1)
    assert ((out == 0).all(1) | (out == 2).all(1)).all()


def test_without_a_skip_nothing_is_dropped() -> None:
    block = Residual(nn.Identity(), skip=None, drop_path=0.9).train()
    x = torch.randn(100, 1, 1, 1)
    assert torch.equal(block(x), x)


def test_squeeze_excite_is_its_equation() -> None:
    layer = SqueezeExcite(6, 2, act=nn.SiLU(), gate=nn.Sigmoid())
    x = torch.randn(3, 6, 5, 4)
    hidden = torch.einsum("nchw,rc->nr", x / 20, layer.reduce.weight.flatten(1)) + layer.reduce.bias
    hidden = hidden * hidden.sigmoid()
    gate = (hidden @ layer.expand.weight.flatten(1).T + layer.expand.bias).sigmoid()
    torch.testing.assert_close(layer(x), x * gate[:, :, None, None])


def test_group_norm_takes_the_largest_divisor_of_odd_widths() -> None:
    assert GroupNorm(groups=32).build(48)[0].num_groups == 24
    assert GroupNorm(groups=32).build(7)[0].num_groups == 7
    assert GroupNorm(groups=4).build(10)[0].num_groups == 2


@pytest.mark.parametrize("kind", PARTS, ids=lambda kind: kind.kind)
def test_every_part_has_a_kind_of_its_own_and_says_what_it_is(kind) -> None:
    assert [other.kind for other in PARTS].count(kind.kind) == 1
    assert documented(kind)
    assert kind.__final__
    assert kind.__dataclass_params__.frozen


def test_resnet_d_and_groups_are_one_field_away() -> None:
    block = Bottleneck(shortcut=Shortcut.POOL_CONV, groups=32, ratio=0.5)
    base = spec("resnet50").with_resolution(64)
    arch = ArchSpec(
        name="resnext50d",
        input=base.input,
        style=base.style,
        stem=DeepStem(width=64),
        stages=tuple(Stage(block, s.depth, s.width, s.stride) for s in base.stages),
        head=base.head,
    )
    assert build(arch, seed=0).eval()(image(arch)).shape == (2, 1000)
    # timm's resnext50d_32x4d has 25.05 M parameters: the same network.
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        theirs = timm.create_model("resnext50d_32x4d")
    assert sum(p.numel() for p in theirs.parameters()) == sum(
        p.numel() for p in build(arch, device="meta").parameters()
    )


def test_groups_that_do_not_divide_a_width_are_refused_by_name() -> None:
    base = spec("resnet18")
    arch = ArchSpec("odd", base.input, base.style, base.stem, (Stage(BasicBlock(groups=7), 1, 64, 1),), base.head)
    with pytest.raises(ValueError, match=r"stages\.0\.0: widths 64 and 64 do not split into 7 groups"):
        build(arch, device="meta")


def test_every_activation_has_a_module() -> None:
    from convsmith.parts.acts import activation

    for act in Act:
        assert isinstance(activation(act), nn.Module)


@pytest.mark.parametrize("name", ["efficientnet_b0", "resnet18"])
def test_torch_compile_sees_one_graph(name: str) -> None:
    arch = spec(name).with_resolution(32)
    model, x = build(arch, seed=0).eval(), image(arch)
    with torch.inference_mode():
        # fullgraph: a break would raise. The backend that runs the graph as it is needs no compiler.
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(x), model(x))


@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "height", "width"), [(3, 1, 1), (3, 2, 2), (5, 1, 3), (5, 4, 2), (7, 2, 9), (3, 4, 4)]
)
def test_a_small_map_trains_as_the_plain_convolution_does(
    groups: int, stride: int, kernel: int, height: int, width: int
) -> None:
    ours = Conv2d(8, 8, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=True).double()
    plain = nn.Conv2d(8, 8, kernel, stride=stride, padding=kernel // 2, groups=groups).double()
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(3, 8, height, width, dtype=torch.float64)
    results = []
    for conv in (ours.train(), plain):
        image = x.clone().requires_grad_()
        out = conv(image)
        out.square().sum().backward()
        results.append((out, image.grad, conv.weight.grad, conv.bias.grad))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
