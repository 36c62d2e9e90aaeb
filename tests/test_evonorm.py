"""EvoNorm: golden vectors, the laws of its six layers, closed-form gradients, and timm as an oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import timm.layers.evo_norm as theirs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convsmith.layers import Affine2d, EvoNormB, EvoNormKind, EvoNormS, evonorm_kernels
from convsmith.layers.evonorm import evonorm
from convsmith.layers.evonorm_graph import GraphMaxGate, GraphSigmoidGate, max_gate, sigmoid_gate
from convsmith.parts import EvoNorm, EvoNormLinear
from evonorms import (
    B0,
    B1,
    B2,
    BATCH,
    EPS,
    EVALUATED,
    KINDS,
    LAYOUTS,
    RUNNING_VAR,
    S0,
    S1,
    S2,
    SAMPLE,
    TIMM,
    TRAINED,
    assert_close,
    core,
    golden,
    golden_input,
    gradients,
    layer,
    maps,
)

# Published and independent numbers


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_golden_vectors(kind: EvoNormKind, layout: torch.memory_format) -> None:
    # Written with ten digits; the parameters are doubles, their decimals are not exact.
    norm, x = golden(kind), golden_input().contiguous(memory_format=layout)
    assert_close(norm(x).flatten(), torch.tensor(TRAINED[kind], dtype=torch.float64), 1e-7)
    if kind.batch:
        assert_close(norm.running_var, torch.tensor(RUNNING_VAR, dtype=torch.float64), 1e-10)
        assert_close(norm.eval()(x).flatten(), torch.tensor(EVALUATED[kind], dtype=torch.float64), 1e-7)


# Moments of the core for x ~ N(0, 1) on an infinite map, by quadrature.
MOMENTS = (
    (S0, 1.0, 0.20662096, 0.35577552),
    (S1, 1.0, 0.20662096, 0.35577552),
    (S2, 1.0, 0.20662096, 0.35577552),
    (S0, 0.5, 0.11802221, 0.28899650),
    (S0, 2.0, 0.30285275, 0.43947247),
    (S0, 1e6, 0.39894228, 0.50000000),  # ReLU
    (B0, 1.0, -0.20637755, 0.59150701),
    (B1, 1.0, -0.20637755, 0.59150701),
    (B0, 0.5, -0.14395063, 0.67157163),
    (B0, 2.0, -0.26691770, 0.54038929),
    (B2, 1.0, 0.20637755, 0.59150701),
)


@pytest.mark.parametrize(("kind", "v", "mean", "second"), MOMENTS)
def test_moments_of_the_core_on_gaussian_maps(kind: EvoNormKind, v: float, mean: float, second: float) -> None:
    # Quantiles of the normal law in place of samples: errors of the tails, of the order of 1e-4, remain.
    side = 256
    levels = (torch.arange(side * side, dtype=torch.float64) + 0.5) / side**2
    x = torch.special.ndtri(levels).view(1, 1, side, side)
    found = core(kind, x, v, groups=1)
    assert found.mean().item() == pytest.approx(mean, abs=1e-4)
    assert found.square().mean().item() == pytest.approx(second, abs=5e-4)


def test_parameters_are_two_a_channel_and_v_for_b0_and_s0() -> None:
    counts = {kind: sum(p.numel() for p in evonorm(kind, 64).parameters()) for kind in KINDS}
    assert counts == {B0: 192, B1: 128, B2: 128, S0: 192, S1: 128, S2: 128}
    names = {kind: set(evonorm(kind, 8, groups=4).state_dict()) for kind in KINDS}
    assert names[B0] == {"weight", "bias", "v", "running_var"}
    assert names[B1] == names[B2] == {"weight", "bias", "running_var"}
    assert names[S0] == {"weight", "bias", "v"}
    assert names[S1] == names[S2] == {"weight", "bias"}


# timm casts statistics to float32 and puts eps inside the root as we do; its running variance is unbiased.


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_gradients_are_timms(kind: EvoNormKind, layout: torch.memory_format) -> None:
    norm = layer(kind, 64, 32).float()
    others = {"groups": 32} if kind in SAMPLE else {}
    oracle = TIMM[kind](64, eps=EPS, **others)
    oracle.load_state_dict(norm.state_dict())
    x = maps(4, 64, 9, 7, layout=layout).float().requires_grad_()
    grad = torch.randn(x.shape)
    for mode in (True, False):
        ours, expected = norm.train(mode)(x), oracle.train(mode)(x)
        assert_close(ours, expected, 1e-5)
        for mine, other in zip(gradients(ours, x, norm, grad), gradients(expected, x, oracle, grad), strict=True):
            assert_close(mine, other, 2e-4)  # sums of 252 products in float32, in other orders
        if kind.batch and mode:
            n = 4 * 9 * 7
            assert_close((norm.running_var - 0.9) * n / (n - 1), oracle.running_var - 0.9, 1e-6)
            oracle.running_var.copy_(norm.running_var)


@pytest.mark.parametrize(("kind", "oracle"), [(S0, theirs.EvoNorm2dS0a), (S1, theirs.EvoNorm2dS1a)])
def test_dividing_without_the_gate_is_timms_a_variant(kind: EvoNormKind, oracle: type[nn.Module]) -> None:
    norm = EvoNorm(kind, eps=1e-3, linear=EvoNormLinear.DIVIDE).build(64, activate=False)
    other = oracle(64, groups=32, apply_act=False)
    x = maps(2, 64, 5, 5).float()
    assert set(norm.state_dict()) == set(other.state_dict()) == {"weight", "bias"}
    assert_close(norm(x), other(x), 1e-5)


# Gradients


def forms(norm: EvoNormB | EvoNormS) -> Iterator[Callable[[Tensor], Tensor]]:
    """The layer's expression, which autograd differentiates, and its closed form for compilers."""
    if isinstance(norm, EvoNormS):
        rest = norm.weight, norm.bias, norm.v, norm.groups, norm.eps, norm.kind is not S2, norm.gated
        yield lambda x: sigmoid_gate(x, *rest)
        yield lambda x: GraphSigmoidGate.apply(x, *rest)
    else:
        known = None if norm.training else norm.running_var.clone()
        given = norm.weight, norm.bias, norm.v, known, norm.eps, norm.kind.value
        yield lambda x: max_gate(x, *given)[0]
        yield lambda x: GraphMaxGate.apply(x, *given)[0]


