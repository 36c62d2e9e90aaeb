"""What a search is asked: the space, the budgets by name, and what is refused before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .costs import cost
from .errors import UserError, first_line
from .resolve import spec as resolve_spec
from .supernet import SPACES, Space, space_from
from .units import Budget

__all__ = ["SearchOptions", "named_budgets", "refuse_impossible", "space_of"]


@dataclass(frozen=True)
class SearchOptions:
    """How the children are chosen: `per_round` mutations a round for each budget, by 1-image latency in `threads` threads."""

    space: str = "t32"
    rounds: int = 6
    per_round: int = 16
    threads: int = 1


def space_of(name: str) -> Space:
    """A space by its name (`t32`, `bignas`), or the networks within a model: half as wide and half as deep, and up."""
    try:
        return SPACES[name] if name in SPACES else space_from(resolve_spec(name))
    except UserError as error:
        raise UserError(f"--space {name}: {first_line(error)}; it may be {', '.join(SPACES)} or a model") from None


def named_budgets(texts: Sequence[str]) -> dict[str, Budget]:
    """Budgets by what the user calls them; the name is the child's folder, too."""
    found = {text.strip(): Budget.parse(text.strip().replace("+", ",")) for text in texts}
    if len(found) < len(texts):
        raise UserError(f"a budget is named twice in {', '.join(texts)}")
    return found


def refuse_impossible(space: Space, budgets: Iterable[Budget]) -> None:
    """Refuse what can be refused before anything is trained."""
    least = cost(space.smallest())
    for budget in budgets:
        if least.macs > budget.macs or least.params > budget.params:
            raise UserError(f"no network of {space.base.name}'s space meets {budget}: its smallest has {least}")
