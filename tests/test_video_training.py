"""Clips are trained on, scored and asked about by the same loop and the same verbs as images."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import convsmith as cs
from commands import run as command
from convsmith.arch import ArchSpec, Clip
from convsmith.data import Span, Views, eval_batches, load_data
from convsmith.data.films import Film
from convsmith.data.readers.clips import moving as reader
from convsmith.errors import UserError
from convsmith.evals import Top1
from convsmith.families.inflated import inflated
from convsmith.jobs.feed import Feed, normaliser, score_on, validation_batches
from convsmith.jobs.fitting import fitted_to, told_of_frames
from convsmith.jobs.options import Options
from convsmith.jobs.predict import Timeline, opened, over_time, predict
from convsmith.jobs.predict.over_time import windows
from convsmith.jobs.train.begin import design_job, named, train_job
from convsmith.model import build
from convsmith.recipes import CLIPS, recipe
from convsmith.tasks import Classify
from convsmith.tasks.mixing import grown_to, mixed
from convsmith.training import Single, fit
from convsmith.watcher import Watcher
from videos import marked, write_film

CPU = torch.device("cpu")
SIDE = 16


def tiny(frames: int = 4, stride: int = 2) -> ArchSpec:
    """A ResNet of two blocks, the second of which reads three frames at once."""
    base = cs.spec("resnet18", resolution=SIDE)
    stages = tuple(replace(stage, depth=1, width=8 * (k + 1)) for k, stage in enumerate(base.stages[:2]))
    small = replace(base, name="tiny", stem=replace(base.stem, width=8, pool=False), stages=stages)
    return inflated(small, frames=frames, stride=stride)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "TRAINED", 32)
    monkeypatch.setattr(reader, "VALIDATED", 16)


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cs.Run]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reader, "TRAINED", 32)
        patched.setattr(reader, "VALIDATED", 16)
        told = Options(settings=("epochs=1", "batch=8"), name="moving", parent=tmp_path_factory.mktemp("runs"))
        yield cs.train(tiny(), "moving-digits", options=told)


# ---- training --------------------------------------------------------------------------------------------------------


def test_a_run_on_clips_is_whole(trained_run: cs.Run) -> None:
    assert isinstance(trained_run.spec.input, Clip) and trained_run.spec.input.frames == 4
    assert trained_run.config.recipe["name"] == CLIPS.name
    assert trained_run.scores.n == 16 and trained_run.data.classes[:2] == ("up", "up-right")
    for name in ("model.safetensors", "model.onnx", "latency.json", "report.html"):
        assert trained_run.has(name)
    page = trained_run.file("report.html").read_text(encoding="utf-8")
    assert "16 val films" in page and "Milliseconds per clip" in page and "PyAV and Pillow" in page
    assert "ms per clip" in page and "validation images" not in page
    assert (
        "one clip, 3 × 4 × 16 × 16" in page and page.count("data:image/png") > 3
    )  # wrong answers, as frames side by side


def test_a_training_that_was_killed_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """Where clips begin is drawn by (seed, epoch, index): a checkpoint is all that a kill can leave."""
    made = train_job(
        tiny(), "moving-digits", None, Options(parent=tmp_path, settings=("batch=8", "epochs=2")), Watcher()
    )
    data, how = made.images, made.recipe

    def trained(name: str, stop_at: int) -> dict[str, Tensor]:
        model = build(made.spec, seed=0)
        records = fit(
            Single(model, made.task, how), how, Feed(made.spec, data, how, 0, 0), prepare=normaliser(made.spec, CPU),
            evaluate=lambda network: {}, checkpoint=tmp_path / f"{name}.pt", device=CPU, seed=0,
        )  # fmt: skip
        for record in records:
            if getattr(record, "step", 0) >= stop_at:
                break
        return model.state_dict()

    whole = trained("whole", 99)
    trained("cut", 5)
    again = trained("cut", 99)
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_resumed_run_knows_its_films_again(trained_run: cs.Run) -> None:
    weights = trained_run.file("model.safetensors").read_bytes()
    trained_run.file("report.html").unlink()
    cs.resume(trained_run)
    assert trained_run.file("model.safetensors").read_bytes() == weights and trained_run.has("report.html")


def test_design_leaves_a_clip_its_frames(tmp_path: Path) -> None:
    """However small the budget: on one frame nothing moves."""
    made = design_job("moving-digits", "3M-macs", None, None, Options(parent=tmp_path), Watcher())
    assert (made.spec.input.frames, made.spec.input.stride) == (8, 2) and made.recipe.name == CLIPS.name
    assert cs.cost(made.spec).macs <= 3e6 and named(made) == "moving-digits-3M"


def test_frames_are_mixed_and_grown_alike() -> None:
    frames = torch.rand(6, 3, 1, 8, 8).expand(-1, -1, 4, -1, -1).contiguous()
    for how in ({"mixup": 0.4, "cutmix": 0.0}, {"mixup": 0.0, "cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}):
        torch.manual_seed(1)
        clips, own = mixed(frames, **how)
        torch.manual_seed(1)
        images, share = mixed(frames[:, :, 0], **how)
        assert torch.equal(own, share) and all(torch.equal(clips[:, :, t], images) for t in range(4))
    small = grown_to(frames, replace(recipe("quick"), first_side=0.5), 0)
    assert small.shape == (6, 3, 4, 4, 4) and torch.equal(small[:, :, 1], small[:, :, 3])


def test_what_does_not_fit_together_is_refused_or_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="reads clips of 4 frames, and digits has images"):
        train_job(tiny(), "digits", None, Options(parent=tmp_path), Watcher())
    films = load_data("moving-digits")
    image = fitted_to(cs.spec("resnet18"), Classify(), films)
    assert "is shown one frame of each film" in told_of_frames(image, films.val.inputs)
    assert told_of_frames(tiny(), films.val.inputs) == "" == told_of_frames(image, load_data("digits").val.inputs)
    assert "16 films of 16 are shorter than the 31 frames" in told_of_frames(tiny(16), films.val.inputs)


# ---- scores ----------------------------------------------------------------------------------------------------------


def test_views_are_averaged_as_by_hand(trained_run: cs.Run) -> None:
    films, spec, model = load_data("moving-digits").val, trained_run.spec, trained_run.model()
    ready, meter = normaliser(spec, CPU), Top1(trained_run.data.classes)
    for batch in eval_batches(films, sides=(SIDE, SIDE), batch=4, span=Span(4, 2), views=Views(3, 2)):
        with torch.no_grad():
            shares = sum(model(ready(batch.images[:, view])).softmax(1) for view in range(6)) / 6
        meter.add(shares.log(), batch.one_view())
    by_hand = meter.scores("val", lambda i: None)
    found = trained_run.evaluate(views="3x2")
    assert found["top1"] == by_hand["top1"] and found["loss"] == pytest.approx(by_hand["loss"], rel=1e-5)
    assert dict(found.settings)["clips"] == 3 and "3 clips of each film, 2 crops each" in str(found)
    assert trained_run.evaluate(views="1")["loss"] == pytest.approx(trained_run.scores["loss"], rel=1e-6)


def test_views_of_images_and_clips_of_images_are_refused(trained_run: cs.Run, tmp_path: Path) -> None:
    images, names = np.zeros((4, 8, 8, 3), np.uint8), trained_run.data.classes[:2]
    np.savez(tmp_path / "x.npz", images=images, labels=np.array([0, 1, 0, 1]), classes=names)
    with pytest.raises(UserError, match="--views looks at a film"):
        trained_run.evaluate(str(tmp_path / "x.npz"), views="3x1")
    with pytest.raises(UserError, match=r"reads clips, and .* has images"):
        trained_run.evaluate(str(tmp_path / "x.npz"))


def test_validation_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    films, asked = load_data("moving-digits").val, []
    batches = validation_batches(tiny(), films)
    first = list(batches())
    monkeypatch.setattr(type(films.inputs), "clip", lambda *args, **named: asked.append(args))
    assert all(a is b for a, b in zip(first, batches(), strict=True)) and asked == []


def test_a_network_for_images_is_scored_on_the_middle_frame() -> None:
    films = load_data("moving-digits").val
    spec = fitted_to(cs.spec("mobilenetv2_035", resolution=SIDE), Classify(), load_data("moving-digits"))
    scores = score_on(build(spec, seed=0), spec, films, load_data("moving-digits").classes, CPU, Classify())
    assert scores.n == 16


# ---- films -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "hop", "begins"), [(20, 7.0, [0, 7, 13]), (21, 7.0, [0, 7, 14]), (9, 2.5, [0, 2]), (4, 1.0, [0])]
)
def test_windows_cover_a_film_and_hold_no_more_than_a_clip(n: int, hop: float, begins: list[int]) -> None:
    held = {"now": 0, "most": 0}

    class Frame(Tensor):
        pass

    def frames() -> Iterator[Tensor]:
        for k in range(n):
            held["now"] = k
            yield torch.full((1, 1, 1), k)

    found = []
    for first, behind, clip in windows(frames(), Span(4, 2), hop):
        found.append(first)
        assert behind == min(n, first + 7) == held["now"] + 1  # told as soon as its last frame is there
        assert clip.shape == (1, 4, 1, 1) and clip[0, :, 0, 0].tolist() == [(first + 2 * k) % n for k in range(4)]
    assert found == begins and list(windows(iter(()), Span(4), 1.0)) == []


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Twenty frames, 0.8 seconds."""
    rng = np.random.default_rng(0)
    return write_film(
        tmp_path / "film.mp4",
        [np.roll(f, k, 0) | rng.integers(0, 20, f.shape, np.uint8) for k, f in enumerate(marked(20))],
    )


