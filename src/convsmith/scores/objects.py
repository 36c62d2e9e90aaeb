"""What of an evaluation of detectors is worth drawing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, final

from .blocks import Block

__all__ = ["Curve", "Curves", "ErrorKind", "ErrorKinds", "Scene", "Scenes", "Thing"]

_PATH = re.compile(r"[MhvzHVL0-9. -]*")
Place = tuple[float, float, float, float]


@dataclass(frozen=True)
class Curve:
    """Values at as many equal steps of the x axis, from 0 to 1."""

    name: str
    values: tuple[float, ...]


@final
@dataclass(frozen=True)
class Curves(Block):
    """The precision at each recall, by mask or box and by overlap."""

    kind: ClassVar[str] = "curves"
    bulky: ClassVar[tuple[str, ...]] = ("curves",)
    curves: tuple[Curve, ...]

    def to_record(self) -> dict[str, object]:
        return {"curves": [{"name": one.name, "values": list(one.values)} for one in self.curves]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self | None:
        if not record.get("curves"):
            return None
        return cls(tuple(Curve(str(one["name"]), tuple(map(float, one["values"]))) for one in record["curves"]))


@dataclass(frozen=True)
class ErrorKind:
    """Mistakes of one kind: how many, and what AP at an overlap of 0.5 would gain were they mended."""

    name: str
    count: int
    cost: float


@final
@dataclass(frozen=True)
class ErrorKinds(Block):
    """The mistakes of a detector by kind; `right` detections are none. `of` says by what they were told, masks or boxes."""

    kind: ClassVar[str] = "error_kinds"
    of: str
    right: int
    kinds: tuple[ErrorKind, ...]

    def to_record(self) -> dict[str, object]:
        return {"error_kinds": {"of": self.of, "right": self.right, "kinds": [asdict(one) for one in self.kinds]}}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self | None:
        if (one := record.get("error_kinds")) is None:
            return None
        kinds = tuple(ErrorKind(str(each["name"]), int(each["count"]), float(each["cost"])) for each in one["kinds"])
        return cls(str(one["of"]), int(one["right"]), kinds)


@dataclass(frozen=True)
class Thing:
    """An object in a picture, that is there or was found: the number of its name from 0, its box (x1, y1, x2, y2) in the picture's
    own pixels, and its outline as the path of an SVG in those, empty of a box alone. `score` is of one that was found, None of a
    truth; `right`: a detection that found something, or a truth that was found."""

    label: int
    box: Place
    outline: str = ""
    score: float | None = None
    right: bool = True


@dataclass(frozen=True)
class Scene:
    """A picture with what is there and what was found there. `missed` truths, `wrong` detections; `error` is their share of all.
    `image` is a picture as a data URI, and `place` the part of the picture that it shows, (left, top, right, bottom)."""

    true: tuple[Thing, ...]
    found: tuple[Thing, ...]
    missed: int
    wrong: int
    error: float
    image: str = ""
    place: Place = (0.0, 0.0, 0.0, 0.0)
    path: str | None = None
    index: int | None = None


@final
@dataclass(frozen=True)
class Scenes(Block):
    """The pictures in which most is wrong, the worst first. `names` are what is found; only what scores `cutoff` or more counts."""

    kind: ClassVar[str] = "scenes"
    bulky: ClassVar[tuple[str, ...]] = ("scenes",)
    names: tuple[str, ...]
    worst: tuple[Scene, ...]
    cutoff: float = 0.5

    def to_record(self) -> dict[str, object]:
        return {
            "scenes": {
                "names": list(self.names),
                "cutoff": self.cutoff,
                "worst": [
                    {key: value for key, value in vars(one).items() if key not in ("true", "found")}
                    | {"true": list(map(_plain, one.true)), "found": list(map(_plain, one.found))}
                    for one in self.worst
                ],
            }
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self | None:
        if (one := record.get("scenes")) is None:
            return None
        return cls(tuple(map(str, one["names"])), tuple(map(_scene, one["worst"])), float(one["cutoff"]))


def _plain(one: Thing) -> dict[str, object]:
    """What is not as usual, for there are many."""
    record: dict[str, object] = {"label": one.label, "box": list(one.box)}
    if one.outline:
        record["outline"] = one.outline
    if one.score is not None:
        record["score"] = one.score
    return record if one.right else record | {"right": False}


def _scene(one: Mapping[str, Any]) -> Scene:
    return Scene(
        true=tuple(map(_thing, one["true"])),
        found=tuple(map(_thing, one["found"])),
        missed=int(one["missed"]),
        wrong=int(one["wrong"]),
        error=float(one["error"]),
        image=str(one["image"]),
        place=_four(one["place"]),
        path=one["path"],
        index=one["index"],
    )


def _thing(one: Mapping[str, Any]) -> Thing:
    outline, score = str(one.get("outline", "")), one.get("score")
    if not _PATH.fullmatch(outline):
        raise ValueError("an outline is no path of lines")
    return Thing(
        int(one["label"]), _four(one["box"]), outline, None if score is None else float(score), bool(one.get("right", True))
    )  # fmt: skip


def _four(values: Any) -> Place:
    left, top, right, bottom = map(float, values)
    return left, top, right, bottom
