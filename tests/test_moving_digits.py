"""Moving digits: by seed and number alone, moving as their class says, which no frame by itself tells."""

from __future__ import annotations

import numpy as np
import pytest

from convsmith.data import Labels, Span, load_data
from convsmith.data.moving import film as drawing
from convsmith.data.moving.drawn import Moving, ways_of
from convsmith.data.moving.film import CLASSES, FRAMES, SIDE, WAYS, MovingDigit, places
from convsmith.data.readers.clips import moving as reader
from convsmith.jobs.source import contents, fingerprint


def test_a_film_is_a_function_of_its_seed_and_number() -> None:
    one = MovingDigit(True, 7).frames()
    assert one.shape == (FRAMES, SIDE, SIDE, 1) and one.dtype == np.uint8
    assert np.array_equal(one, MovingDigit(True, 7).frames())
    others = (MovingDigit(True, 15), MovingDigit(False, 7), MovingDigit(True, 7, seed=1))
    assert not any(np.array_equal(one, other.frames()) for other in others)


def test_in_any_frame_a_digit_of_any_class_is_anywhere_as_likely_as_anywhere_else() -> None:
    """Each of the 1,024 places that it may begin at leads to another place, for every way, speed and frame: what a single frame
    shows has the same distribution for all eight classes."""
    starts = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), -1).reshape(-1, 2)
    for way in CLASSES:
        for speed in (1, 2):
            for at in places(starts, way, speed):
                assert len(np.unique(at @ (SIDE, 1))) == SIDE * SIDE


@pytest.mark.parametrize("number", range(8))
def test_a_digit_moves_as_its_class_says(number: int) -> None:
    """Taken back by its own steps at one of the two speeds, every frame is the first but for the noise, 12 of 255 either way,
    twice; taken back by another class's it is not."""
    film = MovingDigit(True, number).frames()[..., 0].astype(int)

    def still(way: str) -> bool:
        return any(
            max(
                np.abs(np.roll(film[t], tuple(-t * speed * np.array(WAYS[way])), (0, 1)) - film[0]).max()
                for t in range(FRAMES)
            )
            <= 24
            for speed in (1, 2)
        )

    assert [way for way in CLASSES if still(way)] == [CLASSES[MovingDigit(True, number).label]]


def test_training_and_validation_share_no_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = np.repeat(np.arange(1797) < drawing.TRAINED, 64).reshape(-1, 8, 8).astype(float)
    monkeypatch.setattr(drawing, "_digits", lambda: marks)
    for number in range(60):  # of the first 1,200 white squares are left, of the others nothing but noise
        assert MovingDigit(True, number).frames().max() > 200 > MovingDigit(False, number).frames().max()


def test_they_are_data_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "TRAINED", 24)
    monkeypatch.setattr(reader, "VALIDATED", 16)
    images = load_data("moving-digits")
    assert images.classes == CLASSES and images.filmed and not images.mirror and not images.divided
    assert images.counts.tolist() == [[3] * 8, [2] * 8] and images.sides is None
    assert isinstance(images.train.inputs, Moving) and isinstance(images.train.targets, Labels)
    assert np.array_equal(ways_of(images.train.inputs).labels, images.train.targets.labels)
    again = load_data("moving-digits")
    assert (fingerprint(images), contents(images)) == (fingerprint(again), contents(again))
    clip = images.train.inputs.clip(3, Span(4, 2), 0.0)
    assert clip.shape == (4, 3, SIDE, SIDE)
    assert np.array_equal(clip[:, 0].numpy(), images.train.inputs.film(3).frames()[:8:2, ..., 0])
