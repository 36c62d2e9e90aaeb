"""Two networks that play against each other, on toys that a few steps move."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from convsmith.errors import Stopped
from convsmith.recipe import AdamW, Augment, Constant, Recipe
from convsmith.training import Adversaries, TrainingDiverged, collapses, fit, stand
from convsmith.training.adversaries import hinge, orthogonality
from convsmith.training.average import averaged
from convsmith.training.collapse import WATCHED, judged, largest
from convsmith.training.standing import has_statistics
from convsmith.training.watchdog import Watch
from convsmith.watcher import EpochDone, Looked, RolledBack

CPU = torch.device("cpu")
TOY = Recipe(
    name="toy",
    epochs=3,
    batch=16,
    optimiser=AdamW(beta1=0.0),
    rate=0.016,
    decay=0.0,
    warmup=0,
    schedule=Constant(),
    smoothing=0.0,
    clip=0.0,
    average=0.9,
    average_start=3,
    dropout=0.0,
    drop_path=0.0,
    batch_norm_momentum=0.1,
    augment=Augment(),
)


@dataclass(frozen=True)
class Toy:
    dim: int = 4
    classes: int = 3


class Generator(nn.Module):
    def __init__(self, norm: bool = True) -> None:
        super().__init__()
        self.embed = nn.Embedding(3, 4)
        self.fc = nn.Linear(8, 8 * 16)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.conv = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        x = self.fc(torch.cat((z, self.embed(y)), 1)).view(-1, 8, 4, 4)
        return self.conv(self.norm(x).relu()).tanh()


class Critic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.fc = nn.Linear(8, 1)
        self.embed = nn.Embedding(3, 8)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = self.conv(x).relu().sum((2, 3))
        return self.fc(h)[:, 0] + (self.embed(y) * h).sum(1)


@dataclass(frozen=True)
class Batch:
    images: Tensor
    answers: Tensor


@dataclass(frozen=True)
class Feed:
    """Stripes whose direction is the class; `part` (i, n) is the i-th of n parts of every batch."""

    size: int = 16
    steps_per_epoch: int = 6
    part: tuple[int, int] = (0, 1)

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        for step in range(first, last):
            rng = torch.Generator().manual_seed(step)
            y = torch.randint(3, (self.size,), generator=rng)
            noise = torch.rand((self.size, 1, 4, 4), generator=rng)
            line = (torch.arange(4) % 2).float()
            kinds = torch.stack((line.expand(4, 4), line[:, None].expand(4, 4), (line + line[:, None]) % 2))
            i, n = self.part
            own = slice(self.size * i // n, self.size * (i + 1) // n)
            yield Batch((200 * kinds[y][:, None] + 55 * noise).to(torch.uint8)[own], y[own])


def pair(recipe: Recipe = TOY, *, norm: bool = True, seed: int = 0) -> Adversaries:
    torch.manual_seed(seed)
    return Adversaries(Generator(norm), Critic(), Toy(), recipe)


def run(trainee: Adversaries, recipe: Recipe, checkpoint: Path, *, seed: int = 5, **more: object) -> list[object]:
    return list(
        fit(
            trainee,
            recipe,
            more.pop("feed", Feed()),  # type: ignore[arg-type]
            prepare=lambda images: images.float() / 127.5 - 1,
            evaluate=lambda network: {},
            checkpoint=checkpoint,
            device=CPU,
            seed=seed,
            **more,  # type: ignore[arg-type]
        )
    )


def weights(trainee: Adversaries) -> list[Tensor]:
    return [one.clone() for module in (trainee.product, trainee.critic) for one in module.state_dict().values()]


# ---- what they learn by ----------------------------------------------------------------------------------------------


def test_the_hinge_losses_are_the_published_ones() -> None:
    real, made = torch.tensor([2.0, 0.5, -1.0, 0.0]), torch.tensor([-2.0, -0.5, 1.0, 0.0])
    of_real, of_made = hinge(real, made)
    assert (of_real.item(), of_made.item()) == (0.875, 0.875)
    assert -made.mean().item() == 0.375


def test_where_the_margin_is_met_nothing_is_learnt_and_elsewhere_all_count_alike() -> None:
    real, made = (torch.tensor(one, requires_grad=True) for one in ([0.9, -0.3, 2.0, 0.0], [0.2, -0.7, -3.0, 0.1]))
    of_real, of_made = hinge(real, made)
    (of_real + of_made).backward()
    assert real.grad is not None and made.grad is not None
    assert real.grad.tolist() == [-0.25, -0.25, 0.0, -0.25]
    assert made.grad.tolist() == [0.25, 0.25, 0.0, 0.25]


def test_rows_that_are_not_orthogonal_are_penalised_by_the_published_number_and_its_true_gradient() -> None:
    """The code's gradient, 2 (W W' o (1 - I)) W, is half of it: 66 in one corner and 44 in the other."""
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    loss = orthogonality(layer)
    loss.backward()
    assert loss.item() == 242.0 and layer.weight.grad is not None
    assert (layer.weight.grad[0, 0].item(), layer.weight.grad[1, 1].item()) == (132.0, 88.0)
    both = nn.ModuleList((layer, nn.Embedding(5, 3)))
    assert orthogonality(both).item() == 242.0
    square = nn.Linear(6, 4)
    nn.init.orthogonal_(square.weight, gain=3.0)
    assert orthogonality(square).item() < 1e-9  # rounding of the float32 rows


def test_the_penalty_makes_rows_orthogonal(tmp_path: Path) -> None:
    found = []
    for weight in (0.0, 0.1):
        recipe = replace(TOY, orthogonal=weight, rate=0.1, average=0.0, average_start=0)
        run(trainee := pair(recipe), recipe, tmp_path / f"{weight}.pt")
        found += [orthogonality(trainee.product).item(), orthogonality(trainee.critic).item()]
    assert found[2] < 0.5 * found[0] and found[3] < found[1]  # the critic's few weights were nearly so before


def test_a_step_is_biggans_arithmetic(tmp_path: Path) -> None:
    """Written plainly: a critic's step on made and real images in one pass, then a generator's, each with its own z and y."""
    recipe = replace(TOY, epochs=1, average=0.0, average_start=0)
    trainee, plain = pair(recipe), pair(recipe)
    run(trainee, recipe, tmp_path / "last.pt", feed=Feed(steps_per_epoch=3))
    g, d, rate = plain.product.train(), plain.critic.train(), recipe.rate * 16 / 256
    of_g, of_d = (torch.optim.Adam(one.parameters(), lr=rate, betas=(0.0, 0.999), eps=1e-8) for one in (g, d))
    for at, batch in enumerate(Feed().batches(0, 3)):
        torch.manual_seed(5 * 1_000_003 + at)
        images = batch.images.float() / 127.5 - 1
        z, y = torch.randn(16, 4), torch.randint(3, (16,))
        with torch.no_grad():
            made = g(z, y)
        said = d(torch.cat((made, images)), torch.cat((y, batch.answers)))
        of_d.zero_grad()
        ((1 + said[:16]).relu().mean() + (1 - said[16:]).relu().mean()).backward()
        of_d.step()
        z, y = torch.randn(16, 4), torch.randint(3, (16,))
        of_g.zero_grad()
        (-d(g(z, y), y).mean()).backward()
        of_g.step()
    for ours, theirs in zip(weights(trainee), weights(plain), strict=True):
        # AdamW divides its rate as Adam does, in another order: some roundings of float32.
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_generator_learns_in_the_last_of_the_critics_steps_and_only_then_is_averaged(tmp_path: Path) -> None:
    recipe = replace(TOY, critic_steps=3, average_start=2)
    trainee = pair(recipe)
    before, changed = weights(trainee), []
    n = len(trainee.product.state_dict())
    conv = list(trainee.product.state_dict()).index("conv.weight")
    records = fit(
        trainee, recipe, Feed(), prepare=lambda images: images.float() / 127.5 - 1, evaluate=lambda network: {},
        checkpoint=tmp_path / "last.pt", device=CPU, seed=5,
    )  # fmt: skip
    for record in records:
        if type(record).__name__ == "StepDone":
            now = weights(trainee)
            changed.append((bool((now[conv] != before[conv]).any()), bool((now[n] != before[n]).any())))
            before = now
    assert changed == [(at % 3 == 2, True) for at in range(18)]
    state = torch.load(tmp_path / "last.pt", weights_only=False)
    assert int(state["average"]["n_averaged"]) == 6
    assert [len(one["state"]) > 0 for one in state["optimiser"]] == [True, True]


def test_the_critic_may_have_another_rate(tmp_path: Path) -> None:
    recipe = replace(TOY, epochs=1, critic_rate=4.0)
    run(pair(recipe), recipe, tmp_path / "last.pt", feed=Feed(steps_per_epoch=1))
    critic, generator = torch.load(tmp_path / "last.pt", weights_only=False)["optimiser"]
    assert [one["lr"] for one in critic["param_groups"]] == [0.004] * len(critic["param_groups"])
    assert [one["lr"] for one in generator["param_groups"]] == [0.001] * len(generator["param_groups"])


def test_losses_are_told_apart_and_each_is_a_mean_over_images(tmp_path: Path) -> None:
    """In a first step nothing was learnt yet, so both losses are those of the networks as they were made."""
    for steps in (1, 3):
        recipe = replace(TOY, epochs=1, rate=1e-12, critic_steps=steps)
        records = run(pair(recipe), recipe, tmp_path / f"{steps}.pt", feed=Feed(steps_per_epoch=3))
        done = next(one for one in records if isinstance(one, EpochDone))
        plain = pair(recipe)
        g, d = plain.product.train(), plain.critic.train()
        real, made, generator, fooled = [], [], [], []
        for at, batch in enumerate(Feed().batches(0, 3)):
            torch.manual_seed(5 * 1_000_003 + at)
            z, y = torch.randn(16, 4), torch.randint(3, (16,))
            with torch.no_grad():
                said = d(g(z, y), y)
                made.append((1 + said).relu().mean())
                fooled.append((said > 0).double().mean())
                real.append((1 - d(batch.images.float() / 127.5 - 1, batch.answers)).relu().mean())
                if (at + 1) % steps == 0:
                    z, y = torch.randn(16, 4), torch.randint(3, (16,))
                    generator.append(-d(g(z, y), y).mean())
        expected = [torch.stack(one).mean().item() for one in (real, made, generator)]
        assert [done.terms[name] for name in ("real", "made", "generator")] == pytest.approx(expected, rel=1e-5)
        assert done.train_loss == pytest.approx(sum(expected), rel=1e-5)
        assert done.train_score == pytest.approx(torch.stack(fooled).mean().item())


def test_a_batch_in_parts_makes_the_same_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without norms of batches, and with the same z and y however they are cut."""
    found = []
    for parts in (1, 4):
        rng = torch.Generator().manual_seed(0)
        pool = iter([(torch.randn(4, generator=rng), int(torch.randint(3, (), generator=rng))) for _ in range(400)])

        def drawn(
            latents: object, n: int, device: object, pool: Iterator[tuple[Tensor, int]] = pool
        ) -> tuple[Tensor, Tensor]:
            own = [next(pool) for _ in range(n)]
            return torch.stack([z for z, _ in own]), torch.tensor([y for _, y in own])

        monkeypatch.setattr("convsmith.training.adversaries.drawn", drawn)
        recipe = replace(TOY, epochs=1, accumulate=parts, orthogonal=0.01)
        run(trainee := pair(recipe, norm=False), recipe, tmp_path / f"{parts}.pt")
        found.append(weights(trainee))
    for whole, cut in zip(*found, strict=True):
        torch.testing.assert_close(whole, cut, rtol=1e-3, atol=1e-5)  # Adam's first steps enlarge a rounding


