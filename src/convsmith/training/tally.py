"""What an epoch came to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..watcher import EpochDone

__all__ = ["Tally"]


class Tally:
    """Sums over an epoch of losses, scores, inputs and the losses' `terms`, kept on the device so that nothing waits for them, and
    its seconds."""

    def __init__(
        self, device: torch.device, terms: tuple[str, ...] = (), state: Mapping[str, Any] | None = None
    ) -> None:
        self._terms = terms
        self._sums = torch.zeros(3 + len(terms), dtype=torch.float64, device=device)
        self._before = 0.0
        if state is not None:
            self._sums.copy_(state["sums"])
            self._before = state["seconds"]
        self._began = time.monotonic()

    def add(self, sums: Tensor) -> None:
        """A step's sums."""
        self._sums += sums

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"sums": self._sums.cpu(), "seconds": self._seconds}

    def done(self, epoch: int, step: int, rate: float, scores: dict[str, float]) -> EpochDone:
        """The record of the epoch, which ends now."""
        loss, score, inputs, *apart = self._sums.tolist()
        count, seconds = max(1.0, inputs), self._seconds
        terms = {name: value / count for name, value in zip(self._terms, apart, strict=True)}
        return EpochDone(epoch, step, loss / count, score / count, rate, inputs / seconds, seconds, scores, terms)

    @property
    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._began
