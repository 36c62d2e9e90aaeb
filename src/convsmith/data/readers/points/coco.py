"""Key points of COCO's JSON: each annotation becomes an image of its own, cut out by its box."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import DataError, nearest
from ....units import plural
from ...images import Skipped
from ...inputs import Boxed, Files
from ...pictures import measured
from ...split import Split
from ...targets import Joints
from ..cocofile import CocoFile
from ..names import listed, worded
from ..parts import Part
from .bodies import body_of

__all__ = ["annotations_in", "read_coco"]

# A box is made larger by this about its middle, so that what lies at its edge has something around it.
MARGIN = 1.25
_GROUPS = ("individual", "group", "video_id")


def annotations_in(folder: Path) -> Path | None:
    """The annotations of a folder that is laid out as a small COCO: annotations.json beside its images."""
    path = folder / "annotations.json"
    return path if path.is_file() else None


def read_coco(path: Path, category: str | None, ruler: str | None) -> Part:
    """The annotations of one category that have a point labelled, each cut out by its box with a margin.

    A visibility of 0 is a missing point, whatever stands beside it; 1 (hidden) and 2 are labelled. Points stay in pixels of the
    whole picture. The individual of an annotation is what its picture says of that (individual, group or video_id); otherwise
    each is one of its own, and all of a picture go to the same part. Pictures that are missing, or of another size than the
    file says, are skipped and listed; crowds are left out.

    Raises:
        DataError: no key points, or several categories of which none was chosen.
    """
    file = CocoFile.at(path)
    chosen = _category(file, category)
    names = tuple(worded(str(name)) for name in chosen["keypoints"])
    bones = [(int(one) - 1, int(other) - 1) for one, other in chosen.get("skeleton") or []]
    if any(end not in range(len(names)) for bone in bones for end in bone):
        raise DataError(f"{path}: the skeleton of '{chosen.get('name')}' counts from 1 to {len(names)}")
    body, said = body_of(names, [bone for bone in bones if bone[0] != bone[1]], ruler, path.name)
    own = [one for one in file.of("annotations") if one.get("category_id") == chosen.get("id")]
    crowds = [one for one in own if one.get("iscrowd")]
    alone = [one for one in own if not one.get("iscrowd")]
    labelled = [(one, xy) for one in alone if not np.isnan(xy := _points(one, len(names), path)).all()]
    if not labelled:
        raise DataError(f"{path} has no annotation of '{chosen.get('name')}' with a point")
    notes = [*said]
    if len(labelled) < len(alone):
        notes.append(
            f"left out, since no point of them is labelled: {plural(len(alone) - len(labelled), 'annotation')}"
        )
    if crowds:
        notes.append(f"left out, since they are crowds: {plural(len(crowds), 'annotation')}")

    rows, lost = [], {}
    why: dict[object, str] = {}  # a picture cannot be used, empty where it can
    for one, xy in labelled:
        image = file.image(one)
        place = file.place(image)
        if image["id"] not in why:
            why[image["id"]] = _unfit(place, image)
        if why[image["id"]]:
            lost[str(place)] = why[image["id"]]
        else:
            rows.append((image, place, xy, _box(one, image, xy)))
    skipped = tuple(Skipped(name, why) for name, why in lost.items())
    if not rows:
        raise DataError(
            f"none of the pictures that {path} names can be used, {skipped[0].path} first: {skipped[0].why}"
        )
    groups = tuple(_group(image) or worded(str(image.get("file_name"))) for image, *_ in rows)
    individuals = tuple(_group(image) or f"{groups[i]} {i}" for i, (image, *_) in enumerate(rows))
    inputs = Boxed(Files(tuple(str(place) for _, place, *_ in rows)), np.array([box for *_, box in rows], np.int64))
    joints = Joints.of(np.stack([xy for _, _, xy, _ in rows]), body, individuals)
    return Part(Split(inputs, joints, groups), body.names, skipped=skipped, notes=tuple(notes))


def _category(file: CocoFile, name: str | None) -> dict[str, Any]:
    known = [one for one in file.of("categories") if one.get("keypoints")]
    if not known:
        raise DataError(f"{file.path} has no key points: none of its categories names any")
    names = [str(one.get("name")) for one in known]
    if name is None and len(known) > 1:
        raise DataError(f"{file.path} has several categories: say with --category which of {listed(names)}")
    if name is not None and name not in names:
        raise DataError(
            f"--category: {file.path} has no '{name}' with key points{nearest(name, names)}; it has {listed(names)}"
        )
    return known[0 if name is None else names.index(name)]


def _points(annotation: Mapping[str, Any], joints: int, path: Path) -> np.ndarray:
    """float64 ⟨K,2⟩, NaN where the visibility is 0."""
    where = f"{path}: annotation {annotation.get('id')}"
    try:
        flat = np.array(annotation.get("keypoints") or [0] * 3 * joints, np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{where} has key points that are no numbers") from None
    if flat.shape != (3 * joints,):
        raise DataError(f"{where} has {flat.size} numbers for {joints} points; give x, y and visibility of each")
    xy, visible = flat.reshape(-1, 3)[:, :2].copy(), flat[2::3]
    if not np.isin(visible, (0, 1, 2)).all():
        raise DataError(f"{where} has a visibility that is none of 0, 1, 2")
    xy[visible == 0] = np.nan
    return xy


def _unfit(place: Path, image: Mapping[str, Any]) -> str:
    """Why a picture cannot be used with its annotations."""
    if not place.is_file():
        return "it is annotated, and there is no such image"
    try:
        size = measured(str(place))
    except OSError:
        return ""  # who decodes it says what is wrong
    said = image.get("height"), image.get("width")
    if None in said or said == size:
        return ""
    return f"it is {size[1]}x{size[0]}, and its annotations are of {said[1]}x{said[0]}"


def _box(annotation: Mapping[str, Any], image: Mapping[str, Any], xy: np.ndarray) -> tuple[int, int, int, int]:
    """Top, left, height and width of what is cut out: all of the picture where the annotation has no box."""
    high, wide = int(image.get("height") or 0), int(image.get("width") or 0)
    box: Sequence[float] = annotation.get("bbox") or ()
    if not (high and wide):
        raise DataError(f"image {image['id']} has no height and width")
    if (
        len(box) != 4
        or not all(isinstance(side, int | float) and math.isfinite(side) for side in box)
        or min(box[2:]) <= 0
    ):
        return 0, 0, high, wide
    x, y, width, height = box
    left, top = x - width * (MARGIN - 1) / 2, y - height * (MARGIN - 1) / 2
    first = max(0, min(wide - 1, math.floor(left))), max(0, min(high - 1, math.floor(top)))
    last = min(wide, math.ceil(left + MARGIN * width)), min(high, math.ceil(top + MARGIN * height))
    return first[1], first[0], max(1, last[1] - first[1]), max(1, last[0] - first[0])


def _group(image: Mapping[str, Any]) -> str:
    return next((worded(str(image[key])) for key in _GROUPS if image.get(key) not in (None, "")), "")
