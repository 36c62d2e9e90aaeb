"""The milliseconds of a spec on this machine: built, exported where the runtime needs it, and timed."""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from ...arch import ArchSpec
from ...errors import UserError
from ...latency import Latency, Runtime, Subject, interleave
from ...model import build
from ...units import duration
from ...watcher import Watcher
from .subjects import ready, refuse_missing

__all__ = ["Stopwatch"]


class Stopwatch:
    """A function from specs to their latency with one image. The last spec's network is kept: it is often timed again.

    Weights are random: no runtime here is faster for others. Use as a context; the exported files go with it.
    """

    def __init__(self, runtime: Runtime, threads: int, watcher: Watcher, *, rounds: int = 30) -> None:
        if threads < 1:
            raise UserError(f"threads are at least 1; got {threads}")
        refuse_missing(runtime)
        self._runtime, self._threads, self._rounds, self._watcher = runtime, threads, rounds, watcher
        self._last: tuple[ArchSpec, Subject] | None = None
        self._scratch = tempfile.TemporaryDirectory(prefix="convsmith-")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._last = None
        self._scratch.cleanup()

    def __call__(self, spec: ArchSpec) -> Latency:
        first, began = self._last is None, time.monotonic()
        if self._last is None or self._last[0] != spec:
            self._last = (spec, self._subject(spec))
        row = interleave([self._last[1]], threads=self._threads, rounds=self._rounds, seconds=10).rows[0]
        self._watcher.stage("measure", f"{spec.name}: {row.median_ms:.3g} ms")
        if first:
            took = duration(time.monotonic() - began)
            self._watcher.note(f"to build and time it took {took}; as a rule a few more are, each once or twice")
        return row

    def _subject(self, spec: ArchSpec) -> Subject:
        return ready(
            spec.name,
            build(spec, seed=0),
            self._runtime,
            Path(self._scratch.name) / "spec",
            input_shape=spec.input.shape.dims,
            threads=self._threads,
            tolerance=math.inf,
        )
