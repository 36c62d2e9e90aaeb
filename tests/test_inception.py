"""FID and the Inception Score: torchvision's network and the ported one from a file, and whose numbers are called so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter, uniform_filter
from scipy.stats import entropy
from scipy.stats import t as student_t
from torch import nn
from torchvision.models import Inception3

from convsmith.cli.app import main
from convsmith.errors import UserError
from convsmith.evals import FID, Made, Seen, Synthesised, Terms, terms_of
from convsmith.evals.distances import class_score, split_scores
from convsmith.jobs.options import Options
from convsmith.jobs.synthesis.inception import _network, inception
from convsmith.jobs.train.begin import describe, train_job
from convsmith.model import build
from convsmith.runs import RunFolder
from convsmith.scores import Scores
from convsmith.watcher import Watcher
from convsmith.weights import read
from convsmith.weights import write as write_weights

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def theirs() -> Inception3:
    """torchvision's own, of random weights, its norms' statistics as those of a trained network: of its maps."""
    torch.manual_seed(0)
    network = Inception3(transform_input=True, init_weights=False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of what was seen
    second, network.AuxLogits = network.AuxLogits, None  # it takes no small images
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 75, 75))
    network.AuxLogits = second
    return network.eval()


@pytest.fixture(scope="module")
def file(theirs: Inception3, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "inception_v3.pth"
    torch.save(theirs.state_dict(), path)
    return path


def of_2015(theirs: Inception3) -> dict[str, torch.Tensor]:
    """Weights in the layout of pt_inception-2015-12-05: no second classifier, 1,008 classes."""
    state = {key: value for key, value in theirs.state_dict().items() if not key.startswith(("AuxLogits", "fc."))}
    return state | {"fc.weight": torch.randn(1008, 2048), "fc.bias": torch.randn(1008)}


@pytest.fixture(scope="module")
def ported(theirs: Inception3, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "theirs.safetensors"
    write_weights(path, of_2015(theirs))
    return path


# ---- the network -----------------------------------------------------------------------------------------------------


def test_torchvisions_network_sees_what_it_sees_of_imagenet(theirs: Inception3, file: Path) -> None:
    """It is called by its own way in: images normalised as ImageNet's are, which it undoes itself."""
    images = torch.randint(0, 256, (1, 3, 40, 60), dtype=torch.uint8)
    means, same, shares = inception(file, CPU).features(images)
    shown = nn.functional.interpolate(images / 255, size=(299, 299), mode="bilinear")
    mean, std = (torch.tensor(one)[:, None, None] for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    kept: list[torch.Tensor] = []
    hook = theirs.avgpool.register_forward_hook(lambda module, given, out: kept.append(out.flatten(1)))
    with torch.no_grad():
        expected = theirs((shown - mean) / std).softmax(1)
    hook.remove()
    assert torch.equal(means, same) and means.shape == (1, 2048) and shares.shape == (1, 1000)
    # Two ways of normalising differ by rounding, which some fifty layers pass on: to a thousandth of the largest feature.
    torch.testing.assert_close(means, kept[0], rtol=0, atol=1e-3 * kept[0].abs().max().item())
    torch.testing.assert_close(shares, expected, rtol=1e-2, atol=1e-6)


def test_grey_images_are_three_equal_channels(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convsmith.jobs.synthesis.inception.SIDE", 75)
    grey = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    features = inception(file, CPU).features
    torch.testing.assert_close(features(grey)[0], features(grey.repeat(1, 3, 1, 1))[0])


def test_the_ported_network_pools_as_tensorflow_does(theirs: Inception3) -> None:
    """Its blocks' last branches, by another's filters: a mean over what lies inside the map, and at the very end a maximum."""
    network, _ = _network(of_2015(theirs), Path("file"))
    rng = np.random.default_rng(0)
    for name in ("5b", "6c", "7b", "7c"):
        block = getattr(theirs, f"Mixed_{name}")
        width = block.branch_pool.conv.out_channels
        maps = rng.standard_normal((1, block.branch_pool.conv.in_channels, 4, 5)).astype(np.float32)
        if name == "7c":
            pooled = maximum_filter(maps, (1, 1, 3, 3), mode="constant", cval=-np.inf)
        else:
            sums = uniform_filter(maps, (1, 1, 3, 3), mode="constant")
            pooled = sums / uniform_filter(np.ones_like(maps), (1, 1, 3, 3), mode="constant")
        with torch.no_grad():
            found = getattr(network, f"Mixed_{name}")(torch.from_numpy(maps))
            torch.testing.assert_close(
                found[:, -width:], block.branch_pool(torch.from_numpy(pooled)), rtol=1e-4, atol=1e-5
            )
            torch.testing.assert_close(found[:, :-width], block(torch.from_numpy(maps))[:, :-width])


def test_the_ported_networks_classes_have_no_bias(ported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convsmith.jobs.synthesis.inception.SIDE", 75)
    means, _, shares = inception(ported, CPU).features(torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8))
    torch.testing.assert_close(shares, (means @ read(ported)["fc.weight"].T).softmax(1))


def test_what_is_no_inception_is_refused_by_name(theirs: Inception3, tmp_path: Path) -> None:
    state = of_2015(theirs)
    lacking = {key: value for key, value in state.items() if key != "Mixed_6a.branch3x3.conv.weight"}
    other = state | {"Conv2d_1a_3x3.conv.weight": torch.zeros(8, 3, 3, 3)}
    for own, said in (
        (lacking, "Mixed_6a.branch3x3.conv.weight is missing"),
        (other, r"Conv2d_1a_3x3.conv.weight has the shape \(8, 3, 3, 3\)"),
        ({"weight": torch.zeros(3)}, "Conv2d_1a_3x3.conv.weight is missing"),
    ):
        with pytest.raises(UserError, match=f"holds no Inception v3 in torchvision's names: {said}"):
            _network(own, tmp_path / "file")


# ---- what numbers are called -----------------------------------------------------------------------------------------


def test_only_the_file_that_fid_is_of_is_called_so(ported: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert inception(ported, CPU).terms == terms_of("theirs")
    monkeypatch.setattr("convsmith.jobs.synthesis.inception._digest", lambda path: "6726825d0af5")
    assert inception(ported, CPU).terms == FID
    other = inception(file, CPU)  # torchvision's weights, whatever their file
    assert other.terms.frechet == "FD-inception_v3" and "inception_v3.pth" in other.says


class Knower:
    """A judge of features and shares that are written down: of the made images, of the real ones, of those trained on."""

    says, accuracy = "a table", None

    def __init__(self, terms: Terms, seen: list[Seen]) -> None:
        self.terms, self._seen = terms, seen

    def look(self, images: torch.Tensor) -> Seen:
        return self._seen[int(images.flatten()[0])]

    def known(self, n: int) -> Seen:
        return self._seen[2]

    def neighbours(self) -> tuple[np.ndarray, torch.Tensor]:
        return self._seen[2].near, torch.full((40, 1, 2, 2), 2, dtype=torch.uint8)


def told_of(terms: Terms, classes: int, *, brief: bool = False) -> tuple[Scores, list[Seen]]:
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(3):
        points, own = rng.standard_normal((40, 5)), rng.dirichlet(np.ones(2), 40)
        shares = rng.dirichlet(np.full(classes, 0.2), 40) if classes else np.empty((40, 0))
        seen.append(Seen(points, points, points, own, shares))
    meter = Synthesised("ab", Knower(terms, seen), brief=brief)
    made, real = (torch.full((40, 1, 2, 2), at, dtype=torch.uint8) for at in (0, 1))
    meter.add(Made(made, torch.arange(40) % 2), type("Batch", (), {"images": real}))
    return meter.scores("val", lambda index: None), seen


def test_the_inception_score_is_the_mean_of_ten_parts_beside_that_of_real_images() -> None:
    """By another form of it: exp(H(mean) - mean H), H in nats."""
    scores, seen = told_of(FID, 7)
    parts = [np.exp(entropy(part.mean(0)) - entropy(part, axis=1).mean()) for part in np.split(seen[0].told, 10)]
    real = [np.exp(entropy(part.mean(0)) - entropy(part, axis=1).mean()) for part in np.split(seen[1].told, 10)]
    found = scores.metric("inception_score")
    assert found.value == pytest.approx(np.mean(parts)) and scores["inception_score_real"] == pytest.approx(
        np.mean(real)
    )
    reach = student_t.ppf(0.975, 9) * np.std(parts, ddof=1) / 10**0.5
    assert found.interval == pytest.approx((np.mean(parts) - reach, np.mean(parts) + reach))
    assert found.label.startswith("Inception Score(10 parts of 4; real images ") and found.more_is_better


def test_numbers_say_whose_they_are() -> None:
    scores, _ = told_of(FID, 7)
    assert scores.metric("frechet_distance").label.startswith("FID(5, n=40; floor ")
    assert scores.metric("kernel_distance").label.startswith("1000 KID(5, n=40; floor ")
    assert scores.metric("frechet_floor").label == "floor of FID"
    assert any("published FIDs hold 50,000 images" in note for note in scores.notes)
    assert not any("say little of a covariance" in note for note in scores.notes)
    other, _ = told_of(terms_of("x"), 0)
    assert not any("FID" in one.label or one.name.startswith("inception") for one in other.metrics)
    brief, _ = told_of(FID, 7, brief=True)
    assert brief.metric("inception_score").interval is None


def test_of_fewer_images_than_parts_each_is_one() -> None:
    shares = np.array([[0.8, 0.2], [0.2, 0.8]])
    assert split_scores(shares) == pytest.approx((1, 1)) and split_scores(shares, 1) == (class_score(shares),)


# ---- the verb --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A generator as training leaves it, with random weights."""
    root = tmp_path_factory.mktemp("made")
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8)).astype(np.uint8)
    np.savez(root / "data.npz", images=images, labels=np.arange(30) % 3)
    job = train_job("biggan8", root / "data.npz", None, Options(task="synthesise"), Watcher())
    run = RunFolder.create(root, "r")
    describe(run, job)
    write_weights(run.file("model.safetensors"), build(job.spec, seed=0).state_dict())
    return run


def test_a_run_is_judged_by_the_file(
    run: RunFolder, ported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("convsmith.jobs.synthesis.inception.SIDE", 75)
    monkeypatch.setattr("convsmith.jobs.synthesis.judge._STEPS", 2)
    assert main(["evaluate", str(run.path), "--inception", str(ported), "--json"]) == 0
    scores = Scores.from_record(json.loads(capsys.readouterr().out))
    assert scores.headline.label.startswith("1000 KD-theirs(2048, n=6; floor ")
    assert {"frechet_distance", "inception_score", "inception_score_real", "conditional_accuracy"} <= {
        one.name for one in scores.metrics
    }
    assert scores.metric("frechet_distance").interval is not None
    assert any("6 images say little of a covariance of 2,048 features" in note for note in scores.notes)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("{} --inception nowhere.pth", "--inception is a file of weights, and nowhere.pth is none"),
        ("{} --inception {}/spec.json", "it cannot be read as plain weights"),
        ("{} --inception x.pth --corrupt", "--inception is of the plain scores"),
    ],
    ids=["no file", "no weights", "corrupt"],
)
def test_what_inception_cannot_judge_is_said_in_a_line(
    run: RunFolder, words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *words.replace("{}", str(run.path)).split()]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert said in told and "Traceback" not in told


def test_a_classifier_is_not_judged_by_inception(capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(__file__).parent / "folders-0.1" / "trained"
    assert main(["evaluate", str(run), "--inception", str(run / "spec.json")]) == 2
    assert "task 'classify' makes no images that Inception could judge" in " ".join(capsys.readouterr().err.split())
