"""Large scale jitter: the sheet's arithmetic, and pixels and objects by one move."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from convsmith.codec import from_json, to_json
from convsmith.data import Arrays, Batch, Files, Objects, Split, Truth, train_batches
from convsmith.data.jittered import Jitter
from convsmith.recipe import KINDS, Augment, JitterAugment
from convsmith.rle import encoded

SIDES = (64, 96)


def drawn(draws: list[float], picture: tuple[int, int], scale: tuple[float, float] = (0.1, 2.0), *, mirrored: bool = False,
          sides: tuple[int, int] = SIDES) -> Jitter:  # fmt: skip
    return Jitter.drawn(JitterAugment(scale=scale), np.array(draws), mirrored, picture, sides)


def test_the_size_is_the_sheets() -> None:
    """6.1 by hand, canvas 1024 x 1024, a picture of 480 x 640, s = 0.1 + 1.9 u: u = 0.5 is s = 1.05, a box of 1075 x 1075, by
    which the picture becomes 806 x 1075; too wide by 51, of which u = 0.999 is the last and u = 0 none."""
    done = drawn([0.5, 0.7, 0.999], (480, 640), sides=(1024, 1024))
    assert done.size == (806, 1075) and (done.top, done.left) == (0, 51)
    assert drawn([0.5, 0.7, 0.0], (480, 640), sides=(1024, 1024)).left == 0
    assert drawn([0.0, 0, 0], (480, 640), sides=(1024, 1024)).size == (76, 102)  # s = 0.1: a box of 102


def test_both_axes_have_an_offset_of_their_own() -> None:
    done = drawn([1 - 1e-9, 0.25, 0.75], (64, 96))
    assert done.size == (128, 192) and (done.top, done.left) == (16, 72)


@pytest.mark.parametrize("mirrored", [False, True])
def test_what_is_seen_is_as_if_all_were_resized(mirrored: bool) -> None:
    """To 2 of 255: Pillow rounds to integers after either axis, and a mirrored picture is resized before it is mirrored."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (45, 70, 3), dtype=np.uint8)
    for _ in range(40):
        done = drawn(rng.random(3).tolist(), (45, 70), mirrored=mirrored)
        whole = Image.fromarray(np.ascontiguousarray(picture[:, ::-1] if mirrored else picture))
        resized = np.asarray(whole.resize(done.size[::-1], Image.Resampling.BILINEAR))
        canvas = np.zeros((*SIDES, 3), np.uint8)
        part = resized[done.top : done.top + SIDES[0], done.left : done.left + SIDES[1]]
        canvas[: part.shape[0], : part.shape[1]] = part
        assert np.abs(done.pixels(picture).astype(int) - canvas).max() <= 2


def square_data(n: int = 8) -> Split:
    """White rectangles of whole pixels on black, of 40 x 50 pixels."""
    rng = np.random.default_rng(1)
    pictures, truths = np.zeros((n, 40, 50, 1), np.uint8), []
    for k in range(n):
        (x1, y1), (w, h) = rng.integers(0, (30, 20)).tolist(), rng.integers(8, 20, 2).tolist()
        mask = np.zeros((40, 50), bool)
        mask[y1 : y1 + h, x1 : x1 + w] = True
        pictures[k, mask] = 255
        box = np.array([[x1, y1, x1 + w, y1 + h]], float)
        truths.append(
            Truth(box, np.ones(1, np.int64), np.zeros(1, bool), np.array([w * h], float), (encoded(mask),), (40, 50), k)
        )
    return Split(Arrays(pictures), Objects(tuple(truths), (1,)))


def jittered(split: Split, scale: tuple[float, float], mirror: float = 0.5, steps: int = 6) -> list[Batch]:
    augment = Augment(policy=JitterAugment(scale=scale), mirror=mirror)
    return list(
        train_batches(split, sides=SIDES, batch=8, augment=augment, seed=0, first_step=0, last_step=steps, channels=1)
    )


