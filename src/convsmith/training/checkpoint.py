"""Checkpoints that say of themselves whether they are whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ..errors import UserError, first_line
from ..files import reason, unfinished

__all__ = [
    "forget_checkpoint",
    "load_checkpoint",
    "previous",
    "restore_checkpoint",
    "save_checkpoint",
]

# A checkpoint is torch's archive with this line behind it, which the archive's reader passes over: one file, one rename.
MARK = b"convsmith sha256 "
LINE = len(MARK) + 64 + 1


def previous(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a training state that `load_checkpoint` reads; the one that was at `path` is kept as `previous(path)`.

    Each of the two is whole at every moment. Between the two renames the newer has no name yet, and the older is found
    by `restore_checkpoint`. Raises `UserError` that names the path and what is left.
    """

    try:
        with unfinished(path, keep=previous(path)) as temporary, temporary.open("wb") as file:
            summed = _Summed(file)
            torch.save(state, summed)  # type: ignore[arg-type]  # it needs no more than write and flush
            file.write(MARK + summed.digest.hexdigest().encode() + b"\n")
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        left = next(
            (file for file in (path, previous(path)) if os.path.exists(file)), None
        )  # a folder that may not be looked into raises nothing
        kept = f"the older checkpoint {left} is whole" if left else "no older one is to be seen"
        raise UserError(f"cannot write the checkpoint {path}: {reason(error)}; {kept}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a training state. Only tensors and plain values are loaded, never code, and only what its checksum vouches for."""
    try:
        _verify(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except Exception as error:  # torch raises several kinds for a file that is not its own
        raise UserError(f"{path} is not a checkpoint that can be read: {first_line(error)}") from error
    return state


def restore_checkpoint(path: Path) -> tuple[dict[str, Any] | None, str]:
    """The newest state that is whole, or None where none was ever written; and what was wrong with a newer one, or "".

    Where the newer is damaged, the older takes its name, so that the next save keeps a whole one beside it. Raises
    `UserError` where there is a checkpoint and none that can be read.
    """
    older = previous(path)
    if not path.exists() and not older.exists():
        return None, ""
    try:
        return load_checkpoint(path), ""
    except UserError as error:
        newest = error
    try:
        state = load_checkpoint(older)
    except UserError as error:
        raise UserError(f"{newest}; and the one before it: {error}. Start the run anew") from error
    # A kill between the renames of `save_checkpoint` leaves the newer nameless: nothing is damaged then.
    told = f"{newest}; going on from the one before it, of step {state.get('step')}" if path.exists() else ""
    try:
        older.replace(path)
    except OSError as error:
        raise UserError(f"cannot put {older} in the place of {path}: {error}; {older} is whole") from error
    return state, told


def forget_checkpoint(path: Path) -> None:
    """Remove a checkpoint and the one before it."""
    path.unlink(missing_ok=True)
    previous(path).unlink(missing_ok=True)


class _Summed:
    """A file that is only written to, and the checksum of all that was."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def _verify(path: Path) -> None:
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size - LINE
        digest = hashlib.sha256()
        while left > 0 and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
        line = file.read()
    if left < 0 or not line.startswith(MARK):
        raise ValueError("it is cut short, or is no checkpoint")
    if line != MARK + digest.hexdigest().encode() + b"\n":
        raise ValueError("its checksum does not agree: it is damaged")
