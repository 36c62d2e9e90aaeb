"""A few images of each class or individual, small, for a page that shows what a network was trained on."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from .images import ImageData
from .inputs import Inputs
from .spans import Span

__all__ = ["strip"]

# What a page has room for.
MOST_CLASSES = 12
EACH = 6
SIDE = 56
FRAMES = Span(3)  # of a film, side by side


def strip(images: ImageData) -> dict[str, tuple[str, ...]]:
    """Up to 6 training images of each of the first 12 classes, or individuals where the targets are points, spread evenly, as
    data URIs of JPEGs of 56 pixels a side at most, of a film three of its frames side by side. Empty where an image may be of
    several classes; one that cannot be read any more is left out."""
    found = {}
    for name, own in images.train.targets.samples(images.classes, MOST_CLASSES).items():
        chosen = own[np.linspace(0, len(own) - 1, min(EACH, len(own))).astype(int)].tolist()
        found[name] = tuple(picture for i in chosen if (picture := _small(images.train.inputs, i)))
    return found


def _small(inputs: Inputs, i: int) -> str:
    try:
        if inputs.filmed:
            span = replace(FRAMES, stride=max(1, (inputs.length(i) - 1) // (FRAMES.frames - 1)))
            pixels = np.concatenate(list(inputs.clip(i, span, 0.0, least=SIDE).permute(0, 2, 3, 1).numpy()), axis=1)
        else:
            pixels = inputs.decode(i, least=SIDE).permute(1, 2, 0).numpy()
    except OSError:
        return ""
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE * (FRAMES.frames if inputs.filmed else 1), SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
