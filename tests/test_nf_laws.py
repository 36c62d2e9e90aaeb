"""Normaliser-free networks as wholes: how signals spread in them, what folds, and every golden count (Brock et al., 2021)."""

from __future__ import annotations

import copy
import csv
from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import convsmith as cs
from convsmith.arch import Act, ArchSpec, Conv, Image, Padding, Stage, Style, plan
from convsmith.families import names
from convsmith.layers import Conv2d, Gained, Residual, ScaledWSConv2d
from convsmith.model import Model
from convsmith.parts import SE, ConvStem, NFBottleneck, NFRegNetBlock, NoNorm, PlainConv, PooledClassifier, ScaledWS


def network(
    block: NFBottleneck | NFRegNetBlock,
    *,
    act: Act = Act.RELU,
    depths: tuple[int, ...] = (3, 4, 6, 3),
    width: int = 32,
    conv: Conv | None = None,
) -> ArchSpec:
    rows = ((depth, 4 * width * 2**i, 1 + (i > 0)) for i, depth in enumerate(depths))
    return ArchSpec(
        name="nf",
        input=Image(resolution=32),
        style=Style(norm=NoNorm(act=act, gain=True), conv=conv or ScaledWS(padding=Padding.CIRCULAR)),
        stem=ConvStem(width=width, stride=1, bare=True),
        stages=tuple(Stage(block, *row) for row in rows),
        head=PooledClassifier(classes=10, activated=False),
    )


def blocks(net: Model) -> list[Residual]:
    return [block for stage in net.stages for block in stage]


def awake(net: Model) -> Model:
    """Branches that start at 0 set to what they are trained to be, somewhere."""
    with torch.no_grad():
        for block in blocks(net):
            if block.gain is not None:
                block.gain.fill_(0.7)
            last = block.branch.restore
            if isinstance(last, ScaledWSConv2d):
                last.gain.uniform_(0.5, 1.5), last.bias.normal_()
    return net


