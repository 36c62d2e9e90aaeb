"""Weights into files and out of them, without running anything that a file says."""

from __future__ import annotations

import json
import pickle
import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError, first_line
from ..files import whole
from ..firstbytes import disguise_of

__all__ = ["flat", "read", "write"]

# What torch.compile and sharded training put between the names of modules.
_BETWEEN = re.compile(r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# A profiler's counts, which it leaves among the weights.
_COUNTS = ("total_ops", "total_params")
_DEEPEST = 8


def read(path: Path) -> dict[str, Tensor]:
    """Every tensor that the file holds, by its full name; a `.safetensors` file or one of torch's, whatever its suffix.

    What is nested in a training checkpoint has the names of what it is nested in before its own, joined by dots. Settings
    that a script saved beside the weights are read as nothing: no code of the file is run.

    Raises:
        UserError: no such file, a damaged one, one that holds no tensors, or one that would have to run code to be read.
    """
    if not path.is_file():
        raise UserError(f"{path} is a folder, not a file of weights" if path.is_dir() else f"{path} does not exist")
    named = path.suffix.lower() == ".safetensors"
    if what := disguise_of(path, "zip"):
        wanted = "it is no safetensors file that can be read" if named else "it cannot be read as plain weights"
        raise UserError(f"{path} is {what}; {wanted}")
    try:
        with path.open("rb") as file:
            first = file.read(9)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if first[8:] == b"{" or (named and first[:2] != b"PK"):
        return flat(_safetensors(path), str(path))
    return flat(_torch(path), str(path))


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


def flat(loaded: Any, label: str) -> dict[str, Tensor]:
    """Every tensor in dictionaries within dictionaries, by its full name."""
    found = {key: tensor for key, tensor in _tensors(loaded) if not key.endswith(_COUNTS)}
    if not found:
        raise UserError(
            f"{label} holds no state dict (names to tensors): save `model.state_dict()`, best as .safetensors"
        )
    return found


def _tensors(held: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    if not isinstance(held, Mapping) or depth > _DEEPEST:
        return
    for key, value in held.items():
        full = f"{name}{_BETWEEN.sub('', str(key))}"
        if isinstance(value, Tensor):
            yield full, value.detach()
        else:
            yield from _tensors(value, f"{full}.", depth + 1)


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is no safetensors file that can be read: {error}") from None


class _Nothing:
    """Stands for an object of any class that a file names, made without that class."""

    def __new__(cls, *given: Any, **named: Any) -> _Nothing:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Nothing of an object's inside is needed."""


class _Dictionary:
    """Stands for a kind of dictionary, of which what it holds is kept: torch's reader fills no other kind than this."""

    def __new__(cls, *given: Any, **named: Any) -> OrderedDict[Any, Any]:  # type: ignore[misc]  # not one of its own
        return OrderedDict()


def _torch(path: Path) -> Any:
    """What torch's reader of tensors makes of the file, with a stand-in for every class that it would refuse."""
    try:
        strangers: list[Any] = [
            (_Dictionary if name.lower().endswith("dict") else _Nothing, name) for name in _named(path)
        ]
        with torch.serialization.safe_globals(strangers), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how long it takes to look through sparse tensors
            return torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise UserError(
            f"{path} cannot be read as plain weights ({_reason(error)}). Only tensors are loaded, never code: where it was "
            "made, save `model.state_dict()`, best as .safetensors"
        ) from None


def _named(path: Path) -> set[str]:
    """The classes and functions that a file of torch's names, found without making anything of it."""
    if zipfile.is_zipfile(path):
        return set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    with path.open("rb") as file:  # before torch 1.6: four pickles one after another, then bytes
        return {
            str(name).replace(" ", ".", 1)
            for _ in range(4)
            for code, name, _ in pickletools.genops(file)
            if code.name == "GLOBAL"
        }


def _reason(error: BaseException) -> str:
    """What is wrong in torch's words, without its advice to read the file unsafely."""
    _, _, why = str(error).partition("WeightsUnpickler error: ")
    return why.strip().splitlines()[0] if why.strip() else first_line(error)
