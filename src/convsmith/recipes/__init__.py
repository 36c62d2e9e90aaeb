"""Recipes: one runnable document each. A new one is a file and a line in `papers.PAPERS`, or in `RECIPES` if no paper has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..codec import from_data, to_data
from ..errors import UserError, nearest
from ..recipe import KINDS, Recipe
from ..settings import parted
from .biggan import BIGGAN, BIGGAN_SMALL
from .detect import DETECT, DETECT_SCRATCH
from .differences import differences, flat
from .finetune import finetune_grid
from .paper import Paper
from .papers import PAPERS
from .pose import POSE, POSE_SCRATCH
from .quick import QUICK
from .settling import settle
from .video import CLIPS

__all__ = [
    "BIGGAN",
    "BIGGAN_SMALL",
    "CLIPS",
    "DETECT",
    "DETECT_SCRATCH",
    "PAPERS",
    "POSE",
    "POSE_SCRATCH",
    "QUICK",
    "RECIPES",
    "Paper",
    "changed",
    "differences",
    "finetune_grid",
    "flat",
    "recipe",
    "refuse_changes",
    "settle",
]

RECIPES: tuple[Recipe, ...] = (
    QUICK,
    *(paper.recipe for paper in PAPERS),
    *(POSE, POSE_SCRATCH, DETECT, DETECT_SCRATCH, CLIPS, BIGGAN, BIGGAN_SMALL),
)


def recipe(name: str) -> Recipe:
    """The recipe of that name."""
    table = {known.name: known for known in RECIPES}
    if name not in table:
        raise UserError(f"unknown recipe '{name}'; recipes are {', '.join(table)}{nearest(name, table)}")
    return table[name]


def changed(base: Recipe, settings: Sequence[str]) -> Recipe:
    """`base` with `--set` items applied: `epochs=90`, `optimiser.momentum=0.8`, `optimiser.kind=adamw`, `augment.crop=[0.5,1]`.

    A value is read as JSON where it is JSON, else as a name. Types are checked: `epochs=ten` says what was expected.
    """
    data: Any = to_data(base, whole=True)
    for setting in settings:
        path, value = parted(setting)
        *parents, last = path.split(".")
        here = data
        for name in parents:
            if not isinstance(here, dict) or not isinstance(here.get(name), dict):
                fields = [key for key, value in here.items() if isinstance(value, dict)]
                raise UserError(
                    f"--set {setting}: '{name}' holds no fields; these do: {', '.join(fields)}{nearest(name, fields)}"
                )
            here = here[name]
        if last == "kind":
            # Another kind has other fields; keeping the old ones would refuse every change of kind.
            here.clear()
        here[last] = value
    try:
        return from_data(Recipe, data, KINDS, source="--set")
    except UserError as error:
        wrong = str(error).removeprefix(f"--set is not a valid {Recipe.__name__}:").strip()
        raise UserError(
            f"--set {' '.join(settings)}: {wrong}\n`convsmith recipes {base.name}` lists the fields with their values"
        ) from None


def refuse_changes(names: Sequence[str], settings: Sequence[str]) -> None:
    """Raise `UserError` where none of these recipes can be changed so, as `changed` does of the first of them."""
    said: UserError | None = None
    for name in names:
        try:
            changed(recipe(name), settings)
        except UserError as error:
            said = said or error
        else:
            return
    if said is not None:
        raise said