# ---- the moving average, and statistics ------------------------------------------------------------------------------


def test_an_average_that_starts_late_is_a_copy_and_then_goes_by_its_decay() -> None:
    model = nn.Linear(1, 1, bias=False).double()
    model.register_buffer("count", torch.zeros((), dtype=torch.float64))
    model.weight.data.fill_(5.0)
    average = averaged(model, 0.9999, start=10)
    shadow = average.module
    for _ in range(10):
        model.weight.data.add_(1.0)
        model.count.add_(1.0)
        average.update_parameters(model)
        assert shadow.weight.item() == model.weight.item() and shadow.count.item() == model.count.item()
    model.weight.data.fill_(3.0)
    for _ in range(10_000):
        average.update_parameters(model)
    share = (shadow.weight.item() - 3.0) / (15.0 - 3.0)
    assert share == pytest.approx(0.9999**10_000, rel=1e-9) and share == pytest.approx(0.3678610464, abs=1e-8)
    still = averaged(model, 0.9999, start=1)
    for _ in range(50):
        still.update_parameters(model)
    assert still.module.weight.item() == pytest.approx(3.0, abs=1e-14)


def test_standing_statistics_of_equal_batches_are_those_of_the_batch() -> None:
    generator = pair().product
    batch = torch.randn(32, 4), torch.randint(3, (32,))
    before = {name: one.clone() for name, one in generator.named_parameters()}
    momentum = generator.norm.momentum
    stand(generator, lambda k: batch, batches=5)
    maps = generator.fc(torch.cat((batch[0], generator.embed(batch[1])), 1)).view(-1, 8, 4, 4)
    torch.testing.assert_close(generator.norm.running_mean, maps.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(generator.norm.running_var, maps.var((0, 2, 3)), rtol=1e-5, atol=1e-6)
    assert generator.norm.momentum == momentum and not generator.training and not generator.norm.training
    assert all(bool((one == before[name]).all()) for name, one in generator.named_parameters())


def test_standing_statistics_are_a_plain_mean_over_batches() -> None:
    generator = pair().product
    batches = [(k * torch.randn(32, 4), torch.randint(3, (32,))) for k in (1, 2, 3)]
    stand(generator, lambda k: batches[k], batches=3)
    maps = [generator.fc(torch.cat((z, generator.embed(y)), 1)).view(-1, 8, 4, 4) for z, y in batches]
    mean, variance = (torch.stack([of(m, (0, 2, 3)) for m in maps]).mean(0) for of in (torch.mean, torch.var))
    torch.testing.assert_close(generator.norm.running_mean, mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(generator.norm.running_var, variance, rtol=1e-5, atol=1e-6)


def test_without_statistics_nothing_stands() -> None:
    generator = pair(norm=False).product
    assert not has_statistics(generator) and has_statistics(pair().product)
    before = {name: one.clone() for name, one in generator.state_dict().items()}
    stand(generator, lambda k: (_ for _ in ()).throw(AssertionError("nothing is made")))
    assert all(bool((one == before[name]).all()) for name, one in generator.state_dict().items())


# ---- killed and resumed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("watched", [False, True], ids=["plain", "watched"])
def test_a_run_that_was_stopped_and_resumed_ends_with_the_same_two_networks(tmp_path: Path, watched: bool) -> None:
    recipe = replace(TOY, critic_steps=2, accumulate=2)

    def lookout(trainee: Adversaries) -> dict[str, object]:
        return {"lookout": collapses(trainee, Toy(), every=2)} if watched else {}

    run(whole := pair(recipe), recipe, tmp_path / "whole.pt", **lookout(whole))
    steps = iter(range(1, 100))
    stopped, resumed = pair(recipe), pair(recipe, seed=9)
    with pytest.raises(Stopped):
        run(stopped, recipe, tmp_path / "cut.pt", stop=lambda: next(steps) == 8, **lookout(stopped))
    records = run(resumed, recipe, tmp_path / "cut.pt", **lookout(resumed))
    assert records[0].step == 8  # type: ignore[attr-defined]
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(resumed), strict=True))


