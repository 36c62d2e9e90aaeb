"""Scores: known intervals, and what must hold for any logits."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from convsmith.errors import UserError
from convsmith.evals import Top1, evaluate, wilson
from convsmith.scores import Confusion, Mistake, Mistakes, Scores

CPU = torch.device("cpu")


@dataclass
class Food:
    images: Tensor
    answers: Tensor
    indices: Tensor


class Corner(nn.Module):
    """Reads its logits from the first pixels, so that a test can choose them; notes the mode it was run in."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.inner = nn.BatchNorm2d(3)
        self.modes: list[bool] = []

    def forward(self, images: Tensor) -> Tensor:
        self.modes.append(self.training)
        return images.flatten(1)[:, : self.classes] / 16


def food(n: int, classes: int, *, side: int = 8, seed: int = 0) -> Food:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=generator)
    return Food(images, torch.randint(0, classes, (n,), generator=generator), torch.arange(n))


def cut(whole: Food, order: Tensor, size: int) -> list[Food]:
    return [Food(whole.images[part], whole.answers[part], whole.indices[part]) for part in order.split(size)]


def scored(batches: list[Food], classes: int, *, thumbnails: int = 24) -> Scores:
    meter = Top1([f"c{i}" for i in range(classes)], pictures=thumbnails)
    return evaluate(Corner(classes), batches, meter, prepare=Tensor.float, device=CPU, where=lambda i: f"{i}.png")


def confusion_of(found: Scores) -> tuple[tuple[int, ...], ...]:
    return next(block.matrix for block in found.blocks if isinstance(block, Confusion))


def wrong_of(found: Scores) -> tuple[Mistake, ...]:
    return next(block.wrong for block in found.blocks if isinstance(block, Mistakes))


@pytest.mark.parametrize("successes, n, low, high", [  # Brown, Cai & DasGupta's formula, to four digits
    (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (1, 29, 0.0061, 0.1718),
    (15, 148, 0.0624, 0.1605),  # the last two: Newcombe (1998), table I, method 3
])  # fmt: skip
def test_wilson_gives_the_published_ends(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(n=st.integers(1, 5000), data=st.data())
def test_wilson_holds_the_share_and_mirrors_under_failure(n, data):
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert wilson(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)
    wide = wilson(successes, n, confidence=0.99)
    assert wide[0] <= low and wide[1] >= high


def test_wilson_of_nothing_knows_nothing_and_refuses_nonsense():
    assert wilson(0, 0) == (0.0, 1.0)
    for wrong in [(-1, 3, 0.95), (4, 3, 0.95), (1, 3, 1.0)]:
        with pytest.raises(ValueError):
            wilson(*wrong)


@given(n=st.integers(1, 60), classes=st.integers(2, 9), seed=st.integers(0, 99))
def test_scores_agree_with_themselves(n, classes, seed):
    whole = food(n, classes, seed=seed)
    found = scored([whole], classes)
    confusion = np.array(confusion_of(found))
    assert confusion.sum(1).tolist() == np.bincount(whole.answers.numpy(), minlength=classes).tolist()
    assert found.n == n and found["top1"] == confusion.trace() / n
    assert found["top1"] <= found["top5"] <= 1 and dict(found.settings)["k"] == min(5, classes)
    assert found["top5"] == 1 or classes > 5
    assert found.metric("top1").interval[0] <= found["top1"] <= found.metric("top1").interval[1]
    assert found.metric("top1").interval == wilson(int(confusion.trace()), n)
    assert len(wrong_of(found)) == min(24, n - int(confusion.trace()))


@settings(max_examples=30)
@given(seed=st.integers(0, 99), size=st.integers(1, 40))
def test_scores_do_not_depend_on_order_or_batch_size(seed, size):
    whole = food(40, 7, seed=1)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    one, other = scored([whole], 7), scored(cut(whole, order, size), 7)
    assert (
        confusion_of(other) == confusion_of(one) and other["top5"] == one["top5"] and wrong_of(other) == wrong_of(one)
    )
    assert other["loss"] == pytest.approx(one["loss"], rel=1e-12)


def test_scores_are_those_of_a_hand_count():
    logits = torch.tensor([[16, 0, 0], [16, 0, 0], [0, 32, 0], [0, 16, 0]], dtype=torch.uint8)
    images = torch.zeros(4, 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1], images[:, 0, 1, 0] = logits.T
    found = scored([Food(images, torch.tensor([0, 2, 0, 1]), torch.arange(4))], 3)
    assert confusion_of(found) == ((1, 1, 0), (0, 1, 0), (1, 0, 0))
    assert found["top1"] == 0.5 and found["per_class_mean"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert [(one.index, one.label, one.predicted) for one in wrong_of(found)] == [(2, 0, 1), (1, 2, 0)]
    e = np.e
    losses = [np.log((e + 2) / e), np.log(e + 2), np.log(e**2 + 2), np.log((e + 2) / e)]
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    assert wrong_of(found)[0].confidence == pytest.approx(e**2 / (e**2 + 2), rel=1e-6)
    assert wrong_of(found)[0].path == "2.png"


def test_of_equal_logits_the_first_class_wins_and_top_5_holds_top_1():
    level = Food(torch.full((7, 3, 8, 8), 9, dtype=torch.uint8), torch.tensor([0, 0, 1, 2, 6, 6, 6]), torch.arange(7))
    found = scored([level], 7)
    assert found["top1"] == 2 / 7 and found["top5"] >= found["top1"]


def test_the_record_is_plain_json():
    record = scored([food(30, 3)], 3).to_record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["k"] == 3 and len(record["confusion"]) == 3


@pytest.mark.parametrize("side, shown", [(8, 32), (20, 40), (48, 48), (100, 64)])
def test_thumbnails_are_pictures_of_a_size_to_look_at(side, shown):
    whole = food(6, 3, side=side)
    found = scored([whole], 3, thumbnails=2)
    assert len(wrong_of(found)) == 2
    kind, _, data = wrong_of(found)[0].image.partition(",")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == "data:image/png;base64" and picture.size == (shown, shown)
    if side == 48:
        expected = whole.images[wrong_of(found)[0].index].permute(1, 2, 0).numpy()
        assert np.array_equal(np.asarray(picture), expected)


def test_the_model_runs_in_evaluation_mode_and_every_module_gets_its_own_mode_back():
    model = Corner(3)
    model.inner.eval()
    evaluate(model, [food(4, 3)], Top1("abc"), prepare=Tensor.float, device=CPU)
    assert model.modes == [False] and model.training and not model.inner.training


def test_a_model_that_fails_still_gets_its_mode_back():
    model = Corner(3)
    with pytest.raises(UserError, match="the data has 4 classes"):
        evaluate(model, [food(4, 3)], Top1("abcd"), prepare=Tensor.float, device=CPU)
    assert model.training


def test_an_output_that_is_not_finite_is_refused_and_names_its_image():
    def poisoned(images: Tensor) -> Tensor:
        images = images.float()
        images[2, 0, 0, 1] = torch.nan
        return images

    whole = food(4, 3)
    batch = Food(whole.images, whole.answers, whole.indices + 100)
    with pytest.raises(UserError, match="image 102 is not finite"):
        evaluate(Corner(3), [batch], Top1("abc"), prepare=poisoned, device=CPU)


def test_nothing_to_score_is_said():
    empty = Food(torch.empty(0, 3, 8, 8, dtype=torch.uint8), torch.empty(0, dtype=torch.int64), torch.empty(0))
    for batches in ([], [empty]):
        with pytest.raises(UserError, match="no images to score in split 'val'"):
            scored(batches, 3)
