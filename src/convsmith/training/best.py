"""The best epoch so far, where a recipe asks which it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from ..recipe import Keep, Recipe
from ..scores import worth_of

__all__ = ["Best"]


class Best:
    """The epoch with the best validation scores, counted from 1, and its weights where the recipe keeps them."""

    def __init__(self, recipe: Recipe) -> None:
        self._keeps, self._patience = recipe.keep is Keep.BEST, recipe.patience
        self._epoch, self._worth = 0, worth_of({})
        self._weights: dict[str, Any] = {}

    def judge(self, epoch: int, scores: Mapping[str, float], network: nn.Module) -> None:
        """Look at what `network`, which would be handed over after `epoch`, scored."""
        if not (self._keeps or self._patience) or worth_of(scores) <= self._worth:
            return
        self._epoch, self._worth = epoch, worth_of(scores)
        if self._keeps:
            self._weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def over(self, epoch: int) -> bool:
        """Whether training ends after `epoch`, having waited for a better one as long as it should."""
        return bool(self._patience) and self._epoch > 0 and epoch - self._epoch >= self._patience

    def hand_over(self, network: nn.Module) -> None:
        """Give `network` the weights of the best epoch, where they are kept."""
        if self._weights:
            network.load_state_dict(self._weights)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"epoch": self._epoch, "worth": list(self._worth), "weights": self._weights}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._epoch, self._weights = state["epoch"], dict(state["weights"])
        self._worth = (state["worth"][0], state["worth"][1])