# ---- collapse --------------------------------------------------------------------------------------------------------


def test_a_provoked_collapse_is_noticed_and_taken_back(tmp_path: Path) -> None:
    """In step 10, once, the generator forgets z: from then on it has one image for each class."""
    trainee, provoked = pair(TOY), []
    gradients = trainee.gradients

    def forgetting(turn: nn.Module, images: Tensor, answers: Tensor, moment: object) -> Tensor:
        if moment.step == 9 and not provoked:  # type: ignore[attr-defined]
            provoked.append(True)
            with torch.no_grad():
                trainee.product.fc.weight[:, :4] = 0
        return gradients(turn, images, answers, moment)  # type: ignore[arg-type]

    trainee.gradients = forgetting  # type: ignore[method-assign]
    records = run(trainee, TOY, tmp_path / "last.pt", lookout=collapses(trainee, Toy(), every=3))
    falls = [one for one in records if isinstance(one, RolledBack)]
    assert [(one.step, one.to, one.share) for one in falls] == [(12, 9, 0.5)]
    assert "hardly varies any more" in falls[0].reason
    looks = [one for one in records if isinstance(one, Looked)]
    assert all(set(one.values) == set(WATCHED) for one in looks)
    bad = next(one for one in looks if one.step == 12)
    assert bad.values["spread"] < 0.1 * looks[-1].values["spread"]
    assert looks[-1].step == 18 and trainee.product.fc.weight[:, :4].abs().max() > 0.01


