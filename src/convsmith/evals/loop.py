"""The one evaluation: a network, or an exported file, run over batches once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..scores import Scores

__all__ = ["Batch", "Meter", "evaluate", "outputs"]

B = TypeVar("B", bound="Batch")


class Batch(Protocol):
    """uint8 images ⟨N,C,H,W⟩, the answers to them, and their numbers ⟨N⟩ in the data."""

    @property
    def images(self) -> Tensor: ...
    @property
    def answers(self) -> Any: ...
    @property
    def indices(self) -> Tensor: ...


class Meter(Protocol):
    """Counts what a network puts out against what should come out."""

    def add(self, outputs: Any, batch: Any) -> None:
        """Count one batch. Raises `UserError` where the outputs do not fit the data, or are not finite."""

    def scores(self, split: str, where: Callable[[int], str | None]) -> Scores:
        """What was counted; `where` gives the path of an input by its number. Raises `UserError` where nothing was."""

    def each(self) -> np.ndarray | None:
        """What each input adds to the headline ⟨n⟩, in the order they were counted; None where that is no mean over inputs."""


def _nowhere(index: int) -> None:
    return None


def evaluate(
    network: nn.Module | Callable[[Tensor], Any],
    batches: Iterable[Batch],
    meter: Meter,
    *,
    prepare: Callable[[Tensor], Tensor],
    device: torch.device,
    split: str = "val",
    where: Callable[[int], str | None] = _nowhere,
) -> Scores:
    """What `network` is worth on `batches` by `meter`.

    `network` is a module on `device`, left in the mode it was in, or any function of prepared images, such as an exported
    file's (`exporting.ort.runner`).
    """
    for batch, out in outputs(network, batches, prepare=prepare, device=device):
        meter.add(out, batch)
    return meter.scores(split, where)


def outputs(
    network: nn.Module | Callable[[Tensor], Any],
    batches: Iterable[B],
    *,
    prepare: Callable[[Tensor], Tensor],
    device: torch.device,
) -> Iterator[tuple[B, Any]]:
    """Each batch with what `network` puts out for it, in evaluation mode and without gradients. Empty batches, of which no
    image could be read, are passed over."""
    with _evaluating(network) if isinstance(network, nn.Module) else nullcontext():
        for batch in batches:
            if len(batch.indices) == 0:
                continue
            # Not around the yield: what the caller does with the outputs is its own.
            with torch.inference_mode():
                out = network(prepare(batch.images.to(device, non_blocking=True)))
            yield batch, out


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for every module, then each back to its own: a frozen norm stays frozen."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
