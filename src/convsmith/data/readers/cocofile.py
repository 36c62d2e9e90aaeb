"""COCO's JSON as it lies on disk: its lists, its pictures, and where these are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...errors import DataError

__all__ = ["CocoFile"]


@dataclass(frozen=True, eq=False)
class CocoFile:
    """A file of annotations, of which nothing has been looked into yet."""

    path: Path
    found: Mapping[str, Any]

    @classmethod
    def at(cls, path: Path) -> CocoFile:
        """Raises DataError where the file cannot be read, or holds something else."""
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read as JSON: {error}") from error
        if not isinstance(found, dict):
            raise DataError(f"{path} is no file of COCO's: it holds a {type(found).__name__}")
        return cls(path, found)

    def of(self, key: str) -> list[dict[str, Any]]:
        rows = self.found.get(key)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError(f"{self.path} is no file of COCO's: it has no list '{key}'")
        return rows

    @property
    def has_points(self) -> bool:
        """Whether one of its categories names key points."""
        rows = self.found.get("categories")
        return isinstance(rows, list) and any(isinstance(row, dict) and row.get("keypoints") for row in rows)

    @cached_property
    def images(self) -> dict[object, dict[str, Any]]:
        rows = self.of("images")
        if not all("id" in row and "file_name" in row for row in rows):
            raise DataError(f"{self.path}: an image without id or file_name")
        return {row["id"]: row for row in rows}

    def image(self, annotation: Mapping[str, Any]) -> dict[str, Any]:
        """The image that an annotation is of. Raises DataError where there is none."""
        found = self.images.get(annotation.get("image_id"))
        if found is None:
            raise DataError(
                f"{self.path}: annotation {annotation.get('id')} is of image {annotation.get('image_id')}, which is not there"
            )
        return found

    @cached_property
    def _folder(self) -> Path:
        """Where the pictures lie: beside the file, or in a folder called images, or after what the file is called."""
        last = self.path.stem.rsplit("_", 1)[-1]
        places = [
            folder / name
            for folder in (self.path.parent, self.path.parent.parent)
            for name in ("images", ".", last, f"images/{last}")
        ]
        first = [str(row["file_name"]) for row in list(self.images.values())[:9]]
        return next((one for one in places if any((one / name).is_file() for name in first)), places[0])

    def place(self, image: Mapping[str, Any]) -> Path:
        """Where the file of an image should be."""
        return self._folder / str(image["file_name"])
