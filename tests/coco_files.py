"""COCO's JSON made by hand, beside its pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from convsmith.data import Objects
from convsmith.data.readers.cocofile import CocoFile
from convsmith.data.readers.objects.coco import read_objects
from convsmith.data.readers.parts import Part
from convsmith.rle import encoded

__all__ = ["GAPPED", "HEIGHT", "WIDTH", "annotation", "filled", "masked", "read", "runs", "write"]

HEIGHT, WIDTH = 40, 60
GAPPED = [{"id": 90, "name": "cup"}, {"id": 18, "name": "dog"}]


def filled(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y1:y2, x1:x2] = True
    return mask


def runs(mask: np.ndarray) -> dict[str, Any]:
    return {"size": list(mask.shape), "counts": encoded(mask).decode()}


def annotation(number: int, image: int, box: list[float], **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": 18, "bbox": box, "iscrowd": 0} | more


def masked(number: int, image: int, box: tuple[int, int, int, int], **more: Any) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    return annotation(number, image, [x1, y1, x2 - x1, y2 - y1], segmentation=runs(filled(*box))) | more


def write(folder: Path, annotations: list[dict[str, Any]], *, name: str = "annotations.json", images: int = 2,
          categories: list[dict[str, Any]] | None = None, rows: list[dict[str, Any]] | None = None) -> Path:  # fmt: skip
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for k in range(images):
        Image.new("RGB", (WIDTH, HEIGHT), (40 * k, 90, 120)).save(folder / "images" / f"{k}.png")
    rows = rows or [{"id": k, "file_name": f"{k}.png", "height": HEIGHT, "width": WIDTH} for k in range(images)]
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"images": rows, "annotations": annotations, "categories": categories or GAPPED}))
    return path


def read(path: Path, category: str | None = None) -> tuple[Part, Objects]:
    part = read_objects(CocoFile.at(path), category)
    assert isinstance(part.split.targets, Objects)
    return part, part.split.targets
