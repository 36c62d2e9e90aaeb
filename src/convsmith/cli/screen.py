"""Where results go, and where everything else goes."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import Any

from rich.console import Console

__all__ = ["err", "flushed", "out"]


class _Lines:
    """Stdout, without the spaces that fill up the last column of a table where no one watches."""

    def write(self, text: str) -> int:
        sys.stdout.write(text if sys.stdout.isatty() else re.sub(r" +$", "", text, flags=re.MULTILINE))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)


class _Results(Console):
    """Stdout, whose reader may leave (`| head`): that is told to whoever prints, and ends no process by itself."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Notes:
    """Stderr, whose loss (closed, or on a full disk) is no reason to lose the work as well."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


# Where no one watches (a pipe, a file), nothing is cut or wrapped to fit a screen.
# Both write to as much of a file as is asked for.
out = _Results(
    file=_Lines(),  # type: ignore[arg-type]
    highlight=False,
    width=None if sys.stdout and sys.stdout.isatty() else 200,
)
err = Console(file=_Notes(), highlight=False)  # type: ignore[arg-type]


def flushed() -> None:
    """Bring what was printed to where it goes, while an error of that can still be told.

    Raises what the system raises, after which nothing is left that Python would try again at its end.
    """
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
