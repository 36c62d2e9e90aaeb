"""Whatever form an image comes in, by whichever file the network is asked, the answer is the one that evaluation counts."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

import convsmith as cs
from convsmith.cli.app import main
from convsmith.errors import UserError
from convsmith.exporting.metadata import describe
from convsmith.jobs.feed import metadata_of
from convsmith.jobs.predict import Prediction, Predictions, Unreadable, opened
from convsmith.scores import Confusion
from predicting import agree, picture


@pytest.fixture(scope="module")
def run(digits_run: cs.Run) -> cs.Run:
    return digits_run


@pytest.fixture(scope="module")
def odd(odd_pictures: Path) -> Path:
    return odd_pictures


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, odd: Path) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.jpg").write_bytes((odd / "large.jpg").read_bytes()[:3000])
    (folder / "text.png").write_text("not a picture")
    return folder


# ---- what the network says -------------------------------------------------------------------------------------------


def test_files_are_seen_as_evaluation_sees_them(run: cs.Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part, label in ((part, label) for part in ("train", "val") for label in range(10)):
        (tmp_path / part / str(label)).mkdir(parents=True)
        for k in range(3):
            image = Image.fromarray(rng.integers(0, 256, (20 + k, 24, 3), dtype=np.uint8))
            image.save(tmp_path / part / str(label) / f"{k}.jpg")
    scores = cs.evaluate(run, tmp_path)
    found = cs.predict(run, tmp_path / "val", top=10)
    confusion, loss = np.zeros((10, 10), int), 0.0
    for one in found:
        label = Path(one.path or "").parent.name
        confusion[int(label), int(one.label)] += 1
        loss -= math.log(dict(one.top)[label]) / len(found)
    assert confusion.tolist() == [
        list(row) for row in next(one for one in scores.blocks if isinstance(one, Confusion)).matrix
    ]
    assert loss == pytest.approx(scores["loss"], abs=1e-6)


def test_every_form_of_an_image_gets_the_same_answer(run: cs.Run, odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = sorted(
        path for path in odd.iterdir() if path.name != "large.jpg"
    )  # shrunk as it is decoded, from a file alone
    by_file = cs.predict(run, small, top=10)
    pictures = [Image.open(path) for path in small]
    agree(by_file, cs.predict(run, pictures, top=10))
    assert pictures[0].mode == "RGBA" and pictures[-1].size == (52, 40), "a picture is left as it was"
    for each in pictures:
        each.close()
    arrays = [np.asarray(Image.open(path).convert("RGB")) for path in small if path.stem in ("colour", "long", "one")]
    three = cs.predict(run, [path for path in small if path.stem in ("colour", "long", "one")], top=10)
    agree(three, cs.predict(run, arrays, top=10))
    agree(three, cs.predict(run, [torch.from_numpy(array.copy()).permute(2, 0, 1) for array in arrays], top=10))
    grey = np.asarray(Image.open(odd / "grey.png"))
    one = cs.predict(run, odd / "grey.png", top=10)
    for form in (
        grey,
        grey[:, :, None],
        grey[None, :, :, None],
        np.repeat(grey[:, :, None], 3, axis=2)[:, ::-1][:, ::-1],
    ):
        agree(one, cs.predict(run, form, top=10))
    every = cs.predict(run, odd, top=10)
    assert [Path(one.path or "").name for one in every] == sorted(path.name for path in odd.iterdir())
    monkeypatch.chdir(odd.parent)
    agree(every, cs.predict(run, f"{odd.name}/*", top=10))
    agree(every, cs.predict(run, f"{odd.name[:-1]}?/**/*.*", top=10))
    agree(every, cs.predict(run, (path for path in sorted(odd.iterdir())), top=10))


def test_a_camera_s_turn_and_sixteen_bits_are_understood(run: cs.Run, odd: Path, tmp_path: Path) -> None:
    upright = np.rot90(np.asarray(Image.open(odd / "turned.jpg")), -1)
    agree(cs.predict(run, odd / "turned.jpg", top=10), cs.predict(run, upright, top=10))
    values = np.asarray(Image.open(odd / "sixteen.png")).astype(float)
    agree(cs.predict(run, odd / "sixteen.png", top=10), cs.predict(run, np.rint(values / 257).astype(np.uint8), top=10))


def test_the_batch_changes_nothing_and_the_order_is_kept(run: cs.Run) -> None:
    images = np.random.default_rng(1).integers(0, 256, (65, 12, 12, 1), dtype=np.uint8)
    whole = cs.predict(run, images, top=10)
    assert [one.index for one in whole] == list(range(65)) and {one.path for one in whole} == {None}
    agree(whole, cs.predict(run, images, top=10, batch=1), within=1e-5)
    agree(whole, cs.predict(run, images, top=10, batch=7, threads=2), within=1e-5)
    agree(whole, cs.predict(run, list(images), top=10))


def test_probabilities_are_a_distribution_the_best_first(run: cs.Run, odd: Path) -> None:
    for one in cs.predict(run, odd, top=100):
        shares = [share for _, share in one.top]
        assert len(shares) == 10 and sum(shares) == pytest.approx(1, abs=1e-6)
        assert shares == sorted(shares, reverse=True)
        assert (one.label, one.probability) == one.top[0]
    assert [len(one.top) for one in cs.predict(run, odd, top=2)] == [2] * 10


def test_a_run_its_file_and_its_file_of_eight_bits_agree(run: cs.Run, odd: Path) -> None:
    by_run = cs.predict(run, odd, top=10)
    agree(by_run, cs.predict(run.file("model.onnx"), odd, top=10), within=1e-5)
    agree(by_run, cs.predict(str(run.path), odd, top=10))
    eight = cs.predict(run.file("model.int8.onnx"), odd, top=10)
    agree(by_run, eight, within=0.1)
    assert max(one.probability for one in by_run) > 0.3, "a network that is sure of nothing would agree with any"
    assert eight[0].top != by_run[0].top


def test_a_live_network_is_asked_as_it_stands_and_left_so(run: cs.Run, odd: Path) -> None:
    net = cs.create(run.spec, weights=run.path).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    names = [f"digit {n}" for n in range(10)]
    found = cs.predict(net, odd, classes=names, top=10)
    assert net.training and all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert [one.label for one in found] == [f"digit {one.label}" for one in cs.predict(run, odd)]
    named = cs.predict(run.spec, odd, weights=run.path, top=10)
    agree(named, cs.predict(run, odd, top=10))


def test_images_are_streamed(run: cs.Run) -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            taken += 1
            yield np.full((8, 8), taken % 256, np.uint8)

    stream = opened(run).stream(endless(), batch=4)
    first = [next(stream) for _ in range(5)]
    stream.close()
    assert [one.index for one in first] == [0, 1, 2, 3, 4]
    assert taken <= 12, "two batches were looked at and one more was made ready"


# ---- what cannot be read, what cannot be asked ------------------------------------------------------------------------


def test_unreadable_images_are_counted_and_listed(run: cs.Run, odd: Path, broken: Path) -> None:
    gone = broken / "gone.png"
    found = cs.predict(run, [broken, odd / "grey.png", gone, odd / "one.png"], batch=2)
    assert [(one.index, Path(one.path or "").name) for one in found] == [(3, "grey.png"), (5, "one.png")]
    assert [(one.index, Path(one.path or "").name) for one in found.unreadable] == [
        (0, "cut.jpg"), (1, "empty.png"), (2, "text.png"), (4, "gone.png"),
    ]  # fmt: skip
    why = {Path(one.path or "").name: one.why for one in found.unreadable}
    assert why["gone.png"] == "no such file or directory" and why["text.png"].startswith(
        "not an image but a text that begins"
    )
    assert "truncated" in why["cut.jpg"]
    record = json.loads(json.dumps(found.to_record()))
    assert record["images"] == 6 and [one["index"] for one in record["unreadable"]] == [0, 1, 2, 4]
    assert record["predictions"][0]["label"] == found[0].label
    with pytest.raises(UserError, match=r"none of 3 images could be read, .*cut\.jpg first: .*truncated"):
        cs.predict(run, broken)
    with pytest.raises(UserError, match=r"gone\.png cannot be read: no such file"):
        cs.predict(run, gone)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ([], "there are no images"),
        ("no-*.jpg", "no image matches 'no-"),
        ("", "an empty path"),
        (7, "got int"),
        ([None], "got NoneType"),
        (np.zeros((8, 8, 3), np.float32), "uint8, from 0 to 255; got float32"),
        (torch.zeros(3, 8, 8), "uint8, from 0 to 255; got torch.float32"),
        (np.zeros((8, 8, 4), np.uint8), r"got \(8, 8, 4\)"),
        (np.zeros((5, 0, 8, 3), np.uint8), r"got \(5, 0, 8, 3\)"),
        (torch.zeros(8, 8, 3, dtype=torch.uint8), r"got \(8, 8, 3\)"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(run: cs.Run, images: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        cs.predict(run, images)  # type: ignore[arg-type]


def test_a_folder_without_images_is_named(run: cs.Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"there are no images in {tmp_path}"):
        cs.predict(run, tmp_path)


def test_what_cannot_be_asked_is_refused_in_a_sentence(run: cs.Run, odd: Path, tmp_path: Path) -> None:
    image = odd / "one.png"
    for wrong, says in (
        ("resnet18", "resnet18 is untrained: give a run"),
        ("resnet1", "did you mean"),
        ("tv:resnet18", "was not made here"),
        (torch.nn.Flatten(), "a Flatten does not say what images"),
        (cs.build(run.spec.with_channels(2), seed=0), "images of 2 channels"),
    ):
        with pytest.raises(UserError, match=says):
            cs.predict(wrong, image)  # type: ignore[arg-type]
    net = cs.build(run.spec, seed=0)
    with pytest.raises(UserError, match="has 10 outputs, and 2 classes are named"):
        cs.predict(net, image, classes=("cat", "dog"))
    with pytest.raises(UserError, match="knows its classes"):
        cs.predict(run, image, classes=("cat", "dog"))
    with pytest.raises(UserError, match="has its own weights"):
        cs.predict(run, image, weights="x.safetensors")
    with pytest.raises(UserError, match="at least 1; got top=0"):
        cs.predict(run, image, top=0)
    torch.nn.init.constant_(net.head.fc.bias, math.nan)
    with pytest.raises(UserError, match=r"one\.png is not finite"):
        cs.predict(net, image)
    begun = cs.Run.create(tmp_path, "begun")
    begun.write("config.json", {"verb": "train"})
    begun.write_spec(run.spec)
    with pytest.raises(UserError, match="has no trained weights yet; finish it with `convsmith resume"):
        cs.predict(begun, image)
    begun.write("space.json", {})
    with pytest.raises(UserError, match="is a search without trained children yet"):
        cs.predict(begun, image)
    (begun.path / "children" / "2M-macs").mkdir(parents=True)
    (begun.path / "children" / "2M-macs" / "model.safetensors").touch()
    with pytest.raises(UserError, match=r"is a search; its trained networks are .*children/2M-macs$"):
        cs.predict(begun, image)


def test_a_file_that_does_not_say_how_its_images_are_prepared_is_refused(
    run: cs.Run, odd: Path, tmp_path: Path
) -> None:
    path, image = tmp_path / "model.onnx", odd / "one.png"
    told = describe(metadata_of(run.spec))
    for change, says in (
        (dict.fromkeys(told), "its metadata lacks resolution, channels, mean, std, resize. `convsmith export`"),
        ({"mean": None}, "lacks mean"),
        ({"mean": "[0.5]"}, "is damaged: 3 channels"),
        ({"std": "fast"}, "is damaged"),
        ({"resolution": "[8, 8]"}, r"is damaged: it says \(8, 8\)"),
        ({"resize": "nearest"}, "does not know: 'nearest'"),
        ({"task": "pose", "outputs": '["points", "likelihood"]'}, "is damaged: it says points, likelihood"),
        ({"task": "depth", "outputs": '["depth"]'}, "is for the task 'depth'"),
        ({"activation": "tanh"}, "makes probabilities by 'tanh', which this version does not know"),
        ({"classes": '["a", "b"]'}, "has 10 outputs, and 2 classes"),
    ):
        model = onnx.load(run.file("model.onnx"))
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, {k: v for k, v in (told | change).items() if v is not None})
        onnx.save(model, path)
        with pytest.raises(UserError, match=says):
            cs.predict(path, image)


# ---- the command line --------------------------------------------------------------------------------------------------


def test_the_verb_speaks_json_and_writes_a_table(
    run: cs.Run, odd: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "out.csv"
    assert main(["predict", str(run.path), str(odd), str(broken), "--top", "3", "--out", str(file), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    found = cs.predict(run, odd, top=3)
    assert record.keys() == {"model", "images", "predictions", "unreadable", "file", "files"}
    assert record["images"] == 13 and len(record["unreadable"]) == 3
    assert record["file"] == str(file) and record["files"] == [str(file)]
    assert [one["label"] for one in record["predictions"]] == [one.label for one in found]
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert list(rows[0]) == ["file", "label", "probability", "label2", "probability2", "label3", "probability3"]
    assert [(row["file"], row["label"]) for row in rows] == [(one.path, one.label) for one in found]
    assert [float(row["probability3"]) for row in rows] == pytest.approx([one.top[2][1] for one in found], rel=1e-5)
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]


def test_few_images_are_listed_and_many_are_summed_up(
    run: cs.Run, odd: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(run.file("model.onnx")), str(odd), str(broken / "text.png")]) == 0
    said = capsys.readouterr().out
    assert all(path.name in said for path in odd.iterdir()) and "1 of 11 images could not be read" in said
    for number in range(60):
        picture(number).save(tmp_path / f"{number:02}.png")
    assert main(["predict", str(run.path), str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "60 images" in said and "the first 10 of 60 images" in said
    assert "09.png" in said and "10.png" not in said
    assert len(said.splitlines()) < 40


def test_the_weights_of_a_run_say_what_they_take_and_give(run: cs.Run) -> None:
    from safetensors import safe_open

    with safe_open(run.file("model.safetensors"), "pt") as file:
        says = json.loads(file.metadata()["convsmith"])
    image = run.spec.input
    assert (says["resolution"], says["mean"], says["std"]) == ([*image.sides], [*image.mean], [*image.std])
    assert says["classes"] == [str(n) for n in range(10)] and says["convsmith"] == run.config.convsmith


def test_the_verb_refuses_before_the_work(
    run: cs.Run, odd: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong, says in (
        (["--out", str(tmp_path)], "is a folder"),
        (["--out", "x.txt"], "writes a .csv"),
        (["--out", str(broken / "text.png" / "x.csv")], "is a file and not a folder"),
        (["--top", "0"], "--top"),
    ):
        assert main(["predict", str(run.path), str(odd), *wrong]) == 2
        assert says in capsys.readouterr().err.replace("\n", " ")
    file = tmp_path / "x.csv"
    file.write_text("before")
    assert main(["predict", str(run.path), str(broken), "--out", str(file)]) == 2
    assert "none of 3 images could be read" in capsys.readouterr().err and file.read_text() == "before"


def test_records_are_values() -> None:
    one = Prediction(0, "a.png", (("cat", 0.75), ("dog", 0.25)))
    assert one.to_record() == {
        "index": 0, "path": "a.png", "label": "cat", "probability": 0.75,
        "top": [{"label": "cat", "probability": 0.75}, {"label": "dog", "probability": 0.25}],
    }  # fmt: skip
    both = Predictions((one, one), (Unreadable(2, None, "why"),))
    assert list(both) == [one, one] and both[1:] == (one,) and len(both) == 2
    assert repr(one) == "<Prediction a.png: cat 75.0%, dog 25.0%>"
    assert repr(both) == "<Predictions 3 images, 1 of them unreadable: cat 2>" and str(one) in str(both)


def test_what_a_folder_left_out_is_said(tmp_path: Path) -> None:
    from convsmith.data.given import unpacked
    from convsmith.data.readers.pseudo import unlabelled

    for name in ("a.png", ".hidden.png", "c.png.bak"):
        picture(1).save(tmp_path / name, format="png")
    said: list[str] = []
    assert len(list(unpacked(tmp_path, said.append))) == 1 and len(unlabelled(tmp_path, said.append)) == 1
    assert len(said) == 2 and all("2 images are left out" in one for one in said)
