"""Work done by processes beside this one, ahead of who asks for it, and handed over in order.

Each process has a pipe of its own and shares no lock with another: one that dies, as where memory runs out, is noticed at
once, and holds up nobody.
"""

from __future__ import annotations

import atexit
import multiprocessing
import pickle
import random
import signal
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

import numpy as np
import torch

from ..errors import DataError

__all__ = ["beside"]

T = TypeVar("T")

_AHEAD = 2  # pieces that each process may be ahead of who asks


def beside(make: Callable[[int], T], numbers: Sequence[int], workers: int) -> Iterator[T]:
    """`make(number)` of every number, in their order, made by `workers` processes, which start now and end with the iterator.

    What `make` raises is raised here.

    Raises:
        DataError: `make` cannot be handed to a process, or, from the iterator, a process died.
    """
    crew = _Crew(make, min(workers, len(numbers)))
    made = crew.made(numbers)
    weakref.finalize(made, crew.end)  # also of an iterator that nobody ever asks
    return made


class _Crew:
    """Processes that make pieces, dealt to them in turn."""

    def __init__(self, make: Callable[[int], Any], workers: int) -> None:
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        atexit.register(self.end)  # multiprocessing's own end would wait for processes that do not hear it
        try:
            for number in range(workers):
                here, there = multiprocessing.Pipe()
                process = multiprocessing.Process(target=_work, args=(make, there, number), daemon=True)
                self._pipes.append(here)
                process.start()
                self._processes.append(process)
                there.close()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            self.end()
            raise DataError(
                f"the data cannot be handed to workers ({error}): where processes do not fork, a dataset has to be of a "
                "class in a module, and hold nothing that cannot be pickled; or train with workers=0"
            ) from error

    def made(self, numbers: Sequence[int]) -> Iterator[Any]:
        try:
            for at, number in enumerate(numbers[: _AHEAD * len(self._pipes)]):
                self._ask(at, number)
            for at in range(len(numbers)):
                made, error = self._answer(at)
                if error is not None:
                    raise error
                if (later := at + _AHEAD * len(self._pipes)) < len(numbers):
                    self._ask(later, numbers[later])
                yield made
        finally:
            self.end()

    def end(self) -> None:
        """End the processes at once: nothing that they do is kept."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join(timeout=5)
        for pipe in self._pipes:
            pipe.close()
        self._processes, self._pipes = [], []
        atexit.unregister(self.end)

    def _ask(self, at: int, number: int) -> None:
        which = at % len(self._pipes)
        try:
            self._pipes[which].send(number)
        except OSError as error:
            raise self._lost(which) from error

    def _answer(self, at: int) -> tuple[Any, Exception | None]:
        which = at % len(self._pipes)
        try:
            answer: tuple[Any, Exception | None] = pickle.loads(self._pipes[which].recv_bytes())
        except (OSError, EOFError) as error:
            # Also while a tensor is fetched that the process had put into shared memory.
            raise self._lost(which) from error
        return answer

    def _lost(self, which: int) -> DataError:
        process = self._processes[which]
        process.join(timeout=5)
        code = process.exitcode
        how = (
            "does not answer"
            if code is None
            else f"was ended by signal {-code}"
            if code < 0
            else f"ended by exit code {code}"
        )
        return DataError(
            f"a process that reads images {how}: the system does that where memory runs out, and fewer --workers need less. "
            "The last checkpoint is whole, and `resume` goes on from it"
        )


# ---- in a process beside ---------------------------------------------------------------------------------------------


def _work(make: Callable[[int], Any], pipe: Connection, worker: int) -> None:
    """Answer numbers with what is made of them, until nobody asks any more.

    Signals sent to a whole group of processes are for the one that asks to answer, with this one's help to the end of its
    step; it ends this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.set_num_threads(1)
    # A dataset that draws numbers of its own should not draw the same in each process.
    random.seed(worker)
    np.random.seed(worker)  # noqa: NPY002
    torch.manual_seed(worker)
    try:
        while True:
            pipe.send_bytes(_packed(_answered(make, pipe.recv())))
    except (EOFError, OSError):
        return  # whoever asked has gone


def _answered(make: Callable[[int], Any], number: int) -> tuple[Any, Exception | None]:
    try:
        return make(number), None
    except Exception as error:
        error.add_note(f"in a process that reads images:\n{traceback.format_exc()}")
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # of another package, and made for one process
            return None, DataError(f"{type(error).__name__}: {error}")
        return None, error


def _packed(answer: tuple[Any, Exception | None]) -> Any:
    """As bytes, tensors in shared memory; where there is no room there, as in a container, the whole of it."""
    try:
        return ForkingPickler.dumps(answer)
    except (OSError, RuntimeError):
        return pickle.dumps(answer)
