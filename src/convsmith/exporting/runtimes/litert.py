"""LiteRT's files (.tflite), by Google's converter from torch, quantiser and interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from ...errors import UserError, first_line
from ...latency import Runtime
from ..compared import Run
from ..metadata import Metadata
from ..prepared import Prepared
from ..snippets import Asked
from .hushed import hushed
from .runtime import Eight, FileRuntime, Images, expressed

__all__ = ["LiteRt"]

_SIGNATURE = "serving_default"  # the one function of a file that `convert` makes


class LiteRt(FileRuntime):
    """LiteRT on the CPU, by its XNNPACK kernels; images stay ⟨N,C,H,W⟩. Eight bits by AI Edge Quantizer: static ranges,
    weights for each output channel."""

    name: ClassVar[str] = "litert"
    title: ClassVar[str] = "LiteRT"
    package: ClassVar[str] = "ai-edge-litert"
    modules: ClassVar[tuple[str, ...]] = ("litert_torch", "ai_edge_litert", "ai_edge_quantizer")
    extra: ClassVar[str] = "litert"
    suffix: ClassVar[str] = ".tflite"
    timed: ClassVar[Runtime | None] = Runtime.LITERT
    asked: ClassVar[Asked | None] = Asked(
        "import json, numpy\nfrom ai_edge_litert.interpreter import Interpreter",
        "net = Interpreter(model_path={file}).get_signature_runner()",
        "tuple(net(args_0={given}).values())",
    )

    def write(self, network: Prepared, path: Path, *, batch: int | None, says: Metadata | None = None) -> None:
        with expressed(self.title), hushed(), torch.no_grad():
            import litert_torch

            blank = network.blank(batch or 1)
            litert_torch.convert(_without_alpha(network.network, blank), blank).export(str(path))

    def shrink(
        self, network: Prepared, whole: Path, path: Path, images: Sequence[Images], *, says: Metadata | None = None
    ) -> Eight | None:
        from ai_edge_quantizer import quantizer, recipe
        from ai_edge_quantizer.algorithm_manager import AlgorithmName
        from ai_edge_quantizer.qtyping import TFLOperationName

        names = list(_interpreter(whole, 1).get_signature_runner(_SIGNATURE).get_input_details())
        shown = [{names[0]: one[None]} for batch in images for one in batch]
        try:
            with hushed():
                made = quantizer.Quantizer(str(whole), recipe.static_wi8_ai8())
                for end in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):  # which stay float32, as of every file
                    made.update_quantization_recipe(".*", end, algorithm_key=AlgorithmName.NO_QUANTIZE)
                found = made.quantize(made.calibrate({_SIGNATURE: shown}, num_threads=1))
                found.export_model(str(path), overwrite=True)
        except Exception as error:  # the quantiser raises whatever its helpers do
            raise UserError(f"AI Edge Quantizer cannot quantise this network: {first_line(error)}") from error
        return None

    def load(self, path: Path, *, threads: int) -> Run:
        interpreter = _interpreter(path, threads)
        taken = [one["index"] for one in interpreter.get_input_details()]
        put_out = [one["index"] for one in interpreter.get_output_details()]

        def run(given: tuple[NDArray, ...]) -> list[NDArray]:
            for at, one in zip(taken, given, strict=True):
                interpreter.set_tensor(at, one)
            interpreter.invoke()
            return [np.array(interpreter.get_tensor(at)) for at in put_out]

        return run

    def bound(self, path: Path, given: tuple[NDArray, ...], *, threads: int) -> Callable[[], object]:
        interpreter = _interpreter(path, threads)
        for detail, one in zip(interpreter.get_input_details(), given, strict=True):
            interpreter.set_tensor(detail["index"], one)
        invoke: Callable[[], object] = interpreter.invoke
        return invoke


def _without_alpha(module: nn.Module, blank: tuple[Tensor, ...]) -> nn.Module:
    """The network with sums a + alpha b written out: its converter knows sums without a factor alone."""
    traced = torch.export.export(module, blank).module()
    assert isinstance(traced, fx.GraphModule)
    graph = traced.graph
    for node in list(graph.nodes):
        alpha = node.kwargs.get("alpha", 1)
        if node.target is not torch.ops.aten.add.Tensor or "alpha" not in node.kwargs:
            continue
        one, other = node.args
        if alpha != 1:
            with graph.inserting_before(node):
                other = graph.call_function(torch.ops.aten.mul.Tensor, (other, alpha))
        node.args, node.kwargs = (one, other), {}
    traced.recompile()
    return traced


def _interpreter(path: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    with expressed(LiteRt.title), hushed():
        made = Interpreter(model_path=str(path), num_threads=threads)
        made.allocate_tensors()
    return made
