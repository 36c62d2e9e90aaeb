"""Folders of pictures with masks, and YOLO's text files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convsmith.data import ImageData, Objects, load_data
from convsmith.data.readers.objects.layout import objects_at
from convsmith.data.readers.objects.masks import read_masks
from convsmith.errors import DataError
from convsmith.rle import decoded_part, from_string

SIZE = (20, 30)


def truths(data: ImageData) -> dict[str, list[list[float]]]:
    """The boxes of each picture of both parts."""
    found: dict[str, list[list[float]]] = {}
    for split in (data.train, data.val):
        assert isinstance(split.targets, Objects)
        found |= {str(one.image_id): sorted(one.boxes.tolist()) for one in split.targets.truths}
    return found


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def pictures(folder: Path, names: tuple[str, ...]) -> None:
    for k, name in enumerate(names):
        save(folder / f"{name}.png", np.full((*SIZE, 3), 40 + k, np.uint8))


def numbers(dtype: type = np.uint8) -> np.ndarray:
    """Two objects that touch: a square of 5 pixels at (3, 2), and one of 6 at (8, 2), of the number 300 where there is room."""
    mask = np.zeros(SIZE, dtype)
    mask[2:7, 3:8] = 1
    mask[2:8, 8:14] = 2 if dtype is np.uint8 else 300
    return mask


BOXES = [[3, 2, 8, 7], [8, 2, 14, 8]]


@pytest.mark.parametrize(("dtype", "ending"), [(np.uint8, ""), (np.uint16, "_mask"), (np.uint8, "_masks")])
def test_equal_numbers_in_a_mask_are_one_object(tmp_path: Path, dtype: type, ending: str) -> None:
    """Eight and sixteen bits; a mask of zeros is a picture without objects."""
    pictures(tmp_path / "images", ("a", "b", "c"))
    for name, mask in (("a", numbers(dtype)), ("b", np.zeros(SIZE, dtype)), ("c", numbers(dtype))):
        save(tmp_path / "masks" / f"{name}{ending}.png", mask)
    data = load_data(tmp_path)
    assert data.classes == ("object",)
    assert truths(data) == {"images/a.png": BOXES, "images/b.png": [], "images/c.png": BOXES}


def test_numbers_of_a_palette_count_and_not_its_colours(tmp_path: Path) -> None:
    pictures(tmp_path / "images", ("a", "b"))
    for name in ("a", "b"):
        picture = Image.fromarray(numbers()).convert("P")
        picture.putpalette([7, 7, 7] * 256)
        (tmp_path / "masks").mkdir(exist_ok=True)
        picture.save(tmp_path / "masks" / f"{name}.png")
    assert truths(load_data(tmp_path)) == {"images/a.png": BOXES, "images/b.png": BOXES}


def test_a_file_for_each_object_in_a_folder_for_each_picture(tmp_path: Path) -> None:
    """As the Data Science Bowl of 2018 has them: white in grey, or in colour; masks may lie over each other."""
    for name in ("p", "q"):
        pictures(tmp_path / name / "images", (name,))
    save(tmp_path / "p" / "masks" / "1.png", np.where(numbers() == 1, 255, 0).astype(np.uint8))
    save(tmp_path / "p" / "masks" / "2.png", np.where(numbers()[..., None] > 0, [255, 255, 255], 0).astype(np.uint8))
    save(tmp_path / "p" / "masks" / "3.png", np.zeros(SIZE, np.uint8))
    data = load_data(tmp_path)
    assert truths(data) == {"p/images/p.png": [[3, 2, 8, 7], [3, 2, 14, 8]], "q/images/q.png": []}
    assert "left out, since they have no pixel: 1 mask, 3.png first" in data.notes
    found = read_masks(tmp_path).split.targets
    assert isinstance(found, Objects) and found.truths[0].rles is not None
    assert (decoded_part(from_string(found.truths[0].rles[0]), SIZE, (0, 0, *SIZE)) == (numbers() == 1)).all()
    assert found.truths[0].areas.tolist() == [25, 61]


def test_parts_of_masks_are_folders(tmp_path: Path) -> None:
    for part in ("train", "val"):
        pictures(tmp_path / part / "images", ("a", "b"))
        for name in ("a", "b"):
            save(tmp_path / part / "masks" / f"{name}.png", numbers())
    data = load_data(tmp_path)
    assert (len(data.train), len(data.val), data.divided, data.split_note) == (2, 2, False, "the folder val/, as it is")


def test_masks_that_do_not_fit_are_told_or_refused(tmp_path: Path) -> None:
    """A picture without one, a mask without a picture, one number in all, another size, colours."""
    pictures(tmp_path / "images", ("a", "b", "c"))
    for name in ("a", "b", "z"):
        save(tmp_path / "masks" / f"{name}.png", (numbers() > 0).astype(np.uint8) * 255)
    data = load_data(tmp_path)
    assert [one.why for one in data.skipped] == ["it has no mask in masks/"]
    assert any("each mask has one number besides 0" in note for note in data.notes)
    assert any("z.png first: they lie in masks/, and no picture is called so" in note for note in data.notes)
    save(tmp_path / "masks" / "b.png", np.zeros((30, 20), np.uint8))
    with pytest.raises(DataError, match=r"the mask .*b.png is 20x30, and its picture 30x20"):
        load_data(tmp_path)
    save(tmp_path / "masks" / "b.png", np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(DataError, match=r"the mask .*b.png is in colour"):
        load_data(tmp_path)
    with pytest.raises(DataError, match="--category chooses one of COCO's"):
        load_data(tmp_path, category="cup")


def yolo(folder: Path, lines: dict[str, str | None], said: str = "names: [cup, dog]\n", part: str = "") -> Path:
    pictures(folder / "images" / part, tuple(lines))
    labels = folder / "labels" / part
    labels.mkdir(parents=True, exist_ok=True)
    for name, text in lines.items():
        if text is not None:
            (labels / f"{name}.txt").write_text(text)
    (folder / "data.yaml").write_text(said)
    return folder


def test_yolos_boxes_are_a_middle_and_two_sides_of_the_picture(tmp_path: Path) -> None:
    """In a picture of 30 x 20, class 1 at the middle, a third wide and half high. No file, and an empty one: no objects. A line
    that is there twice counts once."""
    line = "1 0.5 0.5 0.3333333333 0.5\n"
    data = load_data(yolo(tmp_path, {"a": line + "0 0.1 0.1 0.2 0.2\n" + line, "b": "", "c": None}))
    found = truths(data)
    np.testing.assert_allclose(found["images/a.png"], [[0, 0, 6, 4], [10, 5, 20, 15]], atol=1e-8)
    assert found["images/b.png"] == found["images/c.png"] == []
    assert (
        data.classes == ("cup", "dog")
        and "left out, since they are there twice: 1 line, a.txt, line 3 first" in data.notes
    )
    assert sum(data.to_record()["objects"]) == 2  # type: ignore[call-overload]


def test_yolos_outlines_are_masks(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    corners = "0 " + " ".join(f"{x / 30} {y / 20}" for x, y in ((3, 2), (13, 2), (13, 12), (3, 12)))
    parts = objects_at(yolo(tmp_path, {"a": corners, "b": corners}), None, None)
    assert parts is not None
    found = parts["all"]().split.targets
    assert isinstance(found, Objects) and found.masked and found.truths[0].areas.tolist() == [100]
    np.testing.assert_allclose(found.truths[0].boxes, [[3, 2, 13, 12]], atol=1e-9)


@pytest.mark.parametrize(
    "said",
    [
        "train: images/train\nval: images/val\nnames: {0: cup, 1: dog}\n",
        "path: .\ntrain: ../images/train\nval: [images/val]\nnames: [cup, dog]\n",
        "path: ../elsewhere\ntrain: list.txt\nval: images/val\nnames: [cup, dog]\n",
        "names: [cup, dog]\n",
    ],
)
def test_parts_of_yolo_are_where_its_yaml_says(tmp_path: Path, said: str) -> None:
    (tmp_path / "list.txt").write_text("images/train/a.png\nimages/train/b.png\n")
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2", "b": "1 0.5 0.5 0.2 0.2"}, said, "train")
    yolo(tmp_path, {"c": "0 0.5 0.5 0.2 0.2"}, said, "val")
    data = load_data(tmp_path)
    assert (len(data.train), len(data.val), data.divided) == (2, 1, False)
    assert data.counts.tolist() == [[1, 1], [1, 0]]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0 0.5 0.5 0.2", "a.txt, line 1 has 4 numbers"),
        ("0 0.5 0.5 0.2 0.2 0.3", "has 6 numbers"),
        ("2 0.5 0.5 0.2 0.2", "is of class 2, and the names are of 0 to 1"),
        ("0.5 0.5 0.5 0.2 0.2", "is of class 0.5"),
        ("0 15 10 6 5", "has 15; places are shares of the picture"),
        ("cup 0.5 0.5 0.2 0.2", "is 'cup 0.5 0.5 0.2 0.2'; give numbers"),
        ("0 nan 0.5 0.2 0.2", "has nan; places are shares"),
        ("", "not one object is labelled: .*a.txt is where"),
    ],
)
def test_a_line_that_is_none_is_refused_by_its_place(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        load_data(yolo(tmp_path, {"a": line, "b": ""}))


def test_boxes_and_outlines_are_not_mixed(tmp_path: Path) -> None:
    outline = "0 0.1 0.1 0.5 0.1 0.5 0.5"
    with pytest.raises(DataError, match=r"b\.txt has a box, and other lines have outlines"):
        load_data(yolo(tmp_path, {"a": outline, "b": "0 0.5 0.5 0.2 0.2"}))


def test_names_must_be_there(tmp_path: Path) -> None:
    folder = yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2", "b": "1 0.5 0.5 0.2 0.2"})
    (folder / "data.yaml").unlink()
    with pytest.raises(DataError, match="nothing says what the classes are"):
        load_data(folder)
    (folder / "classes.txt").write_text("cup\ndog\n")
    assert load_data(folder).classes == ("cup", "dog")
    (folder / "data.yaml").write_text("names: [cup, cup]\n")
    with pytest.raises(DataError, match="two classes called 'cup'"):
        load_data(folder)
    (folder / "data.yaml").write_text("train: gone\nnames: [cup, dog]\n")
    with pytest.raises(DataError, match=r"data.yaml names the images gone, and there are none"):
        load_data(folder)
