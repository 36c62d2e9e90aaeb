"""Files that are whole or not there: written under another name, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import UserError

__all__ = ["reason", "unfinished", "whole", "write_json", "write_text"]


@contextlib.contextmanager
def unfinished(path: Path, *, keep: Path | None = None) -> Iterator[Path]:
    """A temporary name beside `path` to write to, which becomes `path` if the block ends well and vanishes if not.

    A process killed half-way, or a full disk, leaves the older file as it was; with `keep`, that is its name once the new
    file is on the disk. Raises what the system raises.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        temporary.replace(path)
    finally:
        # On a folder that cannot be read any more there is nothing to tidy, and the first error is the one to tell.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole(path: Path, *, keep: Path | None = None) -> Iterator[Path]:
    """As `unfinished`; where the system would not write, a `UserError` that names the path and says why."""
    try:
        with unfinished(path, keep=keep) as temporary:
            yield temporary
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and reason(error) == str(error):
            raise  # only torch's writer hides what the system said behind an error of its own
        raise UserError(f"cannot write {path}: {reason(error)}; what was there before is untouched") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all. What UTF-8 has no bytes for, as in some file names, becomes a question mark."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def write_json(path: Path, data: Any) -> None:
    """Write JSON that a person can read, whole or not at all."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def reason(error: BaseException) -> str:
    """What the system said, which torch's writer hides behind an error of its own."""
    behind = error.__context__
    return str(behind if isinstance(error, RuntimeError) and isinstance(behind, OSError) else error)
