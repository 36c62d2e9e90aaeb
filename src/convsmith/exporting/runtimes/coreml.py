"""Core ML's packages (.mlpackage), which Apple's systems run."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch

from ...errors import UserError
from ...latency import Runtime
from ..metadata import Metadata, describe
from ..prepared import Prepared
from .hushed import hushed
from .runtime import FileRuntime, expressed

__all__ = ["CoreMl"]


class CoreMl(FileRuntime):
    """Core ML, converted by coremltools and not run: there is none of it but on Apple's systems."""

    name: ClassVar[str] = "coreml"
    title: ClassVar[str] = "Core ML"
    package: ClassVar[str] = "coremltools"
    modules: ClassVar[tuple[str, ...]] = ("coremltools",)
    extra: ClassVar[str] = "coreml"
    suffix: ClassVar[str] = ".mlpackage"
    timed: ClassVar[Runtime | None] = None
    unrun: ClassVar[str] = "Core ML runs on Apple's systems alone: the file is converted, and was not run"
    floats: ClassVar[str] = (
        "Core ML's ranges of activations are found by running it, on Apple's systems alone: leave out --int8"
    )

    def __str__(self) -> str:
        return f"coremltools {self.version}"

    def check(self, path: Path) -> None:
        if path.is_dir() and path.suffix == self.suffix:
            return  # a package is a folder, and a new one takes its place
        super().check(path)

    def write(self, network: Prepared, path: Path, *, batch: int | None, says: Metadata | None = None) -> None:
        blank = network.blank(batch or 1)
        if len(blank) > 1:
            raise UserError("Core ML is given networks of one input, and this one reads several")
        with expressed(self.title), hushed(), torch.no_grad():
            import coremltools

            made = coremltools.convert(
                torch.jit.trace(network.network, blank),  # type: ignore[no-untyped-call]
                inputs=[coremltools.TensorType(name=network.names[0], shape=blank[0].shape)],
                minimum_deployment_target=coremltools.target.iOS16,
                compute_precision=coremltools.precision.FLOAT32,
                skip_model_load=True,
            )
            for key, text in ({} if says is None else describe(says)).items():
                made.user_defined_metadata[f"convsmith.{key}"] = text
            made.save(str(path))
