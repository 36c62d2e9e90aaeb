"""A training step of ours against BigGAN's arithmetic written plainly in torch, interleaved.

    python bench/gan_step.py [--ch 16] [--batch 32] [--critic-steps 2] [--rounds 20] [--trial]

Both train BigGAN for 32 px as in its CIFAR-10 script (Brock et al., 2019): 10 classes, a table of gains and shifts for each norm,
spectral norms by one iteration a forward, hinge losses, Adam with betas 0 and 0.999, a moving average of the generator. A round is
as many of the critic's steps as go with one of the generator's, on images that are noise. Threads as torch has them: set
OMP_NUM_THREADS=1 for one.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import convsmith as cs
from common import Row, inverse, judged, rounds, save, spread
from convsmith.families.biggan import critic
from convsmith.recipes import BIGGAN_SMALL
from convsmith.training import Adversaries, fit

CLASSES, DIM, SIDE, RATE, DECAY = 10, 128, 32, 2e-4, 0.9999


# ---- plainly ---------------------------------------------------------------------------------------------------------


class Spectral(nn.Module):
    """A weight over an estimate of its largest singular value; the estimate moves in training."""

    def __init__(self, *shape: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(shape)))
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None
        self.register_buffer("u", torch.randn(1, shape[0]))

    def normed(self) -> Tensor:
        rows = self.weight.flatten(1)
        with torch.no_grad():
            v = F.normalize(self.u @ rows, dim=1, eps=1e-12)
            u = F.normalize(v @ rows.T, dim=1, eps=1e-12)
            if self.training:
                self.u.copy_(u)
        return self.weight / (v @ rows.T @ u.T).squeeze()


class Conv(Spectral):
    def __init__(self, c_in: int, c_out: int, kernel: int) -> None:
        super().__init__(c_out, c_in, kernel, kernel)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.normed(), self.bias, padding=self.weight.shape[-1] // 2)


class Linear(Spectral):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(c_out, c_in)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.normed(), self.bias)


class Norm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.core = nn.BatchNorm2d(channels, affine=False)
        self.gain, self.shift = (nn.Embedding(CLASSES, channels) for _ in range(2))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        gain, shift = (1 + self.gain(y))[..., None, None], self.shift(y)[..., None, None]
        return F.relu(self.core(x) * gain + shift)


class Up(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.one, self.two = Norm(c_in), Norm(c_out)
        self.first, self.second, self.short = Conv(c_in, c_out, 3), Conv(c_out, c_out, 3), Conv(c_in, c_out, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = self.first(F.interpolate(self.one(x, y), scale_factor=2))
        return self.second(self.two(h, y)) + self.short(F.interpolate(x, scale_factor=2))


class Generator(nn.Module):
    def __init__(self, ch: int) -> None:
        super().__init__()
        self.width = 4 * ch
        self.linear = Linear(DIM, self.width * 16)
        self.blocks = nn.ModuleList(Up(self.width, self.width) for _ in range(3))
        self.norm, self.last = nn.BatchNorm2d(self.width), Conv(self.width, 3, 3)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        x = self.linear(z).view(len(z), self.width, 4, 4)
        for block in self.blocks:
            x = block(x, y)
        return torch.tanh(self.last(F.relu(self.norm(x))))


class Down(nn.Module):
    def __init__(self, c_in: int, c_out: int, *, first: bool = False, halves: bool = True) -> None:
        super().__init__()
        self.first, self.halves = first, halves
        self.one, self.two = Conv(c_in, c_out, 3), Conv(c_out, c_out, 3)
        self.short = Conv(c_in, c_out, 1) if c_in != c_out or halves else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.two(F.relu(self.one(x if self.first else F.relu(x))))
        if self.first:
            return F.avg_pool2d(h, 2) + self.short(F.avg_pool2d(x, 2))  # type: ignore[misc]
        x = x if self.short is None else self.short(x)
        return F.avg_pool2d(h, 2) + F.avg_pool2d(x, 2) if self.halves else h + x


class Critic(nn.Module):
    def __init__(self, ch: int) -> None:
        super().__init__()
        width = 4 * ch
        self.blocks = nn.Sequential(
            Down(3, width, first=True), Down(width, width), Down(width, width, halves=False), Down(width, width, halves=False)
        )  # fmt: skip
        self.linear, self.embed = Linear(width, 1), Spectral(CLASSES, width, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = F.relu(self.blocks(x)).sum((2, 3))
        return self.linear(h)[:, 0] + (F.embedding(y, self.embed.normed()) * h).sum(1)


def plainly(ch: int, batch: int, critic_steps: int) -> tuple[Callable[[], object], int, int]:
    torch.manual_seed(0)
    g, d = Generator(ch), Critic(ch)
    average = copy.deepcopy(g)
    pairs = [
        (a, b)
        for a, b in zip(average.state_dict().values(), g.state_dict().values(), strict=True)
        if a.is_floating_point()
    ]
    for net in (g, d):
        net.train().to(memory_format=torch.channels_last)
    of_g, of_d = (
        torch.optim.Adam(net.parameters(), lr=RATE, betas=(0.0, 0.999), eps=1e-8, fused=True) for net in (g, d)
    )
    feed = Noise(batch).batches(0, 10**9)

    def step() -> None:
        for _ in range(critic_steps):
            real = next(feed)
            images = real.images.float() / 127.5 - 1
            z, y = torch.randn(batch, DIM), torch.randint(CLASSES, (batch,))
            with torch.no_grad():
                made = g(z, y)
            said = d(torch.cat((made, images)), torch.cat((y, real.answers)))
            of_d.zero_grad()
            (F.relu(1 + said[:batch]).mean() + F.relu(1 - said[batch:]).mean()).backward()
            of_d.step()
        for one in d.parameters():
            one.requires_grad_(False)
        z, y = torch.randn(batch, DIM), torch.randint(CLASSES, (batch,))
        of_g.zero_grad()
        loss = -d(g(z, y), y).mean()
        loss.backward()
        of_g.step()
        loss.item()  # ours looks at every loss, too
        for one in d.parameters():
            one.requires_grad_(True)
        with torch.no_grad():
            torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 1 - DECAY)

    return step, *(sum(one.numel() for one in net.parameters()) for net in (g, d))


# ---- ours ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    images: Tensor
    answers: Tensor


@dataclass(frozen=True)
class Noise:
    size: int
    steps_per_epoch: int = 1000

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        rng = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (self.size, 3, SIDE, SIDE), generator=rng, dtype=torch.uint8)
        batch = Batch(images, torch.randint(CLASSES, (self.size,), generator=rng))
        for _ in range(first, last):
            yield batch


def ours(ch: int, batch: int, critic_steps: int, folder: Path) -> tuple[Callable[[], object], int, int]:
    spec = cs.spec("biggan32_ch16")
    if ch != 16:
        spec = cs.grown(spec, width=ch / 16, rounding=cs.Rounding())
    g, d = cs.build(spec, seed=0), cs.build(critic(spec), seed=1)
    recipe = replace(
        BIGGAN_SMALL,
        epochs=1000,
        batch=batch,
        rate=RATE * 256 / batch,
        average=DECAY,
        average_start=1,
        critic_steps=critic_steps,
    )
    records = fit(
        Adversaries(g, d, spec.input, recipe),
        recipe,
        Noise(batch),
        prepare=lambda images: images.float() / 127.5 - 1,
        evaluate=lambda network: {},
        checkpoint=folder / "last.pt",
        device=torch.device("cpu"),
        seed=0,
    )

    def step() -> None:
        done = 0
        while done < critic_steps:
            done += type(next(records)).__name__ == "StepDone"

    return step, *(cs.cost(one).params for one in (spec, critic(spec)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ch", type=int, default=16)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--critic-steps", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--trial", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mine, *counts = ours(asked.ch, asked.batch, asked.critic_steps, Path(folder))
        other, *theirs = plainly(asked.ch, asked.batch, asked.critic_steps)
        assert counts == theirs, f"these are other networks: {counts} and {theirs} parameters"
        a, b = rounds(mine, other, n=asked.rounds)
    found = inverse(a, b)
    images = asked.batch * asked.critic_steps
    row = Row(
        f"biggan32, ch {asked.ch}, batch {asked.batch}, {asked.critic_steps} of the critic a step",
        spread(a, scale=images, unit="images/s", per_second=True),
        spread(b, scale=images, unit="images/s", per_second=True),
        found,
        a.n,
        "never below 1.0",
        judged(found, least=1.0),
    )
    note = (
        f"{torch.get_num_threads()} threads, float32; {counts[0]:,} and {counts[1]:,} parameters; real images a second"
    )
    save("gan_step", "A step of two adversaries", "plain torch", [row], note, trial=asked.trial)


if __name__ == "__main__":
    main()
