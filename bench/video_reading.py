"""Frames a second out of films: ours beside PyAV's own loop, and clips out of the middle.

    python bench/video_reading.py FOLDER [--rounds 9] [--trial]

FOLDER has films, in it or below it. "All frames" is `Film` against PyAV's loop over the same file, both to RGB on the same threads;
first it is checked that they are equal. "A clip" is 16 frames, every second one, from a place drawn anew in each round: ours seeks
to it, the loop decodes from the beginning as far as the clip's last frame and turns none but the clip's into RGB.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from common import Row, answer, inverse, judged, rounds, save, spread
from convsmith.data.films import Film, is_film
from convsmith.data.reels import Reel, reel_of
from convsmith.data.spans import Span
from convsmith.latency import ratio

SPAN = Span(16, 2)


def loop(path: Path, *, threads: str) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = threads
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


def loop_to(path: Path, numbers: np.ndarray) -> list[np.ndarray]:
    wanted, found = set(numbers.tolist()), []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                found.append(frame.to_ndarray(format="rgb24"))
            if number == numbers[-1]:
                return found
    raise ValueError(f"{path} has no frame {numbers[-1]}")


def counted(frames: Callable[[], object], n: int) -> Callable[[], None]:
    def run() -> None:
        seen = sum(1 for _ in frames())  # type: ignore[attr-defined]
        assert seen == n

    return run


def of_all(path: Path, reel: Reel, n: int) -> Row:
    mine, other = rounds(
        counted(lambda: Film(path), reel.frames), counted(lambda: loop(path, threads="AUTO"), reel.frames), n=n
    )
    found = inverse(mine, other)
    ours, theirs = (spread(row, scale=reel.frames, unit="frames/s", per_second=True) for row in (mine, other))
    return Row(
        f"{path.name}, all {reel.frames} frames", ours, theirs, found, mine.n, "at least 0.9", judged(found, least=0.9)
    )


def of_clips(path: Path, reel: Reel, n: int) -> Row:
    draws = np.random.default_rng(0).random(n + 3)  # of warm rounds, too; both get the same, each by its own count
    begun = {"ours": 0, "loop": 0}

    def numbers(who: str) -> np.ndarray:
        begun[who] += 1
        return SPAN.numbers(reel.frames, float(draws[begun[who] - 1]))

    mine, other = rounds(lambda: reel.read(str(path), numbers("ours")), lambda: loop_to(path, numbers("loop")), n=n)
    found = ratio(mine, other)
    return Row(
        f"{path.name}, a clip of {SPAN.frames}", spread(mine), spread(other), found, mine.n, "at most 1 of the time",
        judged(found, most=1.0),
    )  # fmt: skip


def equal(path: Path, reel: Reel) -> Row:
    every = loop(path, threads="AUTO")
    same = len(every) == reel.frames and all(np.array_equal(a, b) for a, b in zip(Film(path), every, strict=True))
    for k in range(0, reel.frames, 7):
        same &= np.array_equal(reel.read(str(path), np.array([k]))[0], every[k])
    return Row(f"{path.name}, equal to the loop", "yes" if same else "no", "", None, 1, "yes", answer(same))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--trial", action="store_true", help="write nothing")
    asked = parser.parse_args()
    rows = []
    for path in sorted(one for one in asked.folder.rglob("*") if is_film(one)):
        reel = reel_of(str(path))
        rows += [equal(path, reel), of_all(path, reel, asked.rounds), of_clips(path, reel, max(20, asked.rounds))]
    save(
        "video_reading", "Reading films", "PyAV's own loop", rows,
        "All frames: more frames a second are better. A clip: fewer milliseconds are; the loop decodes what stands before it.",
        trial=asked.trial,
    )  # fmt: skip


if __name__ == "__main__":
    main()
