"""SIGTERM: what a machine sends before it takes itself away."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from ..errors import Stopped

__all__ = ["Termination"]

AT_ONCE = 2.0  # seconds in which a second SIGTERM is the first one's echo


class Termination:
    """While it is entered, SIGTERM raises `Stopped`; within `deferred()` it only sets `asked`, for a loop to look at.

    One more, some seconds after, raises it there too: whatever is waited for, SIGTERM ends it. Some send it twice at once, to
    a process and to its group.

    Signals come to the main thread alone: in any other, entering it changes nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self._deferring = False
        self._since = 0.0
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
        again = self.asked and time.monotonic() - self._since > AT_ONCE
        if not self.asked:
            self.asked, self._since = True, time.monotonic()
        if again or not self._deferring:
            raise Stopped("stopped by SIGTERM")
