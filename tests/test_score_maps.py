"""Points told by maps: what is written into them is read out of them, to the thousandth of a pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from convsmith.data import Body, Joints, Move
from convsmith.layers.score_maps import STRIDE, decoded, encoded, map_side

SIZES = [(162, 288), (163, 290), (64, 64)]


def through(points: Tensor, sides: tuple[int, int], radius: float, *, draw: int = 0, keep: float = 1.0) -> Tensor:
    """Points encoded and decoded, the best cell of each disc being drawn; `keep` of their offsets."""
    n, joints, _ = points.shape
    targets = encoded(points, torch.full((n,), radius), (map_side(sides[0]), map_side(sides[1])))
    some = 1 + torch.rand(targets.scores.shape, generator=torch.Generator().manual_seed(draw))
    found, _ = decoded(torch.cat((targets.scores * some, keep * targets.offsets), dim=1), joints)
    return found


@pytest.mark.parametrize("sides", SIZES)
@pytest.mark.parametrize("draw", [1, 2])
def test_every_point_comes_back(sides: tuple[int, int], draw: int) -> None:
    """Oracle 1: at centres and corners of cells and anywhere else, from whichever cell of the disc."""
    height, width = sides
    free = np.random.default_rng(0).uniform((0, 0), (width - 1, height - 1), (60, 2))
    special = [(8 * j + at, 8 * i + at) for i, j in ((0, 0), (3, 5), (5, 3)) for at in (0.0, 4.0, 7.999)]
    points = torch.tensor(np.concatenate([free, special]), dtype=torch.float32)[:, None]
    assert (through(points, sides, 17.0, draw=draw) - points).abs().max() < 1e-3


def test_without_offsets_a_cell_is_all_that_is_known() -> None:
    """Oracle 2: errors uniform over a cell of 8 px: mean 3.0608, root mean square 3.2660, at most 5.657."""
    grid = (np.arange(400) + 0.5) / 400 * STRIDE
    offsets = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    points = torch.tensor(offsets + (16, 24), dtype=torch.float32)[:, None]
    # The disc of the smallest radius that reaches a cell's centre from everywhere: of cells in reach the nearest is taken.
    targets = encoded(points[::97], torch.full((len(points[::97]),), 17.0), (8, 8))
    nearness = -(targets.offsets.square().sum(1, keepdim=True))
    found, _ = decoded(torch.cat((nearness, torch.zeros_like(targets.offsets)), dim=1), 1)
    errors = (found - points[::97]).norm(dim=-1)
    assert errors.max() <= math.sqrt(32) + 1e-4
    assert errors.mean() == pytest.approx(3.0608, abs=0.03)  # of 1,650 points
    assert errors.square().mean().sqrt() == pytest.approx(3.2660, abs=0.03)
    for scale, share in ((10.04, 0.446), (12.3, 0.668), (16.5, 0.967)):
        assert (errors <= 0.3 * scale).float().mean() == pytest.approx(share, abs=0.02)


@given(st.floats(0.5, 5.6))
@settings(max_examples=20, deadline=None)
def test_a_small_disc_may_reach_no_cell(radius: float) -> None:
    """Oracle 3: a point at the corner of four cells is 5.66 px from each centre."""
    corner = torch.tensor([[[16.0, 24.0]]])
    targets = encoded(corner, torch.tensor([radius]), (8, 8))
    assert not targets.near.any() and targets.scores.sum() == 0
    assert encoded(corner, torch.tensor([5.66]), (8, 8)).near.sum() == 4


def test_an_absent_point_teaches_nowhere() -> None:
    points = torch.tensor([[[30.0, 30.0], [math.nan, math.nan]]])
    targets = encoded(points, torch.tensor([17.0]), (8, 8))
    assert targets.scores[0, 1].sum() == 0 and not targets.near[0, 1].any()
    assert targets.offsets.isfinite().all() and targets.scores[0, 0].sum() > 4
    soft = encoded(points, torch.tensor([17.0]), (8, 8), gaussian=True).scores
    assert soft.isfinite().all() and soft[0, 1].sum() == 0 and 0.9 < soft[0, 0].max() <= 1


def test_rows_are_y() -> None:
    """The maps are (row, column), the points (x, y)."""
    targets = encoded(torch.tensor([[[4.0, 36.0]]]), torch.tensor([4.0]), (8, 8))
    assert targets.scores[0, 0].nonzero().tolist() == [[4, 0]]


BODY = Body(("nose", "left", "right"), bones=((0, 1),), pairs=((1, 2),), ruler=(0, 1))


def test_a_scale_is_the_median_of_its_individual() -> None:
    xy = np.zeros((5, 3, 2))
    xy[:, 1, 0] = (3, 4, 11, 7, np.nan)
    joints = Joints.of(xy, BODY, ("a", "a", "a", "b", "c"))
    np.testing.assert_array_equal(joints.scales, (4, 4, 4, 7, np.nan))
    kept = joints.take(np.array([2, 4]))
    assert kept.scales[0] == 4 and kept.individuals == ("a", "c"), "the scale is told before pictures are set aside"


def test_a_mirror_changes_names() -> None:
    xy = np.array([[[10.0, 5.0], [3.0, 5.0], [17.0, 5.0]]])
    joints = Joints.of(xy, BODY, ("a",))
    points = joints.answers(np.array([0]), [Move.flipped(32)])
    assert points.shown[0, :, 0].tolist() == [21.0, 14.0, 28.0], "31 - x, left and right exchanged"
    half = Move.crop_resize((0, 0, 32, 32), (16, 16))
    points = joints.answers(np.array([0]), [half])
    assert points.zoom.tolist() == [0.5] and points.shown[0, 0].tolist() == [4.75, 2.25], "(x + 0.5) s - 0.5"


@pytest.mark.parametrize("wrong", [{"bones": ((0, 3),)}, {"pairs": ((0, 1), (1, 2))}, {"ruler": (1, 1)}])
def test_a_body_of_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="point"):
        Body(("nose", "left", "right"), **wrong)  # type: ignore[arg-type]
