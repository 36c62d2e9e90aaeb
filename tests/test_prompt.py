"""What a user has at a prompt: values that show themselves, progress, names wherever specs are, a transform."""

from __future__ import annotations

import inspect
import io
import pickle
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

import convsmith as cs
from convsmith.api.verbs import _options
from convsmith.data import load_data
from convsmith.errors import UserError
from convsmith.jobs.feed import normaliser, validation_batches
from convsmith.latency import Latency, Runtime, Timing
from convsmith.machine import this_machine
from convsmith.scores import Confusion, Metric

SPEC = cs.spec("tinynet_e", classes=10, resolution=24)
HUNDRED = Confusion(tuple(map(str, range(100))), ((0,) * 100,) * 100)
SCORES = cs.Scores(
    "val", 40, (Metric("top1", 0.9, (0.77, 0.96), label="top-1"), Metric("loss", 0.3)), blocks=(HUNDRED,)
)
ROWS = tuple(
    Latency(name, Runtime.ORT, 1, 1, ms, ms, ms, 30, (ms,) * 30) for name, ms in (("slow", 2.0), ("<quick>", 1.0))
)
TIMING = Timing(ROWS, 30, 0.01, ("<quick> is faster",), this_machine())


def test_the_package_says_that_it_is_typed() -> None:
    assert (files("convsmith") / "py.typed").is_file()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (SCORES, "<Scores top-1 90.00%  [77.00%, 96.00%]  (95 %, n = 40)>"),
        (TIMING, "<Timing <quick> 1.000 ms (1.000 to 1.000, n = 30)>"),
        (SPEC, "<ArchSpec tinynet_e at 24 px: 10 blocks in 7 stages, "),
        (cs.Budget.parse("20M-macs"), "Budget(macs=20000000, params=inf, ms=inf)"),
        (cs.Cost(1, 2, 3), "Cost(macs=1, params=2, activations=3)"),
    ],
)
def test_a_repr_is_one_short_line_and_the_text_is_what_the_command_line_prints(value: object, shown: str) -> None:
    assert repr(value).startswith(shown)
    assert len(repr(value)) < 120 and "\n" not in repr(value)
    assert str(value)


def test_a_diagnosis_and_a_solution_are_short_too() -> None:
    found = cs.diagnose(SPEC, draws=1)
    assert repr(found).startswith("<Diagnosis tinynet_e: ") and len(repr(found)) < 120
    assert len(repr(found.trace)) < 160
    assert len(repr(cs.scale(SPEC, to="1M-macs"))) < 700


def test_a_notebook_shows_all_of_the_text_and_no_markup_of_names() -> None:
    assert TIMING._repr_html_().startswith("<pre>&lt;quick&gt; 1.000 ms")
    assert "slow 2.000 ms" in TIMING._repr_html_() and str(this_machine()) in TIMING._repr_html_()
    assert SPEC._repr_html_().startswith("<b>tinynet_e</b>")


def test_progress_is_a_watcher_that_writes_plain_lines_where_nobody_watches() -> None:
    there = io.StringIO()
    watcher = cs.Progress(Console(file=there, width=100))
    watcher.stage("train", "2 epochs")
    watcher.note("a note")
    watcher.record(cs.EpochDone(1, 4, 0.5, 0.9, 0.1, 100.0, 1.0, {"val_top1": 0.875}))
    assert re.search(r"train  2 epochs\n +a note\n +epoch 1: train loss 0.500, val top-1 87.5%", there.getvalue())
    watcher.last_line = 0.0  # as after some seconds
    for done in range(1, 5):
        watcher.count("children", done, 4)
    assert [line.strip() for line in there.getvalue().splitlines()[-2:]] == ["children, 1 of 4", "children, 4 of 4"]


# ---- names wherever specs are ------------------------------------------------------------------------------------------