def test_labels_over_time_are_those_of_the_clips(trained_run: cs.Run, film: Path) -> None:
    found = predict(trained_run, film, top=8)
    assert isinstance(found, Timeline) and [one.start for one in found] == [0.0, 7 / 25, 13 / 25]
    assert [one.end for one in found] == [7 / 25, 14 / 25, 20 / 25] and found.seconds == pytest.approx(0.8)
    model, ready = trained_run.model(), normaliser(trained_run.spec, CPU)
    frames = torch.from_numpy(np.stack(list(Film(film)))).permute(0, 3, 1, 2)
    # Of 48 x 64 pixels the middle 16 x 16 once 16 are high.
    small = torch.nn.functional.interpolate(frames, size=(16, 21), mode="bilinear", antialias=True)[..., 2:18]
    for one, first in zip(found, (0, 7, 13), strict=True):
        with torch.no_grad():
            shares = model(ready(small[first : first + 7 : 2].transpose(0, 1)[None])).softmax(1)[0]
        assert dict(one.top) == pytest.approx(
            dict(zip(trained_run.data.classes, shares.tolist(), strict=True)), abs=1e-6
        )
    exported = predict(trained_run.file("model.onnx"), film, top=8)
    for one, other in zip(found, exported, strict=True):
        assert (one.start, one.end) == (other.start, other.end) and dict(one.top) == pytest.approx(
            dict(other.top), abs=1e-4
        )
    often = list(over_time(opened(trained_run), Film(film), every=0.1))
    assert [one.start for one in often] == [int(2.5 * k) / 25 for k in range(6)] + [13 / 25]


