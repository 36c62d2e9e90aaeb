"""Averages over whole maps, as onnxruntime computes them without undoing the layout of its convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

__all__ = ["pool_averages"]


def pool_averages(graph: ir.Graph) -> int:
    """Make every mean over all places of a map, ⟨N,C,H,W⟩ -> ⟨N,C,1,1⟩ or ⟨N,C⟩, and of a clip, a GlobalAveragePool; how many.

    The exporter writes a ReduceMean, which onnxruntime computes on plain maps alone. A GlobalAveragePool reads the blocked
    layout that its convolutions write, so that a squeeze-and-excitation lays nothing out anew.
    """
    found = 0
    for node in list(graph):
        axes = _averaged(node)
        if axes is None:
            continue
        entering, (leaving,) = node.inputs[0], node.outputs
        pooled = ir.node("GlobalAveragePool", [entering], name=node.name)
        made = [pooled]
        if not node.attributes.get_int("keepdims", 1):
            made.append(ir.node("Flatten", [pooled.outputs[0]], {"axis": 1}, name=f"{node.name}_flat"))
        last, over = made[-1].outputs[0], node.inputs[1]
        last.name, last.type, last.shape = leaving.name, leaving.type, leaving.shape
        ir.convenience.replace_nodes_and_values(graph, node, [node], made, [leaving], [last])
        if over is not None and over.name is not None and not over.uses() and over.name in graph.initializers:
            del graph.initializers[over.name]  # onnxruntime warns of what nothing reads
        found += 1
    return found


def _averaged(node: ir.Node) -> Sequence[int] | None:
    """The axes of a mean over all places of maps; None of any other node."""
    if node.op_type != "ReduceMean" or len(node.inputs) < 2 or node.inputs[0] is None or node.inputs[1] is None:
        return None
    rank = None if node.inputs[0].shape is None else node.inputs[0].shape.rank()
    axes = ir.convenience.get_const_tensor(node.inputs[1])
    if rank is None or rank < 4 or axes is None:
        return None
    over = sorted(int(axis) % rank for axis in axes.numpy().reshape(-1))
    return over if over == list(range(2, rank)) else None
