"""A training recipe as a value. No torch.

| file        | what                                                                  |
| ----------- | --------------------------------------------------------------------- |
| `recipe`    | `Recipe`, what it does to images, and the optimisers                  |
| `schedules` | how the learning rate goes on after the warm-up                       |
| `policies`  | policies: RandAugment, AutoAugment, jitter, for poses, for objects    |
| `sized`     | numbers that depend on how big a network is                           |
| `sandwich`  | what a step of a supernet is made of                                  |
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
from .sandwich import Aggregation, Drawn, SandwichRule, Teacher
from .schedules import SCHEDULES, Constant, Cosine, Exponential, Linear, Schedule, Stairs, Steps
from .sized import BySize, Size, settled

__all__ = [
    "KINDS", "OPTIMISERS", "POLICIES", "SCHEDULES", "SGD", "SUB_POLICIES", "AdamW", "Aggregation", "Augment", "AutoAugment",
    "BySize", "ColourJitter", "Constant", "Cosine", "Drawn", "Exponential", "JitterAugment", "Keep", "Linear",
    "Norms", "Operation", "Optimiser", "Policy", "PoseAugment", "Precision", "RMSPropTF", "RandAugment", "Recipe", "SandwichRule",
    "Schedule", "Size", "Stairs", "Steps", "Teacher", "Untouched", "settled",
]  # fmt: skip
