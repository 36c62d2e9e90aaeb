"""Whether a file gives its network's answers: how far apart they are, and how far rounding may take them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from .errors import ExportDiffers, ExportError
from .prepared import Prepared

__all__ = ["Compared", "Run", "compared", "doubtful", "held", "on_tensors"]

Run = Callable[[tuple[NDArray, ...]], list[NDArray]]  # a file: a batch of each input in, what it puts out

_ROUNDINGS = 4  # both sides round, in orders of their own, which also differ from image to image
_MOST = 1e-2  # beyond, nothing could be told from a wrong file
_NUDGE = 1e-5  # a hundred times what rounding does to an image
_JUMP = 1e-3  # of the largest number; what does not jump changes by about the nudge
_MOST_DOUBTED = 0.1


@dataclass(frozen=True)
class Compared:
    """A file beside its network, on `n` inputs: the largest absolute `difference` of an output, and the largest that is a
    share of its output's largest number, `relative`; both of the output that differs by the largest share. `agreement` is the
    share of the inputs of which both put one and the same class first; None where what is put out is no list of classes."""

    difference: float
    relative: float
    agreement: float | None
    n: int


def on_tensors(file: Run, each: int | None) -> Callable[[Tensor], Any]:
    """A file of one input as a function of tensors on the CPU, `each` at a time, None for all at once: one tensor, or as many as it
    puts out."""

    def run(images: Tensor) -> Any:
        parts = [file((part.contiguous().numpy(),)) for part in torch.split(images, each or max(len(images), 1))]
        found = [torch.cat([torch.from_numpy(one) for one in own]) for own in zip(*parts, strict=True)]
        return found[0] if len(found) == 1 else tuple(found)

    return run


@torch.no_grad()
def compared(
    network: Prepared, run: Run, *, each: int = 1, batches: bool = False, doubted: list[NDArray] | None = None
) -> Compared:
    """`run` beside the network: on `each` inputs at a time, which a file may be made for, and with `batches` on all at once too.
    What is `doubted` is left out.

    Raises:
        ExportError: the shape of what the network puts out differs from input to input.
    """
    reference, given = network.reference, network.given

    def fed(batch: tuple[Tensor, ...]) -> list[NDArray]:
        return run(tuple(one.contiguous().numpy() for one in batch))

    expected = _joined([[out.numpy() for out in tree_leaves(reference(*one))] for one in _singly(given)])
    found = [[one[: len(given[0])] for one in _joined([fed(batch) for batch in _by(each, given)])]]
    if batches:
        found.append(fed(given))
    if doubted is not None:
        for outputs in found:
            for own, other, where in zip(expected, outputs, doubted, strict=True):
                other[where] = own[where]
    apart = [_apart([outputs[at] for outputs in found], own) for at, own in enumerate(expected)]
    difference, relative = max(apart, key=lambda pair: (math.isnan(pair[1]), pair[1]))
    return Compared(difference, relative, _agreement(network, found[0][0], expected[0]), len(given[0]))


def held(
    network: Prepared, found: Compared, tolerance: float, name: str, doubted: list[NDArray] | None = None
) -> float:
    """What the file called `name` was allowed to differ by, as a share: `tolerance`, or up to four times what the network's own
    float32 differs from its float64 by, and a hundredth at most.

    Raises:
        ExportDiffers: it differs by more; an infinite tolerance lets all pass.
    """
    # Written so that a NaN fails; an infinite tolerance is for files that are only timed.
    if not found.relative <= tolerance:
        tolerance = max(tolerance, min(_ROUNDINGS * _rounding(network, doubted), _MOST))
    if not found.relative <= tolerance and math.isfinite(tolerance):
        what = "number" if network.decides else "logit"
        raise ExportDiffers(
            f"{name} differs from the model by {found.difference:.3g}, {found.relative:.3g} of the largest {what}; allowed is "
            f"{tolerance:.3g}, which is more than rounding does"
        )
    return tolerance


@torch.no_grad()
def doubtful(network: Prepared, tolerance: float) -> list[NDArray] | None:
    """Which numbers of each output name another place when the images change by a hundred-thousandth, or in float64: two
    places score alike there, and rounding decides. None of a network that decides nothing, or that is compared with nothing.

    Raises:
        ExportError: a network of whose numbers it is more than a tenth cannot be compared.
    """
    if not (network.decides and math.isfinite(tolerance)):
        return None
    reference, images = network.reference, network.given[0]

    def asked(network: nn.Module, shown: Tensor) -> list[NDArray]:
        return [out.numpy() for out in tree_leaves(network(shown))]

    own, others = asked(reference, images), [asked(reference, images * (1 + step)) for step in (-_NUDGE, _NUDGE)]
    with suppress(RuntimeError):  # of a network that is made for float32 alone
        others.append(asked(copy.deepcopy(reference).double(), images.double()))
    doubted = [
        np.any([np.abs(other[at] - one) > _JUMP * np.abs(one).max() for other in others], axis=0)
        for at, one in enumerate(own)
    ]
    if any(where.mean() > _MOST_DOUBTED for where in doubted):
        raise ExportError(
            f"{max(where.mean() for where in doubted):.0%} of what the network finds is anywhere else when its images change by "
            f"{_NUDGE:g}: there is nothing to hold a file against. Train it first"
        )
    return doubted


def _joined(parts: list[list[NDArray]]) -> list[NDArray]:
    if any(len({one.shape for one in part}) > 1 for part in zip(*parts, strict=True)):
        raise ExportError(
            "torch cannot express this model in ONNX: the shape of what it puts out differs from image to image"
        )
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _by(each: int, given: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
    """Batches of `each`, the last one filled up from the first inputs."""
    n = len(given[0])
    for rows in torch.split(torch.arange(-(-n // each) * each) % n, each):
        yield tuple(one[rows] for one in given)


def _singly(given: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
    """Batches of one."""
    return zip(*(torch.split(one, 1) for one in given), strict=True)


def _agreement(network: Prepared, found: NDArray, expected: NDArray) -> float | None:
    if network.outputs != ("logits",) or expected.ndim != 2:
        return None
    return float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())


@torch.no_grad()
def _rounding(network: Prepared, doubted: list[NDArray] | None = None) -> float:
    """How far float32 takes the network's outputs from those of float64, as a share of the largest; 0 where it is made for
    float32 alone."""
    reference = network.reference
    double = copy.deepcopy(reference).double()
    try:
        pairs = [
            (tree_leaves(reference(*one)), tree_leaves(double(*(each.to(_double(each.dtype)) for each in one))))
            for one in _singly(network.given)
        ]
    except RuntimeError:
        return 0.0
    columns = zip(*(zip(single, exact, strict=True) for single, exact in pairs), strict=True)
    found = []
    for at, column in enumerate(columns):
        single = torch.cat([one for one, _ in column]).numpy()
        exact = torch.cat([one for _, one in column]).numpy()
        if doubted is not None:
            single[doubted[at]] = exact[doubted[at]]
        found.append(_apart([single], exact)[1])
    return max(found)


def _double(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype.is_floating_point else dtype


def _apart(found: list[NDArray], expected: NDArray) -> tuple[float, float]:
    difference = max(float(np.abs(one - expected).max()) for one in found)
    largest = float(np.abs(expected).max())
    if difference == 0:
        return 0.0, 0.0
    return difference, difference / largest if largest > 0 else math.inf