def test_a_name_stands_for_its_spec_and_so_does_a_file(tmp_path: Path) -> None:
    spec, file = cs.spec("tinynet_e"), tmp_path / "e.json"
    file.write_text(spec.to_json())
    for named in ("tinynet_e", file, str(file), spec):
        assert cs.cost(named) == cs.cost(spec)
        assert cs.plan(named) == cs.plan(spec)
        assert cs.build(named, device="meta").spec == spec


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: cs.cost(["resnet18"]), r"a network is a name, .* got \['resnet18'\] \(list\)"),
        (lambda: cs.measure([3]), r"a network is a name, .* got 3 \(int\)"),
        (lambda: cs.train(cs.build(SPEC), "digits"), "is a live network, and a spec is needed here: give its `.spec`"),
        (lambda: cs.train(torch.nn.Linear(1, 1), "digits"), "has no spec"),
        (lambda: cs.cost("resnet19"), "unknown model 'resnet19'; did you mean"),
        (lambda: cs.scale(SPEC, to=500e6), "a budget is written with its unit, such as '20M-macs'.* got 500000000.0"),
        (lambda: cs.train(SPEC, "digits", learning_rate=0.1), "has no argument 'learning_rate'; did you mean 'lr'"),
        (lambda: cs.train(SPEC, "digits", batch_size=8), "has no argument 'batch_size'; did you mean 'batch'"),
    ],
)
def test_a_wrong_type_is_refused_in_one_breath(call: Callable[[], object], why: str) -> None:
    with pytest.raises(UserError, match=why):
        call()


def test_a_style_takes_parts_and_no_names() -> None:
    with pytest.raises(ValueError, match=r"style.norm must be a Norm, such as cs.GroupNorm\(\); got 'group'"):
        SPEC.with_style(norm="group")


def test_keywords_of_training_are_short_for_its_options() -> None:
    settings = {"epochs": 2, "batch": None, "rate": 0.1}
    given = _options(cs.Options(settings=("clip=1",), seed=3), settings, recipe="paper", name="mine", device=None)
    assert given == cs.Options(recipe="paper", settings=("clip=1", "epochs=2", "rate=0.1"), seed=3, name="mine")


def test_signatures_hold_no_folder_of_whoever_reads_them() -> None:
    functions = [getattr(cs, name) for name in cs.__all__ if inspect.isfunction(getattr(cs, name))]
    assert functions and not any(str(Path.home()) in str(inspect.signature(one)) for one in functions)


# ---- a transform -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_transform_gives_what_evaluation_shows(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for at, (kind, size) in enumerate([("a", (31, 50)), ("a", (90, 40)), ("b", (24, 24)), ("b", (200, 310))]):
        for part in ("train", "val"):
            (tmp_path / part / kind).mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / part / kind / f"{at}{suffix}")
    (batch,) = validation_batches(SPEC, load_data(tmp_path).val)()
    expected = normaliser(SPEC, torch.device("cpu"))(batch.images)
    ready = pickle.loads(pickle.dumps(cs.transform_of(SPEC)))
    paths = sorted((tmp_path / "val").rglob(f"*{suffix}"))
    assert torch.equal(torch.stack([ready(path) for path in paths]), expected)
    if suffix == ".png":
        pictures = [Image.open(path) for path in paths]
        arrays = [np.asarray(picture) for picture in pictures]
        tensors = [torch.from_numpy(array.copy()).permute(2, 0, 1) for array in arrays]
        for given in (pictures, arrays, tensors):
            assert torch.equal(torch.stack([ready(image) for image in given]), expected)


def test_a_transform_is_of_whatever_has_a_spec_and_refuses_what_is_no_image(tmp_path: Path) -> None:
    assert cs.transform_of("tinynet_e") == cs.transform_of(cs.build("tinynet_e", device="meta"))
    ready = cs.transform_of(SPEC)
    (tmp_path / "bad.png").write_text("no picture")
    for given, why in (
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "one image at a time; got 2"),
        (torch.zeros(3, 8, 8), "uint8"),
        (tmp_path / "bad.png", "cannot be read"),
        (3, "got int"),
    ):
        with pytest.raises(UserError, match=why):
            ready(given)
