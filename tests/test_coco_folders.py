"""Where COCO's files and their pictures are looked for, and what they are taken for."""

from __future__ import annotations

from pathlib import Path

import pytest

from coco_files import annotation, write
from convsmith.data import Objects, load_data, load_to_score
from convsmith.errors import DataError


@pytest.mark.parametrize(
    "names",
    [
        ("train.json", "val.json"), ("annotations/train.json", "annotations/valid.json"),
        ("annotations/instances_train2017.json", "annotations/instances_val2017.json"),
    ],
)  # fmt: skip
def test_parts_are_found_by_the_names_of_their_files(tmp_path: Path, names: tuple[str, str]) -> None:
    """Categories of the second file go by name, not by number."""
    write(tmp_path, [annotation(1, 0, [1, 1, 9, 9]), annotation(2, 1, [1, 1, 9, 9], category_id=90)], name=names[0])
    other = [{"id": 3, "name": "cup"}, {"id": 4, "name": "dog"}]
    write(tmp_path, [annotation(1, 1, [2, 2, 9, 9], category_id=3)], name=names[1], categories=other)
    data = load_data(tmp_path)
    assert data.classes == ("dog", "cup") and len(data.train) == 2 and not data.divided
    assert isinstance(data.val.targets, Objects)
    assert data.val.targets.truths[1].labels.tolist() == [2] and data.val.targets.category_ids == (4, 3)
    assert data.counts.tolist() == [[1, 1], [0, 1]]
    assert data.to_record()["objects"] == [2, 1] and "points" not in data.to_record()
    assert data.split_note == f"{'' if '/' in names[1] else tmp_path.name + '/'}{names[1]}, as it is"


def test_pictures_lie_beside_the_file_of_their_part(tmp_path: Path) -> None:
    """As Roboflow hands them out."""
    for part in ("train", "valid"):
        path = write(tmp_path / part, [annotation(1, 0, [1, 1, 9, 9])], name="_annotations.coco.json")
        for picture in (tmp_path / part / "images").iterdir():
            picture.rename(path.parent / picture.name)
    data = load_data(tmp_path)
    assert (len(data.train), len(data.val), data.divided) == (2, 2, False)


def test_a_file_of_key_points_is_poses_unless_objects_are_asked_for(shared_data: Path) -> None:
    """Four photographs of COCO with fourteen people."""
    folder = shared_data / "coco-mini"
    assert load_data(folder).classes[0] == "nose"
    for place in (folder, folder / "annotations.json"):
        data = load_data(place, task="detect")
        assert data.classes == ("person",) and sum(data.to_record()["objects"]) == 14  # type: ignore[call-overload]
    scored = load_to_score(folder, ("person",), Objects)
    assert len(scored.split) == 4 and not scored.missing
    with pytest.raises(DataError, match="--task is 'detection'; did you mean 'detect'"):
        load_data(folder, task="detection")


def test_real_nuclei_are_read(shared_data: Path) -> None:
    """200 images in two files beside one folder; 3,413 and 1,286 nuclei."""
    data = load_data(shared_data / "instances-mini" / "nuclei")
    assert (len(data.train), len(data.val)) == (150, 50)
    assert data.to_record()["objects"] == [3413, 1286] and data.notes == () and data.sides == (256, 256)


def test_other_options_and_other_data_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [annotation(1, 0, [1, 1, 9, 9])])
    with pytest.raises(
        DataError, match=r"--divide and --ruler: .* has objects in its pictures, and these are of points"
    ):
        load_data(path, divide="frame", ruler="a,b")
    with pytest.raises(DataError, match="--category chooses one of COCO's categories, and digit-scenes has none"):
        load_data("digit-scenes", category="3")
    with pytest.raises(DataError, match=r"--task pose: .* nothing says where their points are"):
        load_data(path, task="pose")
    with pytest.raises(DataError, match="--task detect: digits has labels"):
        load_data("digits", task="detect")
    with pytest.raises(DataError, match="--task detect: quad30 has points in its pictures, and no boxes"):
        load_data("quad30", task="detect")
    with pytest.raises(DataError, match=r"digits has labels, and .* has objects in its pictures"):
        load_data("digits", val=path)
    with pytest.raises(DataError, match="has objects in its pictures, and the network finds points"):
        from convsmith.data import Joints

        load_to_score(path, ("dog",), Joints)
