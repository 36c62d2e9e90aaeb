"""Every task keeps the same promises to training and evaluation; each also what its loss and metrics mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional as F

import convsmith as cs
from convsmith.codec import from_json, to_json
from convsmith.errors import UserError
from convsmith.evals import evaluate
from convsmith.evals.many import average_precision
from convsmith.recipes import QUICK
from convsmith.tasks import TASKS, Classify, MultiLabel, Task, refuse_unread
from convsmith.tasks.mixing import mixed_loss
from convsmith.training import Single, fit
from convsmith.watcher import EpochDone

NAMES = ("a", "b", "c", "d")
CPU = torch.device("cpu")
PLAIN = replace(QUICK, smoothing=0.0, mixup=0.0, cutmix=0.0, epochs=6, batch=16, rate=0.5, warmup=0.0, average=0.0)

# What a new task adds here: answers of some inputs, where its outputs are ⟨n,names⟩ (a pose's are not: test_pose_task).
ANSWERS = {
    Classify: lambda n: torch.arange(n) % len(NAMES),
    MultiLabel: lambda n: (torch.arange(n * len(NAMES)).reshape(n, -1) % 3 == 0).float(),
}


@dataclass
class Batch:
    images: Tensor
    answers: Tensor
    indices: Tensor


def outputs(n: int) -> Tensor:
    return torch.randn(n, len(NAMES), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.kind)
def test_every_task_survives_json_and_names_what_it_is_judged_by(kind: type[Task]) -> None:
    task = kind()
    assert from_json(Task, to_json(task), TASKS) == task
    batch = Batch(torch.zeros(12, 3, 2, 2, dtype=torch.uint8), ANSWERS[kind](12), torch.arange(12))
    found = evaluate(lambda images: outputs(len(images)), [batch], task.meter(NAMES), prepare=lambda x: x, device=CPU)
    assert found.headline.name == task.headline and found.n == 12
    assert cs.scores.Scores.from_record(found.to_record()) == found


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.kind)
def test_training_and_evaluation_mean_the_same_loss(kind: type[Task]) -> None:
    task, answers = kind(), ANSWERS[kind](12)
    batch = Batch(torch.zeros(12, 3, 2, 2, dtype=torch.uint8), answers, torch.arange(12))
    trained = task.loss(lambda images: outputs(len(images)), batch.images, answers, PLAIN).loss.item()
    found = evaluate(lambda images: outputs(len(images)), [batch], task.meter(NAMES), prepare=lambda x: x, device=CPU)
    assert found["loss"] == pytest.approx(trained, rel=1e-6)


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.kind)
def test_a_guess_has_the_loss_of_chance_and_nobody_learns_from_an_equal(kind: type[Task]) -> None:
    task = kind()
    level = task.loss(lambda images: torch.zeros(12, 4), torch.zeros(12, 3, 2, 2), ANSWERS[kind](12), PLAIN)
    assert level.loss.item() == pytest.approx(task.chance(NAMES), rel=1e-6)
    student = outputs(5).requires_grad_()
    (slope,) = torch.autograd.grad(task.distilled(student, outputs(5)), student)
    assert slope.abs().max() < 1e-7


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.kind)
@pytest.mark.parametrize("mix", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}], ids=str)
def test_mixed_images_have_mixed_answers(kind: type[Task], mix: dict[str, float]) -> None:
    """An image that is wholly its own, or wholly the other, costs as that image alone does; in between, a share of each."""
    torch.manual_seed(0)
    task, answers = kind(), ANSWERS[kind](8)
    images = torch.rand(8, 3, 8, 8)
    shown, said = task.shown(images, answers, replace(PLAIN, **mix), 0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    loss = task.loss(net, shown, said, PLAIN).loss
    one = task.loss(net, shown, answers, PLAIN).loss
    other = task.loss(net, shown, answers.flip(0), PLAIN).loss
    assert min(one, other) * 0.5 < loss < max(one, other) * 1.5 and not torch.equal(shown, images)


@given(seed=st.integers(0, 999), n=st.integers(2, 40), levels=st.integers(1, 6))
def test_average_precision_is_scikit_learns_ties_and_all(seed: int, n: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    scores, answers = rng.integers(0, levels, n).astype(float), rng.random(n) < 0.4
    found = average_precision(scores, answers)
    assert found is None if not answers.any() else found == pytest.approx(average_precision_score(answers, scores))


def test_weights_of_classes_are_torchs_also_where_images_are_mixed() -> None:
    logits, labels, weights = outputs(9), torch.arange(9) % 4, (0.5, 1.0, 2.0, 4.0)
    expected = F.cross_entropy(logits, labels, weight=torch.tensor(weights))
    found = Classify(weights=weights).loss(lambda images: logits, torch.zeros(9, 3, 2, 2), labels, PLAIN)
    assert found.loss == expected
    whole = mixed_loss(logits, labels, torch.ones(9), smoothing=0.0, weights=torch.tensor(weights))
    torch.testing.assert_close(whole, expected)
    with pytest.raises(ValueError, match="2 weights for 4 classes"):
        Classify(weights=(1.0, 2.0)).fitted(cs.spec("resnet18"), NAMES)
    with pytest.raises(ValueError, match="above 0"):
        MultiLabel(weights=(1.0, -2.0))


def test_a_recipe_that_sets_what_a_task_would_not_read_is_refused() -> None:
    class Bare(MultiLabel.__mro__[1]):  # type: ignore[misc]  # Task, without what a concrete one may use
        kind, uses = "bare", frozenset({"smoothing"})

    Bare.__abstractmethods__ = frozenset()
    refuse_unread(Bare(), replace(PLAIN, smoothing=0.1))
    with pytest.raises(UserError, match="'bare' does not read the recipe's mixup; give --set mixup=0"):
        refuse_unread(Bare(), replace(PLAIN, mixup=0.2))


class Corners:
    """Images each of whose four corners is bright or dark: four labels."""

    steps_per_epoch = 8

    def batches(self, first: int, last: int):
        for step in range(first, last):
            generator = torch.Generator().manual_seed(step)
            answers = (torch.rand(16, 4, generator=generator) < 0.5).float()
            images = torch.nn.functional.interpolate(answers.view(16, 1, 2, 2), size=16) * 200
            yield Batch(images.expand(16, 3, 16, 16).to(torch.uint8), answers, torch.arange(16))


def test_a_network_learns_many_labels_by_the_one_loop(tmp_path: Path) -> None:
    task = MultiLabel()
    spec = task.fitted(cs.spec("mobilenetv2_035", resolution=16), NAMES)
    net = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(12, 4))
    assert spec.head.classes == 4

    def evaluated(network: nn.Module) -> dict[str, float]:
        found = evaluate(network, Corners().batches(900, 903), task.meter(NAMES), prepare=ready, device=CPU)
        return {"val_map": found["map"], "exact": found["exact"]}

    def ready(images: Tensor) -> Tensor:
        return images.float() / 100 - 1

    records = fit(
        Single(net, task, PLAIN), PLAIN, Corners(), prepare=ready, evaluate=evaluated, checkpoint=tmp_path / "last.pt",
        device=CPU, seed=0,
    )  # fmt: skip
    last = [record for record in records if isinstance(record, EpochDone)][-1]
    assert last.scores["val_map"] > 0.99 and last.scores["exact"] > 0.95 and last.train_score > 0.9