def test_a_box_lies_where_its_pixels_went() -> None:
    """The white in a channel, each pixel by its value, is as much as the shown box's area, and its middle is the box's: what
    lies half in a pixel makes it half as bright. To a tenth of a pixel, as what a filter makes of one pixel is not the same for
    each; half a pixel would be the mistake."""
    shown = 0
    for batch in jittered(square_data(), (0.6, 1.8)):
        for image, boxes, masks in zip(batch.images, batch.answers.boxes, batch.answers.masks, strict=True):
            light = image[0].double().numpy() / 255
            x1, y1, x2, y2 = boxes[0].tolist() if len(boxes) else (0, 0, 0, 0)
            if not len(boxes) or min(x1, y1) < 2 or x2 > SIDES[1] - 2 or y2 > SIDES[0] - 2:
                continue  # its soft edge, of a pixel times the scale, is cut off
            shown += 1
            columns, rows = np.arange(SIDES[1]) + 0.5, np.arange(SIDES[0]) + 0.5
            assert light.sum() == pytest.approx((x2 - x1) * (y2 - y1), rel=0.03)
            assert (light.sum(0) @ columns) / light.sum() == pytest.approx((x1 + x2) / 2, abs=0.1)
            assert (light.sum(1) @ rows) / light.sum() == pytest.approx((y1 + y2) / 2, abs=0.1)
            assert masks[0].all()
    assert shown > 10


def test_moves_lead_back_to_the_picture() -> None:
    """A box that is not cut off, mapped back, is the truth's: to 1e-4 pixels, as shown boxes are float32."""
    for batch in jittered(square_data(), (0.3, 1.0)):
        for boxes, one, move in zip(batch.answers.boxes, batch.answers.truth, batch.moves, strict=True):
            corners = move.back(boxes.double().numpy().reshape(-1, 2, 2) - 0.5) + 0.5
            np.testing.assert_allclose(np.sort(corners, axis=1).reshape(-1, 4), one.boxes, atol=1e-4)
            assert move.mirrored in (True, False)


def test_the_rest_is_black_and_at_the_right_and_below() -> None:
    split = Split(Arrays(np.full((8, 40, 50, 1), 200, np.uint8)), square_data().targets)
    for batch in jittered(split, (0.4, 0.7), mirror=1.0, steps=2):
        for image, move in zip(batch.images, batch.moves, strict=True):
            high, wide = (round(move.zoom * side) for side in (40, 50))
            assert (image[0, :high, :wide] == 200).all() and not image[0, high:].any() and not image[0, :, wide:].any()
            assert move.mirrored


def test_a_jpeg_that_was_decoded_smaller_lies_where_it_would(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A picture of 1200 x 1600 on 64 x 96 is decoded at an eighth; its objects are as those of the same in memory."""
    pixels = np.zeros((1200, 1600, 3), np.uint8)
    pixels[400:800, 200:1000] = 255
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    box = np.array([[200, 400, 1000, 800]], float)
    truth = Truth(box, np.ones(1, np.int64), np.zeros(1, bool), np.ones(1), None, (1200, 1600), 1)
    objects = Objects((truth,) * 2, (1,))
    files = Split(Files((str(tmp_path / "a.jpg"),) * 2), objects)
    held = Split(Arrays(np.stack([pixels[..., :1]] * 2)), objects)
    for one, other in zip(jittered(files, (0.8, 1.2), steps=3), jittered(held, (0.8, 1.2), steps=3), strict=True):
        for a, b in zip(one.answers.boxes, other.answers.boxes, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-3)
        near = np.abs(one.images.int().numpy() - other.images.int().numpy())
        assert near.mean() < 2  # JPEG's own loss at the edges of the white


def test_it_is_a_policy_that_can_be_written_and_read() -> None:
    augment = Augment(policy=JitterAugment(scale=(0.5, 1.5)), mirror=0.5)
    assert from_json(Augment, to_json(augment), KINDS) == augment


@pytest.mark.parametrize("scale", [(0.0, 1.0), (2.0, 1.0), (0.1, 11.0)])
def test_a_scale_that_is_none_is_refused(scale: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"augment\.policy\.scale is"):
        JitterAugment(scale=scale)


def test_it_is_not_cropped_twice() -> None:
    with pytest.raises(ValueError, match="the policy jitter crops by itself"):
        Augment(crop=(0.5, 1.0), policy=JitterAugment())
