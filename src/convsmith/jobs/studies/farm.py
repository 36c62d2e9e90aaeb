"""Work spread over local processes or a Ray cluster, the same results wherever, and beside whatever, a piece is done."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Generic, TypeVar

from ...errors import UserError, first_line
from ...registry import plug_in_all, plugged, registered

__all__ = ["Farm", "orphaned"]

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

_LIVES = 3  # how often a pool whose process died is made again before its work is given up


class Farm(Generic[S, T, R]):
    """Does `do(shared, item)` for many items, each by one thread: a context in which it is called with items by name.

    On `workers` processes of this machine, which start at the first call and stay, or with `cluster`, the address of a Ray
    cluster, on every core that is free there. `do` is a function of a module and depends on its arguments alone, so that
    results do not depend on who works. Items and what is shared travel as pickles. A process or node that dies loses what
    it was at, which is begun again.

    Raises:
        UserError: fewer than one worker, no cluster at the address, or processes that die again and again.
    """

    def __init__(
        self,
        do: Callable[[S, T], R],
        shared: S,
        *,
        workers: int = 1,
        cluster: str | None = None,
    ) -> None:
        if workers < 1:
            raise UserError(f"--jobs must be at least 1; got {workers}")
        self._do, self._workers = do, workers
        self._pool: ProcessPoolExecutor | None = None
        self._ray: Any = None
        self._over: Any = None  # told to the processes when nobody waits for them any more
        self._there: Any = None
        self._key = ""
        if cluster is not None:
            self._ray = _connected(cluster)
        self._shared = self._pickled(shared)
        if self._ray is not None:
            self._there, self._key = self._ray.put(self._shared), uuid.uuid4().hex

    def __enter__(self) -> Farm[S, T, R]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            if kind is not None:
                self._over.set()
            self._pool.shutdown(wait=kind is None, cancel_futures=True)
            self._pool = None
        if self._ray is not None:
            self._ray.shutdown()

    def __call__(self, work: Mapping[str, T]) -> Iterator[tuple[str, R]]:
        """(name, result) of each item, as they are done; begun in the order of `work`."""
        return self._on_processes(work) if self._ray is None else self._on_ray(work)

    # ---- local processes -------------------------------------------------------------------------------------------

    def _on_processes(self, work: Mapping[str, T]) -> Iterator[tuple[str, R]]:
        left = dict(work)
        for life in range(_LIVES):
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._over = context.Event()
                begin = (self._do, self._shared, os.getpid(), self._over, plugged())
                self._pool = ProcessPoolExecutor(self._workers, context, _begin, begin)
            running: dict[Future[R], str] = {}
            try:
                for name, item in left.items():
                    running[self._pool.submit(_work, item)] = name
                while running:
                    ended, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in ended:
                        result, name = future.result(), running.pop(future)
                        del left[name]
                        yield name, result
                return
            except BrokenProcessPool:
                self._pool.shutdown(wait=False)
                self._pool = None
                if life == _LIVES - 1:
                    raise UserError(
                        f"a working process died {_LIVES} times (out of memory?) with {len(left)} of {len(work)} pieces of "
                        f"work left; what is done is kept, and fewer --jobs need less memory"
                    ) from None

    # ---- Ray ---------------------------------------------------------------------------------------------------------

    def _on_ray(self, work: Mapping[str, T]) -> Iterator[tuple[str, R]]:
        # A node that dies takes its work with it; Ray begins it again on another.
        remote: Any = self._ray.remote(num_cpus=1, max_retries=8)(_remote)
        running = {
            remote.remote(self._do, self._pickled(item), self._key, self._there): name for name, item in work.items()
        }
        while running:
            ended, _ = self._ray.wait(list(running), num_returns=1)
            for future in ended:
                try:
                    result = self._ray.get(future)
                except self._ray.exceptions.RayError as error:
                    if isinstance(error, UserError):  # raised by the work itself
                        raise
                    raise UserError(
                        f"the cluster lost a piece of work, with {len(running)} of {len(work)} left: {first_line(error)}. What "
                        "is done is kept, and the same command goes on"
                    ) from error
                yield running.pop(future), result

    def _pickled(self, value: object) -> bytes:
        """For a cluster with the code of the user's own parts, since no file of this machine is there."""
        if self._ray is None:
            return pickle.dumps(value)
        packer = self._ray.cloudpickle
        for module in {sys.modules[part.__module__] for part in registered()} - {sys.modules["__main__"]}:
            packer.register_pickle_by_value(module)
        packed: bytes = packer.dumps(value)
        return packed


def orphaned() -> bool:
    """Whether this is a farm's process whose farmer is gone or was interrupted: it should end at the next good moment."""
    return _farmer is not None and (os.getppid() != _farmer or _over.is_set())


# ---- in a working process --------------------------------------------------------------------------------------------

# Of this process, set when it starts; on Ray, when it is first given what `_key` names.
_do: Callable[[Any, Any], Any] | None = None
_shared: Any = None
_key: str = ""
_farmer: int | None = None
_over: Any = None
_at_work = threading.Lock()


def _begin(do: Callable[[Any, Any], Any], shared: bytes, farmer: int, over: Any, plugins: tuple[str, ...]) -> None:
    import torch

    global _do, _shared, _farmer, _over
    # Ctrl-C reaches every process of a terminal; the farmer tells the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    plug_in_all(plugins)
    _do, _shared, _farmer, _over = do, pickle.loads(shared), farmer, over
    threading.Thread(target=_end_with_farmer, daemon=True).start()


def _work(item: Any) -> Any:
    assert _do is not None
    if orphaned():  # nobody would hear of it
        os._exit(0)
    with _at_work:
        return _do(_shared, item)


def _end_with_farmer() -> None:
    """A farmer that was killed leaves its processes waiting for work for ever: each other process holds the queue open."""
    while not orphaned():
        time.sleep(1)
    with _at_work:
        os._exit(0)


def _remote(do: Callable[[Any, Any], Any], item: bytes, key: str, shared: bytes) -> Any:
    import torch

    global _shared, _key
    if _key != key:  # one process does many items, and what is shared may remember what it has made
        torch.set_num_threads(1)
        _key, _shared = key, pickle.loads(shared)
    return do(_shared, pickle.loads(item))


def _connected(address: str) -> Any:
    try:
        import ray
    except ImportError:
        raise UserError("--cluster needs Ray: pip install 'convsmith[cluster]'") from None
    try:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if host and port.isdigit():  # where nothing listens, Ray itself would try for six minutes and end the process
            socket.create_connection((host, int(port)), timeout=5).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError) as error:
        raise UserError(f"no Ray cluster answers at '{address}': {error}") from None
    return ray
