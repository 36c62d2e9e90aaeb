"""A network as its file will hold it: it ends as its head says, its norms are folded, its filters and constants are computed."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..model import Model
from .constants import fold_constants
from .errors import ExportError
from .fold import fold_batch_norm, fold_filters, fold_spectral
from .fold_graphs import split_graphs
from .overwriting import stop_overwriting

__all__ = ["Prepared", "prepared"]


@dataclass(frozen=True)
class Prepared:
    """What every format is written from, and held against.

    `reference` is the network as it ends in a file, in evaluation mode on the CPU, `network` the same function folded, with
    `folded` batch norms inside its convolutions. `given` are the inputs that both are compared on, a tensor for each of `names`;
    `outputs` are the names of what is put out. What a network puts out that `decides` are places or choices; one that is `alone`
    takes one input at a time. `moved`, of a network with spectral norms, is how far their limits, which are inside, move what it
    puts out.
    """

    reference: nn.Module
    network: nn.Module
    given: tuple[Tensor, ...]
    names: tuple[str, ...]
    outputs: tuple[str, ...]
    decides: bool
    alone: bool
    folded: int
    moved: float | None

    @property
    def bytes(self) -> int:
        """Of its weights."""
        return sum(weight.numel() * weight.element_size() for weight in self.reference.state_dict().values())

    def blank(self, batch: int) -> tuple[Tensor, ...]:
        """A batch of zeros for each input."""
        return tuple(torch.zeros((batch, *one.shape[1:]), dtype=one.dtype) for one in self.given)


def prepared(
    model: nn.Module,
    *,
    input_shape: tuple[int, ...],
    samples: Tensor | tuple[Tensor, ...] | None = None,
    fold: bool = True,
) -> Prepared:
    """A copy of `model`, made ready for a file; `model` stays as it is.

    `input_shape` is one input's without its batch, `samples` what is compared on, None for eight of random noise; of a
    network that reads several things (`spec.shapes`) a tensor of each.

    Raises:
        ExportError: samples of another shape.
    """
    spec = model.spec if isinstance(model, Model) else None
    given = _given(model, samples, input_shape)
    reference = copy.deepcopy(model).cpu().eval()
    if isinstance(reference, Model):
        reference.head = reference.spec.head.deployed(reference.head)
    reference, moved = _settled(reference, given)
    network, folded = reference, 0
    first = tuple(each[:1] for each in given)
    if fold:
        one = () if len(given) == 1 else first
        network, folded = fold_batch_norm(split_graphs(reference), input_shape=input_shape, given=one)
    network = fold_constants(fold_filters(network))
    stop_overwriting(network, first)
    return Prepared(
        reference=reference,
        network=network,
        given=given,
        names=("images",) if spec is None else spec.called,
        outputs=("logits",) if spec is None else spec.head.puts_out,
        decides=spec is not None and spec.head.decides,
        alone=spec is not None and spec.head.alone,
        folded=folded,
        moved=moved,
    )


def _given(
    model: nn.Module, samples: Tensor | tuple[Tensor, ...] | None, input_shape: tuple[int, ...]
) -> tuple[Tensor, ...]:
    spec = model.spec if isinstance(model, Model) and len(model.spec.shapes) > 1 else None
    if samples is None:
        if spec is not None:
            return spec.example(8, seed=0)
        return (torch.randn((8, *input_shape), generator=torch.Generator().manual_seed(0)),)
    given = samples if isinstance(samples, tuple) else (samples,)
    wanted = [input_shape] if spec is None else [shape.dims for shape in spec.shapes]
    if [tuple(one.shape[1:]) for one in given] != wanted or not all(len(one) == len(given[0]) > 0 for one in given):
        shapes, taken = (", ".join(map(str, all_)) for all_ in ([tuple(one.shape) for one in given], wanted))
        raise ExportError(f"samples are of shape {shapes}; the model takes (n, *{taken})")
    return tuple(one.detach().to("cpu", _single(one.dtype)).contiguous() for one in given)


def _single(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype.is_floating_point else dtype


@torch.no_grad()
def _settled(reference: nn.Module, given: tuple[Tensor, ...]) -> tuple[nn.Module, float | None]:
    """The network with spectral norms that have converged, inside its weights, and how far that moves what it puts out; None
    where it has none."""
    settled = fold_spectral(reference)
    if settled is reference:
        return reference, None
    pairs = zip(tree_leaves(reference(*given)), tree_leaves(settled(*given)), strict=True)
    return settled, max(float((one - other).abs().max()) for one, other in pairs)
