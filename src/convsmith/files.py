"""Files that are whole or not there: written under another name, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import UserError

__all__ = ["append_line", "check_writable", "reason", "unfinished", "whole", "write_json", "write_text"]


@contextlib.contextmanager
def unfinished(path: Path, *, keep: Path | None = None) -> Iterator[Path]:
    """A temporary name beside `path` to write to, which becomes `path` if the block ends well and vanishes if not.

    The folder is made where there is none, and the file may be read by whom the process's umask lets read. A process killed
    half-way, or a full disk, leaves the older file as it was; with `keep`, that is its name once the new file is on the
    disk. Raises what the system raises.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        mode = stat.S_IMODE(temporary.stat().st_mode)
        yield temporary
        temporary.chmod(mode)  # some writers put a file of their own, which is private, in its place
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
        temporary.write_text(text, encoding="utf-8", errors="replace", newline="\n")


def append_line(path: Path, line: str) -> None:
    """Write one more line at the end of a text file. A process killed half-way leaves half a line.

    Raises:
        UserError: the system would not write; the message names the path.
    """
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(line + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}; checkpoints are whole, and `resume` goes on") from error


def write_json(path: Path, data: Any) -> None:
    """Write JSON that a person can read, whole or not at all."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def check_writable(path: Path) -> None:
    """Refuse, before the work, a place that a file could not be written to. Its folder need not be there yet.

    Raises:
        UserError: a folder has the name, something else is where a folder should be, or nobody may write there.
    """
    if path.is_dir() or not path.name:
        raise UserError(f"'{path}' is a folder; give the name of a file, such as {path / 'NAME'}")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise UserError(f"cannot write {path}: {folder} is a file and not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {path}: the folder {folder} may not be written to")


def reason(error: BaseException) -> str:
    """What the system said, which torch's writer hides behind an error of its own."""
    behind = error.__context__
    return str(behind if isinstance(error, RuntimeError) and isinstance(behind, OSError) else error)
