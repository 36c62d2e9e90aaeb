"""EvoNorm-S0 and B0, forward and backward, against batch norm with SiLU and against timm's layers.

Eager layers meet eager ones, compiled meet compiled. All get the same channels-last maps and the same gradient. What waits
for the backward pass is counted in multiples of the input map.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from timm.layers import evo_norm as theirs
from torch import Tensor, nn

from common import Row, answer, judged, rounds, save, spread
from convsmith.latency import ratio
from convsmith.layers import EvoNormKind
from convsmith.layers.evonorm import evonorm

#            shape             rounds
SETTINGS = (((16, 64, 56, 56), 40), ((32, 128, 16, 16), 100))
TIMM = {EvoNormKind.S0: theirs.EvoNorm2dS0, EvoNormKind.B0: theirs.EvoNorm2dB0}


def maps(shape: tuple[int, ...], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).contiguous(memory_format=torch.channels_last)


def pass_of(module: nn.Module, shape: tuple[int, ...]) -> Callable[[], object]:
    """Forward and backward of one layer in training, to its parameters and its input."""
    x, grad = maps(shape, 0).requires_grad_(), maps(shape, 1)

    def run() -> None:
        x.grad = None
        module.zero_grad(set_to_none=True)
        module(x).backward(grad)

    return run


def saved(module: nn.Module, shape: tuple[int, ...]) -> float:
    """Bytes that wait for the backward pass, as a multiple of the input's."""
    x = maps(shape, 0).requires_grad_()
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(x)
    return sum(sizes.values()) / (x.numel() * x.element_size())


def batch_norm(channels: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.SiLU())


def compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module, fullgraph=True, dynamic=False)


def timed(
    what: str, ours: nn.Module, reference: nn.Module, shape: tuple[int, ...], n: int, most: float, name: str
) -> Row:
    mine, other = rounds(pass_of(ours, shape), pass_of(reference, shape), n=n)
    found = ratio(mine, other)
    goal = f"at most {most:g} of the time"
    return Row(what, spread(mine), f"{name}: {spread(other)}", found, mine.n, goal, judged(found, most=most))


def kept(what: str, ours: nn.Module, reference: nn.Module, shape: tuple[int, ...], more: float, name: str) -> Row:
    mine, other = saved(ours, shape), saved(reference, shape)
    goal = f"at most {more:g} more" if more else "less"
    return Row(what, f"{mine:.2f}", f"{name}: {other:.2f}", None, 1, goal, answer(mine <= other + more))


def main() -> None:
    rows = []
    for shape, n in SETTINGS:
        channels = shape[1]
        size = "x".join(str(side) for side in shape)
        for kind, oracle in TIMM.items():
            ours, plain, other = evonorm(kind, channels), batch_norm(channels), oracle(channels)
            name = f"{kind.upper()} at {size}"
            rows += [
                timed(f"{name}, eager", ours, plain, shape, n, 2.0, "BN + SiLU"),
                timed(f"{name}, compiled", compiled(ours), compiled(plain), shape, n, 1.3, "BN + SiLU"),
                timed(f"{name}, eager", ours, other, shape, n // 2, 0.5, "timm"),
                kept(f"{name}, maps saved", ours, plain, shape, 1.0, "BN + SiLU"),
                kept(f"{name}, maps saved", ours, other, shape, 0.0, "timm"),
            ]
            torch.compiler.reset()
    note = (
        f"Forward and backward, {torch.get_num_threads()} threads (all cores), float32, channels last, training mode. "
        "At inference EvoNorm still reads its statistics, where a batch norm folds away."
    )
    save("evonorm", "EvoNorm", "reference", rows, note)


if __name__ == "__main__":
    main()
