"""Which graphs are one function: what they put out for one fixed input, as a hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ..graphs import NormGraph
from .graph_program import Program, wide

__all__ = ["Fingerprint", "fingerprint"]

_SHAPE, _GROUPS, _EPS, _DIGITS = (6, 8, 4, 4), 4, 1e-5, 6


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hashes of a layer's core on a fixed input: `exact`, and `standardised` for each channel, which layers share that differ by
    the scale and shift behind them alone. "" where it puts out a number that is not finite."""

    exact: str
    standardised: str


@torch.no_grad()
def fingerprint(graph: NormGraph) -> Fingerprint:
    """In training mode and float64, to six digits of the largest number, on maps whose channels differ in scale and mean."""
    leaves = _leaves()
    program = Program(graph, _EPS)
    values, _ = program.reckoned(leaves, _GROUPS)
    core = values[program.last].expand(_SHAPE)
    if not bool(core.isfinite().all()):
        return Fingerprint("", "")
    deviation, mean = torch.std_mean(core, (0, 2, 3), correction=0, keepdim=True)
    apart = (core - mean) / deviation.clamp_min(1e-12)
    # A scale may turn the sign: of either the one whose largest distance from the mean is above it.
    rows = apart.transpose(0, 1).flatten(1)
    sign = rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()
    return Fingerprint(_hash(core), _hash(rows * sign))


@cache
def _leaves() -> dict[str, Tensor]:
    def waves(count: int, *speeds: float) -> Tensor:
        at = torch.arange(count, dtype=torch.float64)
        return torch.stack([(speed * at + index).sin() for index, speed in enumerate(speeds)]).sum(0)

    count = _SHAPE[0] * _SHAPE[1] * _SHAPE[2] * _SHAPE[3]
    channels = torch.arange(_SHAPE[1], dtype=torch.float64)
    x = waves(count, 0.7, 1.9, 3.1).view(_SHAPE) * wide(0.5 + 0.25 * channels) + wide((channels - 3) / 4)
    return {"x": x, "v0": wide(waves(_SHAPE[1], 1.3, 2.7) / 4), "v1": wide(1 + waves(_SHAPE[1], 2.3, 0.9) / 4)}


def _hash(values: Tensor) -> str:
    largest = float(values.abs().max())
    steps = (values / (largest or 1.0) * 10**_DIGITS).round().to(torch.int32)
    return hashlib.sha256(steps.contiguous().numpy().tobytes()).hexdigest()[:16]
