"""How a candidate is tried: every threshold and budget of a search for a layer, and what it is trained by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...arch import ArchSpec
from ...codec import to_json
from ...data import ImageData, steps_per_epoch
from ...ranges import above, at_least, check_numbers, within
from ...recipe import SGD, Augment, Precision, Recipe
from ..source import contents, fingerprint

__all__ = ["LayerProtocol"]


@dataclass(frozen=True)
class LayerProtocol:
    """What a layer has to go through before it has a score, cheapest first.

    Alone, on noise: its outputs, or the gradients it passes on, must be finite, not constant, and neither larger nor smaller
    than what went in by more than `gain`. Then, in the first anchor as it is drawn, the weights climb the norm of the loss's
    gradient for `ascent_steps` steps of `ascent_rate`, on `ascent_images` images: beyond `ascent_limit` the layer is unstable
    (Liu et al., 2020; a network without normalisation blows up within a few steps). Then each anchor is trained for `steps`
    steps of `batch` images by SGD with Nesterov momentum, at a `rate` that falls to 0 along a cosine, with `decay` on the
    weights of convolutions and linear layers: it must learn the share `learnt` of what a guess leaves, which of ten classes is
    an accuracy of 20 %. That accuracy is the score.

    `groups` is how many groups of channels moments over groups take: few, since small networks have few channels.
    """

    steps: int = 100
    batch: int = 64
    rate: float = 0.1
    decay: float = 1e-4
    seed: int = 0
    groups: int = 4
    gain: tuple[float, float] = (1e-4, 1e4)
    ascent_steps: int = 30
    ascent_images: int = 16
    ascent_rate: float = 0.1
    ascent_limit: float = 1e8
    learnt: float = 1 / 9

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in ("steps", "groups", "ascent_steps"):
            at_least(name, getattr(self, name), 1)
        for name in ("batch", "ascent_images"):
            at_least(name, getattr(self, name), 2)  # batch statistics of one image are none
        at_least("seed", self.seed, 0, 2**31 - 1)
        at_least("decay", self.decay, 0)
        for name in ("rate", "ascent_rate"):
            above(name, getattr(self, name), 0)
        above("ascent_limit", self.ascent_limit, 0, 1e30)
        within("learnt", self.learnt, 0, 1)
        if not 0 < self.gain[0] < 1 < self.gain[1]:
            raise ValueError(f"gain is {self.gain}; a gain of 1 has to lie between the two")

    def least(self, classes: int) -> float:
        """The accuracy below which a network has learnt too little.

        >>> round(LayerProtocol().least(10), 12)
        0.2
        """
        guess = 1 / max(2, classes)
        return guess + self.learnt * (1 - guess)

    def shown(self, images: ImageData, times: int = 1) -> tuple[ImageData, Recipe]:
        """The images that are trained on, and the recipe, for `times` as many steps as a score takes.

        Of more images than the steps can show a part is drawn, so that training is one epoch; of fewer there are as many whole
        epochs as it takes.
        """
        wanted = times * self.steps * self.batch
        if len(images.train) > wanted:
            chosen = np.random.default_rng(self.seed).permutation(len(images.train))[:wanted]
            images = replace(images, train=images.train.take(np.sort(chosen)))
        an_epoch = steps_per_epoch(len(images.train), self.batch)
        recipe = Recipe(
            name="layer search",
            epochs=-(-times * self.steps // an_epoch),
            batch=self.batch,
            optimiser=SGD(momentum=0.9, nesterov=True),
            rate=self.rate * 256 / self.batch,
            decay=self.decay,
            warmup=0,
            smoothing=0.0,
            clip=0.0,
            average=0.0,
            dropout=0.0,
            drop_path=0.0,
            batch_norm_momentum=0.0,
            augment=Augment(mirror=0.5),
            precision=Precision.FP32,
        )
        return replace(images, cache=None), recipe

    def key(self, anchors: Sequence[ArchSpec], images: ImageData) -> str:
        """The first sixteen digits of a hash of all that a score depends on beside the layer; the anchors' names do not count."""
        texts = (
            to_json(self),
            *(to_json(replace(spec, name="")) for spec in anchors),
            fingerprint(images),
            contents(images),
        )
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