def signals(net: Model, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of each block on Gaussian noise: variance and squared mean of its output, variance of its branch (section 2)."""
    outs: list[Tensor] = []
    branches: list[Tensor] = []
    for block in blocks(net):
        block.register_forward_hook(lambda _, __, out: outs.append(out))
        block.branch.register_forward_hook(lambda _, __, out: branches.append(out))
    with torch.no_grad():
        net(torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(seed)))
    variances = torch.stack([out.var((0, 2, 3), correction=0).mean() for out in outs])
    means = torch.stack([out.mean((0, 2, 3)).square().mean() for out in outs])
    return variances, means, torch.stack([out.var((0, 2, 3), correction=0).mean() for out in branches])


def expected(arch: ArchSpec) -> Tensor:
    return torch.tensor([node.part.variance(node.variance, keeps=node.keeps) for node in plan(arch)[1:-1]])


def test_relu_branches_have_variance_one_and_means_stay_away() -> None:
    arch = network(NFBottleneck(skip_init=False))
    variances, means, branches = signals(cs.build(arch, seed=0), 0)
    assert branches.min() > 0.85 and branches.max() < 1.15  # sheet, 1.2: 0.979 to 1.035 in the mean of four seeds
    assert (variances / expected(arch) - 1).abs().max() < 0.1
    assert means.max() < 0.05 * variances.min()


@pytest.mark.parametrize("first", [False, True])
def test_silu_exceeds_the_law_a_little(first: bool) -> None:
    """SiLU is no homogeneous function, so the law only nearly holds, in either order of activation and 1/beta."""
    arch = network(NFBottleneck(skip_init=False, beta_first=first), act=Act.SILU)
    variances, _, branches = signals(cs.build(arch, seed=0), 0)
    assert branches.min() > 0.85 and branches.max() < 1.35
    ratio = variances / expected(arch)
    assert ratio.min() > 0.93 and ratio.max() < 1.2


def test_without_standardised_filters_means_take_over() -> None:
    """The same network with He's filters: branches fade and channels drift apart, which the plain counterpart shows."""
    block, depths = NFBottleneck(skip_init=False), (12, 12)
    plain = network(block, depths=depths, width=16, conv=PlainConv(padding=Padding.CIRCULAR))
    plain = plain.with_style(norm=NoNorm(act=Act.RELU))
    net = cs.build(plain, seed=0)
    for module in net.modules():
        if isinstance(module, Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    variances, means, branches = signals(net, 0)
    assert branches[-1] < 0.6 and means[-1] > 0.5 * variances[-1]
    _, means, branches = signals(cs.build(network(block, depths=depths, width=16), seed=0), 0)
    assert branches[-1] > 0.85 and means[-1] < 0.1


@pytest.mark.parametrize("name", ["nf_resnet26", "nf_resnet50_paper", "nf_resnet288_paper", "nf_regnet_b0_paper"])
def test_no_beta_exceeds_what_its_stage_can_grow_to(name: str) -> None:
    arch = cs.spec(name)
    deepest = max(stage.depth for stage in arch.stages)
    betas = [sqrt(node.variance) for node in plan(arch)[1:-1]]
    assert betas[0] == 1 and max(betas) <= sqrt(1 + 0.04 * deepest) + 1e-12
    for before, node in zip(plan(arch)[1:], plan(arch)[2:-1], strict=False):
        grown = before.variance if before.keeps else 1.0
        assert node.variance == pytest.approx(grown + 0.04, rel=1e-12)  # a transition restarts at 1 + alpha^2, not at 1


@pytest.mark.parametrize("act", [Act.RELU, Act.SILU])
def test_the_equations_order_and_the_releases_agree_for_relu_only(act: Act) -> None:
    x = torch.randn(2, 3, 32, 32, dtype=torch.double)
    logits = []
    for first in (False, True):
        arch = network(NFBottleneck(skip_init=False, beta_first=first), act=act, depths=(3, 2))
        with torch.no_grad():
            logits.append(cs.build(arch, seed=0).double()(x))
    apart = float((logits[0] - logits[1]).abs().max() / logits[0].abs().max())
    assert apart < 1e-12 if act is Act.RELU else apart > 1e-3


@pytest.mark.parametrize("first", [False, True])
def test_a_block_is_its_equation(first: bool) -> None:
    """x' = x + alpha gain f(gamma act(x) / beta), by the parts of a block that keeps its shape."""
    arch = network(NFBottleneck(beta_first=first), act=Act.SILU, depths=(3,))
    net = awake(cs.build(arch, seed=0).double())
    block, beta = blocks(net)[2], sqrt(plan(arch)[3].variance)
    x = 2 * torch.randn(2, 128, 6, 6, dtype=torch.double)
    given, act = x.clone(), Gained(nn.SiLU(), arch.style.norm.factor)  # type: ignore[attr-defined]
    f = copy.deepcopy(block.branch)
    if not first:
        f.reduce.conv.scale *= beta
    inner = act(x / beta) if first else act(x) / beta
    torch.testing.assert_close(block(x), x + 0.2 * 0.7 * f(inner), rtol=1e-12, atol=1e-12)
    assert torch.equal(x, given)


@pytest.mark.parametrize("name", ["nf_resnet50_paper", "nf_regnet_b0_paper", "nf_regnet_b0"])
def test_everything_folds_into_plain_convolutions(name: str) -> None:
    """Filters, 1/beta, alpha and SkipInit's scalar: what remains is convolutions, activations and sums."""
    arch = cs.spec(name, classes=5)
    arch = replace(arch, stages=tuple(replace(stage, depth=min(stage.depth, 2)) for stage in arch.stages))
    arch = arch.with_style(conv=replace(arch.style.conv, padding=Padding.SYMMETRIC), drop_path=0.0)
    net = awake(cs.build(arch, seed=0).double()).eval()
    nn.init.normal_(net.head.fc.weight)
    folded = copy.deepcopy(net)
    for name, module in list(folded.named_modules()):
        if isinstance(module, ScaledWSConv2d):
            folded.set_submodule(name, module.plain())
    x = torch.randn(1, 3, 64, 64, dtype=torch.double)
    with torch.no_grad():
        assert torch.equal(folded(x), net(x))
        for block in blocks(folded):
            factor = block.alpha * (1.0 if block.gain is None else float(block.gain))
            block.branch.restore.weight.mul_(factor), block.branch.restore.bias.mul_(factor)
            block.alpha, block.gain = 1.0, None
        torch.testing.assert_close(folded(x), net(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["nf_resnet50", "nf_seresnet26", "nf_regnet_b0"])
def test_timms_networks_start_with_silent_branches(name: str) -> None:
    arch = cs.spec(name)
    arch = replace(arch, stages=tuple(replace(stage, depth=min(stage.depth, 2)) for stage in arch.stages))
    net = cs.build(arch, seed=0).eval()
    for block, node in zip(blocks(net), plan(arch)[1:-1], strict=True):
        assert block.branch.restore.gain.eq(0).all() and block.gain is None
        x = torch.randn(1, node.c_in, 8, 8)
        with torch.no_grad():
            assert torch.equal(block(x), x if node.keeps else block.skip(block.pre(x)))


def test_training_is_evaluation_where_nothing_is_dropped() -> None:
    x = torch.randn(3, 3, 32, 32, dtype=torch.double)
    for block in (NFBottleneck(), NFRegNetBlock(se=SE(ratio=0.5, act=Act.RELU, gain=2.0))):
        net = awake(cs.build(network(block, act=Act.SILU, depths=(2, 2), width=8), seed=0).double())
        trained = net.train()(x)
        torch.testing.assert_close(net.eval()(x), trained, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(net(x[1:2]), trained[1:2], rtol=1e-12, atol=1e-12)


def test_a_doubled_gate_lets_an_average_signal_through() -> None:
    """A gate starts at one half; the gain of 2 makes up for it."""
    gate = SE(ratio=0.5, gain=2.0).build(64, of=64)
    nn.init.zeros_(gate.expand.weight)
    x = torch.randn(2, 64, 5, 5)
    torch.testing.assert_close(gate(x), x)


@pytest.mark.slow
def test_golden_counts() -> None:
    """Every row of the golden file whose network we have, at every size it lists."""
    golden = Path(__file__).parents[2] / "shared" / "spec" / "golden" / "nf_resnet.csv"
    if not golden.is_file():
        pytest.skip("no specification sheets beside the project")
    checked = 0
    for row in csv.DictReader(golden.read_text().splitlines()):
        name = row["name"].lower().replace("-", "_")
        if row["source"].startswith("reference config"):
            name += "_paper"
        if name not in names() or not row["params_exact"]:
            continue
        cost = cs.cost(cs.spec(name, resolution=int(row["resolution"])))
        assert (cost.params, cost.macs) == (int(row["params_exact"]), int(row["macs_measured"])), row["name"]
        checked += 1
    assert checked >= 30
