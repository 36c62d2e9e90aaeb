"""Anchors, the coding of boxes, suppression, and which truth each box stands for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from convsmith.errors import UserError
from convsmith.layers.detection import Anchors, Settings
from convsmith.layers.detection.assigning import assigned_anchors, assigned_regions, overlaps, sampled
from convsmith.layers.detection.coding import ANCHOR_WEIGHTS, CAP, REGION_WEIGHTS, clipped, decoded, encoded
from convsmith.layers.detection.nms import _group_by_group, _together, best, kept

PYRAMID = (4, 8, 16, 32, 64)
SPINE = (8, 16, 32, 64, 128)


def sides(canvas: tuple[int, int], strides: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(-(-canvas[0] // stride), -(-canvas[1] // stride)) for stride in strides]


def boxes(n: int, reach: float = 100.0, least: float = 2.0) -> Tensor:
    corner = torch.rand(n, 2, dtype=torch.float64) * reach
    return torch.cat((corner, corner + least + torch.rand(n, 2, dtype=torch.float64) * reach), dim=1)


@pytest.mark.parametrize(
    ("canvas", "strides", "n"),
    [
        ((1024, 1024), PYRAMID, 261_888),
        ((800, 1344), PYRAMID, 268_569),
        ((640, 640), SPINE, 25_575),
        ((1280, 1280), SPINE, 102_300),
        ((128, 128), PYRAMID, 4_092),
    ],
)
def test_o1_how_many_anchors(canvas: tuple[int, int], strides: tuple[int, ...], n: int) -> None:
    """O1: three for each cell of every map."""
    assert sum(len(one) for one in Anchors(strides).over(sides(canvas, strides), canvas)) == n


def test_o1_the_first_anchors() -> None:
    """O1, of an image of 64 x 96: the first cell's middle is at (2, 2), its anchors have 32² px at ratios 1, 2 and 1/2."""
    first, *_ = Anchors(PYRAMID).over(sides((64, 96), PYRAMID), (64, 96))
    wide = 32 * math.sqrt(2) / 2
    expected = [[-14, -14, 18, 18], [2 - wide, 2 - wide / 2, 2 + wide, 2 + wide / 2]]
    torch.testing.assert_close(first[:2], torch.tensor(expected))
    assert torch.equal(first[3], first[0] + torch.tensor([4.0, 0, 4, 0])), "the next cell is to the right"
    assert torch.equal(first[3 * 24], first[0] + torch.tensor([0.0, 4, 0, 4])), "24 cells on, the next row"
    area = (first[:, 2] - first[:, 0]) * (first[:, 3] - first[:, 1])
    torch.testing.assert_close(area, torch.full_like(area, 1024.0))


@pytest.mark.parametrize("canvas", [(128, 192), (96, 160)])
def test_anchors_of_torchvision(canvas: tuple[int, int]) -> None:
    """Its rounding, its corner in place of the middle, and its row step where the canvas is no multiple of the stride."""
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.image_list import ImageList

    maps = [torch.zeros(1, 1, *side) for side in sides(canvas, PYRAMID)]
    theirs = AnchorGenerator(tuple((8 * s,) for s in PYRAMID), ((0.5, 1.0, 2.0),) * 5)
    image = ImageList(torch.zeros(1, 3, *canvas), [canvas])
    ours = Settings().as_torchvision().anchors.over(sides(canvas, PYRAMID), canvas)
    assert torch.equal(torch.cat(ours), theirs(image, maps)[0])


def test_the_rounded_anchors_of_the_sheet() -> None:
    cell = Settings().as_torchvision().anchors.cell
    assert cell(4).tolist() == [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]
    narrow = Anchors((8,), (3.0,), (2.0,), half_cell=False, rounded=True)
    assert narrow.cell(8).tolist() == [[-17, -8, 17, 8]]


def test_anchors_refuse_maps_of_another_canvas() -> None:
    with pytest.raises(UserError, match=r"16x16 cells at stride 4, where a canvas of 128x128 px has 32x32"):
        Anchors((4,)).over([(16, 16)], (128, 128))
    with pytest.raises(UserError, match="must be above 0"):
        Anchors((4,), ratios=(0.0,))


