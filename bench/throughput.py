"""Images a second of training from JPEG files, end to end: our feed and loop against timm's loader and loop.

    python bench/throughput.py TRAIN.npz --photos FOLDER [--sides 32 96 224] [--workers 0 1 2] [--rounds N]
                               [--steps N] [--images N]

With `--steps` or `--images` it is a trial of the script, and no result is written.

TRAIN.npz holds small JPEGs (`jpeg`, `offset`, `label`), FOLDER larger ones; both are laid out as a folder of classes in a
temporary place. The same network, batch, number of workers, crops (8 to 100 % of the area) and mirroring on both sides, plain
SGD, ten classes. timm's side is `create_dataset`, `create_loader` with its defaults for training but for the colour jitter,
which we do not do, and the step of its training script in channels-last.

Every side is a process of its own, and one works at a time: what a process does with its memory is a part of its speed, and
ours keeps it while it trains. Starting, the check of our images and the making of a cache are not timed; batches that
workers had ready when their side's turn came are not either.
"""

from __future__ import annotations

import argparse
import gc
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import numpy as np
import timm
import torch
from timm.data import create_dataset, create_loader
from timm.optim import create_optimizer_v2
from timm.utils import AverageMeter
from torch import Tensor, nn

import convsmith as cs
from common import Row, inverse, judged, save, spread, timed
from convsmith.jobs.feed import Feed, normaliser
from convsmith.jobs.source import Source
from convsmith.latency import Latency, Runtime, Subject, summarise
from convsmith.recipe import SGD, Augment, Precision
from convsmith.recipes import QUICK
from convsmith.tasks import Classify
from convsmith.training import Single, fit, loop
from convsmith.watcher import StepDone, Watcher
from training import step_of, theirs

NAME = "mobilenetv2_035"
CPU = torch.device("cpu")
CLASSES = 10
# So many links to every photograph that no epoch ends within a measurement.
LINKS = 8
RECIPE = replace(
    QUICK,
    name="bench",
    epochs=1000,
    warmup=0,
    optimiser=SGD(momentum=0.9, nesterov=True),
    rate=0.05,
    decay=2e-5,
    smoothing=0.0,
    clip=0.0,
    average=0.0,
    augment=Augment(crop=(0.08, 1.0), mirror=0.5),
    precision=Precision.FP32,
)


@dataclass(frozen=True)
class Setting:
    """`steps` of `batch` images are a sample, after `idle` steps that use up what workers had ready."""

    side: int
    batch: int
    steps: int
    idle: int = 4


SETTINGS = (Setting(32, 64, 20), Setting(96, 32, 12), Setting(224, 16, 6))


# ---- files -----------------------------------------------------------------------------------------------------------


def small_files(npz: Path, folder: Path, most: int | None) -> None:
    arrays = np.load(npz)
    jpeg, offset, label = arrays["jpeg"], arrays["offset"], arrays["label"][:most]
    for name in np.unique(label):
        (folder / str(name)).mkdir(parents=True)
    for i, name in enumerate(label):
        (folder / str(name) / f"{i:05}.jpg").write_bytes(jpeg[offset[i] : offset[i + 1]].tobytes())


def large_files(photos: Path, folder: Path) -> None:
    for name in range(CLASSES):
        (folder / str(name)).mkdir(parents=True)
    for i, path in enumerate(sorted(photos.rglob("*.jpg"))):
        for link in range(LINKS):
            os.symlink(path.resolve(), folder / str(i % CLASSES) / f"{i:05}-{link}.jpg")


# ---- our side --------------------------------------------------------------------------------------------------------


def our_spec(side: int) -> cs.ArchSpec:
    spec = cs.spec(NAME).with_classes(CLASSES).with_style(drop_path=0.0).with_resolution(side)
    return replace(spec, head=replace(spec.head, dropout=0.0))


def our_feed(side: Side) -> Feed:
    images = Source(str(side.folder), cache=str(side.cache) if side.cached else None).load(Watcher())
    return Feed(our_spec(side.setting.side), images, replace(RECIPE, batch=side.setting.batch), 0, side.workers)


