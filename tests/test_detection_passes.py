"""What a detector finds and what it learns, against torchvision's own networks and by laws."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from convsmith.layers.detection import Detections, Geometry, Settings, find, learn

CANVAS = (128, 128)
WIDTH = 8
STRIDES = (4, 8, 16, 32, 64)
LEVELS = "01234"
EVERYTHING = 1_000_000  # samples: nothing is left to chance


@dataclass
class Parts:
    """A head in our shape."""

    rpn: Callable[..., Any]
    box: Callable[[Tensor], Any]
    mask: Callable[[Tensor], Any] | None


@cache
def theirs() -> tuple[Any, Any]:
    """torchvision's proposals and regions with small random networks, whose scores are spread so that things are found."""
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
    from torchvision.models.detection.roi_heads import RoIHeads
    from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
    from torchvision.ops import MultiScaleRoIAlign

    torch.manual_seed(1)
    anchors = AnchorGenerator(tuple((8 * s,) for s in STRIDES), ((0.5, 1.0, 2.0),) * 5)
    most = {"training": 200, "testing": 100}
    rpn = RegionProposalNetwork(anchors, RPNHead(WIDTH, 3), 0.7, 0.3, EVERYTHING, 1.0, most, most, 0.7)
    regions = RoIHeads(
        MultiScaleRoIAlign(list("0123"), 7, 2),
        TwoMLPHead(WIDTH * 49, 32),
        FastRCNNPredictor(32, 5),
        *(0.5, 0.5, EVERYTHING, 1.0, None, 0.05, 0.5, 100),
        MultiScaleRoIAlign(list("0123"), 14, 2),
        MaskRCNNHeads(WIDTH, (8,), 1),
        MaskRCNNPredictor(8, 8, 5),
    )
    with torch.no_grad():
        for layer in (rpn.head.bbox_pred, rpn.head.cls_logits, regions.box_predictor.cls_score):
            layer.weight.mul_(20)
    return rpn, regions


def ours() -> Parts:
    rpn, regions = theirs()
    return Parts(
        lambda *maps: rpn.head(list(maps)),
        lambda x: regions.box_predictor(regions.box_head(x)),
        lambda x: regions.mask_predictor(regions.mask_head(x)),
    )


SETTINGS = replace(
    Settings().as_torchvision(),
    candidates=(200, 100),
    regions=(200, 100),
    anchor_samples=EVERYTHING,
    anchor_positive=1.0,
    region_samples=EVERYTHING,
    region_positive=1.0,
)


