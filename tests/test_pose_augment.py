"""A pose's augmentation: a dot is where its move says, whatever is drawn; the same for any number of workers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convsmith.codec import from_json, to_json
from convsmith.data import Arrays, Body, Joints, Split, train_batches
from convsmith.data.augment import DRAWS, altered, moved
from convsmith.data.posed import posed
from convsmith.recipe import KINDS, Augment, Policy, PoseAugment

STILL = PoseAugment(blur_chance=0, drop_chance=0, contrast=0, gain=0)
SIZES = [(112, 192), (163, 97)]


def dot(height: int, width: int, x: float, y: float) -> torch.Tensor:
    """A blurred dot, so that its middle is known between pixels."""
    rows, columns = np.mgrid[:height, :width]
    bright = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 2.5**2))
    return torch.from_numpy(np.repeat(bright.round().astype(np.uint8)[None], 3, 0))


def middle(image: torch.Tensor) -> tuple[float, float]:
    weight = image[0].double()
    rows, columns = torch.meshgrid(*(torch.arange(n).double() for n in weight.shape), indexing="ij")
    return (columns * weight).sum().item() / weight.sum().item(), (rows * weight).sum().item() / weight.sum().item()


@pytest.mark.parametrize("size", SIZES, ids=str)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=60)
def test_a_dot_is_found_where_the_move_says(size: tuple[int, int], seed: int) -> None:
    """Within half a pixel, also where it is blurred: motion is symmetric, and what is made black or lit moves nothing."""
    height, width = size
    rng = np.random.default_rng(seed)
    draws = rng.random((1, DRAWS))
    x, y = rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height
    augment = Augment(mirror=0.5, policy=PoseAugment(drop_chance=0, contrast=0, gain=0))
    (to,) = moved(augment, draws[0], height, width).points(np.array([[x, y]]))
    if not (8 < to[0] < width - 8 and 8 < to[1] < height - 8):
        return  # shifted out of what is shown
    found = middle(altered(augment, dot(height, width, x, y)[None], draws)[0])
    assert np.hypot(found[0] - to[0], found[1] - to[1]) < 0.5


def test_what_is_drawn_reaches_as_far_as_it_says() -> None:
    augment, n = Augment(policy=STILL), 400
    moves = [moved(augment, draws, 100, 200) for draws in np.random.default_rng(0).random((n, DRAWS))]
    zooms = np.array([move.zoom for move in moves])
    assert zooms.min() >= 0.5 and zooms.max() <= 1.25 and zooms.min() < 0.51 and zooms.max() > 1.24
    turned = np.array([np.degrees(np.arctan2(move.rows[1][0], move.rows[0][0])) for move in moves])
    assert np.abs(turned).max() <= 25 and np.abs(turned).max() > 24
    assert np.mean(np.abs(turned) > 1e-9) == pytest.approx(0.4, abs=0.08)
    middles = np.array([move.points(np.array([99.5, 49.5])) for move in moves]) - (99.5, 49.5)
    assert (np.abs(middles) <= np.array([30, 15]) + 1e-9).all() and np.abs(middles[:, 0]).max() > 28


def test_nothing_drawn_is_nothing_done() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    none = PoseAugment(
        turn_chance=0, scale=(1, 1), shift_chance=0, blur_chance=0, drop_chance=0, contrast=0, gain=0
    )  # fmt: skip
    assert posed(none, image, np.full(12, 0.3)) is image
    assert np.array_equal(posed(replace(none, blur_chance=1), image * 0 + 77, np.full(12, 0.9)), image * 0 + 77)


def test_two_of_a_hundred_rectangles_are_black_and_light_changes_what_it_says() -> None:
    image = np.full((160, 200, 3), 100, np.uint8)
    still = replace(STILL, turn_chance=0, scale=(1, 1), shift_chance=0)
    shares = [
        (posed(replace(still, drop_chance=1), image, draws) == 0).mean()
        for draws in np.random.default_rng(0).random((60, 12))
    ]
    assert np.mean(shares) == pytest.approx(0.02, abs=0.002)
    lit = posed(replace(still, gain=0.2, contrast=0.5), image, np.full(12, 1 - 1e-9))
    assert (lit == 120).all()  # all of one grey: contrast changes nothing
    two = np.where(np.arange(200)[None, :, None] < 100, 80, 120).astype(np.uint8) * np.ones((2, 1, 3), np.uint8)
    assert set(posed(replace(still, contrast=0.5), two, np.full(12, 1 - 1e-9)).ravel()) == {70, 130}


def test_grey_images_are_moved_as_colour_is() -> None:
    colour = np.repeat(np.random.default_rng(0).integers(0, 256, (30, 40, 1), np.uint8), 3, 2)
    for draws in np.random.default_rng(1).random((8, 12)):
        assert np.array_equal(
            posed(PoseAugment(), colour[..., :1], draws), posed(PoseAugment(), colour, draws)[..., :1]
        )


# ---- through the stream of batches -----------------------------------------------------------------------------------

# An animal from behind: its left ear, red, is to the left of its right one, blue. So it is in a mirror image, but for the colours.
BODY = Body(("left", "right"), pairs=((0, 1),))


def coloured(n: int = 12) -> Split:
    images, xy = np.zeros((n, 64, 96, 3), np.uint8), np.empty((n, 2, 2))
    for i in range(n):
        xy[i] = (30 + i, 30), (60, 35 + i % 5)
        for channel, (x, y) in zip((0, 2), xy[i].astype(int), strict=True):
            images[i, y - 3 : y + 4, x - 3 : x + 4, channel] = 255
    return Split(Arrays(images), Joints.of(xy, BODY, ["one"] * n))


def seen(body: Body, mirror: float) -> tuple[list[bool], list[tuple[int, ...]]]:
    """Of each picture shown: whether the left ear is to the left, and the brightest channel where each ear is said to be."""
    split = coloured()
    assert isinstance(split.targets, Joints)
    split = replace(split, targets=replace(split.targets, body=body))
    augment = Augment(mirror=mirror, policy=replace(STILL, scale=(0.8, 1.1), shift=0.05))
    (batch,) = train_batches(split, sides=(64, 96), batch=12, augment=augment, seed=3, first_step=0, last_step=1)
    where = batch.answers.shown.round().long().tolist()
    colours = [
        tuple(int(image[:, y, x].argmax()) for x, y in own) for image, own in zip(batch.images, where, strict=True)
    ]
    return [own[0][0] < own[1][0] for own in where], colours


def test_left_and_right_change_places_in_a_mirror() -> None:
    """Oracle 8: with pairs the left ear stays to the left, and the colours tell the mirror images; without, it does not."""
    in_place, colours = seen(BODY, 0.5)
    assert all(in_place) and set(colours) == {(0, 2), (2, 0)}
    in_place, colours = seen(replace(BODY, pairs=()), 0.5)
    assert not all(in_place) and set(colours) == {(0, 2)}
    assert seen(BODY, 0.0) == ([True] * 12, [(0, 2)] * 12)


def test_batches_are_the_same_for_any_number_of_workers() -> None:
    def stream(workers: int) -> list[bytes]:
        batches = train_batches(
            coloured(), sides=(48, 64), batch=4, augment=Augment(policy=PoseAugment()), seed=1, first_step=1, last_step=5,
            workers=workers,
        )  # fmt: skip
        return [b.images.numpy().tobytes() + b.answers.shown.numpy().tobytes() for b in batches]

    assert stream(0) == stream(2)


def test_the_policy_survives_json_and_refuses_what_it_cannot_do() -> None:
    policy = PoseAugment(turn=10, scale=(0.4, 1.0))
    assert from_json(Policy, to_json(policy), KINDS) == policy
    with pytest.raises(ValueError, match=r"augment.policy.scale is \(1.2, 0.5\)"):
        PoseAugment(scale=(1.2, 0.5))
    with pytest.raises(ValueError, match=r"augment.policy.drop must be at most 1"):
        PoseAugment(drop=2)
