"""A file says how its pictures are prepared and what it puts out, to who has it without this package."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest
import torch

import convsmith as cs
from convsmith.cli.app import main
from convsmith.errors import UserError
from convsmith.exporting import Metadata, export_onnx
from convsmith.exporting.metadata import PROBABILITIES, RAW, RESIZE, attach, describe
from convsmith.exporting.snippets import snippet
from convsmith.jobs.feed import metadata_of, shape_of
from convsmith.jobs.predict import Predictions, opened
from convsmith.tasks import Classify, MultiLabel
from predicting import LITE, NEAR, SIDE, agree, small


@pytest.fixture(scope="module")
def run(digits_run: cs.Run) -> cs.Run:
    return digits_run


@pytest.fixture(scope="module")
def odd(odd_pictures: Path) -> Path:
    return odd_pictures


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
    photographs = sorted((shared_data / "imagenet-samples" / "images").glob("*.jpg"))[::4]
    if not photographs:
        pytest.skip("no photographs in imagenet-samples")
    net = cs.create("efficientnet_lite0", weights=next((Path(package.origin).parent / "models").glob("*.pth"))).eval()
    path = tmp_path / "lite0.onnx"
    made = export_onnx(net, path, input_shape=shape_of(net.spec), metadata=metadata_of(net.spec))
    assert made.snippet is not None
    found, answers = cs.predict(path, photographs, top=1000), pasted(made.snippet, photographs)
    assert [rows[0][0] for rows in answers] == [one.label for one in found]
    near(answers, found)
    some = photographs[::5]
    agree(cs.predict(net, some, top=1000), cs.predict(path, some, top=1000), within=1e-4)


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
