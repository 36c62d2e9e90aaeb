"""`evaluate`: data to score is scored whole, matched by the names of classes, and what was scored is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import convsmith as cs
from commands import TINY
from convsmith.cli.app import main
from convsmith.errors import DataError, UserError
from convsmith.jobs.options import Options
from convsmith.jobs.train.begin import describe, train_job
from convsmith.model import build
from convsmith.runs import RunFolder
from convsmith.watcher import Watcher
from convsmith.weights import write as write_weights
from data_food import write_classes
from test_datasets import Own

CLASSES = {"ant": 5, "bee": 5, "fly": 5}


def made(where: Path, data: Path) -> RunFolder:
    """A run folder as training leaves it, with random weights."""
    job = train_job(TINY, data, 16, Options(), Watcher())
    run = RunFolder.create(where, "r")
    describe(run, job)
    write_weights(run.file("model.safetensors"), build(job.spec).state_dict())
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    root = tmp_path_factory.mktemp("evaluate")
    write_classes(root / "data", CLASSES)
    return made(root, root / "data")


class Listening(Watcher):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def rows(scores: cs.Scores) -> list[int]:
    """How many images of each class of the run were scored."""
    return [sum(row) for row in scores.to_record()["confusion"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("counts, seen", [
    ({"fly": 40, "ant": 40, "bee": 40}, [40, 40, 40]),
    ({"ant": 1, "bee": 1, "fly": 1}, [1, 1, 1]),
    ({"bee": 3, "fly": 2}, [0, 3, 2]),
    ({"bee": 2}, [0, 2, 0]),
    ({"bee/deep/deeper": 2, "ant/x": 1}, [1, 2, 0]),
    ({"bee": 2, "ant": 0}, [0, 2, 0]),
])  # fmt: skip
def test_a_folder_is_scored_whole_and_matched_by_name(
    run: RunFolder, tmp_path: Path, counts: dict[str, int], seen: list[int]
) -> None:
    for name in counts:
        (tmp_path / "new" / name).mkdir(parents=True)
    write_classes(tmp_path / "new", counts)
    listening = Listening()
    scores = cs.evaluate(run, tmp_path / "new", watcher=listening)
    assert rows(scores) == seen and (scores.split, scores.of) == ("all", "new")
    assert any("has no images of" in note for note in listening.notes) == (0 in seen)


@pytest.mark.parametrize("parts, split, part, n", [
    (("train", "val", "test"), None, "val", 2),
    (("train", "val", "test"), "test", "test", 3),
    (("train", "val", "test"), "train", "train", 1),
    (("train", "val", "test"), "all", "all", 6),
    (("train", "test"), None, "test", 3),
    (("validation",), None, "val", 2),
])  # fmt: skip
def test_of_a_divided_folder_the_named_part_is_scored(
    run: RunFolder, tmp_path: Path, parts: tuple[str, ...], split: str | None, part: str, n: int
) -> None:
    for name in parts:
        write_classes(tmp_path / "cut" / name, {"bee": {"train": 1, "val": 2, "validation": 2, "test": 3}[name]})
    scores = cs.evaluate(run, tmp_path / "cut", split=split)
    assert (scores.n, scores.split) == (n, part) and scores.of == ("cut" if part == "all" else f"cut/{part}")


def test_options_of_data_that_is_not_given_are_refused(run: RunFolder, tmp_path: Path) -> None:
    for options in ({"root": tmp_path}, {"download": True}):
        with pytest.raises(UserError, match="are of DATA, which is not given"):
            cs.evaluate(run, **options)


def test_classes_that_the_run_does_not_know_are_refused_by_name(run: RunFolder, tmp_path: Path) -> None:
    write_classes(tmp_path / "new", {"ant": 2, "beee": 2})
    with pytest.raises(DataError, match=r"images of 'beee', which the network was not trained on.* did you mean 'bee'"):
        cs.evaluate(run, tmp_path / "new")
    write_classes(tmp_path / "cut" / "val", {"ant": 2})
    with pytest.raises(DataError, match="cut has no part 'test'; it has val"):
        cs.evaluate(run, tmp_path / "cut", split="test")
    with pytest.raises(UserError, match="split 'dev' is none of val, train, test, all"):
        cs.evaluate(run, split="dev")
    with pytest.raises(DataError, match="images, but no class folders"):
        cs.evaluate(run, tmp_path / "new" / "ant")


def test_tables_arrays_and_datasets_are_scored_whole_too(run: RunFolder, tmp_path: Path) -> None:
    write_classes(tmp_path, {"shots": 4})
    shots = sorted((tmp_path / "shots").iterdir())
    lines = [f"shots/{file.name},{name}" for file, name in zip(shots, ("fly", "fly", "bee", "fly"), strict=True)]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["file,label", *lines]))
    assert rows(cs.evaluate(run, table)) == [0, 1, 3]
    table.write_text(
        "\n".join(["file,label,split", *(f"{line},{'val' if k else 'test'}" for k, line in enumerate(lines))])
    )
    assert rows(cs.evaluate(run, table)) == [0, 1, 2] and cs.evaluate(run, table, split="test").n == 1
    images = np.zeros((4, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "numbers.npz", images=images, labels=[2, 2, 2, 1])
    np.savez(tmp_path / "names.npz", images=images, labels=[0, 0, 1, 0], classes=["fly", "bee"])
    np.savez(tmp_path / "words.npz", images=images, labels=["fly", "fly", "bee", "fly"])
    np.savez(tmp_path / "apart.npz", x_test=images, y_test=[2, 2, 1, 2])
    for name in ("numbers", "names", "words", "apart"):
        assert rows(cs.evaluate(run, tmp_path / f"{name}.npz")) == [0, 1, 3], name
    np.savez(tmp_path / "beyond.npz", images=images, labels=[0, 1, 3, 0])
    with pytest.raises(
        DataError, match="images of '3', which the network was not trained on; it knows 'ant', 'bee', 'fly'"
    ):
        cs.evaluate(run, tmp_path / "beyond.npz")
    assert rows(cs.evaluate(run, Own(n=4, classes=("fly", "ant", "bee")))) == [1, 1, 2]


def test_the_runs_own_parts_are_scored_wherever_they_lie_now(run: RunFolder, tmp_path: Path) -> None:
    source = Path(str(run.config.source["what"]))
    own = cs.evaluate(run)
    assert (own.n, own.split, own.of) == (3, "val", "") and cs.evaluate(run, split="train").n == 12
    listening = Listening()
    assert cs.evaluate(run, source, watcher=listening).n == 15
    assert any("was trained on images that are scored here" in note for note in listening.notes)
    moved = source.rename(tmp_path / "moved")
    try:
        with pytest.raises(DataError, match=r"there is no data .* evaluate .* PATH --split val"):
            cs.evaluate(run)
        again = cs.evaluate(run, moved, split="val")
        assert (again.n, again["loss"]) == (3, own["loss"])
    finally:
        moved.rename(source)
    write_classes(tmp_path / "other", CLASSES | {"ant": 6})
    with pytest.raises(DataError, match=r"is not divided, nor is it what .* was begun with"):
        cs.evaluate(run, tmp_path / "other", split="val")


def test_a_network_of_many_labels_is_scored_on_images_of_one(tmp_path: Path) -> None:
    write_classes(tmp_path, {"shots": 6})
    names = sorted(file.name for file in (tmp_path / "shots").iterdir())
    (tmp_path / "many.csv").write_text(
        "file,labels\n" + "\n".join(f"shots/{n},{'a;b' if k % 2 else 'b'}" for k, n in enumerate(names))
    )
    many = made(tmp_path, tmp_path / "many.csv")
    (tmp_path / "one.csv").write_text("file,labels\n" + f"shots/{names[0]},b\nshots/{names[1]},a\n")
    assert cs.evaluate(many, tmp_path / "one.csv").n == 2


def test_what_was_scored_is_said(run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_classes(tmp_path / "new" / "val", {"ant": 3})
    assert main(["evaluate", str(run.path), str(tmp_path / "new")]) == 0
    assert "n = 3 of new/val" in capsys.readouterr().out
    assert main(["evaluate", str(run.path), str(tmp_path / "new"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["n"], said["split"], said["of"]) == (3, "val", "new/val")


def test_a_run_whose_data_was_moved_is_exported_from_where_it_lies_now(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[int] = []

    def export_onnx(*given: object, samples: object = None, **more: object) -> None:
        shown.append(len(samples))  # type: ignore[arg-type]
        raise UserError("that is all")

    monkeypatch.setattr("convsmith.exporting.runtimes.onnx.export_onnx", export_onnx)
    source = Path(str(run.config.source["what"]))
    moved = source.rename(tmp_path / "moved")
    try:
        for verb in ("export", "resume"):
            assert main([verb, str(run.path)]) == 2
            said = " ".join(capsys.readouterr().err.split())
            assert f"where it lies now is said by `convsmith {verb} {run.path} --data PATH`" in said
        with pytest.raises(UserError, match="that is all"):
            cs.export(run, tmp_path / "m.onnx", data=moved)
        write_classes(tmp_path / "other", CLASSES | {"ant": 6})
        with pytest.raises(DataError, match=r"other is not what .* was begun with$"):
            cs.export(run, tmp_path / "m.onnx", data=tmp_path / "other")
        with pytest.raises(DataError, match=r"was begun with; --force goes on"):
            cs.resume(run, data=tmp_path / "other")
        assert shown == [3]
    finally:
        moved.rename(source)


def test_tables_of_the_classes_are_written(run: RunFolder, tmp_path: Path) -> None:
    write_classes(tmp_path / "new", {"ant": 3, "fly": 2})
    cs.evaluate(run, tmp_path / "new", out=tmp_path / "deep/tables")
    lines = (tmp_path / "deep/tables/classes.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines] == [["class", "images"], ["ant", "3"], ["bee", "0"], ["fly", "2"]]
    assert (tmp_path / "deep/tables/confusion.csv").read_text().startswith("class,ant,bee,fly\n")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file and not a folder"):
        cs.evaluate(run, tmp_path / "new", out=tmp_path / "file")
