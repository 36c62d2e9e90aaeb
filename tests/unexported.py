"""Trainings of whose ONNX files nothing is asked: torch's exporter takes seconds, as long as all else, and a page takes one.

A process of its own is `python tests/unexported.py VERB ...` where another is `python -m convsmith VERB ...`.
"""

from __future__ import annotations

import runpy
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from torch import nn

from convsmith.exporting import Exported

__all__ = ["UNEXPORTED", "unexported"]

UNEXPORTED = [sys.executable, __file__]
FILE = Path(__file__).parent / "folders-0.1" / "trained" / "model.onnx"


@contextmanager
def unexported(*, page: bool = False) -> Iterator[None]:
    """While it lasts a training ends with the file of a network that was exported long ago, and with its page if that is asked."""

    def export_onnx(model: nn.Module, path: Path, **_: object) -> Exported:
        shutil.copyfile(FILE, path)
        return Exported(
            path=path, bytes=path.stat().st_size, opset=18, dynamic_batch=True, folded=0, max_abs_difference=0.0,
            relative_difference=0.0, tolerance=1e-4, n=0, runtime="none",
        )  # fmt: skip

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("convsmith.exporting.runtimes.onnx.export_onnx", export_onnx)
        if not page:
            patched.setattr("convsmith.jobs.train.stages.write_report", lambda run: "no page")
        yield


if __name__ == "__main__":
    # Nor are milliseconds asked for.
    with unexported(), pytest.MonkeyPatch.context() as patched:
        patched.setattr("convsmith.latency._WARM_UP_NS", 10**7)
        patched.setattr("convsmith.latency._SAMPLE_NS", 10**5)
        runpy.run_module("convsmith", run_name="__main__", alter_sys=True)
