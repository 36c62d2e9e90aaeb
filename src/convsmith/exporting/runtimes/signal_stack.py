"""The memory that signals are handled on, which belongs to the process and not to a runtime."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["kept_signal_stack"]


class _Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Leave this thread's alternate signal stack as it was before the block.

    OpenVINO's compiler gives the thread one of its own, and frees it with the network: the next Ctrl-C or SIGTERM then ended the
    process by a segmentation fault, with all that it had not written.
    """
    if sys.platform != "linux":
        yield
        return
    alternate, before = ctypes.CDLL(None).sigaltstack, _Stack()
    alternate(None, ctypes.byref(before))
    try:
        yield
    finally:
        alternate(ctypes.byref(before), None)
