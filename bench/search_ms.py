"""How many children a search has to measure before it can predict the others' milliseconds: T32, onnxruntime, one thread.

    python bench/search_ms.py [--sequences 2] [--others 40] [--trial]

For each sequence of drawn children the formula of a search is fitted to its first 12, 20, 30 and 50, and asked about the same
others. What is measured once is kept for the rest.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau

from common import Row, save
from convsmith.jobs.search import predicted
from convsmith.jobs.timing.stopwatch import Stopwatch
from convsmith.latency import Runtime
from convsmith.supernet import T32
from convsmith.watcher import Watcher

COUNTS = (12, 20, 30, 50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=2)
    parser.add_argument("--others", type=int, default=40)
    parser.add_argument("--trial", action="store_true", help="write no results")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    draws = random.Random(1_000)
    others = [tuple(draws.choice(axis.values) for axis in T32.axes) for _ in range(asked.others)]
    errors: dict[int, list[float]] = {n: [] for n in COUNTS}
    orders: dict[int, list[float]] = {n: [] for n in COUNTS}
    with tempfile.TemporaryDirectory() as scratch, Stopwatch(Runtime.ORT, threads=1, watcher=Watcher()) as watch:
        path = Path(scratch) / "timed.json"
        for sequence in range(asked.sequences):
            for n in COUNTS:
                predicted.FITTED = n
                timed = predicted.Timed(T32, path, watch, random.Random(sequence))
                took = np.array([timed.measured(genes) for genes in others])
                said = np.array([timed(genes) for genes in others])
                errors[n].append(float(np.median(np.abs(said / took - 1))))
                orders[n].append(float(kendalltau(said, took).statistic))
                print(f"sequence {sequence}, {n}: {errors[n][-1]:.1%}, tau {orders[n][-1]:.3f}", flush=True)
    rows = [
        Row(
            f"{n} measured: median error of {asked.others} others", f"{statistics.mean(errors[n]):.1%} "
            f"({', '.join(f'{one:.1%}' for one in errors[n])})", f"tau {statistics.mean(orders[n]):.3f}", None,
            asked.sequences, "",
        )
        for n in COUNTS
    ]  # fmt: skip
    save("search_ms", "A search's milliseconds", "Kendall's tau with measured", rows, trial=asked.trial)


if __name__ == "__main__":
    main()
