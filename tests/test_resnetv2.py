"""Pre-activation ResNets: timm's networks, weight by weight, and what the order of norm and convolution implies."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import pytest
import torch
from torch import Tensor, nn

import convsmith as cs
from convsmith.arch import Act, ArchSpec, Image, Padding, Stage, Style, plan
from convsmith.families import spec
from convsmith.layers import Residual
from convsmith.model import Model, build
from convsmith.parts import BatchNorm, ConvStem, DeepStem, Halving, PlainConv, PooledClassifier, PreActBottleneck
from convsmith.weights.maps import Dialect, names, renamed


@torch.no_grad()
def shaken(model: nn.Module) -> nn.Module:
    """Every vector drawn, so that no norm is at 1 and 0 and no mistake hides."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.ndim == 1 and tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) / 2
            tensor.copy_(noise - 0.25 if name.endswith(("bias", "mean")) else noise + 0.75)
    return model


def apart(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", ["resnetv2_50", "resnetv2_50d", "resnetv2_50d_gn", "resnetv2_50d_evos"])
def test_the_network_is_timms(name: str) -> None:
    timm = pytest.importorskip("timm")
    # float64 sums in other orders, many layers deep; timm's EvoNorm takes its statistics in float32.
    close = 1e-5 if "evos" in name else 1e-9
    theirs = shaken(timm.create_model(name, num_classes=7, layers=[2, 1, 1, 1]).double())
    arch = spec(name, classes=7)
    arch = replace(arch, stages=tuple(replace(s, depth=2 if s is arch.stages[0] else 1) for s in arch.stages))
    mine = build(arch, seed=0).double()
    mine.load_state_dict(renamed(arch, theirs.state_dict(), Dialect.TIMM))
    found = names(arch, Dialect.TIMM)
    assert set(found.values()) == theirs.state_dict().keys()
    x = torch.randn(2, 3, 64, 64, dtype=torch.double)
    for mode in (True, False):  # training first: it moves running statistics
        a, b = mine.train(mode)(x), theirs.train(mode)(x)
        assert apart(a.detach(), b.detach()) < close
        seen = torch.randn_like(a)
        mine.zero_grad(), theirs.zero_grad()
        (a * seen).sum().backward(), (b * seen).sum().backward()
        gradients = dict(theirs.named_parameters())
        largest = max(float(parameter.grad.abs().max()) for parameter in gradients.values())
        for key, parameter in mine.named_parameters():
            assert (
                float((parameter.grad - gradients[found[key]].grad.view_as(parameter)).abs().max())
                < 10 * close * largest
            ), key


def small(depths: tuple[int, ...] = (2, 2)) -> ArchSpec:
    return ArchSpec(
        name="preact",
        input=Image(resolution=32),
        style=Style(norm=BatchNorm(act=Act.RELU), conv=PlainConv(padding=Padding.CIRCULAR)),
        stem=ConvStem(width=32, stride=1, bare=True),
        stages=tuple(Stage(PreActBottleneck(), depth, 128 * 2**i, 1 + (i > 0)) for i, depth in enumerate(depths)),
        head=PooledClassifier(classes=5, activated=False),
    )


def blocks(net: Model) -> list[Residual]:
    return [block for stage in net.stages for block in stage]


def test_nothing_stands_between_the_sums_of_a_stage() -> None:
    """With every branch at 0, a block that keeps its shape is the identity, bit for bit, negative values too."""
    net = build(small(), seed=0).eval()
    block = blocks(net)[1]
    nn.init.zeros_(block.branch.restore.weight)
    x = torch.randn(2, 128, 8, 8)
    assert torch.equal(block(x), x)


def test_the_projection_reads_what_the_first_norm_made() -> None:
    net = build(small(), seed=0).eval()
    block, x = blocks(net)[2], torch.randn(2, 128, 8, 8)
    inner = block.pre(x)
    assert inner.min() >= 0
    assert torch.equal(block(x), block.skip(inner) + block.branch(inner))


def test_convolutions_of_blocks_have_no_bias_and_no_norm_ends_a_branch() -> None:
    net = build(small(), device="meta")
    assert all(module.bias is None for module in net.modules() if isinstance(module, nn.Conv2d))
    for block in blocks(net):
        assert isinstance(block.branch[-1], nn.Conv2d)


def test_features_are_activated_before_they_are_pooled() -> None:
    net = build(small(), seed=0).eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        maps = net.forward_features(x)
        assert maps.min() >= 0 and torch.equal(net.forward_head(maps), net(x))
    assert {"head.conv.bn.weight", "head.fc.weight"} <= net.state_dict().keys()


def test_variance_grows_by_two_thirds_a_block_and_means_by_a_third() -> None:
    """BN - ReLU - He: the residual adds (1 - 1/pi) to the variance and 1/pi to the squared mean of channels, and a
    transition leaves twice that (sheet, 1.2). Mean of four seeds; circular padding, so that borders lose nothing."""
    grows, shift = 1 - 1 / pi, 1 / pi
    arch = small((3, 4))
    rows = []
    for seed in range(4):
        net, seen = build(arch, seed=seed).train(), []
        for block in blocks(net):
            # He by fan-in, as the law has it; ours is by fan-out, which differs where a convolution widens.
            for module in block.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            block.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out.detach()))
            block.branch.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out.detach()))
        with torch.no_grad():
            net(torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(seed)))
        rows.append(
            [(float(m.var((0, 2, 3), correction=0).mean()), float(m.mean((0, 2, 3)).square().mean())) for m in seen]
        )
    measured = torch.tensor(rows).mean(0)
    branches, outs = measured[0::2], measured[1::2]
    # seed sd of a variance is 2 %, of a squared mean 15 %: one random direction of 128 channels
    assert branches[:, 0] == pytest.approx(torch.full((7,), grows).tolist(), rel=0.06)
    expected = [2, 3, 4, 2, 3, 4, 5]
    assert outs[:, 0].tolist() == pytest.approx([grows * n for n in expected], rel=0.06)
    assert outs[:, 1].tolist() == pytest.approx([shift * n for n in expected], rel=0.25)


def test_the_deep_stem_may_end_bare() -> None:
    for then, last in ((Halving.POOL, "conv3"), (Halving.CONV, "conv4"), (Halving.NONE, "conv3")):
        stem = DeepStem(width=16, inner=8, then=then, bare=True)
        arch = small()
        node = plan(ArchSpec("s", arch.input, arch.style, stem, arch.stages, arch.head))[0]
        module = stem.build(node, arch.style)
        norms = {name: part.norm for name, part in module.named_children() if name != "pool"}
        assert [name for name, norm in norms.items() if isinstance(norm, nn.Identity)] == [last]
        assert module(torch.randn(1, 3, 32, 32)).min() < 0


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"preact_bottleneck\.kernel must be odd"):
        PreActBottleneck(kernel=4)
    with pytest.raises(ValueError, match=r"preact_bottleneck\.ratio must be above 0"):
        PreActBottleneck(ratio=0)


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [  # timm 1.0.31, counted on meta
        ("resnetv2_50", 25_549_352, 4_089_184_256),
        ("resnetv2_101", 44_541_480, 7_801_405_440),
        ("resnetv2_152", 60_185_128, 11_513_626_624),
    ],
)
def test_counts(name: str, params: int, macs: int) -> None:
    assert (cs.cost(spec(name)).params, cs.cost(spec(name)).macs) == (params, macs)
