"""Is this machine quiet enough to time on?"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import nn

from ...ambient import undisturbed
from ...codec import to_data
from ...latency import eager_subject, interleave
from ...machine import Machine, this_machine

__all__ = ["Doctor", "examine"]

QUIET, NOISY = 0.05, 0.15


@dataclass(frozen=True)
class Doctor:
    """What was found. `noise` is the spread of one fixed computation between rounds; `load` the last minute's."""

    machine: Machine
    torch_threads: int
    cuda: str
    load: float
    noise: float
    rounds: int

    @property
    def verdict(self) -> str:
        if self.noise <= QUIET and self.load >= self.machine.cores:
            busy = f"{self.load:.1f} processes ran on {self.machine.cores} cores in the last minute"
            return f"fair: quiet just now, but {busy}; mind the intervals"
        if self.noise <= QUIET:
            return f"quiet: networks about {max(1, round(100 * self.noise))} % apart can be told apart"
        if self.noise <= NOISY:
            return "fair: compare networks in one `measure`, which interleaves them, and mind the intervals"
        return "noisy: other work shares these cores; only large differences will show, and bare times mean little"

    def to_record(self) -> dict[str, object]:
        record: dict[str, object] = to_data(self)
        return record | {"verdict": self.verdict}


@undisturbed()
def examine(*, seed: int = 0, rounds: int = 20) -> Doctor:
    """Time one fixed convolution over and over, and ask the system what else is running."""
    conv = nn.Conv2d(64, 64, 3, padding=1)
    subject = eager_subject("probe", conv, input_shape=(64, 32, 32))
    timing = interleave([subject], threads=1, rounds=rounds, seed=seed)
    cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no CUDA device"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return Doctor(this_machine(), torch.get_num_threads(), cuda, load, timing.noise, rounds)
