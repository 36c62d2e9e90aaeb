"""COCO's objects: each rule of its JSON, what is mended and counted, and what is refused by the annotation's number."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coco_files import GAPPED, HEIGHT, WIDTH, annotation, filled, masked, read, runs, write
from convsmith.data import eval_batches, load_data
from convsmith.errors import DataError, UserError
from convsmith.rle import area_of, decoded_part, encoded, from_string, of_runs


def test_a_box_is_x_y_width_height_and_stays_as_it_is_written(tmp_path: Path) -> None:
    """Rule 1. It is not the mask's extent, and neither is rounded nor cut off."""
    _, found = read(write(tmp_path, [annotation(1, 0, [10.25, 5.5, 20, 8]), annotation(2, 1, [-3, -2, 10, 10])]))
    assert found.truths[0].boxes.tolist() == [[10.25, 5.5, 30.25, 13.5]]
    assert found.truths[1].boxes.tolist() == [[-3, -2, 7, 8]]


def test_categories_count_from_1_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """Rule 2. The numbers of the file are kept, to write results with."""
    part, found = read(
        write(tmp_path, [annotation(1, 0, [1, 1, 9, 9]), annotation(2, 1, [1, 1, 9, 9], category_id=90)])
    )
    assert part.classes == ("dog", "cup") and found.category_ids == (18, 90)
    assert [one.labels.tolist() for one in found.truths] == [[1], [2]]


def test_crowds_stay_in_the_truth_and_are_not_learnt(tmp_path: Path) -> None:
    """Rule 3. Their runs are a list of lengths, as COCO writes them."""
    mask = filled(20, 10, 50, 30)
    crowd = annotation(
        2, 0, [20, 10, 30, 20], iscrowd=1, segmentation={"size": [40, 60], "counts": of_runs(mask).tolist()}
    )
    _, found = read(write(tmp_path, [masked(1, 0, (1, 1, 9, 9)), crowd, masked(3, 1, (1, 1, 9, 9))]))
    one = found.truths[0]
    assert one.crowd.tolist() == [False, True] and one.rles is not None and one.rles[1] == encoded(mask)
    data = load_data(tmp_path / "annotations.json")
    batch = next(eval_batches(data.train.joined(data.val), sides=(HEIGHT, WIDTH), batch=2))
    assert sorted(len(own) for own in batch.answers.labels) == [1, 1]


def test_the_square_from_10_to_20_fills_a_hundred_pixels(tmp_path: Path) -> None:
    """Rule 4: corners of polygons are corners of pixels; several are one object."""
    pytest.importorskip("pycocotools")
    square, other = [10, 10, 20, 10, 20, 20, 10, 20], [30, 10, 40, 10, 40, 20, 30, 20]
    rows = [annotation(1, 0, [10, 10, 10, 10], segmentation=[square]),
            annotation(2, 1, [10, 10, 30, 10], segmentation=[square, other])]  # fmt: skip
    _, found = read(write(tmp_path, rows))
    first, second = (one.rles[0] for one in found.truths if one.rles is not None)
    assert (area_of(from_string(first)), area_of(from_string(second))) == (100, 200)
    assert decoded_part(from_string(first), (HEIGHT, WIDTH), (10, 10, 10, 10)).all()


