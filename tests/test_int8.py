"""INT8 files: every convolution in eight bits, accuracy kept, and a gate that lets nothing pass that breaks it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import convsmith as cs
from broken import nf, preact
from convsmith.arch import ArchSpec
from convsmith.cli.app import main
from convsmith.errors import UserError
from convsmith.exporting import export_onnx
from convsmith.exporting.constants import fold_constants
from convsmith.exporting.fold import fold_batch_norm, fold_filters
from convsmith.exporting.int8 import quantise
from convsmith.exporting.must import Condition, conditions
from convsmith.exporting.ort import session
from convsmith.families import FAMILIES, TASKS
from convsmith.jobs.train.begin import sound
from convsmith.layers import Gained, Residual, ScaledWSConv2d
from convsmith.parts import NoNorm


def small(spec: ArchSpec) -> ArchSpec:
    stages = tuple(replace(stage, width=16 * 2**at) for at, stage in enumerate(spec.stages))
    return replace(spec, stages=stages, stem=replace(spec.stem, width=8)).with_resolution(32).with_classes(10)


@pytest.mark.parametrize("spec", [small(preact((1, 1, 1, 1))), small(nf((1, 1, 1, 1)))], ids=lambda spec: spec.name)
def test_every_convolution_is_in_eight_bits_and_the_answers_are_near(spec: ArchSpec, tmp_path: Path) -> None:
    model = cs.build(spec, seed=0)
    images = torch.randn((32, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.train()(images)
    whole, eight = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    export_onnx(model.eval(), whole, input_shape=(3, 32, 32))
    made = quantise(whole, eight, [images.numpy()])
    assert made.share == 1 and made.convolutions >= 13 and made.bytes < made.float_bytes
    name = session(whole, threads=1).get_inputs()[0].name
    was, now = (session(file, threads=1).run(None, {name: images.numpy()})[0] for file in (whole, eight))
    # Seven bits of weights through 14 layers: a tenth of the logits' deviation, where a broken scale gives one or more.
    assert float(np.abs(np.asarray(was) - np.asarray(now)).mean()) < 0.2 * float(np.asarray(was).std())


def test_standardised_filters_leave_no_trace_in_a_folded_network() -> None:
    model = cs.build(small(nf((1, 1, 1, 1))), seed=0).eval()
    plain = fold_filters(model)
    assert not any(isinstance(module, ScaledWSConv2d) for module in plain.modules())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model(images), plain(images))


@pytest.mark.parametrize("name", [family()[0].name for name, family in FAMILIES.items() if name not in TASKS])
def test_filters_norms_and_constants_fold_in_every_family_and_the_function_stays(name: str) -> None:
    model = cs.build(cs.spec(name).with_resolution(64).with_classes(10), seed=0).eval().double()
    for block in model.modules():  # branches that start at zero would hide what is folded into them
        if isinstance(block, Residual) and block.gain is not None:
            torch.nn.init.constant_(block.gain, 0.5)
    images = torch.randn((2, 3, 64, 64), dtype=torch.float64)
    folded = fold_constants(fold_filters(fold_batch_norm(model, input_shape=(3, 64, 64))[0]))
    with torch.no_grad():
        was, now = model(images), folded(images)
    assert bool(torch.isfinite(was).all())
    assert torch.allclose(was, now, rtol=1e-9, atol=1e-12)  # rounding of float64 through fifty layers
    if name.startswith("nf"):
        assert all(block.gain is None for block in folded.modules() if isinstance(block, Residual) and block.skip)


def test_a_folded_normaliser_free_network_multiplies_by_nothing() -> None:
    model = cs.build(small(nf((2, 1, 1, 1))), seed=0).eval().double()
    images = torch.randn((2, 3, 32, 32), dtype=torch.float64)
    folded = fold_constants(fold_filters(model))

    def factors(net: torch.nn.Module) -> set[float]:
        gains = {module.gain for module in net.modules() if isinstance(module, Gained)}
        return gains | {block.alpha for block in net.modules() if isinstance(block, Residual)}

    assert len(factors(model)) == 2 and factors(folded) == {1.0}  # ReLU's gain, the head's too, and alpha
    with torch.no_grad():
        assert torch.allclose(model(images), folded(images), rtol=1e-10, atol=1e-12)  # rounding of float64


def test_conditions_are_read_and_hold_at_their_limits() -> None:
    assert conditions("latency<=5ms,mb<=4MB") == (Condition("ms", True, 5.0), Condition("mb", True, 4.0))
    assert conditions("drop<=1, top1>=90%") == (Condition("drop", True, 1.0), Condition("top1", False, 90.0))
    assert Condition("ms", True, 5.0).holds({"ms": 5.0}) and not Condition("ms", True, 5.0).holds({"ms": float("nan")})
    assert conditions("") == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("drop<1", "is not NAME<="),
        ("dorp<=1", "drop"),
        ("ms<=fast", "is no number"),
        ("ms<=nan", "is no number"),
        ("ms<=5s", "ms or nothing"),
        ("top1>=101", "cannot be met: top1 is from 0 to 100"),
        ("drop<=-101", "cannot be met"),
        ("ratio<=0", "cannot be met: ratio is above 0"),
    ],
)
def test_a_wrong_condition_is_an_error_in_words(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        conditions(text)


def test_a_run_is_quantised_scored_and_gated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = tmp_path / "small.json"
    spec.write_text(small(nf((1, 1, 1, 1))).with_resolution(16).to_json())
    assert main(["train", str(spec), "digits", "--set", "epochs=1", "--name", "one"]) == 0
    capsys.readouterr()
    assert main(["export", "runs/one", "--int8", "--must", "ratio<=0.01"]) == 1
    assert "must be <= 0.01" in capsys.readouterr().err
    assert not (tmp_path / "runs/one/model.int8.onnx").exists()
    assert main(["export", "runs/one", "--int8", "--must", "ratio<=0.9,drop<=30", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["int8_convolutions"] == found["convolutions"] > 0 and found["n"] > 300
    assert json.loads((tmp_path / "runs/one/export_int8.json").read_text())["bytes"] == found["bytes"]
    assert [file.name for file in (tmp_path / "runs/one").glob(".convsmith*")] == []
    assert main(["export", "runs/one", "--int8", "--out", str(tmp_path)]) == 2
    assert main(["export", "runs/one", "--int8", "--out", "runs/one/spec.json/x.onnx"]) == 2
    assert "is a folder; give the name of a file" in (said := capsys.readouterr().err) and "is a file and not" in said
    (tmp_path / "runs/one/model.safetensors").unlink()
    assert main(["export", "runs/one", "--int8"]) == 2
    assert "has no weights yet" in capsys.readouterr().err
    assert main(["export", "resnet18", "--int8"]) == 2
    assert main(["export", "runs/one", "--must", "ms<=1"]) == 2


def test_a_network_whose_signal_dies_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="would not train: branch variance"):
        sound(nf((1, 1, 1, 1)).with_style(norm=NoNorm()), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["nf-signal.svg"]
    with pytest.raises(UserError, match="`convsmith diagnose` draws where"):  # a dry run, which writes nothing
        sound(nf((1, 1, 1, 1)).with_style(norm=NoNorm()), None)
    sound(nf((1, 1, 1, 1)), tmp_path)
