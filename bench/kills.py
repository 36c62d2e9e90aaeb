"""Runs that are killed at random moments: does each end with the weights of one that was left alone?

Trains a small network on digits once undisturbed, then `N` times with one kill each (SIGKILL and SIGTERM in turn) at a moment
drawn over the whole run, resumed until it is done. A run that was killed before it had a folder is started again.
"""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import Row, answer, save

N = 20


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        runs = Path(scratch)
        began = time.monotonic()
        subprocess.run(train(runs, "whole"), check=True, capture_output=True)
        whole, took = digest(runs / "whole"), time.monotonic() - began
        moments = [(at, random.Random(at).uniform(0.1, 0.95) * took) for at in range(N)]
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda one: killed(runs, *one), moments))
    same = sum(one == whole for one, _ in found)
    late = sum(stage for _, stage in found)
    rows = [
        Row("killed runs that end with the same weights", f"{same} of {N}", "", None, N, "all", answer(same == N)),
        Row("of them killed after training had begun", f"{late}", "", None, N, ""),
    ]
    save(
        "kills", "Killed at random moments", "", rows, note="SIGKILL and SIGTERM in turn; one kill a run, then `resume`"
    )


def train(runs: Path, name: str) -> list[str]:
    settings = ["--resolution", "16", "--epochs", "12", "--runs", str(runs), "--name", name]
    return [sys.executable, "-m", "convsmith", "train", "mobilenetv2_035", "digits", *settings]


def killed(runs: Path, at: int, moment: float) -> tuple[str, bool]:
    """The weights' digest of a run that was killed after `moment` seconds, and whether it was training by then."""
    name = f"killed-{at}"
    process = subprocess.Popen(train(runs, name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(moment)
    process.send_signal((signal.SIGKILL, signal.SIGTERM)[at % 2])
    process.wait()
    training = (runs / name / "metrics.jsonl").exists()
    again = [sys.executable, "-m", "convsmith", "resume", str(runs / name)]
    if not (runs / name / "config.json").exists():
        name = f"{name}-again"
        again = train(runs, name)
    done = subprocess.run(again, capture_output=True, text=True)
    if done.returncode:
        return done.stderr[-300:], training
    return digest(runs / name), training


def digest(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
