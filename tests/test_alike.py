"""How alike neighbours are: of maxima, behind activations, in pools, and with that the theory of networks with a max-pool."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import convsmith as cs
from convsmith.arch import Padding, grown
from convsmith.parts import NFBottleneck
from convsmith.signal import expected, gain, trace
from convsmith.signal.alike import Alike, behind, of_maxima
from convsmith.units import Rounding


def found_in(maps: Tensor) -> Alike:
    """Covariances of a map of many channels of one distribution."""
    x = maps - maps.mean()
    side = ((x[..., 1:] * x[..., :-1]).mean() + (x[..., 1:, :] * x[..., :-1, :]).mean()) / 2
    corner = (x[..., 1:, 1:] * x[..., :-1, :-1]).mean()
    return Alike(float(x.square().mean()), float(side), float(corner))


@pytest.mark.parametrize("function", [lambda x: x, torch.relu, F.silu, torch.tanh])
def test_maxima_of_overlapping_windows_are_as_alike_as_those_of_noise(function: object) -> None:
    noise = 1.5 * torch.randn((16, 16, 96, 96), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = found_in(function(F.max_pool2d(noise, 3, 2)))  # type: ignore[operator]
    found = of_maxima(function, 1.5**2)  # type: ignore[arg-type]
    # 565,504 maxima, of variance v: four standard errors of a covariance are 4 v / sqrt(n), twice that for their likeness.
    sampled = 8 * found.variance / 565504**0.5
    assert found.variance == pytest.approx(wanted.variance, abs=sampled)
    assert found.side == pytest.approx(wanted.side, abs=sampled)
    assert found.corner == pytest.approx(wanted.corner, abs=sampled)


def test_the_maximum_of_nine_has_the_variance_of_the_tables() -> None:
    # The variance of the largest of nine standard normal values: tabulated to five digits.
    assert of_maxima(lambda x: x, 1.0).variance == pytest.approx(0.35735, abs=1e-5)


def test_behind_relu_neighbours_are_as_alike_as_the_arc_cosine_says() -> None:
    before = Alike(4.0, 1.2, -0.8)

    def law(r: float) -> float:
        return 4 * (math.sqrt(1 - r**2) + r * (math.pi - math.acos(r)) - 1) / (2 * math.pi)

    found = behind(torch.relu, before)
    assert found.side == pytest.approx(law(0.3), rel=1e-9)
    assert found.corner == pytest.approx(law(-0.2), rel=1e-9)
    assert found.variance == pytest.approx(4 / gain(torch.relu) ** 2)


def test_what_is_linear_keeps_likeness_and_what_is_independent_stays_so() -> None:
    kept = behind(lambda x: 2 * x, Alike(1.0, 0.3, 0.1))
    assert (kept.variance, kept.side, kept.corner) == pytest.approx((4.0, 1.2, 0.4), rel=1e-9)
    alone = behind(F.silu, Alike(1.0))
    assert alone.side == alone.corner == 0.0 < alone.variance
    assert Alike(1.0).pooled() == Alike(0.25)
    assert Alike(1.0, 0.3, 0.1).strided(2) == Alike(1.0)


def test_a_pool_leaves_what_the_covariances_of_its_pixels_add_up_to() -> None:
    before = Alike(1.0, 0.3, 0.1)
    pixels = list(itertools.product(range(4), repeat=2))
    of = {(0, 0): before.variance, (0, 1): before.side, (1, 0): before.side, (1, 1): before.corner}
    covariance = np.array([[of.get((abs(a - c), abs(b - d)), 0.0) for c, d in pixels] for a, b in pixels])
    pool = np.array(
        [[(y // 2, x // 2) == window for y, x in pixels] for window in itertools.product(range(2), repeat=2)]
    )
    left = (pool / 4) @ covariance @ (pool / 4).T
    found = before.pooled()
    assert (found.variance, found.side, found.corner) == pytest.approx(tuple(left[0, [0, 1, 3]]), rel=1e-12)


def ends(spec: cs.ArchSpec) -> list[float]:
    theory = expected(spec)
    assert theory is not None
    return [one.var for one in theory]


def test_theory_behind_a_max_pool_is_what_a_network_does() -> None:
    spec = grown(cs.spec("nf_resnet50"), depth=1.0, width=0.5, rounding=Rounding()).with_resolution(128)
    spec = spec.with_style(conv=replace(spec.style.conv, padding=Padding.CIRCULAR))
    found = trace(lambda seed: cs.build(spec, seed=seed), input_shape=(3, 128, 128), draws=2, branches_on=True)
    # Two draws of half as many filters, the last maps of 4 px; without likeness theory is up to 38 % below.
    assert [point.out.var for point in found.points[1:]] == pytest.approx(ends(spec), rel=0.03)


def test_without_pools_on_shortcuts_the_law_holds_in_units_of_what_maxima_have() -> None:
    """ReLU passes on any variance as it is, and a strided shortcut takes pixels that have nothing in common."""
    unit = gain(torch.relu) ** 2 * of_maxima(torch.relu, 1.0).variance
    laws = [1 + 0.04 * block for depth in (3, 4, 6, 3) for block in range(1, depth + 1)]
    # The authors' gain is 0.064 % too large, 0.13 % squared, of four projections in a row.
    assert ends(cs.spec("nf_resnet50_paper")) == pytest.approx([unit * law for law in laws], rel=0.01)


def test_theory_is_silent_where_maxima_are_added_to() -> None:
    spec = cs.spec("nf_resnet50")
    first = replace(spec.stages[0], width=spec.stem.width)
    assert isinstance(first.block, NFBottleneck)
    kept = replace(spec, stages=(first, *spec.stages[1:]))
    assert expected(kept) is None and expected(spec) is not None
