"""Milliseconds of a space's children: a dozen measured, the others predicted from what they cost."""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...arch import ArchSpec
from ...files import write_text
from ...latency import Runtime
from ...machine import this_machine
from ...scaling import Took
from ...supernet import Counting, Genes, Space
from ..timing.devices import HERE, Aim

__all__ = ["Timed"]

FITTED = 12


class Timed:
    """A function from genes to predicted milliseconds of one image:

        ms = a + b MACs + c blocks + d activations,    a, b, c, d >= 0

    by least squares of the relative error over the smallest, the biggest and drawn children, which are measured. The
    networks of one space are alike enough for this; a prediction only steers the search, and what is handed over is
    `measured`. Measurements are kept in `path`, so that a search that goes on predicts as it did; those of another machine,
    another runtime or another number of threads, are made anew. `aim` says whose milliseconds `watch` gives.
    """

    def __init__(
        self,
        space: Space,
        path: Path,
        watch: Callable[[ArchSpec], Took],
        rng: random.Random,
        *,
        aim: Aim = HERE,
    ) -> None:
        self._space, self._counting, self._path, self._watch = space, Counting(space), path, watch
        where = aim.device or f"{this_machine().processor}, {this_machine().cores} cores"
        others = "" if aim.here is Runtime.ORT else f", {aim.runtime}"
        self._where = f"{where}, {aim.threads} threads{others}"
        self._known: dict[Genes, list[float]] = {}
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["where"] == self._where:
                self._known = {tuple(genes): ms for genes, ms in kept["ms"]}
        chosen: list[Genes] = [tuple(axis.values[end] for axis in space.axes) for end in (0, -1)]
        while len(chosen) < min(FITTED, space.size()):
            drawn = tuple(rng.choice(axis.values) for axis in space.axes)
            if drawn not in chosen:
                chosen.append(drawn)
        for genes in chosen:
            self.measured(genes)
        self._weights = self._fitted(chosen)
        errors = []
        for genes in chosen[2:]:
            weights = self._fitted([other for other in chosen if other != genes])
            errors.append(abs(float(self._features(genes) @ weights) / self._known[genes][0] - 1))
        self.error = statistics.median(errors) if errors else math.nan
        """Median relative error of predicting the drawn children, each left out in turn; NaN where none was drawn."""

    def __call__(self, genes: Genes) -> float:
        """The predicted milliseconds, whether the child was measured or not."""
        return float(self._features(genes) @ self._weights)

    def measured(self, genes: Genes, times: int = 1) -> float:
        """The child's own milliseconds: the most of `times` measurements, each made once."""
        own = self._known.setdefault(genes, [])
        while len(own) < times:
            own.append(self._watch(self._space.spec(genes)).median_ms)
            text = json.dumps({"where": self._where, "ms": list(self._known.items())})
            write_text(self._path, text)
        return max(own[:times])

    def _features(self, genes: Genes) -> np.ndarray:
        needs = self._counting(genes)
        blocks = sum(genes[3:-1:4])
        return np.array([1.0, needs.macs / 1e6, blocks, needs.activations / 1e5])

    def _fitted(self, chosen: Sequence[Genes]) -> np.ndarray:
        from scipy.optimize import nnls

        rows = np.stack([self._features(genes) / self._known[genes][0] for genes in chosen])
        weights, _ = nnls(rows, np.ones(len(chosen)))
        return np.asarray(weights)
