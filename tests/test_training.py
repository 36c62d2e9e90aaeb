"""The loop, its ingredients, and the promise that nothing earned is lost."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from convsmith.arch import Act, ArchSpec, Image, Stage, Style
from convsmith.codec import from_data, to_data
from convsmith.errors import UserError
from convsmith.files import whole
from convsmith.model import build
from convsmith.parts import SE, BatchNorm, ConvStem, MBConv, PlainConv, PooledClassifier
from convsmith.recipe import KINDS, SGD, AdamW, Exponential, Precision, Recipe, RMSPropTF
from convsmith.recipes import QUICK, RECIPES, changed, recipe
from convsmith.training import TrainingDiverged, fit, load_checkpoint, parameter_groups, rate_at
from convsmith.training.average import averaged
from convsmith.watcher import EpochDone, Started, StepDone

TINY = ArchSpec(
    name="tiny",
    input=Image(resolution=8),
    style=Style(norm=BatchNorm(act=Act.SILU), conv=PlainConv(), drop_path=0.3),
    stem=ConvStem(width=8),
    stages=(Stage(MBConv(expand=2, se=SE()), 2, 8, 1),),
    head=PooledClassifier(classes=3, dropout=0.2),
)
FAST = replace(QUICK, epochs=3, batch=8, rate=0.8, warmup=1)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Batch:
    images: Tensor
    answers: Tensor


@dataclass(frozen=True)
class Feed:
    """Twenty-four images of three classes that a brightness tells apart; a batch depends on its step alone."""

    steps_per_epoch: int = 5
    spoiled: int = -1

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        for step in range(first, last):
            generator = torch.Generator().manual_seed(step)
            labels = torch.randint(0, 3, (8,), generator=generator)
            images = torch.randint(0, 80, (8, 3, 8, 8), generator=generator) + 80 * labels[:, None, None, None]
            yield Batch(images.to(torch.uint8), labels)


def prepare(images: Tensor) -> Tensor:
    return images.float() / 128 - 1


def run(folder: Path, *, stop_at: int | None = None, using: Recipe = FAST, prepared=prepare) -> tuple[nn.Module, list]:
    model = build(TINY, seed=0)
    records = []
    for record in fit(
        model,
        using,
        Feed(),
        prepare=prepared,
        evaluate=lambda network: {"val_top1": 0.5},
        checkpoint=folder / "last.pt",
        device=CPU,
        seed=7,
    ):
        records.append(record)
        if isinstance(record, StepDone) and record.step == stop_at:
            break
    return model, records


def digest(model: nn.Module) -> str:
    return hashlib.sha256(b"".join(t.contiguous().numpy().tobytes() for t in model.state_dict().values())).hexdigest()


# ---- the loop --------------------------------------------------------------------------------------------------------


def test_the_loop_learns_what_can_be_learnt(tmp_path: Path) -> None:
    _, records = run(tmp_path, using=replace(FAST, epochs=12))
    epochs = [record for record in records if isinstance(record, EpochDone)]
    assert [epoch.epoch for epoch in epochs] == list(range(1, 13))
    assert epochs[-1].train_top1 > 0.9
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert epochs[-1].scores == {"val_top1": 0.5}


@pytest.mark.parametrize("optimiser", [SGD(), AdamW(), RMSPropTF()], ids=lambda optimiser: optimiser.kind)
@pytest.mark.parametrize("average", [0.0, 0.999])
@pytest.mark.parametrize("stop_at", [1, 5, 7, 14])
def test_a_stopped_run_resumes_to_the_same_weights(tmp_path: Path, optimiser, average: float, stop_at: int) -> None:
    using = replace(FAST, optimiser=optimiser, average=average, rate=0.05)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, records = run(tmp_path / "a", using=using)
    run(tmp_path / "b", using=using, stop_at=stop_at)
    resumed, later = run(tmp_path / "b", using=using)
    assert digest(resumed) == digest(whole)
    ends = [record for record in records if isinstance(record, EpochDone)]
    assert [record for record in later if isinstance(record, EpochDone)][-1].train_loss == ends[-1].train_loss


def test_mixing_clipping_and_growing_sides_resume_to_the_same_weights(tmp_path: Path) -> None:
    using = replace(FAST, mixup=0.2, cutmix=1.0, adaptive_clip=0.05, first_side=0.5, schedule=Exponential(every=0.4))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, _ = run(tmp_path / "a", using=using)
    run(tmp_path / "b", using=using, stop_at=7)
    assert digest(run(tmp_path / "b", using=using)[0]) == digest(whole)


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    whole, _ = run(tmp_path)
    again, records = run(tmp_path)
    assert records == [Started(15, 15)]
    assert digest(again) == digest(whole)


def test_a_loss_that_is_no_number_stops_with_advice_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    def poisoned(images: Tensor) -> Tensor:
        poisoned.calls += 1
        return prepare(images) * (math.nan if poisoned.calls > 7 else 1)

    poisoned.calls = 0
    with pytest.raises(TrainingDiverged, match=r"became nan at step 8 \(epoch 2\).*--set rate=0.2"):
        run(tmp_path, prepared=poisoned)
    state = load_checkpoint(tmp_path / "last.pt")
    assert state["step"] == 5
    assert all(tensor.isfinite().all() for tensor in state["model"].values())


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    run(tmp_path, stop_at=6)
    with pytest.raises(UserError, match="belongs to a run of 15 steps, not 20"):
        run(tmp_path, using=replace(FAST, epochs=4))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_a_damaged_checkpoint_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"last\.pt is not a checkpoint"):
        run(tmp_path)


def test_bfloat16_trains_too(tmp_path: Path) -> None:
    _, records = run(tmp_path, using=replace(FAST, precision=Precision.BF16))
    assert all(math.isfinite(record.loss) for record in records if isinstance(record, StepDone))


# ---- ingredients -----------------------------------------------------------------------------------------------------


@given(st.integers(1, 50), st.integers(0, 20), st.floats(1e-4, 10))
def test_the_rate_rises_to_its_peak_and_falls_to_nearly_nothing(after: int, warmup: int, peak: float) -> None:
    steps = warmup + after
    rates = [rate_at(step, steps=steps, warmup=warmup, peak=peak) for step in range(steps)]
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert rates[warmup] == peak
    assert max(rates) == pytest.approx(peak)
    assert rates[-1] == pytest.approx(peak * 0.5 * (1 + math.cos(math.pi * (after - 1) / after)))


def test_norms_and_biases_do_not_decay() -> None:
    model = build(TINY)
    decayed, free = parameter_groups(model, 0.1)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    kinds = {id(p): m for m in model.modules() for p in m.parameters(recurse=False)}
    assert all(isinstance(kinds[id(p)], (nn.Conv2d, nn.Linear)) for p in decayed["params"])
    assert len(decayed["params"]) + len(free["params"]) == len(list(model.parameters()))


def test_the_average_follows_its_equation_statistics_included() -> None:
    model = build(TINY, seed=0)
    average = averaged(model, decay=0.9)
    key = "stem.conv.norm.bn.running_mean"
    expected = None
    for t in range(30):
        model.state_dict()[key].fill_(float(t))
        average.update_parameters(model)
        # torch's first update copies; then d = min(decay, (1 + t) / (10 + t)) with t updates behind it.
        d = min(0.9, (1 + t) / (10 + t))
        expected = float(t) if expected is None else d * expected + (1 - d) * t
    assert average.module.state_dict()[key][0].item() == pytest.approx(expected, rel=1e-5)


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    with (
        pytest.raises(UserError, match="No space left on device; what was there before is untouched"),
        whole(path) as new,
    ):
        new.write_text("half of the n")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# ---- recipes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", RECIPES, ids=lambda known: known.name)
def test_a_recipe_survives_json_and_is_found_by_name(known: Recipe) -> None:
    assert from_data(Recipe, to_data(known), KINDS) == known
    assert recipe(known.name) == known


def test_settings_are_typed_and_reach_inside() -> None:
    found = changed(QUICK, ["epochs=3", "optimiser.momentum=0.8", "augment.crop=[0.5, 1]", "precision=bf16"])
    assert (found.epochs, found.optimiser, found.augment.crop) == (3, SGD(momentum=0.8), (0.5, 1.0))
    assert found.precision is Precision.BF16
    assert changed(QUICK, ["optimiser.kind=adamw", "optimiser.beta2=0.99"]).optimiser == AdamW(beta2=0.99)
    assert changed(QUICK, []) == QUICK


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("epochs=ten", 'epochs: "ten": input should be a valid integer'),
        ("epochs=1.5", "epochs"),
        ("epoch=3", "epoch: no such field.*did you mean 'epochs'"),
        ("epochs", "write field=value"),
        ("optimizer.momentum=1", "did you mean 'optimiser'"),
        ("optimiser.kind=sdg", "'sdg' is none of sgd, adamw, rmsprop-tf; did you mean 'sgd'"),
        ("rate=-1", "rate must be above 0"),
        ("rate=NaN", "rate"),
        ("precision=fp8", "'fp8' is none of auto, fp32, bf16, fp16"),
        ("augment.crop=[0.9,0.1]", "augment.crop is"),
    ],
)
def test_a_wrong_setting_says_what_is_right(setting: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        changed(QUICK, [setting])
