"""Checkpoints as people have them: whatever a script wraps a network in, and whatever it saves beside the weights."""

from __future__ import annotations

import argparse
import collections
import pathlib
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import convsmith as cs
from convsmith.watcher import Watcher
from convsmith.weights import fitted, read
from convsmith.weights.origins import Origin

NAME = "mobilenetv2_035"
State = dict[str, Tensor]


class Noted(Watcher):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Config:
    """A class of a script that nobody else has."""

    rate = 0.1


@pytest.fixture(scope="module")
def plain() -> State:
    return dict(cs.create(NAME, classes=3, seed=0).state_dict())


def before(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def others(state: State) -> State:
    return {key: torch.zeros_like(value) for key, value in state.items()}


WRAPPED: dict[str, Callable[[State], Any]] = {
    "DataParallel": lambda s: before("module.", s),
    "compiled inside": lambda s: {key.replace("stages.1.", "stages.1._orig_mod."): value for key, value in s.items()},
    "compiled DataParallel in a trainer": lambda s: {"state_dict": before("model._orig_mod.module.", s)},
    "nested": lambda s: {"checkpoint": {"state_dict": {"model": s}}},
    "Lightning": lambda s: {"state_dict": before("net.", s), "epoch": 3, "hyper_parameters": {"rate": 0.1}},
    "averaged before the last": lambda s: {
        "model": others(s),
        "model_ema": {"n_averaged": torch.ones(()), **before("module.", s)},
    },
    "averaged under another name": lambda s: {"net": others(s), "ema_state_dict": s, "num_updates": 9},
    "a teacher before its student": lambda s: {
        "student": before("module.", others(s)),
        "teacher": before("backbone.", s),
    },
    "averages of parameters alone": lambda s: {
        "model": s,
        "ema": {k: v for k, v in others(s).items() if "running" not in k},
    },
    "an optimiser beside": lambda s: {
        "net": s,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []},
    },
    "a detector's trunk": lambda s: before("backbone.", s) | {"fpn.weight": torch.ones(2, 2)},
    "a profiler's counts": lambda s: s | {"stages.0.0.total_ops": torch.ones(1)},
    "arguments": lambda s: {"state_dict": s, "args": argparse.Namespace(rate=0.1)},
    "settings of a script's own": lambda s: {"state_dict": s, "config": Config(), "path": pathlib.PurePosixPath("x")},
    "a simple namespace and an enumeration": lambda s: {"model": s, "a": types.SimpleNamespace(b=1)},
    "a dictionary of another kind": lambda s: collections.defaultdict(int, s),
    "numbers of numpy": lambda s: {"model": s, "best": np.float64(0.9), "rng": np.arange(3)},
    "parameters": lambda s: {k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in s.items()},
    "float64": lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()},
}


@pytest.mark.parametrize("how", WRAPPED)
def test_a_networks_weights_are_found_wherever_they_are(how: str, plain: State, tmp_path: Path) -> None:
    torch.save(WRAPPED[how](plain), tmp_path / "w.pth")
    found = cs.create(NAME, weights=tmp_path / "w.pth").state_dict()
    assert all(torch.equal(found[key], value) for key, value in plain.items())


