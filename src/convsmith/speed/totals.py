"""Networks of a runtime that times no kernels: their time, shared out among their convolutions by a law of a few weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .features import CONVOLUTIONS
from .kernels import Kernel, kernels
from .model import Observed

__all__ = ["shared_totals"]

Array = NDArray[np.float64]
_LEAST_MS = 1e-4  # of a convolution that no weight speaks of


def shared_totals(observed: Sequence[Observed]) -> list[Observed]:
    """The same networks, with an ms for each convolution: what a linear law expects of it, times what its network took more or
    less than the law expects of the whole.

    The law has a weight, not negative, for a dense, a depthwise and a grouped multiply-add, a number that a convolution writes and
    its launch, and for a number that anything else writes and its launch; relative errors count.
    """
    from scipy.optimize import nnls

    found = [kernels(one.spec) for one in observed]
    took = np.asarray([one.ms for one in observed])
    sums = np.asarray([_sizes(one).T @ np.asarray(list(one.values()), float) for one in found])
    size = sums.max(0) + 1e-12
    weights = nnls(sums / size / took[:, None], np.ones(len(took)))[0] / size
    return [
        replace(one, convs=_shares(of_it, weights, one.ms / max(float(own @ weights), _LEAST_MS)))
        for one, of_it, own in zip(observed, found, sums, strict=True)
    ]


def _shares(found: Mapping[Kernel, int], weights: Array, share: float) -> tuple[tuple[tuple[int, ...], float], ...]:
    expected = _sizes(found) @ weights
    return tuple(
        (kernel.shape, max(share * float(ms), _LEAST_MS))
        for (kernel, times), ms in zip(found.items(), expected, strict=True)
        if kernel.kind in CONVOLUTIONS
        for _ in range(times)
    )


def _sizes(found: Mapping[Kernel, int]) -> Array:
    """One row for each kernel: what the law's weights are of."""
    rows = []
    for kernel in found:
        if kernel.kind not in CONVOLUTIONS:
            # What stands behind a convolution is computed while it writes.
            alone = not kernel.kind.startswith("+")
            rows.append([0.0] * 5 + [kernel.written * alone, float(alone)])
            continue
        c_in, groups = kernel.shape[0], kernel.shape[4]
        depthwise, dense = groups == c_in and groups > 1, groups == 1
        kinds = [kernel.macs * dense, kernel.macs * depthwise, kernel.macs * (not dense and not depthwise)]
        rows.append([*kinds, kernel.written, 1.0, 0.0, 0.0])
    return np.asarray(rows, float)
