"""Where results go, and where everything else goes."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

__all__ = ["err", "flushed", "out"]

# Control characters but for a tab and the end of a line, each as it is spelt in a program: an escape as \\x1b.
_SPELT = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


class _Lines:
    """Stdout, without the spaces that fill up the last column of a table where no one watches."""

    def write(self, text: str) -> int:
        sys.stdout.write(text if sys.stdout.isatty() else re.sub(r" +$", "", text, flags=re.MULTILINE))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)


class _Screen(Console):
    """A screen to which text from outside, such as a file's name, can give no orders: neither rich's tags nor its names of
    emoji nor control characters are obeyed. Our own tags are printed with `markup=True`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        return super().render_str(text.translate(_SPELT), **settings)


class _Results(_Screen):
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
    file=_Lines(),
    width=None if sys.stdout and sys.stdout.isatty() else 200,
)
err = _Screen(file=_Notes())


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