def test_a_short_film_begins_again_and_no_film_is_refused(trained_run: cs.Run, tmp_path: Path) -> None:
    (only,) = predict(trained_run, write_film(tmp_path / "short.mp4", marked(3)))
    assert (only.start, only.end) == (0.0, 3 / 25)
    with pytest.raises(UserError, match="reads clips of 4 frames: give the path of one film"):
        predict(trained_run, np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match="--every is a number of seconds above 0"):
        list(over_time(opened(trained_run), Film(tmp_path / "short.mp4"), every=0))


def test_the_command_tells_labels_over_time(
    trained_run: cs.Run, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, picture = tmp_path / "labels.csv", tmp_path / "labels.svg"
    _, out, _ = command(
        capsys, "predict", str(trained_run.path), str(film), "--out", str(table), "--timeline", str(picture), "--json"
    )
    told = json.loads(out)
    assert told["seconds"] == 0.8 and len(told["stretches"]) == 3 and told["files"] == [str(table), str(picture)]
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert [float(row["start_s"]) for row in rows] == [0.0, 0.28, 0.52] and rows[0]["label"] == told["stretches"][0][
        "label"
    ]
    assert "How likely each class is over time in film.mp4" in picture.read_text(encoding="utf-8")
    _, said, _ = command(capsys, "predict", str(trained_run.path), str(film))
    assert "film.mp4, 0.8 s" in said and "0.28" in said


def test_a_network_for_images_tells_its_labels_over_time_where_it_is_asked_to(film: Path) -> None:
    model = build(cs.spec("mobilenetv2_035", resolution=SIDE, classes=3), seed=0)
    told = list(over_time(opened(model, classes=["a", "b", "c"]), Film(film), every=0.2))
    assert [(one.start, one.end) for one in told] == [(k / 25, (k + 1) / 25) for k in (0, 5, 10, 15, 19)]
