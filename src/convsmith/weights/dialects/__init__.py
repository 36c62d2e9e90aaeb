"""Which rules name a network's weights in which package, by the kind of its first block."""

from __future__ import annotations

from collections.abc import Callable

from ...arch import ArchSpec, Block

__all__ = ["TABLE", "Rules"]

# (pattern for `re.fullmatch` on our key, template for their key)
Rules = tuple[tuple[str, str], ...]

TABLE: dict[str, dict[type[Block], Callable[[ArchSpec], Rules]]] = {
    "timm": {},
    "torchvision": {},
    "efficientnet-lite": {},
}
