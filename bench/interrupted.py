"""What the benchmarks of killed runs share: commands as processes, the moment to kill at, and what then differs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from convsmith.training.checkpoint import load_checkpoint

# One thread each: two threads may add in another order than one, and a run is promised the same weights by as many.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
HERE = Path(__file__).parent
ON_LESS = str(HERE / "on_less.py")
# What tells of the clock, or of how often a checkpoint was written.
OF_THE_CLOCK = frozenset({".lock", "config.json", "latency.json", "report.html", "last.previous.pt"})
CLOCK_FIELDS = ("seconds", "images_per_s")


def convsmith(*words: str) -> list[str]:
    """The command of some words, on small embedded data."""
    return [sys.executable, ON_LESS, *words]


def told(command: Sequence[str], *, within: float | None = None) -> str:
    """What a command says to its end. Raises RuntimeError with its last words where it fails."""
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=within)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-600:]}")
    return done.stderr + done.stdout


def begun(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def awaited(process: subprocess.Popen[bytes], there: Callable[[], bool]) -> bool:
    """Wait until it is `there`; False where the process ended before."""
    while not there():
        if process.poll() is not None:
            return False
        time.sleep(0.0005)
    return True


def killed(process: subprocess.Popen[bytes]) -> bool:
    """Whether SIGKILL, not its own end, ended the process."""
    process.kill()
    return process.wait() == -signal.SIGKILL


def lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a .jsonl file, none where there is no file yet."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


# ---- comparing -------------------------------------------------------------------------------------------------------


def differing(one: Path, two: Path, *, but: Iterable[str] = OF_THE_CLOCK) -> list[str]:
    """The files of two run folders that differ, or that one of them has not, apart from what is of a clock.

    Files are compared by their bytes; the last checkpoint, whose pickled strings may be shared or not, by all that is in it but
    seconds; lines of metrics without their seconds.
    """
    names = {path.relative_to(run) for run in (one, two) for path in run.rglob("*") if path.is_file()}
    return sorted(str(name) for name in names if name.name not in but and not _same(one / name, two / name))


def _same(one: Path, two: Path) -> bool:
    if not (one.exists() and two.exists()):
        return False
    if one.name == "metrics.jsonl":
        return _without_clock(one) == _without_clock(two)
    if one.suffix == ".pt":
        return _equal(*(_state(path) for path in (one, two)))
    return one.read_bytes() == two.read_bytes()


def _without_clock(path: Path) -> list[dict[str, Any]]:
    return [{key: item for key, item in line.items() if key not in CLOCK_FIELDS} for line in lines(path)]


def _state(path: Path) -> dict[str, Any]:
    state = load_checkpoint(path)
    del state["tally"]["seconds"]
    return state


def _equal(one: Any, two: Any) -> bool:
    if type(one) is not type(two):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(_equal(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(_equal, one, two))
    return bool(one == two)
