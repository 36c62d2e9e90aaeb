"""A detector tells objects in each picture's own pixels: in tables, COCO's files and drawings."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import convsmith as cs
from commands import run
from convsmith.data import Move, Split
from convsmith.data.inputs import Arrays
from convsmith.data.targets import Objects
from convsmith.errors import UserError
from convsmith.evals import Top1
from convsmith.evals.coco import average_precision
from convsmith.evals.detections import Detected
from convsmith.jobs.objects import keep_all, write_results
from convsmith.jobs.predict import Spotted, opened, predict
from convsmith.jobs.predict.reading import Asked, Things
from convsmith.jobs.predict.spotted import drawn_objects
from convsmith.model import Model, build
from convsmith.parts.heads.mask_rcnn import detector
from convsmith.rle import from_string
from convsmith.watcher import Watcher
from detections import as_batch, by_library, found, judged, shown, truth

NAMES = ("cat", "dog")


@pytest.fixture(scope="module")
def model() -> Model:
    small = detector(
        cs.spec("mobilenetv2_035").with_resolution(128),
        2,
        width=16,
        fc_width=16,
        box_convs=1,
        mask_convs=1,
        regions=20,
        kept=6,
    )
    return build(small, seed=0).eval()


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    rough = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC))


def test_objects_are_told_in_the_pictures_pixels() -> None:
    """A picture of 80 x 160 is shown at half its size: a box comes back twice as large, within the picture, its mask with it."""
    boxes = torch.tensor([[[10.0, 5, 30, 25], [60, 30, 90, 45], [0, 0, 0, 0]]])
    outputs = (boxes, torch.tensor([[0.9, 0.6, 0]]), torch.tensor([[2, 1, 0]]), torch.ones(1, 3, 28, 28))
    asked = Asked(0, "a.png", Move.crop_resize((0, 0, 80, 160), (40, 80)), (80, 160))
    (one,) = Things(NAMES).told(outputs, [asked], 5)
    assert isinstance(one, Spotted) and one.labels == ("dog", "cat") and len(one) == 2
    np.testing.assert_allclose(one.boxes, [[20, 10, 60, 50], [120, 60, 160, 80]], atol=1e-9)
    mask = one.mask(0)
    assert mask is not None and mask.shape == (80, 160) and mask[10:50, 20:60].all() and mask.sum() == 1600
    (boxed,) = Things(NAMES).told(outputs[:3], [asked], 5)
    assert isinstance(boxed, Spotted) and boxed.mask(0) is None
    assert str(one) == "a.png: dog 0.90, cat 0.60"
    with pytest.raises(UserError, match=r"for a\.png is not finite"):
        Things(NAMES).told((boxes * torch.nan, *outputs[1:]), [asked], 5)


def test_a_network_is_asked_a_few_pictures_at_a_time(model: Model, tmp_path: Path) -> None:
    """Files as arrays, and whatever the batch: a picture's objects are its own."""
    pictures = [noise(96, 160, seed) for seed in range(3)]
    for k, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{k}.png")
    together, alone = predict(model, pictures, classes=NAMES), predict(model, tmp_path, classes=NAMES, batch=1)
    assert sum(len(one) for one in together if isinstance(one, Spotted)) > 0
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Spotted) and isinstance(other, Spotted) and one.size == (96, 160)
        assert one.labels == other.labels
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        assert (one.boxes >= 0).all() and (one.boxes[:, 2] <= 160).all() and (one.boxes[:, 3] <= 96).all()
    sizes = []
    predictor = opened(model, classes=NAMES)
    slow = Things(NAMES)
    for given, _ in predictor.batches(pictures * 3, batch=64):
        sizes.append(len(given))
    assert sizes == [8, 1] and slow.most == 8


