"""A farm without processes, for studies whose processes are not what is tested: test_farm.py and test_trials.py have real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["Here"]


class Here:
    """Does the work of a `Farm` in this process: a process that is started spends seconds on importing torch."""

    def __init__(
        self, do: Callable[[Any, Any], Any], shared: Any, *, workers: int = 1, cluster: str | None = None
    ) -> None:
        self._do, self._shared = do, shared

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, work: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        return ((name, self._do(self._shared, item)) for name, item in work.items())
