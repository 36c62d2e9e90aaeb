"""How many threads torch computes with, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["in_threads"]


@contextmanager
def in_threads(n: int | None) -> Iterator[None]:
    """torch's own threads are `n` while the block lasts, or as many as they are where that is None. They are the process's."""
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
