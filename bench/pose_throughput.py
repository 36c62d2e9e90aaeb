"""Pictures a second of training on points from PNG frames, beside a plain loop, and frames a second of a film.

    python bench/pose_throughput.py PROJECT [--film FILM] [--size 240 320] [--batch 8] [--steps 4] [--workers 0 2]
                                    [--rounds N] [--frames N] [--trial]

PROJECT is a DeepLabCut project, whose frames are shown whole at SIZE (height, width). The plain loop is what one writes first:
a `Dataset` that opens a PNG by Pillow and resizes it with its points by torchvision's transforms, targets made by NumPy, a
`DataLoader`, the same network, loss and optimiser. `turned` adds a random turn, size and shift on both sides, ours by `PoseAugment`
with all else off, theirs by `RandomAffine`. Ours holds frames once they are decoded, as it does where all fit into 256 MiB;
`read anew` has that switched off. Every side is a process of its own, as in bench/throughput.py.

FILM is drawn and written again (`answers_of_film`), against the network alone on the same frames, decoded and resized before.
A `--trial` writes no result.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import av
import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.tv_tensors import KeyPoints

import convsmith as cs
from common import Row, inverse, rounds, save, spread
from convsmith.data import ImageData, batches
from convsmith.data.films import Film, writing
from convsmith.data.given import read
from convsmith.data.showing import shown
from convsmith.jobs.feed import Feed, normaliser
from convsmith.jobs.fitting import fitted_to
from convsmith.jobs.predict import Predictor, opened
from convsmith.jobs.predict.drawn import answers_of_film
from convsmith.jobs.source import Source
from convsmith.layers.score_maps import STDEV, STRIDE, encoded, map_side
from convsmith.recipe import Augment, PoseAugment, Precision
from convsmith.recipes.pose import POSE_SCRATCH
from convsmith.tasks import Pose, task_for
from convsmith.training import Single, fit
from convsmith.watcher import StepDone, Watcher
from throughput import CPU, Setting, alternated, compared

NAME = "mobilenetv2_035"
RATE = 1e-3
RADIUS = 17.0
TURNED = PoseAugment(
    turn_chance=1.0, shift_chance=1.0, blur_chance=0.0, drop_chance=0.0, contrast=0.0, gain=0.0
)  # fmt: skip


# ---- both sides ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """Whose, and what is timed: `training` end to end, or `reading` alone; of frames as they are or `turned`."""

    ours: bool
    what: str
    project: Path
    size: tuple[int, int]
    setting: Setting
    workers: int = 0
    turned: bool = False
    held: bool = True

    def made(self) -> Callable[[], object]:
        if not self.held:
            batches.HELD_BYTES = 0
        images = Source(str(self.project)).load(Watcher())
        task = task_for(images)
        assert isinstance(task, Pose)
        if self.ours:
            return our_steps(self, images, task) if self.what == "training" else our_batches(self, images, task)
        return their_steps(self, images, task) if self.what == "training" else their_batches(self, images)

    def spec(self, images: ImageData, task: Pose) -> cs.ArchSpec:
        spec = fitted_to(cs.spec(NAME).with_style(drop_path=0.0), task, images)
        return replace(spec, input=replace(spec.input, resolution=self.size[0], width=self.size[1]))


# ---- our side --------------------------------------------------------------------------------------------------------


def our_feed(side: Side, images: ImageData, task: Pose) -> Feed:
    recipe = replace(
        POSE_SCRATCH, epochs=10_000, batch=side.setting.batch, rate=RATE * 256 / side.setting.batch, precision=Precision.FP32,
        augment=Augment(crop=(1.0, 1.0), mirror=0.0, **({"policy": TURNED} if side.turned else {})),
    )  # fmt: skip
    return Feed(side.spec(images, task), images, recipe, 0, side.workers)


def our_steps(side: Side, images: ImageData, task: Pose) -> Callable[[], object]:
    feed = our_feed(side, images, task)
    records = fit(
        Single(cs.build(feed.spec, seed=0), task, feed.recipe),
        feed.recipe,
        feed,
        prepare=normaliser(feed.spec, CPU),
        evaluate=lambda network: {},
        checkpoint=Path(tempfile.gettempdir()) / f"pose-throughput-{os.getpid()}.pt",
        device=CPU,
        seed=0,
    )

    def step() -> None:
        while not isinstance(next(records), StepDone):
            pass

    return step


def our_batches(side: Side, images: ImageData, task: Pose) -> Callable[[], object]:
    feed = our_feed(side, images, task)
    prepare, coming = normaliser(feed.spec, CPU), feed.batches(0, 10**6)
    cells = (map_side(side.size[0]), map_side(side.size[1]))

    def batch() -> None:
        made = next(coming)
        prepare(made.images)
        encoded(made.answers.shown, task.radius * made.answers.zoom, cells)

    return batch


# ---- the plain loop --------------------------------------------------------------------------------------------------


class Frames(Dataset):
    """Each frame, normalised, with its score map, offsets and the cells where these count."""

    def __init__(self, images: ImageData, size: tuple[int, int], turned: bool) -> None:
        inputs = images.train.inputs
        self.paths = [str(inputs.where(i)) for i in range(len(inputs))]
        self.points = images.train.targets.xy
        affine = [v2.RandomAffine(25, translate=(0.15, 0.15), scale=(0.5, 1.25))] if turned else []
        self.transform = v2.Compose(
            [
                v2.Resize(size),
                *affine,
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )
        self.cells = (map_side(size[0]), map_side(size[1]))
        self.height = size[0]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[Tensor, np.ndarray, np.ndarray, np.ndarray]:
        image = v2.functional.to_image(Image.open(self.paths[i]).convert("RGB"))
        points, there = self.points[i], ~np.isnan(self.points[i, :, 0])
        shown, moved = self.transform(image, KeyPoints(np.nan_to_num(points), canvas_size=image.shape[1:]))
        found = np.where(there[:, None], np.asarray(moved), np.nan)
        return shown, *maps(found, RADIUS * self.height / image.shape[1], self.cells)


def maps(points: np.ndarray, radius: float, cells: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A disc for each of ⟨K,2⟩ points, offsets from each cell to it, and where these count: ⟨K,h,w⟩, ⟨2K,h,w⟩, ⟨K,h,w⟩."""
    rows, columns = (STRIDE * np.arange(n) + STRIDE / 2 for n in cells)
    dx = np.broadcast_to(points[:, 0, None, None] - columns[None, None], (len(points), *cells))
    dy = np.broadcast_to(points[:, 1, None, None] - rows[None, :, None], (len(points), *cells))
    near = dx**2 + dy**2 <= radius**2
    offsets = np.nan_to_num(np.stack((dx, dy), 1) / STDEV).reshape(-1, *cells)
    return near.astype(np.float32), offsets.astype(np.float32), near


