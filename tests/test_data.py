"""Batches: the same stream for any number of workers and from any starting point; what each image becomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional

from convsmith.data import (
    Arrays,
    Batch,
    Encoded,
    Labels,
    Normalise,
    Split,
    eval_batches,
    held,
    steps_per_epoch,
    train_batches,
)
from convsmith.data.augment import box
from convsmith.data.resize import central, covering
from convsmith.data.sample import uniform
from convsmith.recipe import Augment
from data_food import array_split, file_split, labelled, write_classes

NOTHING = Augment()
EVERYTHING = Augment(crop=(0.3, 1.0), mirror=0.5, erase=0.5)
BOTH = pytest.mark.parametrize("augment", [NOTHING, EVERYTHING], ids=["plain", "augmented"])


def stream(
    split: Split, augment: Augment, first: int, last: int, *, workers: int = 0, seed: int = 3, channels: int = 3
) -> list[Batch]:
    return list(
        train_batches(
            split, sides=(12, 12), batch=4, augment=augment, seed=seed, first_step=first, last_step=last,
            workers=workers, channels=channels,
        )
    )  # fmt: skip


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a.images, b.images) and torch.equal(a.answers, b.answers) and torch.equal(a.indices, b.indices)
        for a, b in zip(one, other, strict=True)
    )


@BOTH
def test_a_stream_started_in_the_middle_is_the_tail_of_the_whole_one(augment):
    split = array_split(22)
    whole = stream(split, augment, 0, 12)
    for start in (1, 4, 5, 11, 12):
        assert same(stream(split, augment, start, 12), whole[start:])


@BOTH
def test_the_stream_does_not_depend_on_the_number_of_workers(augment):
    split = array_split(22)
    alone = stream(split, augment, 3, 13)
    assert same(stream(split, augment, 3, 13, workers=1), alone)
    assert same(stream(split, augment, 3, 13, workers=3), alone)


@BOTH
def test_the_stream_from_files_is_the_stream_from_memory(augment, tmp_path):
    write_classes(tmp_path, {"a": 1, "b": 1, "c": 1, "d": 1})
    paths = tuple(str(path) for path in sorted(tmp_path.rglob("*.png")))
    files = file_split(paths, np.arange(4))
    memory = labelled(np.stack([files.inputs.decode(i).permute(1, 2, 0).numpy() for i in range(4)]), np.arange(4))
    encoded = [np.frombuffer(Path(path).read_bytes(), np.uint8) for path in paths]
    stop = np.cumsum([len(one) for one in encoded])
    joined = Split(Encoded(np.concatenate(encoded), stop - [len(one) for one in encoded], stop), Labels(np.arange(4)))
    for channels in (1, 3):
        expected = stream(memory, augment, 0, 3, channels=channels)
        assert same(stream(files, augment, 0, 3, channels=channels), expected)
        assert same(stream(joined, augment, 0, 3, channels=channels), expected)


@BOTH
def test_neither_random_state_of_the_process_is_disturbed(augment):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 the global state is what is tested
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    stream(array_split(), augment, 0, 8)
    stream(array_split(), augment, 0, 8, workers=1)
    list(eval_batches(array_split(), sides=(12, 12), batch=4))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


def test_another_seed_gives_another_stream():
    one, other = (stream(array_split(), NOTHING, 0, 5, seed=seed) for seed in (1, 2))
    assert not same(one, other)


def test_an_augmented_image_is_another_one_in_the_next_epoch():
    split = array_split(4)
    first, second = stream(split, EVERYTHING, 0, 2)
    assert not torch.equal(first.images[first.indices.argsort()], second.images[second.indices.argsort()])


@given(n=st.integers(1, 40), batch=st.integers(1, 12))
def test_an_epoch_shows_every_image_at_most_once_and_drops_only_the_partial_batch(n, batch):
    split = array_split(n, side=2)
    steps = steps_per_epoch(n, batch)
    shown = train_batches(
        split, sides=(2, 2), batch=batch, augment=NOTHING, seed=0, first_step=steps, last_step=2 * steps
    )
    indices = torch.cat([one.indices for one in shown]).tolist()
    assert len(indices) == len(set(indices)) == (n // batch * batch or n)


def test_labels_stay_with_their_images():
    split = labelled(np.arange(20, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2), np.arange(20))
    for augment in (NOTHING, Augment(crop=(0.3, 1.0), mirror=0.5)):
        for one in stream(split, augment, 0, 5):
            assert one.images.dtype == torch.uint8 and one.answers.dtype == torch.int64
            assert one.images.shape == (4, 3, 12, 12)
            assert (one.images == one.answers[:, None, None, None]).all()
            assert torch.equal(one.answers, one.indices)


def test_evaluation_shows_every_image_once_in_order():
    batches = list(eval_batches(array_split(10), sides=(12, 12), batch=4))
    assert [len(one.answers) for one in batches] == [4, 4, 2]
    assert torch.cat([one.indices for one in batches]).tolist() == list(range(10))


@pytest.mark.parametrize("height, width, crop", [(40, 60, 0.875), (61, 33, 0.875), (30, 50, 1.0), (24, 24, 1.0)])
def test_evaluation_is_resize_then_centre_crop_as_torchvision_does_it(height, width, crop):
    images = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    (ours,) = eval_batches(labelled(images, np.arange(2)), sides=(24, 24), batch=2, crop=crop)
    theirs = functional.center_crop(
        functional.resize(torch.from_numpy(images).permute(0, 3, 1, 2), [round(24 / crop)], antialias=True), [24, 24]
    )
    # Where the margin is odd, torchvision rounds half a pixel to even and we round it down.
    shifted = functional.resize(torch.from_numpy(images).permute(0, 3, 1, 2), [round(24 / crop)], antialias=True)
    top, left = (shifted.shape[2] - 24) // 2, (shifted.shape[3] - 24) // 2
    assert torch.equal(ours.images, shifted[:, :, top : top + 24, left : left + 24])
    if (shifted.shape[2] - 24) % 2 == 0 and (shifted.shape[3] - 24) % 2 == 0:
        assert torch.equal(ours.images, theirs)


@pytest.mark.parametrize("height, width", [(1, 320), (320, 1), (2, 901), (3, 500), (1, 33), (7, 1000)])
def test_a_very_long_image_is_cut_before_it_is_enlarged_and_shows_the_same(height, width):
    grid = np.add.outer(np.arange(height), np.arange(width))[..., None]
    image = np.broadcast_to(127 + 100 * np.sin(grid / 9), (1, height, width, 3)).astype(np.uint8)
    (ours,) = eval_batches(labelled(image, np.zeros(1, np.int64)), sides=(24, 24), batch=1)
    high, wide = covering((24, 24), height, width)
    whole = functional.resize(torch.from_numpy(image).permute(0, 3, 1, 2), [high, wide], antialias=True)
    top, left = (high - 24) // 2, (wide - 24) // 2
    expected = whole[:, :, top : top + 24, left : left + 24]
    # A pixel of the source is at least three of ours, and the wave rises by 11 a pixel of the source at the most.
    assert (ours.images.int() - expected.int()).abs().max() <= (0 if min(height, width) == 1 else 4)


@given(height=st.integers(1, 3000), width=st.integers(1, 3000), sides=st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_what_is_enlarged_is_bounded_and_its_middle_is_the_images(height, width, sides):
    top, left, high, wide = central(sides, height, width)
    assert min(top, left) >= 0 and 2 * top + high == height and 2 * left + wide == width
    made = covering(sides, high, wide)
    # Either no more pixels than the image has, or no more than some images that are not very long would have.
    assert made[0] * made[1] <= max(height * width, 17 * sides[0] * sides[1] + 4 * max(sides) ** 2)
    if max(height, width) <= 16 * min(height, width) * min(sides) // max(sides):
        assert (high, wide) == (height, width)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_held_split_shows_what_the_split_shows(channels):
    split = array_split(9, side=17)
    kept = held(split, sides=(12, 12), channels=channels, crop=0.8)
    assert isinstance(kept.inputs, Arrays) and kept.inputs.images.shape == (9, 12, 12, channels)
    shown = list(eval_batches(split, sides=(12, 12), batch=4, channels=channels, crop=0.8))
    assert same(list(eval_batches(kept, sides=(12, 12), batch=4, channels=channels)), shown)
    assert held(kept, sides=(12, 12), channels=channels) is kept


def test_a_file_that_vanishes_is_dropped_from_its_batch_and_counted(tmp_path):
    paths = tuple(str(path) for path in sorted(write_classes(tmp_path, {"a": 4, "b": 4}).rglob("*.png")))
    split = file_split(paths, np.repeat([0, 1], 4))
    Path(paths[2]).unlink()
    Path(paths[3]).write_bytes(b"no longer an image")
    batches = list(eval_batches(split, sides=(12, 12), batch=4))
    assert [(len(one.answers), len(one.images), one.dropped) for one in batches] == [(2, 2, 2), (4, 4, 0)]
    assert batches[0].indices.tolist() == [0, 1]
    for augment in (NOTHING, EVERYTHING):
        assert sum(one.dropped for one in stream(split, augment, 0, 2, workers=1)) == 2


def test_a_batch_of_which_nothing_can_be_read_is_empty(tmp_path):
    split = file_split((str(tmp_path / "x"), str(tmp_path / "y")), np.zeros(2, np.int64))
    (one,) = eval_batches(split, sides=(5, 5), batch=2)
    assert one.images.shape == (0, 3, 5, 5) and len(one.answers) == 0 and one.dropped == 2


def test_a_mirrored_image_is_the_image_or_its_reflection_about_equally_often():
    split = array_split(200, side=4)
    (one,) = train_batches(
        split, sides=(4, 4), batch=200, augment=Augment(mirror=0.5), seed=0, first_step=0, last_step=1
    )
    original = torch.from_numpy(split.inputs.images).permute(0, 3, 1, 2)[one.indices]
    kept = (one.images == original).flatten(1).all(1)
    turned = (one.images == original.flip(3)).flatten(1).all(1)
    assert (kept ^ turned).all()
    assert 70 <= int(turned.sum()) <= 130  # four standard deviations


def test_erasing_changes_one_rectangle_and_nothing_else():
    split = labelled(np.full((50, 20, 20, 3), 7, np.uint8), np.zeros(50, np.int64))
    (one,) = train_batches(
        split, sides=(20, 20), batch=50, augment=Augment(erase=1.0), seed=0, first_step=0, last_step=1
    )
    for image in one.images:
        changed = (image != 7).any(0)
        rows, columns = changed.any(1).nonzero()[:, 0], changed.any(0).nonzero()[:, 0]
        inside = changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert inside.float().mean() > 0.9  # noise may hit a 7 in all three channels, hardly ever more
        assert 0 < int(changed.sum()) < 400


@given(
    draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4),
    height=st.integers(1, 300), width=st.integers(1, 300),
    crop=st.sampled_from([(0.08, 1.0), (0.25, 0.25), (0.9, 1.0)]),
)  # fmt: skip
def test_a_random_crop_lies_inside_the_image(draws, height, width, crop):
    top, left, h, w = box(Augment(crop=crop), np.array(draws), height, width)
    assert min(top, left) >= 0 and min(h, w) >= 1 and top + h <= height and left + w <= width


@given(draws=st.lists(st.floats(0, 0.999), min_size=4, max_size=4))
def test_a_random_crop_has_the_area_and_the_aspect_asked_for(draws):
    _, _, h, w = box(Augment(crop=(0.1, 0.5)), np.array(draws), 1000, 1400)
    assert 0.099 < h * w / 1.4e6 < 0.501
    assert 0.745 < w / h < 1.34


@given(draws=st.lists(st.floats(0, 0.999), min_size=4, max_size=4))
def test_a_random_crop_for_an_oblong_network_has_its_shape(draws):
    _, _, h, w = box(Augment(crop=(0.1, 0.3)), np.array(draws), 1000, 1400, aspect=2.0)
    assert 0.099 < h * w / 1.4e6 < 0.301
    assert 1.49 < w / h < 2.68


def test_oblong_images_are_covered_and_their_middle_is_shown():
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), dtype=np.uint8)
    (one,) = eval_batches(labelled(images, np.arange(2)), sides=(40, 30), batch=2)
    assert np.array_equal(one.images.permute(0, 2, 3, 1).numpy(), images[:, :, 15:45])
    (one,) = eval_batches(labelled(images, np.arange(2)), sides=(10, 60), batch=2)
    assert np.array_equal(one.images.permute(0, 2, 3, 1).numpy(), images[:, 15:25])


def test_impossible_augmentations_are_refused():
    for wrong in ({"crop": (0.0, 1.0)}, {"crop": (0.9, 0.5)}, {"ratio": (2.0, 1.0)}, {"mirror": 1.5}, {"erase": -0.1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Augment(**wrong)


def test_numbers_by_address_are_uniform_and_independent():
    draws = uniform(0, 0, np.arange(4000), 4)
    assert draws.shape == (4000, 4) and draws.min() >= 0 and draws.max() < 1
    assert np.abs(draws.mean(0) - 0.5).max() < 0.02  # 4.4 standard errors
    assert np.abs(draws.var(0) - 1 / 12).max() < 0.006
    neighbours = [draws.ravel(), uniform(0, 1, np.arange(4000), 4).ravel(), uniform(1, 0, np.arange(4000), 4).ravel()]
    correlation = np.corrcoef([*neighbours, np.roll(neighbours[0], 1), np.roll(neighbours[0], 4)])
    assert np.abs(correlation - np.eye(5)).max() < 0.04


def test_numbers_by_address_do_not_depend_on_their_company():
    whole = uniform(7, 2, np.arange(10), 5)
    assert np.array_equal(uniform(7, 2, np.array([8, 3]), 5), whole[[8, 3]])


@pytest.mark.parametrize("channels", [1, 3])
def test_normalising_is_the_formula_in_channels_last(channels):
    mean, std = (0.485, 0.456, 0.406)[:channels], (0.229, 0.224, 0.225)[:channels]
    images = torch.randint(0, 256, (2, channels, 5, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ours = Normalise(mean, std)(images)
    expected = functional.normalize(images.double() / 255, list(mean), list(std)).float()
    assert ours.dtype == torch.float32 and ours.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)  # float32 against float64


def test_normalising_refuses_a_deviation_of_zero_and_keeps_no_state():
    with pytest.raises(ValueError, match="above 0"):
        Normalise((0.5,), (0.0,))
    assert not Normalise((0.5,), (0.2,)).state_dict()
