"""A detector is trained, judged and shipped by the same verbs as anything else."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

import convsmith as cs
from convsmith.arch import ArchSpec
from convsmith.cli.app import main
from convsmith.data import ImageData, Instances
from convsmith.data.readers.objects import scenes as reader
from convsmith.errors import UserError
from convsmith.jobs.feed import Feed, normaliser
from convsmith.jobs.fitting import coarsest, fitted_to
from convsmith.jobs.options import Options
from convsmith.jobs.source import Source
from convsmith.jobs.train.begin import Job, start, train_job
from convsmith.model import build
from convsmith.parts.heads.mask_rcnn import MaskRCNN
from convsmith.recipes import DETECT, DETECT_SCRATCH
from convsmith.runs import RunFolder
from convsmith.tasks import Detect, task_for
from convsmith.training import Single, fit, parameter_groups
from convsmith.watcher import Watcher

CPU = torch.device("cpu")
LOAD = Source.load


@cache
def scenes() -> ImageData:
    """The first of the embedded scenes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reader, "TRAINED", 16)
        patched.setattr(reader, "VALIDATED", 4)
        return LOAD(Source("digit-scenes"), Watcher())


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for, the scenes come."""
    monkeypatch.setattr(Source, "load", lambda self, watcher, own=None: scenes())


def shallow() -> ArchSpec:
    """Four narrow blocks: it is not the trunk that is tested."""
    return cs.grown(cs.spec("resnet18"), width=0.125, depth=0.5, rounding=cs.Rounding(width_to=8))


def small() -> ArchSpec:
    """A detector of sixteen channels on a canvas of 64 pixels."""
    return cs.detector(shallow(), 10, width=16, fc_width=16, box_convs=0, mask_convs=1, regions=20, scale=4.0)


def job(tmp_path: Path, model: ArchSpec | str, *settings: str) -> Job:
    options = Options(parent=tmp_path, settings=("epochs=2", *settings), name="run")
    return train_job(model, "scenes", 64, options, Watcher())


# ---- what data makes of a network ------------------------------------------------------------------------------------


def test_objects_ask_for_a_detector() -> None:
    task = task_for(scenes())
    assert task == Detect(masks=True)
    spec = fitted_to(shallow(), task, scenes())
    assert isinstance(spec.head, MaskRCNN) and spec.head.classes == 10 and spec.head.masks
    assert spec.input.sides == (128, 128) and coarsest(spec) == 64
    boxes = fitted_to(shallow(), Detect(masks=False), scenes())
    assert isinstance(boxes.head, MaskRCNN) and not boxes.head.masks
    assert boxes.head.puts_out == ("boxes", "scores", "labels")


@pytest.mark.parametrize(
    ("sides", "height", "shown", "width", "regions", "linear"),
    [
        ((128, 128), None, (128, 128), 64, 150, 2),
        ((480, 640), None, (512, 640), 256, 1000, 1),
        ((480, 640), 200, (256, 320), 128, 300, 2),  # up to whole cells of the coarsest map
        ((3000, 4000), None, (576, 768), 256, 1000, 1),  # as much as a square of 640
    ],
)
def test_a_detector_is_made_to_the_measure_of_its_canvas(
    sides: tuple[int, int], height: int | None, shown: tuple[int, int], width: int, regions: int, linear: int
) -> None:
    spec = fitted_to(shallow(), Detect(), replace(scenes(), sides=sides), height)
    assert spec.input.sides == shown
    assert isinstance(spec.head, MaskRCNN)
    assert (spec.head.box_width, spec.head.regions, spec.head.box_fcs) == (width, regions, linear)


def test_a_detector_keeps_its_choices() -> None:
    spec = fitted_to(small(), Detect(), scenes(), 64)
    assert replace(spec, input=small().input) == small()


def test_the_recipe_goes_with_the_task_and_the_weights(tmp_path: Path) -> None:
    made = job(tmp_path, small(), "rate=0.016")
    assert made.recipe == replace(DETECT_SCRATCH, epochs=2, rate=0.016)
    assert made.recipe.augment.mirror == 0 or not scenes().mirror
    for settings, said in (
        (("mixup=0.2",), "does not read the recipe's mixup"),
        (("task.region_samples=0",), "task.region_samples must be at least 1"),
        (("task.regions=2",), "did you mean 'region_samples'"),
    ):
        with pytest.raises(UserError, match=said):
            job(tmp_path, small(), *settings)


def test_the_trunk_alone_has_a_rate_of_its_own() -> None:
    """Neck and heads are new where a trunk has weights."""
    model = build(fitted_to(small(), Detect(), scenes(), 64), seed=0)
    groups = parameter_groups(model, 1e-4, trunk_rate=DETECT.trunk_rate)
    slow = {id(one) for group in groups if group["share"] == DETECT.trunk_rate for one in group["params"]}
    named = {name.partition(".")[0]: id(one) in slow for name, one in model.named_parameters()}
    assert named == {"stem": True, "stages": True, "neck": False, "head": False}


# ---- training --------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_sum_of_what_it_is_told_apart_into() -> None:
    spec = fitted_to(small(), Detect(), scenes(), 64)
    batch = next(iter(Feed(spec, scenes(), DETECT, 0, 0).batches(0, 1)))
    assert isinstance(batch.answers, Instances)
    model, task = build(spec, seed=0), Detect()
    torch.manual_seed(0)
    seen = task.loss(model, normaliser(spec, CPU)(batch.images), batch.answers, DETECT)
    assert len(seen.terms) == len(task.terms) and all(one.item() > 0 for one in seen.terms)
    assert seen.loss.item() == pytest.approx(sum(one.item() for one in seen.terms), rel=1e-6)
    assert 0 <= seen.score.item() <= len(batch.answers)
    seen.loss.backward()
    assert all(one.grad is not None for one in model.parameters())


def test_a_network_without_a_detectors_head_is_refused() -> None:
    spec = fitted_to(small(), Detect(), scenes(), 64)
    batch = next(iter(Feed(spec, scenes(), DETECT, 0, 0).batches(0, 1)))
    with pytest.raises(UserError, match=r"give the spec to cs\.detector first"):
        Detect().loss(build(shallow(), seed=0), batch.images.float(), batch.answers, DETECT)
    with pytest.raises(UserError, match="Search its trunk as a classifier"):
        Detect().distilled(None, None)


def test_a_training_that_was_killed_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """Anchors and regions are drawn from a generator that each step seeds."""
    made = job(tmp_path, small())

    def trained(name: str, stop_at: int) -> dict[str, Tensor]:
        model = build(made.spec, seed=0)
        records = fit(
            Single(model, made.task, made.recipe), made.recipe, Feed(made.spec, scenes(), made.recipe, 0, 0),
            prepare=normaliser(made.spec, CPU), evaluate=lambda network: {}, checkpoint=tmp_path / f"{name}.pt", device=CPU,
            seed=0,
        )  # fmt: skip
        for record in records:
            if getattr(record, "step", 0) >= stop_at:
                break
        return model.state_dict()

    whole = trained("whole", 99)
    trained("cut", 3)
    again = trained("cut", 99)
    assert all(torch.equal(whole[name], again[name]) for name in whole)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two epochs, to the report."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Source, "load", lambda self, watcher, own=None: scenes())
        return start(job(tmp_path_factory.mktemp("detector"), small()), Watcher())


def test_a_run_tells_its_losses_apart(run: RunFolder) -> None:
    _, last = run.epochs
    apart = {name: value for name, value in last.values.items() if name.startswith("train_loss_")}
    assert set(apart) == {f"train_loss_{name}" for name in Detect.terms}
    assert sum(apart.values()) == pytest.approx(last.values["train_loss"], rel=1e-6)
    assert {"val_mask_ap", "val_box_ap", "train_regions"} <= set(last.values)


def test_a_run_is_judged_and_shipped(run: RunFolder) -> None:
    scores = json.loads(run.file("scores.json").read_text())
    assert scores["metrics"][0]["name"] == "mask_ap" and scores["n"] == 4
    exported = json.loads(run.file("export.json").read_text())
    assert exported["batch"] == 1
    page = run.file("report.html").read_text()
    assert "mask AP" in page and "double" in page
    assert json.loads(run.file("config.json").read_text())["task"]["kind"] == "detect"


def test_what_was_trained_answers(run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    picture = tmp_path / "a.png"
    Image.fromarray(scenes().val.inputs.decode(0, channels=3, least=64, cut=None).permute(1, 2, 0).numpy()).save(
        picture
    )
    for network in (run.path, run.file("model.onnx")):
        assert main(["predict", str(network), str(picture), "--out", str(tmp_path / "found.json"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["images"] == 1
