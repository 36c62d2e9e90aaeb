"""What the user sees: results on stdout, everything else on stderr; pictures of progress, or plain lines where no one watches."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

from rich.table import Table

from .screen import err, out

if TYPE_CHECKING:
    from ..watcher import Watcher

__all__ = ["emit", "err", "leave_a_line", "out", "table", "tell_machine", "watching"]


def emit(record: dict[str, Any]) -> None:
    """The one JSON object of a verb, on stdout. JSON has no infinity and no NaN: they are null."""
    sys.stdout.write(json.dumps(_finite(record), ensure_ascii=False, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(one) for key, one in value.items()}
        case list() | tuple():
            return [_finite(one) for one in value]
        case _:
            return value


def table(title: str | None, columns: str, rows: list[list[str]], *, caption: str | None = None) -> Table:
    """A plain table. `columns` are names split by spaces; a leading `<` aligns left, else right.

    Where a screen is too narrow words are wrapped, of the widest columns first: a number is never cut.
    """
    made = Table(
        title=title,
        title_style="bold",
        caption=caption,
        box=None,
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
    )
    for column in columns.split():
        left = column.startswith("<")
        made.add_column(column.lstrip("<").replace("_", " "), justify="left" if left else "right", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def watching() -> Watcher:
    """Progress on stderr: bars on a terminal, a plain line every few seconds elsewhere."""
    # Here, because scores are read only where something is scored, and ranks know torch.
    from ..progress import Progress
    from ..training import rank_here
    from ..watcher import Watcher

    if rank_here() > 0:  # the first of several processes speaks for all
        return Watcher()
    return Progress(err)


def tell_machine() -> None:
    """Say on which machine it was, after timings."""
    from ..machine import this_machine

    err.print(str(this_machine()), style="dim", soft_wrap=True)


def leave_a_line() -> None:
    """Where someone watches, an empty line between what was told on the way and the results."""
    if err.is_terminal:
        err.print()