def test_looks_leave_training_as_it_was(tmp_path: Path) -> None:
    run(plain := pair(), TOY, tmp_path / "plain.pt")
    watched = pair()
    run(watched, TOY, tmp_path / "watched.pt", lookout=collapses(watched, Toy(), every=2))
    assert all(torch.equal(a, b) for a, b in zip(weights(plain), weights(watched), strict=True))


def test_what_is_a_collapse_and_what_is_not() -> None:
    usual = Watch(usual=(0.8, 1.2, 2.0, 3.0))
    assert judged(usual, (0.8, 1.2, 2.0, 3.0)) == "" and judged(Watch(), (0.1, 2.0, 1.0, 1.0)) == ""
    assert judged(usual, (0.3, 0.05, 7.9, 11.9)) == ""
    assert "hardly varies" in judged(usual, (0.19, 1.2, 2.0, 3.0))
    assert "the critic has won" in judged(usual, (0.8, 0.01, 2.0, 3.0))
    assert "generator sigma is 8.1" in judged(usual, (0.8, 1.2, 8.1, 3.0))
    assert "critic sigma is 12.1" in judged(usual, (0.8, 1.2, 2.0, 12.1))
    assert "spread became nan" in judged(usual, (math.nan, 1.2, 2.0, 3.0))


def test_a_training_that_falls_and_falls_ends_in_words(tmp_path: Path) -> None:
    trainee = pair(TOY)
    lookout = replace(collapses(trainee, Toy(), every=1), judged=lambda watch, seen, done: "as ordered")
    with pytest.raises(TrainingDiverged, match="collapsed 11 times, the last time at step 1: as ordered"):
        run(trainee, TOY, tmp_path / "last.pt", lookout=lookout)


def test_the_largest_singular_value_is_found() -> None:
    layer = nn.Linear(3, 2, bias=False)
    layer.weight.data = torch.tensor([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert largest(layer) == pytest.approx(3.0, rel=1e-6)  # the ratio 1/9 to the 8th power is below that
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(6, 12, 3), nn.Conv2d(12, 5, 1))
    exact = max(float(torch.linalg.matrix_norm(one.weight.detach().flatten(1), 2)) for one in model)
    assert 0.9 * exact < largest(model) <= exact * (1 + 1e-6)  # it is found from below
