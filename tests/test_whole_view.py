"""Pictures that are shown whole: fitted into the network's sides, at the top left, and every point found again there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convsmith.arch import Image
from convsmith.data import Arrays, Body, Files, Joints, Move, Split, Transform, eval_batches, held, train_batches
from convsmith.data.resize import fitting
from convsmith.data.showing import move_whole, shown
from convsmith.recipe import Augment

BODY = Body(("dot",))


def dotted(height: int, width: int, x: float, y: float, spread: float) -> np.ndarray:
    """A white dot of Gaussian shape on black, uint8 (height, width, 1)."""
    down, along = np.mgrid[:height, :width]
    dot = np.exp(-((along - x) ** 2 + (down - y) ** 2) / (2 * spread**2))
    return np.rint(255 * dot).astype(np.uint8)[..., None]


def found(image: np.ndarray) -> np.ndarray:
    """(x, y) of the dot in an image (height, width)."""
    weight = image.astype(float)
    down, along = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weight * along).sum(), (weight * down).sum()]) / weight.sum()


def split_of(images: np.ndarray, xy: np.ndarray) -> Split:
    return Split(Arrays(images), Joints.of(xy[:, None], BODY, ("one",) * len(xy)))


sizes = st.tuples(st.integers(1, 2000), st.integers(1, 2000))


@given(sizes, sizes)
def test_a_fitted_picture_touches_a_side_and_goes_beyond_none(size: tuple[int, int], sides: tuple[int, int]) -> None:
    height, width = fitting(sides, *size)
    assert 1 <= height <= sides[0] and 1 <= width <= sides[1] and (height == sides[0] or width == sides[1])
    scale = min(sides[0] / size[0], sides[1] / size[1])
    for own, before in zip((height, width), size, strict=True):
        assert own == 1 or abs(own - scale * before) <= 0.5 + 1e-9


@given(sizes)
def test_a_picture_of_the_network_s_own_sides_stays_as_it_is(size: tuple[int, int]) -> None:
    assert fitting(size, *size) == size and move_whole(size, size) == Move.identity()


@pytest.mark.parametrize("sides", [(112, 192), (96, 96), (240, 320), (301, 420)])
@pytest.mark.parametrize("size", [(162, 288), (163, 290), (480, 640), (90, 60)])
def test_a_white_dot_is_found_again_after_resizing(size: tuple[int, int], sides: tuple[int, int]) -> None:
    """Oracle 9: labels go to (x + 0.5) s - 0.5, and the pixels with them to within 0.1 px."""
    xy = np.array([[0.31, 0.42], [0.5, 0.5], [0.62, 0.57]]) * size[::-1]
    images = np.stack([dotted(*size, *point, spread=max(3.0, 3 * size[0] / sides[0])) for point in xy])
    for batch in eval_batches(split_of(images, xy), sides=sides, batch=2, channels=1):
        for image, points, move, i in zip(
            batch.images, batch.answers.shown, batch.moves, batch.indices.tolist(), strict=True
        ):
            assert np.abs(found(image[0].numpy()) - points[0].numpy()).max() < 0.1
            assert np.allclose(move.back(points[0].numpy()), xy[i], atol=1e-3)  # float32


def test_the_picture_stands_at_the_top_left_and_the_rest_is_black() -> None:
    images = np.full((1, 40, 100, 3), 200, np.uint8)
    batch = next(eval_batches(split_of(images, np.zeros((1, 2))), sides=(48, 80), batch=1))
    assert batch.images.shape == (1, 3, 48, 80)
    assert (batch.images[:, :, :32] == 200).all() and not batch.images[:, :, 32:].any()


def test_training_without_crops_evaluation_and_a_loader_of_one_s_own_show_the_same(tmp_path: Path) -> None:
    from PIL import Image as Picture

    rng = np.random.default_rng(0)
    images, xy = rng.integers(0, 256, (4, 50, 70, 3), np.uint8), rng.uniform(5, 45, (4, 2))
    split, sides = split_of(images, xy), (32, 48)
    scored = next(eval_batches(split, sides=sides, batch=4))
    trained = next(train_batches(split, sides=sides, batch=4, augment=Augment(crop=(1.0, 1.0), mirror=0.0), seed=0,
                                 first_step=0, last_step=1))  # fmt: skip
    order = trained.indices
    assert torch.equal(trained.images, scored.images[order])
    assert torch.equal(trained.answers.shown, scored.answers.shown[order])
    assert [trained.moves[k] for k in range(4)] == [scored.moves[i] for i in order.tolist()]
    kept = next(eval_batches(held(split, sides=sides), sides=sides, batch=4))
    assert torch.equal(kept.images, scored.images) and kept.moves == scored.moves

    input_ = Image(resolution=32, width=48, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    alone = Transform(input_, whole=True)(images[0])
    assert torch.equal((alone * 255).round().to(torch.uint8), scored.images[0])
    ours, _ = shown(
        lambda j, least: torch.from_numpy(images[j]).permute(2, 0, 1), 4, sides=sides, channels=3, whole=True
    )
    assert torch.equal(ours, scored.images)

    for i, image in enumerate(images):
        Picture.fromarray(image).save(tmp_path / f"{i}.png")
    files = Split(Files(tuple(str(tmp_path / f"{i}.png") for i in range(4))), split.targets)
    assert torch.equal(next(eval_batches(files, sides=sides, batch=4)).images, scored.images)


def test_a_mirror_goes_with_the_whole_picture() -> None:
    """The black stands at the left then, and the points are where the picture's are."""
    xy = np.array([[30.4, 20.6]])
    images = dotted(60, 60, *xy[0], spread=4)[None]
    batch = next(train_batches(split_of(images, xy), sides=(48, 96), batch=1, channels=1,
                               augment=Augment(crop=(1.0, 1.0), mirror=1.0), seed=0, first_step=0, last_step=1))  # fmt: skip
    assert not batch.images[..., :40].any()
    assert np.abs(found(batch.images[0, 0].numpy()) - batch.answers.shown[0, 0].numpy()).max() < 0.1
    assert batch.answers.shown[0, 0, 0] > 48


def test_flipping_twice_is_the_identity_and_pairs_change_names_once() -> None:
    """Oracle 8: x' = W - 1 - x; a left and a right point exchange, which a body without pairs would miss."""
    flip = Move.flipped(90)
    points = np.array([[[10.0, 5.0], [70.0, 6.0], [40.0, 7.0]]])
    assert np.allclose(flip.points(flip.points(points)), points)
    assert flip.then(flip).mirrored is False
    paired, plain = (Body(("left_ear", "right_ear", "nose"), pairs=pairs) for pairs in (((0, 1),), ()))
    swapped = Joints.of(points, paired, ("a",)).answers(np.array([0]), [flip]).shown[0].numpy()
    kept = Joints.of(points, plain, ("a",)).answers(np.array([0]), [flip]).shown[0].numpy()
    assert np.allclose(swapped, [[19.0, 6.0], [79.0, 5.0], [49.0, 7.0]])
    assert not np.allclose(kept, swapped) and np.allclose(kept[[1, 0, 2]], swapped)
