"""A training recipe as a value. No torch.

| file        | what                                                                  |
| ----------- | --------------------------------------------------------------------- |
| `recipe`    | `Recipe`, what it does to images, and the optimisers                  |
| `schedules` | how the learning rate goes on after the warm-up                       |
| `policies`  | policies: RandAugment, AutoAugment, jitter, for poses, for objects    |
| `sized`     | numbers that depend on how big a network is                           |
"""

from .policies import (
    POLICIES,
    SUB_POLICIES,
    AutoAugment,
    ColourJitter,
    JitterAugment,
    Operation,
    Policy,
    PoseAugment,
    RandAugment,
    Untouched,
)
from .recipe import KINDS, OPTIMISERS, SGD, AdamW, Augment, Keep, Norms, Optimiser, Precision, Recipe, RMSPropTF
from .schedules import SCHEDULES, Constant, Cosine, Exponential, Linear, Schedule, Stairs, Steps
from .sized import BySize, Size, settled

__all__ = [
    "KINDS", "OPTIMISERS", "POLICIES", "SCHEDULES", "SGD", "SUB_POLICIES", "AdamW", "Augment", "AutoAugment",
    "BySize", "ColourJitter", "Constant", "Cosine", "Exponential", "JitterAugment", "Keep", "Linear", "Norms", "Operation",
    "Optimiser", "Policy", "PoseAugment", "Precision", "RMSPropTF", "RandAugment", "Recipe", "Schedule", "Size", "Stairs", "Steps",
    "Untouched", "settled",
]  # fmt: skip
