"""Boxes as differences from other boxes, which is what networks put out."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["ANCHOR_WEIGHTS", "CAP", "REGION_WEIGHTS", "clipped", "decoded", "encoded"]

CAP = math.log(1000 / 16)  # the largest dw and dh: a box grows by 62.5 at most
Weights = tuple[float, float, float, float]
ANCHOR_WEIGHTS: Weights = (1.0, 1.0, 1.0, 1.0)
REGION_WEIGHTS: Weights = (10.0, 10.0, 5.0, 5.0)


def encoded(boxes: Tensor, origins: Tensor, weights: Weights = ANCHOR_WEIGHTS) -> Tensor:
    """How `boxes` ⟨...,4⟩ differ from `origins` ⟨...,4⟩, both (x1, y1, x2, y2) with sides above 0:

        dx = w_x (x_b - x_o) / W_o,  dw = w_w ln(W_b / W_o),  and so for y and heights

    of centres x, y and sides W, H = x2 - x1, y2 - y1: no pixel is added to a side (Ren et al., 2015; torchvision).
    """
    (x, y, width, height), (ox, oy, owidth, oheight) = _centred(boxes), _centred(origins)
    wx, wy, ww, wh = weights
    return torch.stack(
        (
            wx * (x - ox) / owidth,
            wy * (y - oy) / oheight,
            ww * torch.log(width / owidth),
            wh * torch.log(height / oheight),
        ),
        dim=-1,
    )


def decoded(deltas: Tensor, origins: Tensor, weights: Weights = ANCHOR_WEIGHTS) -> Tensor:
    """The boxes that `deltas` ⟨...,4⟩ make of `origins` ⟨...,4⟩: `encoded` backwards, with dw / w_w and dh / w_h at most
    `CAP`, so that an untrained network's exp stays finite."""
    ox, oy, owidth, oheight = _centred(origins)
    wx, wy, ww, wh = weights
    x = deltas[..., 0] / wx * owidth + ox
    y = deltas[..., 1] / wy * oheight + oy
    half_width = 0.5 * (torch.exp((deltas[..., 2] / ww).clamp(max=CAP)) * owidth)
    half_height = 0.5 * (torch.exp((deltas[..., 3] / wh).clamp(max=CAP)) * oheight)
    return torch.stack((x - half_width, y - half_height, x + half_width, y + half_height), dim=-1)


def clipped(boxes: Tensor, canvas: tuple[int, int]) -> Tensor:
    """The parts of `boxes` ⟨...,4⟩ that lie on a canvas (height, width)."""
    height, width = canvas
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack((x, y), dim=-1).flatten(-2)


def _centred(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(-1)
    width, height = x2 - x1, y2 - y1
    return x1 + 0.5 * width, y1 + 0.5 * height, width, height
