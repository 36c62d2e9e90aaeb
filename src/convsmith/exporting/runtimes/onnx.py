"""ONNX files, which onnxruntime runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from numpy.typing import NDArray
from torch import Tensor, nn

from ...files import check_writable
from ...latency import Runtime, Subject
from ..compared import Run
from ..int8 import quantise
from ..metadata import Metadata
from ..onnx import Exported, export_onnx, write_onnx
from ..ort import bound, ort_subject, runs
from ..prepared import Prepared
from ..snippets import snippet
from .runtime import Eight, FileRuntime, Images

__all__ = ["Onnx"]


class Onnx(FileRuntime):
    """ONNX, by torch's exporter; eight bits by onnxruntime's quantiser, the answers by onnxruntime on the CPU."""

    name: ClassVar[str] = "onnx"
    title: ClassVar[str] = "onnxruntime"
    package: ClassVar[str] = "onnxruntime"
    modules: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx", "onnxscript")
    extra: ClassVar[str] = ""
    suffix: ClassVar[str] = ".onnx"
    timed: ClassVar[Runtime | None] = Runtime.ORT
    batches: ClassVar[bool] = True
    chooses: ClassVar[bool] = True
    shown: ClassVar[int] = 16

    def check(self, path: Path) -> None:
        """An ONNX file may have any name."""
        check_writable(path)

    def refuse_raw(self) -> None:
        """ONNX files can take raw pictures."""

    @property
    def record(self) -> str:
        return "export.json"

    @property
    def record_of_eight(self) -> str:
        return "export_int8.json"

    def snippet(self, path: Path, says: Metadata | None) -> str | None:
        return None if says is None else snippet(path, says)

    def export(
        self,
        model: nn.Module,
        path: Path,
        *,
        input_shape: tuple[int, ...],
        dynamic_batch: bool = True,
        samples: Tensor | tuple[Tensor, ...] | None = None,
        metadata: Metadata | None = None,
        raw_input: bool = False,
    ) -> Exported:
        return export_onnx(
            model,
            path,
            input_shape=input_shape,
            dynamic_batch=dynamic_batch,
            samples=samples,
            metadata=metadata,
            raw_input=raw_input,
        )

    def write(self, network: Prepared, path: Path, *, batch: int | None, says: Metadata | None = None) -> None:
        write_onnx(network, path, batch=batch, metadata=says)

    def shrink(
        self, network: Prepared, whole: Path, path: Path, images: Sequence[Images], *, says: Metadata | None = None
    ) -> Eight | None:
        made = quantise(whole, path, images, metadata=says)
        return made.int8_convolutions, made.convolutions

    def load(self, path: Path, *, threads: int) -> Run:
        return runs(path, threads=threads)

    def bound(self, path: Path, given: tuple[NDArray, ...], *, threads: int) -> Callable[[], object]:
        return bound(path, given, threads=threads)

    def on_noise(self, name: str, path: Path, noise: tuple[NDArray, ...], *, threads: int) -> Subject:
        return ort_subject(name, path, threads=threads)
