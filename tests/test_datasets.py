"""Data of the user's own: any dataset that gives images and labels, with all that files are promised."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.utils.data import Dataset, Subset, TensorDataset

import convsmith as cs
from convsmith.data import Arrays, Items, Labels, ManyLabels, Split, load_data, train_batches
from convsmith.errors import DataError, UserError
from convsmith.jobs.options import Options
from convsmith.jobs.source import contents, fingerprint
from convsmith.recipe import Augment
from data_food import labelled, noise, write_classes
from listening import Listening
from test_data import BOTH, same, stream
from test_survival import SMALL

PIXELS = noise(24, 9, 11, 3)


@dataclass
class Own(Dataset[Any]):
    """Pictures of a class in turn; `as_name` makes the labels words, `broken` are items that cannot be read."""

    n: int = 24
    classes: tuple[str, ...] = ("ant", "bee", "cow")
    as_name: bool = False
    broken: tuple[int, ...] = ()
    random: bool = False
    read: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[Image.Image, Any]:
        self.read.append(i)
        if i in self.broken:
            raise ValueError(f"item {i} is lost")
        pixels = PIXELS[i] if not self.random else noise(9, 11, 3, seed=len(self.read))
        return Image.fromarray(pixels), self.classes[i % 3] if self.as_name else i % 3


@dataclass
class Rows(Dataset[Any]):
    """Whatever is listed; no more than a length and items."""

    rows: list[Any]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        return self.rows[i]


def rows(labels: list[Any]) -> Rows:
    return Rows([(Image.fromarray(PIXELS[i]), label) for i, label in enumerate(labels)])


# ---- what is read ----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("channels", [1, 3])
def test_batches_of_a_dataset_are_those_of_the_same_pixels_in_memory(augment: Augment, channels: int) -> None:
    own = load_data(Own()).train
    assert isinstance(own.inputs, Items)
    memory = labelled(PIXELS[own.inputs.index], own.targets.labels)
    assert same(stream(own, augment, 0, 9, channels=channels), stream(memory, augment, 0, 9, channels=channels))


@BOTH
def test_neither_workers_nor_where_a_stream_begins_change_them(augment: Augment) -> None:
    own = load_data(Own()).train
    whole = stream(own, augment, 0, 8)
    assert same(stream(own, augment, 3, 8, workers=1), whole[3:])


def test_tensors_grey_and_coloured_are_images_too() -> None:
    grey, colour = torch.from_numpy(PIXELS[..., 0].copy()), torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
    labels = torch.arange(24) % 2
    for images, expected in ((grey, PIXELS[..., :1]), (colour, PIXELS)):
        found = load_data(TensorDataset(images, labels))
        assert found.classes == ("0", "1") and found.name == "TensorDataset"
        for i, k in enumerate(found.train.inputs.index):
            shown = found.train.inputs.decode(i, channels=expected.shape[-1])
            assert np.array_equal(shown.permute(1, 2, 0).numpy(), expected[k])


@pytest.mark.parametrize("labels, classes, numbers", [
    (["a\x1b[m", "b", "a\x1b[m", "b"], ("a\\x1b[m", "b"), [0, 1, 0, 1]),
    ([0, 1, 1, 0], ("0", "1"), [0, 1, 1, 0]),
    (["b", "a", "a", "b"], ("a", "b"), [1, 0, 0, 1]),
    ([np.int64(1), torch.tensor(0), torch.tensor([0]), True], ("0", "1"), [1, 0, 0, 1]),
    ([[0], [1, 0], [], [1]], ("0", "1"), [[1, 0], [1, 1], [0, 0], [0, 1]]),
    ([["x", "y"], ["x"], "y", {"x"}], ("x", "y"), [[1, 1], [1, 0], [0, 1], [1, 0]]),
    ([np.array([1, 0, 1]), np.array([1, 1, 1]), np.array([0, 1, 1]), np.array([0, 0, 0])], ("0", "1", "2"),
     [[1, 0, 1], [1, 1, 1], [0, 1, 1], [0, 0, 0]]),
])  # fmt: skip
def test_labels_are_numbers_or_names_one_or_many(labels: list[Any], classes: tuple[str, ...], numbers: list) -> None:
    found = load_data(rows(labels), val_fraction=0.01)
    whole = load_data((rows(labels), rows(labels))).train.targets
    assert isinstance(whole, Labels if isinstance(numbers[0], int) else ManyLabels)
    assert (found.classes, whole.labels.astype(int).tolist()) == (classes, numbers)


def test_class_names_are_the_dataset_s_in_its_order() -> None:
    for as_name in (False, True):
        found = load_data(Own(classes=("wolf", "ant", "bee"), as_name=as_name))
        assert found.classes == ("wolf", "ant", "bee")
        assert found.counts.tolist() == [[6, 6, 6], [2, 2, 2]]
        assert found.train.targets.labels.tolist() == (found.train.inputs.index % 3).tolist()


def test_labels_that_are_listed_spare_no_look_at_the_images_but_are_believed() -> None:
    class Listed(Own):
        @property
        def targets(self) -> list[int]:
            return [i % 3 for i in range(self.n)]

    class Wrong(Listed):  # its items are labelled another way: a transform of the labels
        def __getitem__(self, i: int) -> tuple[Image.Image, Any]:
            return super().__getitem__(i)[0], 2 - i % 3

    assert load_data(Listed()).train.targets.digest() == load_data(Own()).train.targets.digest()
    wrong = load_data(Wrong()).train
    assert wrong.targets.labels.tolist() == (2 - wrong.inputs.index % 3).tolist()


def test_of_many_items_that_list_their_labels_only_some_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from convsmith.data.readers import dataset

    class Listed(Own):
        @property
        def targets(self) -> torch.Tensor:
            return torch.arange(self.n) % 3

    monkeypatch.setattr(dataset, "_ALL", 10)
    monkeypatch.setattr(dataset, "_SAMPLE", 3)
    own = Listed()
    assert len(load_data(own).train) == 18 and sorted(set(own.read)) == [0, 11, 23]
    own = Own()
    load_data(own)
    assert sorted(set(own.read)) == list(range(24))


def test_rows_of_a_hugging_face_set_are_read() -> None:
    class Feature:
        names = ("no", "yes")

    class Set(Rows):
        features = {"image": None, "label": Feature()}  # noqa: RUF012 as theirs

    found = load_data(Set([{"image": Image.fromarray(PIXELS[i]), "label": i % 2, "id": i} for i in range(8)]))
    assert found.classes == ("no", "yes") and found.counts.sum() == 8


def test_a_pair_is_to_train_on_and_to_validate_on() -> None:
    found = load_data((Own(), Own(n=6, classes=("cow", "bee", "ant"), as_name=True)))
    assert (len(found.train), len(found.val)) == (24, 6) and not found.divided
    assert found.val.targets.labels.tolist() == [2, 1, 0, 2, 1, 0]
    assert found.split_note == "the second dataset, Own, as it is"
    with pytest.raises(DataError, match="class 'fly' of the second dataset, Own is not among the 3 training"):
        load_data((Own(), Own(classes=("ant", "bee", "fly"))))


def test_items_that_cannot_be_read_are_counted_and_listed(tmp_path: Path) -> None:
    found = load_data(Own(broken=(4, 7)))
    assert [(one.path, one.why) for one in found.skipped] == [
        ("item 4 of Own", "ValueError: item 4 is lost"), ("item 7 of Own", "ValueError: item 7 is lost"),
    ]  # fmt: skip
    assert len(found.train) + len(found.val) == 22 and not {4, 7} & set(found.train.inputs.index)
    split = Split(Items(Own(broken=(1,)), np.arange(4)), Labels(np.arange(4)))
    (batch,) = train_batches(split, sides=(8, 8), batch=4, augment=Augment(), seed=0, first_step=0, last_step=1)
    assert batch.dropped == 1 and sorted(batch.answers.tolist()) == [0, 2, 3]


def test_progress_ends_at_the_number_of_items() -> None:
    told: list[tuple[int, int]] = []
    load_data((Own(), Own(n=6)), progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told) and told[-1] == (30, 30)


# ---- what is refused -------------------------------------------------------------------------------------------------


FLOATS = [(torch.rand(3, 4, 4), 0)] * 4


@pytest.mark.parametrize("data, words", [
    (Rows([]), "Rows has no items"),
    (Rows([1, 2]), r"item 0 of Rows is a int; it must be \(image, label\)"),
    (Rows(FLOATS), r"the image of item 0 of Rows is a float32 tensor \(3, 4, 4\); give a PIL image, or a uint8 tensor"),
    (Rows([("x.png", 0)]), "the image of item 0 of Rows is a str"),
    (rows([0, 1, None, 0]), "the label of item 2 of Rows is None; give a class's number"),
    (rows([0, 1, -1, 0]), "the label of item 2 of Rows is -1"),
    (rows([0, 1, 0.5, 0]), r"the label of item 2 of Rows is 0\.5"),
    (rows(["a", "b", 1, "a"]), "the label of item 2 of Rows is 1, and others are names"),
    (rows([0, 0, 0, 0]), "Rows has one class, '0'"),
    (rows([0, 0, 1]), "class '1' of Rows has one image"),
    (rows([np.array([0, 1]), np.array([0, 2])]), "item 1 of Rows is no row of 2 values, each 0 or 1"),
    (Own(classes=("ant", "bee", "bee")), "classes names a class twice"),
    (Own(n=3, broken=(0, 1, 2)), "of Own's 3 items none can be read; the first: ValueError: item 0 is lost"),
    (7, "int is no data: give the name of a set, a path, a dataset"),
])  # fmt: skip
def test_a_dataset_that_cannot_be_trained_on_is_refused_in_words(data: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_data(data)


def test_a_name_that_is_no_class_is_told_with_the_nearest() -> None:
    class Typo(Own):
        def __getitem__(self, i: int) -> tuple[Image.Image, Any]:
            return super().__getitem__(i)[0], "cowe" if i == 5 else "cow"

    with pytest.raises(DataError, match="item 5 of Typo is 'cowe', which is none of its classes; did you mean 'cow'"):
        load_data(Typo())


def test_what_is_random_inside_is_noted_and_its_pixels_are_no_fingerprint() -> None:
    steady, random = load_data(Own()), load_data(Own(random=True))
    assert steady.notes == () and "outside the seed" in random.notes[0]
    assert contents(random) == contents(load_data(Own(random=True)))


def test_a_dataset_that_cannot_be_pickled_is_refused_where_workers_do_not_fork() -> None:
    class Local(Own):
        pass

    split = load_data(Local()).train
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        with pytest.raises(DataError, match=r"has to be of a class in a module, .* or train with workers=0"):
            stream(split, Augment(crop=(0.5, 1.0)), 0, 2, workers=1)
    finally:
        multiprocessing.set_start_method(before, force=True)


# ---- fingerprints ----------------------------------------------------------------------------------------------------


def test_a_dataset_is_known_again_by_labels_and_by_pixels() -> None:
    class Other(Own):
        def __getitem__(self, i: int) -> tuple[Image.Image, Any]:
            image, label = super().__getitem__(i)
            return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if i == 20 else image, label

    one, same_again, pixels = (load_data(data) for data in (Own(), Own(as_name=True), Other()))
    assert (fingerprint(one), contents(one)) == (fingerprint(same_again), contents(same_again))
    assert fingerprint(one) == fingerprint(pixels) and contents(one) != contents(pixels)
    assert fingerprint(one) != fingerprint(load_data(Own(n=23)))
    assert fingerprint(one) == fingerprint(replace(one, train=replace(one.train, inputs=Arrays(PIXELS[:18]))))


# ---- runs ------------------------------------------------------------------------------------------------------------


def options(folder: Path, **changes: Any) -> Options:
    return replace(Options(parent=folder, settings=("epochs=2", "batch=4"), name="run"), **changes)


def digest(run: Path) -> str:
    state = load_file(run / "model.safetensors")
    return hashlib.sha256(b"".join(state[key].numpy().tobytes() for key in sorted(state))).hexdigest()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    with pytest.raises(KeyboardInterrupt):
        cs.train(SMALL, Own(), options=options(folder), watcher=Listening(until_stage="export"))
    return folder / "run"


def test_a_run_says_what_it_was_trained_on(run: Path) -> None:
    source = json.loads((run / "config.json").read_text())["source"]
    assert source["what"] == "Dataset(Own, 24 images)" and source["own"] is True
    record = json.loads((run / "data.json").read_text())
    assert record["name"] == "Own" and record["classes"] == ["ant", "bee", "cow"]


def test_a_stopped_run_is_resumed_with_the_dataset_to_the_same_weights(run: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        cs.train(SMALL, Own(), options=options(tmp_path), watcher=Listening(until_step=3))
    with pytest.raises(
        UserError, match=r"Dataset\(Own, 24 images\) lives in Python and in no file.*resume\(run, data=..."
    ):
        cs.resume(tmp_path / "run")
    with pytest.raises(DataError, match=r"the data at Dataset\(Own, 23 images\) is not what .* was begun with"):
        cs.resume(tmp_path / "run", data=Own(n=23))
    with pytest.raises(KeyboardInterrupt):
        cs.resume(tmp_path / "run", data=Own(), watcher=Listening(until_stage="export"))
    assert digest(tmp_path / "run") == digest(run)


def test_other_data_is_refused_though_nothing_is_left_to_do(run: Path) -> None:
    with pytest.raises(DataError, match=r"the data at Dataset\(Own, 23 images\) is not what .* was begun with"):
        cs.resume(run, data=Own(n=23))
    assert cs.resume(run, data=Own()).path == run


def test_a_run_is_evaluated_on_a_dataset(run: Path) -> None:
    own = cs.evaluate(run, Own(), split="val")
    kept = json.loads((run / "scores.json").read_text())
    assert {**own.to_record(), **kept} == kept | {"of": "Own/val"} and own.n == 6 and cs.evaluate(run, Own()).n == 24
    assert own.to_record()["top1"] == 1 or "of Own" in json.dumps(own.to_record()), "a mistake says which item it is"
    assert cs.evaluate(run, (Own(), Subset(Own(), range(9)))).n == 9
    with pytest.raises(DataError, match="Own has images of 'fly', which the network was not trained on"):
        cs.evaluate(run, Own(classes=("ant", "bee", "fly")))
    with pytest.raises(UserError, match="lives in Python"):
        cs.evaluate(run)


def test_a_moved_folder_is_said_where_it_lies_now(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "data", {"a": 6, "b": 6})
    with pytest.raises(KeyboardInterrupt):
        cs.train(SMALL, data, options=options(tmp_path), watcher=Listening(until_step=2))
    data.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="there is no data"):
        cs.resume(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        cs.resume(tmp_path / "run", data=tmp_path / "elsewhere", watcher=Listening(until_stage="evaluate"))
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_files_are_cached_and_a_dataset_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--cache holds images that are files, and Dataset\(Own, 24 images\) is none"):
        cs.train(SMALL, Own(), options=options(tmp_path, cache=tmp_path / "cache"))


def test_design_and_search_take_a_dataset_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        cs.design(Own(), to="3M-macs", options=options(tmp_path), watcher=Listening(until_stage="run"))
    with pytest.raises(KeyboardInterrupt):
        cs.search(Own(), to="2M-macs", options=options(tmp_path), watcher=Listening(until_stage="run"))
