"""What converters say while they work, put aside."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

__all__ = ["hushed"]


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Without warnings, log lines below errors, and what is printed by Python. What is wrong is raised all the same."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR - 1)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(io.StringIO()):
                yield
    finally:
        logging.disable(before)
