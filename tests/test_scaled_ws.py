"""Standardised filters as a layer: golden numbers, gradients, layouts, and when the weight that is kept is made again."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from convsmith.arch import Act, Padding
from convsmith.layers import ScaledWSConv2d, standardised
from convsmith.parts import Guard, ScaledWS
from convsmith.parts.gains import EXACT, RELEASED

GUARDS = [True, False]


@pytest.fixture(scope="module")
def golden() -> Path:
    folder = Path(__file__).parents[2] / "shared" / "spec" / "golden"
    if not folder.is_dir():
        pytest.skip(f"no specification sheets at {folder}")
    return folder


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def by_hand(weight: Tensor, gain: Tensor, *, scale: float, eps: float, floor: bool) -> Tensor:
    """The equation with either guard, filter by filter, in the words of the paper."""
    made = []
    for row, factor in zip(weight, gain, strict=True):
        centred, count = row - row.mean(), row.numel()
        variance = centred.square().mean()
        guarded = torch.clamp(count * variance, min=eps) if floor else count * (variance + eps)
        made.append(scale * factor * centred / guarded.sqrt())
    return torch.stack(made)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


# ---- the filters ----


def test_every_golden_number(golden: Path) -> None:
    """golden/sws_vectors.json: without a guard, with the released floor, with timm's epsilon."""
    vectors = json.loads((golden / "sws_vectors.json").read_text())
    index = torch.arange(54, dtype=torch.double)
    weight = (torch.sin(0.9 * index + 0.4) + 0.3 * torch.cos(2.3 * index) + 0.2 * (index // 18)).view(3, 2, 3, 3)
    gain = torch.tensor(vectors["gain"], dtype=torch.double).view(3, 1, 1, 1)
    for key, eps, floor in (
        ("eps0", 0.0, True),
        ("deepmind_max_eps_1e-4", 1e-4, True),
        ("timm_var_plus_eps_1e-5", 1e-5, False),
    ):
        found = standardised(weight, gain, scale=1.0, eps=eps, floor=floor).flatten()
        expected = torch.tensor(vectors[key], dtype=torch.double)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)  # printed to ten digits
        wrong = torch.tensor(vectors["wrong_unbiased_var"], dtype=torch.double)
        assert float((found - wrong).abs().max()) > 0.01


def test_every_golden_gain(golden: Path) -> None:
    known = json.loads((golden / "gains.json").read_text())["gains"]
    for act, name in (
        (Act.NONE, "identity"),
        (Act.RELU, "relu"),
        (Act.RELU6, "relu6"),
        (Act.SILU, "silu"),
        (Act.GELU, "gelu_erf"),
        (Act.SIGMOID, "sigmoid"),
    ):
        assert EXACT[act] == pytest.approx(known[name]["gain"], abs=1.1e-8)
        assert RELEASED[act] == known[name]["published"]


@pytest.mark.parametrize("floor", GUARDS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_equation_and_its_gradients_in_either_layout(layout: torch.memory_format, floor: bool) -> None:
    """Filters near constancy beside ordinary ones: the floor holds some of them and lets the others be."""
    weight = drawn(5, 3, 3, 2)
    weight[1] = 0.3 + 1e-3 * weight[1]
    weight[2] = 0.3
    weight = weight.to(memory_format=layout).requires_grad_()
    gain, seen = (drawn(5, 1, 1, 1, seed=1) + 2).requires_grad_(), drawn(5, 3, 3, 2, seed=2)
    options = {"scale": 1.7, "eps": 1e-4, "floor": floor}
    found, expected = (make(weight, gain, **options) for make in (standardised, by_hand))
    close(found, expected)
    assert found.is_contiguous(memory_format=layout)
    for mine, other in zip(*(torch.autograd.grad(out, (weight, gain), seen) for out in (found, expected)), strict=True):
        # 1 / std of the flat filter, squared, is 1e10 with timm's epsilon
        close(mine, other, 1e-9)


@pytest.mark.parametrize("floor", GUARDS)
def test_the_gradient_is_the_closed_form(floor: bool) -> None:
    """dW = gain scale / (std sqrt N) (G - mean G - z mean(G z)), z = (W - mean) / std (sheet, 2.2)."""
    weight, gain, seen = drawn(4, 2, 3, 3).requires_grad_(), drawn(4, 1, 1, 1, seed=1), drawn(4, 2, 3, 3, seed=2)
    out = standardised(weight, gain, scale=0.7, eps=0.0, floor=floor)
    (found,) = torch.autograd.grad(out, weight, seen)
    rows, g = weight.detach().flatten(1), seen.flatten(1)
    std = rows.std(1, correction=0, keepdim=True)
    z = (rows - rows.mean(1, keepdim=True)) / std
    bracket = g - g.mean(1, keepdim=True) - z * (g * z).mean(1, keepdim=True)
    close(found.flatten(1), gain.flatten(1) * 0.7 / (std * 18**0.5) * bracket)


@pytest.mark.parametrize("floor", GUARDS)
def test_gradients_of_first_and_second_order_are_the_numerical_ones(floor: bool) -> None:
    given = drawn(3, 2, 2, 2).requires_grad_(), drawn(3, 1, 1, 1, seed=1).requires_grad_()

    def made(weight: Tensor, gain: Tensor) -> Tensor:
        return standardised(weight, gain, scale=1.3, eps=1e-4, floor=floor)

    assert torch.autograd.gradcheck(made, given)
    assert torch.autograd.gradgradcheck(made, given)


def test_the_guards_at_the_start() -> None:
    """Weights start at a variance of 1 / N: the floor never acts, and timm's filters lose 1 / sqrt(1 + 1e-5 N)."""
    for channels, left in ((64, 0.9971), (256, 0.9887), (512, 0.9777)):  # sheet, 2.2
        conv = ScaledWSConv2d(channels, 8, 3).double()
        lengths = {}
        for floor, eps in ((True, 1e-4), (False, 1e-5)):
            out = standardised(conv.weight, conv.gain, scale=1.0, eps=eps, floor=floor)
            lengths[floor] = out.flatten(1).norm(dim=1)
        close(lengths[True], torch.ones(8, dtype=torch.double))
        assert lengths[False].mean().item() == pytest.approx(left, abs=2e-3)  # eight samples of the variance


@pytest.mark.parametrize("flat", [False, True])
def test_half_precision_parameters_get_float32_statistics(flat: bool) -> None:
    weight, gain = (drawn(4, 64, 3, 3) + 8).bfloat16(), torch.ones(4, 1, 1, 1).bfloat16()
    if flat:
        weight[0] = 1.0  # sends all of them the other way
    found = standardised(weight, gain, scale=1.0, eps=1e-4, floor=True)
    expected = standardised(weight.double(), gain.double(), scale=1.0, eps=1e-4, floor=True)
    assert found.dtype is torch.bfloat16
    # One rounding of the scale and one of the result; a mean of 8 rounded to bfloat16 would be 0.03 off.
    torch.testing.assert_close(found.double(), expected, rtol=2**-7, atol=1e-4)


# ---- the layer ----


def conv(**options: bool) -> ScaledWSConv2d:
    layer = ScaledWSConv2d(6, 8, 3, stride=2, groups=2, scale=1.3, **options).double()
    with torch.no_grad():
        layer.gain.copy_(drawn(8, 1, 1, 1, seed=3)), layer.bias.copy_(drawn(8, seed=4))
    return layer


def test_it_starts_as_the_paper_says() -> None:
    layer = ScaledWSConv2d(64, 64, 3, groups=8)
    assert layer.weight.std().item() == pytest.approx(72**-0.5, rel=0.05)  # 4608 samples; fan-in is of one group
    assert layer.gain.eq(1).all() and layer.gain.shape == (64, 1, 1, 1) and layer.bias.eq(0).all()
    assert set(layer.state_dict()) == {"weight", "gain", "bias"}


def test_padding_is_the_styles() -> None:
    x = drawn(2, 6, 8, 8)
    for padding in Padding:
        layer = conv(same=padding is Padding.SAME, circular=padding is Padding.CIRCULAR)
        weight = by_hand(layer.weight, layer.gain, scale=1.3, eps=1e-4, floor=True)
        around, mode = {
            Padding.SYMMETRIC: ((1, 1, 1, 1), "constant"),
            Padding.SAME: ((0, 1, 0, 1), "constant"),
            Padding.CIRCULAR: ((1, 1, 1, 1), "circular"),
        }[padding]
        close(layer(x), F.conv2d(F.pad(x, around, mode), weight, layer.bias, 2, 0, 1, 2))


@pytest.mark.parametrize("same", [False, True])
def test_timms_layer_is_ours_with_its_guard(same: bool) -> None:
    layers = pytest.importorskip("timm.layers")
    mine = ScaledWS(padding=Padding.SAME if same else Padding.SYMMETRIC, eps=1e-5, guard=Guard.ADDED, gain_of=Act.SILU)
    ours = mine.build(6, 8, 3, stride=2, groups=2).double()
    kind = layers.ScaledStdConv2dSame if same else layers.ScaledStdConv2d
    theirs = kind(6, 8, 3, stride=2, groups=2, gamma=RELEASED[Act.SILU], eps=1e-5).double()
    theirs.load_state_dict(ours.state_dict())
    x = drawn(2, 6, 9, 8)
    close(ours(x), theirs(x))


@pytest.mark.parametrize("padding", Padding)
def test_a_plain_convolution_that_holds_the_filters_is_the_same_to_the_bit(padding: Padding) -> None:
    layer = conv(same=padding is Padding.SAME, circular=padding is Padding.CIRCULAR).eval()
    plain, x = layer.plain(), drawn(2, 6, 8, 8)
    assert set(plain.state_dict()) == {"weight", "bias"} and not plain.training
    with torch.no_grad():
        out = layer(x)
        assert torch.equal(plain(x), out)
        plain.bias.mul_(2), plain.weight.mul_(2)
        assert torch.equal(layer(x), out)  # and holds them for itself


def test_activations_in_autocast_are_half_and_filters_are_reckoned_in_float32() -> None:
    layer, x = ScaledWSConv2d(8, 8, 3), torch.randn(2, 8, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
        assert layer._standardised().dtype is torch.float32
    assert out.dtype is torch.bfloat16
    torch.testing.assert_close(out.float(), layer(x), rtol=0.02, atol=0.05)  # 72 products of bfloat16 numbers
    out.float().square().sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.dtype is torch.float32


# ---- what is kept ----


def kept(layer: ScaledWSConv2d, x: Tensor) -> Tensor:
    with torch.no_grad():
        return layer(x)


class Operations(TorchDispatchMode):
    """The names of what torch runs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def operations(layer: nn.Module, x: Tensor) -> list[str]:
    with torch.no_grad(), Operations() as run:
        layer(x)
    return run.names


def test_while_nothing_changes_the_layer_costs_what_a_plain_convolution_costs() -> None:
    layer, x = conv().eval(), drawn(1, 6, 5, 5)
    plain = operations(layer.plain(), x)
    first, out = operations(layer, x), kept(layer, x)
    assert len(first) > len(plain) and operations(layer, x) == operations(layer, x) == plain
    assert torch.equal(kept(layer, x), out)
    layer.train()  # a step may follow any call
    assert operations(layer, x) == operations(layer, x) == first
    assert torch.equal(kept(layer, x), out)
    layer(x).sum().backward()
    assert layer.gain.grad is not None


def _step(layer: ScaledWSConv2d) -> None:
    layer(drawn(1, 6, 5, 5)).square().sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.1).step()


def _fused(layer: ScaledWSConv2d) -> None:
    layer(drawn(1, 6, 5, 5)).square().sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.1, fused=True).step()


def _data(layer: ScaledWSConv2d) -> None:
    layer.gain.data.mul_(2)
    layer.eval()  # no version tells of this; the mode is set after


def _replaced(layer: ScaledWSConv2d) -> None:
    layer.weight = nn.Parameter(drawn(*layer.weight.shape, seed=9))


def _loaded(layer: ScaledWSConv2d) -> None:
    layer.load_state_dict({key: value * 2 + 0.1 * value.square() for key, value in layer.state_dict().items()})


def _assigned(layer: ScaledWSConv2d) -> None:
    state = {key: value * 2 + 0.1 * value.square() for key, value in layer.state_dict().items()}
    layer.load_state_dict(state, assign=True)


def _scaled(layer: ScaledWSConv2d) -> None:
    layer.scale *= 2


def _moved(layer: ScaledWSConv2d) -> None:
    layer.float().double()


CHANGES = [_step, _fused, _data, _replaced, _loaded, _assigned, _scaled, _moved]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__[1:])
def test_any_change_makes_them_again(change: Callable[[ScaledWSConv2d], None]) -> None:
    layer, x = conv().eval(), drawn(1, 6, 5, 5)
    before = kept(layer, x)
    change(layer)
    assert not torch.equal(kept(layer, x), before)
    assert torch.equal(kept(layer, x), layer(x).detach())


def test_views_of_one_storage_are_told_apart() -> None:
    """Narrower filters cut from the same memory, as a supernet's children have them."""
    layer, x = ScaledWSConv2d(6, 8, 3).double().eval(), drawn(1, 6, 5, 5)
    wide = kept(layer, x)
    for width in (4, 8, 3):
        cut = {"weight": layer.weight[:width, :3], "gain": layer.gain[:width], "bias": layer.bias[:width]}
        with torch.no_grad():
            found = torch.func.functional_call(layer, cut, (x[:, :3],))
        expected = by_hand(cut["weight"], cut["gain"], scale=1.0, eps=1e-4, floor=True)
        close(found, F.conv2d(x[:, :3], expected, cut["bias"], padding=1))
    assert torch.equal(kept(layer, x), wide)


def test_a_copy_and_a_pickle_hold_parameters_only() -> None:
    layer, x = conv().eval(), drawn(1, 6, 5, 5)
    out = kept(layer, x)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for twin in (copy.deepcopy(layer), torch.load(file, weights_only=False)):
        assert twin._kept is None and torch.equal(kept(twin, x), out)
        with torch.no_grad():
            twin.gain.mul_(2)
        assert torch.equal(kept(layer, x), out) and not torch.equal(kept(twin, x), out)


def test_inference_mode_may_make_or_use_them() -> None:
    layer, x = conv().eval(), drawn(1, 6, 5, 5)
    with torch.inference_mode():
        inside = layer(x)
        built = conv().eval()
        built.load_state_dict(layer.state_dict())
        assert torch.equal(built(x), inside)  # its parameters have no version at all
    assert torch.equal(kept(layer, x), inside)
    layer(x.requires_grad_()).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("floor", GUARDS)
def test_an_exported_program_makes_them_from_its_parameters(floor: bool) -> None:
    layer, x = conv(floor=floor).eval(), drawn(2, 6, 5, 5)
    kept(layer, x)
    program = torch.export.export(layer, (x,))
    assert set(program.state_dict) == {"weight", "gain", "bias"} and not program.constants
    close(program.module()(x), layer(x))


@pytest.mark.parametrize("floor", GUARDS)
def test_it_compiles_without_a_break(floor: bool) -> None:
    layer, x = conv(floor=floor), drawn(2, 6, 5, 5)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    names = [name for name, _ in layer.named_parameters()]
    found = torch.autograd.grad(compiled(x).square().sum(), [*layer.parameters()])
    expected = torch.autograd.grad(layer(x).square().sum(), [*layer.parameters()])
    assert names == ["weight", "bias", "gain"]
    for mine, other in zip(found, expected, strict=True):
        close(mine, other, 1e-10)
