"""The trainings that `supernet.py` compares, each kept in a folder: supernets, and the same networks alone."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn.modules.batchnorm import _BatchNorm

from common import RESULTS
from convsmith.arch import ArchSpec
from convsmith.costs import cost
from convsmith.data import ImageData, eval_batches
from convsmith.evals import Top1, evaluate
from convsmith.files import write_text
from convsmith.jobs.feed import Feed, normaliser, validation_batches
from convsmith.jobs.studies.trials import Trial, train_all
from convsmith.model import Model
from convsmith.recipe import SGD, Augment, Constant, Exponential, Recipe
from convsmith.recipes import recipe as named
from convsmith.supernet import T32, Sandwich, Supernet
from convsmith.supernet import ends as looking
from convsmith.tasks import Classify
from convsmith.training import Single, fit, forget_checkpoint
from convsmith.watcher import EpochDone
from convsmith.weights import write as write_weights
from supernet_methods import WHOLE, Method

CALIBRATION = 2000
CPU = torch.device("cpu")
TASK = Classify()


def recipe(epochs: int, *, floor: float = 0.05) -> Recipe:
    """BigNAS's schedule squeezed into `epochs`: it falls to 5 % after 65.5 % of the run, as 236 of 360 epochs, and stays."""
    return replace(
        named("quick"),
        name="supernet",
        epochs=epochs,
        batch=32,
        optimiser=SGD(momentum=0.9, nesterov=True),
        rate=0.8,
        decay=1e-5,
        warmup=0.1,
        schedule=Exponential(factor=0.05, every=0.655 * epochs, staircase=False, floor=floor),
        smoothing=0.1,
        clip=5.0,
        average=0.0,
        augment=Augment(crop=(0.6, 1.0), mirror=0.5),
    )


def children() -> dict[str, ArchSpec]:
    """The ends, and seven drawn between them, by rising cost; the first five are those of every length."""
    rng = random.Random(7)
    some = sorted((T32.sample(rng) for _ in range(7)), key=lambda spec: cost(spec).macs)
    named = {f"random {i}": spec for i, spec in enumerate(some, 1)}
    first = {"smallest": T32.smallest(), **{f"random {i}": some[i - 1] for i in (2, 4, 6)}, "biggest": T32.biggest()}
    return first | named


