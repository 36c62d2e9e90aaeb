"""Optimiser, clipping, mixing, sides, decay groups, stochastic depth: each against its equation."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from timm.optim import RMSpropTF as TimmRMSpropTF
from torch import nn

import convsmith as cs
from convsmith.arch import Ramp, plan
from convsmith.recipe import RMSPropTF
from convsmith.recipes import QUICK, changed
from convsmith.tasks import Classify
from convsmith.tasks.mixing import mixed, mixed_loss, side_at
from convsmith.training import parameter_groups
from convsmith.training import rmsprop as rmsprop_module
from convsmith.training.clip import clip_adaptively
from convsmith.training.optim import optimiser
from convsmith.training.rmsprop import RMSPropTF as Optimiser

# ---- RMSProp ---------------------------------------------------------------------------------------------------------


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 16, 5)).double()


def descend(model: nn.Module, optim: torch.optim.Optimizer, steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        for group in optim.param_groups:
            group["lr"] = 0.01 / (1 + step)
        optim.zero_grad()
        model(torch.randn(4, 3, 6, 6, generator=generator, dtype=torch.float64)).square().mean().backward()
        optim.step()


def test_rmsprop_is_the_equation_of_its_docstring() -> None:
    w = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optim = Optimiser([w], 0.1, decay=0.9, momentum=0.8, eps=1e-3, weight_decay=0.01)
    ours = [1.0, -2.0]
    square, speed = [1.0, 1.0], [0.0, 0.0]
    for step in range(5):
        gradient = [0.3 * (step + 1), -0.2]
        w.grad = torch.tensor(gradient, dtype=torch.float64)
        optim.step()
        for i in range(2):
            g = gradient[i] + 0.01 * ours[i]
            square[i] = 0.9 * square[i] + 0.1 * g**2
            speed[i] = 0.8 * speed[i] + 0.1 * g / math.sqrt(square[i] + 1e-3)
            ours[i] -= speed[i]
    assert w.tolist() == pytest.approx(ours, rel=1e-13)


@pytest.mark.parametrize("block", [7, 100, 2**17])
def test_rmsprop_is_timm_s_whatever_the_blocks_it_is_cut_into(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rmsprop_module, "BLOCK", block)
    ours, theirs = network(), network()
    descend(ours, Optimiser(ours.parameters(), 0.0, weight_decay=1e-3), 20)
    descend(theirs, TimmRMSpropTF(theirs.parameters(), 0.0, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=1e-3), 20)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_rmsprop_s_first_step_is_small_where_torch_s_is_not() -> None:
    ours, theirs = (nn.Parameter(torch.zeros(1)) for _ in range(2))
    for w in (ours, theirs):
        w.grad = torch.full((1,), 1e-2)
    Optimiser([ours], 1.0).step()
    torch.optim.RMSprop([theirs], 1.0, alpha=0.9, eps=1e-3).step()
    assert abs(ours.item()) == pytest.approx(1e-2 / math.sqrt(0.9 + 1e-5 + 1e-3), rel=1e-5)
    assert abs(theirs.item()) > 2


def test_rmsprop_leaves_weights_without_a_gradient_alone_and_keeps_channels_last() -> None:
    still, moved = (
        nn.Parameter(torch.ones(3)),
        nn.Parameter(torch.ones(4, 3, 3, 3).to(memory_format=torch.channels_last)),
    )
    optim = Optimiser([still, moved], 0.1)
    moved.grad = torch.ones_like(moved)
    optim.step()
    assert torch.equal(still, torch.ones(3)) and not optim.state[still]
    assert optim.state[moved]["square"].is_contiguous(memory_format=torch.channels_last)
    assert optim.step(lambda: 3.0) == 3.0


@pytest.mark.parametrize("wrong", [{"decay": 1.0}, {"momentum": -0.1}, {"eps": 0.0}, {"weight_decay": -1.0}])
def test_rmsprop_refuses_what_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="RMSPropTF needs"):
        Optimiser([nn.Parameter(torch.zeros(1))], 0.1, **wrong)


def test_a_recipe_s_rmsprop_has_the_recipe_s_constants() -> None:
    recipe = changed(QUICK, ["optimiser.kind=rmsprop-tf", "optimiser.eps=0.01", "decay=0.001"])
    assert recipe.optimiser == RMSPropTF(eps=0.01)
    optim = optimiser(network(), recipe)
    assert [group["weight_decay"] for group in optim.param_groups] == [0.001, 0.0]
    assert {group["eps"] for group in optim.param_groups} == {0.01}


# ---- what decays -----------------------------------------------------------------------------------------------------


def test_gains_of_standardised_convolutions_do_not_decay() -> None:
    model = cs.build(cs.spec("nf_resnet26"))
    decayed, free = ({id(p) for p in group["params"]} for group in parameter_groups(model, 0.1))
    gains = [p for name, p in model.named_parameters() if name.endswith("gain")]
    assert gains and all(id(p) in free for p in gains)
    assert all(id(p) in decayed for name, p in model.named_parameters() if name.endswith("weight"))


def test_biases_of_layers_decay_where_the_recipe_says_so_and_norms_never() -> None:
    model = cs.build(cs.spec("efficientnet_b0"))
    kinds = {id(p): module for module in model.modules() for p in module.parameters(recurse=False)}
    decayed, free = parameter_groups(model, 0.1, biases=True)
    assert all(isinstance(kinds[id(p)], nn.Conv2d | nn.Linear) for p in decayed["params"])
    assert all(isinstance(kinds[id(p)], nn.BatchNorm2d) for p in free["params"])


# ---- clipping --------------------------------------------------------------------------------------------------------


def test_adaptive_clipping_bounds_each_unit_by_its_weights_and_spares_the_classifier() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    with torch.no_grad():
        model[0].weight[0] = 0
        model[0].weight.grad[1] *= 1e-6
    before = copy.deepcopy([p.grad for p in model.parameters()])
    clip_adaptively(model, 0.01)
    weight, grad = model[0].weight.flatten(1), model[0].weight.grad.flatten(1)
    limits = 0.01 * weight.norm(dim=1).clamp_min(1e-3)
    assert (grad.norm(dim=1) <= limits * 1.0001).all()
    assert grad[0].norm() == pytest.approx(1e-5, rel=1e-4)  # a unit at zero may still leave it
    assert torch.equal(grad[1], before[0].flatten(1)[1])  # short enough: untouched
    cosine = nn.functional.cosine_similarity(grad, before[0].flatten(1))
    assert cosine.min() > 0.9999  # shortened, never turned
    assert model[0].bias.grad.norm() <= 0.01 * max(model[0].bias.norm(), 1e-3) * 1.0001
    assert torch.equal(model[2].weight.grad, before[2]) and torch.equal(model[2].bias.grad, before[3])


# ---- mixing ----------------------------------------------------------------------------------------------------------


def test_mixup_is_the_weighted_mean_and_tells_the_weight() -> None:
    images = torch.rand(6, 3, 5, 7)
    made, own = mixed(images, mixup=0.4, cutmix=0)
    weights = own[:, None, None, None]
    torch.testing.assert_close(made, weights * images + (1 - weights) * images.flip(0))
    assert ((own >= 0) & (own <= 1)).all()


def test_cutmix_pastes_one_rectangle_and_counts_what_is_left() -> None:
    images = torch.arange(8.0)[:, None, None, None].expand(8, 1, 12, 16)
    made, own = mixed(images, mixup=0, cutmix=1.0)
    for i in range(8):
        pasted = made[i, 0] != i
        assert own[i].item() == pytest.approx(1 - pasted.float().mean().item())
        assert set(made[i].unique().tolist()) <= {float(i), float(7 - i)}
        rows, columns = pasted.any(1), pasted.any(0)
        assert torch.equal(pasted, rows[:, None] & columns[None, :])


def test_with_both_each_takes_half_of_the_batch() -> None:
    images = torch.arange(8.0)[:, None, None, None].expand(8, 1, 32, 32)
    made, _ = mixed(images, mixup=0.2, cutmix=1.0)
    pure = [set(one.unique().tolist()) <= {float(i), float(7 - i)} for i, one in enumerate(made)]
    assert all(pure[::2])


def test_the_mixed_loss_is_cross_entropy_towards_mixed_labels() -> None:
    logits, labels, own = torch.randn(6, 4), torch.randint(0, 4, (6,)), torch.rand(6)
    one_hot = nn.functional.one_hot(labels, 4).float()
    soft = own[:, None] * one_hot + (1 - own[:, None]) * one_hot.flip(0)
    soft = 0.9 * soft + 0.1 / 4
    expected = nn.functional.cross_entropy(logits, soft)
    torch.testing.assert_close(mixed_loss(logits, labels, own, smoothing=0.1), expected)


def test_the_share_of_mixup_is_beta_distributed() -> None:
    _, own = mixed(torch.zeros(20_000, 1, 1, 1), mixup=0.2, cutmix=0)
    # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)); five standard errors.
    assert abs(own.mean() - 0.5) < 5 * math.sqrt(0.1786 / 20_000)
    assert own.var().item() == pytest.approx(1 / (4 * 1.4), abs=0.01)


def test_smoothing_at_equal_logits_costs_the_logarithm_of_the_classes() -> None:
    recipe = changed(QUICK, ["smoothing=0.3"])
    seen = Classify().loss(lambda images: torch.zeros(2, 7), torch.zeros(2, 3, 4, 4), torch.tensor([0, 6]), recipe)
    assert seen.loss.item() == pytest.approx(math.log(7))


def test_images_grow_to_their_full_side_by_three_quarters_of_the_run() -> None:
    sides = [side_at(64, epoch, 20, first=0.5) for epoch in range(20)]
    assert sides[0] == 32 and sides == sorted(sides) and sides[15:] == [64] * 5
    seen = []
    recipe = changed(QUICK, ["first_side=0.5", "epochs=20"])

    def model(images: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(images.shape[2:]))
        return images.mean((2, 3))

    for epoch in (0, 19):
        model(Classify().shown(torch.rand(2, 3, 64, 64), torch.tensor([0, 1]), recipe, epoch)[0])
    assert seen == [(32, 32), (64, 64)]


# ---- stochastic depth ------------------------------------------------------------------------------------------------


def test_stochastic_depth_by_stage_is_resnet_rs_s_and_by_block_efficientnet_s() -> None:
    by_stage = plan(cs.spec("resnetrs200").with_style(drop_path=0.1, ramp=Ramp.STAGES))[1:-1]
    assert [round(node.drop_path, 10) for node in by_stage] == [0.04] * 3 + [0.06] * 24 + [0.08] * 36 + [0.10] * 3
    by_block = plan(cs.spec("efficientnet_b0").with_style(drop_path=0.2))[1:-1]
    assert [round(node.drop_path, 10) for node in by_block] == [round(0.0125 * b, 10) for b in range(16)]
