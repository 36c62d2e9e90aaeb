"""Image files of every kind, made into plain arrays; and the unreadable ones found before they hurt."""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = [
    "MOST_PIXELS", "SUFFIXES", "Cut", "Seen", "cut_out", "decoded", "examined", "measured", "of_picture", "plain", "unwarned",
    "why",
]  # fmt: skip

SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"),
    *(".avif", ".heic", ".heif"),  # looked for so that they are listed as skipped where Pillow cannot read them
)

# Pillow's own line between a large photograph and a file made to exhaust memory.
MOST_PIXELS = 1024 * 1024 * 1024 // 4 // 3

_CHUNK = 32
_LOADING = threading.Lock()

# EXIF's tag; from 5 on, rows and columns change places.
_ORIENTATION = 0x0112

# From the height and the width of a picture, the rectangle of it that is wanted: top, left, height, width.
Cut = Callable[[int, int], tuple[int, int, int, int]]


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """One image: `why` it cannot be used (empty when it can), and its pixels where they are few enough to keep."""

    why: str = ""
    image: np.ndarray | None = None


def decoded(source: str | bytes, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> np.ndarray:
    """An image file, or its bytes, as uint8 (height, width, channels); with 0 channels grey keeps one and others have three.

    The camera's orientation is applied; palettes, CMYK and 16-bit grey become RGB; transparency is dropped; of an
    animation the first frame is taken. Of a JPEG, a 1/2, 1/4 or 1/8 size version is decoded where its short side keeps
    at least `least` pixels (0: never). `cut` is told the size of what was decoded, and only its rectangle comes back.
    Raises OSError, whatever is wrong with the file. Pillow's warnings come through: see `unwarned`.
    """
    try:
        return _pixels(source, channels, least, cut)
    except OSError:
        raise
    except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
        raise OSError(f"{type(error).__name__}: {error}") from error


def measured(source: str | bytes, *, least: int = 0) -> tuple[int, int]:
    """The height and the width of what `decoded` gives with the same `least`, from the file's header alone.

    Raises OSError where that cannot be read.
    """
    try:
        with Image.open(_opened(source)) as image:
            _reduce(image, least)
            turned = image.getexif().get(_ORIENTATION, 1) >= 5
            return (image.width, image.height) if turned else (image.height, image.width)
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def of_picture(picture: Image.Image, *, channels: int) -> np.ndarray:
    """A picture that Pillow has opened, as `decoded` gives the file it came from at its full size; it stays as it was.

    Raises OSError, whatever is wrong with it.
    """
    try:
        with _LOADING:  # one may be given twice, to two threads, before it has read its file
            picture.load()
        _refuse_bombs(picture)
        return _array(_eight_bit(ImageOps.exif_transpose(picture)), channels)
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


@contextmanager
def unwarned() -> Iterator[None]:
    """Without Pillow's warnings about odd files. Around all the threads that decode: the filters belong to the process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def cut_out(image: np.ndarray, cut: Cut | None) -> np.ndarray:
    """The rectangle of an image (height, width, channels) that `cut` chooses; all of it without one. A view."""
    if cut is None:
        return image
    top, left, height, width = cut(*image.shape[:2])
    return image[top : top + height, left : left + width]


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
                image = _pixels(source(i), 0, 0, None)
                return Seen(image=image if image.nbytes * n <= keep else None)
            with Image.open(_opened(source(i))) as header:
                _refuse_bombs(header)
            return Seen()
        except Exception as error:  # the reason is listed in the run's report
            return Seen(why=why(error))

    def look_from(start: int) -> list[Seen]:
        return [look(i) for i in range(start, min(n, start + _CHUNK))]

    seen: list[Seen] = []
    with unwarned():
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


def _pixels(source: str | bytes, channels: int, least: int, cut: Cut | None) -> np.ndarray:
    with Image.open(_opened(source)) as image:
        _refuse_bombs(image)
        _reduce(image, least)
        ImageOps.exif_transpose(image, in_place=True)
        picture = _eight_bit(image)
        if cut is not None:
            top, left, height, width = cut(picture.height, picture.width)
            picture = picture.crop((left, top, left + width, top + height))
        return _array(picture, channels)


def plain(picture: Image.Image) -> np.ndarray:
    """A picture that is open already, just as it stands, as uint8 (height, width, 1 or 3). Raises OSError where it is damaged."""
    try:
        return _array(_eight_bit(picture), 0)
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def _array(picture: Image.Image, channels: int) -> np.ndarray:
    grey = channels == 1 or (channels == 0 and picture.mode in ("1", "L", "LA"))
    mode = "L" if grey else "RGB"
    # Pillow would copy a picture that is of this mode already.
    array = np.array(picture if picture.mode == mode else picture.convert(mode))
    return array[:, :, None] if grey else array


def _reduce(image: Image.Image, least: int) -> None:
    """Let the decoder skip what is not needed; its size says then what will be decoded."""
    if least and min(image.size) > least:
        image.draft(None, (least, least))


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


def why(error: BaseException) -> str:
    """Why an image cannot be read, in words; of an error of `decoded`, what is behind it."""
    error = error.__cause__ or error
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MOST_PIXELS // 10**6} million pixels"
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
