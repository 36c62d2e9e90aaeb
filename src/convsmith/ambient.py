"""What a program has set about torch and about logs, put aside for a while: results do not depend on it, and it is there again
afterwards."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

__all__ = ["quiet", "undisturbed", "usual"]


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Without the warnings of the package of that name, such as one line for each time that it tries again."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def usual() -> Iterator[None]:
    """torch as a process begins with it: gradients are kept, numbers are float32, tensors are on the CPU, nothing is cast.

    What the caller has set (inference mode, a default dtype or device, autocast) holds again when the block ends.
    """
    dtype = torch.get_default_dtype()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        # Asked first, since a device that is set is looked at in every operation.
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


@contextmanager
def undisturbed() -> Iterator[None]:
    """`usual`, for a verb: the caller's global generators and number of threads, too, are afterwards what they were."""
    threads = torch.get_num_threads()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with usual(), torch.random.fork_rng(devices):
        try:
            yield
        finally:
            torch.set_num_threads(threads)
