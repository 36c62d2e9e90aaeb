"""Pseudo-labels: what is kept, what a student sees of it, and that nothing wrong passes in silence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from convsmith.cli.app import main
from convsmith.data import Joined, load_data
from convsmith.data.readers.pseudo import chosen, read_pseudo, unlabelled, with_pseudo
from convsmith.errors import DataError, UserError
from convsmith.jobs.pseudo import pseudo_label

MODEL = "mobilenetv2_035"


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
    common = ["--resolution", "16", "--epochs", "3", "--runs", str(root / "runs"), "--name", "teacher"]
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
    assert Path(unlabelled(found.source).where(found.rows[0][0]) or "").suffix == ".png"


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
        with_pseudo(load_data("digits"), type(labels)(**{**vars(labels), "classes": ("a", "b")}), ratio=1, seed=0)
    (place / "bad.json").write_text("{}")
    with pytest.raises(DataError, match="is not a file of pseudo-labels"):
        read_pseudo(place / "bad.json")


def test_a_file_of_labels_names_no_folder_of_the_machine_and_moves_with_its_images(place: Path, tmp_path: Path) -> None:
    pseudo_label(place / "runs/teacher", place / "flat", place / "moved.json", threshold=0.0)
    text = (place / "moved.json").read_text()
    assert str(place) not in text and json.loads(text)["source"] == "flat"
    assert read_pseudo(place / "moved.json").source == str(place / "flat")
    assert read_pseudo(place / "moved.json").teacher == "teacher"
