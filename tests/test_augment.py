"""Operations of AutoAugment and RandAugment against Pillow and torchvision, and the policies built from them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from timm.data.auto_augment import auto_augment_policy_v0
from torchvision.transforms.v2 import functional as F

from convsmith.data import train_batches
from convsmith.data.augment import DRAWS, altered, followed
from convsmith.data.operations import blended, brightened, contrasted, luminance, operated, saturated
from convsmith.data.sample import uniform
from convsmith.recipe import (
    SUB_POLICIES,
    Augment,
    AutoAugment,
    BySize,
    ColourJitter,
    Operation,
    RandAugment,
    Size,
    Untouched,
)
from data_food import array_split

PLUS, MINUS = np.array([0.9, 0.4]), np.array([0.1, 0.4])


def photograph(height: int = 31, width: int = 40, channels: int = 3) -> np.ndarray:
    """Smooth and structured, so that histograms, shears and blends have something to show."""
    rng = np.random.default_rng(3)
    small = rng.integers(20, 230, (5, 6, channels), dtype=np.uint8)
    layers = [np.asarray(Image.fromarray(small[..., c]).resize((width, height))) for c in range(channels)]
    return np.ascontiguousarray(np.stack(layers, -1))


IMAGE = photograph()
PILLOW = Image.fromarray(IMAGE)
TENSOR = torch.from_numpy(IMAGE).permute(2, 0, 1)


def ours(
    operation: Operation, level: float, draws: np.ndarray = PLUS, image: np.ndarray = IMAGE, **kwargs
) -> np.ndarray:
    return operated(image, operation, level, draws, reach=10, **kwargs)


def shown(picture: Image.Image | torch.Tensor) -> np.ndarray:
    return np.asarray(picture) if isinstance(picture, Image.Image) else picture.permute(1, 2, 0).numpy()


# ---- operations against the libraries ----------------------------------------------------------------------------------

EXACT = [
    (Operation.AUTO_CONTRAST, 5, lambda: ImageOps.autocontrast(PILLOW)),
    (Operation.EQUALIZE, 5, lambda: ImageOps.equalize(PILLOW)),
    (Operation.EQUALIZE, 5, lambda: F.equalize(TENSOR)),
    (Operation.INVERT, 5, lambda: ImageOps.invert(PILLOW)),
    (Operation.POSTERIZE, 10, lambda: ImageOps.posterize(PILLOW, 4)),
    (Operation.POSTERIZE, 6, lambda: F.posterize(TENSOR, 2)),
    (Operation.SOLARIZE, 3, lambda: ImageOps.solarize(PILLOW, 76)),
    (Operation.SOLARIZE, 8, lambda: F.solarize(TENSOR, 204)),
    (Operation.COLOUR, 9, lambda: ImageEnhance.Color(PILLOW).enhance(1.72)),
    (Operation.COLOUR, 0, lambda: ImageEnhance.Color(PILLOW).enhance(0.1)),
    (Operation.CONTRAST, 9, lambda: ImageEnhance.Contrast(PILLOW).enhance(1.72)),
    (Operation.BRIGHTNESS, 3, lambda: ImageEnhance.Brightness(PILLOW).enhance(0.64)),
    (Operation.BRIGHTNESS, 9, lambda: ImageEnhance.Brightness(PILLOW).enhance(1.72)),
    (Operation.SHARPNESS, 9, lambda: ImageEnhance.Sharpness(PILLOW).enhance(1.72)),
    (Operation.SHARPNESS, 1, lambda: ImageEnhance.Sharpness(PILLOW).enhance(0.28)),
]


@pytest.mark.parametrize(
    ("operation", "level", "theirs"), EXACT, ids=[f"{o}-{v}-{i}" for i, (o, v, _) in enumerate(EXACT)]
)
def test_point_operations_are_the_libraries(operation: Operation, level: int, theirs) -> None:
    # Tables and blends of one level more or less, where a product of floats is cut off on the other side of an integer.
    difference = np.abs(ours(operation, level).astype(int) - shown(theirs()))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.05


@pytest.mark.parametrize("draws", [PLUS, MINUS], ids=["plus", "minus"])
@pytest.mark.parametrize("level", [3, 9, 15])
def test_a_rotation_is_three_degrees_a_level_about_the_middle(level: int, draws: np.ndarray) -> None:
    angle = 3.0 * level * (1 if draws[0] > 0.5 else -1)
    difference = ours(Operation.ROTATE, level, draws) != shown(PILLOW.rotate(angle, fillcolor=(128,) * 3))
    # Pillow rounds its matrix to 15 digits and ours is not rounded; a few ties between nearest pixels fall elsewhere.
    assert difference.mean() < 0.01


@pytest.mark.parametrize("operation", [Operation.SHEAR_X, Operation.SHEAR_Y])
def test_a_shear_moves_each_line_by_three_hundredths_a_level(operation: Operation) -> None:
    a, d = (0.27, 0) if operation is Operation.SHEAR_X else (0, 0.27)
    expected = PILLOW.transform(PILLOW.size, Image.Transform.AFFINE, (1, a, 0, d, 1, 0), fillcolor=(128,) * 3)
    assert np.array_equal(ours(operation, 9), shown(expected))


def test_a_translation_is_ten_pixels_a_level_and_what_comes_in_is_grey() -> None:
    moved = ours(Operation.TRANSLATE_X, 1)
    assert np.array_equal(moved[:, :-10], IMAGE[:, 10:]) and (moved[:, -10:] == 128).all()
    moved = ours(Operation.TRANSLATE_Y, 1, MINUS)
    assert np.array_equal(moved[10:], IMAGE[:-10]) and (moved[:10] == 128).all()
    moved = ours(Operation.TRANSLATE_X, 2, scale=0.25)
    assert np.array_equal(moved[:, :-5], IMAGE[:, 5:])
    assert (ours(Operation.TRANSLATE_X, 10) == 128).all()  # 100 pixels leave nothing of a small image


def test_a_cut_out_is_a_grey_square_of_eight_pixels_a_level() -> None:
    white = np.full((64, 64, 3), 255, np.uint8)
    cut = operated(white, Operation.CUTOUT, 2, np.array([0.5, 0.5]), reach=10)
    assert (cut[24:40, 24:40] == 128).all() and int((cut == 128).sum()) == 16 * 16 * 3
    corner = operated(white, Operation.CUTOUT, 2, np.array([0.0, 0.999]), reach=10)
    assert int((corner[..., 0] == 128).sum()) == 8 * 9  # cut at the border, not moved inside


def test_solarizing_by_addition_lifts_the_dark_half_alone() -> None:
    added = ours(Operation.SOLARIZE_ADD, 5)
    assert np.array_equal(added[IMAGE >= 128], IMAGE[IMAGE >= 128])
    assert np.array_equal(added[IMAGE < 128], IMAGE[IMAGE < 128] + 55)
    assert (operated(IMAGE, Operation.SOLARIZE_ADD, 28, PLUS, reach=10)[IMAGE < 128] == 255).all()


@pytest.mark.parametrize(
    ("operation", "level"),
    [
        *((Operation.SOLARIZE, 10), (Operation.SOLARIZE, 15), (Operation.POSTERIZE, 20), (Operation.POSTERIZE, 28)),
        *((Operation.ROTATE, 0), (Operation.SHEAR_X, 0), (Operation.TRANSLATE_Y, 0), (Operation.CUTOUT, 0)),
        *((Operation.SOLARIZE_ADD, 0), (Operation.COLOUR, 5), (Operation.BRIGHTNESS, 5), (Operation.CONTRAST, 5)),
        (Operation.SHARPNESS, 5),
    ],
)
def test_some_levels_change_nothing(operation: Operation, level: int) -> None:
    assert np.array_equal(ours(operation, level), IMAGE)


def test_no_level_leaves_an_image_without_bits() -> None:
    for level in (0, 1, 2):
        assert set(np.unique(ours(Operation.POSTERIZE, level))) <= {0, 128}


def test_a_flat_image_survives_every_operation() -> None:
    flat = np.full((9, 9, 3), 77, np.uint8)
    for operation in (Operation.AUTO_CONTRAST, Operation.EQUALIZE, Operation.SHARPNESS, Operation.COLOUR):
        assert np.array_equal(ours(operation, 9, image=flat), flat)


@given(
    operation=st.sampled_from(Operation),
    level=st.floats(0, 30),
    draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=2),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3])),
)
def test_every_operation_keeps_shape_and_type_and_never_writes_to_its_input(operation, level, draws, size) -> None:
    image = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    image.setflags(write=False)
    out = operated(image, operation, level, np.array(draws), reach=25, scale=0.5)
    assert out.shape == size and out.dtype == np.uint8


@pytest.mark.parametrize("operation", [o for o in Operation if o is not Operation.COLOUR])
def test_a_grey_image_is_treated_as_its_own_rgb(operation: Operation) -> None:
    grey = photograph(20, 20, 1)
    as_rgb = ours(operation, 7, image=np.repeat(grey, 3, 2))
    assert np.array_equal(ours(operation, 7, image=grey)[..., 0], as_rgb[..., 0])


def test_luminance_is_pillow_s() -> None:
    assert np.array_equal(luminance(IMAGE), np.asarray(PILLOW.convert("L")))


# ---- policies --------------------------------------------------------------------------------------------------------


# timm's names for the policy that the released code calls "v0".
TIMM = {
    "Equalize": "equalize",
    "ShearX": "shear_x",
    "ShearY": "shear_y",
    "Color": "colour",
    "Rotate": "rotate",
    "Solarize": "solarize",
    "SolarizeAdd": "solarize_add",
    "Invert": "invert",
    "AutoContrast": "auto_contrast",
    "Posterize": "posterize",
    "TranslateYRel": "translate_y",
}


def test_autoaugment_s_pairs_are_those_that_timm_calls_v0() -> None:
    theirs = auto_augment_policy_v0({})
    assert len(SUB_POLICIES) == len(theirs) == 25
    for ours, pair in zip(SUB_POLICIES, theirs, strict=True):
        assert [(str(o), p, level) for o, p, level in ours] == [(TIMM[op.name], op.prob, op.magnitude) for op in pair]


def test_autoaugment_uses_eleven_of_the_sixteen_operations() -> None:
    used = {o for pair in SUB_POLICIES for o, _, _ in pair}
    assert set(Operation) - used == {
        *(Operation.CONTRAST, Operation.BRIGHTNESS, Operation.SHARPNESS, Operation.TRANSLATE_X, Operation.CUTOUT)
    }


def test_randaugment_is_its_operations_one_after_another() -> None:
    draws = np.array([0.5 / 16, 0.9, 0, 3.5 / 16, 0.1, 0, *[0.0] * 6])
    by_hand = ours(Operation.ROTATE, 12, MINUS, image=ours(Operation.AUTO_CONTRAST, 12))
    assert np.array_equal(followed(RandAugment(layers=2, magnitude=12), IMAGE, draws), by_hand)


def test_autoaugment_applies_each_half_of_a_pair_by_its_probability() -> None:
    # Pair 10: equalize 1.0, shear_y 0.6.
    both = np.array([10.5 / 25, 0.99, 0.9, 0, 0.5, 0.9, 0, *[0.0] * 5])
    first = np.array([10.5 / 25, 0.99, 0.9, 0, 0.7, 0.9, 0, *[0.0] * 5])
    equalized = ours(Operation.EQUALIZE, 9)
    assert np.array_equal(followed(AutoAugment(), IMAGE, first), equalized)
    assert np.array_equal(followed(AutoAugment(), IMAGE, both), ours(Operation.SHEAR_Y, 3, image=equalized))


def test_operations_are_drawn_evenly_and_both_signs_equally_often() -> None:
    draws = uniform(0, 0, np.arange(8000), DRAWS)[:, 11:]
    for column in (0, 3):
        counts = np.bincount((draws[:, column] * 16).astype(int), minlength=16)
        assert np.abs(counts - 500).max() < 5 * 22  # five standard deviations
    assert abs((draws[:, 1] < 0.5).mean() - 0.5) < 0.03


def test_pixels_are_in_proportion_to_the_side_unless_told_not_to_be() -> None:
    draws = np.array([12.5 / 16, 0.9, 0, *[0.0] * 9])  # translate_x
    image = photograph(56, 56)
    scaled = followed(RandAugment(layers=1, magnitude=4, pixels_at=224), image, draws)
    assert np.array_equal(scaled[:, :-10], image[:, 10:])
    absolute = followed(RandAugment(layers=1, magnitude=4, pixels_at=0), image, draws)
    assert np.array_equal(absolute[:, :-40], image[:, 40:])


def test_colour_jitter_is_three_factors_in_a_drawn_order() -> None:
    policy = ColourJitter(0.4, 0.2, 0.1)
    draws = np.array([0.75, 0.25, 1.0, 0.9, 0.1, 0.5, *[0.0] * 6])  # contrast, colour, brightness
    by_hand = brightened(saturated(contrasted(IMAGE, 0.9), 1.1), 1.2)
    assert np.array_equal(followed(policy, IMAGE, draws), by_hand)
    assert np.array_equal(followed(ColourJitter(0, 0, 0), IMAGE, draws), IMAGE)


def test_a_table_by_size_is_not_a_magnitude_yet() -> None:
    with pytest.raises(ValueError, match="settle"):
        followed(RandAugment(magnitude=BySize(Size.MACS, ((1.0, 10.0),))), IMAGE, np.zeros(12))


# ---- streams ---------------------------------------------------------------------------------------------------------

POLICIES = [RandAugment(layers=4, magnitude=9), AutoAugment(), ColourJitter()]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.kind)
@pytest.mark.parametrize("crop", [(1.0, 1.0), (0.5, 1.0)], ids=["whole", "cropped"])
def test_a_stream_with_a_policy_is_the_same_for_any_worker_and_from_any_step(policy, crop) -> None:
    split, augment = array_split(20, side=12), Augment(crop=crop, mirror=0.5, erase=0.3, policy=policy)

    def digests(first: int, last: int, workers: int) -> list[str]:
        stream = train_batches(
            split, sides=(10, 10), batch=4, augment=augment, seed=3, first_step=first, last_step=last, workers=workers
        )
        return [hashlib.sha256(one.images.contiguous().numpy().tobytes()).hexdigest() for one in stream]

    whole = digests(0, 8, 0)
    assert len(set(whole)) == 8
    assert digests(3, 8, 1) == whole[3:]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_policy_changes_images_and_not_their_split(channels: int) -> None:
    split = array_split(8, side=16, channels=channels)
    before = split.inputs.images.copy()
    augment = Augment(policy=RandAugment(layers=2, magnitude=9))
    (one,) = train_batches(
        split, sides=(16, 16), batch=8, augment=augment, seed=0, first_step=0, last_step=1, channels=channels
    )
    original = torch.from_numpy(split.inputs.images).permute(0, 3, 1, 2)[one.indices]
    assert (one.images != original).flatten(1).any(1).float().mean() > 0.5
    assert np.array_equal(split.inputs.images, before)


def test_what_was_drawn_before_there_were_policies_is_drawn_still() -> None:
    draws = uniform(5, 1, np.arange(6), DRAWS)
    assert np.array_equal(draws[:, :11], uniform(5, 1, np.arange(6), 11))
    images = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8)
    plain = altered(Augment(mirror=0.5, erase=0.5), images.clone(), draws[:, :11])
    assert torch.equal(altered(Augment(mirror=0.5, erase=0.5, policy=Untouched()), images.clone(), draws), plain)


@pytest.mark.parametrize(
    "make",
    [
        *(lambda: RandAugment(layers=0), lambda: RandAugment(layers=5), lambda: RandAugment(magnitude=-1)),
        *(lambda: ColourJitter(brightness=1.5), lambda: ColourJitter(colour=-0.1)),
    ],
)
def test_impossible_policies_are_refused(make) -> None:
    with pytest.raises(ValueError, match=r"augment\.policy"):
        make()


def test_a_blend_may_lead_beyond_both_images() -> None:
    one, other = np.full((1, 1, 3), 100, np.uint8), np.full((1, 1, 3), 150, np.uint8)
    assert [blended(one, other, f)[0, 0, 0] for f in (0, 0.5, 1, 2, 4, -3)] == [100, 125, 150, 200, 255, 0]
