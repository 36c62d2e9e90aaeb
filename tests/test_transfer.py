"""Transfer: weights carry over, a frozen trunk stays to the bit, and a slow one learns at its own rate."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_digits

import convsmith as cs
from commands import TINY
from convsmith.cli.app import main
from convsmith.training import parameter_groups
from unexported import unexported

MODEL = TINY


@pytest.fixture(scope="module", autouse=True)
def _unexported() -> Iterator[None]:
    with unexported():
        yield


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    common = ["--resolution", "16", "--epochs", "1", "--runs", str(runs)]
    assert main(["train", MODEL, "digits", *common, "--name", "teacher"]) == 0
    return runs


def weights(run: Path, name: str = "model") -> dict[str, torch.Tensor]:
    return load_file(run / f"{name}.safetensors")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits 0 to 2 alone: a task of other classes."""
    images, labels = load_digits(return_X_y=True)
    kept = labels < 3
    path = tmp_path_factory.mktemp("data") / "three.npz"
    np.savez(
        path, images=(images[kept].reshape(-1, 8, 8) * 15.9).astype(np.uint8), labels=labels[kept].astype(np.int64)
    )
    return path


def test_a_linear_probe_changes_the_classifier_alone(teacher: Path, three: Path) -> None:
    probe = [
        "train",
        MODEL,
        str(three),
        "--resolution",
        "16",
        "--epochs",
        "2",
        "--runs",
        str(teacher),
        "--name",
        "probe",
    ]
    assert main([*probe, "--weights", str(teacher / "teacher"), "--recipe", "finetune", "--set", "frozen=true"]) == 0
    before, after = weights(teacher / "teacher"), weights(teacher / "probe")
    assert before.keys() == after.keys()
    for key in before:
        if not key.startswith("head.fc."):
            assert torch.equal(before[key], after[key]), key
    assert after["head.fc.weight"].shape[0] == 3


def test_everything_learns_where_nothing_is_frozen_and_less_where_the_trunk_is_slow(teacher: Path, three: Path) -> None:
    moved = {}
    for name, rate in (("slow", "0.01"), ("fast", "1")):
        one = [
            "train",
            MODEL,
            str(three),
            "--resolution",
            "16",
            "--epochs",
            "1",
            "--runs",
            str(teacher),
            "--name",
            name,
        ]
        settings = ["--recipe", "quick", "--set", f"trunk_rate={rate}", "--set", "average=0"]
        assert main([*one, "--weights", str(teacher / "teacher"), *settings]) == 0
        before, after = weights(teacher / name, "initial"), weights(teacher / name)
        key = next(key for key, value in before.items() if value.ndim == 4)
        moved[name] = float((after[key] - before[key]).norm())
    assert 0 < moved["slow"] < 0.1 * moved["fast"]


def test_a_transfer_resumes_without_the_weights_it_began_with(
    teacher: Path, three: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The run keeps a copy: see `initial.safetensors`, which is equal to the teacher but for the classifier.
    one = ["train", MODEL, str(three), "--resolution", "16", "--epochs", "1", "--runs", str(teacher), "--name", "kept"]
    assert main([*one, "--weights", str(teacher / "teacher" / "model.safetensors")]) == 0
    before, kept = weights(teacher / "teacher"), weights(teacher / "kept", "initial")
    assert all(torch.equal(before[key], kept[key]) for key in kept)
    assert not any(key.startswith("head.fc.") for key in kept)


def test_a_new_classifier_begins_by_knowing_nothing(teacher: Path, three: Path) -> None:
    """Its first loss is a guess's, ln 3, whatever the features are."""
    one = ["train", MODEL, str(three), "--resolution", "16", "--epochs", "1", "--runs", str(teacher), "--name", "fresh"]
    settings = ["--set", "rate=1e-9", "--set", "average=0", "--set", "smoothing=0"]
    assert main([*one, "--weights", str(teacher / "teacher"), *settings]) == 0
    metrics = json.loads((teacher / "fresh" / "metrics.jsonl").read_text().splitlines()[0])
    assert metrics["val_loss"] == pytest.approx(math.log(3), abs=1e-4)


def test_a_probe_without_weights_is_refused(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", MODEL, str(three), "--set", "frozen=true"]) == 2
    assert "give --weights" in capsys.readouterr().err


def test_the_trunk_has_groups_of_its_own_and_no_parameter_is_lost() -> None:
    model = cs.build(cs.spec(MODEL), seed=0)
    groups = parameter_groups(model, 1e-4, trunk_rate=0.1)
    assert sorted({group["share"] for group in groups}) == [0.1, 1.0]
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert {id(p) for group in groups if group["share"] == 1.0 for p in group["params"]} == {
        id(model.head.fc.weight), id(model.head.fc.bias)
    }  # fmt: skip
