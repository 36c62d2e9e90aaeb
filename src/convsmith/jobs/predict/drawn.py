"""Pictures and films with what a network found drawn in: sure points as dots, unsure ones as crosses, bones between them."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ...data.films import Film, writing
from ...data.given import One, read
from ...errors import UserError
from ...files import whole
from ...watcher import Watcher
from .answers import Answer, Located, Unreadable
from .reading import Points, Reading, Things
from .spotted import Spotted, drawn_objects
from .stream import BATCH, Predictor

__all__ = ["CUTOFF", "answers_of_film", "drawable", "drawn", "pictures_into", "points_of"]

CUTOFF = 0.6  # the likelihood from which a point is sure: DeepLabCut's usual pcutoff
_AHEAD = 2  # batches that may wait to be encoded


def points_of(predictor: Predictor) -> Points:
    """How a network's points are read. Raises `UserError` where it finds none."""
    if not isinstance(predictor.reading, Points):
        gives = "finds objects" if isinstance(predictor.reading, Things) else "gives each image classes"
        raise UserError(f"{predictor.label} {gives}, and there are no points to draw or to write")
    return predictor.reading


def drawable(predictor: Predictor) -> Reading:
    """How the answers of a network are read that can be drawn. Raises `UserError` where it gives classes alone."""
    return predictor.reading if isinstance(predictor.reading, Things) else points_of(predictor)


def drawn(picture: np.ndarray, found: Located, reading: Points, *, cutoff: float = CUTOFF) -> Image.Image:
    """A picture, uint8 (height, width, 1 or 3), with its points: each name has a colour of its own."""
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("RGB")
    pen = ImageDraw.Draw(image)
    size = max(image.size)
    reach, line = max(2.0, size / 130), max(1, round(size / 300))
    # Pillow counts from corners, points from the middles of pixels.
    places = [(x + 0.5, y + 0.5) for x, y in found.points.tolist()]
    sure = (found.likelihood >= cutoff).tolist()
    for one, other in reading.bones:
        if sure[one] and sure[other]:
            pen.line([places[one], places[other]], fill=(235, 235, 235), width=line)
    for k, (x, y) in enumerate(places):
        colour = _colour(k, len(places))
        if sure[k]:
            pen.ellipse(
                (x - reach, y - reach, x + reach, y + reach), fill=colour, outline=(0, 0, 0), width=max(1, line // 2)
            )
        else:
            for up in (-1, 1):
                pen.line((x - reach, y - up * reach, x + reach, y + up * reach), fill=colour, width=line)
    return image


def _colour(k: int, n: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(k / n, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def pictures_into(folder: Path, reading: Reading, *, cutoff: float) -> Callable[[One, Answer | Unreadable], None]:
    """A function that writes an image with what was found into `folder`, as a PNG of its file's name, or of its number."""
    taken: set[str] = set()

    def write(one: One, found: Answer | Unreadable) -> None:
        if not isinstance(found, Located | Spotted):
            return
        name = Path(found.path).stem if found.path else f"{found.index:06d}"
        if name in taken:
            name = f"{name}-{found.index:06d}"
        taken.add(name)
        picture = read(one, channels=3).permute(1, 2, 0).numpy()
        with whole(folder / f"{name}.png") as temporary:
            _drawn(picture, found, reading, cutoff).save(temporary, "PNG")

    return write


def _drawn(picture: np.ndarray, found: Answer | Unreadable, reading: Reading, cutoff: float) -> Image.Image:
    if isinstance(found, Spotted):
        return drawn_objects(picture, found, cutoff=cutoff)
    assert isinstance(found, Located) and isinstance(reading, Points)
    return drawn(picture, found, reading, cutoff=cutoff)


def answers_of_film(
    predictor: Predictor,
    film: Film,
    *,
    out: Path | None = None,
    cutoff: float = CUTOFF,
    top: int = 5,
    batch: int = BATCH,
    draw: Callable[[One, Answer | Unreadable], None] | None = None,
    watcher: Watcher | None = None,
) -> Iterator[Answer | Unreadable]:
    """What the network says of each frame; with `out`, also a film in which the points are drawn. `draw` is called with each
    frame and its answer, in the thread that encodes.

    Decoding, the network, and drawing and encoding work at the same time, a few batches being in memory. A film that is cut off
    gives the frames that can be read, and says so.
    """
    watcher = watcher or Watcher()
    with _encoder(predictor, film, out, cutoff, draw) as add:
        for frames, found in predictor.batches(iter(film), top=top, batch=batch, watcher=watcher):
            add(frames, found)
            yield from found
    if film.lost:
        watcher.note(f"{film.path} cannot be read to its end: {film.lost}")


@contextmanager
def _encoder(
    predictor: Predictor,
    film: Film,
    out: Path | None,
    cutoff: float,
    draw: Callable[[One, Answer | Unreadable], None] | None,
) -> Iterator[Callable[[list[One], list[Answer | Unreadable]], None]]:
    """A function that hands frames to a thread that draws and encodes them; it waits where that falls behind."""
    if out is None and draw is None:
        yield lambda frames, found: None
        return
    reading = drawable(predictor)
    under_way: list[Future[None]] = []
    with ExitStack() as stack:
        write = None if out is None else stack.enter_context(writing(out, film.rate, film.sides))
        beside = stack.enter_context(ThreadPoolExecutor(max_workers=1))

        def encode(frames: list[One], found: list[Answer | Unreadable]) -> None:
            for frame, one in zip(frames, found, strict=True):
                assert isinstance(frame, np.ndarray)
                if write is not None:
                    write(np.asarray(_drawn(frame, one, reading, cutoff)))
                if draw is not None:
                    draw(frame, one)

        def add(frames: list[One], found: list[Answer | Unreadable]) -> None:
            if len(under_way) >= _AHEAD:
                under_way.pop(0).result()
            under_way.append(beside.submit(encode, frames, found))

        yield add
        for one in under_way:  # what went wrong with the last frames
            one.result()
        for one in under_way:
            one.result()