def their_batches(side: Side, images: ImageData) -> Callable[[], tuple[Tensor, ...]]:
    loader = DataLoader(
        Frames(images, side.size, side.turned),
        batch_size=side.setting.batch,
        shuffle=True,
        drop_last=True,
        num_workers=side.workers,
        persistent_workers=side.workers > 0,
    )

    def endless() -> Iterator[tuple[Tensor, ...]]:
        for _ in count():
            yield from loader

    coming = endless()
    return lambda: next(coming)


def their_steps(side: Side, images: ImageData, task: Pose) -> Callable[[], object]:
    model = cs.build(side.spec(images, task), seed=0).train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    batch, joints = their_batches(side, images), len(images.classes)

    def step() -> float:
        shown_, scores, offsets, near = batch()
        out = model(shown_.contiguous(memory_format=torch.channels_last))
        wrong = F.huber_loss(out[:, joints : 3 * joints], offsets, reduction="none")
        near = near.repeat_interleave(2, dim=1)
        loss = F.binary_cross_entropy_with_logits(out[:, :joints], scores)
        loss = loss + 0.05 * (wrong * near).sum() / near.sum().clamp_min(1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def check_maps() -> None:
    """Both sides' targets are the same for the same points."""
    points = np.random.default_rng(0).uniform(0, 160, (5, 2))
    points[2] = np.nan
    ours = encoded(torch.from_numpy(points)[None], torch.tensor([RADIUS]), (20, 24))
    for mine, other in zip(ours, maps(points, RADIUS, (20, 24)), strict=True):
        np.testing.assert_allclose(mine[0].numpy(), other, atol=1e-5)  # theirs is in single precision


# ---- films -----------------------------------------------------------------------------------------------------------


def shortened(film: Film, frames: int, place: Path) -> Film:
    with writing(place, film.rate, film.sides) as write:
        for frame in islice(film, frames):
            write(frame)
    return Film(place)


def film_rows(path: Path, net: nn.Module, frames: int, n: int, scratch: Path) -> list[Row]:
    predictor = opened(net)
    film = shortened(Film(path), frames, scratch / "short.mp4")
    given = list(film)
    sides = predictor.says.resolution
    seen, _ = shown(lambda j, least: read(given[j], channels=3), len(given), sides=sides, channels=3, whole=True)
    rows = []
    for what, out in (("points drawn and written", scratch / "drawn.mp4"), ("points alone", None)):
        mine, other = rounds(whole_film(predictor, film, out), network_alone(predictor, seen), n=n, warm=1)
        cells = (spread(side, scale=len(given), unit="frames/s", per_second=True) for side in (mine, other))
        rows.append(Row(f"film, {what}, over the network alone", *cells, inverse(mine, other), n, ""))
    return rows


def whole_film(predictor: Predictor, film: Film, out: Path | None) -> Callable[[], object]:
    return lambda: sum(1 for _ in answers_of_film(predictor, film, out=out))


def network_alone(predictor: Predictor, seen: Tensor, batch: int = 64) -> Callable[[], object]:
    @torch.inference_mode()
    def run() -> None:
        for at in range(0, len(seen), batch):
            predictor.network(seen[at : at + batch])

    return run


# ---- all -------------------------------------------------------------------------------------------------------------


def training_rows(project: Path, size: tuple[int, int], setting: Setting, n: int, workers: list[int]) -> list[Row]:
    rows = []
    for turned in (False, True):
        for what, beside in (*(("training", number) for number in workers), ("reading", 0)):
            plain = Side(False, what, project, size, setting, beside, turned)
            sides = {"held": replace(plain, ours=True), "read anew": replace(plain, ours=True, held=False)}
            found = alternated(sides | {"plain": plain}, n)
            where = f"{what}{' alone' * (what == 'reading')}{', turned' * turned}, {beside} worker{'s' * (beside != 1)}"
            made = [compared(f"{where}, {kind}", found[kind], found["plain"], setting) for kind in sides]
            print(*(row.cells() for row in made), sep="\n", flush=True)
            rows += made
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--film", type=Path)
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4, help="in a turn, after as many as workers may have ready")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="of training; reading alone has none")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--frames", type=int, default=512, help="of the film, its first")
    parser.add_argument("--trial", action="store_true")
    asked = parser.parse_args()
    check_maps()
    size, setting = tuple(asked.size), Setting(asked.size[0], asked.batch, asked.steps)
    rows = training_rows(asked.project, size, setting, asked.rounds, asked.workers)
    note = (
        f"{NAME} with a head for points on frames of {size[0]} x {size[1]}, batches of {asked.batch}, {torch.get_num_threads()} "
        f"threads, float32; PNG frames; the plain loop: torchvision {torchvision.__version__}'s transforms, NumPy's targets, a "
        "process a side"
    )
    if asked.film is not None:
        images = Source(str(asked.project)).load(Watcher())
        task = task_for(images)
        assert isinstance(task, Pose)
        net = cs.build(Side(True, "training", asked.project, size, setting).spec(images, task), seed=0)
        with tempfile.TemporaryDirectory() as scratch:
            rows += film_rows(asked.film, net, asked.frames, asked.rounds, Path(scratch))
        note += (
            f". Film: {asked.frames} frames, decoded, resized, answered, drawn and encoded in H.264 by PyAV {av.__version__}; what "
            "stands beside it is the network alone on those frames"
        )
    save("pose_throughput", "Points: training and films", "plain loop", rows, f"{note}.", trial=asked.trial)


if __name__ == "__main__":
    main()
