"""Files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError

__all__ = ["load_checkpoint", "save_atomically", "save_checkpoint"]


def save_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make a temporary file beside `path`, flush it to the disk, then rename it over `path`.

    A process killed half-way, or a full disk, leaves the older file as it was. Raises `UserError` naming the path.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise UserError(f"cannot write {path}: {error}; what was there before is untouched") from error
    finally:
        temporary.unlink(missing_ok=True)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a training state that `load_checkpoint` reads."""
    save_atomically(path, lambda temporary: torch.save(state, temporary))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a training state. Only tensors and plain values are loaded, never code."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except Exception as error:  # torch raises several kinds for a file that is not its own
        raise UserError(f"{path} is not a checkpoint that can be read: {error}") from error
    return state