def test_settings_refuse_what_makes_no_sense() -> None:
    with pytest.raises(UserError, match="powers of two"):
        Settings(strides=(4, 12))
    with pytest.raises(UserError, match="must rise"):
        Settings(strides=(8, 4))
    with pytest.raises(UserError, match=r"anchor_low"):
        Settings(anchor_low=0.8)
    with pytest.raises(UserError, match=r"regions"):
        Settings(regions=(0, 100))


def test_the_coding_by_hand() -> None:
    """The sheet's check, section 2.4."""
    anchor, box = torch.tensor([0.0, 0, 40, 40]), torch.tensor([10.0, 20, 50, 100])
    torch.testing.assert_close(encoded(box, anchor), torch.tensor([0.25, 1, 0, math.log(2)]))
    torch.testing.assert_close(encoded(box, anchor, REGION_WEIGHTS), torch.tensor([2.5, 10, 0, 5 * math.log(2)]))


@pytest.mark.parametrize("weights", [ANCHOR_WEIGHTS, REGION_WEIGHTS])
def test_o2_decoding_undoes_encoding(weights: tuple[float, float, float, float]) -> None:
    """O2: to 1e-12 of coordinates up to 200, for sides up to 62.5 times the anchor's; beyond these the cap shows."""
    found, origins = boxes(500), boxes(500)
    torch.testing.assert_close(decoded(encoded(found, origins, weights), origins, weights), found, rtol=0, atol=1e-12)
    assert math.log(1000 / 16) == CAP == 4.135166556742356
    small, large = torch.tensor([0.0, 0, 1, 1]), torch.tensor([0.0, 0, 100, 100])
    back = decoded(encoded(large, small, weights), small, weights)
    torch.testing.assert_close(back[2:] - back[:2], torch.tensor([62.5, 62.5]))


def test_the_coding_of_torchvision() -> None:
    from torchvision.models.detection._utils import BoxCoder

    found, origins = boxes(50).float(), boxes(50).float()
    theirs = BoxCoder(REGION_WEIGHTS)
    deltas = theirs.encode_single(found, origins)
    assert torch.equal(encoded(found, origins, REGION_WEIGHTS), deltas)
    far = torch.randn(50, 4) * 30
    assert torch.equal(decoded(far, origins, REGION_WEIGHTS), theirs.decode_single(far, origins))


def test_boxes_are_clipped_to_the_canvas() -> None:
    found = clipped(torch.tensor([[-3.0, -4, 200, 50], [300, 300, 310, 310]]), (100, 150))
    assert found.tolist() == [[0, 0, 150, 50], [150, 100, 150, 100]]


def test_o7_no_two_that_stay_overlap() -> None:
    """O7: within a group IoU is at most the threshold; what falls overlaps a better one that stays; other groups do not
    matter; another order of the input is the same result."""
    found, scores, groups = boxes(200, 60).float(), torch.rand(200), torch.randint(0, 3, (200,))
    stay = kept(found, scores, groups, 0.5)
    assert torch.equal(scores[stay], scores[stay].sort(descending=True).values)
    iou = overlaps(found, found) * (groups[:, None] == groups)
    assert (iou[stay][:, stay] - torch.eye(len(stay))).max() <= 0.5
    for fallen in set(range(200)) - set(stay.tolist()):
        better = stay[scores[stay] > scores[fallen]]
        assert iou[fallen, better].max() > 0.5
    for way in (_together, _group_by_group):  # as a GPU and as a CPU do it
        assert set(way(found, scores, groups, 0.5).tolist()) == set(stay.tolist())
    order = torch.randperm(200)
    assert torch.equal(order[kept(found[order], scores[order], groups[order], 0.5)], stay)


