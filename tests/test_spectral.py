"""Spectral normalisation: the iteration's numbers, its laws, and what training and evaluation do with u."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import convsmith as cs
from convsmith.layers import (
    SelfAttention2d,
    Spectral,
    SpectralConv2d,
    SpectralEmbedding,
    SpectralLinear,
    power_iteration,
    settle,
)

LAYERS = [
    (lambda: SpectralConv2d(3, 5, 3, bias=True), torch.randn(2, 3, 6, 6)),
    (lambda: SpectralConv2d(3, 5, 3, stride=2, same=True), torch.randn(2, 3, 6, 6)),
    (lambda: SpectralLinear(4, 3), torch.randn(2, 4)),
    (lambda: SpectralEmbedding(6, 4), torch.tensor([1, 5])),
]
every = pytest.mark.parametrize(("make", "x"), LAYERS, ids=["conv", "same", "linear", "embedding"])


def iterated(rows: torch.Tensor, u: torch.Tensor, times: int) -> list[float]:
    found = []
    for _ in range(times):
        sigma, u = power_iteration(rows, u)
        found.append(float(sigma))
    return found


def test_the_iteration_finds_what_it_is_known_to_find() -> None:
    # Worked out by hand to ten digits.
    f64 = torch.float64
    diagonal = iterated(torch.tensor([[3.0, 0], [0, 1]], dtype=f64), torch.ones(2, dtype=f64) / math.sqrt(2), 5)
    known = [2.8635642127, 2.9981729596, 2.9999774202, 2.9999997212, 2.9999999966]
    assert diagonal == pytest.approx(known, abs=1e-8)
    oblong = iterated(torch.tensor([[1.0, 2], [3, 4], [5, 6]], dtype=f64), torch.tensor([1.0, 0, 0], dtype=f64), 3)
    assert oblong == pytest.approx([9.3273790531, 9.5255163535, 9.5255180916], abs=1e-8)
    conv = (torch.arange(1, 37, dtype=f64) / 10).view(2, 2, 3, 3).flatten(1)
    assert iterated(conv, torch.ones(2, dtype=f64), 50)[-1] == pytest.approx(12.6608559176, abs=1e-8)


def test_the_estimate_stays_below_the_norm_and_goes_with_the_weight() -> None:
    torch.manual_seed(0)
    for shape in ((1, 7), (5, 3), (4, 18)):
        rows, u = torch.randn(shape, dtype=torch.float64), torch.randn(shape[0], dtype=torch.float64)
        norm = float(torch.linalg.matrix_norm(rows, 2))
        found = iterated(rows, u, 30)
        assert all(one <= norm * (1 + 1e-12) for one in found)  # rounding
        assert iterated(7 * rows, u, 30) == pytest.approx([7 * one for one in found], rel=1e-12)


def test_the_gradient_is_that_of_the_formula_and_vanishes_along_the_weight() -> None:
    torch.manual_seed(0)
    layer = SpectralLinear(6, 4, bias=False).double()
    nn.init.normal_(layer.weight)
    settle(layer, 3000)  # however close its two largest singular values lie
    given = torch.randn(4, 6, dtype=torch.float64)
    (layer.normed() * given).sum().backward()
    u, values, vh = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    normed = layer.weight.detach() / values[0]
    expected = (given - (given * normed).sum() * torch.outer(u[:, 0], vh[0])) / values[0]
    torch.testing.assert_close(layer.weight.grad, expected, rtol=0, atol=1e-10)
    assert abs(float((layer.weight.grad * layer.weight.detach()).sum())) < 1e-10


@every
def test_evaluation_is_the_same_twice_and_training_moves_u(make, x) -> None:
    torch.manual_seed(1)
    layer = make()
    nn.init.normal_(layer.weight)
    before = layer.u.clone()
    layer.eval()
    once, twice = layer(x), layer(x)
    assert torch.equal(once, twice) and torch.equal(layer.u, before)
    layer.train()
    assert torch.equal(layer(x), once)  # the same iteration from the same u
    assert not torch.equal(layer.u, before)
    # What waits for a gradient is not what the next forward writes into.
    first, second = layer(x), layer(x)
    (first.sum() + second.sum()).backward()
    assert layer.weight.grad.isfinite().all()


@every
def test_a_plain_layer_holds_the_weight_divided_by_its_norm(make, x) -> None:
    torch.manual_seed(2)
    layer = make().eval()
    with torch.no_grad():
        layer.weight.mul_(3)
        settle(layer, 500)
        plain = layer.plain()
        assert not isinstance(plain, Spectral) and "u" not in plain.state_dict()
        norm = torch.linalg.matrix_norm(plain.weight.flatten(1), 2)
        assert float(norm) == pytest.approx(1, abs=1e-5)  # float32
        torch.testing.assert_close(plain(x), layer(x), rtol=0, atol=1e-5)


@every
def test_layers_begin_orthogonal(make, x) -> None:
    torch.manual_seed(3)
    rows = make().weight.detach().flatten(1)
    small = rows @ rows.t() if len(rows) <= rows.shape[1] else rows.t() @ rows
    torch.testing.assert_close(small, torch.eye(len(small)), rtol=0, atol=1e-5)


def test_a_style_makes_convolutions_linear_layers_and_tables() -> None:
    conv = cs.SpectralConv(eps=1e-6)
    assert [type(one) for one in (conv.build(2, 3, 3), conv.linear(2, 3), conv.embedding(4, 2))] == [
        SpectralConv2d,
        SpectralLinear,
        SpectralEmbedding,
    ]
    assert conv.build(2, 3, 3).eps == 1e-6 and conv.build(2, 3, 3).bias is None
    with pytest.raises(ValueError, match=r"spectral_conv.eps must be above 0"):
        cs.SpectralConv(eps=0)


def test_attention_begins_as_the_identity_and_its_weights_add_up_to_one() -> None:
    torch.manual_seed(0)
    convs = [nn.Conv2d(*shape, 1) for shape in ((8, 1), (8, 1), (8, 4), (4, 8))]
    look = SelfAttention2d(*convs)
    x = torch.randn(2, 8, 5, 6)
    assert torch.equal(look(x), x)
    weights = look.weights(x)
    assert weights.shape == (2, 30, 9)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 30))
    look.gamma.data.fill_(0.5)
    moved = look(x) - x
    # Another derivation: each position by a loop.
    value = nn.functional.max_pool2d(convs[2](x), 2, ceil_mode=True).flatten(2)
    mixed = torch.stack([(value * weights[:, at, None]).sum(2) for at in range(30)], 2).view(2, 4, 5, 6)
    torch.testing.assert_close(moved, 0.5 * convs[3](mixed), rtol=1e-4, atol=1e-5)  # float32
