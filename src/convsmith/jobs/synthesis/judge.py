"""The network whose features made and real images are compared in, and by which classes are told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...arch import ArchSpec, Image, Stage, Style
from ...data import ImageData, Split
from ...errors import UserError
from ...evals import Seen, Terms, Top1, evaluate, terms_of
from ...families import spec as named_spec
from ...files import write_json
from ...model import Model, build
from ...parts import BasicBlock, BatchNorm, ConvStem, PlainConv, PooledClassifier
from ...recipe import Augment
from ...recipes import QUICK
from ...resolve import create, trained_run
from ...runs import RunFolder
from ...tasks import Classify, Synthesise
from ...tasks.synthesise import OWN
from ...training import Single, fit, forget_checkpoint
from ...watcher import Watcher
from ...weights import write as write_weights
from ...weights.packages import file_of, installed, packaged
from ..feed import Feed, normaliser, trained, validation_batches
from .inception import inception

__all__ = ["Judging", "judge_of"]

# Steps that a small classifier is trained for, of so many images, and the channels of its features.
_STEPS, _BATCH, _FEATURES = 600, 64, 32
# From this side on EfficientNet-Lite0, which knows photographs of 224 pixels, says something of images.
_LEAST_SIDE = 32
# The side that Lite0 is shown images at, whatever theirs is.
_LITE_SIDE = 128
# Training images that nearest ones are looked for among.
_KNOWN = 10_000
_AT_ONCE = 128
LITE0 = "lite0"

Features = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


@dataclass(eq=False)
class Judging:
    """A judge (`evals.Judge`): `features` makes of uint8 images ⟨N,C,H,W⟩ those of the two distances and the probabilities of
    classes of its own, `classifier` what is near and which class of the data. What it sees in the same images it remembers."""

    terms: Terms
    says: str
    features: Features | None
    classifier: Model
    accuracy: float | None
    split: Split
    where: torch.device

    def __post_init__(self) -> None:
        self.classifier = self.classifier.to(self.where).eval()
        self._prepare = normaliser(self.classifier.spec, self.where)
        self._seen: dict[str, Seen] = {}
        self._neighbours: tuple[np.ndarray, Tensor] | None = None

    def look(self, images: Tensor) -> Seen:
        digest = hashlib.sha256(images.contiguous().numpy().tobytes()).hexdigest()
        if digest not in self._seen:
            if len(self._seen) > 8:  # what is made anew after each epoch is not asked for again
                self._seen.pop(next(iter(self._seen)))
            parts = [self._looked(part) for part in torch.split(images, _AT_ONCE)]
            self._seen[digest] = Seen(*(np.concatenate(one) for one in zip(*parts, strict=True)))
        return self._seen[digest]

    @torch.inference_mode()
    def _looked(self, images: Tensor) -> tuple[np.ndarray, ...]:
        images = images.to(self.where)
        maps, near = self._near(images)
        shares = self.classifier.forward_head(maps).softmax(1)
        none = near.new_zeros((len(near), 0))
        narrow, wide, told = (near, near, none) if self.features is None else self.features(images)
        return tuple(one.float().cpu().numpy() for one in (narrow, wide, near, shares, told))

    def known(self, n: int) -> Seen:
        return self.look(self._spread(n))

    @torch.inference_mode()
    def neighbours(self) -> tuple[np.ndarray, Tensor]:
        if self._neighbours is None:
            images = self._spread(_KNOWN)
            near = [self._near(part.to(self.where))[1].float().cpu().numpy() for part in torch.split(images, _AT_ONCE)]
            self._neighbours = np.concatenate(near), images
        return self._neighbours

    def _spread(self, most: int) -> Tensor:
        """At most so many of the images that were trained on, evenly spread."""
        chosen = np.linspace(0, len(self.split) - 1, min(len(self.split), most)).round().astype(int)
        return _pixels(self.classifier.spec, self.split.take(chosen))

    def _near(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The classifier's last maps, and the features that it tells classes by."""
        maps = self.classifier.forward_features(self._prepare(images))
        return maps, self.classifier.forward_head(maps, pre_logits=True)


def judge_of(
    task: Synthesise, spec: ArchSpec, images: ImageData, place: Path, where: torch.device, watcher: Watcher
) -> Judging:
    """The judge that the task names, for images as `spec` makes them; one that is trained on the spot is kept in `place`, a run's
    folder, and read from there the next time.

    Raises:
        UserError: it names a run that classifies other classes, a file of no Inception v3, or Lite0 where that is not installed.
    """
    side, given = min(spec.input.sides), task.judge
    named = given in ("", OWN, LITE0)
    if not named and not Path(given).is_file():
        return _of_run(given, images, where)
    read = None if named else inception(Path(given), where)
    own, accuracy = _own(spec, images, place, where, watcher)
    if read is not None:
        return Judging(read.terms, read.says, read.features, own, accuracy, images.train, where)
    row = packaged("efficientnet_lite0")
    if given == LITE0 or (not given and side >= _LEAST_SIDE and installed(row)):
        return Judging(
            terms_of("Lite0"),
            "EfficientNet-Lite0 at 128 px",
            _lite0(file_of(row), where),
            own,
            accuracy,
            images.train,
            where,
        )
    return Judging(terms_of(OWN), "a small classifier of its own data", None, own, accuracy, images.train, where)


