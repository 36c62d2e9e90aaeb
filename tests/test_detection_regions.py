"""Regions of maps: which map, which cells, and which regions are proposed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from convsmith.layers.detection import Geometry, Settings, proposals
from convsmith.layers.detection.pooling import levels, pooled
from convsmith.layers.detection.proposals import flat_deltas, flat_scores

ONE = Settings(strides=(1,))  # a map as fine as the picture
TORCHVISION = replace(ONE, geometry=Geometry.TORCHVISION)


def plane(a: float, b: float, c: float, side: int = 40) -> Tensor:
    """f = ax + by + c at the middles of pixels."""
    at = torch.arange(side, dtype=torch.float64) + 0.5
    return (a * at[None, :] + b * at[:, None] + c)[None, None]


def middles(box: Tensor, side: int) -> tuple[Tensor, Tensor]:
    at = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    return box[0] + at * (box[2] - box[0]), box[1] + at * (box[3] - box[1])


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_o3_a_plane_is_read_at_the_middles_of_bins(samples: int) -> None:
    """O3: for any number of points; torchvision's is half a pixel off in x and y. The kernel computes positions in single
    precision: 1e-5 of values up to 150."""
    box = torch.tensor([7.3, 11.1, 28.4, 25.9], dtype=torch.float64)
    x, y = middles(box, 7)
    expected = 2 * x[None, :] - 3 * y[:, None] + 5
    for settings, off in ((ONE, 0.0), (TORCHVISION, 0.5)):
        found = pooled([plane(2, -3, 5)], [box[None]], 7, replace(settings, samples=samples))
        torch.testing.assert_close(found[0, 0], expected + off * 2 - off * 3, rtol=0, atol=1e-5)


def test_o3_a_constant_map_is_read_as_it_is() -> None:
    """O3: but for a region that hangs over by more than half a cell. In torchvision's geometry a tiny one is widened to a cell."""
    flat = torch.full((1, 3, 20, 20), 4.0)
    regions = torch.tensor([[0.0, 0, 20, 20], [3, 3, 3.2, 3.1], [-0.5, 5, 4, 9]])
    assert torch.equal(pooled([flat], [regions], 7, ONE), torch.full((3, 3, 7, 7), 4.0))
    over = pooled([flat], [torch.tensor([[-12.0, 0, 20, 20]])], 7, ONE)
    assert (over == 0).any()
    slope = plane(1, 0, 0, 20).float()
    tiny = torch.tensor([[3.0, 3, 3.2, 3.1]])
    assert (pooled([slope], [tiny], 7, ONE) - 3.1).abs().max() < 0.1
    assert pooled([slope], [tiny], 7, TORCHVISION).amax() - 3.5 > 0.7


def test_o4_a_mirrored_map_has_mirrored_regions() -> None:
    """O4: exactly so in ours, to the rounding of sums; in torchvision's not at all."""
    noise = torch.rand(1, 2, 32, 32, dtype=torch.float64)
    box = torch.tensor([[5.0, 6.5, 21.25, 19.0]], dtype=torch.float64)
    mirrored = torch.stack((32 - box[:, 2], box[:, 1], 32 - box[:, 0], box[:, 3]), 1)

    def off(settings: Settings) -> float:
        once = pooled([noise], [box], 7, settings)
        return float((pooled([noise.flip(3)], [mirrored], 7, settings) - once.flip(3)).abs().max())

    assert off(ONE) < 1e-6  # positions are in single precision
    assert off(TORCHVISION) > 0.1


def test_o5_a_strided_convolution_commutes_with_the_mirror_on_odd_sides_only() -> None:
    """O5: so no flip equivariance is expected of a whole network."""
    kernel = torch.rand(1, 1, 3, 3, dtype=torch.float64)

    def off(side: int) -> float:
        x = torch.rand(1, 1, side, side, dtype=torch.float64)
        once = F.conv2d(x, kernel, stride=2, padding=1)
        again = F.conv2d(x.flip(3), kernel.flip(3), stride=2, padding=1).flip(3)
        return float((once - again).abs().max())

    assert off(9) < 1e-14
    assert off(8) > 0.1


