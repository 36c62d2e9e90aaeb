"""One process at a time: locks that end with the process that holds them, however it ends."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from .errors import UserError

__all__ = ["at_work", "locked"]

LOCK = ".lock"

# A process's own locks, which the system does not refuse to itself.
_here: set[Path] = set()


@contextlib.contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """This process alone works on `folder`, which is made where there is none, while the block lasts.

    `.lock` in it says who does. The system's lock on that file is what counts, on network file systems too as far as they
    have locks; it goes with its process, so that none is ever left behind. What the last to work there was writing when it was
    killed is removed.

    Raises:
        UserError: another process, or this one elsewhere, is at work on the folder; or nothing can be written there.
    """
    path = folder.resolve() / LOCK
    if path in _here:  # not even opened: closing any of its files gives a process's lock back
        raise UserError(f"{folder} is being worked on by this very process; wait for it to end")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
    with file:
        if not locked(file):
            raise UserError(f"{folder} is being worked on {_holder(file)}; wait for it to end, or end it first")
        _here.add(path)
        try:
            _sweep(path.parent, _signed(file))
            _sign(file)
            yield
        finally:
            _here.discard(path)


def locked(file: IO[str], *, wait: bool = False) -> bool:
    """Whether this process has the lock of an open file now; it is given back when the file is closed.

    With `wait` it waits for whoever has it. A file system that knows no locks refuses nobody.
    """
    try:
        _lock(file, wait=wait)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
    return True


if sys.platform == "win32":

    def _lock(file: IO[str], *, wait: bool) -> None:
        import msvcrt

        file.seek(2**30)  # what is locked cannot be read by others, who should read the beginning
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

else:

    def _lock(file: IO[str], *, wait: bool) -> None:
        import fcntl

        # Unlike those of flock, a process that forks off does not share these, and network file systems have them.
        fcntl.lockf(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sign(file: IO[str]) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    with contextlib.suppress(OSError):  # a full disk is told by who has more to write
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}) + "\n")
        file.flush()


def _signed(file: IO[str]) -> dict[str, Any]:
    """Who signed the file last; empty where nobody did, or it cannot be read."""
    try:
        file.seek(0)
        told = json.loads(file.read())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _sweep(folder: Path, told: dict[str, Any]) -> None:
    """Remove the temporary names (`files.unfinished`) of a process that works there no more."""
    for left in folder.glob(f".*.{told['pid']}.tmp") if isinstance(told.get("pid"), int) else ():
        with contextlib.suppress(OSError):  # it does no harm
            left.unlink()


def _holder(file: IO[str]) -> str:
    """Who signed the file, for a message."""
    try:
        return "by process {pid} on {host} since {since}".format(**_signed(file))
    except KeyError:
        return "by another process"
