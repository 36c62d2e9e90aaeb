"""Digit scenes: by seed and number alone, nothing seen that is not told, and two sets of digits."""

from __future__ import annotations

import numpy as np
import pytest

from convsmith.data import Arrays, ImageData, Objects, load_data, train_batches
from convsmith.data.readers.objects import scenes as reader
from convsmith.data.scenes import scene as drawing
from convsmith.data.scenes.drawn import Scenes, objects_of
from convsmith.data.scenes.scene import SIDE, TRAINED, Scene
from convsmith.jobs.source import contents, fingerprint
from convsmith.recipe import Augment, JitterAugment
from convsmith.rle import area_of, decoded_part, from_string

NUMBERS = np.arange(40)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> ImageData:
    monkeypatch.setattr(reader, "TRAINED", 12)
    monkeypatch.setattr(reader, "VALIDATED", 6)
    return load_data("digit-scenes")


def test_a_scene_is_a_function_of_its_seed_and_number() -> None:
    one, again = Scene(True, 7).picture(), Scene(True, 7).picture()
    assert one.shape == (SIDE, SIDE, 3) and one.dtype == np.uint8 and np.array_equal(one, again)
    others = (Scene(True, 8), Scene(False, 7), Scene(True, 7, seed=1))
    assert not any(np.array_equal(one, other.picture()) for other in others)


@pytest.mark.parametrize("train", [True, False])
def test_a_scene_is_as_the_sheet_says(train: bool) -> None:
    """Up to six digits of 20 to 48 pixels on 128 x 128; each is half seen or more, of 30 pixels or more."""
    for number in NUMBERS.tolist():
        scene = Scene(train, number)
        assert 1 <= len(scene.digits) <= 6
        for k, one in enumerate(scene.digits):
            seen = (scene.owner == k + 1).sum()
            assert seen >= max(30, 0.5 * one.inside.sum())
            assert 20 <= len(one.values) <= 48 and min(one.top, one.left) >= 0
            assert max(one.top, one.left) + len(one.values) <= SIDE


def test_what_is_told_is_what_is_seen() -> None:
    """The objects of a scene are its pixels': each belongs to one digit or to none, and boxes are the smallest around them."""
    scenes = Scenes(True, NUMBERS)
    for i, one in enumerate(objects_of(scenes).truths):
        scene = scenes.scene(i)
        assert one.rles is not None and not one.crowd.any()
        masks = np.stack([decoded_part(from_string(rle), one.size, (0, 0, *one.size)) for rle in one.rles])
        assert (masks.sum(0) <= 1).all() and np.array_equal(masks.any(0), scene.owner > 0)
        assert one.labels.tolist() == [digit.label + 1 for digit in scene.digits]
        assert one.areas.tolist() == [area_of(from_string(rle)) for rle in one.rles]
        for box, mask in zip(one.boxes.tolist(), masks, strict=True):
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            assert box == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def test_training_and_validation_share_no_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,200 and 597 of scikit-learn's 1,797."""
    images, _ = drawing._digits()
    assert len(images) == 1797 and TRAINED == 1200
    marked = np.zeros((2, 1797), int)
    for part, train in enumerate((True, False)):
        monkeypatch.setattr(drawing, "_digits", lambda: (images, np.arange(1797)))
        for number in NUMBERS.tolist():
            marked[part, [one.label for one in Scene(train, number).digits]] += 1
    assert not marked[0, 1200:].any() and not marked[1, :1200].any() and marked[:, :].sum(1).min() > 100


def test_they_are_data_like_any_other(few: ImageData) -> None:
    assert few.classes == tuple("0123456789") and few.sides == (128, 128)
    assert not few.mirror and not few.divided and (len(few.train), len(few.val)) == (12, 6)
    assert isinstance(few.train.inputs, Scenes) and isinstance(few.train.targets, Objects)
    assert few.train.targets.category_ids == tuple(range(1, 11))
    assert fingerprint(few) == fingerprint(load_data("digit-scenes")) and contents(few) == contents(
        load_data("digit-scenes")
    )


def test_batches_are_the_same_for_any_number_of_workers_and_from_any_step(few: ImageData) -> None:
    """Images, boxes and masks, jittered: by 0 and 2 workers, and begun at step 3 of 5."""
    augment = Augment(policy=JitterAugment(scale=(0.5, 1.5)))

    def served(workers: int, first: int) -> list[tuple[bytes, ...]]:
        stream = train_batches(
            few.train, sides=(96, 128), batch=4, augment=augment, seed=5, first_step=first, last_step=5, workers=workers
        )  # fmt: skip
        return [
            (
                one.images.numpy().tobytes(),
                *(t.numpy().tobytes() for own in (one.answers.boxes, one.answers.masks) for t in own),
            )
            for one in stream
        ]

    whole = served(0, 0)
    assert len(set(whole)) == 5
    assert served(2, 0) == whole and served(0, 3) == whole[3:]


def test_drawn_and_held_pictures_are_the_same(few: ImageData) -> None:
    scenes = few.val.inputs
    held = Arrays(np.stack([Scene(False, k).picture() for k in range(6)]))
    assert all(np.array_equal(scenes.decode(i).numpy(), held.decode(i).numpy()) for i in range(6))
    assert scenes.take(np.array([4, 1])).decode(1, channels=1).shape == (1, 128, 128)
