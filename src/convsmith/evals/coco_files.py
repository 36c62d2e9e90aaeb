"""What a detector finds, as COCO's files have it."""

from __future__ import annotations

from ..rle import to_string
from .matching import Found

__all__ = ["as_annotations"]


def as_annotations(found: Found, size: tuple[int, int]) -> list[dict[str, object]]:
    """Each object as COCO has it: `bbox` (x, y, width, height) and `score`, not rounded, and the mask as compressed runs of a
    picture of `size` (height, width)."""
    rows: list[dict[str, object]] = []
    for n, ((x1, y1, x2, y2), score) in enumerate(zip(found.boxes.tolist(), found.scores.tolist(), strict=True)):
        row: dict[str, object] = {"bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        if found.masks is not None:
            row["segmentation"] = {"size": list(size), "counts": to_string(found.masks[n]).decode()}
        rows.append(row)
    return rows
