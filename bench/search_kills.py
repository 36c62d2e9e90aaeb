"""Searches that are killed at three moments, in training, in scoring and in handing over: is the front the same?

python bench/search_kills.py
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import Row, answer, save

WORDS = (
    "search",
    "digits",
    "--to",
    "1.2M-macs,3M-macs",
    "--epochs",
    "3",
    "--generations",
    "2",
    "--per-generation",
    "6",
    "--set",
    "batch=128",
)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        runs = Path(scratch)
        done = subprocess.run(told(runs, "whole"), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        whole = found(runs / "whole")
        for moment, there in MOMENTS.items():
            run = runs / moment.replace(" ", "-")
            process = subprocess.Popen(told(runs, run.name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not there(run):
                assert process.poll() is None, f"ended before it could be killed while {moment}"
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
            again = subprocess.run(
                [sys.executable, "-m", "convsmith", "resume", str(run)], capture_output=True, text=True
            )
            assert again.returncode == 0, again.stderr
            same = found(run) == whole
            rows.append(
                Row(
                    f"killed while {moment}: front, winners and scores as if not",
                    answer(same),
                    "",
                    None,
                    1,
                    "yes",
                    answer(same),
                )
            )
            print(rows[-1].cells(), file=sys.stderr, flush=True)
    save("search_kills", "A search, killed", "", rows, note=f"`convsmith {' '.join(WORDS)}`, SIGKILL, then `resume`.")


def told(runs: Path, name: str) -> list[str]:
    return [sys.executable, "-m", "convsmith", *WORDS, "--runs", str(runs), "--name", name]


def found(run: Path) -> dict[str, object]:
    """What does not depend on the clock: winners and front, what was scored in whatever order, and the weights shipped."""
    front = json.loads((run / "front.json").read_text(encoding="utf-8"))
    children = sorted((run / "children").glob("*/model.safetensors"))
    return {
        "winners": front["winners"],
        "front": front["front"],
        "scored": sorted((run / "children.jsonl").read_text(encoding="utf-8").splitlines()),
        "weights": [path.read_bytes() for path in children],
    }


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "training": lambda run: _lines(run / "metrics.jsonl") > 1,
    "scoring": lambda run: _lines(run / "children.jsonl") > 10,
    "handing over": lambda run: any((run / "children").glob("*/model.onnx")),
}


if __name__ == "__main__":
    main()