def maps(n: int = 2, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, WIDTH, CANVAS[0] // s, CANVAS[1] // s, generator=generator) for s in STRIDES]


def truths(counts: Sequence[int]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Boxes, labels and dense masks."""
    boxes = []
    for n in counts:
        corner = torch.rand(n, 2) * 80
        boxes.append(torch.cat((corner, corner + 12 + torch.rand(n, 2) * 30), 1))
    labels = [torch.randint(1, 5, (n,)) for n in counts]
    return boxes, labels, [(torch.rand(n, *CANVAS) > 0.5).to(torch.uint8) for n in counts]


@torch.no_grad()
def test_what_torchvision_finds() -> None:
    """The same boxes, labels, scores and masks, bit for bit, from the same networks."""
    rpn, regions = (module.eval() for module in theirs())
    from torchvision.models.detection.image_list import ImageList

    read = maps()
    named = OrderedDict(zip(LEVELS, read, strict=True))
    proposed, _ = rpn(ImageList(torch.zeros(2, 3, *CANVAS), [CANVAS] * 2), named)
    expected, _ = regions(named, proposed, [CANVAS] * 2)
    found = find(ours(), read, CANVAS, SETTINGS)
    assert found.masks is not None
    for i, one in enumerate(expected):
        n = int(found.counts[i])
        assert n == len(one["boxes"]) > 20
        assert torch.equal(found.labels[i, :n], one["labels"])
        assert torch.equal(found.boxes[i, :n], one["boxes"])
        assert torch.equal(found.scores[i, :n], one["scores"])
        assert torch.equal(found.masks[i, :n], one["masks"][:, 0])
        assert not found.labels[i, n:].any()
        assert not found.scores[i, n:].any()


def test_what_torchvision_learns() -> None:
    """The five losses where everything is sampled, to the rounding of sums, an image without objects among them; and the same
    gradients of every weight."""
    rpn, regions = (module.train() for module in theirs())
    from torchvision.models.detection.image_list import ImageList

    read = maps(3)
    boxes, labels, masks = truths((6, 0, 3))
    named = OrderedDict(zip(LEVELS, read, strict=True))
    images = ImageList(torch.zeros(3, 3, *CANVAS), [CANVAS] * 3)
    targets = [{"boxes": b, "labels": k, "masks": m} for b, k, m in zip(boxes, labels, masks, strict=True)]
    proposed, first = rpn(images, named, targets)
    _, second = regions(named, proposed, [CANVAS] * 3, targets)
    expected = {**first, **second}
    found = learn(ours(), read, CANVAS, boxes, labels, masks, SETTINGS, dense=True).losses
    names = {
        "objectness": "loss_objectness",
        "anchors": "loss_rpn_box_reg",
        "classes": "loss_classifier",
        "boxes": "loss_box_reg",
        "masks": "loss_mask",
    }
    assert found.keys() == names.keys()
    for name, their in names.items():
        torch.testing.assert_close(found[name], expected[their], rtol=1e-5, atol=1e-7)
    weights = [*rpn.parameters(), *regions.parameters()]
    for got, wanted in zip(
        torch.autograd.grad(torch.stack(list(found.values())).sum(), weights),
        torch.autograd.grad(torch.stack(list(expected.values())).sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_o14_an_image_is_found_in_by_itself() -> None:
    """O14: its neighbours in the batch change nothing (the sheet allows 2e-5 px, 4e-6 of a score and 1e-5 of a mask)."""
    both = find(ours(), maps(), CANVAS, SETTINGS)
    for i in range(2):
        alone = find(ours(), [one[i : i + 1] for one in maps()], CANVAS, SETTINGS)
        assert torch.equal(alone.labels, both.labels[i : i + 1])
        torch.testing.assert_close(alone.boxes, both.boxes[i : i + 1], rtol=0, atol=2e-5)
        torch.testing.assert_close(alone.scores, both.scores[i : i + 1], rtol=0, atol=4e-6)
        assert alone.masks is not None
        assert both.masks is not None
        torch.testing.assert_close(alone.masks, both.masks[i : i + 1], rtol=0, atol=1e-5)


@torch.no_grad()
def test_half_precision_reaches_the_networks_only() -> None:
    """Under autocast what lies between them is float32: a detection's place is not rounded to 8 binary digits, which for boxes of
    up to 128 px would leave multiples of 1/2 at best."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = find(ours(), maps(), CANVAS, SETTINGS)
    assert found.boxes.dtype == found.scores.dtype == torch.float32
    assert found.masks is not None
    assert found.masks.dtype == torch.float32
    assert (found.boxes * 2 % 1 > 0).any()


@torch.no_grad()
def test_nothing_found_is_nothing() -> None:
    settings = replace(SETTINGS, score=0.999999)
    found = find(ours(), maps(), CANVAS, settings)
    assert found.counts.tolist() == [0, 0]
    assert found.boxes.shape == (2, 100, 4)
    assert found.masks is not None
    assert found.masks.shape == (2, 100, 28, 28)
    assert not found.masks.any()
    without = find(replace(ours(), mask=None), maps(), CANVAS, settings)
    assert without.masks is None


def test_detections_are_divided_like_a_batch() -> None:
    found = Detections(torch.rand(4, 5, 4), torch.rand(4, 5), torch.ones(4, 5, dtype=torch.int64))
    assert len(found[1:3]) == 2
    assert torch.equal(found[1:3].boxes, found.boxes[1:3])
    assert found.to("cpu").counts.tolist() == [5, 5, 5, 5]


def test_images_without_objects_still_teach() -> None:
    """Every weight has a gradient, that of the masks is 0; the boxes' losses are 0."""
    rpn, regions = (module.train() for module in theirs())
    boxes, labels, _ = truths((0, 0))
    crops = [torch.zeros(0, 112, 112, dtype=torch.uint8)] * 2
    found = learn(ours(), maps(), CANVAS, boxes, labels, crops, SETTINGS).losses
    assert found["anchors"] == found["boxes"] == found["masks"] == 0
    assert found["classes"] > 0
    found_sum = torch.stack(list(found.values())).sum()
    grads = torch.autograd.grad(found_sum, [*rpn.parameters(), *regions.parameters()])
    assert all(torch.isfinite(one).all() for one in grads)


def test_masks_may_come_as_crops_or_as_pictures() -> None:
    """Of boxes of whole pixels, filled in their upper half, both are the same loss in the exact geometry, to 1%: an edge
    between two pixels is a little softer in a picture of 12 to 42 px an object than in a crop of 112."""
    settings = replace(SETTINGS, geometry=Geometry.EXACT)
    boxes, labels, _ = truths((3, 2))
    boxes = [one.round() for one in boxes]
    half = torch.zeros(112, 112, dtype=torch.uint8)
    half[:56] = 1
    crops = [half.expand(len(own), -1, -1) for own in boxes]
    pictures = [torch.zeros(len(own), *CANVAS, dtype=torch.uint8) for own in boxes]
    for own, several in zip(boxes, pictures, strict=True):
        own[:, 3] = own[:, 1] + 2 * ((own[:, 3] - own[:, 1]) / 2).round()  # an even height has a middle
        for one, (x1, y1, x2, y2) in zip(several, own.int().tolist(), strict=True):
            one[y1 : (y1 + y2) // 2, x1:x2] = 1
    with torch.no_grad():
        once = learn(ours(), maps(), CANVAS, boxes, labels, crops, settings).losses["masks"]
        again = learn(ours(), maps(), CANVAS, boxes, labels, pictures, settings, dense=True).losses["masks"]
        upside = [one.flip(1) for one in crops]
        other = learn(ours(), maps(), CANVAS, boxes, labels, upside, settings).losses["masks"]
    torch.testing.assert_close(once, again, rtol=0.01, atol=0)
    assert (once - other).abs() > 5 * (once - again).abs()


class Tiny(nn.Module):
    """A network of its own: maps of two strides, and the three networks, all of a layer or two."""

    settings = Settings(
        strides=(8, 16), scale=3.0, candidates=(60, 60), regions=(30, 30), anchor_samples=64, region_samples=32, found=10,
        level=3, side=32.0,
    )  # fmt: skip

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 8, stride=8), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())
        self.down = nn.Sequential(nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.ReLU())
        self.scores, self.deltas = nn.Conv2d(16, 3, 1), nn.Conv2d(16, 12, 1)
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(16 * 49, 64), nn.ReLU())
        self.classes, self.moves = nn.Linear(64, classes + 1), nn.Linear(64, 4 * (classes + 1))
        self.mask = nn.Sequential(
            nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(16, 16, 2, stride=2), nn.ReLU(),
            nn.Conv2d(16, classes + 1, 1),
        )  # fmt: skip

    def maps(self, images: Tensor) -> list[Tensor]:
        fine = self.stem(images)
        return [fine, self.down(fine)]

    def rpn(self, *maps: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        return [self.scores(one) for one in maps], [self.deltas(one) for one in maps]

    def box(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        x = self.hidden(regions)
        return self.classes(x), self.moves(x)


def test_o15_one_image_is_learnt_by_heart() -> None:
    """O15: 120 steps on two images with three objects, a square's left half and a disc among them: the losses fall to a tenth, and
    then the objects are found, in their classes, with boxes of IoU above 0.8 and masks of IoU above 0.8."""
    torch.manual_seed(0)
    network, size = Tiny(), 64
    images = torch.zeros(2, 3, size, size)
    boxes = [torch.tensor([[4.0, 6, 30, 32], [34, 30, 58, 54]]), torch.tensor([[12.0, 20, 44, 52]])]
    labels = [torch.tensor([1, 2]), torch.tensor([2])]
    at = (torch.arange(112) + 0.5) / 112
    left = (at < 0.5).expand(112, 112).to(torch.uint8)
    disc = ((at - 0.5) ** 2 + (at[:, None] - 0.5) ** 2 < 0.25).to(torch.uint8)
    masks = [torch.stack((left, disc)), disc[None]]
    for image, own, kinds, shapes in zip(images, boxes, labels, masks, strict=True):
        for (x1, y1, x2, y2), kind, shape in zip(own.int().tolist(), kinds.tolist(), shapes, strict=True):
            small = nn.functional.interpolate(shape[None, None].float(), size=(y2 - y1, x2 - x1))[0, 0]
            image[kind, y1:y2, x1:x2] = small
            image[0, y1:y2, x1:x2] = 1
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    history = []
    for _ in range(120):
        losses = learn(network, network.maps(images), (size, size), boxes, labels, masks, Tiny.settings).losses
        loss = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        history.append(float(loss.detach()))
    assert history[-1] < history[0] / 10
    with torch.no_grad():
        found = find(network, network.maps(images), (size, size), Tiny.settings)
    from convsmith.layers.detection.assigning import overlaps

    assert found.masks is not None
    for i, (own, kinds, shapes) in enumerate(zip(boxes, labels, masks, strict=True)):
        for box, kind, shape in zip(own, kinds, shapes, strict=True):
            iou = overlaps(box[None], found.boxes[i])[0] * (found.labels[i] == kind)
            assert iou.max() > 0.8
            got = found.masks[i, iou.argmax()] > 0.5
            wanted = shape[2::4, 2::4] > 0
            assert (got & wanted).sum() / (got | wanted).sum() > 0.8