def _of_run(given: str, images: ImageData, where: torch.device) -> Judging:
    run = trained_run(given)
    if run.data.classes != images.classes or not isinstance(run.spec.head, PooledClassifier):
        raise UserError(f"task.judge is {given}, which does not tell the classes of {images.name} apart")
    model = trained(run, run.spec)
    score = run.scores.headline.value if run.has("scores.json") else None
    name = Path(given).name
    return Judging(terms_of(name), f"the classifier {name}", None, model, score, images.train, where)


# ---- EfficientNet-Lite0 ----------------------------------------------------------------------------------------------


def _lite0(weights: Path, where: torch.device) -> Features:
    """Its features of images at 128 pixels: the mean over space of the last block's map ⟨N,320⟩, and of the head's ⟨N,1280⟩.

    Bicubic, antialiased where that makes them smaller, cut to [0, 255]; then normalised as the network is.
    """
    model = create(named_spec("tf_efficientnet_lite0"), weights=weights).to(where).eval()
    mean, std = (
        torch.tensor(one, device=where)[:, None, None] for one in (model.spec.input.mean, model.spec.input.std)
    )

    def features(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        colour = images.float().expand(-1, 3, -1, -1)
        smaller = max(images.shape[2:]) > _LITE_SIDE
        shown = nn.functional.interpolate(
            colour, size=(_LITE_SIDE, _LITE_SIDE), mode="bicubic", align_corners=False, antialias=smaller
        )
        ready = (shown.clamp(0, 255) / 255 - mean) / std
        maps = model.stages(model.stem(ready))
        none = maps.new_zeros((len(maps), 0))
        return maps.mean((2, 3)), model.head.conv(maps).mean((2, 3)), none  # type: ignore[operator]

    return features


# ---- a classifier of the data's own ----------------------------------------------------------------------------------


def _small(spec: ArchSpec, classes: int) -> ArchSpec:
    """A classifier of some ten thousand weights for images as `spec` makes them; 32 features."""
    image = Image(spec.input.resolution, spec.input.channels, spec.input.mean, spec.input.std, spec.input.width)
    stages = [Stage(BasicBlock(), 1, 16, 1)]
    side = min(image.sides)
    while side > 4:
        stages.append(Stage(BasicBlock(), 1, _FEATURES, 2))
        side = -(-side // 2)
    return ArchSpec(
        name="judge",
        input=image,
        style=Style(norm=BatchNorm(), conv=PlainConv()),
        stem=ConvStem(width=16, stride=1),
        stages=tuple(stages),
        head=PooledClassifier(classes=classes),
    )


def _own(spec: ArchSpec, images: ImageData, place: Path, where: torch.device, watcher: Watcher) -> tuple[Model, float]:
    """A small classifier of the training images, and its share of right answers on the validation images."""
    small, run = _small(spec, len(images.classes)), RunFolder(place)
    model = build(small, seed=0)
    if run.has("judge.safetensors") and run.has("judge.json"):
        model.load_state_dict(load_file(run.file("judge.safetensors")))
        return model, float(run.read("judge.json")["top1"])
    n = len(images.train)
    recipe = replace(
        QUICK, name="judge", batch=min(_BATCH, n), epochs=max(2, round(_STEPS * _BATCH / n)), smoothing=0.0,
        average=0.0,
        augment=Augment(mirror=0.5),
    )  # fmt: skip
    watcher.note(f"a small classifier is trained to judge by: {recipe.epochs} epochs of {n:,} images")
    place.mkdir(parents=True, exist_ok=True)
    checkpoint = run.file("judge.pt")
    for _ in fit(
        Single(model, Classify(), recipe),
        recipe,
        Feed(small, replace(images, cache=None), recipe, 0, 0),
        prepare=normaliser(small, where),
        evaluate=lambda network: {},
        checkpoint=checkpoint,
        device=where,
        seed=0,
    ):
        pass
    forget_checkpoint(checkpoint)
    meter = Top1(images.classes, pictures=0)
    validation, prepare = validation_batches(small, images.val), normaliser(small, where)
    found = evaluate(model, validation(), meter, prepare=prepare, device=where)
    write_weights(run.file("judge.safetensors"), model.state_dict())
    write_json(run.file("judge.json"), {"top1": found["top1"], "n": found.n, "trained on": n})
    return model, found["top1"]


def _pixels(spec: ArchSpec, split: Split) -> Tensor:
    return torch.cat([batch.images for batch in validation_batches(spec, split)()])
