"""EvoNorm: golden vectors, the laws of its six layers, closed-form gradients, and timm as an oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

import pytest
import timm.layers.evo_norm as theirs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convsmith.layers import Affine2d, EvoNormB, EvoNormKind, EvoNormS, evonorm_kernels
from convsmith.layers.evonorm import evonorm
from convsmith.layers.evonorm_graph import GraphMaxGate, GraphSigmoidGate, max_gate, sigmoid_gate
from convsmith.parts import EvoNorm, EvoNormLinear

B0, B1, B2, S0, S1, S2 = EvoNormKind
KINDS = list(EvoNormKind)
BATCH, SAMPLE = (B0, B1, B2), (S0, S1, S2)
LAYOUTS = (torch.contiguous_format, torch.channels_last)

# The vectors of the specification sheet: ⟨2,4,2,3⟩, two groups, eps 1e-5, made in float64 by independent code.
SHAPE, GROUPS, EPS = (2, 4, 2, 3), 2, 1e-5
V, GAMMA, BETA = [1.0, 0.5, 2.0, -1.0], [1.0, 0.8, 1.2, 0.5], [0.0, 0.1, -0.2, 0.3]
# fmt: off
TRAINED = {
    EvoNormKind.B0: (
        0.4433424665, 0.5757620342, 0.5970445439, 0.5839714235, 0.1156663289, -1.078330596, -0.9266059796,
        -0.7551742494, -0.4848152625, 0.345713756, 0.7322928844, 0.6919660102, 0.1936499021, 0.02803507884,
        -1.271041994, -2.214665724, -1.587857837, -0.6450212695, 0.4213670432, 0.905213806, 1.111692708,
        0.6910491343, 0.2378669764, 0.06826498793, -1.374680249, -1.416728138, -0.3249116805, 0.3508741669,
        0.4705637423, 0.5588592527, 0.7476356729, -0.04198588363, -0.71627843, -0.8250059158, -0.903458047,
        -0.4299093036, 0.1742630517, 0.25745626, 0.2414560625, 0.2175325227, -0.03415135703, -1.604928484,
        0.01703257734, 0.0693515794, 0.1423412492, 0.4733886917, 1.025788762, 1.019797566,
    ),
    EvoNormKind.B1: (
        0.3961027087, 0.5239463032, 0.5449366921, 0.5320281799, 0.1076363858, -1.078330596, -0.9266059796,
        -0.7551742494, -0.4848152625, 0.3040203445, 0.5143837937, 0.4966737698, 0.338763199, 0.04952968241,
        -1.271041994, -2.214665724, -1.587857837, -0.6450212695, 0.4032649489, 0.5836947053, 0.6192922989,
        0.5287806056, 0.2378669764, -0.0386001513, -1.374680249, -1.416728138, -0.3249116805, 0.3289601792,
        0.4320085267, 0.5053246375, 0.5188229012, -0.04198588363, -0.71627843, -0.8250059158, -0.903458047,
        -0.4299093036, 0.2866070305, 0.4756902948, 0.4354306613, 0.3789235962, -0.03413042074, -1.604928484,
        -0.4369489818, -0.1840128262, 0.03969365042, 0.4120932485, 0.5528569676, 0.5520301041,
    ),
    EvoNormKind.B2: (
        0.640560587, 1.091547059, 1.191677294, 1.128957009, 0.1156663289, -0.5303156678, -0.3319884543,
        -0.2955154526, -0.2205823566, 0.4173501341, 1.242862658, 1.127167518, 0.7654418052, 0.1102560844,
        -0.7708823785, -0.9566905278, -0.8484923189, -0.5285665148, 0.4213670432, 0.905213806, 1.111692708,
        0.6910491343, 0.2413426276, 0.08997473312, -0.5557434521, -0.5631690303, -0.2281972758, 0.5938335972,
        0.9764433328, 1.391770204, 0.9863988823, -0.02370043049, -0.3100487852, -0.3349703179, -0.3510611745,
        -0.2245552027, 0.654414098, 1.453847748, 1.234934067, 0.979231149, -0.003136654978, -0.8423186655,
        0.01713375486, 0.06945392171, 0.142430151, 0.4733886917, 1.025788762, 1.019797566,
    ),
    EvoNormKind.S0: (
        0.4339926938, 0.8488084089, 0.949571135, 0.8861554632, 0.06244601528, -0.2601334073, -0.2446127024,
        -0.2092501615, -0.1363668014, 0.2755460535, 0.8797505644, 0.783382482, 0.6287060402, -9.290946241e-05,
        -0.3524968498, -0.2647266278, -0.3223113616, -0.3454729581, 0.3561911322, 0.4396005005, 0.4309926207,
        0.42622584, 0.2648512531, 0.05844618589, -0.2550426875, -0.2532259277, -0.135114433, 0.3918806228,
        0.7296310726, 1.147095568, 0.6656875026, 0.03292001668, -0.197344184, -0.2216607461, -0.2371925927,
        -0.1168613268, 0.455449034, 1.276546295, 1.049234953, 0.7837221646, -0.09139608897, -0.3113822761,
        -0.2973470025, -0.0493632556, 0.1380276354, 0.3695911354, 0.4259757457, 0.4262458125,
    ),
    EvoNormKind.S1: (
        0.4339926938, 0.8488084089, 0.949571135, 0.8861554632, 0.06244601528, -0.2601334073, -0.1085442813,
        -0.1074932652, -0.08408030008, 0.2919062714, 1.039088689, 0.9195640134, 0.4868937901, -0.0202476329,
        -0.5144476915, -0.5147044929, -0.5337556519, -0.385245997, 0.3726591004, 0.8029292804, 1.030747036,
        0.5889344093, 0.269184756, 0.1820764214, -0.2550426875, -0.2532259277, -0.135114433, 0.3918806228,
        0.7296310726, 1.147095568, 0.772632648, 0.03623284372, -0.1040530735, -0.1070861765, -0.1069894469,
        -0.0736720439, 0.3450940304, 1.057317378, 0.8486641332, 0.6165838579, -0.09907431334, -0.5086675242,
        0.1745562999, 0.174649294, 0.206667026, 0.4004664091, 0.8858691472, 0.8797229879,
    ),
    EvoNormKind.S2: (
        0.4196312859, 0.8207201853, 0.918148536, 0.8568313749, 0.06037959179, -0.2515252394, -0.1016432676,
        -0.1006270312, -0.07798883283, 0.2855558321, 1.008012968, 0.8924435267, 0.4868494815, -0.02025922796,
        -0.5144274078, -0.5146841927, -0.5337341228, -0.3852340476, 0.3726544134, 0.8028968386, 1.030699899,
        0.5889157713, 0.2691867437, 0.1820840281, -0.2459550579, -0.2442030325, -0.1303000628, 0.3779172115,
        0.7036330053, 1.10622249, 0.7486655372, 0.03850498218, -0.09678229555, -0.09970732357, -0.09961404064,
        -0.06748379665, 0.3249433192, 1.010837619, 0.8098977427, 0.5863968726, -0.102805274, -0.4972568872,
        0.1791936279, 0.1792831841, 0.2101173037, 0.3967524268, 0.8642110858, 0.8582921341,
    ),
}
# fmt: on
# fmt: off
EVALUATED = {
    EvoNormKind.B0: (
        0.4433424665, 0.5757620342, 0.5970445439, 0.5839714235, 0.1241262891, -1.15720086, -0.9869502825,
        -0.8054417278, -0.5191909334, 0.345713756, 0.7322928844, 0.6919660102, 0.1936499021, 0.02803507884,
        -1.291741162, -2.25360155, -1.61467985, -0.6536218381, 0.4277377091, 0.9369820267, 1.154299193,
        0.7115756574, 0.2346055577, 0.06826498793, -1.475225847, -1.520349163, -0.3486760717, 0.3508741669,
        0.4705637423, 0.5588592527, 0.7476356729, -0.05033186965, -0.7642595968, -0.879378127, -0.9624417053,
        -0.4610575807, 0.1742630517, 0.25745626, 0.2414560625, 0.2175325227, -0.03415135703, -1.632080408,
        0.01703257734, 0.0693515794, 0.1423412492, 0.4824900211, 1.063886071, 1.057580392,
    ),
    EvoNormKind.B1: (
        0.3961027087, 0.5239463032, 0.5449366921, 0.5320281799, 0.1076363858, -1.15720086, -0.9869502825,
        -0.8054417278, -0.5191909334, 0.3040203445, 0.5143837937, 0.4966737698, 0.338763199, 0.04952968241,
        -1.291741162, -2.25360155, -1.61467985, -0.6536218381, 0.4032649489, 0.5836947053, 0.6192922989,
        0.5287806056, 0.2346055577, -0.05637357982, -1.475225847, -1.520349163, -0.3486760717, 0.3289601792,
        0.4320085267, 0.5053246375, 0.5188229012, -0.05033186965, -0.7642595968, -0.879378127, -0.9624417053,
        -0.4610575807, 0.2866070305, 0.4756902948, 0.4354306613, 0.3789235962, -0.03413042074, -1.632080408,
        -0.4756321011, -0.2094190977, 0.02602993445, 0.4120932485, 0.5528569676, 0.5520301041,
    ),
    EvoNormKind.B2: (
        0.6874118799, 1.171383989, 1.278837859, 1.211530143, 0.1241262891, -0.5303156678, -0.3319884543,
        -0.2955154526, -0.2205823566, 0.4360040997, 1.310040574, 1.187544829, 0.7841001233, 0.1162521545,
        -0.7708823785, -0.9566905278, -0.8484923189, -0.5285665148, 0.4277377091, 0.9369820267, 1.154299193,
        0.7115756574, 0.2413426276, 0.08997473312, -0.5557434521, -0.5631690303, -0.2281972758, 0.6372672278,
        1.047861453, 1.493565779, 1.038501757, -0.02370043049, -0.3100487852, -0.3349703179, -0.3510611745,
        -0.2245552027, 0.6709266728, 1.485810335, 1.262665885, 1.002021202, 0.0006679647417, -0.8423186655,
        0.01713375486, 0.06945392171, 0.142430151, 0.4824900211, 1.063886071, 1.057580392,
    ),
}
# fmt: on
RUNNING_VAR = (1.01713686519, 1.01362961454, 1.00435513874, 1.01211594671)


def layer(kind: EvoNormKind, channels: int = 8, groups: int = 4, eps: float = EPS, *, drawn: bool = True) -> nn.Module:
    """A layer in float64, its parameters drawn at random unless they are to be as they start."""
    made = evonorm(kind, channels, groups=groups, eps=eps).double()
    if drawn:
        for parameter in made.parameters():
            nn.init.uniform_(parameter, 0.5, 1.5)
    return made


def maps(*shape: int, layout: torch.memory_format = torch.contiguous_format) -> Tensor:
    return (torch.randn(shape, dtype=torch.float64) * 1.5 + 0.4).contiguous(memory_format=layout)


def core(kind: EvoNormKind, x: Tensor, v: float = 1.0, groups: int = 4, eps: float = 0.0) -> Tensor:
    """The layer before its affine map, in training."""
    made = layer(kind, x.shape[1], groups, eps, drawn=False)
    if made.v is not None:
        nn.init.constant_(made.v, v)
    with torch.no_grad():
        return made(x)


def close(ours: Tensor, expected: Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance)


# Published and independent numbers


def golden(kind: EvoNormKind) -> nn.Module:
    made = layer(kind, 4, GROUPS, drawn=False)
    with torch.no_grad():
        for parameter, values in ((made.weight, GAMMA), (made.bias, BETA), (made.v, V)):
            if parameter is not None:
                parameter.copy_(torch.tensor(values))
    return made


def golden_input() -> Tensor:
    index = torch.arange(prod(SHAPE), dtype=torch.float64)
    return (1.5 * torch.sin(0.7 * index + 0.3) + 0.25 * torch.cos(1.9 * index)).view(SHAPE)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_golden_vectors(kind: EvoNormKind, layout: torch.memory_format) -> None:
    # Written with ten digits; the parameters are doubles, their decimals are not exact.
    norm, x = golden(kind), golden_input().contiguous(memory_format=layout)
    close(norm(x).flatten(), torch.tensor(TRAINED[kind], dtype=torch.float64), 1e-7)
    if kind.batch:
        close(norm.running_var, torch.tensor(RUNNING_VAR, dtype=torch.float64), 1e-10)
        close(norm.eval()(x).flatten(), torch.tensor(EVALUATED[kind], dtype=torch.float64), 1e-7)


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
TIMM = {B0: theirs.EvoNorm2dB0, B1: theirs.EvoNorm2dB1, B2: theirs.EvoNorm2dB2,
        S0: theirs.EvoNorm2dS0, S1: theirs.EvoNorm2dS1, S2: theirs.EvoNorm2dS2}  # fmt: skip


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
        close(ours, expected, 1e-5)
        for mine, other in zip(gradients(ours, x, norm, grad), gradients(expected, x, oracle, grad), strict=True):
            close(mine, other, 2e-4)  # sums of 252 products in float32, in other orders
        if kind.batch and mode:
            n = 4 * 9 * 7
            close((norm.running_var - 0.9) * n / (n - 1), oracle.running_var - 0.9, 1e-6)
            oracle.running_var.copy_(norm.running_var)


@pytest.mark.parametrize(("kind", "oracle"), [(S0, theirs.EvoNorm2dS0a), (S1, theirs.EvoNorm2dS1a)])
def test_dividing_without_the_gate_is_timms_a_variant(kind: EvoNormKind, oracle: type[nn.Module]) -> None:
    norm = EvoNorm(kind, eps=1e-3, linear=EvoNormLinear.DIVIDE).build(64, activate=False)
    other = oracle(64, groups=32, apply_act=False)
    x = maps(2, 64, 5, 5).float()
    assert set(norm.state_dict()) == set(other.state_dict()) == {"weight", "bias"}
    close(norm(x), other(x), 1e-5)


# Gradients


def gradients(out: Tensor, x: Tensor, norm: nn.Module, grad: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(out, [x, *norm.parameters()], grad)


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
    close(out, expected)
    truth = gradients(expected, x, norm, grad)
    for found in (gradients(out, x, norm, grad), gradients(graph(x), x, norm, grad)):
        for mine, other in zip(found, truth, strict=True):
            close(mine, other)


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
        close(core(B0, scale * x), core(B0, x))
        close(core(B2, scale * x), core(B2, x))
        close(core(S0, scale * x, v=1 / scale), core(S0, x))


@pytest.mark.parametrize("kind", (S0, B1, S1, S2))
def test_the_other_layers_do_not(kind: EvoNormKind) -> None:
    x = maps(3, 8, 4, 4)
    assert all((core(kind, s * x) - core(kind, x)).norm() > 0.05 * core(kind, x).norm() for s in (0.01, 100.0))


@pytest.mark.parametrize("kind", (B0, S0))
def test_turning_the_signs_of_x_and_v_turns_the_sign(kind: EvoNormKind) -> None:
    x = maps(3, 8, 4, 4)
    close(core(kind, -x, v=-0.8), -core(kind, x, v=0.8))


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
    close(core(B0, x, v=0.7), torch.where(x <= 0, x / std, x / (std + 0.7 * x)))


def test_s0_has_its_limits_at_v_0_and_infinity_and_at_1_and_c_groups() -> None:
    x = maps(3, 8, 5, 5)
    std = x.unflatten(1, (4, 2)).var((2, 3, 4), correction=0).sqrt().repeat_interleave(2, 1)[..., None, None]
    close(core(S0, x, v=0.0), x / (2 * std))
    close(core(S0, x, v=1e9), F.relu(x) / std)
    close(core(S0, x, groups=8), F.silu(x) / x.var((2, 3), correction=0, keepdim=True).sqrt())
    close(core(S0, x, groups=1), F.silu(x) / x.var((1, 2, 3), correction=0, keepdim=True).sqrt())


@pytest.mark.parametrize("kind", SAMPLE)
def test_s_layers_see_single_images_in_both_modes(kind: EvoNormKind) -> None:
    norm, x = layer(kind), maps(3, 8, 4, 4)
    close(norm(x)[1:2], norm(x[1:2]))
    assert torch.equal(norm(x), norm.eval()(x))
    assert not dict(norm.named_buffers())


@pytest.mark.parametrize("kind", BATCH)
def test_b_layers_see_the_batch_in_training_only(kind: EvoNormKind) -> None:
    norm, x = layer(kind), maps(3, 8, 4, 4)
    x[0] *= 5
    assert (norm(x)[1:2] - norm(x[1:2])).norm() > 0.05 * norm(x[1:2]).norm()
    norm.eval()
    close(norm(x)[1:2], norm(x[1:2]))


@pytest.mark.parametrize("kind", BATCH)
def test_with_the_batchs_variance_as_running_variance_evaluation_is_training(kind: EvoNormKind) -> None:
    norm, x = layer(kind), maps(3, 8, 4, 4)
    trained = norm(x)
    before = norm.running_var.clone()
    norm.running_var.copy_(x.var((0, 2, 3), correction=0))
    close(norm.eval()(x), trained)
    close(before, 0.9 + 0.1 * x.var((0, 2, 3), correction=0))
    assert torch.equal(norm.running_var, x.var((0, 2, 3), correction=0))  # evaluation moves nothing


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_may_be_shuffled_and_channels_within_what_is_shared(kind: EvoNormKind) -> None:
    norm, x = layer(kind, drawn=False), maps(2, 8, 4, 5)
    pixels = torch.randperm(20)
    close(norm(x.flatten(2)[..., pixels].view_as(x)), norm(x).flatten(2)[..., pixels].view_as(x))
    within, across = torch.tensor([1, 0, 3, 2, 5, 4, 7, 6]), torch.tensor([2, 1, 0, 3, 4, 5, 6, 7])
    close(norm(x[:, within]), norm(x)[:, within])
    moved = (norm(x[:, across]) - norm(x)[:, across]).abs().max()
    assert moved < 1e-10 if kind.batch else moved > 1e-3


def test_constant_maps_are_divided_by_what_eps_leaves() -> None:
    x = torch.full((2, 4, 3, 3), 0.25, dtype=torch.float64)
    x[1] = -0.5
    close(core(S0, x, eps=EPS), x * torch.sigmoid(x) / EPS**0.5, 1e-8)
    bvar = x.var((0, 2, 3), correction=0)[:, None, None]
    close(core(B0, x, eps=EPS), x / torch.maximum((EPS + bvar).sqrt(), x + EPS**0.5), 1e-8)


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
    close(norm.float()(x.float()).double(), norm.double()(x), 5e-5)


# Layouts, dtypes, memory


@pytest.mark.parametrize("kind", KINDS)
def test_layouts_agree_and_the_output_keeps_the_inputs(kind: EvoNormKind) -> None:
    norm, grad = layer(kind), torch.randn(3, 8, 4, 5, dtype=torch.float64)
    plain = maps(3, 8, 4, 5).requires_grad_()
    last = plain.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    strange = torch.empty(4, 5, 8, 3, dtype=torch.float64).permute(3, 2, 0, 1).copy_(plain.detach()).requires_grad_()
    assert norm(last).is_contiguous(memory_format=torch.channels_last)
    for x in (last, strange):
        close(norm(x), norm(plain))
        for ours, expected in zip(
            gradients(norm(x), x, norm, grad), gradients(norm(plain), plain, norm, grad), strict=True
        ):
            close(ours, expected)
    expanded = torch.autograd.grad(norm(last).sum(), [last])[0]  # a gradient with strides of 0
    close(expanded, torch.autograd.grad(norm(plain), [plain], torch.ones_like(plain))[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_coarse_inputs_get_float32_statistics(kind: EvoNormKind, dtype: torch.dtype) -> None:
    norm = layer(kind).float()
    x = maps(3, 8, 6, 6, layout=torch.channels_last).to(dtype).requires_grad_()
    exact = x.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        out = norm(x)
    expected = norm(exact)
    assert out.dtype is dtype
    step = torch.finfo(dtype).eps
    close(out.float(), expected, step)  # one rounding, at the end
    found, truth = (
        gradients(out, x, norm, out.detach() * 0 + 1),
        gradients(expected, exact, norm, exact.detach() * 0 + 1),
    )
    for mine, other in zip(found, truth, strict=True):
        assert mine.isfinite().all()
        torch.testing.assert_close(mine.float(), other, rtol=2 * step, atol=2 * step)


def saved_bytes(module: nn.Module, x: Tensor) -> int:
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(x)
    return sum(sizes.values())


@pytest.mark.parametrize("kind", KINDS)
def test_one_map_waits_for_the_backward_pass(kind: EvoNormKind) -> None:
    x = torch.randn(4, 64, 16, 16, requires_grad=True)
    one = x.numel() * x.element_size()
    batch_norm = saved_bytes(nn.Sequential(nn.BatchNorm2d(64), nn.SiLU()), x)
    assert 2 * one <= batch_norm  # the input and the normalised map
    ours = saved_bytes(evonorm(kind, 64), x)
    assert one <= ours < 1.05 * one < batch_norm + one
    assert saved_bytes(TIMM[kind](64), x) >= 3 * one


@pytest.mark.parametrize("kind", (S0, S1, B0, B1))
def test_a_layer_compiles_to_itself_without_breaks(kind: EvoNormKind) -> None:
    norm, x = layer(kind), maps(3, 8, 4, 4).requires_grad_()
    out = norm(x)
    compiled = torch.compile(norm, backend="aot_eager", fullgraph=True)(x)
    close(compiled, out)
    grad = torch.randn_like(out)
    for ours, expected in zip(gradients(compiled, x, norm, grad), gradients(out, x, norm, grad), strict=True):
        close(ours, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_program_holds_the_expression(kind: EvoNormKind) -> None:
    norm, x = layer(kind).eval(), maps(3, 8, 4, 4)
    program = torch.export.export(norm, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=2)},))
    assert not [node for node in program.graph.nodes if "slice" in str(node.target) or "split" in str(node.target)]
    wider = maps(5, 8, 4, 4)
    close(program.module()(wider), norm(wider))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_computed_on_meta(kind: EvoNormKind) -> None:
    out = evonorm(kind, 8, groups=4).to("meta")(torch.empty(2, 8, 4, 4, device="meta"))
    assert out.is_meta and out.shape == (2, 8, 4, 4)


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
