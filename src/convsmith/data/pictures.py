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
from functools import cache

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..firstbytes import HEAD, disguise, no_file

__all__ = [
    "DIM", "MOST_PIXELS", "SUFFIXES", "Cut", "Seen", "cut_out", "decoded", "dim_and_deep", "examined", "is_turned", "measured",
    "of_picture", "plain", "unwarned", "why",
]  # fmt: skip

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".jp2"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
    *(".avif", ".heic", ".heif"),  # looked for so that they are listed as skipped where Pillow cannot read them
)

# What is opened, whatever a file is called: decoders that start no other program and read no other file.
_FORMATS = (
    *("JPEG", "MPO", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "JPEG2000", "PPM", "AVIF"),
    "HEIF",  # where pillow-heif is registered
)

# Pillow's own line between a large photograph and a file made to exhaust memory.
MOST_PIXELS = 1024 * 1024 * 1024 // 4 // 3

# Pictures of more than 8 bits that stay below this, of 255, do not use a quarter of their range: 12-bit data in 16-bit files.
DIM = 64

_CHUNK = 32
_LOADING = threading.Lock()

# EXIF's tag; from 5 on, rows and columns change places.
_ORIENTATION = 0x0112
_TIFF_CHANNELS = 277

# From the height and the width of a picture, the rectangle of it that is wanted: top, left, height, width.
Cut = Callable[[int, int], tuple[int, int, int, int]]


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """One image: `why` it cannot be used (empty when it can), and its pixels where they are few enough to keep.

    `deep`: it has more than 8 bits a channel. `brightest` is its highest value, of 255; None where only its header was read.
    """

    why: str = ""
    image: np.ndarray | None = None
    deep: bool = False
    brightest: int | None = None


def decoded(
    source: str | bytes, *, channels: int = 3, least: int = 0, cut: Cut | None = None, upright: bool = True
) -> np.ndarray:
    """An image file, or its bytes, as uint8 (height, width, channels); with 0 channels grey keeps one and others have three.

    The camera's orientation is applied, unless it is not to be `upright`; palettes and CMYK become RGB; what is transparent
    is laid on white; of 16 bits the whole range is taken for that from black to white, of floats 0 to 1; of an animation the
    first frame. Of a JPEG, a 1/2, 1/4 or 1/8 size version is decoded where its short side keeps at least `least` pixels (0:
    never). `cut` is told the size of what was decoded, and only its rectangle comes back.
    Raises OSError, whatever is wrong with the file. Pillow's warnings come through: see `unwarned`.
    """
    try:
        with _open(source) as image:
            return _drawn(image, channels, least, cut, upright)
    except OSError:
        raise
    except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
        raise OSError(f"{type(error).__name__}: {error}") from error


def measured(source: str | bytes, *, least: int = 0, upright: bool = True) -> tuple[int, int]:
    """The height and the width of what `decoded` gives with the same `least` and `upright`, from the file's header alone.

    Raises OSError where that cannot be read.
    """
    try:
        with _open(source) as image:
            _reduce(image, least)
            turned = upright and image.getexif().get(_ORIENTATION, 1) >= 5
            return (image.width, image.height) if turned else (image.height, image.width)
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def is_turned(source: str) -> bool:
    """Whether the camera's orientation changes where the pixels of a file lie; False of a file that cannot be read."""
    try:
        with unwarned(), _open(source) as image:
            return image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except Exception:  # who decodes it says what is wrong with it
        return False


def of_picture(picture: Image.Image, *, channels: int) -> np.ndarray:
    """A picture that Pillow has opened, as `decoded` gives the file it came from at its full size; it stays as it was.

    Raises OSError, whatever is wrong with it.
    """
    try:
        with _LOADING:  # one may be given twice, to two threads, before it has read its file
            picture.load()
        _refuse(picture)
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
            with _open(source(i)) as picture:
                deep = _is_deep(picture)
                if not whole:
                    return Seen(deep=deep)
                image = _drawn(picture, 0, 0, None)
            return Seen(image=image if image.nbytes * n <= keep else None, deep=deep, brightest=int(image.max()))
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