def test_which_map_a_region_is_read_from() -> None:
    """Below 112 px the one of stride 4, 112 to 224 of 8, 224 to 448 of 16, from there of 32, from 896 of 64 where it counts."""
    sides = torch.tensor([0.0, 1, 111.9, 112, 223.9, 224, 447, 448, 895, 896, 4000])
    regions = torch.stack((sides * 0, sides * 0, 2 * sides, sides / 2), 1)  # the area counts, not the shape
    assert levels(regions, Settings()).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert levels(regions, Settings(pooled=4)).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3]
    spine = Settings(strides=(8, 16, 32, 64, 128))
    assert levels(regions, spine).tolist() == [0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 4]
    assert levels(regions, Settings(level=3, side=32)).tolist() == [0, 0, 2, 2, 3, 3, 4, 4, 4, 4, 4]


def test_pooling_of_torchvision() -> None:
    """Its `MultiScaleRoIAlign` at full-canvas sizes, two images of which one has no region."""
    from torchvision.ops import MultiScaleRoIAlign

    maps = {str(i): torch.rand(2, 3, 512 >> (2 + i), 512 >> (2 + i)) for i in range(5)}
    corner = torch.rand(40, 2) * 300
    regions = [torch.cat((corner, corner + torch.rand(40, 2) ** 3 * 500), 1).clamp(0, 512), torch.zeros(0, 4)]
    theirs = MultiScaleRoIAlign(list("0123"), 7, 2)(maps, regions, [(512, 512)] * 2)
    ours = pooled(list(maps.values()), regions, 7, Settings().as_torchvision())
    assert torch.equal(ours, theirs)


def test_anchors_maps_and_scores_are_in_one_order() -> None:
    """Anchor a of row i, column j is number (i w + j) A + a in scores, in deltas, and among the anchors."""
    scores, deltas = torch.rand(2, 3, 4, 5), torch.rand(2, 12, 4, 5)
    at = (2 * 5 + 3) * 3 + 1
    assert flat_scores([scores])[0][1, at] == scores[1, 1, 2, 3]
    assert torch.equal(flat_deltas([deltas])[0][1, at], deltas[1, 4:8, 2, 3])
    anchors = Settings(strides=(8,)).anchors.over([(4, 5)], (32, 40))[0]
    torch.testing.assert_close((anchors[at, :2] + anchors[at, 2:]) / 2, torch.tensor([28.0, 20.0]))


def test_proposals() -> None:
    """Best first, within the canvas, suppressed map by map, so many from each map and of all; training's numbers are its own."""
    settings = Settings(strides=(8, 16), candidates=(60, 20), regions=(50, 15))
    anchors = settings.anchors.over([(8, 8), (4, 4)], (64, 64))
    scores = [torch.rand(2, len(one)) for one in anchors]
    deltas = [torch.randn(2, len(one), 4) * 0.1 for one in anchors]
    found = proposals(scores, deltas, anchors, (64, 64), settings)
    more = proposals(scores, deltas, anchors, (64, 64), settings, training=True)
    assert all(len(one) <= 15 for one in found)
    assert all(len(one) > len(few) for one, few in zip(more, found, strict=True))
    for one in found:
        assert one.min() >= 0
        assert one.max() <= 64
        assert ((one[:, 2:] - one[:, :2]) >= settings.smallest).all()
    # An image is by itself.
    alone = proposals([one[1:] for one in scores], [one[1:] for one in deltas], anchors, (64, 64), settings)
    assert torch.equal(alone[0], found[1])


def test_proposals_without_a_width_are_dropped() -> None:
    settings = Settings(strides=(8,))
    anchors = settings.anchors.over([(4, 4)], (32, 32))
    deltas = torch.zeros(1, len(anchors[0]), 4)
    deltas[..., 0] = 50  # everything far to the right
    assert len(proposals([torch.rand(1, len(anchors[0]))], [deltas], anchors, (32, 32), settings)[0]) == 0
