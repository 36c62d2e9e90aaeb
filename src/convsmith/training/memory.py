"""Memory that one step frees is the next step's: for training on a CPU, where the C library is glibc.

A step allocates its activations and frees them, hundreds of megabytes of them. glibc gives large blocks back to the system at
once, and the system hands them out again page by page, each filled with zeros. The most that the process holds at a time
hardly changes; while it trains, it only does not give it back.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["keeping_memory", "kept_memory"]

P = ParamSpec("P")
R = TypeVar("R")

# mallopt(3): the free memory at the top of the heap that is given back, and the size from which a block is the system's own,
# given back whenever it is freed. Each as it is while memory is kept, and as glibc's own rule leaves it in a process that
# has freed large blocks, which is what comes after.
_TRIM_THRESHOLD, _NEVER, _TRIM_USUAL = -1, -1, 2**26
_MMAP_THRESHOLD, _LARGE, _MMAP_USUAL = -3, 2**30, 2**25

_holders = 0


@contextmanager
def kept_memory() -> Iterator[None]:
    """Let this process keep the memory that it frees meanwhile, where it can be told to; then give it back."""
    global _holders  # one process has one heap
    _holders += 1
    _tell(_NEVER, _LARGE)
    try:
        yield
    finally:
        _holders -= 1
        if not _holders:
            _tell(_TRIM_USUAL, _MMAP_USUAL)
            if (libc := _glibc()) is not None:
                libc.malloc_trim(0)


def keeping_memory(records: Callable[P, Iterator[R]]) -> Callable[P, Iterator[R]]:
    """A generator that runs with `kept_memory`, from its first record to its end."""

    @wraps(records)
    def kept(*args: P.args, **named: P.kwargs) -> Iterator[R]:
        with kept_memory():
            yield from records(*args, **named)

    return kept


def _tell(trim: int, own: int) -> None:
    if (libc := _glibc()) is not None:
        libc.mallopt(_TRIM_THRESHOLD, trim)
        libc.mallopt(_MMAP_THRESHOLD, own)


@lru_cache(maxsize=1)
def _glibc() -> Any:
    """The C library, or None where it is another than glibc."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
