"""The machine a number was taken on: no measurement is shown without it."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

__all__ = ["Machine", "peak_bytes", "this_machine"]

# What decides how fast a network runs here; read from package metadata, so nothing is imported.
_PACKAGES = ("convsmith", "torch", "torchvision", "onnxruntime", "onnx", "numpy", "timm")


@dataclass(frozen=True, slots=True)
class Machine:
    """A device and the versions on it.

    `cores` counts the logical processors this process may use, which in a container is fewer than the device has.
    `packages` holds (name, version) pairs of what is installed, in a fixed order.
    """

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    packages: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.packages if name != "convsmith")
        return f"{self.processor}, {self.cores} cores, {self.memory_gib:.0f} GiB, {self.system}, {versions}"

    @property
    def line(self) -> str:
        """The machine under a page: with Python and every version, without its memory."""
        versions = ", ".join(f"{name} {version}" for name, version in self.packages)
        return f"{self.processor}, {self.cores} cores, {self.system}; Python {self.python}, {versions}"


@cache
def this_machine() -> Machine:
    """The machine this process runs on. Imports nothing heavy and asks nothing of the network."""
    return Machine(
        processor=_processor(),
        cores=_usable_cores(),
        memory_gib=round(_memory_bytes() / 2**30, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages=tuple((name, version) for name in _PACKAGES if (version := _version(name))),
    )


def _usable_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux can say
        return os.cpu_count() or 1


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # Windows has no sysconf
        return 0


def peak_bytes() -> int | None:
    """The most memory that this process has held so far; None where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    # macOS counts in bytes, the others in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
