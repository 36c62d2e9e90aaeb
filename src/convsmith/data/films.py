"""Films: frames out of a file one after another, and into one. The whole is never in memory. Needs the extra `video` (PyAV)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, UserError
from ..files import whole
from ..firstbytes import HEAD, disguise

__all__ = ["FILMS", "Film", "is_film", "opened", "tells_times", "upright", "writing"]

_TICK = 1e-6  # seconds, which no two frames are nearer to each other

FILMS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv")


def is_film(path: str | Path) -> bool:
    """Whether a path is named as films are."""
    return Path(path).suffix.lower() in FILMS


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise UserError("films are read and written by PyAV: pip install 'convsmith[video]'") from None
    return av


@dataclass(eq=False)
class Film:
    """A film in a file, opened to know what it is and opened again by whoever reads it.

    `sides` are the height and the width as shown, turned as the camera says; `rate` frames a second, the mean where it varies;
    `frames` how many the file claims to have, 0 where it says nothing. Reading fills `lost`: why the end could not be read,
    empty where it could.

    Raises:
        DataError: not a film, or one without pictures.
    """

    path: Path
    rate: Fraction = field(init=False)
    sides: tuple[int, int] = field(init=False)
    frames: int = field(init=False)
    lost: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if not self.path.is_file():
            raise DataError(f"there is no film {self.path}")
        with opened(self.path) as (container, stream):
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
            self.frames = stream.frames or int((container.duration or 0) / 1e6 * self.rate)
        first = next(iter(self), None)
        if first is None:
            raise DataError(f"{self.path} has no frame that can be read{f': {self.lost}' if self.lost else ''}")
        self.sides = (first.shape[0], first.shape[1])

    def __iter__(self) -> Iterator[np.ndarray]:
        """Each frame as uint8 (height, width, 3), RGB. A file that is cut off gives what can be read, and says so in `lost`."""
        for image, _ in self.timed():
            yield image

    def even(self, rate: Fraction) -> Iterator[np.ndarray]:
        """Frames at `rate`, all as long as one another: each is the one that is shown nearest to its time. Of a film that has this
        rate, its own."""
        step = 1 / float(rate)
        kept: tuple[np.ndarray, float] | None = None
        given, first = 0, 0.0
        for image, at in self.timed():
            if kept is None:
                first = at
            else:
                while first + given * step < (kept[1] + at) / 2:
                    yield kept[0]
                    given += 1
            kept = image, at
        if kept is not None and first + given * step < kept[1] + step / 2:
            yield kept[0]

    def timed(self) -> Iterator[tuple[np.ndarray, float]]:
        """Each frame, and when it is shown, in seconds; in a file that does not say so, by its number and the rate."""
        self.lost = ""
        with opened(self.path) as (container, stream):
            stream.thread_type = (
                "AUTO"  # PyAV's log stays off, as it is: read by threads, it may wait for itself for ever
            )
            frames, number, before, told = container.decode(stream), 0, -math.inf, tells_times(container)
            while True:
                try:
                    frame = next(frames, None)
                except _av().FFmpegError as error:
                    self.lost = f"{error.strerror or error}".strip()
                    return
                if frame is None:
                    return
                at = frame.time if told and frame.time is not None else number / float(self.rate)
                at = max(at, before + _TICK)
                yield upright(frame), at
                number, before = number + 1, at


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """PyAV's container of a film, and its first stream of pictures.

    Raises:
        DataError: not a film, or one without pictures.
    """
    av = _av()
    try:
        container = av.open(str(path), "r")
    except (av.FFmpegError, OSError) as error:
        with path.open("rb") as file:
            what = disguise(file.read(HEAD), "video")
        raise DataError(
            f"{path} is no film that can be read{f', but {what}' if what else f': {error.strerror}'}"
        ) from None
    with container:
        if not container.streams.video:
            raise DataError(f"{path} has sound only, and no pictures")
        yield container, container.streams.video[0]


def tells_times(container: Any) -> bool:
    """Whether the file says when a frame is shown: an .avi numbers its packets, in the order they are decoded in."""
    return "avi" not in container.format.name.split(",")


def upright(frame: Any) -> np.ndarray:
    """A decoded frame as uint8 (height, width, 3), RGB, turned as the camera says."""
    image: np.ndarray = frame.to_ndarray(format="rgb24")
    return np.rot90(image, frame.rotation // 90) if frame.rotation else image


@contextmanager
def writing(path: Path, rate: Fraction, sides: tuple[int, int]) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that adds a frame, uint8 (height, width, 3), to a film of `sides` at `path`: H.264 in MP4, which browsers play.

    The file is there once all is written. A side that is odd loses its last row, which the codec asks for.
    """
    av = _av()
    height, width = (side // 2 * 2 for side in sides)
    with whole(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"

        def write(image: np.ndarray) -> None:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)

        yield write
        for packet in stream.encode():
            container.mux(packet)
