"""A recipe's tables by size, read at the size of the network that is trained."""

from __future__ import annotations

from dataclasses import replace

from ..arch import ArchSpec
from ..recipe import BySize, RandAugment, Recipe, settled

__all__ = ["settle"]


def settle(recipe: Recipe, spec: ArchSpec) -> Recipe:
    """`recipe` with a number wherever it had a table: what runs, and what a run writes down."""
    from ..costs import cost  # here, because it is built of torch, which naming a recipe needs not

    macs, side = cost(spec).macs, spec.input.resolution

    def number(value: float | BySize) -> float:
        return settled(value, macs=macs, resolution=side, epochs=recipe.epochs)

    augment = recipe.augment
    if isinstance(augment.policy, RandAugment):
        policy = replace(augment.policy, magnitude=number(augment.policy.magnitude))
        augment = replace(augment, policy=policy)
    return replace(
        recipe,
        decay=number(recipe.decay),
        dropout=number(recipe.dropout),
        drop_path=number(recipe.drop_path),
        augment=augment,
    )
