"""`predict`: what a trained network says of images that nobody labelled.

| file      | what                                                                                |
| --------- | ----------------------------------------------------------------------------------- |
| `answers` | labels of an image, or points in it                                                 |
| `spotted` | objects in it, as COCO writes them and as a picture shows them                       |
| `reading` | how outputs become answers                                                          |
| `network` | `opened`: a run, a file or a network by name, ready to be asked                     |
| `stream`  | `Predictor`: image after image, the next ones being decoded meanwhile               |
| `over_time` | labels of a film, stretch by stretch                                                |
| `drawn`   | pictures and films with their points, or objects, drawn in                          |
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...arch import ArchSpec
from ...data.films import Film, is_film
from ...data.given import Images
from ...model import Model
from ...runs import RunFolder
from ...watcher import Watcher
from .answers import Answer, Located, Prediction, Predictions, Spotted, Stretch, Unreadable
from .network import opened
from .over_time import Timeline, over_time, timeline
from .stream import BATCH, Predictor

__all__ = [
    "BATCH", "Located", "Prediction", "Predictions", "Predictor", "Spotted", "Stretch", "Timeline", "Unreadable", "opened",
    "over_time", "predict", "timeline",
]  # fmt: skip


def predict(
    model: RunFolder | str | Path | ArchSpec | Model,
    images: Images,
    *,
    top: int = 5,
    batch: int = BATCH,
    classes: Sequence[str] | None = None,
    weights: str | Path | None = None,
    device: str | None = None,
    threads: int | None = None,
    watcher: Watcher | None = None,
) -> Predictions | Timeline:
    """The `top` likeliest classes of each image, with probabilities, by a trained network; of one that finds points, where these
    are in each image, with likelihoods; of a detector, the objects that it finds in each, with boxes and masks.

    `model` is a finished run or its folder, a file that `export` wrote, a network with `weights` (as `create` takes them), or
    a live one. `images` are files, folders and patterns, Pillow's pictures, uint8 arrays and tensors, one or many
    (`data.given.unpacked`), or the path of one film, for its frames; each is shown to the network as `evaluate` shows it.
    `classes` names the outputs of a network that has no names for them; without, they are numbers. Nothing but a batch of
    images and the answers is held in memory. A network that reads clips is asked about one film, and answers with a `Timeline`.

    A large JPEG is decoded no finer than the network needs; a picture or an array that was made from it is whole, and its
    probabilities may differ in the third decimal.

    Raises:
        UserError: nothing trained to ask, no images, images of a kind that is none, or none that could be read.
    """
    predictor = opened(model, classes=classes, weights=weights, device=device, threads=threads)
    if predictor.span is not None and isinstance(images, str | Path) and is_film(images):
        return timeline(predictor, images, top=top, batch=batch, watcher=watcher)
    if isinstance(images, str | Path) and is_film(images):
        images = iter(Film(Path(images)))
    rows: list[Answer] = []
    unreadable: list[Unreadable] = []
    for one in predictor.stream(images, top=top, batch=batch, watcher=watcher):
        if isinstance(one, Unreadable):
            unreadable.append(one)
        else:
            rows.append(one)
    return Predictions(tuple(rows), tuple(unreadable))
