"""A point of the picture is found again where the network sees it, whatever was done to the pixels, and told back."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from convsmith.data import (
    Arrays,
    Batch,
    Cache,
    Encoded,
    Files,
    Inputs,
    Joined,
    Move,
    Split,
    Targets,
    eval_batches,
    held,
    train_batches,
)
from convsmith.data.augment import DRAWS, altered, moved
from convsmith.data.operations import GREY, operated
from convsmith.data.operations import moved as moved_by
from convsmith.data.sample import uniform
from convsmith.recipe import Augment, AutoAugment, Operation, RandAugment

GEOMETRY = {
    *(Operation.ROTATE, Operation.SHEAR_X, Operation.SHEAR_Y, Operation.TRANSLATE_X, Operation.TRANSLATE_Y),
}
CLOSE = 0.3  # pixels of the network: the nearest pixel is taken, and antialiasing blurs


@dataclass(frozen=True, eq=False)
class Dots(Targets):
    """A point (x, y) of each picture; its answers are where the network sees it."""

    moved: ClassVar[bool] = True
    xy: np.ndarray

    def __len__(self) -> int:
        return len(self.xy)

    def take(self, indices: np.ndarray) -> Dots:
        return Dots(self.xy[indices])

    def joined(self, *others: Dots) -> Dots:
        return Dots(np.concatenate([self.xy, *(one.xy for one in others)]))

    def answers(self, indices: np.ndarray, moves: Sequence[Move], sides: object = None) -> Tensor:
        assert len(moves) == len(indices)
        points = [move.points(self.xy[i]) for i, move in zip(indices, moves, strict=True)]
        return torch.from_numpy(np.array(points).reshape(-1, 2))

    def to_bytes(self) -> bytes:
        return self.xy.tobytes()


def dotted(height: int, width: int, x: float, y: float, *, spread: float = 3.0) -> np.ndarray:
    """A white dot of Gaussian shape on the grey that geometry fills up with, uint8 (height, width, 1)."""
    down, along = np.mgrid[:height, :width]
    dot = np.exp(-((along - x) ** 2 + (down - y) ** 2) / (2 * spread**2))
    return np.rint(GREY + 120 * dot).astype(np.uint8)[..., None]


def found(image: np.ndarray) -> np.ndarray:
    """(x, y) of the dot in an image (height, width, ...)."""
    weight = image.reshape(*image.shape[:2], -1)[..., 0].astype(float) - GREY
    weight[weight < 4] = 0
    down, along = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weight * along).sum(), (weight * down).sum()]) / weight.sum()


def agreeing(batches: Iterator[Batch], *, margin: float) -> int:
    """How many dots lie inside the network's picture by a margin; each of them is where its answer says."""
    inside = 0
    for batch in batches:
        height, width = batch.images.shape[2:]
        for image, (x, y) in zip(batch.images, batch.answers.tolist(), strict=True):
            if margin <= x <= width - 1 - margin and margin <= y <= height - 1 - margin:
                inside += 1
                assert np.abs(found(image.permute(1, 2, 0).numpy()) - (x, y)).max() < CLOSE
    return inside


def dots(n: int, height: int, width: int, *, spread: float = 3.0) -> tuple[np.ndarray, Dots]:
    """Pictures with a dot somewhere in the middle half, at a place between pixels."""
    xy = np.random.default_rng(1).uniform((width / 4, height / 4), (3 * width / 4, 3 * height / 4), (n, 2))
    return np.stack([dotted(height, width, x, y, spread=spread) for x, y in xy]), Dots(xy)


def files(folder: Path, images: np.ndarray, suffix: str) -> Files:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(folder / f"{i:03}{suffix}")
    return Files(tuple(str(path) for path in sorted(folder.iterdir())))


# ---- the value -------------------------------------------------------------------------------------------------------

moves = st.one_of(
    st.just(Move.identity()),
    st.builds(
        Move.crop_resize,
        st.tuples(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 300), st.integers(1, 300)),
        st.tuples(st.integers(1, 300), st.integers(1, 300)),
    ),
    st.builds(Move.flipped, st.integers(1, 300)),
    st.builds(Move.rotated, st.floats(-180, 180), st.integers(1, 300), st.integers(1, 300)),
)
POINTS = np.array([[0.0, 0.0], [3.25, -7.5], [640.0, 480.0]])


@given(moves, moves)
def test_back_undoes_points_and_a_composition_is_one_after_the_other(one: Move, other: Move) -> None:
    both = one.then(other)
    assert both.points(POINTS) == pytest.approx(other.points(one.points(POINTS)), rel=1e-9, abs=1e-6)
    assert both.back(POINTS) == pytest.approx(one.back(other.back(POINTS)), rel=1e-9, abs=1e-6)
    assert one.back(one.points(POINTS)) == pytest.approx(POINTS, abs=1e-9)


