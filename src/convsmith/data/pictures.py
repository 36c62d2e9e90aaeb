"""Image files of every kind, made into plain arrays; and the unreadable ones found before they hurt."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["MOST_PIXELS", "SUFFIXES", "Seen", "decoded", "examined"]

SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"),
    *(".avif", ".heic", ".heif"),  # looked for so that they are listed as skipped where Pillow cannot read them
)

# Pillow's own line between a large photograph and a file made to exhaust memory.
MOST_PIXELS = 1024 * 1024 * 1024 // 4 // 3

_CHUNK = 32


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """One image: `why` it cannot be used (empty when it can), and its pixels where they are few enough to keep."""

    why: str = ""
    image: np.ndarray | None = None


def decoded(source: str | bytes, *, channels: int = 3, least: int = 0) -> np.ndarray:
    """An image file, or its bytes, as uint8 (height, width, channels).

    The camera's orientation is applied; palettes, CMYK and 16-bit grey become RGB; transparency is dropped; of an
    animation the first frame is taken. Of a JPEG, a 1/2, 1/4 or 1/8 size version is decoded where its short side keeps
    at least `least` pixels (0: never). Raises OSError, whatever is wrong with the file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _pixels(source, channels, least)
        except OSError:
            raise
        except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
            raise OSError(f"{type(error).__name__}: {error}") from error


def examined(
    source: Callable[[int], str | bytes],
    n: int,
    *,
    whole: bool,
    keep: int,
    progress: Callable[[int], None],
) -> list[Seen]:
    """Look at the images `source(0)` to `source(n - 1)`: decode each when `whole`, otherwise read its header only.

    The pixels are handed back for images so small that all of them fit in `keep` bytes together. `progress` is told, on
    the calling thread, how many are done.
    """

    def look(i: int) -> Seen:
        try:
            if whole:
                image = _pixels(source(i), 0, 0)
                return Seen(image=image if image.nbytes * n <= keep else None)
            with Image.open(_opened(source(i))) as header:
                _refuse_bombs(header)
            return Seen()
        except Exception as error:  # the reason is listed in the run's report
            return Seen(why=_reason(error))

    def look_from(start: int) -> list[Seen]:
        return [look(i) for i in range(start, min(n, start + _CHUNK))]

    seen: list[Seen] = []
    # Once around all the threads: the warning filters belong to the process, not to a thread.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in _in_threads(look_from, range(0, n, _CHUNK)):
            seen += part
            progress(len(seen))
    return seen


def _in_threads(look_from: Callable[[int], list[Seen]], starts: range) -> Iterator[list[Seen]]:
    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        yield from pool.map(look_from, starts)
    finally:
        pool.shutdown(cancel_futures=True)


def _pixels(source: str | bytes, channels: int, least: int) -> np.ndarray:
    """As `decoded`; with `channels` 0, grey stays one channel and everything else becomes three."""
    with Image.open(_opened(source)) as image:
        _refuse_bombs(image)
        if least and min(image.size) > least:
            image.draft(None, (least, least))
        picture = _eight_bit(ImageOps.exif_transpose(image))
        grey = channels == 1 or (channels == 0 and picture.mode in ("1", "L", "LA"))
        array = np.array(picture.convert("L" if grey else "RGB"))
    return array[:, :, None] if grey else array


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey scaled, where Pillow's own conversion would clip everything above 255 to white."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float64) / 257
    elif image.mode == "F":
        values = np.asarray(image).astype(np.float64) * 255
        if not (values.min() >= 0 and values.max() <= 255):
            raise OSError("floating-point pixels outside 0 to 1")
    else:
        return image
    return Image.fromarray(np.rint(values).clip(0, 255).astype(np.uint8))


def _opened(source: str | bytes) -> str | io.BytesIO:
    return source if isinstance(source, str) else io.BytesIO(source)


def _refuse_bombs(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MOST_PIXELS // 10**6} million pixels"
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
