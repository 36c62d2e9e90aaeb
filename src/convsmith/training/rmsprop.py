"""RMSProp with TensorFlow's arithmetic, which EfficientNet's rates belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

import torch
from torch import Tensor

__all__ = ["RMSPropTF"]

# Numbers that take all lines of the update together on a CPU: small tensors share a call, and the five arrays of a block
# (weight, gradient, square, speed, root) stay in the cache between one line and the next. On a GPU a call costs more than
# what memory does, and a group is one block.
BLOCK = 2**17


class RMSPropTF(torch.optim.Optimizer):
    """For each weight w with gradient g, at rate r:

        g <- g + weight_decay w
        s <- decay s + (1 - decay) g^2      from s = 1
        v <- momentum v + r g / sqrt(s + eps)
        w <- w - v

    It differs from `torch.optim.RMSprop` in three places: s starts at 1, not 0; eps stands inside the root; and the rate
    enters v, so that a falling rate leaves the speed already gained as it is. All tensors of a group take each line
    together (torch's foreach operations). A group in which some weights had no gradient leaves those alone.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        decay: float = 0.9,
        momentum: float = 0.9,
        eps: float = 1e-3,
        weight_decay: float = 0.0,
    ) -> None:
        if not 0 <= decay < 1 or not 0 <= momentum < 1 or eps <= 0 or weight_decay < 0:
            raise ValueError(
                "RMSPropTF needs decay and momentum in [0, 1), eps above 0 and weight_decay not below 0; "
                f"got {decay}, {momentum}, {eps}, {weight_decay}"
            )
        defaults = {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every weight that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._update(weights, group)
        return loss

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        for weight in weights:
            state = self.state[weight]
            if not state:
                state["square"] = torch.ones_like(weight, memory_format=torch.preserve_format)
                state["speed"] = torch.zeros_like(weight, memory_format=torch.preserve_format)
        quads = [(weight, weight.grad, self.state[weight]["square"], self.state[weight]["speed"]) for weight in weights]
        for block in _blocks(quads):
            own, grads, squares, speeds = (list(column) for column in zip(*block, strict=True))
            _step(own, grads, squares, speeds, group)


def _step(
    weights: list[Tensor], grads: list[Tensor], squares: list[Tensor], speeds: list[Tensor], group: dict[str, Any]
) -> None:
    if group["weight_decay"]:
        grads = list(torch._foreach_add(grads, weights, alpha=group["weight_decay"]))
    torch._foreach_mul_(squares, group["decay"])
    torch._foreach_addcmul_(squares, grads, grads, 1 - group["decay"])
    roots = list(torch._foreach_add(squares, group["eps"]))
    torch._foreach_sqrt_(roots)
    torch._foreach_mul_(speeds, group["momentum"])
    torch._foreach_addcdiv_(speeds, grads, roots, group["lr"])
    torch._foreach_sub_(weights, speeds)


def _blocks(quads: list[Any]) -> Iterator[list[Any]]:
    """Rows of equal tensors gathered, and large ones cut along their first axis, to about `BLOCK` numbers each."""
    if not quads[0][0].is_cpu:
        yield quads
        return
    block: list[Any] = []
    held = 0
    for quad in quads:
        size = quad[0].numel()
        if held + size > BLOCK and block:
            yield block
            block, held = [], 0
        if size <= BLOCK:
            block.append(quad)
            held += size
            continue
        rows = max(1, len(quad[0]) * BLOCK // size)
        for cut in zip(*(tensor.split(rows) for tensor in quad), strict=True):
            yield [cut]
    if block:
        yield block