def test_corners_stay_corners() -> None:
    """Half a pixel before the first and after the last, of the crop and of the network alike."""
    move = Move.crop_resize((10, 20, 30, 60), (15, 45))
    corners = np.array([[19.5, 9.5], [79.5, 39.5]])
    assert np.allclose(move.points(corners), [[-0.5, -0.5], [44.5, 14.5]])
    turned = Move.rotated(90, 40, 40)
    assert np.allclose(turned.points(np.array([[39.5, 19.5], [19.5, -0.5]])), [[19.5, -0.5], [-0.5, 19.5]])
    assert np.allclose(Move.flipped(8).points(np.array([[-0.5, 3.0], [0.0, 3.0]])), [[7.5, 3.0], [7.0, 3.0]])


def test_what_is_not_there_stays_so_and_a_mirror_is_known() -> None:
    move = Move.rotated(20, 30, 40).then(Move.crop_resize((1, 2, 20, 20), (9, 9)))
    missing = np.array([[np.nan, np.nan], [3.0, 4.0]])
    for there in (move.points(missing), move.back(missing)):
        assert np.isnan(there[0]).all() and np.isfinite(there[1]).all()
    assert not move.mirrored and move.then(Move.flipped(9)).mirrored


def test_points_survive_the_network_s_single_precision() -> None:
    move = Move.crop_resize((13, 57, 801, 1207), (256, 384)).then(Move.flipped(384)).then(Move.rotated(17, 256, 384))
    xy = np.random.default_rng(0).uniform(0, 2000, (100, 2))
    assert np.abs(move.back(move.points(xy).astype(np.float32).astype(float)) - xy).max() < 1e-3


# ---- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [2, 9])
@pytest.mark.parametrize("sign", [0.1, 0.9])
@pytest.mark.parametrize("operation", Operation)
def test_each_operation_takes_a_point_where_it_takes_the_pixels(operation: Operation, sign: float, level: int) -> None:
    height, width, draws = 81, 110, np.array([sign, 0.5])
    move = moved_by(operation, level, draws, reach=2, height=height, width=width)
    if operation not in GEOMETRY:
        assert move == Move.identity()
        return
    assert move != Move.identity()
    for xy in ((55.0, 40.0), (40.3, 52.6), (70.8, 30.2)):
        image = operated(dotted(height, width, *xy), operation, level, draws, reach=2)
        assert np.abs(found(image) - move.points(np.array(xy))).max() < CLOSE


@pytest.mark.parametrize("policy", [RandAugment(layers=2, magnitude=4), AutoAugment()], ids=lambda one: one.kind)
def test_a_policy_takes_a_point_where_it_takes_the_pixels(policy: RandAugment | AutoAugment) -> None:
    """Of the images that geometry alone was drawn for: what changes colours hides the dot, and moves nothing."""
    side, n, seen = 96, 400, 0
    augment = Augment(mirror=0.5, policy=policy)
    draws, xy = uniform(0, 0, np.arange(n), DRAWS), np.array([50.4, 42.7])
    plain = torch.from_numpy(dotted(side, side, *xy)).permute(2, 0, 1)[None]
    for own in draws:
        if isinstance(policy, RandAugment):
            drawn = {tuple(Operation)[int(own[11 + 3 * layer] * 16)] for layer in range(2)}
            if drawn - GEOMETRY:
                continue
        move = moved(augment, own, side, side)
        image = altered(augment, plain.clone(), own[None])[0].permute(1, 2, 0).numpy()
        if isinstance(policy, AutoAugment) and (int(image[0, 0, 0]) != GREY or image.max() < 240):
            continue
        x, y = move.points(xy)
        if 12 < x < side - 13 and 12 < y < side - 13:
            seen += 1
            assert np.abs(found(image) - (x, y)).max() < CLOSE
    assert seen >= 20


@pytest.mark.parametrize("sides", [(48, 48), (40, 64)], ids=["square", "oblong"])
@pytest.mark.parametrize("crop", [(0.4, 1.0), (1.0, 1.0)], ids=["cropped", "whole"])
@pytest.mark.parametrize("suffix", ["", ".png", ".jpg"])
def test_training_batches_say_where_the_network_sees_a_point(
    tmp_path: Path, sides: tuple[int, int], crop: tuple[float, float], suffix: str
) -> None:
    images, targets = dots(24, 301, 420, spread=9)  # a JPEG is decoded to half its size
    inputs: Inputs = files(tmp_path, images, suffix) if suffix else Arrays(images)
    stream = train_batches(
        Split(inputs, targets), sides=sides, batch=12, augment=Augment(crop=crop, mirror=0.5),
        seed=0, first_step=0, last_step=4, channels=1,
    )  # fmt: skip
    assert agreeing(stream, margin=6) > 25


