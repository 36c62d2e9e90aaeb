"""Weights into files and out of them, without running anything that a file says."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError, first_line
from ..files import whole
from ..firstbytes import disguise_of

__all__ = ["read", "write"]

# Checkpoints of training scripts hold the weights under one of these; averaged weights are what was evaluated.
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")
# What distributed training and torch.compile put before every key.
_WRAPPERS = ("module.", "_orig_mod.")


def read(path: Path) -> dict[str, Tensor]:
    """The state dict in a `.safetensors` file, or in one of torch's that holds tensors only (`weights_only=True`).

    A training checkpoint is opened at its averaged weights where it has them. The prefixes of wrapped models are taken
    off.

    Raises:
        UserError: no such file, a damaged one, or one that would have to run code to be read.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    if what := disguise_of(path, "zip"):
        raise UserError(f"{path} is {what}")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path} is no safetensors file that can be read: {error}") from None
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path} cannot be read as plain weights ({first_line(error)}). Only tensors are loaded, never code: save "
            "`model.state_dict()`, best as .safetensors"
        ) from None
    return unwrapped(loaded, str(path))


def write(path: Path, state: Mapping[str, Tensor], *, says: Mapping[str, Any] | None = None) -> None:
    """Write a state dict as `.safetensors`, whole or not at all. `says` is what the file says of itself, as JSON under
    `convsmith` in its metadata: one text, since the writer puts several in an order that changes from process to process.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {key: value.contiguous().cpu() for key, value in state.items()}
    told = None if says is None else {"convsmith": json.dumps(says, ensure_ascii=False)}
    with whole(path) as temporary:
        try:
            save_file(plain, temporary, metadata=told)
        except SafetensorError as error:
            raise OSError(str(error)) from error


def unwrapped(loaded: Any, label: str) -> dict[str, Tensor]:
    """The state dict inside a checkpoint, its wrappers' prefixes taken off."""
    inside = next(
        (loaded[key] for key in _NESTED if isinstance(loaded, dict) and isinstance(loaded.get(key), dict)), loaded
    )
    if not isinstance(inside, dict) or not inside or not all(isinstance(value, Tensor) for value in inside.values()):
        raise UserError(f"{label} holds no state dict (names to tensors)")
    for prefix in _WRAPPERS:
        if all(key.startswith(prefix) for key in inside):
            inside = {key.removeprefix(prefix): value for key, value in inside.items()}
    return inside
