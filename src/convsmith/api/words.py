"""Other packages' words for our arguments: an error names ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from ..errors import UserError, nearest

__all__ = ["answering"]

P = ParamSpec("P")
R = TypeVar("R")


def answering(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, which tells whoever calls it by another package's word (`num_classes`, `lr`) what that is called here.

    >>> import convsmith as cs
    >>> cs.create("resnet18", num_classes=10)
    Traceback (most recent call last):
    convsmith.errors.UserError: create() has no argument 'num_classes'; did you mean 'classes'?
    """
    known = tuple(inspect.signature(function).parameters)

    @wraps(function)
    def asked(*given: P.args, **named: P.kwargs) -> R:
        for name in named:
            if name not in known:
                meant = "lr" if name == "learning_rate" else name
                raise UserError(f"{function.__name__}() has no argument '{name}'{nearest(meant, known)}")
        return function(*given, **named)

    return asked
