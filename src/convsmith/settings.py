"""`--set FIELD=VALUE`: what changes a recipe, and with `task.` before the field, what changes the task."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .errors import UserError

__all__ = ["OF_TASKS", "TASKS_OWN", "in_two", "parted", "read"]

TASKS_OWN = "task."
# Recipes of tasks that have something to set. The tasks themselves know, and asking them takes torch.
OF_TASKS = frozenset({"pose", "pose-scratch", "detect", "detect-scratch", "biggan-small"})


def in_two(settings: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The settings of the recipe, and those of the task, both as they were given.

    >>> in_two(["epochs=3", "task.radius=12"])
    (('epochs=3',), ('task.radius=12',))
    """
    every = tuple(settings)
    of_task = tuple(one for one in every if one.strip().startswith(TASKS_OWN))
    return tuple(one for one in every if one not in of_task), of_task


def parted(setting: str) -> tuple[str, Any]:
    """The field that a setting names, and the value.

    Raises:
        UserError: it has no equals sign, or no name before it.
    """
    path, sign, text = setting.partition("=")
    if not sign or not path.strip():
        raise UserError(f"--set {setting}: write field=value, for example --set epochs=10")
    return path.strip(), read(text.strip())


def read(text: str) -> Any:
    """The value of JSON where it is JSON, else the text, a name."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or more digits or brackets than Python reads
        return text