def test_the_tables_of_the_command_line(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row an object, COCO's file, and pictures; what is unlikely is in tables all the same."""
    for k in range(2):
        Image.fromarray(noise(96, 160, k)).save(tmp_path / f"{k}.png")
    asked = opened(model, classes=NAMES)
    monkeypatch.setattr("convsmith.jobs.predict.opened", lambda *_, **__: asked)
    expected = [one for one in asked.stream(tmp_path) if isinstance(one, Spotted)]
    places = {name: tmp_path / "out" / name for name in ("t.csv", "t.json", "drawn")}
    code, said, _ = run(
        capsys, "predict", "resnet18", str(tmp_path), "--out", str(places["t.csv"]), "--pictures", str(places["drawn"])
    )
    assert code == 0 and "objects with a score of 0.5 or more" in said
    rows = list(csv.DictReader(places["t.csv"].read_text().splitlines()))
    assert len(rows) == sum(map(len, expected)) and list(rows[0]) == [
        "file",
        "label",
        "score",
        "x1",
        "y1",
        "x2",
        "y2",
        "pixels",
    ]
    assert float(rows[0]["x2"]) == pytest.approx(expected[0].boxes[0, 2], abs=5e-4)
    assert sorted(path.name for path in places["drawn"].iterdir()) == ["0.png", "1.png"]
    assert run(capsys, "predict", "resnet18", str(tmp_path / "*.png"), "--out", str(places["t.json"]))[0] == 0
    whole = json.loads(places["t.json"].read_text())
    assert [one["height"] for one in whole["images"]] == [96, 96] and len(whole["annotations"]) == len(rows)
    assert {one["name"]: one["id"] for one in whole["categories"]} == {"cat": 1, "dog": 2}
    first = whole["annotations"][0]
    x, y, w, h = first["bbox"]
    assert [x, y, x + w, y + h] == pytest.approx(expected[0].boxes[0].tolist()) and first["id"] == 1
    assert from_string(first["segmentation"]["counts"]).sum() == 96 * 160
    code, _, wrong = run(capsys, "predict", "resnet18", str(tmp_path), "--deeplabcut", str(tmp_path / "tracks"))
    assert code != 0 and "no points" in wrong


def test_a_drawing_shows_what_is_sure() -> None:
    """Boxes and masks in colour where the score is enough; elsewhere the picture is as it was."""
    own = found([[10, 30, 60, 80], [100, 100, 150, 150]], [0.9, 0.3], [1, 2])
    one = Spotted(0, None, (200, 200), NAMES, own)
    grey = np.full((200, 200, 1), 100, np.uint8)
    drawn = np.asarray(drawn_objects(grey, one)).astype(int)
    assert (drawn[95:160, 95:160] == 100).all()
    inside = drawn[50, 40]
    assert (inside != 100).any() and (drawn[30, 40] != inside).any()
    assert (np.asarray(drawn_objects(grey, one, cutoff=0.2))[125, 125] != 100).any()
    empty = Spotted(0, None, (200, 200), NAMES, found([], []))
    assert (np.asarray(drawn_objects(grey, empty)) == 100).all()


def changed(box: list[float]) -> set[tuple[int, int]]:
    """The pixels (x, y) of a picture of 120 x 120 that a drawing of one box, without a mask, changes."""
    own = replace(found([box], [0.9]), masks=None)
    grey = np.full((120, 120, 1), 100, np.uint8)
    rows, columns = np.nonzero(
        (np.asarray(drawn_objects(grey, Spotted(0, None, (120, 120), ("cell",), own))) != 100).any(2)
    )
    return set(zip(columns.tolist(), rows.tolist(), strict=True))


def test_words_stand_beside_a_box_and_hide_no_small_neighbour() -> None:
    """Over it, under it where there is no room, and none that would be larger than what they are about."""
    over, under, small = changed([20, 40, 80, 90]), changed([20, 0, 80, 50]), changed([50, 50, 60, 60])
    assert all(y < 40 for x, y in over if not (20 <= x < 80 and 40 <= y < 90)) and min(y for _, y in over) < 35
    assert all(y >= 50 for x, y in under if not (20 <= x < 80 and 0 <= y < 50)) and max(y for _, y in under) > 55
    assert (50, 25) not in under, "nothing stands inside"
    assert small <= {(x, y) for x in range(50, 60) for y in range(50, 60)}


@pytest.mark.parametrize("library", ["pycocotools", "faster_coco_eval"])
def test_a_results_file_is_read_back_by_cocos_own_library(library: str, tmp_path: Path) -> None:
    """O16: the data's own numbers of images and categories; the library's AP of the file is ours."""
    pytest.importorskip(library)
    truths = [truth([[10, 10, 60, 50], [80, 20, 120, 90]], [1, 2], image_id=k) for k in (139, 285)]
    own = [
        found([[11, 10, 60, 52], [80, 22, 125, 90], [0, 0, 9, 9]], [0.9, 0.8, 0.7], [1, 2, 2]),
        found([[10, 10, 59, 50]], [0.3]),
    ]
    targets = Objects(tuple(truths), (18, 44))  # type: ignore[arg-type]
    split = Split(Arrays(np.zeros((2, 8, 8, 3), np.uint8)), targets)
    meter = Detected(NAMES)
    run_ = SimpleNamespace(path="run")
    keep_all(meter, run_)  # type: ignore[arg-type]
    for k, (there, one) in enumerate(zip(truths, own, strict=True)):
        batch = as_batch([there], [Move.identity()], [k], np.random.default_rng(0))
        meter.add(shown([one], [Move.identity()], masks=True), batch)
    path = tmp_path / "found.json"
    write_results(path, meter, split, NAMES, Watcher())
    rows = json.loads(path.read_text())
    assert [(one["image_id"], one["category_id"]) for one in rows] == [(139, 18), (139, 44), (139, 44), (285, 18)]
    assert rows[0]["bbox"] == [11, 10, 49, 42] and rows[0]["segmentation"]["size"] == [200, 200]
    ours = average_precision(truths, own, 2, "mask")
    np.testing.assert_allclose(by_library(library, truths, own, 2, "mask"), ours.numbers, rtol=0, atol=1e-12)
    theirs = by_rows(library, truths, rows)
    np.testing.assert_allclose(theirs, ours.numbers, rtol=0, atol=1e-12)


def by_rows(library: str, truths: list[Any], rows: list[dict[str, Any]]) -> np.ndarray:
    """What a library says of a results file against truths under their own numbers."""
    categories = {1: 18, 2: 44}
    there = [
        {
            "image_id": one.image_id, "category_id": categories[int(one.labels[k])], "area": float(one.areas[k]), "iscrowd": 0,
            "bbox": [*one.boxes[k, :2].tolist(), *(one.boxes[k, 2:] - one.boxes[k, :2]).tolist()],
            "segmentation": {"size": list(one.size), "counts": one.rles[k].decode()},
        }
        for one in truths
        for k in range(len(one.labels))
    ]  # fmt: skip
    images = [{"id": one.image_id, "height": one.size[0], "width": one.size[1]} for one in truths]
    return judged(library, images, [18, 44], [one | {"id": k} for k, one in enumerate(there, start=1)], rows, "mask")


def test_what_has_no_place_in_a_results_file(tmp_path: Path) -> None:
    """A class that the data does not have is left out and counted; a classifier is refused; nothing found is said."""
    said: list[str] = []

    class Noting(Watcher):
        def note(self, text: str) -> None:
            said.append(text)

    there = truth([[10, 10, 60, 50]], image_id=7)
    split = Split(Arrays(np.zeros((1, 8, 8, 3), np.uint8)), Objects((there,), (5, -1)))  # type: ignore[arg-type]
    meter = Detected(NAMES)
    meter.keep()
    own = found([[10, 10, 60, 50]], [0.9], [2])
    meter.add(
        shown([own], [Move.identity()], masks=True), as_batch([there], [Move.identity()], [0], np.random.default_rng(0))
    )
    write_results(tmp_path / "r.json", meter, split, NAMES, Noting())
    assert json.loads((tmp_path / "r.json").read_text()) == []
    assert "1 detection of dog left out" in said[0] and "empty list" in said[1]
    with pytest.raises(UserError, match="finds none"):
        keep_all(Top1(NAMES), SimpleNamespace(path="run"))  # type: ignore[arg-type]