def test_polygons_need_a_package_and_runs_need_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("pycocotools", "faster_coco_eval.core"):
        monkeypatch.setitem(sys.modules, package, None)
    rows = [masked(1, 0, (1, 1, 9, 9)), annotation(2, 1, [1, 1, 9, 9], segmentation=[[1, 1, 9, 1, 9, 9]])]
    with pytest.raises(UserError, match=r"pip install 'convsmith\[coco\]'"):
        read(write(tmp_path, rows))
    assert len(read(write(tmp_path, rows[:1]))[1].truths[0]) == 1


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        ([], "annotation 7 has no mask, and 1 other of 2 have one"),
        (None, "annotation 7 has no mask"),
        ([[]], "annotation 7 has a mask that is none: a polygon of 0 numbers"),
        ([[1, 1, 9, 9]], "annotation 7 .* a polygon of 4 numbers"),
        ([[1, 1, 9, 1, 9, 9, 1]], "annotation 7 .* a polygon of 7 numbers"),
        ([[1, 1, 9, 1, 9, None]], "annotation 7 .* something else than numbers"),
        ([1, 1, 9, 1, 9, 9], "annotation 7 .* neither a list of polygons nor runs"),
        ({"size": [60, 40], "counts": "P"}, r"annotation 7 .* its size is \[60, 40\]"),
        ({"size": [40, 60], "counts": [5, 5]}, "annotation 7 .* its runs are of 10 pixels"),
        ({"size": [40, 60], "counts": "nonsense"}, "annotation 7 has a mask that is none"),
        ({"size": [40, 60]}, "annotation 7 .* neither a string nor whole numbers"),
    ],
)
def test_a_mask_that_is_none_is_refused_by_its_number(tmp_path: Path, mask: object, why: str) -> None:
    """Rule 4."""
    path = write(tmp_path, [masked(1, 0, (1, 1, 9, 9)), annotation(7, 1, [1, 1, 8, 8], segmentation=mask)])
    with pytest.raises(DataError, match=why):
        read(path)


def test_an_area_is_the_masks_where_none_is_given(tmp_path: Path) -> None:
    """Rule 5: one that is given stays, whatever the box is; else the mask's, else the box's."""
    rows = [masked(1, 0, (1, 1, 11, 11), area=33.5), masked(2, 1, (1, 1, 11, 11))]
    part, found = read(write(tmp_path, rows))
    assert [one.areas.tolist() for one in found.truths] == [[33.5], [100]]
    assert part.notes == ("areas that are not there are taken from the masks: 1 annotation, 2 first",)
    _, found = read(write(tmp_path, [annotation(1, 0, [1, 1, 2.5, 4])]))
    assert found.truths[0].areas.tolist() == [10]


def test_a_number_0_and_numbers_that_are_there_twice_are_told(tmp_path: Path) -> None:
    """Rule 6. No number of an annotation is kept, so none can be taken for none."""
    rows = [annotation(k, 0, [k + 1, 1, 9, 9], area=81) for k in (0, 3, 3)]
    part, found = read(write(tmp_path, rows))
    assert len(found.truths[0]) == 3
    assert "told apart all the same: 1" in part.notes[0] and "number 0" in part.notes[1]


def test_pictures_without_annotations_stay(tmp_path: Path) -> None:
    """Rule 7."""
    path = write(tmp_path, [annotation(1, 0, [1, 1, 9, 9])], images=3)
    _, found = read(path)
    assert [len(one) for one in found.truths] == [1, 0, 0] and found.truths[1].boxes.shape == (0, 4)
    data = load_data(path)
    assert len(data.train) + len(data.val) == 3


def test_boxes_of_nothing_are_left_out_and_counted(tmp_path: Path) -> None:
    """Rule 8. One of 0.3 pixels is told of nowhere, stays in the truth, and is not learnt."""
    rows = [
        annotation(1, 0, [5, 5, 0, 9], area=1), annotation(2, 0, [5, 5, 9, -2], area=1), annotation(3, 0, [60, 5, 9, 9], area=1),
        annotation(4, 0, [50, 5, 20, 9], area=1), annotation(5, 1, [5, 5, 0.3, 9], area=1), annotation(6, 1, [5, 5, 9, 9], area=1),
    ]  # fmt: skip
    part, found = read(write(tmp_path, rows))
    assert [len(one) for one in found.truths] == [1, 2]
    assert part.notes == (
        "left out, since their boxes have no width or height: 2 annotations, 1 first",
        "left out, since they lie outside of their pictures: 1 annotation, 3 first",
        "boxes that reach beyond their pictures are cut off in training: 1 annotation, 4 first",
    )
    batch = next(eval_batches(part.split, sides=(HEIGHT, WIDTH), batch=2))
    assert [one.tolist() for one in batch.answers.boxes] == [[[50, 5, 60, 14]], [[5, 5, 14, 14]]]


