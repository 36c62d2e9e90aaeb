"""The two ways through a detector: what it finds, and what it should learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from .detections import Detections
from .settings import Settings

__all__ = ["Head", "find", "learn"]


class Head(Protocol):
    """A detector's three networks. With n classes, A anchors a cell and maps of C channels:

    `rpn(*maps)` puts out scores ⟨N,A,h,w⟩ and deltas ⟨N,4A,h,w⟩ of every map, as two tuples; `box` makes of regions ⟨R,C,7,7⟩
    scores ⟨R,n+1⟩ and deltas ⟨R,4(n+1)⟩; `mask` of ⟨R,C,14,14⟩ logits ⟨R,n+1,28,28⟩, None of a detector without masks.
    """

    rpn: nn.Module
    box: nn.Module
    mask: nn.Module | None


def find(head: Head, maps: Sequence[Tensor], canvas: tuple[int, int], settings: Settings) -> Detections:
    """What is found in images of `canvas` (height, width) by their `maps`, fine to coarse."""
    raise NotImplementedError


def learn(
    head: Head,
    maps: Sequence[Tensor],
    canvas: tuple[int, int],
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    masks: Sequence[Tensor] | None,
    settings: Settings,
    *,
    dense: bool = False,
) -> dict[str, Tensor]:
    """The five losses, each a mean over the batch: "objectness", "anchors", "classes", "boxes" and "masks" (0 without masks).

    The truths of each image are `boxes` ⟨n_i,4⟩ on the canvas, `labels` ⟨n_i⟩ 1..n and `masks`, 0 or 1: ⟨n_i,112,112⟩ over
    each truth's own box, or with `dense` ⟨n_i,height,width⟩ over the canvas.
    """
    raise NotImplementedError