def test_the_moves_do_not_depend_on_where_a_stream_begins_or_who_makes_it() -> None:
    images, targets = dots(12, 40, 50)
    augment = Augment(crop=(0.4, 1.0), mirror=0.5, policy=RandAugment(layers=2, magnitude=9))
    steps = {"sides": (20, 30), "batch": 4, "augment": augment, "seed": 0, "last_step": 6, "channels": 1}
    whole = list(train_batches(Split(Arrays(images), targets), first_step=0, **steps))
    later = list(train_batches(Split(Arrays(images), targets), first_step=2, workers=1, **steps))
    assert [one.moves for one in later] == [one.moves for one in whole[2:]]
    assert all(torch.equal(one.answers, other.answers) for one, other in zip(later, whole[2:], strict=True))


def test_targets_that_do_not_move_are_asked_for_no_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    class Still(Dots):
        moved: ClassVar[bool] = False

        def answers(self, indices: np.ndarray, moves: Sequence[Move], sides: object = None) -> Tensor:
            assert moves == ()
            return torch.from_numpy(self.xy[indices])

    images, targets = dots(8, 20, 20)
    monkeypatch.setattr(Arrays, "size", None)  # what no move is asked for is not measured either
    split = Split(Arrays(images), Still(targets.xy))
    for batch in train_batches(split, sides=(9, 9), batch=4, augment=Augment(crop=(0.5, 1.0), mirror=0.5), seed=0,
                               first_step=0, last_step=2, channels=1):  # fmt: skip
        assert batch.moves == ()


# ---- evaluation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crop", [1.0, 0.875])
@pytest.mark.parametrize("sides", [(48, 48), (40, 63), (64, 36)])
@pytest.mark.parametrize("kind", ["arrays", "png", "jpg", "encoded", "joined", "cached", "held"])
def test_evaluation_says_where_the_network_sees_a_point(
    tmp_path: Path, kind: str, sides: tuple[int, int], crop: float
) -> None:
    images, targets = dots(12, 301, 417, spread=9)
    split = Split(inputs_of(kind, images, tmp_path), targets)
    if kind == "held":
        split, crop = held(split, sides=sides, crop=crop, channels=1), 1.0
        assert isinstance(split.inputs, Arrays) and split.inputs.images.shape[1:3] == sides
    assert agreeing(eval_batches(split, sides=sides, batch=8, crop=crop, channels=1), margin=5) >= 5


def inputs_of(kind: str, images: np.ndarray, folder: Path) -> Inputs:
    match kind:
        case "arrays" | "held":
            return Arrays(images)
        case "png" | "jpg":
            return files(folder, images, f".{kind}")
        case "encoded":
            rows = []
            for image in images:
                file = io.BytesIO()
                Image.fromarray(image[..., 0]).save(file, "JPEG")
                rows.append(np.frombuffer(file.getvalue(), np.uint8))
            stop = np.cumsum([len(row) for row in rows])
            return Encoded(np.concatenate(rows), stop - [len(row) for row in rows], stop)
        case "joined":
            half = len(images) // 2
            return Joined.of(Arrays(images[:half]), files(folder, images[half:], ".jpg"))
        case "cached":
            made = Cache(folder / "cache", "some", "0", (files(folder / "images", images, ".jpg"),), 70)
            made.ready()
            return made.over(made.inputs[0])
    raise AssertionError(kind)


def test_a_picture_that_its_camera_turned_is_measured_as_it_is_decoded(tmp_path: Path) -> None:
    image = Image.fromarray(dotted(40, 90, 20, 30)[..., 0])
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "x.jpg", exif=exif)
    inputs = Files((str(tmp_path / "x.jpg"),))
    assert inputs.size(0) == inputs.decode(0).shape[1:] == (90, 40)
    assert inputs.size(0, least=10) == inputs.decode(0, least=10).shape[1:] == (23, 10)


def test_a_decoder_s_pixels_are_whole_steps_of_the_picture_s() -> None:
    """Of 417 pixels a JPEG's decoder gives 209, of which the last lies half outside: not 417 / 209 but two a pixel."""
    assert Move.reduced((301, 417), (151, 209)).back(np.array([100.0, 10.0])).tolist() == [200.5, 20.5]
    assert Move.reduced((301, 417), (301, 417)) == Move.identity()
    assert Move.reduced((300, 400), (60, 40)) == Move.crop_resize((0, 0, 300, 400), (60, 40))
