"""Pseudo-labels: what is kept, what a student sees of it, and that nothing wrong passes in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from commands import TINY
from convsmith.cli.app import main
from convsmith.data import Joined, load_data
from convsmith.data.readers.pseudo import (
    PseudoLabels,
    chosen,
    contents_of,
    named,
    read_pseudo,
    unlabelled,
    with_pseudo,
)  # fmt: skip
from convsmith.errors import DataError, UserError
from convsmith.jobs.pseudo import pseudo_label
from data_food import write_classes
from unexported import unexported

MODEL = TINY


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=60),
    st.floats(0, 1),
    st.none() | st.integers(1, 20),
)
def test_what_is_kept_is_sure_enough_balanced_and_the_surest(
    pairs: list[tuple[float, int]], threshold: float, balance: int | None
) -> None:
    scores, labels = np.array([s for s, _ in pairs]), np.array([c for _, c in pairs])
    rows = chosen(scores, labels, threshold=threshold, balance=balance)
    assert all(scores[i] >= threshold and labels[i] == label for i, label, _ in rows)
    for label in range(4):
        sure = np.flatnonzero((labels == label) & (scores >= threshold))
        mine = [i for i, c, _ in rows if c == label]
        assert len(mine) == (0 if not len(sure) else len(sure) if balance is None else balance)
        left = set(sure) - set(mine)
        assert not left or not mine or max(scores[list(left)]) <= min(scores[mine])
        # Repeats are spread evenly: no image comes twice more than another that is kept.
        if mine:
            counts = np.bincount(mine)[np.unique(mine)]
            assert counts.max() - counts.min() <= 1


@pytest.fixture(scope="module", autouse=True)
def _unexported() -> Iterator[None]:
    with unexported():
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher of some digits, a flat folder of others with one broken file, and the same as an npz."""
    root = tmp_path_factory.mktemp("pseudo")
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8) * 15.9).astype(np.uint8)
    np.savez(root / "few.npz", images=images[:600], labels=labels[:600].astype(np.int64))
    np.savez(root / "many.npz", images=images[600:900])
    (root / "flat").mkdir()
    for i in range(600, 640):
        Image.fromarray(images[i]).save(root / "flat" / f"{i}.png")
    (root / "flat" / "broken.png").write_bytes(b"no image")
    common = ["--resolution", "16", "--epochs", "1", "--runs", str(root / "runs"), "--name", "teacher"]
    assert main(["train", MODEL, str(root / "few.npz"), *common]) == 0
    return root


