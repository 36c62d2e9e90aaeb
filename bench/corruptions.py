"""Milliseconds a picture of the fifteen common corruptions, ours beside the package that people use for them.

    python bench/corruptions.py [--peer SITE_PACKAGES] [--rounds N] [--side PIXELS] [--trial]

SITE_PACKAGES is the folder of packages of a second environment of the same Python that holds `imagecorruptions`
(`imagecorruptions-imaug`, the fork that works with current SciPy and scikit-image), so that OpenCV, Numba and scikit-image need
not be in ours. It is looked into last: NumPy, SciPy and Pillow are one version for both sides. Where the package cannot be
imported, ours is timed alone and the note says so. A `--trial` writes no result.

A round is one call on one picture, at severity 3 or at each of 1 to 5, by both sides in an order drawn anew; the next round
takes the next picture. What is done once a process is done before the first counted round: the package's compiled loops, our
textures of ice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path

import numpy as np
import PIL
import scipy

from common import Row, rounds, save, spread
from convsmith.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from convsmith.corruptions.frost import THICK, texture
from convsmith.corruptions.plasma import plasma
from convsmith.latency import Ratio, ratio

PICTURES = 8
PEERS = ("imagecorruptions-imaug", "imagecorruptions")
BESIDE = ("scikit-image", "numba", "opencv-python-headless")

Corrupt = Callable[[np.ndarray, str, int], np.ndarray]


def pictures(side: int) -> list[np.ndarray]:
    """Clouds of light with blocks before them: smooth parts, edges and detail of every size, as in photographs."""
    made = []
    for seed in range(PICTURES):
        rng = np.random.default_rng(seed)
        cover = 1 << (side - 1).bit_length()
        clouds = np.stack([plasma(rng, cover, 1.4)[:side, :side] for _ in range(3)], axis=2)
        for top, left in rng.integers(0, side, (12, 2)):
            clouds[top : top + side // 8, left : left + side // 5] = rng.random(3)
        made.append((clouds * 255).astype(np.uint8))
    return made


def peer(folder: Path | None) -> tuple[Corrupt | None, str]:
    """The package's function, or None, and what to say of it."""
    if folder is not None:
        sys.path.append(str(folder))
    try:
        import imagecorruptions
    except ImportError as error:  # the original asks for modules that SciPy and setuptools no longer have
        return None, f"not timed, as imagecorruptions cannot be imported here ({error})"
    package = imagecorruptions.corrupt
    named = ", ".join(f"{name} {found}" for name in (*PEERS, *BESIDE) if (found := version_of(name)))
    return lambda picture, name, severity: package(picture, severity, name), named


def version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def calls(corrupt: Corrupt, shown: list[np.ndarray], name: str, severities: tuple[int, ...]) -> Callable[[], object]:
    """A call corrupts the next picture at each of the severities."""
    turns = count()

    def run() -> None:
        picture = shown[next(turns) % len(shown)]
        for severity in severities:
            corrupt(picture, name, severity)

    return run


def measured(
    name: str, severities: tuple[int, ...], shown: list[np.ndarray], theirs: Corrupt | None, n: int
) -> tuple[str, str, Ratio | None]:
    """Milliseconds a picture of ours and of theirs, and the ratio of the times."""
    mine = calls(corrupted, shown, name, severities)
    other = mine if theirs is None else calls(theirs, shown, name, severities)
    first, second = rounds(mine, other, n=n, warm=2)
    each = 1 / len(severities)
    if theirs is None:
        return spread(first, scale=each), "", None
    return spread(first, scale=each), spread(second, scale=each), ratio(first, second)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="packages of the environment that holds imagecorruptions")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--trial", action="store_true")
    asked = parser.parse_args()
    theirs, said = peer(asked.peer)
    shown, rows = pictures(asked.side), []
    for i in range(len(THICK)):
        texture(i)
    for known in CORRUPTIONS:
        for what, severities in (("severity 3", (3,)), ("mean of 1 to 5", SEVERITIES)):
            found = measured(known.name, severities, shown, theirs, asked.rounds)
            rows.append(Row(f"{known.name}, {what}", *found, asked.rounds, ""))
            print(*rows[-1].cells(), sep=" | ", flush=True)
    note = (
        f"Milliseconds a picture of {asked.side} x {asked.side} in colour, median (p10-p90), in one process with the libraries' "
        f"usual threads; the ratio is of times: below 1 ours is faster. The other side: {said}. For both: SciPy "
        f"{scipy.__version__}, Pillow {PIL.__version__}. Its frosts are read from files in every call, ours are drawn once a "
        "process, before the first round; ours takes its seed from the picture's own pixels in every call."
    )
    save("corruptions", "Common corruptions", "imagecorruptions", rows, note, trial=asked.trial)


if __name__ == "__main__":
    main()
