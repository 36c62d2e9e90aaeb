"""ExecuTorch's files (.pte), lowered to its XNNPACK kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...latency import Runtime
from ..compared import Run
from ..metadata import Metadata
from ..prepared import Prepared
from ..snippets import Asked
from .hushed import hushed
from .runtime import Eight, FileRuntime, Images, expressed

__all__ = ["ExecuTorch"]


class ExecuTorch(FileRuntime):
    """ExecuTorch on the CPU: what XNNPACK has goes to it, the rest to ExecuTorch's portable kernels. Eight bits by PT2E and
    the XNNPACK quantiser: symmetric, weights for each output channel.

    Its threads are the process's: a file that is opened sets them for all.
    """

    name: ClassVar[str] = "executorch"
    title: ClassVar[str] = "ExecuTorch"
    package: ClassVar[str] = "executorch"
    modules: ClassVar[tuple[str, ...]] = ("executorch", "torchao")
    extra: ClassVar[str] = "executorch"
    suffix: ClassVar[str] = ".pte"
    timed: ClassVar[Runtime | None] = Runtime.EXECUTORCH
    asked: ClassVar[Asked | None] = Asked(
        "import json, numpy, torch\nfrom executorch.runtime import Runtime",
        'net = Runtime.get().load_program({file}).load_method("forward")',
        "[out.numpy() for out in net.execute([torch.from_numpy({given})])]",
    )

    def write(self, network: Prepared, path: Path, *, batch: int | None, says: Metadata | None = None) -> None:
        with expressed(self.title), hushed(), torch.no_grad():
            _lower(network.network, network.blank(batch or 1), path)

    def shrink(
        self, network: Prepared, whole: Path, path: Path, images: Sequence[Images], *, says: Metadata | None = None
    ) -> Eight | None:
        with expressed(self.title), hushed(), torch.no_grad():
            from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
                XNNPACKQuantizer,
                get_symmetric_quantization_config,
            )
            from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

            blank = network.blank(1)
            quantiser = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
            watched = prepare_pt2e(torch.export.export(network.network, blank).module(), quantiser)
            for batch in images:
                for one in torch.split(torch.from_numpy(batch), 1):
                    watched(one)
            _lower(convert_pt2e(watched), blank, path)
        return None

    def load(self, path: Path, *, threads: int) -> Run:
        method = _method(path, threads)

        def run(given: tuple[NDArray, ...]) -> list[NDArray]:
            found = method.execute([torch.from_numpy(one) for one in given])
            return [np.array(one.numpy()) for one in found]

        return run

    def bound(self, path: Path, given: tuple[NDArray, ...], *, threads: int) -> Callable[[], object]:
        method, shown = _method(path, threads), [torch.from_numpy(one) for one in given]
        return lambda: method.execute(shown)


def _lower(module: nn.Module, blank: tuple[torch.Tensor, ...], path: Path) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(module, blank)
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


def _method(path: Path, threads: int) -> Any:
    with expressed(ExecuTorch.title), hushed():
        from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
        from executorch.runtime import Runtime as Engine

        _unsafe_reset_threadpool(threads)
        return Engine.get().load_program(path).load_method("forward")
