"""Where results go, and where everything else goes."""

from __future__ import annotations

import sys

from rich.console import Console

__all__ = ["err", "out"]

# Where no one watches (a pipe, a file), nothing is cut or wrapped to fit a screen.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, highlight=False)
