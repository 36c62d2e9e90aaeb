"""Films come out frame by frame as PyAV's own loop gives them, whatever the file; what is no film says what it is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from convsmith.data.films import Film, is_film, writing
from convsmith.errors import DataError

av = pytest.importorskip("av", reason="the extra `video` is not installed")
SHARED = Path(__file__).parents[2] / "shared/data"


def painted(n: int = 12, height: int = 36, width: int = 64) -> list[np.ndarray]:
    """Grey frames with a white block that goes right by four pixels a frame."""
    frames = []
    for at in range(n):
        frame = np.full((height, width, 3), 60, np.uint8)
        frame[8:24, 4 * at : 4 * at + 12] = 250
        frames.append(frame)
    return frames


def written(path: Path, frames: list[np.ndarray], rate: Fraction = Fraction(25)) -> Path:
    with writing(path, rate, frames[0].shape[:2]) as add:
        for frame in frames:
            add(frame)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    frames = painted()
    film = Film(written(tmp_path / "block.mp4", frames, Fraction(30000, 1001)))
    assert (film.sides, film.rate, film.frames) == ((36, 64), Fraction(30000, 1001), 12)
    found = list(film)
    assert len(found) == 12 and film.lost == ""
    # The codec loses some: a block's middle and its surroundings stay what they were.
    for at, (one, other) in enumerate(zip(found, frames, strict=True)):
        assert (
            np.abs(one[12:20, 4 * at + 3 : 4 * at + 9].astype(int) - other[12:20, 4 * at + 3 : 4 * at + 9]).mean() < 12
        )
        assert np.abs(one[28:].astype(int) - other[28:]).mean() < 6


def test_a_side_that_is_odd_loses_a_row(tmp_path: Path) -> None:
    film = Film(written(tmp_path / "odd.mp4", painted(3, 37, 65)))
    assert film.sides == (36, 64)


def test_a_film_that_is_cut_off_gives_what_there_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (96, 96, 3), dtype=np.uint8) for _ in range(40)]
    path = tmp_path / "noise.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 96, "yuvj420p"
        for image in noise:
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    n = len(list(Film(path)))
    assert 10 <= n < 40


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello, I am a text", "no film that can be read"),
        (b"PK\x03\x04" + bytes(600), "zip archive"),
        (b"", "no film"),
    ],
)
def test_what_is_no_film_says_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "shot.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        Film(path)
    with pytest.raises(DataError, match="there is no film"):
        Film(tmp_path / "none.mp4")


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    with pytest.raises(DataError, match="sound only"):
        Film(path)


@pytest.mark.parametrize("name", ["apply_eye_makeup.avi", "arm_wrestling.mp4", "cleaning_pool.mp4"])
def test_real_films(name: str) -> None:
    path = SHARED / "clips" / name
    if not path.is_file():
        pytest.skip("the real clips are not here")
    film, n = Film(path), 0
    with av.open(str(path)) as container:
        for n, (ours, theirs) in enumerate(zip(film, container.decode(video=0), strict=True), 1):  # noqa: B007
            assert np.array_equal(ours, theirs.to_ndarray(format="rgb24"))
    assert n == film.frames and film.lost == "" and is_film(path)
