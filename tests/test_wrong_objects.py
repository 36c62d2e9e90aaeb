"""What may be wrong in COCO's JSON, rule by rule, as people meet it: on the command line, refused by name or mended and counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from coco_files import GAPPED, HEIGHT, WIDTH, annotation, filled, masked, runs, write
from convsmith.cli import main
from convsmith.codec import to_json
from test_detect_task import small
from test_verbs_and_folders import place

__all__ = ["place"]

# What is right, and is there in every case: an object in each of eight pictures.
FINE = [masked(k + 1, k, (4, 5, 24, 25)) for k in range(8)]
SIZES = [{"id": k, "file_name": f"{k}.png", "height": HEIGHT, "width": WIDTH} for k in range(8)]


def with_mask(mask: object) -> dict[str, Any]:
    return annotation(99, 1, [1, 1, 8, 8], segmentation=mask)


def turned(path: Path) -> None:
    """The first picture as a camera on its side stores it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH), "white").save(path.parent / "images" / "0.png", exif=exif)


@dataclass(frozen=True)
class Case:
    """What stands in the file beside what is right, and what is said of it; `code` is 2 where that ends it."""

    said: tuple[str, ...]
    annotations: tuple[dict[str, Any], ...] = ()
    change: dict[str, Any] | None = None
    pictures: Callable[[Path], None] | None = None
    code: int = 2


# fmt: off
CASES = {
    # 1: x, y, width, height
    "box of three numbers": Case(("annotation 99 has the box [1, 2, 3]",), (masked(99, 0, (1, 2, 4, 6), bbox=[1, 2, 3]),)),
    "box as corners": Case(
        ("boxes that do not fit their masks (a box is x, y, width, height): 1 annotation, 99 first",),
        (masked(99, 0, (30, 20, 40, 30), bbox=[30, 20, 40, 30]),), code=0,
    ),
    # 2: categories
    "category unknown": Case(("annotation 99 is of category 3", "it has 18, 90"),
                             (annotation(99, 0, [1, 1, 9, 9], category_id=3),)),
    "category twice": Case(("two categories have the id 18",), change={"categories": [*GAPPED, {"id": 18, "name": "cat"}]}),
    # 3: crowds alone teach nothing
    "crowds alone": Case(("has pictures, and not one object to train on",), change={
        "annotations": [annotation(k, k, [1, 1, 9, 9], iscrowd=1, segmentation=runs(filled(1, 1, 10, 10))) for k in range(8)]}),
    # 4: masks
    "no polygon": Case(("annotation 99 has no mask",), (with_mask([]),)),
    "empty polygon": Case(("annotation 99 has a mask that is none: a polygon of 0 numbers",), (with_mask([[]]),)),
    "polygon of four numbers": Case(("annotation 99", "a polygon of 4 numbers"), (with_mask([[1, 1, 9, 9]]),)),
    "polygon of seven numbers": Case(("annotation 99", "a polygon of 7 numbers"), (with_mask([[1, 1, 9, 1, 9, 9, 1]]),)),
    "runs of another size": Case(("annotation 99", "its size is [60, 40]"), (with_mask({"size": [60, 40], "counts": "P"}),)),
    "runs that do not add up": Case(("annotation 99", "its runs are of 10 pixels"),
                                    (with_mask({"size": [HEIGHT, WIDTH], "counts": [5, 5]}),)),
    # 5, 6: areas and numbers
    "number twice, number 0, no area": Case(
        ("told apart all the same: 1", "number 0", "areas that are not there are taken from the masks"),
        (masked(8, 0, (30, 5, 50, 25)), masked(0, 1, (30, 5, 50, 25))), code=0,
    ),
    # 7: pictures without objects
    "nothing in any picture": Case(("has pictures, and not one object to train on",), change={"annotations": []}),
    "a picture without annotations": Case((), change={"annotations": FINE[:7]}, code=0),
    # 8: boxes of nothing
    "boxes of nothing": Case(
        ("left out, since their boxes have no width or height: 2 annotations, 97 first",
         "left out, since they lie outside of their pictures: 1 annotation, 99 first",
         "boxes that reach beyond their pictures are cut off in training: 1 annotation, 96 first"),
        (masked(96, 0, (50, 5, 60, 14), bbox=[50, 5, 20, 9]), masked(97, 0, (5, 5, 6, 14), bbox=[5, 5, 0, 9]),
         masked(98, 0, (5, 5, 6, 14), bbox=[5, 5, 9, -2]), masked(99, 0, (5, 5, 6, 14), bbox=[60, 5, 9, 9])), code=0,
    ),
    # 9: sizes
    "a size that disagrees": Case(("it is 60x40, and its annotations are of 60x41",),
                                  change={"images": [{**SIZES[0], "height": 41}, *SIZES[1:]]}, code=0),
    "no size agrees": Case(("none of the pictures", "it is 60x40"), change={"images": [{**one, "height": 41} for one in SIZES]}),
    "a picture that is not there": Case(("it is annotated, and there is no such image",),
                                        change={"images": [{**SIZES[0], "file_name": "lost.png"}, *SIZES[1:]]}, code=0),
    # 10: turned pictures
    "turned": Case(("turned as the camera was held",), pictures=turned, code=0),
    # 13: what does not fit together
    "a file name twice": Case(("two images have the file name '0.png'",),
                              change={"images": [SIZES[0], {**SIZES[1], "file_name": "0.png"}, *SIZES[2:]]}),
    "a picture unknown": Case(("annotation 99 is of image 77, which is not there",), (annotation(99, 77, [1, 1, 9, 9]),)),
    "no json": Case(("cannot be read as JSON",), pictures=lambda path: path.write_text("{") and None),
}
# fmt: on


@pytest.mark.parametrize("case", CASES.values(), ids=[name.replace(" ", "_") for name in CASES])
def test_each_wrong_input_is_refused_by_name_or_mended_and_counted(
    case: Case, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(place / "data", [*FINE, *case.annotations], images=8)
    if case.change is not None:
        path.write_text(json.dumps(json.loads(path.read_text()) | case.change))
    if case.pictures is not None:
        case.pictures(path)
    (place / "net.json").write_text(to_json(small()))
    code = main(["train", "net.json", str(path), "--resolution", "64", "--dry-run", "--set", "batch=2"])
    told = " ".join(capsys.readouterr().err.split())
    assert code == case.code and all(one in told for one in case.said), told
    assert "Traceback" not in told and not (place / "runs").exists()
    if code == 2:
        assert told.count("error:") == 1
