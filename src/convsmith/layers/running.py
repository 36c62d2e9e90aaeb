"""Running statistics: what a norm gathers in training and goes by in evaluation, whatever norm it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["RunningStatistics", "running"]


@runtime_checkable
class RunningStatistics(Protocol):
    """What a module answers that keeps moments of batches.

    The moments are of `arguments`: of what comes in, or of values made of it. Where an argument is made of other kept moments these
    are of an earlier stage; `stages` counts them.
    """

    @property
    def stages(self) -> int:
        """How many there are: 0 where nothing is kept."""

    def untouched(self) -> bool:
        """Whether they are those that the norm begins with."""

    def forget(self) -> None:
        """Begin again."""

    def by_batch(self) -> None:
        """From now on go by the batch alone, and keep nothing."""

    def arguments(self, x: Tensor, stage: int | None = None) -> tuple[Tensor, ...]:
        """The values, for the input x, whose moments over batch and positions are kept, each with N, C, H and W or 1 in their
        place. Those of one stage, of earlier stages' kept moments; or all, of the moments of this batch."""

    def settle(self, moments: Sequence[tuple[Tensor, Tensor]], batches: int, stage: int | None = None) -> None:
        """Keep these means and population variances of `arguments`, that came of so many batches."""


def running(module: nn.Module) -> RunningStatistics | None:
    """What `module` itself keeps, its children left out; None where it keeps nothing.

    A module that does not answer itself keeps the moments of its input, where it has a buffer `running_var`, as torch's norms,
    timm's and EvoNorm's have.
    """
    if isinstance(module, RunningStatistics):
        return module if module.stages else None
    return _OfInput(module) if module._buffers.get("running_var") is not None else None


class _OfInput:
    """The buffers `running_mean`, `running_var` and `num_batches_tracked`, as far as a module has them."""

    stages = 1

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def _each(self) -> tuple[tuple[Tensor, int], ...]:
        begins = {"running_mean": 0, "running_var": 1, "num_batches_tracked": 0}
        found = ((self._module._buffers.get(name), value) for name, value in begins.items())
        return tuple((buffer, value) for buffer, value in found if buffer is not None)

    def untouched(self) -> bool:
        return all(bool((buffer == value).all()) for buffer, value in self._each() if buffer.is_floating_point())

    def forget(self) -> None:
        for buffer, value in self._each():
            buffer.fill_(value)

    def by_batch(self) -> None:
        if isinstance(
            self._module, _BatchNorm
        ):  # torch's goes by the batch where there are no buffers; others need theirs
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                setattr(self._module, name, None)

    def arguments(self, x: Tensor, stage: int | None = None) -> tuple[Tensor, ...]:
        return (x,)

    def settle(self, moments: Sequence[tuple[Tensor, Tensor]], batches: int, stage: int | None = None) -> None:
        ((mean, variance),) = moments
        given = {"running_mean": mean, "running_var": variance}
        for name, value in given.items():
            if (buffer := self._module._buffers.get(name)) is not None:
                buffer.copy_(value)
        if (tracked := self._module._buffers.get("num_batches_tracked")) is not None:
            tracked.fill_(batches)
