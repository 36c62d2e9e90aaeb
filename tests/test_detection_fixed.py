"""What an exported detector does is what the network does, in tensors of one size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import convsmith as cs
from convsmith.exporting import export_onnx
from convsmith.layers.detection import Settings, find, find_fixed
from convsmith.model import Model, build
from convsmith.parts.heads.mask_rcnn import detector
from test_detection_passes import CANVAS, SETTINGS, Parts, maps, ours

EXACT = Settings(candidates=(200, 100), regions=(200, 100))


@pytest.mark.parametrize("settings", [EXACT, SETTINGS, replace(EXACT, found=5), replace(EXACT, score=0.9)])
@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_the_same_is_found(seed: int, settings: Settings) -> None:
    """Boxes, scores and labels to the bit: the same operations on the same numbers, but for the shift by class before suppression,
    which can only matter where an overlap is within rounding of the threshold. Masks to rounding: they go through the network
    with empty places beside them, and how a product is summed depends on how many rows there are."""
    read = maps(1, seed)
    expected = find(ours(), read, CANVAS, settings)
    boxes, scores, labels, masks = find_fixed(ours(), read, CANVAS, settings)
    assert expected.masks is not None
    assert torch.equal(boxes, expected.boxes) and torch.equal(scores, expected.scores)
    assert torch.equal(labels, expected.labels)
    torch.testing.assert_close(masks, expected.masks, rtol=0, atol=1e-6)


@torch.no_grad()
def test_without_masks_there_are_three() -> None:
    parts = ours()
    found = find_fixed(Parts(parts.rpn, parts.box, None), maps(1), CANVAS, EXACT)
    assert [one.shape for one in found] == [(1, 100, 4), (1, 100), (1, 100)]


def test_one_image_at_a_time() -> None:
    with pytest.raises(ValueError, match="one image at a time; got 2"):
        find_fixed(ours(), maps(2), CANVAS, EXACT)


@pytest.fixture(scope="module")
def small() -> Model:
    """A detector with a block a stage, whose scores are spread so that things are found."""
    spec = cs.spec("mobilenetv2_035").with_resolution(64)
    spec = replace(spec, stages=tuple(replace(stage, depth=1) for stage in spec.stages))
    spec = detector(spec, 3, width=8, fc_width=16, box_convs=0, mask_convs=1, regions=20, kept=10)
    model = build(spec, seed=0).eval()
    assert isinstance(model.head.rpn, torch.nn.Module) and isinstance(model.head.box, torch.nn.Module)
    with torch.no_grad():
        for name, parameter in model.head.named_parameters():
            if name.endswith("scores.weight"):
                parameter.mul_(40)
    return model


def test_a_file_finds_what_the_network_finds(small: Model, tmp_path: Path) -> None:
    """One ONNX file from the picture to boxes, scores, labels and masks, by onnxruntime: boxes to 1e-3 px, scores to 1e-4, masks
    to 1e-3, and the same labels (the sheet's bounds; rounding is far below)."""
    done = export_onnx(small, tmp_path / "found.onnx", input_shape=(3, 64, 64), tolerance=float("inf"))
    assert not done.dynamic_batch
    runtime = onnxruntime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
    assert [one.name for one in runtime.get_outputs()] == ["boxes", "scores", "labels", "masks"]
    image = torch.randn((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    boxes, scores, labels, masks = runtime.run(None, {"images": image.numpy()})
    with torch.no_grad():
        own = small(image)
    assert int(own.counts) > 3 and own.masks is not None
    assert np.array_equal(labels, own.labels)
    assert np.abs(boxes - own.boxes.numpy()).max() < 1e-3
    assert np.abs(scores - own.scores.numpy()).max() < 1e-4
    assert np.abs(masks - own.masks.numpy()).max() < 1e-3
