"""A search for a layer that is killed at three moments, done by two processes, and by a Ray cluster: is the same found?

    python bench/norm_kills.py [--runs FOLDER]

Compared are `study.json`, which holds every layer, score, finalist and verdict, and the lines of `layers.jsonl` in whatever order.
A folder that is finished is not searched again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from common import Row, answer, save
from interrupted import awaited, begun, convsmith, killed, lines, told

WORDS = (
    "search",
    "norms",
    "digits",
    "--layers",
    "10",
    "--steps",
    "20",
    "--finalists",
    "1",
    "--longer",
    "1",
    "--seeds",
    "2",
)
# How many of the scores are known when it is killed: while layers are searched for, and where the best are judged.
PARTS = (0.3, 0.6, 0.9)


def command(run: Path, *more: str) -> list[str]:
    return convsmith(*WORDS, "--out", str(run), *(more or ("--jobs", "1")))


def undisturbed(run: Path, *more: str) -> Path:
    if not (run / "study.html").exists():
        told(command(run, *more))
    return run


def known(run: Path) -> int:
    return len(lines(run / "layers.jsonl"))


def cut(run: Path, at: int) -> tuple[bool, Path]:
    """Whether the search was killed when so many scores were known; and where it ended, taken up again."""
    if (run / "study.html").exists():
        return True, run
    hit = awaited(process := begun(command(run)), lambda: known(run) >= at) and killed(process)
    return hit, undisturbed(run)


def alike(one: Path, two: Path) -> bool:
    studies = ((run / "study.json").read_bytes() for run in (one, two))
    scores = (sorted((run / "layers.jsonl").read_text(encoding="utf-8").splitlines()) for run in (one, two))
    return len(set(studies)) == 1 and next(scores) == next(scores)


def on_ray(run: Path) -> Path:
    """The search on a Ray cluster of one node that lives as long."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 2, "include_dashboard": False, "_system_config": {"worker_niceness": 0}}
    node = Cluster(initialize_head=True, head_node_args=head)
    try:
        return undisturbed(run, "--cluster", node.address)
    finally:
        node.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--trial", action="store_true", help="write nothing")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        runs = (asked.runs or Path(scratch)).resolve()
        whole = undisturbed(runs / "whole")
        scores = known(whole)
        ways: dict[str, Callable[[], tuple[bool, Path]]] = {}
        for part in PARTS:
            at = max(1, round(part * scores))
            ways[f"killed when {at} of {scores} scores were known"] = lambda at=at: cut(runs / f"cut-{at}", at)
        ways["by two processes"] = lambda: (True, undisturbed(runs / "two", "--jobs", "2"))
        if find_spec("ray"):
            ways["by a Ray cluster on this machine"] = lambda: (True, on_ray(runs / "ray"))
        rows = []
        for way, make in ways.items():
            began = time.monotonic()
            hit, run = make()
            same = hit and alike(whole, run)
            rows.append(
                Row(way, "equal" if same else "differs" if hit else "missed", "", None, 1, "equal", answer(same))
            )
            print(rows[-1].cells(), f"{time.monotonic() - began:.0f} s", flush=True)
    note = f"`convsmith {' '.join(WORDS)}` beside one process that nothing happened to: `study.json` to the byte, and every score."
    save("norm_kills", "A search for a layer, killed", "", rows, note=note, trial=asked.trial)


if __name__ == "__main__":
    main()
