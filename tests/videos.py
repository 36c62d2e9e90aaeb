"""Films that are written for a test, of which each frame says which one it is."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av", reason="the extra `video` is not installed")

SIDES = (48, 64)
# A key frame at every fifth, with frames before each that read it, too: the hardest to enter in the middle.
_GROUPS = {"g": "5", "bf": "2", "x264-params": "open-gop=1:b-adapt=0:scenecut=0"}


def marked(n: int, sides: tuple[int, int] = SIDES) -> list[np.ndarray]:
    """Frames of one grey each, frame k of 4 + 10 k: what a codec does to one level is little."""
    return [np.full((*sides, 3), 4 + 10 * k, np.uint8) for k in range(n)]


def number_of(frame: np.ndarray) -> int:
    """Which of `marked` a decoded frame is."""
    return round((float(frame.mean()) - 4) / 10)


def write_film(
    path: Path,
    frames: list[np.ndarray],
    *,
    codec: str = "libx264",
    times: list[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A film of 25 frames a second; or with frames at `times`, in ticks of 1/25 second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={} if options is None else options) as container:
        stream = container.add_stream(codec, rate=25, options=_GROUPS if codec == "libx264" else {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for k, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = k if times is None else times[k], Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn(path: Path, quarters: int) -> Path:
    """Tell players of an upright MP4 to turn its frames clockwise: ISO 14496-12, 8.3.2, a matrix (a b u c d v x y w) in the track's
    header by which (p, q) is shown at (a p + c q + x, b p + d q + y)."""
    held = bytearray(path.read_bytes())
    at = (
        held.index(b"tkhd") + 4 + 4 + 20 + 16
    )  # its name; version and flags; times and number of the track; layer, volume
    with av.open(str(path)) as container:
        height, width = container.streams.video[0].height, container.streams.video[0].width
    a, b, c, d, x, y = {1: (0, 1, -1, 0, height, 0), 2: (-1, 0, 0, -1, width, height), 3: (0, -1, 1, 0, 0, width)}[
        quarters
    ]
    fixed = [whole << 16 for whole in (a, b, 0, c, d, 0, x, y)]
    held[at : at + 36] = struct.pack(">9i", *fixed, 1 << 30)
    path.write_bytes(held)
    return path


def write_sound(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    return path


def write_classes(folder: Path, films: dict[str, int], *, n: int = 12) -> Path:
    """A folder of each class with so many films, of `n` frames each that differ from film to film."""
    for at, (name, count) in enumerate(films.items()):
        for k in range(count):
            frames = [np.roll(frame, at + k, 0) for frame in marked(n)]
            for j, frame in enumerate(frames):
                frame[: 8 + 4 * at, : 8 + 4 * k] = 250 - 8 * j
            write_film(folder / name / f"{k}.mp4", frames)
    return folder
