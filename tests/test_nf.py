"""Normaliser-free networks: what standardised filters, gains and expected variances must do (Brock et al., 2021)."""

from __future__ import annotations

import copy
from dataclasses import replace
from math import cos, pi, sin, sqrt

import numpy as np
import pytest
import torch
from torch import nn

import convsmith as cs
from convsmith.arch import Act, ArchSpec, Image, Padding, Stage, Style, plan
from convsmith.layers import ScaledWSConv2d, standardised
from convsmith.parts import (
    SE,
    BatchNorm,
    ConvStem,
    Guard,
    NFBottleneck,
    NFRegNetBlock,
    NoNorm,
    PlainConv,
    PooledClassifier,
    ScaledWS,
)
from convsmith.parts.acts import activation
from convsmith.parts.gains import EXACT, RELEASED


def filters() -> torch.Tensor:
    """The sheet's filters: W[i] = sin(0.9 i + 0.4) + 0.3 cos(2.3 i) + 0.2 floor(i / 18), three of 2 x 3 x 3."""
    values = [sin(0.9 * i + 0.4) + 0.3 * cos(2.3 * i) + 0.2 * (i // 18) for i in range(54)]
    return torch.tensor(values, dtype=torch.double).view(3, 2, 3, 3)


GAIN = torch.tensor([1.0, 0.5, 2.0], dtype=torch.double).view(3, 1, 1, 1)


# ---- standardised filters ----


def test_filters_are_the_golden_ones():
    """First and last entries of the golden vectors, without a guard (the floor does not bite here)."""
    found = standardised(filters(), GAIN, scale=1.0, eps=1e-4, floor=True).flatten()
    expected = {
        0: 0.1836324421,
        1: 0.2082242225,
        4: -0.3921660184,
        18: -0.1498458619,
        36: 0.6712163586,
        53: -0.6988886571,
    }
    for index, value in expected.items():
        assert float(found[index]) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("scale", [1.0, RELEASED[Act.RELU]])
def test_filters_sum_to_zero_and_their_squares_to_the_gains(scale):
    out = standardised(filters(), GAIN, scale=scale, eps=1e-4, floor=True).flatten(1)
    torch.testing.assert_close(out.sum(1), torch.zeros(3, dtype=torch.double), rtol=0, atol=1e-12)
    torch.testing.assert_close(out.square().sum(1), (scale * GAIN.flatten()) ** 2, rtol=1e-12, atol=0)


def test_scaling_and_shifting_a_filter_changes_only_its_sign():
    def made(weight: torch.Tensor) -> torch.Tensor:
        return standardised(weight, GAIN, scale=1.0, eps=1e-4, floor=True)

    torch.testing.assert_close(made(-3 * filters() + 7), -made(filters()), rtol=1e-12, atol=1e-12)


def test_timms_guard_shrinks_every_filter_by_its_own_amount():
    out = standardised(filters(), GAIN, scale=1.0, eps=1e-5, floor=False).flatten(1)
    var = filters().flatten(1).var(1, unbiased=False)
    torch.testing.assert_close(out.square().sum(1), GAIN.flatten() ** 2 * var / (var + 1e-5), rtol=1e-12, atol=0)


def test_an_almost_constant_filter_is_bounded_by_the_floor():
    weight = torch.full((1, 2, 3, 3), 0.5, dtype=torch.double)
    assert not standardised(weight, GAIN[:1], scale=1.0, eps=1e-4, floor=True).any()
    weight[0, 0, 0, 0] += 1e-6
    out = standardised(weight, GAIN[:1], scale=1.0, eps=1e-4, floor=True)
    centred = weight - weight.mean()
    torch.testing.assert_close(out, centred / sqrt(1e-4), rtol=1e-9, atol=0)


@pytest.mark.parametrize("floor", [True, False])
def test_gradients_are_the_numerical_ones_and_orthogonal_to_what_changes_nothing(floor):
    weight, gain = filters().requires_grad_(), GAIN.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda w, g: standardised(w, g, scale=1.7, eps=1e-4 if floor else 1e-5, floor=floor), (weight, gain)
    )
    out = standardised(weight, gain, scale=1.0, eps=1e-4, floor=True)
    (grad,) = torch.autograd.grad(out, weight, torch.randn_like(out))
    rows, centred = grad.flatten(1), weight.detach().flatten(1) - weight.detach().flatten(1).mean(1, keepdim=True)
    torch.testing.assert_close(rows.sum(1), torch.zeros(3, dtype=torch.double), rtol=0, atol=1e-12)
    torch.testing.assert_close((rows * centred).sum(1), torch.zeros(3, dtype=torch.double), rtol=0, atol=1e-12)


def test_a_constant_image_gives_the_bias():
    conv = ScaledWSConv2d(4, 6, 3).double()
    nn.init.normal_(conv.bias)
    inner = conv(torch.full((1, 4, 7, 7), 3.0, dtype=torch.double))[..., 1:-1, 1:-1]
    torch.testing.assert_close(inner, conv.bias.detach().view(1, 6, 1, 1).expand_as(inner), rtol=0, atol=1e-12)


def test_a_kept_weight_is_made_again_whenever_a_parameter_changes():
    conv, x = ScaledWSConv2d(3, 4, 3).eval(), torch.randn(1, 3, 5, 5)
    with torch.no_grad():
        before = conv(x)
        assert torch.equal(conv(x), before)
        conv.weight.mul_(-1)
        assert torch.allclose(conv(x), -before, atol=1e-6)
        conv.load_state_dict({key: torch.randn_like(value) for key, value in conv.state_dict().items()})
        loaded = conv(x)
        assert not torch.allclose(loaded, -before)
        twin = copy.deepcopy(conv)
        twin.gain.mul_(2)
        assert torch.equal(conv(x), loaded) and not torch.allclose(twin(x), loaded)
    assert conv(x).requires_grad  # and nothing kept stands in the way of a gradient


def test_depthwise_filters_are_left_alone():
    conv = ScaledWS().build(8, 8, 3, groups=8)
    assert not isinstance(conv, ScaledWSConv2d) and conv.bias is not None


# ---- gains ----


@pytest.mark.parametrize("act", [act for act in Act if act is not Act.NONE])
def test_gains_are_those_of_a_standard_normal_signal(act):
    grid = torch.linspace(-12, 12, 400_001, dtype=torch.double)
    density = torch.exp(-grid.square() / 2) / sqrt(2 * pi)
    values = activation(act, inplace=False)(grid)
    mean = torch.trapezoid(values * density, grid)
    variance = torch.trapezoid(values.square() * density, grid) - mean**2
    assert float(variance) ** -0.5 == pytest.approx(EXACT[act], abs=1e-7)
    # The released constants were sampled; the largest is 0.12 % too high.
    assert RELEASED[act] == pytest.approx(EXACT[act], rel=2e-3)


def test_relus_gain_has_a_closed_form():
    assert pytest.approx(sqrt(2 / (1 - 1 / pi)), abs=1e-8) == EXACT[Act.RELU]


# ---- networks ----


def nf(depths: tuple[int, ...] = (3, 4, 6, 3), *, act: Act = Act.RELU, **options: object) -> ArchSpec:
    return ArchSpec(
        name="nf",
        input=Image(resolution=32),
        style=Style(norm=NoNorm(act=act, gain=True), conv=ScaledWS(padding=Padding.CIRCULAR)),
        stem=ConvStem(width=32, kernel=3, stride=1, bare=True),
        stages=tuple(
            Stage(NFBottleneck(**options), depth, 128 * 2**i, 1 + (i > 0))  # type: ignore[arg-type]
            for i, depth in enumerate(depths)
        ),
        head=PooledClassifier(classes=10, activated=False),
    )


def test_the_plan_expects_the_papers_variances():
    """1/beta of NF-ResNet-50, block by block: 0.04 more variance a block, back to 1.04 after each transition."""
    expected = [1, 0.98058, 0.96225, 0.94491, 0.98058, 0.96225, 0.94491, 0.92848]
    expected += [0.98058, 0.96225, 0.94491, 0.92848, 0.91287, 0.89803, 0.98058, 0.96225]
    found = [node.variance**-0.5 for node in plan(cs.spec("nf_resnet50_paper"))[1:-1]]
    assert found == pytest.approx(expected, abs=5e-6)


@pytest.mark.slow
def test_signals_propagate_as_the_theory_says():
    """Circular padding, so that no energy leaves at borders. Mean of four seeds within 5 %: the paper's law for ReLU."""
    arch = nf(skip_init=False)
    nodes = plan(arch)[1:-1]
    after = [node.part.variance(node.variance, keeps=node.keeps) for node in nodes]
    measured = np.zeros((4, len(nodes)))
    for seed in range(4):
        net = cs.build(arch, seed=seed)
        seen: list[torch.Tensor] = []
        for stage in net.stages:
            for block in stage:
                block.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            net(torch.randn(8, 3, 32, 32, generator=generator))
        measured[seed] = [float(out.var((0, 2, 3), unbiased=False).mean()) for out in seen]
    assert np.abs(measured.mean(0) / after - 1).max() < 0.05


def test_no_image_knows_its_neighbours():
    net = cs.build(nf((1, 1)), seed=0).train()
    for stage in net.stages:
        for block in stage:
            nn.init.ones_(block.gain)
    x = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(net(x)[:1], net(x[:1]), rtol=1e-4, atol=1e-5)  # float32, another batch's order of sums
    torch.testing.assert_close(net.train()(x), net.eval()(x), rtol=1e-4, atol=1e-5)


def test_skip_init_starts_every_block_as_its_skip():
    net = cs.build(nf((2, 1)), seed=0).eval()
    x = torch.randn(1, 128, 16, 16)
    with torch.no_grad():
        assert torch.equal(net.stages[0][1](x), x)
        block = net.stages[1][0]
        assert torch.equal(block(x), block.skip(block.pre(x)))


@pytest.mark.parametrize("act", [Act.RELU, Act.SILU])
def test_beta_in_the_filters_is_beta_on_the_signal(act):
    """With filters that cannot carry it, 1/beta multiplies the activated input: the same function."""
    arch = nf((3,), act=act, skip_init=False)
    folded = cs.build(arch, seed=0).double().eval()
    plain = cs.build(arch.with_style(conv=PlainConv(padding=Padding.CIRCULAR)), seed=0).double().eval()
    state = {}
    for name, module in folded.named_modules():
        if isinstance(module, ScaledWSConv2d):
            scale = module.scale / (plan_inverse(arch, name) if name.endswith(("reduce.conv", "skip.project")) else 1.0)
            weight = standardised(module.weight, module.gain, scale=scale, eps=module.eps, floor=module.floor)
            state[f"{name}.weight"] = weight.detach()
    # Plain convolutions have no bias here; the standardised ones start at zero.
    plain.load_state_dict(state, strict=False)
    plain.head.load_state_dict(folded.head.state_dict())
    x = torch.randn(1, 3, 32, 32, dtype=torch.double)
    with torch.no_grad():
        torch.testing.assert_close(folded(x), plain(x), rtol=1e-10, atol=1e-12)


def plan_inverse(arch: ArchSpec, name: str) -> float:
    path = ".".join(name.split(".")[:3])
    return next(node.variance**-0.5 for node in plan(arch) if node.path == path)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("nf_resnet50_paper", 25_557_048),
        ("nf_resnet101_paper", 44_549_193),
        ("nf_resnet152_paper", 60_192_858),
        ("nf_resnet200_paper", 64_673_898),
        ("nf_resnet288_paper", 146_460_552),
        ("nf_regnet_b0_paper", 8_595_372),
        ("nf_regnet_b1_paper", 10_019_208),
        ("nf_regnet_b2_paper", 13_785_904),
        ("nf_regnet_b3_paper", 18_136_667),
        ("nf_regnet_b4_paper", 29_315_830),
        ("nf_regnet_b5_paper", 48_707_138),
    ],
)
def test_the_authors_networks_have_the_authors_parameters(name, params):
    """Counted from the released configurations; independent of this package."""
    assert cs.cost(cs.spec(name)).params == params


