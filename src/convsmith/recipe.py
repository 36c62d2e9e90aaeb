"""A training recipe is a frozen value: what runs is what is written down.

Everything a run's result depends on besides the spec, the data and the versions stands here. The resolved recipe is saved
with every run. Named recipes live in `recipes/`; what reads these values lives in `data/` and `train/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, final

from .arch import Part

__all__ = ["OPTIMISERS", "SGD", "AdamW", "Augment", "Optimiser", "Precision", "Recipe"]


class Precision(StrEnum):
    """The arithmetic of forward and backward. `auto` is bf16 on a CUDA device that has it, fp32 elsewhere."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


@dataclass(frozen=True)
class Optimiser(Part):
    """Which update rule, with its constants; rate and weight decay belong to the recipe."""


@final
@dataclass(frozen=True)
class SGD(Optimiser):
    """Stochastic gradient descent with momentum; weight decay is coupled, as in the papers."""

    kind: ClassVar[str] = "sgd"
    momentum: float = 0.9
    nesterov: bool = True


@final
@dataclass(frozen=True)
class AdamW(Optimiser):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019)."""

    kind: ClassVar[str] = "adamw"
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8


OPTIMISERS: tuple[type[Optimiser], ...] = (SGD, AdamW)


@final
@dataclass(frozen=True)
class Augment:
    """What may happen to a training image; the default is nothing.

    `crop` is the range of the share of the area that a random resized crop keeps, (1, 1) for none, and `ratio` the range
    of its aspect. `mirror` and `erase` are probabilities: of a left-right flip, and of random erasing (Zhong et al.,
    2020). Data whose mirror image is of another class (digits, text) is never mirrored.
    """

    crop: tuple[float, float] = (1.0, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    mirror: float = 0.0
    erase: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ValueError(f"augment.crop is {self.crop}; it needs 0 < least <= most <= 1")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"augment.ratio is {self.ratio}; it needs 0 < least <= most")
        for name, chance in (("mirror", self.mirror), ("erase", self.erase)):
            if not 0 <= chance <= 1:
                raise ValueError(f"augment.{name} is {chance}; a probability lies between 0 and 1")

    @property
    def crops(self) -> bool:
        """Whether images are cut at random before they are resized."""
        return self.crop != (1.0, 1.0)


@final
@dataclass(frozen=True)
class Recipe:
    """How a network is trained for classification.

    `rate` is the peak learning rate per 256 images of the batch (linear scaling, Goyal et al., 2017): a batch of 64
    runs at rate / 4. It rises linearly over `warmup` epochs, then falls along a half cosine to zero. `decay` is not
    applied to biases and norms. `clip` bounds the global gradient norm; 0 leaves it alone. `average` is the decay of the
    exponential moving average of weights and statistics that is evaluated and shipped, eased in by
    min(average, (1 + t) / (10 + t)); 0 ships the raw weights. `batch_norm_momentum` replaces the spec's in training;
    0 keeps the spec's. `dropout` and `drop_path` replace the spec's.
    """

    name: str
    epochs: int
    batch: int
    optimiser: Optimiser
    rate: float
    decay: float
    warmup: float
    smoothing: float
    clip: float
    average: float
    dropout: float
    drop_path: float
    batch_norm_momentum: float
    augment: Augment
    precision: Precision = Precision.AUTO

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if not self.rate > 0:
            raise ValueError(f"rate must be above 0; got {self.rate}")
        for name in ("decay", "warmup", "clip"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be below 0; got {getattr(self, name)}")
        for name in ("smoothing", "average", "dropout", "drop_path", "batch_norm_momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1); got {getattr(self, name)}")
