"""What each of two processes does in test_ranks.py; the first writes down what it found."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from convsmith.arch import Act, ArchSpec, Image, Norm, Stage, Style
from convsmith.errors import Stopped, UserError
from convsmith.model import build
from convsmith.parts import SE, BatchNorm, ConvStem, GroupNorm, MBConv, PlainConv, PooledClassifier
from convsmith.recipes import QUICK
from convsmith.supernet import Axes, Space, Supernet
from convsmith.tasks import Classify
from convsmith.training import Ranks, Single, collapses, fit, joined
from convsmith.training.ranks import ALONE, leave
from convsmith.watcher import EpochDone
from supernets import train_supernet
from test_adversaries import TOY, Toy, pair, run
from test_adversaries import Feed as Stripes

CPU = torch.device("cpu")
FAST = replace(QUICK, epochs=2, batch=8, rate=0.4, warmup=1)


@dataclass(frozen=True)
class Batch:
    images: Tensor
    answers: Tensor


@dataclass(frozen=True)
class Feed:
    """`size` images a step, of which a process has its part."""

    size: int
    ranks: Ranks = ALONE
    steps_per_epoch: int = 5

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        own = slice(*(self.size * (self.ranks.rank + i) // self.ranks.world for i in (0, 1)))
        for step in range(first, last):
            generator = torch.Generator().manual_seed(step)
            labels = torch.randint(0, 3, (self.size,), generator=generator)
            images = torch.randint(0, 80, (self.size, 3, 8, 8), generator=generator) + 80 * labels[:, None, None, None]
            yield Batch(images[own].to(torch.uint8), labels[own])


def spec(norm: Norm) -> ArchSpec:
    """Nothing in it is random, and with `GroupNorm` no image sees another."""
    return ArchSpec(
        name="tiny",
        input=Image(resolution=8),
        style=Style(norm=norm, conv=PlainConv()),
        stem=ConvStem(width=8),
        stages=(Stage(MBConv(expand=2, se=SE()), 2, 8, 1),),
        head=PooledClassifier(classes=3),
    )


def trained(
    folder: Path, name: str, *, norm: Norm, size: int = 8, ranks: Ranks = ALONE, accumulate: int = 1, stop_at: int = 0
) -> tuple[nn.Module, list[float]]:
    """The network, and the training loss of each epoch. Another process than the first begins with other weights."""
    model, losses, steps = build(spec(norm), seed=ranks.rank), [], iter(range(1, 100))
    recipe = replace(FAST, accumulate=accumulate)
    for record in fit(
        Single(model, Classify(), recipe),
        recipe,
        Feed(size, ranks),
        prepare=lambda images: images.float() / 128 - 1,
        evaluate=lambda network: {"rank": float(ranks.rank)},
        checkpoint=folder / f"{name}.pt",
        device=CPU,
        seed=7,
        ranks=ranks,
        # Only the second process is told to stop: both must.
        stop=lambda: ranks.rank == 1 and next(steps) == stop_at,
    ):
        if isinstance(record, EpochDone):
            losses.append(record.train_loss)
            assert record.scores == ({"rank": 0.0} if ranks.leads else {})
    return model, losses


def sandwiched(folder: Path, name: str, *, ranks: Ranks = ALONE, accumulate: int = 1) -> nn.Module:
    """The shared weights of a small space after two epochs of sandwiches; nothing in it is random but which children are."""
    base = spec(BatchNorm(act=Act.SILU)).with_style(zero_last=True)
    block = replace(base.stages[0].block, skips=True)
    base = replace(base, stages=(replace(base.stages[0], block=block, width=16),))
    space = Space(base, stages=(Axes(width=(12, 16), depth=(1, 2)),), stem=(4, 8))
    supernet = Supernet(space, seed=ranks.rank)
    for _ in train_supernet(
        supernet,
        replace(FAST, accumulate=accumulate),
        Feed(8, ranks),
        prepare=lambda images: images.float() / 128 - 1,
        evaluate=lambda shipped: {},
        checkpoint=folder / f"{name}.pt",
        device=CPU,
        seed=7,
        ranks=ranks,
    ):
        pass
    return supernet.model


def played(folder: Path, name: str, *, ranks: Ranks, stop_at: int = 0) -> nn.Module:
    """A generator with batch norm and its critic after ten steps, the generator's in every second; watched for a collapse, too."""
    recipe, steps = replace(TOY, critic_steps=2, epochs=2), iter(range(1, 100))
    trainee = pair(recipe, seed=ranks.rank)
    feed = Stripes(part=(ranks.rank, ranks.world), steps_per_epoch=5)
    lookout = collapses(trainee, Toy(), every=3)
    more = {"ranks": ranks, "lookout": lookout, "stop": lambda: ranks.rank == 1 and next(steps) == stop_at}
    run(trainee, recipe, folder / f"{name}.pt", feed=feed, **more)
    return nn.ModuleList((trainee.product, trainee.critic))


