"""DeepLabCut projects as they are found: both kinds of rows, missing labels and images, mixed sizes, and what is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convsmith.data import Files, Joints, load_data, load_to_score
from convsmith.data.readers.points.deeplabcut import project_at, read_project, read_table_alone
from convsmith.data.readers.points.header import Header
from convsmith.data.readers.points.tables import read_labels
from convsmith.errors import DataError
from data_food import noise

PARTS = ("nose", "eye", "tail")
with_pandas = pytest.mark.skipif(
    importlib.util.find_spec("pandas") is None or importlib.util.find_spec("tables") is None,
    reason="pandas and tables, the extra `pose`, are not installed",
)


def row(folder: str, image: str, xy: np.ndarray, index: int) -> list[str]:
    path = ["labeled-data", folder, image] if index == 3 else [f"labeled-data/{folder}/{image}"]
    return path + ["" if np.isnan(value) else repr(float(value)) for value in xy.reshape(-1)]


def write_table(path: Path, rows: list[list[str]], parts: tuple[str, ...] = PARTS, index: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [*Header("Me", parts, index=index).lines(), *rows]
    path.write_text("\n".join(",".join(line) for line in lines) + "\n")


def write_project(
    root: Path, videos: dict[str, int], *, index: int = 1, config: str = "", parts: tuple[str, ...] = PARTS
) -> Path:
    """A project with so many frames of each video, whose points are drawn by chance."""
    for number, (video, n) in enumerate(videos.items()):
        folder = root / "labeled-data" / video
        folder.mkdir(parents=True)
        xy = np.random.default_rng(number).uniform(2, 20, (n, len(parts), 2))
        for i in range(n):
            Image.fromarray(noise(24 + number, 30, 3, seed=[number, i])).save(folder / f"img{i:03}.png")
        rows = [row(video, f"img{i:03}.png", xy[i], index) for i in range(n)]
        write_table(folder / "CollectedData_Me.csv", rows, parts, index)
    listed = "".join(f"- {part}\n" for part in parts)
    text = config or f"scorer: Me\nbodyparts:\n{listed}skeleton: [[nose, eye], [eye, tail]]\nmultianimalproject:\n"
    (root / "config.yaml").write_text(text)
    return root


def joints(part: object) -> Joints:
    targets = part.split.targets  # type: ignore[attr-defined]
    assert isinstance(targets, Joints)
    return targets


# ---- real projects ---------------------------------------------------------------------------------------------------


def test_the_example_projects_are_read_whole(shared_data: Path) -> None:
    """Oracle 11: 116 x 4 and 55 x 5 labels, of which 42 are missing, and two sizes in one project."""
    examples = shared_data / "dlc-examples"
    mouse = read_project(examples / "openfield-Pranav-2018-10-30", None)
    assert joints(mouse).xy.shape == (116, 4, 2) and np.isfinite(joints(mouse).xy).all()
    assert mouse.classes == ("snout", "leftear", "rightear", "tailbase") and joints(mouse).body.pairs == ((1, 2),)
    assert set(mouse.split.groups) == {"m4s1"}
    reach = read_project(examples / "Reaching-Mackenzie-2018-08-30", None)
    missing = np.isnan(joints(reach).xy[..., 0]).sum(0)
    assert joints(reach).xy.shape == (55, 5, 2) and dict(zip(reach.classes, missing, strict=True)) == {
        "Hand": 1, "Finger1": 1, "Tongue": 40, "Joystick1": 0, "Joystick2": 0,
    }  # fmt: skip
    assert joints(reach).body.bones == ((0, 1), (3, 4))
    sizes = [reach.split.inputs.size(i) for i in range(55)]
    assert sizes.count((747, 832)) == 40 and sizes.count((470, 640)) == 15


@with_pandas
def test_the_h5_says_what_the_csv_says(shared_data: Path) -> None:
    """Oracle 11, and a scale of oracle 5 to the last digit."""
    for folder in sorted((shared_data / "dlc-examples").glob("*/labeled-data/*")):
        csv, h5 = (read_labels(next(folder.glob(f"*.{ending}"))) for ending in ("csv", "h5"))
        assert csv.header == h5.header and csv.frames == h5.frames
        assert np.array_equal(csv.xy, h5.xy, equal_nan=True)
    table = read_labels(shared_data / "horse10" / "labels-Brownhorseoutofshadow" / "CollectedData_Byron.h5")
    assert table.xy.shape == (341, 22, 2)


def test_a_scale_is_the_median_over_all_frames_of_the_individual() -> None:
    """Oracle 5: frames that lack one of the two are passed over, and get the scale all the same."""
    from convsmith.data import Body

    xy = np.full((4, 2, 2), 0.0)
    xy[:, 1, 0] = (3, 5, 100, np.nan)
    found = Joints.of(xy, Body(("nose", "eye"), ruler=(0, 1)), ("a",) * 4)
    assert found.scales.tolist() == [5.0] * 4


@with_pandas
def test_the_scale_of_a_real_horse_is_the_official_one(shared_data: Path) -> None:
    """Oracle 5."""
    from convsmith.data.readers.points.bodies import body_of

    table = read_labels(shared_data / "horse10" / "labels-Brownhorseoutofshadow" / "CollectedData_Byron.h5")
    body, said = body_of(table.header.bodyparts, (), None, "horse")
    found = Joints.of(table.xy, body, ("horse",) * len(table.xy))
    assert found.scales[0] == pytest.approx(16.224980739587952, abs=1e-12) and "Nose to Eye" in said[0]


# ---- rows, names and places ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [1, 3])
def test_both_kinds_of_rows_say_the_same(tmp_path: Path, index: int) -> None:
    root = write_project(tmp_path / "p", {"b": 3, "a": 2}, index=index)
    part = read_project(root, None)
    assert part.split.groups == ("a", "a", "b", "b", "b") and part.classes == PARTS
    assert isinstance(part.split.inputs, Files) and all(Path(path).is_file() for path in part.split.inputs.paths)
    assert np.allclose(joints(part).xy[2:], np.random.default_rng(0).uniform(2, 20, (3, 3, 2)))
    assert joints(part).body.bones == ((0, 1), (1, 2)) and joints(part).body.ruler == (0, 1)


def test_a_header_comes_back_from_its_own_lines() -> None:
    for header in (Header("A", PARTS), Header("B", PARTS, ("x", "y", "likelihood"), 3)):
        assert Header.of(header.lines(), "it") == header
    assert Header("A", ("x1",), index=3).lines()[2] == ["coords", "", "", "x", "y"]


def test_the_folder_of_labels_stands_for_its_project(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"a": 4, "b": 4})
    assert project_at(root) == root and project_at(root / "labeled-data") == root.resolve()
    assert len(load_data(root / "labeled-data").train) + len(load_data(root / "labeled-data").val) == 8
    assert project_at(tmp_path) is None
    (tmp_path / "config.yaml").write_text("what: another tool's\n")
    assert project_at(tmp_path) is None
    (root / "config.yaml").unlink()
    assert len(read_project(root, None).split) == 8


def test_a_table_alone_finds_its_pictures(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"a": 4})
    assert len(read_table_alone(root / "labeled-data" / "a" / "CollectedData_Me.csv", None).split) == 4
    moved = tmp_path / "flat"
    (root / "labeled-data" / "a").rename(moved)
    for place in (moved / "CollectedData_Me.csv", moved):
        found = load_data(place)
        assert len(found.train) + len(found.val) == 4 and "there is one individual" in found.split_note


def test_frames_without_their_image_are_listed_and_still_tell_the_scale(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"a": 5, "b": 5})
    whole = read_project(root, None)
    (root / "labeled-data" / "a" / "img001.png").unlink()
    part = read_project(root, None)
    assert len(part.split) == 9 and [Path(one.path).name for one in part.skipped] == ["img001.png"]
    assert joints(part).scales[0] == joints(whole).scales[0]
    found = load_data(root)
    assert len(found.skipped) == 1 and "no such image" in found.skipped[0].why


def test_body_parts_in_another_order_are_known_by_name(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"a": 3, "b": 3})
    path = root / "labeled-data" / "b" / "CollectedData_Me.csv"
    before = joints(read_project(root, None)).xy
    table = read_labels(path)
    rows = [row("b", f"img{i:03}.png", xy[[2, 0, 1]], 1) for i, xy in enumerate(table.xy)]
    write_table(path, rows, ("tail", "nose", "eye"))
    assert np.array_equal(joints(read_project(root, None)).xy, before)


def test_it_is_scored_by_name_and_what_is_not_there_is_told(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"a": 3, "b": 3})
    found = load_to_score(root, ("eye", "ear", "nose"), Joints)
    assert isinstance(found.split.targets, Joints) and found.missing == ("ear",)
    own = joints(read_project(root, None)).xy
    assert np.array_equal(found.split.targets.xy[:, [2, 0]], own[:, :2])
    assert np.isnan(found.split.targets.xy[:, 1]).all() and any("tail" in note for note in found.notes)
    assert found.split.targets.body.ruler == (2, 0)
    with pytest.raises(DataError, match="was not trained on"):
        load_to_score(root, ("hoof", "horn"), Joints)


def test_a_ruler_can_be_named(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"a": 3, "b": 3})
    assert joints(read_project(root, "nose,tail")).body.ruler == (0, 2)
    for ruler, said in (("nose", "two body parts"), ("nose,ear", "no body part of p"), ("eye,eye", "two body parts")):
        with pytest.raises(DataError, match=said):
            read_project(root, ruler)


# ---- what is refused, or told ----------------------------------------------------------------------------------------


def broken(root: Path, text: str) -> str:
    """What is said of a project whose first table has `text` for its first line of numbers."""
    path = next(root.glob("labeled-data/*/*.csv"))
    lines = path.read_text().splitlines()
    lines[3] = text
    path.write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        load_data(root)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("labeled-data/a/img000.png,1,2,3,x4,5,6", "line 4, y of 'eye' is 'x4'"),
        ("labeled-data/a/img000.png,1,2,3,4,5", "line 4 has 6 cells for 7 columns"),
        ("labeled-data/a/img000.png,1,2,3,4,5,6,7", "line 4 has 8 cells for 7 columns"),
        ("labeled-data/a/img000.png,1,2,3,,5,6", "'eye' in labeled-data/a/img000.png has one of x and y"),
        ("labeled-data/a/img000.png,1,2,3,inf,5,6", "is infinite"),
        ("labeled-data/a/img001.png,1,2,3,4,5,6", "has the frame labeled-data/a/img001.png twice"),
    ],
)
def test_what_is_wrong_in_a_table_is_said_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    message = broken(write_project(tmp_path / "p", {"a": 3}), text)
    assert said in message and "\n" not in message


def test_projects_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    several = write_project(tmp_path / "several", {"a": 2}, config="multianimalproject: true\nbodyparts: MULTI!\n")
    with pytest.raises(DataError, match="several animals"):
        load_data(several)
    empty = write_project(tmp_path / "empty", {"a": 2})
    next(empty.glob("labeled-data/*/*.csv")).unlink()
    with pytest.raises(DataError, match="has no labels"):
        load_data(empty)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.yaml").write_text("bodyparts: [a]\n")
    with pytest.raises(DataError, match="no folder labeled-data"):
        load_data(bare)
    odd = write_project(tmp_path / "odd", {"a": 2}, config="bodyparts: [")
    with pytest.raises(DataError, match=r"config\.yaml cannot be read"):
        load_data(odd)
    lost = write_project(tmp_path / "lost", {"a": 2})
    for image in lost.glob("labeled-data/*/*.png"):
        image.unlink()
    with pytest.raises(DataError, match=r"none of the 2 labelled frames of .*lost is there"):
        load_data(lost)


def test_body_parts_that_differ_between_files_are_refused(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"a": 2, "b": 2})
    path = root / "labeled-data" / "b" / "CollectedData_Me.csv"
    path.write_text(path.read_text().replace("tail", "hoof"))
    with pytest.raises(DataError, match=r"has other body parts than .*: it has 'hoof' and it lacks 'tail'"):
        load_data(root)


def test_predictions_are_no_labels(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"a": 1})
    path = root / "labeled-data" / "a" / "CollectedData_Me.csv"
    lines = [*Header("Net", PARTS, ("x", "y", "likelihood")).lines(), ["labeled-data/a/img000.png", *"123456789"]]
    path.write_text("\n".join(",".join(line) for line in lines))
    with pytest.raises(DataError, match="labels have x and y"):
        load_data(root)


def test_a_part_that_is_never_labelled_and_an_individual_without_a_scale_are_told(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"a": 4, "b": 4, "c": 4})
    for video in "abc":
        path = root / "labeled-data" / video / "CollectedData_Me.csv"
        xy = read_labels(path).xy
        xy[:, 2] = np.nan
        if video != "a":
            xy[:, 1] = np.nan
        write_table(path, [row(video, f"img{i:03}.png", own, 1) for i, own in enumerate(xy)])
    found = load_data(root, divide="frame")
    assert any("never labelled" in note and note.endswith("tail") for note in found.notes)
    assert any("2 individuals" in note and "without a scale" in note for note in found.notes)
    for video in "abc":
        path = root / "labeled-data" / video / "CollectedData_Me.csv"
        write_table(path, [row(video, f"img{i:03}.png", np.full((3, 2), np.nan), 1) for i in range(4)])
    with pytest.raises(DataError, match="not one point that is labelled"):
        load_data(root)


def test_points_outside_their_pictures_are_told(tmp_path: Path) -> None:
    """A whole number is the middle of a pixel, so that -0.5 and the side less 0.5 are the borders."""
    root = write_project(tmp_path / "p", {"a": 4, "b": 4})
    path = root / "labeled-data" / "a" / "CollectedData_Me.csv"
    xy = read_labels(path).xy
    height, width = load_data(root, divide="frame").train.inputs.size(0)
    for far, told in (((width - 0.5, height - 0.5), False), ((width - 0.4, 0), True), ((0, -0.6), True)):
        xy[:, 1] = far
        write_table(path, [row("a", f"img{i:03}.png", own, 1) for i, own in enumerate(xy)])
        notes = load_data(root, divide="frame").notes
        assert any("outside the picture" in note and note.endswith("first eye of a") for note in notes) == told


def test_points_and_labels_are_not_mixed(tmp_path: Path) -> None:
    from data_food import write_classes

    root = write_project(tmp_path / "p", {"a": 3, "b": 3})
    labels = write_classes(tmp_path / "labels", {"cat": 3, "dog": 3})
    with pytest.raises(DataError, match=r"has points in its pictures, and .* has labels"):
        load_data(root, val=labels)
    with pytest.raises(DataError, match="--divide and --ruler: digits has labels"):
        load_data("digits", divide="frame", ruler="a,b")
    from convsmith.data import Labels

    with pytest.raises(DataError, match="p has points in its pictures, and the network gives each image classes"):
        load_to_score(root, PARTS, Labels)
    with pytest.raises(DataError, match="has labels, and the network finds points"):
        load_to_score(labels, ("cat", "dog"), Joints)


def test_another_project_can_validate(tmp_path: Path) -> None:
    root, other = write_project(tmp_path / "p", {"a": 3}), write_project(tmp_path / "q", {"z": 2})
    found = load_data(root, val=other)
    assert (len(found.train), len(found.val)) == (3, 2) and set(found.val.groups) == {"z"}
    strange = write_project(tmp_path / "r", {"z": 2}, parts=("nose", "eye", "hoof"))
    with pytest.raises(DataError, match=r"body part 'hoof' of .* is not among the 3 training body parts"):
        load_data(root, val=strange)


def test_without_pandas_an_h5_alone_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    path = tmp_path / "CollectedData_Me.h5"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="convsmith\\[pose\\]"):
        read_labels(path)