@pytest.mark.parametrize("part", [64, 1 << 18])  # several parts with a shorter last one; the whole batch
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_closed_forms_are_what_autograd_finds(
    kind: EvoNormKind, training: bool, layout: torch.memory_format, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evonorm_kernels, "_PART", part * 3)
    monkeypatch.setattr(evonorm_kernels, "_GRAIN", 1)
    norm = layer(kind).train(training)
    with torch.no_grad():
        norm.weight[0] = 0.0
        if norm.v is not None:
            norm.v[:2] = torch.tensor([0.0, -0.7])
    x, grad = maps(5, 8, 3, 4, layout=layout).requires_grad_(), torch.randn(5, 8, 3, 4, dtype=torch.float64)
    expression, graph = forms(norm)
    out, expected = norm(x), expression(x)
    assert_close(out, expected)
    truth = gradients(expected, x, norm, grad)
    for found in (gradients(out, x, norm, grad), gradients(graph(x), x, norm, grad)):
        for mine, other in zip(found, truth, strict=True):
            assert_close(mine, other)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck_of_first_and_second_order(kind: EvoNormKind, training: bool) -> None:
    norm = layer(kind, 4, 2).train(training)
    names = [name for name, _ in norm.named_parameters()]

    def function(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(norm, dict(zip(names, values, strict=True)), (x,))

    inputs = (maps(2, 4, 2, 3).requires_grad_(), *norm.parameters())
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


def test_gradient_without_the_gate_is_exact() -> None:
    norm = EvoNormS(S2, 8, groups=4, gated=False).double()
    assert torch.autograd.gradcheck(norm, (maps(3, 8, 2, 3).requires_grad_(),))


@pytest.mark.parametrize("kind", (B0, B2))
def test_before_a_scale_free_layer_the_gradient_is_orthogonal_to_the_input(kind: EvoNormKind) -> None:
    norm, x = layer(kind, eps=0.0), maps(3, 8, 4, 4).requires_grad_()
    (grad,) = torch.autograd.grad(norm(x).square().sum(), [x])
    assert (x * grad).sum().abs().item() < 1e-9


# Laws of the functions


def test_b0_and_b2_ignore_the_scale_of_their_input() -> None:
    x = maps(3, 8, 4, 4)
    for scale in (0.01, 3.0, 100.0):
        assert_close(core(B0, scale * x), core(B0, x))
        assert_close(core(B2, scale * x), core(B2, x))
        assert_close(core(S0, scale * x, v=1 / scale), core(S0, x))


@pytest.mark.parametrize("kind", (S0, B1, S1, S2))
def test_the_other_layers_do_not(kind: EvoNormKind) -> None:
    x = maps(3, 8, 4, 4)
    assert all((core(kind, s * x) - core(kind, x)).norm() > 0.05 * core(kind, x).norm() for s in (0.01, 100.0))


@pytest.mark.parametrize("kind", (B0, S0))
def test_turning_the_signs_of_x_and_v_turns_the_sign(kind: EvoNormKind) -> None:
    x = maps(3, 8, 4, 4)
    assert_close(core(kind, -x, v=-0.8), -core(kind, x, v=0.8))


def test_no_layer_ignores_a_shift() -> None:
    x = maps(3, 8, 4, 4)
    assert all((core(kind, x + 1.0) - core(kind, x)).abs().max() > 0.1 for kind in KINDS)


def test_bounds() -> None:
    x = 3 * maps(4, 8, 6, 6)
    assert core(B0, x, v=0.5).max() <= 2.0
    assert core(B2, x).min() > -1.0
    std = x.unflatten(1, (4, 2)).var((2, 3, 4), correction=0).sqrt().repeat_interleave(2, 1)[..., None, None]
    assert (core(S0, x, v=0.5) >= -0.27847 / (0.5 * std)).all()


def test_b0_on_one_image_is_two_straight_branches() -> None:
    x = maps(1, 8, 5, 5)
    std = x.var((2, 3), correction=0, keepdim=True).sqrt()
    assert_close(core(B0, x, v=0.7), torch.where(x <= 0, x / std, x / (std + 0.7 * x)))


def test_s0_has_its_limits_at_v_0_and_infinity_and_at_1_and_c_groups() -> None:
    x = maps(3, 8, 5, 5)
    std = x.unflatten(1, (4, 2)).var((2, 3, 4), correction=0).sqrt().repeat_interleave(2, 1)[..., None, None]
    assert_close(core(S0, x, v=0.0), x / (2 * std))
    assert_close(core(S0, x, v=1e9), F.relu(x) / std)
    assert_close(core(S0, x, groups=8), F.silu(x) / x.var((2, 3), correction=0, keepdim=True).sqrt())
    assert_close(core(S0, x, groups=1), F.silu(x) / x.var((1, 2, 3), correction=0, keepdim=True).sqrt())


@pytest.mark.parametrize("kind", SAMPLE)
def test_s_layers_see_single_images_in_both_modes(kind: EvoNormKind) -> None:
    norm, x = layer(kind), maps(3, 8, 4, 4)
    assert_close(norm(x)[1:2], norm(x[1:2]))
    assert torch.equal(norm(x), norm.eval()(x))
    assert not dict(norm.named_buffers())


@pytest.mark.parametrize("kind", BATCH)
def test_b_layers_see_the_batch_in_training_only(kind: EvoNormKind) -> None:
    norm, x = layer(kind), maps(3, 8, 4, 4)
    x[0] *= 5
    assert (norm(x)[1:2] - norm(x[1:2])).norm() > 0.05 * norm(x[1:2]).norm()
    norm.eval()
    assert_close(norm(x)[1:2], norm(x[1:2]))


@pytest.mark.parametrize("kind", BATCH)
def test_with_the_batchs_variance_as_running_variance_evaluation_is_training(kind: EvoNormKind) -> None:
    norm, x = layer(kind), maps(3, 8, 4, 4)
    trained = norm(x)
    before = norm.running_var.clone()
    norm.running_var.copy_(x.var((0, 2, 3), correction=0))
    assert_close(norm.eval()(x), trained)
    assert_close(before, 0.9 + 0.1 * x.var((0, 2, 3), correction=0))
    assert torch.equal(norm.running_var, x.var((0, 2, 3), correction=0))  # evaluation moves nothing


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_may_be_shuffled_and_channels_within_what_is_shared(kind: EvoNormKind) -> None:
    norm, x = layer(kind, drawn=False), maps(2, 8, 4, 5)
    pixels = torch.randperm(20)
    assert_close(norm(x.flatten(2)[..., pixels].view_as(x)), norm(x).flatten(2)[..., pixels].view_as(x))
    within, across = torch.tensor([1, 0, 3, 2, 5, 4, 7, 6]), torch.tensor([2, 1, 0, 3, 4, 5, 6, 7])
    assert_close(norm(x[:, within]), norm(x)[:, within])
    moved = (norm(x[:, across]) - norm(x)[:, across]).abs().max()
    assert moved < 1e-10 if kind.batch else moved > 1e-3


def test_constant_maps_are_divided_by_what_eps_leaves() -> None:
    x = torch.full((2, 4, 3, 3), 0.25, dtype=torch.float64)
    x[1] = -0.5
    assert_close(core(S0, x, eps=EPS), x * torch.sigmoid(x) / EPS**0.5, 1e-8)
    bvar = x.var((0, 2, 3), correction=0)[:, None, None]
    assert_close(core(B0, x, eps=EPS), x / torch.maximum((EPS + bvar).sqrt(), x + EPS**0.5), 1e-8)


@pytest.mark.parametrize("shape", [(2, 4, 1, 1), (1, 4, 1, 1), (0, 4, 3, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_one_pixel_and_no_image_are_no_errors(kind: EvoNormKind, shape: tuple[int, ...]) -> None:
    norm, x = layer(kind, 4).float(), torch.randn(shape, requires_grad=True)
    if len(x) == 0:
        norm.eval()  # the variance of an empty batch is no number
    norm(x).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in norm.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_large_means_cost_no_digits(kind: EvoNormKind) -> None:
    norm, x = layer(kind, eps=1e-5), maps(2, 8, 16, 16) + 100.0
    # x and the moments round by 100 * 6e-8, which R of B2 keeps where it is near 0; E[x^2] - E[x]^2 would err by 1e-3.
    assert_close(norm.float()(x.float()).double(), norm.double()(x), 5e-5)


# The part


@pytest.mark.parametrize("kind", KINDS)
def test_without_activation_it_is_affine_and_has_no_v(kind: EvoNormKind) -> None:
    norm = EvoNorm(kind).build(6, activate=False)
    assert isinstance(norm, Affine2d)
    assert set(norm.state_dict()) == {"weight", "bias"}
    nn.init.uniform_(norm.weight), nn.init.uniform_(norm.bias)
    x = 1e3 * torch.randn(2, 6, 3, 3)
    assert torch.equal(norm(x), x * norm.weight[:, None, None] + norm.bias[:, None, None])


def test_groups_are_lowered_until_they_divide_the_width() -> None:
    lowered = {16: 16, 24: 24, 40: 20, 48: 24, 56: 28, 72: 24, 88: 22, 112: 28, 184: 23, 200: 25, 304: 19, 320: 32}
    assert {width: EvoNorm().build(width).groups for width in lowered} == lowered
    with pytest.raises(ValueError, match="40 channels do not split into 32 groups"):
        EvoNormS(S0, 40)


def test_zero_starts_the_scale_at_0_and_a_relu_stands_alone() -> None:
    for kind in KINDS:
        for activate in (True, False):
            assert EvoNorm(kind).build(8, activate=activate, zero=True).weight.eq(0).all()
    assert isinstance(EvoNorm().activation(), nn.ReLU)
    assert EvoNorm(B0, momentum=0.01).build(8).momentum == 0.01
    assert [EvoNorm(kind).describe() for kind in (B0, S2)] == ["EvoNorm-B0", "EvoNorm-S2"]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"evonorm\.groups must be at least 1; got 0"):
        EvoNorm(groups=0)
    with pytest.raises(ValueError, match="may be divide for s0, s1 and s2; got it with b1"):
        EvoNorm(B1, linear=EvoNormLinear.DIVIDE)
    with pytest.raises(ValueError, match="is s0, s1 or s2; got b0"):
        EvoNormS(B0, 8)
    with pytest.raises(ValueError, match="is b0, b1 or b2; got s0"):
        EvoNormB(S0, 8)
