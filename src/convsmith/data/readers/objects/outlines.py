"""Polygons as masks, by the rasteriser that COCO's scores are made with: others differ at the edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....errors import UserError

__all__ = ["outlined"]


def outlined(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> bytes:
    """The union of polygons, each x, y, x, y, ... in corners of pixels, as compressed runs of a picture of `size` (height, width).

    Raises:
        UserError: no package is there that can do it.
    """
    library = _library()
    rles = library.frPyObjects([list(map(float, polygon)) for polygon in polygons], *size)
    counts = library.merge(rles)["counts"]
    return counts if isinstance(counts, bytes) else str(counts).encode()


def _library() -> Any:
    try:
        from pycocotools import mask
    except ImportError:
        try:
            from faster_coco_eval.core import mask
        except ImportError:
            raise UserError(
                "masks that are polygons need pycocotools or faster-coco-eval, and neither is installed here: "
                "pip install 'convsmith[coco]'"
            ) from None
    return mask
