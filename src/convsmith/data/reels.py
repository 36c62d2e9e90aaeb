"""Where each frame of a film lies in its file, so that a clip is read without all that stands before it.

A file's packets say when each frame is shown, and are read in milliseconds without being decoded. Some files do not say it, as
`.avi`, or say what their frames contradict; the frames of these are counted by decoding all of them once, and each time from
the beginning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .films import opened, tells_times, upright

__all__ = ["Reel", "rate_of", "reel_of"]

_LOOKED = 16  # frames whose times are held against those of their packets


@dataclass(frozen=True, eq=False)
class Reel:
    """The frames of one film: how many, `sides` (height, width) as shown, and `rate` a second, the mean where it varies.

    `times` of its frames, in the file's own ticks, int64 ⟨frames⟩ and rising; None where the file does not say them. `uneven`:
    they are not as long apart as one another.
    """

    frames: int
    sides: tuple[int, int]
    rate: Fraction
    times: np.ndarray | None = None
    uneven: bool = False

    def even(self, numbers: np.ndarray) -> np.ndarray:
        """The frames that are shown at the times that `numbers` would have, were all equally long: the same where they are."""
        if self.times is None or not self.uneven:
            return numbers
        wanted = self.times[0] + numbers * ((self.times[-1] - self.times[0]) / max(1, self.frames - 1))
        middles = (self.times[1:] + self.times[:-1]) / 2
        return np.asarray(np.searchsorted(middles, wanted, side="left"), np.int64)

    def read(self, path: str, numbers: np.ndarray) -> np.ndarray:
        """Frames, uint8 ⟨len(numbers),height,width,3⟩, RGB; a number may come twice.

        Raises:
            OSError: one of them cannot be read any more.
        """
        wanted = sorted(set(numbers.tolist()))
        try:
            with opened(Path(path)) as (container, stream):
                found = self._found(container, stream, wanted)
        except (DataError, _error()) as error:
            raise OSError(f"{path}: {error}") from error
        if len(found) < len(wanted):
            lost = next(number for number in wanted if number not in found)
            raise OSError(f"{path}: frame {lost} of {self.frames} cannot be read")
        return np.stack([found[number] for number in numbers.tolist()])

    def _found(self, container: Any, stream: Any, wanted: list[int]) -> dict[int, np.ndarray]:
        found: dict[int, np.ndarray] = {}
        if self.times is None:
            for number, frame in enumerate(islice(container.decode(stream), wanted[-1] + 1)):
                if number in wanted:
                    found[number] = upright(frame)
            return found
        number_of = {int(self.times[number]): number for number in wanted}
        for frame in _from(container, stream, number_of):
            if frame.pts in number_of:
                found[number_of[frame.pts]] = upright(frame)
            if frame.pts is not None and frame.pts >= int(self.times[wanted[-1]]):
                break
        return found


def reel_of(path: str) -> Reel:
    """What is known of a film's frames once its packets have been read.

    Raises:
        DataError: it is no film, has no pictures, or no frame that can be read; without the path.
    """
    try:
        times, rate = _told(path)
        with opened(Path(path)) as (container, stream):
            first: list[int | None] = []
            sides = 0, 0
            with suppress(_error()):
                for frame in islice(container.decode(stream), _LOOKED):
                    if not first:
                        sides = upright(frame).shape[0], upright(frame).shape[1]
                    first.append(frame.pts)
        if not first:
            raise DataError("no frame in it can be read")
        if times is None or first != times[: len(first)].tolist():
            return Reel(_counted(path), sides, rate)
    except DataError as error:
        raise DataError(str(error).removeprefix(f"{path} ").removeprefix("is ")) from None
    except (OSError, _error()) as error:
        raise DataError(str(getattr(error, "strerror", None) or error).strip()) from None
    return Reel(len(times), sides, rate, times, _uneven(times))


def rate_of(path: str) -> Fraction:
    """Frames a second: the mean where they are not equally long. Raises `DataError` where the path is no film."""
    return _told(path)[1]


def _told(path: str) -> tuple[np.ndarray | None, Fraction]:
    """The times of all frames as the packets tell them, rising, None where they do not; and frames a second."""
    with opened(Path(path)) as (container, stream):
        times = [packet.pts for packet in container.demux(stream) if packet.size]
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        if not times or not tells_times(container) or None in times or len(set(times)) < len(times):
            return None, rate
        at = np.array(sorted(times), np.int64)
        if _uneven(at):
            rate = Fraction(len(at) - 1) / (Fraction(int(at[-1] - at[0])) * stream.time_base)
        return at, rate


def _uneven(times: np.ndarray) -> bool:
    """Whether frames are not as long as one another; what a clock's ticks round off does not count."""
    steps = np.diff(times)
    return len(steps) > 1 and bool(steps.max() - steps.min() > max(2, 0.2 * float(np.median(steps))))


def _counted(path: str) -> int:
    """How many frames can be decoded."""
    n = 0
    with opened(Path(path)) as (container, stream), suppress(_error()):
        for _ in container.decode(stream):
            n += 1
    return n


def _from(container: Any, stream: Any, wanted: Collection[int]) -> Iterator[Any]:
    """Frames of a film, among them those that are shown at the times `wanted`: from the last one before these that needs no other;
    from the first of all where the file cannot be entered there."""
    first = min(wanted)
    # The first packet may say what all others need: which release of x264 wrote them, whose mistakes are made good by it.
    next(container.decode(stream), None)
    container.seek(first, stream=stream, backward=True)
    frames = _decoded(container, stream, wanted)
    entered = next(frames, None)
    # A frame that is no key frame stands before the one that was entered at, and is made of some that were not read.
    if entered is None or not entered.key_frame or entered.is_corrupt or entered.pts is None or entered.pts > first:
        container.seek(-(2**62), stream=stream, backward=True)
        yield from _decoded(container, stream, wanted)
        return
    yield entered
    yield from frames


def _decoded(container: Any, stream: Any, wanted: Collection[int]) -> Iterator[Any]:
    """Frames from where a film is entered, without those that are neither wanted nor needed for others."""
    for packet in container.demux(stream):
        needless = packet.pts is not None and packet.pts not in wanted
        stream.codec_context.skip_frame = "NONREF" if needless else "DEFAULT"
        yield from packet.decode()


def _error() -> type[Exception]:
    import av

    error: type[Exception] = av.FFmpegError
    return error
