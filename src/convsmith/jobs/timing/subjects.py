"""A network made ready to be timed in any runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ...arch import ArchSpec
from ...errors import UserError
from ...exporting.prepared import prepared
from ...exporting.runtimes import export_file, that_runs
from ...latency import Runtime, Subject, compile_subject, eager_subject

__all__ = ["ready", "refuse_missing", "shipped", "title_of"]

_TORCH: dict[Runtime, Callable[..., Subject]] = {Runtime.EAGER: eager_subject, Runtime.COMPILE: compile_subject}


def refuse_missing(runtime: Runtime) -> None:
    """Refuse a runtime that is not installed here, with what installs it."""
    if (found := that_runs(runtime)) is not None:
        found.require()


def title_of(runtime: Runtime) -> str:
    """What a runtime's makers call it, `torch, eager` where it is torch itself."""
    found = that_runs(runtime)
    return f"torch, {runtime}" if found is None else found.title


def shipped(
    folder: Path, spec: ArchSpec, trained: Callable[[], nn.Module], runtime: Runtime, *, threads: int
) -> Subject:
    """The network of a run's `folder` as it is shipped, on noise: its file for `runtime`, or, in torch itself, what `trained`
    gives."""
    given, files = spec.example(1, seed=0), that_runs(runtime)
    if files is None:
        return _TORCH[runtime](folder.name, trained(), input_shape=spec.input.shape.dims, given=given)
    path = folder / f"model{files.suffix}"
    return files.on_noise(folder.name, path, tuple(one.numpy() for one in given), threads=threads)


def ready(
    name: str,
    module: nn.Module,
    runtime: Runtime,
    place: Path,
    *,
    input_shape: tuple[int, ...],
    threads: int,
    batch: int = 1,
    given: tuple[Tensor, ...] = (),
    tolerance: float = 1e-4,
) -> Subject:
    """`module` in `runtime`, on a fixed batch of noise of `input_shape`, or on the batch that is `given`. A runtime
    of files finds it at `place`, whose ending is its own; the file is held against torch by `tolerance`, as `export_onnx` does.

    Raises:
        UserError: the runtime is not installed, or cannot express the network.
    """
    if make := _TORCH.get(runtime):
        return make(name, module, input_shape=input_shape, batch=batch, given=given)
    files = that_runs(runtime)
    assert files is not None  # what is not torch's own is given files
    if batch < 1:
        raise UserError(f"a batch has at least one image; got {batch}")
    network, path = prepared(module, input_shape=input_shape), place.with_suffix(files.suffix)
    if network.alone and batch > 1:
        raise UserError(f"{name} takes one image at a time, not {batch}")
    export_file(network, path, files, input_shape=input_shape, batch=batch, tolerance=tolerance)
    shown = given or (torch.randn((batch, *input_shape), generator=torch.Generator().manual_seed(0)),)
    return files.subject(name, path, tuple(one.numpy() for one in shown), threads=threads)