def digest(model: nn.Module) -> str:
    return hashlib.sha256(b"".join(t.contiguous().numpy().tobytes() for t in model.state_dict().values())).hexdigest()


def apart(one: nn.Module, other: nn.Module) -> float:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)


def everywhere(ranks: Ranks, value: object) -> list[object]:
    found: list[object] = [None] * ranks.world
    distributed.all_gather_object(found, value)
    return found


def main(folder: Path) -> None:
    group, batch = GroupNorm(groups=4, act=Act.SILU), BatchNorm(act=Act.SILU)
    found: dict[str, object] = {}
    with joined(CPU) as ranks:
        own = folder / str(ranks.rank)  # for what each does alone
        own.mkdir()
        for name, size in (("even", 8), ("uneven", 7), ("empty", 1)):
            together, losses = trained(folder, name, norm=group, size=size, ranks=ranks)
            alone, expected = trained(own, name, norm=group, size=size)
            found[name] = {"apart": apart(together, alone), "losses": losses, "expected": expected}
            found[name]["same"] = len(set(everywhere(ranks, digest(together)))) == 1
            if name == "even":
                whole = digest(together)
                parts, _ = trained(own, "parts", norm=group, accumulate=2)
                found["as parts"] = digest(parts) == whole

        told = ""
        try:
            trained(folder, "stopped", norm=group, ranks=ranks, stop_at=7)
        except Stopped as stopped:
            told = str(stopped)
        found["stopped"] = everywhere(ranks, told)
        resumed, _ = trained(folder, "stopped", norm=group, ranks=ranks)
        found["resumed"] = digest(resumed) == whole

        normed, _ = trained(folder, "batch", norm=batch, ranks=ranks)
        found["batch norm same"] = len(set(everywhere(ranks, digest(normed)))) == 1

        shared = sandwiched(folder, "sandwich", ranks=ranks)
        found["sandwich same"] = len(set(everywhere(ranks, digest(shared)))) == 1
        found["sandwich apart"] = apart(shared, sandwiched(own, "sandwich", accumulate=2))

        both = played(folder, "adversaries", ranks=ranks)
        found["adversaries same"] = len(set(everywhere(ranks, digest(both)))) == 1
        try:
            played(folder, "interrupted", ranks=ranks, stop_at=4)
        except Stopped as stopped:
            found["adversaries stopped"] = everywhere(ranks, str(stopped))
        resumed = played(folder, "interrupted", ranks=ranks)
        found["adversaries resumed"] = digest(resumed) == digest(both)

        def refused() -> None:
            raise UserError(f"refused by {ranks.rank}")

        try:
            ranks.from_first(refused)
        except UserError as error:
            found["refused"] = everywhere(ranks, str(error))
        found["files"] = sorted(path.name for path in folder.glob("*.pt"))
        if ranks.leads:
            (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    leave(0)
