"""COCO's key points: visibility, pairs by name, boxes, categories, and files that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convsmith.data import Boxed, Joints, Split, eval_batches, load_data
from convsmith.data.readers.parts import Part
from convsmith.data.readers.points.bodies import pairs_of
from convsmith.data.readers.points.coco import read_coco
from convsmith.errors import DataError
from data_food import noise

NAMES = ["nose", "left_eye", "right_eye"]


def category(number: int = 1, name: str = "cat", names: list[str] = NAMES) -> dict[str, Any]:
    return {"id": number, "name": name, "keypoints": names, "skeleton": [[1, 2], [1, 3]]}


def annotation(number: int, image: int, points: list[float], **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": 1, "keypoints": points, "iscrowd": 0} | more


def write(folder: Path, annotations: list[dict[str, Any]], *, categories: list[dict[str, Any]] | None = None,
          images: int = 2, **of_images: Any) -> Path:  # fmt: skip
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for k in range(images):
        Image.fromarray(noise(40, 60, 3, seed=k)).save(folder / "images" / f"{k}.png")
        rows.append({"id": k, "file_name": f"{k}.png", "height": 40, "width": 60} | of_images)
    path = folder / "annotations.json"
    path.write_text(json.dumps({"images": rows, "annotations": annotations, "categories": categories or [category()]}))
    return path


def joints(part: Part) -> Joints:
    assert isinstance(part.split.targets, Joints)
    return part.split.targets


SEEN = [10, 11, 2, 12, 13, 1, 14, 15, 2]


def test_a_visibility_of_0_is_missing_and_1_is_not(tmp_path: Path) -> None:
    path = write(tmp_path, [annotation(1, 0, [0, 0, 0, 5, 6, 1, 7, 8, 2]), annotation(2, 1, [3, 4, 0, *SEEN[3:]])])
    found = joints(read_coco(path, None, None))
    assert np.array_equal(found.xy[0], [[np.nan, np.nan], [5, 6], [7, 8]], equal_nan=True)
    assert np.isnan(found.xy[1, 0]).all()
    assert found.body.pairs == ((1, 2),) and found.body.bones == ((0, 1), (0, 2)) and found.body.ruler == (0, 1)


def test_pairs_are_known_by_their_names() -> None:
    for one, other in (("left_ear", "right_ear"), ("LeftEar", "rightear"), ("L_Ear", "R_Ear"), ("ear_l", "ear_r"),
                       ("l-paw", "r-paw"), ("front left paw", "front right paw")):  # fmt: skip
        assert pairs_of(["nose", one, other]) == ((1, 2),), one
    assert pairs_of(["tail", "rail", "left_hand", "nearhoof", "offhoof", "elbow", "erbow"]) == ()


def test_each_annotation_is_cut_out_by_its_box_with_a_margin(tmp_path: Path) -> None:
    path = write(tmp_path, [annotation(1, 0, SEEN, bbox=[8, 10, 20, 16]), annotation(2, 0, SEEN)])
    split = read_coco(path, None, None).split
    assert isinstance(split.inputs, Boxed) and split.inputs.boxes.tolist() == [[8, 5, 20, 26], [0, 0, 40, 60]]
    whole = np.asarray(Image.open(tmp_path / "images" / "0.png"))
    assert np.array_equal(split.inputs.decode(0).permute(1, 2, 0), whole[8:28, 5:31])
    assert split.groups == ("0.png", "0.png") and len(set(joints(read_coco(path, None, None)).individuals)) == 2


@pytest.mark.parametrize("sides", [(20, 26), (32, 32), (40, 104)])
def test_points_go_where_the_box_goes_and_back(tmp_path: Path, sides: tuple[int, int]) -> None:
    """A dot in the picture is found where the network sees it, and its answer goes back to the picture's own pixels."""
    path = write(tmp_path, [annotation(1, 0, [16.3, 17.6, 2, 0, 0, 0, 0, 0, 0], bbox=[8, 10, 20, 16])])
    down, along = np.mgrid[:40, :60]
    dot = np.exp(-((along - 16.3) ** 2 + (down - 17.6) ** 2) / (2 * 1.5**2))
    Image.fromarray(np.rint(255 * dot).astype(np.uint8)).save(tmp_path / "images" / "0.png")
    batch = next(eval_batches(read_coco(path, None, None).split, sides=sides, batch=1, channels=1))
    image, point = batch.images[0, 0].numpy().astype(float), batch.answers.shown[0, 0].numpy()
    rows, columns = np.mgrid[: sides[0], : sides[1]]
    assert np.abs(np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum() - point).max() < 0.1
    assert np.allclose(batch.moves[0].back(point), (16.3, 17.6), atol=1e-4)
    assert np.allclose(batch.answers.truth[0, 0], (16.3, 17.6))