def test_a_mask_without_a_pixel_and_a_box_that_is_not_its_masks(tmp_path: Path) -> None:
    """The box's last two numbers are often meant as a corner."""
    rows = [masked(1, 0, (1, 1, 9, 9)), masked(2, 0, (30, 20, 40, 30), bbox=[30, 20, 40, 30]),
            annotation(3, 1, [1, 1, 9, 9], segmentation=runs(filled(0, 0, 0, 0)))]  # fmt: skip
    part, found = read(write(tmp_path, [row | {"area": 5} for row in rows]))
    assert [len(one) for one in found.truths] == [2, 0]
    assert "boxes that do not fit their masks (a box is x, y, width, height): 1 annotation, 2 first" in part.notes
    assert "left out, since their masks have no pixel: 1 annotation, 3 first" in part.notes


def test_a_box_that_is_not_there_is_the_masks(tmp_path: Path) -> None:
    row = masked(1, 0, (3, 4, 13, 24), area=200)
    del row["bbox"]
    part, found = read(write(tmp_path, [row]))
    assert found.truths[0].boxes.tolist() == [[3, 4, 13, 24]] and "taken from the masks" in part.notes[0]


@pytest.mark.parametrize("box", [None, [1, 2, 3], [1, 2, 3, None], [1, 2, 3, float("inf")], "1 2 3 4"])
def test_a_box_that_is_none_is_refused_by_its_number(tmp_path: Path, box: object) -> None:
    with pytest.raises(DataError, match="annotation 7 has the box"):
        read(write(tmp_path, [annotation(7, 0, box)]))  # type: ignore[arg-type]


def test_a_picture_of_another_size_is_skipped_and_listed(tmp_path: Path) -> None:
    """Rule 9; and one that is not there."""
    rows = [{"id": 0, "file_name": "0.png", "height": 41, "width": 60}, {"id": 1, "file_name": "1.png"},
            {"id": 2, "file_name": "lost.png", "height": 40, "width": 60}]  # fmt: skip
    path = write(tmp_path, [annotation(k, k, [1, 1, 9, 9]) for k in range(3)], rows=rows)
    part, found = read(path)
    assert len(found) == 1 and found.truths[0].size == (HEIGHT, WIDTH)
    assert [one.why for one in part.skipped] == [
        "it is 60x40, and its annotations are of 60x41",
        "it is annotated, and there is no such image",
    ]
    path = write(tmp_path, [annotation(1, 0, [1, 1, 9, 9])], rows=rows[:1])
    with pytest.raises(DataError, match=r"none of the pictures .* can be used, .*: it is 60x40"):
        read(path)