def test_a_flat_folder_is_labelled_and_what_cannot_be_read_is_counted(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = ["pseudo-label", str(place / "runs/teacher"), str(place / "flat"), "--out", str(place / "flat.json")]
    assert main([*made, "--threshold", "0", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["looked"] == 41 and said["unreadable"] == 1 and said["kept"] == 40
    found = read_pseudo(place / "flat.json")
    assert {image for image, _, _ in found.rows} == {f"{i}.png" for i in range(600, 640)}
    assert {name for _, name, _ in found.rows} <= set("0123456789") and Path(found.source) == place / "flat"


def test_a_student_sees_as_many_as_asked_and_is_validated_as_before(place: Path) -> None:
    labels = pseudo_label(place / "runs/teacher", place / "many.npz", place / "many.json", threshold=0.0, balance=5)
    assert set(labels.per_class()) <= {0, 5}
    data = load_data(place / "few.npz")
    joined = with_pseudo(data, labels, ratio=0.5, seed=0)
    assert isinstance(joined.train.inputs, Joined)
    assert len(joined.train) == len(data.train) + round(0.5 * len(data.train)) and joined.val is data.val
    last = joined.train.inputs.decode(len(joined.train) - 1, channels=1)
    source = unlabelled(labels.source)
    kept = {i for i, _, _ in labels.rows}
    assert any(np.array_equal(last.numpy(), source.decode(i, channels=1).numpy()) for i in kept)
    again = with_pseudo(data, labels, ratio=0.5, seed=0)
    assert joined.train.targets.digest() == again.train.targets.digest()


def test_training_with_pseudo_labels_is_one_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pseudo_label(place / "runs/teacher", place / "flat", place / "one.json", threshold=0.0)
    train = [
        "train",
        MODEL,
        str(place / "few.npz"),
        "--resolution",
        "16",
        "--epochs",
        "1",
        "--runs",
        str(place / "runs"),
    ]
    assert main([*train, "--name", "student", "--pseudo", str(place / "one.json"), "--pseudo-ratio", "0.25"]) == 0
    data = json.loads((place / "runs/student/data.json").read_text())
    assert data["train"] == 480 + 120 and data["val"] == 120 and "120 pseudo-labelled" in data["split"]
    capsys.readouterr()
    assert main([*train, "--pseudo", str(place / "one.json"), "--pseudo-ratio", "0"]) == 2
    assert main([*train, "--pseudo", str(place / "none.json")]) == 2
    assert "convsmith pseudo-label" in capsys.readouterr().err


def test_wrong_input_is_an_error_in_words(place: Path) -> None:
    teacher = place / "runs/teacher"
    with pytest.raises(UserError, match="is a probability"):
        pseudo_label(teacher, place / "flat", place / "x.json", threshold=2)
    with pytest.raises(DataError, match="there is no folder"):
        pseudo_label(teacher, place / "nothing", place / "x.json")
    with pytest.raises(UserError, match="sure of none"):
        pseudo_label(teacher, place / "flat", place / "x.json", threshold=1.0)
    labels = pseudo_label(teacher, place / "flat", place / "y.json", threshold=0.0)
    with pytest.raises(DataError, match="classes"):
        rows = (("600.png", "a", 0.9), ("601.png", "b", 0.9))
        with_pseudo(load_data("digits"), replace(labels, classes=("a", "b"), rows=rows), ratio=1, seed=0)
    (place / "bad.json").write_text("{}")
    with pytest.raises(DataError, match="is not a file of pseudo-labels"):
        read_pseudo(place / "bad.json")


def test_a_file_of_labels_names_no_folder_of_the_machine_and_moves_with_its_images(place: Path, tmp_path: Path) -> None:
    pseudo_label(place / "runs/teacher", place / "flat", place / "moved.json", threshold=0.0)
    text = (place / "moved.json").read_text()
    assert str(place) not in text and json.loads(text)["source"] == "flat"
    assert read_pseudo(place / "moved.json").source == str(place / "flat")
    assert read_pseudo(place / "moved.json").teacher == "teacher"


# ---- labels stay on their images -------------------------------------------------------------------------------------


def labelled(folder: Path) -> tuple[Path, Path]:
    """A folder of two classes, and a file of labels for four other images of two more folders."""
    data, more = write_classes(folder / "data", {"a": 4, "b": 4}), write_classes(folder / "more", {"x": 2, "y": 2})
    inputs = unlabelled(more)
    rows = tuple((named(inputs, more, i), "ab"[i // 2], 0.9) for i in range(4))
    made = PseudoLabels(str(more), ("a", "b"), rows, "t", 0.5, None, 4, 0, contents_of(inputs))
    (folder / "pseudo.json").write_text(made.to_json())
    return data, folder / "pseudo.json"


def joined(data: Path, file: Path) -> dict[str, str]:
    """The classes that the pseudo-labelled images are trained as."""
    found, own = load_data(data), len(load_data(data).train)
    train = with_pseudo(found, read_pseudo(file), ratio=4 / own, seed=0).train
    where = ["/".join(Path(train.inputs.where(i) or "").parts[-2:]) for i in range(own, len(train))]
    return {path: found.classes[k] for path, k in zip(where, train.targets.labels[own:].tolist(), strict=True)}


RIGHT = {"x/000.png": "a", "x/001.png": "a", "y/000.png": "b", "y/001.png": "b"}


def test_labels_stay_on_their_images_when_files_come(tmp_path: Path) -> None:
    data, file = labelled(tmp_path)
    write_classes(tmp_path / "more", {"a-new-folder": 3, "x-": 1})
    assert joined(data, file) == RIGHT
    write_classes(data, {"0-first": 4})  # the numbers of classes move, their names do not
    assert joined(data, file) == RIGHT


def test_labels_of_images_that_changed_or_went_are_refused(tmp_path: Path) -> None:
    data, file = labelled(tmp_path)
    (tmp_path / "more/x/000.png").write_bytes((tmp_path / "more/y/001.png").read_bytes() + b" ")
    with pytest.raises(DataError, match="are not those that were labelled: `convsmith pseudo-label` has to label"):
        joined(data, file)
    (tmp_path / "more/x/000.png").unlink()
    with pytest.raises(DataError, match=r"has lost 1 labelled image, 'x/000.png' first"):
        joined(data, file)


def test_a_file_of_version_0_1_is_read_unless_images_came_or_went(tmp_path: Path) -> None:
    data, file = labelled(tmp_path)
    old = json.loads(file.read_text()) | {"rows": [[0, 0, 0.9], [1, 0, 0.9], [2, 1, 0.9], [3, 1, 0.9]]}
    del old["contents"]
    file.write_text(json.dumps(old))
    assert joined(data, file) == RIGHT
    write_classes(tmp_path / "more", {"a-new-folder": 1})
    with pytest.raises(DataError, match="has 5 images and had 4 when it was labelled: `convsmith pseudo-label` has to"):
        joined(data, file)


def test_labels_of_arrays_know_the_arrays_again(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "data", {"a": 4, "b": 4})
    images = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8)
    np.savez(tmp_path / "more.npz", images=images)
    inputs = unlabelled(tmp_path / "more.npz")
    rows = tuple((i, "b", 0.9) for i in range(3))
    made = PseudoLabels(str(tmp_path / "more.npz"), ("a", "b"), rows, "t", 0.5, None, 3, 0, contents_of(inputs))
    assert len(with_pseudo(load_data(data), made, ratio=1, seed=0).train) == 2 * len(load_data(data).train)
    np.savez(tmp_path / "more.npz", images=images[::-1])
    with pytest.raises(DataError, match="are not those that were labelled"):
        with_pseudo(load_data(data), made, ratio=1, seed=0)
