"""Trainings of whose ONNX files nothing is asked: torch's exporter takes seconds, as long as all else, and a page takes one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from torch import nn

from convsmith.exporting import Exported

__all__ = ["unexported"]

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
        patched.setattr("convsmith.jobs.train.stages.export_onnx", export_onnx)
        if not page:
            patched.setattr("convsmith.jobs.train.stages.write_report", lambda run: "no page")
        yield
