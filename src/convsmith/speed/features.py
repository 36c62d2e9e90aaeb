"""What a network's kernels say about its time: the shape of each convolution, and sums over everything else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .kernels import Kernel

__all__ = ["CONVOLUTIONS", "OTHERS", "convolutions", "described", "others"]

Array = NDArray[np.float64]

# Sums over kernels that are no convolutions: numbers written or read, multiply-adds of products, and launches.
OTHERS = (
    "launch",
    "launch that is not fused",
    "activation",
    "+relu",
    "relu",
    "product",
    "add",
    "+add",
    "pool",
    "mul",
    "other",
    "norm",
    "run",
)
CONVOLUTIONS = ("conv", "dilated", "transposed")
_KINDS = {
    **dict.fromkeys(
        ("silu", "sigmoid", "hardsigmoid", "addcmul", "hardswish", "gelu", "tanh", "softplus"), "activation"
    ),
    **dict.fromkeys(("mean", "avg_pool2d", "max_pool2d_with_indices"), "pool"),
    **dict.fromkeys(("relu", "hardtanh"), "relu"),
    **{name: name for name in ("product", "add", "mul", "norm")},
}


def described(shapes: Sequence[tuple[int, ...]]) -> Array:
    """One row for each convolution (channels in, out, kernel, stride, groups, rows, columns): logarithms and kinds.

    Runtimes have other code for depthwise and grouped convolutions, and for channels that are no multiples of eight.
    """
    rows = []
    for c_in, c_out, kernel, stride, groups, height, width in shapes:
        depthwise, grouped = groups == c_in and groups > 1, 1 < groups < c_in
        own_in, own_out = np.log(c_in // groups), np.log(c_out // groups)
        rows.append(
            [
                own_in, np.log(c_out), np.log(height * width), np.log(kernel * kernel), np.log(stride),
                depthwise, grouped, np.log(groups) if grouped else 0.0,
                c_in % 8 > 0 and not depthwise, c_out % 8 > 0, own_out if grouped else 0.0,
            ]
        )  # fmt: skip
    return np.asarray(rows, float).reshape(len(rows), 11)


def convolutions(
    found: Mapping[Kernel, int], kinds: Collection[str] = CONVOLUTIONS
) -> tuple[list[tuple[int, ...]], Array]:
    """The shapes of a network's convolutions of these kinds and how often each is launched."""
    convs = [(kernel.shape, times) for kernel, times in found.items() if kernel.kind in kinds]
    return [shape for shape, _ in convs], np.asarray([times for _, times in convs], float)


def others(found: Mapping[Kernel, int], *, fuses: bool) -> Array:
    """The sums `OTHERS` over a network. `fuses`: whether the runtime folds a batch norm into the convolution before it and
    computes what follows one while it writes, as onnxruntime does and torch's eager mode does not."""
    sums = dict.fromkeys(OTHERS, 0.0)
    sums["run"] = 1.0
    for kernel, times in found.items():
        sums["launch"] += times
        if kernel.kind in CONVOLUTIONS:
            continue
        plus, name = fuses and kernel.kind.startswith("+"), kernel.kind.lstrip("+")
        if plus and name == "norm":
            sums["launch"] -= times
            continue
        kind = _KINDS.get(name, "other")
        size = kernel.macs if kind == "product" else kernel.read if kind == "pool" else kernel.written
        # Behind a convolution, a ReLU or an addition is computed while it writes.
        sums[f"+{kind}" if plus and kind in ("relu", "add") else kind] += times * size
        if not fuses or kind not in ("relu", "add"):
            sums["launch that is not fused"] += times
    return np.asarray([sums[name] for name in OTHERS])