def test_files_of_torch_before_its_archives_too(plain: State, tmp_path: Path) -> None:
    saved = {"state_dict": plain, "args": argparse.Namespace(rate=0.1)}
    torch.save(saved, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(
        cs.create(NAME, weights=tmp_path / "old.pth").state_dict()["head.fc.bias"], plain["head.fc.bias"]
    )


@pytest.mark.parametrize("name", ["w.safetensors", "W.SAFETENSORS", "w.bin", "w"])
def test_safetensors_are_known_by_their_content_and_may_have_beginnings(
    name: str, plain: State, tmp_path: Path
) -> None:
    save_file(before("module.encoder.", plain), tmp_path / name)
    assert cs.create(NAME, weights=tmp_path / name).num_classes == 3


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_weights_of_half_precision_are_used_in_full(kind: torch.dtype, plain: State) -> None:
    small = {key: value.to(kind) if value.is_floating_point() else value for key, value in plain.items()}
    state = fitted(cs.spec(NAME), Origin("small", small)).state
    assert all(value.dtype in (torch.float32, torch.int64) for value in state.values())


def test_a_trunk_gets_a_new_classifier_and_that_is_said(plain: State, tmp_path: Path) -> None:
    trunk = {key: value for key, value in plain.items() if not key.startswith("head.fc.")}
    extra = {"projector.0.weight": torch.ones(2, 2), "projector.2.weight": torch.ones(2, 2)}
    save_file(before("encoder.", trunk) | extra, tmp_path / "w.safetensors")
    told = Noted()
    net = cs.create(NAME, classes=4, weights=tmp_path / "w.safetensors", watcher=told)
    assert torch.equal(net.state_dict()["stem.conv.conv.weight"], plain["stem.conv.conv.weight"])
    assert told.notes == [
        f"{tmp_path}/w.safetensors: the weights under 'encoder.' are taken; left out of it: 2 tensors (projector)",
        "the classifier is new, for 4 classes",
    ]


def test_a_trunk_without_any_of_the_head_is_enough(plain: State) -> None:
    trunk = {key: value for key, value in plain.items() if not key.startswith("head.")}
    fit = fitted(cs.spec(NAME), Origin("trunk", trunk))
    assert {key.split(".")[0] for key in fit.fresh} == {"head"} and fit.notes == ("the head is new, for 1000 classes",)


def test_half_a_trunk_is_refused(plain: State) -> None:
    half = {key: value for key, value in plain.items() if not key.startswith("stages.3.")}
    with pytest.raises(
        cs.UserError, match=r"half does not fit mobilenetv2_035: missing stages.3.*and \d+ more"
    ) as caught:
        fitted(cs.spec(NAME), Origin("half", half))
    assert len(str(caught.value)) < 600


KEY = "stem.conv.conv.weight"
ODD: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "NaN": (lambda t: torch.full_like(t, float("nan")), "not finite"),
    "infinity": (lambda t: t.clone().index_fill_(0, torch.tensor([0]), float("inf")), "not finite"),
    "sparse": (lambda t: t.to_sparse(), "a sparse tensor"),
    "meta": (lambda t: t.to("meta"), "meta device"),
    "integers": (lambda t: t.to(torch.int32), "of type torch.int32"),
}


@pytest.mark.parametrize("odd", ODD)
def test_tensors_that_are_no_weights_are_refused_by_name(odd: str, plain: State, tmp_path: Path) -> None:
    change, message = ODD[odd]
    torch.save({"model": before("module.", plain | {KEY: change(plain[KEY])})}, tmp_path / "w.pth")
    with pytest.raises(cs.UserError, match=f"model.module.{KEY} is .*{message}"):
        cs.create(NAME, weights=tmp_path / "w.pth")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_quantised_tensors_are_refused_by_name(plain: State) -> None:
    whole = torch.quantize_per_tensor(plain[KEY], 0.1, 0, torch.qint8)
    with pytest.raises(cs.UserError, match=f"{KEY} is quantised"):
        fitted(cs.spec(NAME), Origin("small", plain | {KEY: whole}))


def test_what_is_no_state_dict_says_what_would_do(tmp_path: Path) -> None:
    torch.save({"model": Config(), "epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(cs.UserError, match=r"holds no state dict.*save `model.state_dict\(\)`"):
        read(tmp_path / "w.pth")


def test_torchs_advice_to_read_unsafely_is_not_passed_on(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00]\x94.")
    with pytest.raises(cs.UserError) as caught:
        read(tmp_path / "w.pth")
    assert "weights_only=False" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_a_path_from_home_is_understood(plain: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save_file(plain, tmp_path / "w.safetensors")
    assert cs.create(NAME, weights="~/w.safetensors").num_classes == 3


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("https://example.com/w.pth", "nothing is fetched from those: download the file"),
        ("C:/nowhere/w.pth", "does not exist; weights are a run"),
        ("nowhere.pth", "does not exist; weights are a run"),
    ],
)
def test_what_is_not_here_is_told(weights: str, message: str) -> None:
    with pytest.raises(cs.UserError, match=message):
        cs.create(NAME, weights=weights)