def test_people_of_one_picture_are_not_divided(tmp_path: Path) -> None:
    path = write(tmp_path, [annotation(k, k % 4, SEEN, bbox=[k, k, 20, 16]) for k in range(12)], images=4)
    found = load_data(path)
    assert len(found.train) == 9 and len(found.val) == 3 and not set(found.train.groups) & set(found.val.groups)
    assert found.mirror and found.sides == (20, 26)
    named = read_coco(
        write(tmp_path / "named", [annotation(k, k % 2, SEEN) for k in range(4)], group="herd"), None, None
    )
    assert set(named.split.groups) == {"herd"} == set(joints(named).individuals)


def test_one_of_several_categories_is_chosen(tmp_path: Path) -> None:
    both = [category(), category(2, "dog", ["nose", "tail", "paw"]), {"id": 3, "name": "tree"}]
    rows = [
        annotation(1, 0, SEEN),
        annotation(2, 1, SEEN) | {"category_id": 2},
        annotation(3, 1, SEEN) | {"category_id": 2},
    ]
    path = write(tmp_path, rows, categories=both)
    with pytest.raises(DataError, match="several categories: say with --category which of 'cat', 'dog'"):
        read_coco(path, None, None)
    with pytest.raises(DataError, match="did you mean 'dog'"):
        load_data(path, category="dogs")
    assert (
        read_coco(path, "dog", None).classes == ("nose", "tail", "paw") and len(read_coco(path, "dog", None).split) == 2
    )


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    rows = [
        annotation(1, 0, SEEN),
        annotation(2, 0, [0] * 9),
        annotation(3, 1, SEEN, iscrowd=1),
        annotation(4, 2, SEEN),
    ]
    path = write(tmp_path, [*rows, annotation(5, 1, SEEN)], images=3)
    (tmp_path / "images" / "2.png").unlink()
    Image.fromarray(noise(20, 60, 3)).save(tmp_path / "images" / "1.png")
    part = read_coco(path, None, None)
    assert len(part.split) == 1 and any("1 annotation" in n and "no point" in n for n in part.notes)
    assert any("crowds" in note for note in part.notes)
    assert {Path(one.path).name: one.why for one in part.skipped} == {
        "1.png": "it is 60x20, and its annotations are of 60x40",
        "2.png": "it is annotated, and there is no such image",
    }


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([annotation(7, 0, SEEN[:-1])], "annotation 7 has 8 numbers for 3 points"),
        ([annotation(7, 0, [*SEEN[:-1], 3])], "visibility that is none of 0, 1, 2"),
        ([annotation(7, 0, [*SEEN[:-1], "a"])], "no numbers"),  # type: ignore[list-item]
        ([annotation(7, 9, SEEN)], "annotation 7 is of image 9, which is not there"),
        ([annotation(7, 0, [0] * 9)], "has no annotation of 'cat' with a point"),
    ],
)
def test_wrong_annotations_say_which(tmp_path: Path, rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_data(write(tmp_path, rows))


def test_files_that_are_no_key_points(tmp_path: Path) -> None:
    for text, said in (("{", "cannot be read as JSON"), ("[]", "holds a list"), ("{}", "has no list 'categories'"),
                       ('{"categories": [{"id": 1}], "images": [], "annotations": []}', "has no key points")):  # fmt: skip
        path = tmp_path / "x.json"
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            read_coco(path, None, None)


def test_real_annotations(shared_data: Path) -> None:
    people = read_coco(shared_data / "coco-mini" / "annotations.json", None, None)
    assert len(people.split) == 12 and len(people.classes) == 17 and len(joints(people).body.pairs) == 8
    animals = read_coco(shared_data / "animalpose-mini" / "annotations.json", None, None)
    assert (~np.isnan(joints(animals).xy[..., 0])).sum(1).tolist() == [17, 15] and len(joints(animals).body.pairs) == 8
    horses = read_coco(shared_data / "horse10" / "sample-images" / "annotations.json", None, "Nose,Eye")
    assert joints(horses).body.pairs == () and isinstance(horses.split, Split)
    assert sorted(np.round(joints(horses).scales, 3).tolist())[:2] == [16.377, 17.082]