class Study:
    def __init__(self, images: ImageData, out: Path) -> None:
        self.images, self.out = images, out
        (out / "alone").mkdir(parents=True, exist_ok=True)
        for key, outcome in saved()["raw"].get("alone", {}).items():  # a key holds all that a training depends on
            keep(out / "alone" / f"{key}.json", outcome)
        self.space = T32.with_classes(len(images.classes))
        self.prepare = normaliser(self.space.biggest(), CPU)
        chosen = np.sort(np.random.default_rng(0).permutation(len(images.train))[:CALIBRATION])
        batches = eval_batches(images.train.take(chosen), sides=(32, 32), batch=250)
        self.calibration = [self.prepare(batch.images) for batch in batches]

    def top1(self, model: Model) -> float:
        batches = validation_batches(model.spec, self.images.val)()
        meter = Top1(self.images.classes, pictures=0)
        return evaluate(model.eval(), batches, meter, prepare=self.prepare, device=CPU).headline.value

    def cut_out(self, supernet: Supernet, spec: ArchSpec) -> Model:
        return supernet.calibrated(spec, self.calibration)

    def supernet(self, method: Method, epochs: int) -> Supernet:
        """Trained, or as it was trained before; `curve` files hold both ends' top-1 after every epoch."""
        stem = f"{method.name.replace(' ', '-')}-{epochs}"
        weights, curve = self.out / f"{stem}.safetensors", self.out / f"{stem}.curve.json"
        supernet = Supernet(self.space, seed=0)
        if weights.exists():
            supernet.model.load_state_dict(load_file(weights))
            return supernet
        own = recipe(epochs, floor=method.floor)
        ends = {"smallest": self.space.smallest(), "biggest": self.space.biggest()}
        seen: list[dict[str, float]] = json.loads(curve.read_text()) if curve.exists() else []
        for record in fit(
            Sandwich(
                supernet,
                TASK,
                own,
                seed=0,
                labels_first=method.labels_first,
                draw=method.draw,
                gradients=method.gradients,
            ),
            own,
            Feed(self.space.biggest(), self.images, own, 0, 0),
            prepare=self.prepare,
            evaluate=lambda shipped: {name: self.top1(self.cut_out(shipped, spec)) for name, spec in ends.items()},
            checkpoint=self.out / f"{stem}.pt",
            device=CPU,
            seed=0,
            lookout=looking(supernet, TASK, own, chance=TASK.chance(self.images.classes)),
        ):
            if isinstance(record, EpochDone):
                seen = [*[one for one in seen if one["step"] < record.step], {"step": record.step, **record.scores}]
                keep(curve, seen)
                print(stem, record.epoch, record.scores, f"{record.seconds:.0f} s", file=sys.stderr, flush=True)
        write_weights(weights, supernet.model.state_dict())
        forget_checkpoint(self.out / f"{stem}.pt")
        return supernet

    def alone(self, epochs: int, specs: dict[str, ArchSpec]) -> dict[str, float]:
        """The same specs, each trained by itself: as many steps on as many images by the same recipe."""
        trials = [Trial(self._own(spec), recipe(epochs), 0) for spec in specs.values()]
        outcomes = train_all(trials, self.images, self.out / "alone")
        return {name: outcome.top1 for name, outcome in zip(specs, outcomes, strict=True)}

    def remembered(self, name: str, make: Callable[[], float]) -> float:
        path = self.out / "scores" / f"{name.replace(' ', '-')}.json"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            keep(path, make())
        return float(json.loads(path.read_text()))

    def cut(self, method: Method, epochs: int, name: str, spec: ArchSpec) -> float:
        own = self._own(spec)
        return self.remembered(
            f"cut {method.name} {epochs} {name}", lambda: self.top1(self.cut_out(self._net(method, epochs), own))
        )

    def uncalibrated(self, epochs: int, name: str, spec: ArchSpec) -> float:
        """With the first channels of the biggest child's statistics instead of its own."""

        def make() -> float:
            supernet = self._net(WHOLE, epochs)
            model, big = supernet.extract(self._own(spec)), self.cut_out(supernet, self.space.biggest())
            theirs = dict(big.named_modules())
            for path, norm in model.named_modules():
                if isinstance(norm, _BatchNorm):
                    norm.running_mean.copy_(theirs[path].running_mean[: norm.num_features])
                    norm.running_var.copy_(theirs[path].running_var[: norm.num_features])
            return self.top1(model)

        return self.remembered(f"uncalibrated {epochs} {name}", make)

    def tuned(self, epochs: int, name: str, spec: ArchSpec, share: float) -> float:
        """Cut out, then trained on by labels for 15 % of the steps at `share` of the peak rate."""

        def make() -> float:
            model = self.cut_out(self._net(WHOLE, epochs), self._own(spec))
            own = replace(recipe(1), rate=0.8 * share, schedule=Constant(), warmup=0.0)
            feed = Feed(model.spec, self.images, own, 1, 0)
            last = round(0.15 * epochs * feed.steps_per_epoch)
            path = self.out / f"tuned {epochs} {name}.pt"
            own = replace(own, epochs=-(-last // feed.steps_per_epoch))
            for record in fit(
                Single(model, TASK, own),
                own,
                feed,
                prepare=self.prepare,
                evaluate=lambda m: {},
                checkpoint=path,
                device=CPU,
                seed=1,
            ):
                if getattr(record, "step", 0) == last:
                    break
            forget_checkpoint(path)
            return self.top1(model)

        return self.remembered(f"tuned {share:g} {epochs} {name}", make)

    def _own(self, spec: ArchSpec) -> ArchSpec:
        return spec.with_classes(len(self.images.classes))

    @lru_cache(maxsize=1)  # noqa: B019
    def _net(self, method: Method, epochs: int) -> Supernet:
        return self.supernet(method, epochs)


def saved() -> dict:
    """The result file of earlier runs."""
    path = RESULTS / "supernet.json"
    return {"rows": [], "raw": {}} | (json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})


def keep(path: Path, value: object) -> None:
    write_text(path, json.dumps(value))
