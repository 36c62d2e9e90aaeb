"""A table of files and labels: what it may look like, and what is said of a line that cannot be right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import TINY
from convsmith.cli.app import main
from convsmith.data import Files, ManyLabels, Split, divided, load_data
from convsmith.errors import DataError
from data_food import noise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shots").mkdir()
    for i in range(12):
        Image.fromarray(noise(9, 9 + i, 3, seed=i)).save(tmp_path / "shots" / f"{i}.png")
    return tmp_path


def table(folder: Path, *lines: str, name: str = "set.csv") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def labelled(folder: Path, header: str, labels: list[str]) -> Path:
    return table(folder, header, *(f"shots/{i}.png,{label}" for i, label in enumerate(labels)))


def numbers(split: Split, classes: tuple[str, ...]) -> dict[str, list[str]]:
    """The names of the classes by the name of the file."""
    rows = split.targets.answers(np.arange(len(split)), ()).tolist()
    names = [
        [classes[k] for k, yes in enumerate(row) if yes] if isinstance(row, list) else [classes[row]] for row in rows
    ]
    return {Path(split.inputs.where(i) or "").name: own for i, own in enumerate(names)}


@pytest.mark.parametrize(
    "header", ["file,label", "path,class", "Image , Labels", "filename,classes", "\ufefffile,label"]
)
def test_a_class_a_file_is_read_whatever_the_columns_are_called(folder: Path, header: str) -> None:
    found = load_data(labelled(folder, header, ["wolf", "ant"] * 6), val_fraction=0.25)
    assert (found.name, found.classes) == ("set", ("ant", "wolf")) and found.counts.tolist() == [[4, 4], [2, 2]]
    assert isinstance(found.train.inputs, Files)
    for name, (own,) in numbers(found.train, found.classes).items():
        assert own == ("ant" if int(name[:-4]) % 2 else "wolf")


def test_other_columns_and_empty_lines_are_passed_over_and_numbers_are_in_their_order(folder: Path) -> None:
    lines = [f'"a, {i}",shots/{i}.png,{(9, 10, 2)[i % 3]}' for i in range(12)]
    found = load_data(table(folder, "note,file,label", *lines[:4], "", *lines[4:], ""))
    assert found.classes == ("2", "9", "10")


def test_paths_are_relative_to_the_table_or_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    lines = [f"{folder / 'shots' if i % 3 else 'shots'}/{i}.png,{i % 2}" for i in range(12)]
    found = load_data(table(folder, "file,label", *lines))
    assert not found.skipped and len(found.train) + len(found.val) == 12


SEVERAL = ["a;b", "b", " b ; c ", "c", "a;a", "c;a;b"] * 2


def test_several_classes_a_file_are_many_labels(folder: Path) -> None:
    found = load_data(labelled(folder, "file,labels", SEVERAL), val_fraction=0.3)
    assert found.classes == ("a", "b", "c") and isinstance(found.train.targets, ManyLabels)
    both = numbers(found.train, found.classes) | numbers(found.val, found.classes)
    assert [both[f"{i}.png"] for i in range(6)] == [["a", "b"], ["b"], ["b", "c"], ["c"], ["a"], ["a", "b", "c"]]
    assert found.counts.sum(0).tolist() == [6, 8, 6]
    assert found.to_record()["per_class"] == found.counts.T.tolist()


def test_a_column_a_class_is_the_same_and_may_be_none_of_them(folder: Path) -> None:
    flags = [",".join("01"[name in own] for name in "abc") for own in SEVERAL]
    one = load_data(labelled(folder, "file,a,b,c", flags))
    other = load_data(labelled(folder, "file,labels", SEVERAL))
    assert one.train.targets.digest() == other.train.targets.digest() and one.classes == other.classes
    none = load_data(labelled(folder, "file,a,b,c", ["0,0,0", *flags[1:]]))
    both = numbers(none.train, none.classes) | numbers(none.val, none.classes)
    assert both["0.png"] == []
    single = load_data(labelled(folder, "file,a,b", ["1,0", "0,1"] * 6))
    assert not isinstance(single.train.targets, ManyLabels)


def test_each_class_is_divided_by_its_share_the_rarest_first() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random((1000, 4)) < (0.5, 0.3, 0.1, 0.02)
    split = Split(Files(tuple(map(str, range(1000)))), ManyLabels(labels))
    train, val = divided(split, 0.2, 0)
    assert sorted(train.inputs.paths + val.inputs.paths) == sorted(split.inputs.paths)
    share = val.targets.counts(4) / split.targets.counts(4)
    assert np.abs(share - 0.2).max() < 0.05 and share[3] == pytest.approx(0.2, abs=0.03)
    assert (
        divided(split, 0.2, 0)[1].targets.digest() == val.targets.digest() != divided(split, 0.2, 1)[1].targets.digest()
    )


@pytest.mark.parametrize("apart, note", [
    (("val", "test"), "the rows of split 'val', as it is"),
    (("Validation", "test"), "the rows of split 'val', as it is"),
    (("test", "test"), "the rows of split 'test', as it is"),
])  # fmt: skip
def test_the_split_column_says_what_validates(folder: Path, apart: tuple[str, str], note: str) -> None:
    lines = [f"shots/{i}.png,{'ab'[i % 2]},{'train' if i < 8 else apart[i >= 10]}" for i in range(12)]
    found = load_data(table(folder, "file,label,split", *lines))
    assert found.split_note == note and not found.divided
    assert sorted(numbers(found.train, found.classes)) == [f"{i}.png" for i in range(8)]
    assert len(found.val) == (4 if apart[0] == "test" else 2)


def test_files_that_are_not_there_are_counted_and_listed(folder: Path) -> None:
    (folder / "shots/3.png").write_bytes(b"no image")
    lines = [f"shots/{i}.png,{i % 2}" for i in range(14)]
    found = load_data(table(folder, "file,label", *lines))
    assert [(Path(one.path).name, one.why) for one in found.skipped] == [
        ("3.png", "not an image but a text that begins 'no image'"),
        ("12.png", "no such file or directory"),
        ("13.png", "no such file or directory"),
    ]
    assert len(found.train) + len(found.val) == 11


def test_a_table_may_validate_what_another_trains(folder: Path) -> None:
    labelled(folder, "file,label", ["a", "b"] * 6)
    other = table(folder, "file,label", "shots/0.png,b", "shots/1.png,b", name="val.csv")
    found = load_data(folder / "set.csv", val=other)
    assert found.val.targets.answers(np.arange(2), ()).tolist() == [1, 1]
    wrong = table(folder, "file,label", "shots/0.png,bee", name="wrong.csv")
    with pytest.raises(DataError, match=r"class 'bee' of .*wrong\.csv is not among the 2 training classes"):
        load_data(folder / "set.csv", val=wrong)


OK = "shots/0.png,a"


@pytest.mark.parametrize("lines, words", [
    ((), r"has no column 'file' \(or path, image, filename\)"),
    (("a.png,cat", "b.png,dog"), "its first line must name the columns, joined by commas, and is 'a.png, cat'"),
    (("file|label", "a.png|cat"), r"is 'file\|label'"),
    (("file,split", "a.png,train"), r"has no column 'label' \(or class, labels, classes\), nor a column of 0 and 1"),
    (("file,label",), "names its columns and no image"),
    (("file,label", OK, "shots/1.png,"), "line 3 has an empty label; for images of no class"),
    (("file,label", OK, "shots/1.png,a;;b"), "line 3 has an empty label"),
    (("file,label", OK, ",a"), "line 3 names no file"),
    (("file,label", OK, "shots/1.png,b", "shots/0.png,b"), r"line 4: 'shots/0\.png' stands in line 2 already; .*joined by ';'"),
    (("file,label", OK, "shots/1.png"), "line 3 has 1 cells for 2 columns"),
    (("file,label", OK, "shots/1.png,a,b"), "line 3 has 3 cells for 2 columns"),
    (("file,label,split", "shots/0.png,a,trian"), "line 2 is of split 'trian'; did you mean 'train'.; give train, val or test"),
    (("file,label,split", "shots/0.png,a,val"), "has a part 'val' with classes but no 'train' beside it"),
    (("file,a,b", "shots/0.png,1,0", "shots/1.png,yes,0"), "line 3 has 'yes' in column 'a'; without a column 'label' each other"),
    (("file,label", OK, "shots/1.png,a"), "one class, 'a'"),
    (("file,label", OK, "shots/1.png,a", "shots/2.png,b"), "class 'b' of set has one image"),
])  # fmt: skip
def test_a_table_that_cannot_be_right_is_refused_with_its_line(
    folder: Path, lines: tuple[str, ...], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        load_data(table(folder, *lines))


def test_what_is_no_text_is_no_table(folder: Path) -> None:
    (folder / "set.csv").write_bytes(b"file,label\n\xff\xfe,a\n")
    with pytest.raises(DataError, match="is not text in UTF-8: line 2 has the byte 0xff"):
        load_data(folder / "set.csv")


@pytest.mark.parametrize("labels", [["wolf", "ant"] * 6, SEVERAL], ids=["one", "several"])
def test_training_on_a_table_is_one_command(
    folder: Path, labels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = labelled(folder, "file,label", labels)
    command = [
        "train",
        TINY,
        str(path),
        "--resolution",
        "16",
        "--epochs",
        "1",
        "--set",
        "batch=4",
        "--dry-run",
    ]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["train_images"] in (9, 10)