def our_steps(side: Side) -> Callable[[], object]:
    feed, checkpoint = our_feed(side), side.cache.with_name(f"{os.getpid()}.pt")
    records = fit(
        Single(cs.build(feed.spec, seed=0), Classify(), feed.recipe),
        feed.recipe,
        feed,
        prepare=normaliser(feed.spec, CPU),
        evaluate=lambda network: {},
        checkpoint=checkpoint,
        device=CPU,
        seed=0,
    )

    def step() -> None:
        while not isinstance(next(records), StepDone):
            pass

    return step


def our_batches(side: Side) -> Callable[[], object]:
    feed = our_feed(side)
    prepare, batches = normaliser(feed.spec, CPU), feed.batches(0, 10**6)
    return lambda: prepare(next(batches).images)


# ---- timm's side -----------------------------------------------------------------------------------------------------


def their_batches(side: Side) -> Callable[[], tuple[Tensor, Tensor]]:
    loader = create_loader(
        create_dataset("", root=str(side.folder), is_training=True, search_split=False),
        input_size=(3, side.setting.side, side.setting.side),
        batch_size=side.setting.batch,
        is_training=True,
        color_jitter=None,
        num_workers=side.workers,
        device=CPU,
    )

    def endless() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in count():
            yield from loader

    batches = endless()

    def batch() -> tuple[Tensor, Tensor]:
        images, labels = next(batches)
        return images.contiguous(memory_format=torch.channels_last), labels

    return batch


def their_steps(side: Side) -> Callable[[], object]:
    model = theirs(NAME).train().to(memory_format=torch.channels_last)
    optimiser = create_optimizer_v2(model, opt="sgd", lr=0.01, weight_decay=2e-5, momentum=0.9)
    batch, loss_of, losses = their_batches(side), nn.CrossEntropyLoss(), AverageMeter()

    def step() -> None:
        images, labels = batch()
        loss = loss_of(model(images), labels)
        loss.backward()
        optimiser.step()
        losses.update(loss.item(), len(images))
        optimiser.zero_grad()

    return step


# ---- processes and rounds --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """Whose, and what is timed: `training` end to end, `reading` alone, or the `step` alone."""

    ours: bool
    what: str
    setting: Setting
    folder: Path
    cache: Path
    workers: int = 0
    cached: bool = False

    def made(self) -> Callable[[], object]:
        match self.what:
            case "training":
                return our_steps(self) if self.ours else their_steps(self)
            case "reading":
                return our_batches(self) if self.ours else their_batches(self)
            case "step":
                network = cs.build(our_spec(self.setting.side), seed=0) if self.ours else theirs(NAME)
                return step_of(network, self.setting.side, self.setting.batch)
        raise AssertionError(self.what)


class Measured(Protocol):
    """A side to take turns with: `made`, in a process of its own, is one step of it."""

    @property
    def setting(self) -> Setting: ...
    def made(self) -> Callable[[], object]: ...


def served(side: Measured, line: Connection) -> None:
    """A side's process: at each word, some steps, and their milliseconds in answer."""
    loop.CHECKPOINT_EVERY = math.inf  # timm's script writes none inside an epoch either
    step, setting = side.made(), side.setting

    def steps(n: int) -> None:
        for _ in range(n):
            step()

    steps(setting.idle)
    gc.collect()
    gc.disable()
    line.send(0.0)
    while line.recv():
        steps(setting.idle)
        line.send(timed(lambda: steps(setting.steps)) / setting.steps)


