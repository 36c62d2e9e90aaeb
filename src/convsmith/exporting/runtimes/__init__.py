"""Runtimes that networks are shipped to, each a file: how it writes, opens, runs and shrinks.

| file         | what                                                                          |
| ------------ | ----------------------------------------------------------------------------- |
| `runtime`    | `FileRuntime`: what a runtime answers                                           |
| `onnx`, `openvino`, `executorch`, `litert`, `coreml` | one each                             |
| `shipped`    | `export_file`: any network as a file of any runtime, run there and compared     |
"""

from collections.abc import Mapping
from types import MappingProxyType

from ...errors import UserError, nearest
from ...latency import Runtime
from .coreml import CoreMl
from .executorch import ExecuTorch
from .litert import LiteRt
from .onnx import Onnx
from .openvino import OpenVino
from .runtime import Eight, FileRuntime
from .shipped import Shipped, export_file, placed, size_of

__all__ = [
    "RUNTIMES",
    "Eight",
    "FileRuntime",
    "Shipped",
    "export_file",
    "placed",
    "runtime_named",
    "size_of",
    "that_runs",
    "version_of",
]

RUNTIMES: Mapping[str, FileRuntime] = MappingProxyType(
    {one.name: one for one in (Onnx(), OpenVino(), ExecuTorch(), LiteRt(), CoreMl())}
)
_TIMED = {one.timed: one for one in RUNTIMES.values() if one.timed is not None}


def runtime_named(name: str) -> FileRuntime:
    """The runtime that `--to` calls so.

    Raises:
        UserError: there is none.

    >>> runtime_named("litert").suffix
    '.tflite'
    """
    if name not in RUNTIMES:
        raise UserError(f"networks are exported to {', '.join(RUNTIMES)}, not to '{name}'{nearest(name, RUNTIMES)}")
    return RUNTIMES[name]


def that_runs(runtime: Runtime) -> FileRuntime | None:
    """What runs the files of a runtime that is timed; None of torch itself, which needs none."""
    return _TIMED.get(runtime)


def version_of(runtime: Runtime) -> str:
    """The version of what runs files, as it is installed here; empty for torch itself."""
    found = that_runs(runtime)
    return "" if found is None else found.version