def _drawn(image: Image.Image, channels: int, least: int, cut: Cut | None, upright: bool = True) -> np.ndarray:
    _reduce(image, least)
    if upright:
        ImageOps.exif_transpose(image, in_place=True)
    picture = _eight_bit(image)
    if cut is not None:
        top, left, height, width = cut(picture.height, picture.width)
        picture = picture.crop((left, top, left + width, top + height))
    return _array(picture, channels)


def dim_and_deep(source: str) -> bool:
    """Whether an image file has more than 8 bits a channel and is all but black with them: see `DIM`. Of one that cannot be
    read, False."""
    try:
        with unwarned(), _open(source) as picture:
            return _is_deep(picture) and int(_drawn(picture, 0, 0, None).max()) < DIM
    except Exception:  # who reads it says what is wrong with it
        return False


def plain(picture: Image.Image) -> np.ndarray:
    """A picture that is open already, just as it stands, as uint8 (height, width, 1 or 3). Raises OSError where it is damaged."""
    try:
        _refuse(picture)
        return _array(_eight_bit(picture), 0)
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def _array(picture: Image.Image, channels: int) -> np.ndarray:
    grey = channels == 1 or (channels == 0 and picture.mode in ("1", "L", "LA"))
    picture = _opaque(picture)
    mode = "L" if grey else "RGB"
    # Pillow would copy a picture that is of this mode already.
    array = np.array(picture if picture.mode == mode else picture.convert(mode))
    return array[:, :, None] if grey else array


def _reduce(image: Image.Image, least: int) -> None:
    """Let the decoder skip what is not needed; its size says then what will be decoded."""
    if least and min(image.size) > least:
        image.draft(None, (least, least))


def _opaque(picture: Image.Image) -> Image.Image:
    """On white, where it can be seen through: the colours that stand under full transparency were never meant to be seen."""
    if not picture.has_transparency_data:
        return picture
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture.convert("RGBA"))
    return white.convert("RGB")


def _is_deep(image: Image.Image) -> bool:
    """Whether the file has more than 8 bits a channel; of colours, Pillow keeps the upper 8."""
    # Pillow says how a file's pixels are packed: a name such as `RGB;16B`, alone or as the first of several arguments.
    packed = [tile[3] if isinstance(tile[3], str) else (tile[3] or ("",))[0] for tile in getattr(image, "tile", [])]
    return image.mode[0] in "IF" or any(";16" in str(name) for name in packed)


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey scaled, where Pillow's own conversion would clip everything above 255 to white."""
    if image.mode.startswith("I"):
        # Pillow has 32 bits for some files of 16; files that need them do not say what white is.
        values = np.asarray(image)
        if not (values.min() >= 0 and values.max() <= 65_535):
            raise OSError(
                f"pixels from {values.min()} to {values.max()}: integers beyond 16 bits do not say what is white"
            )
        return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))  # to the nearest
    if image.mode == "F":
        floats = np.asarray(image)
        if not (floats.min() >= 0 and floats.max() <= 1):
            raise OSError("floating-point pixels outside 0 to 1")
        return Image.fromarray(np.rint(floats * np.float32(255)).astype(np.uint8))
    return image


def _open(source: str | bytes) -> Image.Image:
    """The picture in a file, or in its bytes, not decoded yet. Raises OSError where there is none that is read here."""
    if isinstance(source, str) and (what := no_file(source)):
        raise OSError(what)
    try:
        image = Image.open(source if isinstance(source, str) else io.BytesIO(source), formats=_formats())
    except UnidentifiedImageError:
        what = disguise(_head(source), "image")
        raise OSError(f"not an image but {what}" if what else "not an image that Pillow can read") from None
    try:
        _refuse(image)
    except Exception:
        image.close()
        raise
    return image


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _head(source: str | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:HEAD]
    with open(source, "rb") as file:
        return file.read(HEAD)


def _refuse(image: Image.Image) -> None:
    """Refuse a picture that is too large, or has more channels than Pillow would show."""
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError
    channels = getattr(image, "tag_v2", {}).get(_TIFF_CHANNELS, 0)
    if channels > len(image.getbands()) or image.mode == "RGBX":
        raise OSError(f"{max(channels, 4)} channels: pictures have 1 or 3, and one for transparency")


def why(error: BaseException) -> str:
    """Why an image cannot be read, in words; of an error of `decoded`, what is behind it."""
    error = error.__cause__ or error
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MOST_PIXELS // 10**6} million pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
