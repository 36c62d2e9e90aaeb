"""A training recipe is a frozen value: what runs is what is written down.

Everything a run's result depends on besides the spec, the data and the versions stands here. The resolved recipe is saved
with every run. Named recipes live in `recipes/`; what reads these values lives in `data/` and `training/`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, final

from ..arch.part import Ramp
from ..ranges import MOST, above, at_least, check_numbers, within
from ..tagged import LATER, Tagged
from .policies import POLICIES, JitterAugment, Policy, Untouched
from .sandwich import SandwichRule
from .schedules import SCHEDULES, Cosine, Schedule
from .sized import BySize, every_size

__all__ = [
    "KINDS",
    "OPTIMISERS",
    "SGD",
    "AdamW",
    "Augment",
    "Keep",
    "Norms",
    "Optimiser",
    "Precision",
    "RMSPropTF",
    "Recipe",
]


class Precision(StrEnum):
    """The arithmetic of forward and backward. `auto` is bf16 on a CUDA device that has it, fp32 elsewhere."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class Keep(StrEnum):
    """Which epoch's network is handed over: the `last`, or the `best` on the validation images."""

    LAST = "last"
    BEST = "best"


class Norms(StrEnum):
    """What norms that read a batch do in training: go by its statistics, as they were `trained`; or by those that they came
    with, `frozen`, as in evaluation."""

    TRAINED = "trained"
    FROZEN = "frozen"


@dataclass(frozen=True)
class Optimiser(Tagged):
    """Which update rule, with its constants; rate and weight decay belong to the recipe."""

    def __post_init__(self) -> None:
        check_numbers(self, "optimiser")


@final
@dataclass(frozen=True)
class SGD(Optimiser):
    """Stochastic gradient descent with momentum; weight decay is coupled, as in the papers."""

    kind: ClassVar[str] = "sgd"
    momentum: float = 0.9
    nesterov: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        within("optimiser.momentum", self.momentum, 0, 1)