def turned(folder: Path, name: str, size: tuple[int, int], orientation: int) -> None:
    """A picture of `size` (width, height) as it is stored, whose upper left quarter is white."""
    picture = Image.new("L", size)
    picture.paste(255, (0, 0, size[0] // 2, size[1] // 2))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(folder / "images" / name, exif=exif)


def test_a_turned_picture_is_read_as_its_annotations_are(tmp_path: Path) -> None:
    """Rule 10: orientation 6 is upright after a quarter turn clockwise, which takes the upper left to the upper right."""
    write(tmp_path, [], images=0)
    for name, size in (("upright.png", (60, 40)), ("stored.png", (60, 40)), ("square.png", (40, 40))):
        turned(tmp_path, name, size, 6)
    sizes = (("upright.png", 60, 40), ("stored.png", 40, 60), ("square.png", 40, 40))
    rows = [{"id": k, "file_name": name, "height": high, "width": wide} for k, (name, high, wide) in enumerate(sizes)]
    part, found = read(write(tmp_path, [annotation(1, 0, [1, 1, 9, 9], area=81)], images=0, rows=rows))
    assert [one.size for one in found.truths] == [(60, 40), (40, 60), (40, 40)]
    images = [part.split.inputs.decode(i, channels=1)[0].numpy() for i in range(3)]
    assert [image.shape for image in images] == [one.size for one in found.truths]
    assert [(image[0, 0] > 0, image[0, -1] > 0) for image in images] == [(False, True), (True, False), (False, True)]
    assert part.notes == (
        "read as they are stored, not as the camera was held, since their annotations are of that size: 1 image, stored.png first",
        "turned as the camera was held, and their annotations taken for those of the turned: 2 images",
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"annotations": [annotation(7, 5, [1, 1, 9, 9])]}, "annotation 7 is of image 5, which is not there"),
        ({"annotations": [annotation(7, 0, [1, 1, 9, 9], category_id=3)]}, "annotation 7 is of category 3, .* it has 18, 90"),
        ({"images": [{"id": 1, "file_name": "0.png"}, {"id": 1, "file_name": "1.png"}]}, "two images have the id 1"),
        ({"images": [{"id": 1, "file_name": "0.png"}, {"id": 0, "file_name": "0.png"}]}, "two images have the file name '0.png'"),
        ({"images": [{"id": 1}]}, "an image without id or file_name"),
        ({"categories": [*GAPPED, {"id": 18, "name": "cat"}]}, "two categories have the id 18"),
        ({"categories": [*GAPPED, {"id": 19, "name": "dog"}]}, "two categories are called 'dog'"),
        ({"categories": []}, "has no categories"),
        ({"annotations": {}}, "it has no list 'annotations'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused_by_name(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    """Rules 2, 6 and 13."""
    path = write(tmp_path, [annotation(1, 0, [1, 1, 9, 9])])
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=why):
        read(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "it holds a list"),
        ("{}", "it has no list 'images'"),
        ('{"images": 3}', "no list"),
    ],
)
def test_a_file_that_is_none_of_cocos_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=why):
        load_data(tmp_path / "x.json")


def test_one_category_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, [annotation(1, 0, [1, 1, 9, 9]), annotation(2, 0, [1, 1, 5, 5], category_id=90)])
    part, found = read(path, "cup")
    assert part.classes == ("cup",) and found.category_ids == (90,)
    assert found.truths[0].boxes.tolist() == [[1, 1, 6, 6]] and found.truths[0].labels.tolist() == [1]
    with pytest.raises(DataError, match="has no 'cups'; did you mean 'cup'"):
        read(path, "cups")


def test_coco_goes_in_and_comes_out(tmp_path: Path, shared_data: Path) -> None:
    """O16, on the annotations of 100 real images in 80 categories: boxes to the last bit but one (x + w - x), masks as
    pycocotools draws them, categories by their numbers, crowds as crowds, in the order of the file."""
    library = pytest.importorskip("pycocotools.mask")
    source = shared_data / "instances-mini" / "coco-eval" / "instances_val2014_100.json"
    given = json.loads(source.read_text())
    (tmp_path / "images").mkdir()
    for row in given["images"]:
        Image.new("L", (row["width"], row["height"])).save(tmp_path / "images" / row["file_name"])
    (tmp_path / "instances.json").write_text(source.read_text())
    part, found = read(tmp_path / "instances.json")
    assert len(found) == 100 and len(part.classes) == 80 and max(found.category_ids) == 90
    assert not part.notes and not part.skipped
    rows: dict[int, list[dict[str, Any]]] = {row["id"]: [] for row in given["images"]}
    for row in given["annotations"]:
        rows[row["image_id"]].append(row)
    crowds = 0
    for one in found.truths:
        own = rows[int(one.image_id)]
        assert one.rles is not None and len(one) == len(own)
        for k, row in enumerate(own):
            x, y, w, h = row["bbox"]
            x1, y1, x2, y2 = one.boxes[k].tolist()
            assert (x1, y1) == (x, y) and abs(x2 - x1 - w) < 1e-12 * 640 and abs(y2 - y1 - h) < 1e-12 * 640
            assert found.category_ids[one.labels[k] - 1] == row["category_id"] and one.areas[k] == row["area"]
            assert one.crowd[k] == row["iscrowd"]
            crowds += row["iscrowd"]
            drawn = row["segmentation"]
            runs_ = library.frPyObjects(drawn, *one.size)
            theirs = library.merge(runs_) if isinstance(runs_, list) else runs_
            assert one.rles[k] == theirs["counts"]
    assert crowds == 9


def test_both_rasterisers_draw_the_same() -> None:
    one, other = pytest.importorskip("pycocotools.mask"), pytest.importorskip("faster_coco_eval.core.mask")
    rng = np.random.default_rng(0)
    for _ in range(20):
        polygon = (rng.random(12) * 60).tolist()
        first, second = (library.merge(library.frPyObjects([polygon], 40, 60))["counts"] for library in (one, other))
        assert first == (second if isinstance(second, bytes) else second.encode())
