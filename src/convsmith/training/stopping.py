"""SIGTERM: what a machine sends before it takes itself away."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from ..errors import Stopped

__all__ = ["Termination"]


class Termination:
    """While it is entered, SIGTERM raises `Stopped`; within `deferred()` it only sets `asked`, for a loop to look at.

    Signals come to the main thread alone: in any other, entering it changes nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self._deferring = False
        self._before: Any = None

    def __enter__(self) -> Termination:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._told)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let what happens inside come to its own end first."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self.asked:
            raise Stopped("stopped by SIGTERM")

    def _told(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if not self._deferring:
            raise Stopped("stopped by SIGTERM")
