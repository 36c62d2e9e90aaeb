"""Anchors: the boxes that proposals start from, a few at every cell of every map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import UserError
from ...ranges import above, check_numbers

__all__ = ["Anchors"]


@dataclass(frozen=True)
class Anchors:
    """Boxes (x1, y1, x2, y2) in pixels of the canvas, A = len(scales) · len(ratios) at each cell.

    At the cell in row i, column j of the map of stride s, with scale k and ratio r = width / height:

        centre ((j + 1/2) s, (i + 1/2) s),  width k s √r,  height k s / √r

    A cell's anchors are in the order of ratios, and of scales within a ratio. `half_cell` False leaves the 1/2 out, and
    `rounded` rounds the four sides' offsets from the centre to whole pixels, halves to even, as torchvision does: of 32 px and
    r = 2, (-23, -11, 23, 11). Its row step is the canvas's side over the map's, rounded down, which is the stride where the
    side is a multiple of it.
    """

    strides: tuple[int, ...]
    scales: tuple[float, ...] = (8.0,)
    ratios: tuple[float, ...] = (1.0, 2.0, 0.5)
    half_cell: bool = True
    rounded: bool = False

    def __post_init__(self) -> None:
        check_numbers(self, "anchors")
        if not self.strides or not self.scales or not self.ratios:
            raise UserError("anchors need a stride, a scale and a ratio at least")
        for name in ("strides", "scales", "ratios"):
            for number in getattr(self, name):
                above(f"anchors.{name}", number, 0)

    @property
    def each(self) -> int:
        """Anchors at a cell."""
        return len(self.scales) * len(self.ratios)

    def cell(self, stride: int) -> Tensor:
        """One cell's anchors around its centre, float64 ⟨A,4⟩."""
        sizes = [
            (scale * stride * math.sqrt(ratio), scale * stride / math.sqrt(ratio))
            for ratio in self.ratios
            for scale in self.scales
        ]
        half = torch.tensor(sizes, dtype=torch.float64) / 2
        around = torch.cat((-half, half), dim=1)
        return around.round() if self.rounded else around

    def over(
        self, sides: Sequence[tuple[int, int]], canvas: tuple[int, int], device: torch.device | str | None = None
    ) -> tuple[Tensor, ...]:
        """The anchors of maps of `sides` (height, width), fine to coarse, float32 ⟨h·w·A,4⟩ each: row by row, cell by cell.

        Raises:
            UserError: another number of maps than strides, or a map that is not ceil(canvas / stride).
        """
        if len(sides) != len(self.strides):
            raise UserError(f"{len(sides)} maps for anchors of {len(self.strides)} strides")
        found = []
        for side, stride in zip(sides, self.strides, strict=True):
            expected = (-(-canvas[0] // stride), -(-canvas[1] // stride))
            if tuple(side) != expected:
                raise UserError(
                    f"a map of {side[0]}x{side[1]} cells at stride {stride}, where a canvas of {canvas[0]}x{canvas[1]} px "
                    f"has {expected[0]}x{expected[1]}"
                )
            steps = (stride, stride) if self.half_cell else (canvas[0] // side[0], canvas[1] // side[1])
            start = 0.5 if self.half_cell else 0.0
            y, x = ((torch.arange(n, dtype=torch.float64) + start) * step for n, step in zip(side, steps, strict=True))
            centres = torch.stack((x[None, :].expand(len(y), -1), y[:, None].expand(-1, len(x))), dim=-1)
            boxes = centres.repeat(1, 1, 2)[:, :, None] + self.cell(stride)
            found.append(boxes.reshape(-1, 4).to(device, torch.float32))
        return tuple(found)
