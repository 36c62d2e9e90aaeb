"""A detector as three graphs, whose runner needs no torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import convsmith as cs
from convsmith.errors import UserError
from convsmith.exporting.detector import detector_runner, export_detector
from convsmith.parts.heads.mask_rcnn import detector


def small() -> cs.Model:
    """A ResNet of eight channels at 64 px, with scores that are spread so that things are found."""
    spec = cs.spec("resnet18").with_resolution(64)
    spec = replace(spec, stages=tuple(replace(stage, width=8, depth=1) for stage in spec.stages[:2]))
    torch.manual_seed(0)
    spec = detector(spec, 3, width=8, fc_width=16, box_convs=1, mask_convs=1, regions=40, kept=20, high=4)
    model = cs.build(spec, seed=0).eval()
    with torch.no_grad():
        for name, weight in model.head.named_parameters():
            if name in ("box.scores.weight", "rpn.scores.weight", "rpn.deltas.weight"):
                weight.mul_(60)
    return model


def test_three_graphs_find_what_torch_finds(tmp_path: Path) -> None:
    """The sheet's section 14: boxes to 1e-3 px and scores to 1e-4; masks to 1e-4."""
    model = small()
    files = export_detector(model, tmp_path / "out")
    written = {path.name for path in files.folder.iterdir()}
    assert written == {"trunk.onnx", "boxes.onnx", "masks.onnx", "detector.json", "regions.py"}
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = model(images)
    found = detector_runner(files.folder, threads=1)(images)
    assert int(expected.counts.min()) > 3
    assert torch.equal(found.labels, expected.labels)
    assert (found.boxes - expected.boxes).abs().max() < 1e-3
    assert (found.scores - expected.scores).abs().max() < 1e-4
    assert found.masks is not None
    assert (found.masks - expected.masks).abs().max() < 1e-4


def test_what_is_no_detector(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no detector"):
        export_detector(cs.create("tinynet_e"), tmp_path)
    with pytest.raises(UserError, match="holds no exported detector"):
        detector_runner(tmp_path, threads=1)