@final
@dataclass(frozen=True)
class AdamW(Optimiser):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019)."""

    kind: ClassVar[str] = "adamw"
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        within("optimiser.beta1", self.beta1, 0, 1)
        within("optimiser.beta2", self.beta2, 0, 1)
        above("optimiser.eps", self.eps, 0, 1)


@final
@dataclass(frozen=True)
class RMSPropTF(Optimiser):
    """RMSProp as TensorFlow has it: epsilon inside the root, the mean square from 1, the rate inside the momentum buffer.

        s <- decay s + (1 - decay) g^2,  v <- momentum v + rate g / sqrt(s + eps),  w <- w - v

    EfficientNet's rate belongs to this form; torch's own, with epsilon outside the root and the mean square from 0, takes
    a first step 1 / sqrt(1 - decay) times the rate however small the gradient is.
    """

    kind: ClassVar[str] = "rmsprop-tf"
    decay: float = 0.9
    momentum: float = 0.9
    eps: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        within("optimiser.decay", self.decay, 0, 1)
        within("optimiser.momentum", self.momentum, 0, 1)
        above("optimiser.eps", self.eps, 0, 1)


OPTIMISERS: tuple[type[Optimiser], ...] = (SGD, AdamW, RMSPropTF)

# Every kind that a recipe may hold: what reading one from JSON needs.
KINDS: tuple[type[Tagged], ...] = (*OPTIMISERS, *SCHEDULES, *POLICIES, BySize)


@final
@dataclass(frozen=True)
class Augment:
    """What may happen to a training image; the default is nothing.

    `crop` is the range of the share of the area that a random resized crop keeps, (1, 1) for none, and `ratio` the range
    of its aspect. `mirror` and `erase` are probabilities: of a left-right flip, and of random erasing (Zhong et al.,
    2020). Data whose mirror image is of another class (digits, text) is never mirrored. `policy` is what happens between
    the two: RandAugment, AutoAugment, colour jitter.
    """

    crop: tuple[float, float] = (1.0, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    mirror: float = 0.0
    erase: float = 0.0
    policy: Policy = Untouched()

    def __post_init__(self) -> None:
        check_numbers(self, "augment")
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ValueError(f"augment.crop is {self.crop}; it needs 0 < least <= most <= 1")
        if not 0 < self.ratio[0] <= self.ratio[1] <= MOST:
            raise ValueError(f"augment.ratio is {self.ratio}; it needs 0 < least <= most, and no more than {MOST}")
        for name, chance in (("mirror", self.mirror), ("erase", self.erase)):
            if not 0 <= chance <= 1:
                raise ValueError(f"augment.{name} is {chance}; a probability lies between 0 and 1")
        if self.crops and isinstance(self.policy, JitterAugment):
            raise ValueError(
                f"augment.crop is {self.crop}, and the policy jitter crops by itself: leave out one of them"
            )

    @property
    def crops(self) -> bool:
        """Whether images are cut at random before they are resized."""
        return self.crop != (1.0, 1.0)


_MOST = 1_000_000  # epochs, images a step or parts of it: beyond is a slip of the hand


@final
@dataclass(frozen=True)
class Recipe:
    """How a network is trained for classification.

    `rate` is the peak learning rate per 256 images of the batch (linear scaling, Goyal et al., 2017): a batch of 64
    runs at rate / 4. It rises linearly over `warmup` epochs, then follows `schedule`. `decay` is coupled (AdamW excepted)
    and not applied to norms, gains and other tensors of one number a channel; to the biases of convolutions and linear
    layers only with `decay_biases`. `clip` bounds the global gradient norm and `adaptive_clip` the ratio of gradient to
    weight, unit by unit (Brock et al., 2021b); 0 leaves either alone.

    `average` is the decay of the exponential moving average of weights and statistics that is evaluated and shipped,
    eased in by min(average, (1 + t) / (10 + t)), or with an `average_start` a copy for as many updates; 0 ships the raw weights.
    `batch_norm_momentum`, the weight of the new
    batch, replaces the spec's in training; 0 keeps the spec's.

    `dropout` and `drop_path` replace the spec's; they, `decay` and a policy's magnitude may be tables by size. `ramp` says
    how stochastic depth grows from the first block to the last. `mixup` and `cutmix` are the alpha of their Beta
    distributions, 0 for none; with both, each takes half of every batch. `first_side` is the share of the side that
    training begins at; it grows to the whole over the first three quarters of the epochs.

    `accumulate` is into how many parts a batch is cut, one after another through the network, before the step is taken
    with the gradient of the whole: the same step in less memory, except that batch norm, mixing and what is dropped see a
    part at a time.

    `frozen` trains the classifier alone, on features of a network in evaluation mode (a linear probe). `trunk_rate` is the
    rate of everything before the classifier, or before a detector's neck, as a share of the rest's.

    `norms` says by which statistics batch norm, and EvoNorm-B, go in training. Frozen they stay in evaluation mode, and their
    scales and shifts are trained; a norm that comes without statistics, in a new head, goes by the batch's.

    `keep` says which epoch is handed over; the best is that of the best headline score on the validation images, of equal
    ones that of the lowest loss, of the moving average where there is one. Training ends after `patience` epochs without a
    better one; 0 waits for all.

    Of two networks that play against each other, a generator and its critic: `critic_steps` of the critic for each of the
    generator, each on its own batch; `critic_rate` is the critic's rate as a share of `rate`; `orthogonal` weighs a penalty on
    weights whose rows are not orthogonal (Brock et al., 2019).

    `sandwich` is of a supernet alone: what its steps are made of.
    """

    name: str
    epochs: int
    batch: int
    optimiser: Optimiser
    rate: float
    decay: float | BySize
    warmup: float
    smoothing: float
    clip: float
    average: float
    dropout: float | BySize
    drop_path: float | BySize
    batch_norm_momentum: float
    augment: Augment
    precision: Precision = Precision.AUTO
    schedule: Schedule = Cosine()
    ramp: Ramp = Ramp.BLOCKS
    decay_biases: bool = False
    adaptive_clip: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    first_side: float = 1.0
    accumulate: int = 1
    frozen: bool = False
    trunk_rate: float = 1.0
    keep: Keep = field(default=Keep.LAST, metadata=LATER)
    patience: int = field(default=0, metadata=LATER)
    norms: Norms = field(default=Norms.TRAINED, metadata=LATER)
    average_start: int = field(default=0, metadata=LATER)
    critic_steps: int = field(default=1, metadata=LATER)
    critic_rate: float = field(default=1.0, metadata=LATER)
    orthogonal: float = field(default=0.0, metadata=LATER)
    sandwich: SandwichRule = field(default=SandwichRule(), metadata=LATER)

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in ("epochs", "batch", "accumulate", "critic_steps"):
            at_least(name, getattr(self, name), 1, _MOST)
        above("rate", self.rate, 0)
        above("critic_rate", self.critic_rate, 0)
        for name in ("patience", "average_start", "orthogonal", "warmup", "clip", "adaptive_clip", "mixup", "cutmix"):
            at_least(name, getattr(self, name), 0)
        at_least("trunk_rate", self.trunk_rate, 0, 1)
        at_least("batch_norm_momentum", self.batch_norm_momentum, 0, 1)
        above("first_side", self.first_side, 0, 1)
        for name in ("smoothing", "average"):
            within(name, getattr(self, name), 0, 1)
        for decay in every_size(self.decay):
            at_least("decay", decay, 0)
        for name in ("dropout", "drop_path"):
            for share in every_size(getattr(self, name)):
                within(name, share, 0, 1)
