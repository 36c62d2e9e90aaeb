"""A search as it was asked for, and what is refused before anything is trained."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .costs import cost
from .errors import UserError
from .feed import Source
from .foils import parsed
from .jobs import Options, regularised, source_of
from .recipe import Recipe
from .recipes import changed, settle
from .recipes import recipe as named_recipe
from .search_options import SearchOptions, named_budgets, space_of
from .supernet import Space, refuse_recipe
from .units import Budget

__all__ = ["Request"]


@dataclass(frozen=True)
class Request:
    """A search as it was asked for, understood; what can be refused without the data has been."""

    source: Source
    budgets: Mapping[str, Budget]
    recipe: Recipe
    how: SearchOptions

    @classmethod
    def of(cls, data: str | Path, to: str | Sequence[str], options: Options, how: SearchOptions) -> Request:
        """
        Raises:
            UserError: what cannot be understood, or no supernet can be trained by.
        """
        budgets = named_budgets(to.split(",") if isinstance(to, str) else to)
        for name in how.against:
            parsed(name)
        base = named_recipe(options.recipe) if isinstance(options.recipe, str) else options.recipe
        recipe = changed(base, options.settings)
        refuse_recipe(recipe)
        return cls(source_of(data, options), budgets, recipe, how)

    def settled(self, classes: Collection[str]) -> tuple[Space, Recipe]:
        """The space of networks for these classes, and the recipe in numbers for the biggest, which alone is regularised.

        Raises:
            UserError: no network of the space meets a budget.
        """
        space = space_of(self.how.space).with_classes(len(classes))
        _refuse_impossible(space, self.budgets.values())
        recipe = settle(self.recipe, space.biggest())
        return replace(space, base=regularised(space.base, recipe)), recipe


def _refuse_impossible(space: Space, budgets: Iterable[Budget]) -> None:
    """Refuse what can be refused before anything is trained."""
    least = cost(space.smallest())
    for budget in budgets:
        if least.macs > budget.macs or least.params > budget.params:
            raise UserError(f"no network of {space.base.name}'s space meets {budget}: its smallest has {least}")
