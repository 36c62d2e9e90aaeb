"""The bytes of batches, fingerprints and caches are a promise: runs and caches of earlier versions go on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from convsmith.data import Batch, Cache, Encoded, Labels, ManyLabels, Split, load_data, train_batches
from convsmith.data.augment import DRAWS, altered, box
from convsmith.data.sample import permutation, uniform
from convsmith.families import spec
from convsmith.jobs.source import contents, fingerprint
from convsmith.recipe import Augment, JitterAugment
from convsmith.recipes import RECIPES, recipe, settle
from data_food import noise

EVERYTHING = Augment(crop=(0.3, 1.0), mirror=0.5, erase=0.5)

# Of version 0.1: five images of `digits` a step at 8 px, seed 3, steps 1 to 4, without crops (a resize may differ by the
# machine); grey, then RGB.
OF_BEFORE = {
    "quick": ("6a9e3d61e459fbb5", "d054cfe3209c4f39"),
    "efficientnet": ("5b1219527e0bf291", "fffe04fdb5fc0fc9"),
    "resnet-rs": ("f7dbc1d00a959f8c", "e20a9c0087822ae7"),
    "tinynet": ("7ad31eeea3643cf1", "c600eddb5a759adc"),
    "plain": ("f0c1e6d05dfeb06d", "1aacddc0d4831d2a"),
    "everything": ("90ef41de112a52a5", "f209002688c8f21e"),
}


def digest(batches: list[Batch]) -> str:
    whole = hashlib.sha256()
    for one in batches:
        for tensor in (one.images, one.answers, one.indices):
            whole.update(tensor.contiguous().numpy().tobytes())
        whole.update(bytes([one.dropped]))
    return whole.hexdigest()[:16]


def augment_of(name: str) -> Augment:
    match name:
        case "plain":
            return Augment()
        case "everything":
            return EVERYTHING
        case _:
            return settle(recipe(name), spec("mobilenetv2_035")).augment


@pytest.mark.parametrize("name", OF_BEFORE)
def test_batches_of_arrays_are_those_of_version_0_1(name: str) -> None:
    split, augment = load_data("digits").train, replace(augment_of(name), crop=(1.0, 1.0))
    steps = {"batch": 5, "augment": augment, "seed": 3, "first_step": 1, "last_step": 5}
    found = tuple(digest(list(train_batches(split, sides=(8, 8), channels=c, **steps))) for c in (1, 3))
    assert found == OF_BEFORE[name]


def by_hand(split: Split, augment: Augment, step: int, *, side: int, batch: int) -> Tensor:
    """A batch of files, an image at a time and by Pillow alone up to the resize."""
    order = permutation(len(split), seed=3, epoch=step // (len(split) // batch))
    at = step % (len(split) // batch) * batch
    indices = order[at : at + batch]
    draws = uniform(3, step // (len(split) // batch), indices, DRAWS)
    images = []
    for i, own in zip(indices, draws, strict=True):
        picture = Image.open(split.inputs.where(int(i)))
        least = int(np.ceil(side / np.sqrt(augment.crop[0])))
        picture.draft(None, (least, least))
        top, left, height, width = box(augment, own, picture.height, picture.width)
        pixels = torch.from_numpy(np.array(picture.convert("RGB"))[top : top + height, left : left + width])
        pixels = pixels[None].permute(0, 3, 1, 2)
        if (height, width) != (side, side):
            pixels = interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
        images.append(pixels)
    # As a batch is laid out: a pixel's channels together.
    return altered(augment, torch.cat(images).contiguous(memory_format=torch.channels_last), draws)


@pytest.mark.parametrize(
    "name", ["everything", *(one.name for one in RECIPES if not isinstance(one.augment.policy, JitterAugment))]
)
def test_batches_of_jpegs_are_their_images_cut_resized_and_altered_one_by_one(tmp_path: Path, name: str) -> None:
    for i, label in enumerate("aabbaabb"):
        (tmp_path / label).mkdir(exist_ok=True)
        small = Image.fromarray(noise(6, 8, 3, seed=i))
        small.resize((140 - 9 * i, 80 + 11 * i), Image.Resampling.BICUBIC).save(tmp_path / label / f"{i}.jpg")
    split, augment = load_data(tmp_path).train, replace(augment_of(name), crop=(0.25, 1.0))
    steps = {"batch": 3, "augment": augment, "seed": 3, "first_step": 1, "last_step": 4}
    for step, one in enumerate(train_batches(split, sides=(20, 20), **steps), 1):
        assert torch.equal(one.images, by_hand(split, augment, step, side=20, batch=3))


def test_fingerprints_are_those_of_version_0_1() -> None:
    images = load_data("digits")
    assert (fingerprint(images), contents(images)) == ("c0fb9dbcd02ff1f5", "ae554ce2d282318c")


def test_a_cache_is_found_again_by_the_bytes_of_its_images(tmp_path: Path) -> None:
    # Forty bytes that are two images that nobody can read: a key is of bytes.
    inputs = Encoded(np.arange(40, dtype=np.uint8), np.array([0, 15]), np.array([15, 40]))
    Cache(tmp_path, "some", "0", (inputs,), 20).ready()
    assert [path.name for path in tmp_path.glob("*.u8")] == ["some-20px-0-0b10490631861412.u8"]


def test_a_fingerprint_changes_with_any_label_and_with_nothing_else() -> None:
    one = np.array([[True, False, False], [False, True, True]])
    for targets in (Labels(np.array([0, 1])), ManyLabels(one)):
        assert targets.digest() == targets.take(np.array([0, 1])).digest()
        assert targets.digest() != targets.take(np.array([1, 0])).digest()
    assert ManyLabels(one).digest() != ManyLabels(one.reshape(3, 2)).digest()


def test_answers_are_slices_of_a_tensor_of_the_task_s_kind() -> None:
    labels = Labels(np.array([4, 2, 7])).answers(np.array([2, 0]), ())
    many = ManyLabels(np.eye(3, dtype=bool)).answers(np.array([2, 0]), ())
    assert labels.dtype == torch.int64 and labels.tolist() == [7, 4] and labels[1:].tolist() == [4]
    assert many.dtype == torch.float32 and many.tolist() == [[0, 0, 1], [1, 0, 0]] and len(many[1:]) == 1


def test_a_split_refuses_parts_of_other_lengths() -> None:
    digits = load_data("digits").val
    with pytest.raises(ValueError, match="359 inputs, 2 targets and 0 groups"):
        Split(digits.inputs, Labels(np.arange(2)))
    with pytest.raises(ValueError, match="and 1 groups"):
        replace(digits, groups=("a",))