def test_o7_an_iou_equal_to_the_threshold_stays() -> None:
    """O7: 10 x 10 and the 10 x 5 within it have IoU 1/2 exactly. Equal scores: the earlier one is the better one."""
    pair = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])
    same = torch.zeros(2, dtype=torch.int64)
    assert kept(pair, torch.ones(2), same, 0.5).tolist() == [0, 1]
    assert kept(pair, torch.ones(2), same, 0.4999).tolist() == [0]
    assert kept(pair.flip(0), torch.ones(2), same, 0.4999).tolist() == [0]
    assert kept(pair[:0], torch.ones(0), same[:0], 0.5).tolist() == []


def test_the_best_in_order() -> None:
    """Of equal scores the earlier ones come first among those taken."""
    scores = torch.tensor([[1.0, 3, 2, 3, 3, 0], [5, 5, 5, 5, 5, 6]])
    assert best(scores, 3).tolist() == [[1, 3, 4], [5, *best(scores, 3)[1, 1:].tolist()]]
    assert best(scores, 9).tolist() == [[1, 3, 4, 2, 0, 5], [5, 0, 1, 2, 3, 4]]


def test_overlaps() -> None:
    from torchvision.ops import box_iou

    found, others = boxes(20).float(), boxes(30).float()
    torch.testing.assert_close(overlaps(found, others), box_iou(found, others), rtol=1e-6, atol=1e-7)


def test_matching_of_torchvision() -> None:
    """Anchors with ties, regions; both as its `Matcher` has them."""
    from torchvision.models.detection._utils import Matcher

    settings = Settings()
    truths = torch.cat((boxes(6, 60).float(), torch.tensor([[8.0, 8, 24, 24]])))
    anchors = torch.cat(Anchors((8, 16), (2.0,)).over([(16, 16), (8, 8)], (128, 128)))
    theirs = Matcher(0.7, 0.3, allow_low_quality_matches=True)(overlaps(truths, anchors))
    ours = assigned_anchors(anchors, truths, settings)
    assert torch.equal(ours.positive, theirs >= 0)
    assert torch.equal(ours.negative, theirs == Matcher.BELOW_LOW_THRESHOLD)
    assert torch.equal(ours.truth[ours.positive], theirs[theirs >= 0])
    assert (ours.positive & (overlaps(truths, anchors).max(0).values < 0.7)).any(), "some only as a truth's best"
    regions = torch.cat((boxes(300).float(), truths))
    theirs = Matcher(0.5, 0.5)(overlaps(truths, regions))
    region = assigned_regions(regions, truths, settings)
    assert torch.equal(region.positive, theirs >= 0)
    assert torch.equal(region.negative, theirs < 0)
    assert torch.equal(region.truth[region.positive], theirs[theirs >= 0])


def test_a_truth_that_no_anchor_meets_has_none() -> None:
    """Its best anchors have IoU 0, and so have most: they are not all positive for it."""
    anchors = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    found = assigned_anchors(anchors, torch.tensor([[50.0, 50, 60, 60]]), Settings())
    assert not found.positive.any()
    assert found.negative.all()


def test_an_image_without_truths_is_all_negative() -> None:
    for found in (
        assigned_anchors(boxes(5), boxes(0), Settings()),
        assigned_regions(boxes(5), boxes(0), Settings()),
    ):
        assert not found.positive.any()
        assert found.negative.all()


def test_sampling() -> None:
    """At most a share of positives, the rest negatives, never what is neither; any of them may be drawn."""
    positive = torch.zeros(3, 40, dtype=torch.bool)
    positive[0, :20] = True
    positive[1, :3] = True
    negative = ~positive
    negative[:, 30:] = False
    drawn = torch.zeros(3, 40)
    for _ in range(200):
        chosen = sampled(positive, negative, 16, 0.5)
        assert (chosen & positive).sum(1).tolist() == [8, 3, 0]
        assert (chosen & negative).sum(1).tolist() == [8, 13, 16]
        assert not (chosen & ~positive & ~negative).any()
        drawn += chosen
    assert torch.equal(drawn > 0, positive | negative), "of 200 draws each has been in one"
    few = sampled(positive[1:2], negative[1:2] & (torch.arange(40) < 6), 16, 0.5)
    assert int(few.sum()) == 6, "fewer where there are fewer"
