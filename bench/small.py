"""What studies of trainings on two cores share: a small ResNet-RS with all of its parts, and parts of a data set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from convsmith.arch import ArchSpec
from convsmith.data import Arrays, Labels, load_data
from convsmith.families import spec
from convsmith.parts import DeepStem, Halving

__all__ = ["divided", "resnet_rs"]


def resnet_rs() -> ArchSpec:
    """ResNet-RS-50's blocks, stem, shortcuts and gates, a thirty-second as wide, 1-2-1 blocks deep, at 24 px."""
    base = spec("resnetrs50")
    rows = ((1, 32, 1), (2, 64, 2), (1, 128, 2))
    stages = tuple(
        replace(stage, depth=depth, width=width, stride=stride)
        for stage, (depth, width, stride) in zip(base.stages, rows, strict=False)
    )
    stem = DeepStem(width=8, inner=8, stride=2, then=Halving.NONE)
    return replace(base, name="resnetrs-small", stem=stem, stages=stages).with_resolution(24).with_classes(10)


def divided(whole: Path, n: int, first: Path, rest: Path | None = None) -> None:
    """Write the first `n` images, as many of each class, into the file `first`, and the others into `rest`."""
    images = load_data(whole)
    parts = [images.train, images.val]
    pixels = np.concatenate([part.inputs.images for part in parts if isinstance(part.inputs, Arrays)])
    labels = np.concatenate([part.targets.labels for part in parts if isinstance(part.targets, Labels)])
    assert len(pixels) == len(labels) == len(images.train) + len(images.val), "images of one size, of one class each"
    each = n // len(images.classes)
    kept = np.sort(np.concatenate([np.flatnonzero(labels == label)[:each] for label in range(len(images.classes))]))
    np.savez(first, images=pixels[kept], labels=labels[kept], classes=np.array(images.classes))
    if rest is not None:
        others = np.setdiff1d(np.arange(len(labels)), kept)
        np.savez(rest, images=pixels[others], labels=labels[others], classes=np.array(images.classes))