def test_regnets_first_block_shapes_are_the_released_ones():
    """(in, inner, groups, squeezed, out) of B0's stages, first blocks."""
    net = cs.build(cs.spec("nf_regnet_b0_paper"), device="meta")
    found = []
    for stage in net.stages:
        branch = stage[0].branch
        found.append(
            (
                branch.reduce.conv.in_channels,
                branch.conv.in_channels,
                branch.conv.groups,
                branch.se.reduce.out_channels,
                branch.restore.out_channels,
            )
        )
    assert found == [(36, 32, 4, 16, 36), (36, 80, 10, 40, 78), (78, 168, 21, 84, 156), (156, 344, 43, 172, 330)]


def test_another_norm_in_a_normaliser_free_block_is_that_norm():
    arch = nf((2,)).with_style(norm=BatchNorm(act=Act.RELU), conv=PlainConv())
    net = cs.build(arch, seed=0)
    assert any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    assert torch.isfinite(net(torch.randn(2, 3, 32, 32))).all()


def test_bad_parts_are_refused():
    for bad in (
        lambda: NFBottleneck(kernel=2),
        lambda: NFBottleneck(ratio=0),
        lambda: NFRegNetBlock(group_width=0),
        lambda: SE(divisor=0),
    ):
        with pytest.raises(ValueError):
            bad()
    assert replace(ScaledWS(), guard=Guard.ADDED) != ScaledWS()
