"""What a network's kernels say about its time: the shape of each convolution, and sums over everything else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .kernels import CLONE, LAID_OUT, PERMUTED, VIEWED, Kernel

__all__ = ["CONVOLUTIONS", "OTHERS", "UNNAMED", "convolutions", "described", "others", "touched"]

Array = NDArray[np.float64]

# Sums over kernels that are no convolutions: numbers written or read, multiply-adds of products, and launches.
OTHERS = (
    "launch",
    "launch that is not fused",
    "activation",
    "+relu",
    "relu",
    "product",
    "product of maps",
    "add",
    "+add",
    "pool",
    "moment",
    "mul",
    "divide",
    "cat",
    "copy",
    "layout",
    "view",
    "other",
    "norm",
    "large",
    "run",
)
# Coarser sums, by the parts they add up, that calibrations which do not name theirs are of.
_COARSE = {
    "all products": ("product", "product of maps"),
    "all pools": ("pool", "moment"),
    "all others": ("other", "divide", "cat"),
}
UNNAMED = (
    "launch",
    "launch that is not fused",
    "activation",
    "+relu",
    "relu",
    "all products",
    "add",
    "+add",
    "all pools",
    "mul",
    "all others",
    "norm",
    "run",
)
CONVOLUTIONS = ("conv", "dilated", "transposed")
_UNCOUNTED = {VIEWED: "view", PERMUTED: "copy", CLONE: "copy", LAID_OUT: "layout"}
# Numbers read and written together that fill half a MiB, which with weights beside them is all of a core's own cache.
_LARGE = 1 << 17
_KINDS = {
    **dict.fromkeys(
        ("silu", "sigmoid", "hardsigmoid", "addcmul", "hardswish", "gelu", "tanh", "softplus"), "activation"
    ),
    **dict.fromkeys(("avg_pool2d", "max_pool2d_with_indices"), "pool"),
    **dict.fromkeys(("div", "sqrt", "rsqrt", "reciprocal"), "divide"),
    **dict.fromkeys(("relu", "hardtanh"), "relu"),
    **{name: name for name in ("product", "add", "mul", "norm", "cat")},
    "mean": "moment",
}
_FUSED = ("relu", "add")  # behind a convolution computed while it writes


def described(shapes: Sequence[tuple[int, ...]], around: Sequence[float] = ()) -> Array:
    """One row for each convolution (channels in, out, kernel, stride, groups, rows, columns): logarithms and kinds, and where
    `around` is given ln of the bytes that its network touches.

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
    found = np.asarray(rows, float).reshape(len(rows), 11)
    return np.c_[found, around] if len(around) else found


def convolutions(
    found: Mapping[Kernel, int], kinds: Collection[str] = CONVOLUTIONS
) -> tuple[list[tuple[int, ...]], Array]:
    """The shapes of a network's convolutions of these kinds and how often each is launched."""
    convs = [(kernel.shape, times) for kernel, times in found.items() if kernel.kind in kinds]
    return [shape for shape, _ in convs], np.asarray([times for _, times in convs], float)


def others(found: Mapping[Kernel, int], *, fuses: bool) -> dict[str, float]:
    """The sums `OTHERS` over a network, and those of `UNNAMED`. `fuses`: whether the runtime folds a batch norm into the
    convolution before it and computes what follows one while it writes, as onnxruntime does and torch's eager mode does not;
    it then lays maps out for convolutions, and copies what torch views in another order."""
    sums = dict.fromkeys((*OTHERS, *_COARSE), 0.0)
    sums["run"] = 1.0
    for kernel, times in found.items():
        if kernel.kind in _UNCOUNTED:
            if (kernel.kind == CLONE) is not fuses:
                sums[_UNCOUNTED[kernel.kind]] += times * (1 if kernel.kind == VIEWED else kernel.written)
            continue
        sums["launch"] += times
        if kernel.kind in CONVOLUTIONS:
            continue
        plus, name = fuses and kernel.kind.startswith("+"), kernel.kind.lstrip("+")
        if plus and name == "norm":
            sums["launch"] -= times
            continue
        kind, work = _KINDS.get(name, "other"), kernel.written
        if kind == "product":
            kind, work = "product" if kernel.weights else "product of maps", kernel.macs
        elif kind in ("pool", "moment"):
            work = kernel.read
        fused = fuses and kind in _FUSED
        sums[f"+{kind}" if plus and fused else kind] += times * work
        if not fused:
            sums["launch that is not fused"] += times
        if kernel.read + kernel.written > _LARGE and not (plus and fused):
            sums["large"] += times * (kernel.read + kernel.written)
    return sums | {name: sum(sums[part] for part in parts) for name, parts in _COARSE.items()}


def touched(found: Mapping[Kernel, int]) -> float:
    """Bytes of float32 that a run of the network touches once each: all its weights, and the two largest maps that meet in a
    kernel, whose memory the others reuse. A cache that holds these has them from the run before."""
    weights = sum(times * kernel.weights for kernel, times in found.items())
    return 4.0 * (weights + max(kernel.read + kernel.written for kernel in found))
