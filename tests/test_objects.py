"""Objects as targets: where their boxes and masks go, and what training is not shown of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from convsmith.data import Arrays, Instances, Move, Objects, Split, Truth, divided, eval_batches
from convsmith.errors import DataError
from convsmith.rle import encoded


def truth(
    boxes: list[list[float]],
    masks: list[np.ndarray] | None = None,
    size: tuple[int, int] = (40, 60),
    labels: list[int] | None = None,
    crowd: list[bool] | None = None,
    image_id: int = 1,
) -> Truth:
    n = len(boxes)
    array = np.array(boxes, float).reshape(-1, 4)
    areas = (array[:, 2] - array[:, 0]) * (array[:, 3] - array[:, 1])
    rles = None if masks is None else tuple(encoded(mask) for mask in masks)
    return Truth(
        array, np.array(labels or [1] * n, np.int64), np.array(crowd or [False] * n, bool), areas, rles, size, image_id
    )


def filled(box: tuple[int, int, int, int], size: tuple[int, int] = (40, 60)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def seen(one: Truth, move: Move, sides: tuple[int, int] | None = (40, 60)) -> Instances:
    return Objects((one,), (1, 2)).answers(np.array([0]), [move], sides)


def test_corners_go_where_the_pixels_go() -> None:
    """Doubled, pixel i covers 2i to 2i + 2; in a mirror of width 60, x becomes 60 - x. Corners are half a pixel from middles."""
    one = truth([[10, 5, 20, 15]])
    doubled = seen(one, Move.crop_resize((0, 0, 40, 60), (80, 120)), (80, 120))
    assert doubled.boxes[0].tolist() == [[20, 10, 40, 30]]
    assert seen(one, Move.flipped(60)).boxes[0].tolist() == [[40, 5, 50, 15]]


def test_boxes_are_cut_off_at_the_canvas_and_at_the_picture() -> None:
    """A picture of 40 x 60 at the top left of a larger canvas ends where it ends."""
    one = truth([[50, 30, 70, 50], [-5, -5, 10, 10]])
    assert seen(one, Move.identity(), (100, 100)).boxes[0].tolist() == [[50, 30, 60, 40], [0, 0, 10, 10]]
    assert seen(one, Move.identity(), (35, 55)).boxes[0].tolist() == [[50, 30, 55, 35], [0, 0, 10, 10]]


def test_what_cannot_be_learnt_is_left_out_and_stays_in_the_truth() -> None:
    """Less than a pixel wide, outside of the canvas, a crowd, and a mask of which nothing is seen."""
    size = (40, 60)
    boxes = [[10, 10, 10.9, 20], [45, 5, 50, 10], [1, 1, 9, 9], [20, 20, 42, 30], [5, 5, 15, 15]]
    masks = [
        filled((10, 10, 11, 20)),
        filled((45, 5, 50, 10)),
        filled((1, 1, 9, 9)),
        filled((40, 20, 42, 30)),
        filled((5, 5, 15, 15)),
    ]
    one = truth(boxes, masks, size, [1, 1, 1, 1, 2], [False, False, True, False, False])
    found = seen(one, Move.identity(), (40, 30))  # the mask of the fourth lies right of it, its box does not
    assert found.labels[0].tolist() == [2] and found.boxes[0].tolist() == [[5, 5, 15, 15]]
    assert found.masks is not None and found.masks[0].shape == (1, 112, 112)
    assert found.truth[0] is one and len(found.truth[0]) == 5


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_crop_is_the_mask_at_each_point_of_the_clipped_box(mirrored: bool) -> None:
    """The picture is enlarged 2.5 times and cut: each of the 112 x 112 points is looked up one by one."""
    rng = np.random.default_rng(0)
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:50] = rng.random((20, 30)) < 0.6
    one = truth([[20, 10, 50, 30]], [mask])
    move = Move.flipped(60) if mirrored else Move.identity()
    move = move.then(Move.crop_resize((0, 0, 40, 60), (100, 150))).then(Move.crop_resize((30, 20, 64, 96), (64, 96)))
    found = seen(one, move, (64, 96))
    assert found.masks is not None
    x1, y1, x2, y2 = found.boxes[0][0].tolist()
    for i, j in rng.integers(0, 112, (200, 2)).tolist():
        spot = np.array([x1 + (j + 0.5) / 112 * (x2 - x1), y1 + (i + 0.5) / 112 * (y2 - y1)])
        column, row = np.floor(move.back(spot - 0.5) + 0.5).astype(int)
        assert found.masks[0][0, i, j] == mask[row, column]


def test_a_turned_mask_is_sampled_in_both_directions() -> None:
    """A quarter turn about the middle of a square picture takes the upper left quarter to the lower left."""
    one = truth([[0, 0, 10, 20]], [filled((0, 0, 10, 20), (40, 40))], (40, 40))
    turn = Move.rotated(90, 40, 40)
    found = seen(one, turn, (40, 40))
    np.testing.assert_allclose(found.boxes[0].numpy(), [[0, 30, 20, 40]], atol=1e-5)  # float32 of cos 90
    assert found.masks is not None and bool(found.masks[0].all())


def test_a_batch_is_cut_and_carried_as_a_tensor_is() -> None:
    objects = Objects((truth([[1, 1, 9, 9]]), truth([]), truth([[2, 2, 9, 9], [3, 3, 30, 30]])), (1, 2))
    batch = objects.answers(np.arange(3), [Move.identity()] * 3, (40, 60))
    assert len(batch) == 3 and batch.masks is None
    assert [len(one) for one in batch[1:].boxes] == [0, 2] and batch.boxes[1].shape == (0, 4)
    there = batch.to(torch.device("cpu"), non_blocking=True)
    assert all((one == other).all() for one, other in zip(there.boxes, batch.boxes, strict=True))
    assert there.truth == batch.truth and there.moves == batch.moves


def test_a_picture_without_objects_is_a_batch_like_any_other() -> None:
    images = Arrays(np.zeros((2, 40, 60, 3), np.uint8))
    batch = next(eval_batches(Split(images, Objects((truth([], []), truth([], [])), (1,))), sides=(32, 32), batch=2))
    assert len(batch.images) == 2 and [len(one) for one in batch.answers.labels] == [0, 0]
    assert [tuple(one.shape) for one in batch.answers.masks] == [(0, 112, 112)] * 2


def test_classes_are_counted_by_picture_and_crowds_are_none() -> None:
    both = truth([[1, 1, 9, 9]] * 3, labels=[1, 1, 2])
    crowd = truth([[1, 1, 9, 9]], labels=[2], crowd=[True])
    objects = Objects((both, crowd, truth([])), (7, 9))
    assert objects.counts(2).tolist() == [1, 1]
    assert objects.number == 3
    assert {name: which.tolist() for name, which in objects.samples(("a", "b"), 2).items()} == {"a": [0], "b": [0]}


def test_a_part_that_is_set_aside_has_its_share_of_the_rarest_class() -> None:
    """Forty pictures of a common class, ten of them of a rare one, too, and ten of nothing: a fifth of each kind."""
    kinds = [[1]] * 30 + [[1, 2]] * 10 + [[]] * 10
    objects = Objects(tuple(truth([[1, 1, 9, 9]] * len(own), labels=own) for own in kinds), (1, 2))
    _, val = divided(Split(Arrays(np.zeros((50, 4, 4, 1), np.uint8)), objects), 0.2, 0)
    assert isinstance(val.targets, Objects)
    assert val.targets.counts(2).tolist() == [8, 2] and len(val) == 10


def test_other_bytes_whenever_one_of_them_is_another() -> None:
    one = truth([[1, 1, 9, 9]], [filled((1, 1, 9, 9))])
    assert one.rles is not None
    changed = (
        replace(one, boxes=one.boxes + 1e-9), replace(one, labels=one.labels + 1), replace(one, crowd=~one.crowd),
        replace(one, areas=one.areas + 1), replace(one, rles=(encoded(filled((1, 1, 9, 8))),)), replace(one, rles=None),
        replace(one, size=(60, 40)), replace(one, image_id=2),
    )  # fmt: skip
    own = Objects((one,), (1, 2)).to_bytes()
    every = {own, *(Objects((other,), (1, 2)).to_bytes() for other in changed), Objects((one,), (1, 3)).to_bytes()}
    assert len(every) == 2 + len(changed)


def test_labels_go_by_name_and_numbers_of_the_file_go_with_them() -> None:
    objects = Objects((truth([[1, 1, 9, 9], [2, 2, 9, 9]], labels=[1, 2]),), (18, 44))
    found = objects.in_order(("dog", "cup"), ("cup", "tree"))
    assert found.truths[0].labels.tolist() == [1] and found.truths[0].boxes.tolist() == [[2, 2, 9, 9]]
    assert found.category_ids == (44, -1)


def test_who_trains_on_them_is_told_what_is_odd() -> None:
    many = truth([[1, 1, 9, 9]] * 101)
    crowd = truth([[1, 1, 9, 9]], crowd=[True])
    said = " | ".join(Objects((many, crowd, truth([])), (18, 44)).oddities())
    assert "categories numbered 44: nothing is learnt" in said
    assert "1 training picture of 3 without objects" in said
    assert "1 region of crowds" in said and "1 training picture with more than 100 objects" in said


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(DataError, match="not one object to train on"):
        Objects((truth([]), truth([[1, 1, 9, 9]], crowd=[True])), (1,)).sound(("a",), "p")
    with pytest.raises(DataError, match="one picture to train on and to validate on"):
        Objects((truth([[1, 1, 9, 9]]),), (1,)).sound(("a",), "p")
    with pytest.raises(ValueError, match="boxes"):
        replace(truth([[1, 1, 9, 9]]), labels=np.zeros(2, np.int64))
