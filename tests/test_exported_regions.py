"""The NumPy between a detector's graphs finds what torch finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convsmith.exporting import regions
from convsmith.layers.detection import Geometry, Settings, find
from convsmith.layers.detection.nms import kept
from convsmith.layers.detection.pasting import pasted
from convsmith.layers.detection.pooling import pooled

CANVAS = (128, 160)
STRIDES = (4, 8, 16, 32)
SETTINGS = Settings(strides=STRIDES, scale=6.0, candidates=(100, 60), regions=(100, 60), found=40, octaves=2)


class Random(nn.Module):
    """A head of random layers whose scores are spread."""

    def __init__(self, width: int = 6, classes: int = 3) -> None:
        super().__init__()
        self.scores, self.deltas = nn.Conv2d(width, 6, 1), nn.Conv2d(width, 24, 1)
        self.classes, self.moves = nn.Linear(width * 49, classes + 1), nn.Linear(width * 49, 4 * (classes + 1))
        self.mask = nn.ConvTranspose2d(width, classes + 1, 2, stride=2)
        with torch.no_grad():
            self.classes.weight.mul_(15)
            self.mask.weight.mul_(10)

    def rpn(self, *maps: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        return [self.scores(one) for one in maps], [self.deltas(one) * 0.3 for one in maps]

    def box(self, found: Tensor) -> tuple[Tensor, Tensor]:
        return self.classes(found.flatten(1)), self.moves(found.flatten(1))


def maps() -> list[Tensor]:
    return [torch.randn(2, 6, CANVAS[0] // s, CANVAS[1] // s) for s in STRIDES]


def numpy(function: Callable[[Tensor], Any]) -> Callable[[np.ndarray], Any]:
    def called(x: np.ndarray) -> Any:
        with torch.inference_mode():
            out = function(torch.from_numpy(x))
        return out.numpy() if isinstance(out, Tensor) else tuple(one.numpy() for one in out)

    return called


@pytest.mark.parametrize(
    "settings",
    [SETTINGS, replace(SETTINGS, geometry=Geometry.TORCHVISION, pooled=3), replace(SETTINGS, samples=1, level=3, side=48.0)],
)  # fmt: skip
@torch.no_grad()
def test_the_same_is_found(settings: Settings) -> None:
    """The sheet's section 14: boxes to 1e-3 px, scores to 1e-4, pasted masks with an IoU above 0.999."""
    head, read = Random().eval(), maps()
    expected = find(head, read, CANVAS, settings)
    scores, deltas = head.rpn(*read)
    plain = {name: str(value) if isinstance(value, Geometry) else value for name, value in asdict(settings).items()}
    first, second, third = ([one.numpy() for one in several] for several in (scores, deltas, read))
    found = regions.find(first, second, third, numpy(head.box), numpy(head.mask), CANVAS, plain)
    assert int(expected.counts.min()) > 10
    assert np.array_equal(found.labels, expected.labels.numpy())
    assert np.abs(found.boxes - expected.boxes.numpy()).max() < 1e-3
    assert np.abs(found.scores - expected.scores.numpy()).max() < 1e-4
    assert found.masks is not None
    assert expected.masks is not None
    same = either = 0
    for i, d in zip(*np.nonzero(found.labels), strict=True):
        ours = pasted(found.masks[i, d], found.boxes[i, d], CANVAS).over(CANVAS)
        theirs = pasted(expected.masks[i, d].numpy(), expected.boxes[i, d].numpy(), CANVAS).over(CANVAS)
        same, either = same + int((ours & theirs).sum()), either + int((ours | theirs).sum())
    assert same / either > 0.999


@torch.no_grad()
def test_nothing_found_is_nothing() -> None:
    head, read = Random().eval(), maps()
    scores, deltas = head.rpn(*read)
    plain = asdict(SETTINGS) | {"score": 0.9999999, "geometry": "exact"}
    first, second, third = ([one.numpy() for one in several] for several in (scores, deltas, read))
    found = regions.find(first, second, third, numpy(head.box), numpy(head.mask), CANVAS, plain)
    assert not found.labels.any()
    assert found.masks is not None
    assert found.masks.shape == (2, 40, 28, 28)


def test_suppression_is_the_same() -> None:
    corner = torch.rand(300, 2) * 60
    boxes = torch.cat((corner, corner + 3 + torch.rand(300, 2) * 30), 1)
    scores, groups = (torch.rand(300) * 50).round(), torch.randint(0, 3, (300,))
    found = regions.kept(boxes.numpy(), scores.numpy(), groups.numpy(), 0.5)
    assert np.array_equal(found, kept(boxes, scores, groups, 0.5).numpy()), "ties included"


def test_regions_over_the_border_are_read_the_same() -> None:
    """By more than a cell, too; tiny ones in both geometries."""
    read = [torch.rand(1, 3, 20, 24)]
    boxes = torch.tensor([[-9.0, -12, 40, 50], [60, 50, 110, 95], [30, 30, 30.5, 30.2], [0, 0, 96, 80]])
    for geometry in Geometry:
        settings = Settings(strides=(4,), geometry=geometry)
        plain = asdict(settings) | {"geometry": str(geometry)}
        rows = [one.numpy().transpose(0, 2, 3, 1) for one in read]
        found = regions.pooled(rows, np.zeros(4, dtype=int), boxes.numpy(), 7, plain)
        assert np.abs(found - pooled(read, [boxes], 7, settings).numpy()).max() < 1e-5
