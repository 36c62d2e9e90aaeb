"""The fifteen, in ImageNet-C's order, with the strengths of its five severities and of CIFAR-C's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .blur import defocus_blur, glass_blur, motion_blur, zoom_blur
from .digital import contrast, elastic_transform, jpeg_compression, pixelate
from .noise import gaussian_noise, impulse_noise, shot_noise
from .weather import brightness, fog, frost, snow

__all__ = ["BY_NAME", "CORRUPTIONS", "GROUPS", "Corruption"]

Strengths = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Corruption:
    """A way to spoil a picture: `effect(x, rng, *strength)` of float32 ⟨H,W,C⟩ between 0 and 1, for severities 1 to 5; where it
    works `on_bytes`, of uint8 and to uint8."""

    group: str
    effect: Callable[..., np.ndarray]
    strengths: Strengths
    small: Strengths
    on_bytes: bool = False

    @property
    def name(self) -> str:
        return self.effect.__name__


def _each(*strengths: float) -> Strengths:
    return tuple((one,) for one in strengths)


# Hendrycks & Dietterich 2019, as their ImageNet-C and CIFAR-C generators have the numbers; elastic_transform of
# ImageNet-C as the package imagecorruptions redefines it for pictures of any size.
# fmt: off
CORRUPTIONS: tuple[Corruption, ...] = (
    Corruption("noise", gaussian_noise, _each(.08, .12, .18, .26, .38), _each(.04, .06, .08, .09, .10)),
    Corruption("noise", shot_noise, _each(60, 25, 12, 5, 3), _each(500, 250, 100, 75, 50)),
    Corruption("noise", impulse_noise, _each(.03, .06, .09, .17, .27), _each(.01, .02, .03, .05, .07)),
    Corruption("blur", defocus_blur,  # radius of the disc in pixels, how soft its edge is
               ((3, .1), (4, .5), (6, .5), (8, .5), (10, .5)),
               ((.3, .4), (.4, .5), (.5, .6), (1, .2), (1.5, .1))),
    Corruption("blur", glass_blur,  # sigma, how far pixels are swapped, how often
               ((.7, 1, 2), (.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
               ((.05, 1, 1), (.25, 1, 1), (.4, 1, 1), (.25, 1, 2), (.4, 1, 2))),
    Corruption("blur", motion_blur,  # radius, sigma
               ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
               ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))),
    Corruption("blur", zoom_blur,  # largest zoom, step
               ((1.11, .01), (1.15, .01), (1.20, .02), (1.24, .02), (1.30, .03)),
               ((1.05, .01), (1.10, .01), (1.15, .01), (1.20, .01), (1.25, .01))),
    Corruption("weather", snow,  # mean, deviation, zoom, threshold, radius, sigma, share of the picture kept
               ((.1, .3, 3, .5, 10, 4, .8), (.2, .3, 2, .5, 12, 4, .7), (.55, .3, 4, .9, 12, 8, .7),
                (.55, .3, 4.5, .85, 12, 8, .65), (.55, .3, 2.5, .85, 12, 12, .55)),
               ((.1, .2, 1, .6, 8, 3, .95), (.1, .2, 1, .5, 10, 4, .9), (.15, .3, 1.75, .55, 10, 4, .9),
                (.25, .3, 2.25, .6, 12, 6, .85), (.3, .3, 1.25, .65, 14, 12, .8))),
    Corruption("weather", frost,  # weight of the picture, weight of the ice
               ((1, .4), (.8, .6), (.7, .7), (.65, .7), (.6, .75)),
               ((1, .2), (1, .3), (.9, .4), (.85, .4), (.75, .45))),
    Corruption("weather", fog,  # weight, decay of the plasma
               ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
               ((.2, 3), (.5, 3), (.75, 2.5), (1, 2), (1.5, 1.75))),
    Corruption("weather", brightness, _each(.1, .2, .3, .4, .5), _each(.05, .1, .15, .2, .3)),
    Corruption("digital", contrast, _each(.4, .3, .2, .1, .05), _each(.75, .5, .4, .3, .15)),
    Corruption("digital", elastic_transform,  # reach, sigma, strength, corners: lengths as shares of the sides
               tuple((.005, .01, strength, 0) for strength in (12.5, 16.25, 21.25, 25, 30)),
               ((1 / 32, 0, 0, .08), (1 / 32, .2, 1.6, .07), (1 / 32, .06, 2.56, .06), (1 / 32, .04, 3.2, .05),
                (1 / 32, .03, 3.2, .03))),
    Corruption("digital", pixelate, _each(.6, .5, .4, .3, .25), _each(.95, .9, .85, .75, .65), on_bytes=True),
    Corruption("digital", jpeg_compression, _each(25, 18, 15, 10, 7), _each(80, 65, 58, 50, 40), on_bytes=True),
)
# fmt: on
BY_NAME = {known.name: known for known in CORRUPTIONS}
GROUPS = tuple(dict.fromkeys(known.group for known in CORRUPTIONS))