def alternated(sides: Mapping[str, Measured], n: int) -> dict[str, Latency]:
    """Some steps of each in turn, in an order drawn anew for each of `n` rounds."""
    rng, samples, lines, processes = np.random.default_rng(0), {name: [] for name in sides}, {}, []
    spawn = multiprocessing.get_context("spawn")
    for name, side in sides.items():
        lines[name], theirs_ = spawn.Pipe()
        processes.append(spawn.Process(target=served, args=(side, theirs_)))
        processes[-1].start()
        theirs_.close()  # so that a side that ends is an error here, and not a wait
    for line in lines.values():
        line.recv()
    for _ in range(n):
        for name in rng.permutation(list(sides)):
            lines[name].send(True)
            samples[name].append(lines[name].recv())
    for line in lines.values():
        line.send(False)
    for process in processes:
        process.join()
    subjects = [Subject(name, Runtime.EAGER, 1, lambda: None) for name in sides]
    timing = summarise(subjects, list(samples.values()), threads=torch.get_num_threads())
    return dict(zip(sides, timing.rows, strict=True))


def compared(what: str, mine: Latency, other: Latency, setting: Setting, goal: str = "", least: float = 0.0) -> Row:
    found = inverse(mine, other)
    return Row(
        what,
        spread(mine, scale=setting.batch, unit="images/s", per_second=True),
        spread(other, scale=setting.batch, unit="images/s", per_second=True),
        found,
        mine.n,
        goal,
        judged(found, least=least) if goal else "",
    )


def rows_of(
    setting: Setting, folder: Path, scratch: Path, n: int, workers_of_training: Sequence[int]
) -> tuple[list[Row], str]:
    in_memory, cache = setting.side == 32, scratch / "cache"
    kinds = {", held in memory": False} if in_memory else {"": False, ", cached": True}
    note = ""
    if not in_memory:
        images = Source(str(folder), cache=str(cache)).load(Watcher())
        began = time.perf_counter()
        Feed(our_spec(setting.side), images, RECIPE, 0, 0)
        note = f"the cache of {len(images.train) + len(images.val)} images took {time.perf_counter() - began:.1f} s"
    rows = []
    for what, workers in (*(("training", workers) for workers in workers_of_training), ("reading", 0)):
        sides = {kind: Side(True, what, setting, folder, cache, workers, cached) for kind, cached in kinds.items()}
        found = alternated(sides | {"timm": Side(False, what, setting, folder, cache, workers)}, n)
        where = f"{what}{' alone' * (what == 'reading')} at {setting.side} px, {workers} worker{'s' * (workers != 1)}"
        goal = ("1.2 or more", 1.2) if what == "training" else ()
        made = [compared(f"{where}{kind}", found[kind], found["timm"], setting, *goal) for kind in kinds]
        print(*(row.cells() for row in made), sep="\n", flush=True)
        rows += made
    found = alternated({who: Side(who == "ours", "step", setting, folder, cache) for who in ("ours", "timm")}, n)
    what = f"the step alone at {setting.side} px"
    rows.append(compared(what, found["ours"], found["timm"], setting, "never below 1.0", 1.0))
    return rows, note


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--sides", type=int, nargs="+", default=[one.side for one in SETTINGS])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="of training; reading alone has none")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, help="in a sample, for a trial")
    parser.add_argument("--images", type=int, help="of TRAIN, for a trial")
    asked = parser.parse_args()
    settings = [one for one in SETTINGS if one.side in asked.sides]
    if asked.steps:
        settings = [replace(one, steps=asked.steps, idle=1) for one in settings]
    rows, notes = [], []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        small_files(asked.train, scratch / "small", asked.images)
        large_files(asked.photos, scratch / "large")
        for setting in settings:
            folder = scratch / ("small" if setting.side == 32 else "large")
            found, note = rows_of(setting, folder, scratch, asked.rounds, asked.workers)
            rows += found
            notes += [note] if note else []
    batches = ", ".join(f"{one.batch} at {one.side} px" for one in settings)
    note = (
        f"{NAME} on {torch.get_num_threads()} threads (all cores), batches of {batches}; timm {timm.__version__}, bilinear, no "
        f"colour jitter; a process a side; n counts rounds. 32 px: CIFAR's JPEGs, which we hold decoded; "
        f"96 and 224 px: photographs of short side 256, held whole by the cache{''.join(f'; {one}' for one in notes)}"
    )
    save("throughput", "Training from JPEG files", "timm", rows, note, trial=bool(asked.steps or asked.images))


if __name__ == "__main__":
    main()
