"""`convsmith recipes`: which recipes there are, and what each says."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from .options import Json
from .output import emit, out, table

__all__ = ["recipes"]


def recipes(
    name: Annotated[
        str | None, Parameter(help="The recipe to show with all its fields; without it all are listed.")
    ] = None,
    /,
    *,
    json: Json = False,
) -> None:
    """The recipes to train by, with their sources; of one every field that --set can change, with its value."""
    from ..codec import to_data
    from ..recipes import PAPERS, RECIPES, flat
    from ..recipes import recipe as named

    papers = {paper.recipe.name: paper for paper in PAPERS}
    sources = {one.name: papers[one.name].source if one.name in papers else "ours" for one in RECIPES}
    if name is None:
        if json:
            emit({"recipes": [to_data(one) | {"source": sources[one.name]} for one in RECIPES]})
            return
        rows = [
            [one.name, str(one.epochs), str(one.batch), f"{one.rate:g}", one.optimiser.kind, sources[one.name]]
            for one in RECIPES
        ]
        out.print(table(None, "<recipe epochs batch rate <optimiser <source", rows))
        out.print(
            "\n`convsmith recipes NAME` shows every field; --set FIELD=VALUE changes one.", style="dim", soft_wrap=True
        )
        return
    chosen = named(name)
    notes = papers[name].notes if name in papers else ()
    own = _own(name)
    if json:
        emit({"recipe": to_data(chosen), "task": own, "source": sources[name], "notes": list(notes)})
        return
    out.print(
        table(
            f"{name}: {sources[name]}",
            "<field <value",
            [[field, _said(value)] for field, value in (*flat(to_data(chosen, whole=True)), *own.items())],
        )
    )
    for note in notes:
        out.print(f"differs: {note}", soft_wrap=True, markup=False)


def _own(name: str) -> dict[str, Any]:
    """What can be set of the task that a recipe is for, with its value."""
    from ..settings import OF_TASKS, TASKS_OWN

    if name not in OF_TASKS:
        return {}
    from ..tasks import TASKS

    return {
        TASKS_OWN + field: value for kind in TASKS if name in kind.recipes for field, value in kind.settable().items()
    }


def _said(value: Any) -> str:
    """A value as --set takes it, its numbers to six digits."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6g}"
        case list() | tuple():
            return f"[{','.join(map(_said, value))}]"
        case _:
            return str(value)
