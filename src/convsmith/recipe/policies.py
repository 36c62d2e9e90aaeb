"""Policies of augmentation as values: which operations a training image may meet, and how strong they are.

The operations and their levels are those of the released EfficientNet code (`autoaugment.py`), which the ResNet-RS trainer
uses too; what each one does to pixels stands in `data/operations.py`. RandAugment and AutoAugment of other libraries bear
the names and differ in the operations, in the direction of `posterize` and in the magnitudes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, final

from ..ranges import above, at_least, check_numbers
from ..tagged import Tagged
from .sized import BySize, every_size

__all__ = [
    "POLICIES", "SUB_POLICIES", "AutoAugment", "ColourJitter", "JitterAugment", "Operation", "Policy", "PoseAugment",
    "RandAugment", "Untouched",
]  # fmt: skip

MOST_LAYERS, MOST_MAGNITUDE = 4, 100
MOST_BLUR, MOST_SCALE = 99, 10


class Operation(StrEnum):
    """The sixteen operations, in the order in which RandAugment draws them."""

    AUTO_CONTRAST = "auto_contrast"
    EQUALIZE = "equalize"
    INVERT = "invert"
    ROTATE = "rotate"
    POSTERIZE = "posterize"
    SOLARIZE = "solarize"
    COLOUR = "colour"
    CONTRAST = "contrast"
    BRIGHTNESS = "brightness"
    SHARPNESS = "sharpness"
    SHEAR_X = "shear_x"
    SHEAR_Y = "shear_y"
    TRANSLATE_X = "translate_x"
    TRANSLATE_Y = "translate_y"
    CUTOUT = "cutout"
    SOLARIZE_ADD = "solarize_add"


@dataclass(frozen=True)
class Policy(Tagged):
    """What happens to an image between the mirror and the eraser."""

    def __post_init__(self) -> None:
        check_numbers(self, "augment.policy")


@final
@dataclass(frozen=True)
class Untouched(Policy):
    """Nothing."""

    kind: ClassVar[str] = "none"


@final
@dataclass(frozen=True)
class RandAugment(Policy):
    """`layers` of the sixteen operations, drawn with replacement, each applied, all at one `magnitude` (Cubuk et al., 2020).

    Levels are tenths of the table's range and have no cap: at 15 an image is turned by 45 degrees. Translations and
    cut-outs are the code's pixels, 10 and 4 a level, on an image of `pixels_at` pixels a side and in proportion on others.
    The code itself moves by the same pixels whatever the side, which leaves nothing of a small image: 0 does as it does.
    """

    kind: ClassVar[str] = "rand-augment"
    layers: int = 2
    magnitude: float | BySize = 10.0
    pixels_at: int = 224

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("augment.policy.layers", self.layers, 1, MOST_LAYERS)
        for magnitude in every_size(self.magnitude):
            at_least("augment.policy.magnitude", magnitude, 0, MOST_MAGNITUDE)
        at_least("augment.policy.pixels_at", self.pixels_at, 0)


@final
@dataclass(frozen=True)
class AutoAugment(Policy):
    """One of the 25 `SUB_POLICIES`, drawn uniformly: two operations, each with its probability and level (policy v0).

    Translations are 25 pixels a level on an image of `pixels_at` pixels a side, in proportion on others; 0: on all.
    """

    kind: ClassVar[str] = "auto-augment"
    pixels_at: int = 224

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("augment.policy.pixels_at", self.pixels_at, 0)


@final
@dataclass(frozen=True)
class ColourJitter(Policy):
    """Brightness, contrast and colour, each by a factor uniform in 1 -+ its strength, in a random order."""

    kind: ClassVar[str] = "colour-jitter"
    brightness: float = 0.4
    contrast: float = 0.4
    colour: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("brightness", "contrast", "colour"):
            at_least(f"augment.policy.{name}", getattr(self, name), 0, 1)


@final
@dataclass(frozen=True)
class PoseAugment(Policy):
    """For joints: the whole picture is turned, sized and shifted at once, then blurred, given holes, and lit otherwise.

    It is drawn after the pipeline that DeepLabCut 2 has in imgaug (its pose_imgaug.py and pose_cfg.yaml): `turn`, up to so
    many degrees either way, with `turn_chance`; `scale`, its share of the size in 0.5 to 1.25, here one for each picture, there one
    a batch; `blur`, motion by 3 to so many pixels, with `blur_chance`, there always by 7; `drop`, the share of the rectangles of
    a grid that turn black, with `drop_chance`, the grid having `drop_grid` cells for a pixel. DeepLabCut shrinks training
    pictures to 0.8 of their size as well, and no others; `scale` 0.4 to 1 does that.

    Ours: `shift` by up to a share of the sides with `shift_chance`, where it crops or pads by as much; the chance of it is its
    own. `contrast` and `gain`, always, each a factor in 1 -+ itself, where it equalises histograms, embosses and warps.
    """

    kind: ClassVar[str] = "pose"
    turn: float = 25.0
    turn_chance: float = 0.4
    scale: tuple[float, float] = (0.5, 1.25)
    shift: float = 0.15
    shift_chance: float = 0.4
    blur: int = 7
    blur_chance: float = 0.5
    drop: float = 0.02
    drop_grid: float = 0.3
    drop_chance: float = 0.5
    contrast: float = 0.2
    gain: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("augment.policy.turn", self.turn, 0, 180)
        for name in ("turn_chance", "shift", "shift_chance", "blur_chance", "drop", "drop_chance", "contrast", "gain"):
            at_least(f"augment.policy.{name}", getattr(self, name), 0, 1)
        at_least("augment.policy.blur", self.blur, 0, MOST_BLUR)
        above("augment.policy.drop_grid", self.drop_grid, 0, 1)
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] <= MOST_SCALE:
            raise ValueError(
                f"augment.policy.scale is {self.scale}; it needs 0 < least <= most, and no more than {MOST_SCALE}"
            )


@final
@dataclass(frozen=True)
class JitterAugment(Policy):
    """For objects: large scale jitter. The whole picture is shown at `scale`, a number uniform in its range, of the size at which
    it just fits; what is too large is cut off anywhere, what is too small stands at the top left of black.

    After tensorflow/tpu's detection models, whose range is 0.1 to 2, with SpineNet 0.5 to 2. Small data asks for less: 0.5 to
    1.5. The mirror of `augment.mirror` comes before it, so that the picture still stands at the left.
    """

    kind: ClassVar[str] = "jitter"
    scale: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] <= MOST_SCALE:
            raise ValueError(
                f"augment.policy.scale is {self.scale}; it needs 0 < least <= most, and no more than {MOST_SCALE}"
            )


POLICIES: tuple[type[Policy], ...] = (Untouched, RandAugment, AutoAugment, ColourJitter, PoseAugment, JitterAugment)

Choice = tuple[Operation, float, int]
_O = Operation

# fmt: off
# AutoAugment's policy "v0" for ImageNet: (operation, probability, level), twice. Source: the released code.
SUB_POLICIES: tuple[tuple[Choice, Choice], ...] = (
    ((_O.EQUALIZE,    0.8,  1), (_O.SHEAR_Y,       0.8, 4)),
    ((_O.COLOUR,      0.4,  9), (_O.EQUALIZE,      0.6, 3)),
    ((_O.COLOUR,      0.4,  1), (_O.ROTATE,        0.6, 8)),
    ((_O.SOLARIZE,    0.8,  3), (_O.EQUALIZE,      0.4, 7)),
    ((_O.SOLARIZE,    0.4,  2), (_O.SOLARIZE,      0.6, 2)),
    ((_O.COLOUR,      0.2,  0), (_O.EQUALIZE,      0.8, 8)),
    ((_O.EQUALIZE,    0.4,  8), (_O.SOLARIZE_ADD,  0.8, 3)),
    ((_O.SHEAR_X,     0.2,  9), (_O.ROTATE,        0.6, 8)),
    ((_O.COLOUR,      0.6,  1), (_O.EQUALIZE,      1.0, 2)),
    ((_O.INVERT,      0.4,  9), (_O.ROTATE,        0.6, 0)),
    ((_O.EQUALIZE,    1.0,  9), (_O.SHEAR_Y,       0.6, 3)),
    ((_O.COLOUR,      0.4,  7), (_O.EQUALIZE,      0.6, 0)),
    ((_O.POSTERIZE,   0.4,  6), (_O.AUTO_CONTRAST, 0.4, 7)),
    ((_O.SOLARIZE,    0.6,  8), (_O.COLOUR,        0.6, 9)),
    ((_O.SOLARIZE,    0.2,  4), (_O.ROTATE,        0.8, 9)),
    ((_O.ROTATE,      1.0,  7), (_O.TRANSLATE_Y,   0.8, 9)),
    ((_O.SHEAR_X,     0.0,  0), (_O.SOLARIZE,      0.8, 4)),
    ((_O.SHEAR_Y,     0.8,  0), (_O.COLOUR,        0.6, 4)),
    ((_O.COLOUR,      1.0,  0), (_O.ROTATE,        0.6, 2)),
    ((_O.EQUALIZE,    0.8,  4), (_O.EQUALIZE,      0.0, 8)),
    ((_O.EQUALIZE,    1.0,  4), (_O.AUTO_CONTRAST, 0.6, 2)),
    ((_O.SHEAR_Y,     0.4,  7), (_O.SOLARIZE_ADD,  0.6, 7)),
    ((_O.POSTERIZE,   0.8,  2), (_O.SOLARIZE,      0.6, 10)),
    ((_O.SOLARIZE,    0.6,  8), (_O.EQUALIZE,      0.6, 1)),
    ((_O.COLOUR,      0.8,  6), (_O.ROTATE,        0.4, 5)),
)
# fmt: on
