"""The lambda layer: one definition, several schedules, and what follows from the definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import convsmith as cs
from convsmith.arch import Act, ArchSpec, Image, Stage, Style
from convsmith.costs import cost, operations
from convsmith.exporting import export_onnx
from convsmith.exporting.ort import runner
from convsmith.layers import LambdaLayer
from convsmith.layers.lambda_schedules import by_convolution, by_rows, by_tiles, position_term
from convsmith.parts import BatchNorm, Bottleneck, ConvStem, Lambda, PlainConv, PooledClassifier

SCHEDULES = {
    "convolution": by_convolution,
    "rows": by_rows,
    "tiles of 4": lambda q, v, e: by_tiles(q, v, e, tile=4),
    "tiles of 3": lambda q, v, e: by_tiles(q, v, e, tile=3),
    "chosen": position_term,
}


def definition(q: Tensor, v: Tensor, e: Tensor) -> Tensor:
    """sum_k q_ik sum_{u,m} E[k,u,m-i] V[u,v,m], one pair of positions after another."""
    n, h, _, height, width = q.shape
    reach = e.shape[-1] // 2
    rows = []
    for i in range(height):
        for j in range(width):
            total = q.new_zeros(n, h, v.shape[2])
            for a in range(max(0, i - reach), min(height, i + reach + 1)):
                for b in range(max(0, j - reach), min(width, j + reach + 1)):
                    weight = torch.einsum("nhk,ku->nhu", q[..., i, j], e[:, :, a - i + reach, b - j + reach])
                    total = total + torch.einsum("nhu,nuv->nhv", weight, v[..., a, b])
            rows.append(total)
    return torch.stack(rows, -1).view(n, h, v.shape[2], height, width)


def drawn(height: int, width: int, scope: int, intra: int) -> tuple[Tensor, Tensor, Tensor]:
    q = torch.randn(2, 3, 4, height, width, dtype=torch.double, requires_grad=True)
    v = torch.randn(2, intra, 5, height, width, dtype=torch.double, requires_grad=True)
    return q, v, torch.randn(4, intra, scope, scope, dtype=torch.double, requires_grad=True)


# ---- schedules ----


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("height", "width", "scope", "intra"), [(5, 6, 3, 1), (4, 4, 9, 2), (6, 5, 5, 2), (1, 1, 3, 1), (9, 7, 1, 1)]
)
def test_every_schedule_is_the_definition(schedule, height, width, scope, intra):
    inputs = drawn(height, width, scope, intra)
    expected, found = definition(*inputs), SCHEDULES[schedule](*inputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    grad = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, grad), torch.autograd.grad(expected, inputs, grad), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize("schedule", ["rows", "tiles of 3"])
def test_written_gradients_are_the_numerical_ones(schedule):
    q, v, e = (
        torch.randn(s, dtype=torch.double, requires_grad=True) for s in ((1, 2, 2, 3, 3), (1, 1, 2, 3, 3), (2, 1, 3, 3))
    )
    assert torch.autograd.gradcheck(SCHEDULES[schedule], (q, v, e))


def test_a_flipped_kernel_is_another_layer():
    q, v, e = drawn(5, 5, 3, 1)
    assert (position_term(q, v, e.flip(-1, -2)) - definition(q, v, e)).abs().max() > 0.1


def test_tiles_hold_memory_in_proportion_to_positions():
    """What is kept for the backward pass of a local layer: four times the positions, four times the bytes."""

    def kept(side: int) -> int:
        layer, total = LambdaLayer(16, key=4, heads=2, scope=3), 0
        x = torch.randn(1, 16, side, side)

        def pack(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            layer(x)
        return total

    # The weights are kept too, and windows overlap: the ratio is 4 but for their small share.
    assert 3.5 < kept(64) / kept(32) < 4.2


# ---- the layer ----


def layer(**options: int | None) -> LambdaLayer:
    return LambdaLayer(16, key=4, heads=2, **options).double().eval()  # type: ignore[arg-type]


@pytest.mark.parametrize(("channels", "expected"), [(64, 14_768), (128, 22_992), (256, 45_584), (512, 115_344)])
def test_parameters_follow_the_closed_form(channels, expected):
    """d (hk + ku + vu) + 2 (hk + vu) + k u r^2 at k = 16, h = 4, u = 1, r = 23; numbers from the sheet's table."""
    assert sum(p.numel() for p in LambdaLayer(channels).parameters()) == expected


def test_a_global_layer_is_a_local_one_whose_scope_covers_the_map():
    wide = layer(scope=2 * 6 - 1, size=6)
    x = torch.randn(2, 16, 6, 6, dtype=torch.double)
    local = layer(scope=13)
    local.load_state_dict(wide.state_dict() | {"embedding": nn.functional.pad(wide.embedding.detach(), (1,) * 4)})
    torch.testing.assert_close(wide(x), local(x), rtol=0, atol=1e-12)


def test_a_global_layer_refuses_a_larger_map():
    with pytest.raises(ValueError, match="positions for maps of side 6; got 7 x 7"):
        layer(scope=11, size=6)(torch.randn(1, 16, 7, 7, dtype=torch.double))


def test_without_positions_permuting_the_context_permutes_the_output():
    net = layer(scope=3)
    nn.init.zeros_(net.embedding)
    x = torch.randn(1, 16, 4, 4, dtype=torch.double)
    order = torch.randperm(16)
    shuffled = net(x.flatten(2)[..., order].view_as(x)).flatten(2)
    torch.testing.assert_close(shuffled, net(x).flatten(2)[..., order], rtol=0, atol=1e-12)
    nn.init.normal_(net.embedding)
    assert (net(x.flatten(2)[..., order].view_as(x)).flatten(2) - net(x).flatten(2)[..., order]).abs().max() > 0.1


def test_a_constant_added_to_the_keys_changes_nothing():
    """Their softmax runs over positions, for each image and key."""
    q = torch.randn(1, 2, 4, 3, 3, dtype=torch.double)
    v = torch.randn(1, 1, 8, 3, 3, dtype=torch.double)
    k = torch.randn(1, 4, 9, dtype=torch.double)
    net = layer(scope=3)
    a, b = (net._content(q, (k + shift).softmax(-1), v) for shift in (0.0, 5.0))
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_away_from_the_border_positions_move_with_the_image():
    q, v, e = (torch.randn(s, dtype=torch.double) for s in ((1, 2, 3, 1, 1), (1, 1, 2, 12, 12), (3, 1, 5, 5)))
    q = q.expand(1, 2, 3, 12, 12)  # equal queries, so that only the values move
    here, moved = position_term(q, v, e), position_term(q, v.roll(1, -1), e)
    torch.testing.assert_close(moved[..., 3:-3], here.roll(1, -1)[..., 3:-3], rtol=0, atol=1e-12)
    assert (moved[..., :2] - here.roll(1, -1)[..., :2]).abs().max() > 0.1


def test_an_intra_depth_is_a_sum_of_layers_that_share_queries():
    q, v, e = drawn(4, 5, 3, 3)
    parts = sum(position_term(q, v[:, u : u + 1], e[:, u : u + 1]) for u in range(3))
    torch.testing.assert_close(position_term(q, v, e), parts, rtol=0, atol=1e-12)


def test_the_output_is_linear_in_values_and_queries():
    q, v, e = drawn(4, 4, 3, 1)
    torch.testing.assert_close(position_term(2 * q, 3 * v, e), 6 * position_term(q, v, e), rtol=0, atol=1e-11)


def test_in_evaluation_an_image_has_no_neighbours():
    net, x = layer(scope=5), torch.randn(3, 16, 6, 6, dtype=torch.double)
    torch.testing.assert_close(net(x)[:1], net(x[:1]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("side", [None, 6])
@pytest.mark.parametrize("training", [True, False])
def test_timms_layer_is_this_one(side, training):
    """Local (its convolution's bias, which the paper has not, at zero) and global."""
    peers = pytest.importorskip("timm.layers.lambda_layer")
    theirs = peers.LambdaLayer(32, dim_head=4, num_heads=4, r=None if side else 5, feat_size=(6, 6), qk_ratio=1.0)
    key = theirs.dim_qk
    ours = LambdaLayer(32, key=key, heads=4, scope=11 if side else 5, size=side)
    state = {name: tensor for name, tensor in theirs.state_dict().items() if name.startswith(("qkv", "norm"))}
    if side:
        embedding = theirs.pos_emb.permute(2, 0, 1)[:, None]
    else:
        nn.init.zeros_(theirs.conv_lambda.bias)
        embedding = theirs.conv_lambda.weight[..., 0]
    ours.load_state_dict(state | {"embedding": embedding.detach()})
    x = torch.randn(2, 32, 6, 6, dtype=torch.double)
    found, expected = (module.double().train(training)(x) for module in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_half_precision_stays_finite_and_near():
    net = LambdaLayer(32, key=8, heads=4, scope=23).eval()
    x = torch.randn(1, 32, 8, 8)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        half = net(x).float()
    whole = net(x)
    # bfloat16 keeps 8 bits, and up to 64 products are summed.
    assert torch.isfinite(half).all() and (half - whole).abs().max() < 0.05 * whole.abs().max()


# ---- networks ----


def small(mixer: Lambda) -> ArchSpec:
    return ArchSpec(
        name="small",
        input=Image(resolution=24),
        style=Style(norm=BatchNorm(act=Act.RELU), conv=PlainConv()),
        stem=ConvStem(width=16),
        stages=(Stage(Bottleneck(mixer=mixer), depth=2, width=32, stride=2),),
        head=PooledClassifier(classes=5),
    )


@pytest.mark.parametrize("scope", [7, None])
def test_a_network_of_lambdas_costs_by_the_definition_whichever_schedule_runs(scope):
    arch = small(Lambda(key=4, heads=2, scope=scope))
    assert cost(arch) == operations(cs.build(arch, device="meta"), torch.empty(1, 3, 24, 24, device="meta"))
    side = 12  # the first layer sees the map before its stride
    r, d, k, h = scope or 2 * side - 1, 8, 4, 2
    # Sheet 4.2: projections, content lambda, two applications, position lambda.
    per_position = d * (h * k + k + d // h) + k * d // h + 2 * k * d + r**2 * k * d // h
    layer, x = LambdaLayer(d, key=k, heads=h, scope=r), torch.zeros(1, d, side, side)
    # A counter sees the definition on real tensors too, where another schedule would run.
    counted = operations(layer, x)
    assert counted == operations(layer.to("meta"), x.to("meta"))
    assert counted.macs == side**2 * per_position
    assert counted.params == d * (h * k + k + d // h) + 2 * (h * k + d // h) + k * r**2


def test_the_stride_follows_the_layer_as_an_average_pool():
    net = cs.build(small(Lambda(key=4, heads=2, scope=7)), seed=0)
    mixer = net.stages[0][0].branch.mix.mixer
    x = torch.randn(1, 8, 13, 13)
    torch.testing.assert_close(mixer(x), nn.functional.avg_pool2d(mixer.layer(x), 3, 2, 1))
    assert mixer(x).shape[-1] == 7


@pytest.mark.slow
def test_a_network_of_lambdas_exports(tmp_path):
    net = cs.build(small(Lambda(key=4, heads=2, scope=7)), seed=0).eval()
    export_onnx(net, tmp_path / "net.onnx", input_shape=(3, 24, 24))
    images = torch.randn((3, 3, 24, 24), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = net(images), runner(tmp_path / "net.onnx", threads=1)(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_heads_that_do_not_divide_give_way_to_the_largest_that_do():
    assert cs.build(small(Lambda(key=4, heads=3))).stages[0][0].branch.mix.mixer.layer.heads == 2


def test_an_even_scope_is_refused():
    with pytest.raises(ValueError, match="scope must be odd"):
        Lambda(scope=8)


def test_a_mixer_splits_a_stage_into_runs_and_comes_off_again():
    base = cs.spec("resnetrs50")
    hybrid = base.with_mixer(2, Lambda(), blocks=[0, 4])
    assert [stage.depth for stage in hybrid.stages] == [3, 4, 1, 3, 1, 1, 3]
    assert [stage.stride for stage in hybrid.stages] == [1, 2, 2, 1, 1, 1, 2]
    assert base.with_mixer(2, Lambda()).with_mixer(2, None) == base
    with pytest.raises(ValueError, match="stages 0 to 3; got 4"):
        base.with_mixer(4, Lambda())
    with pytest.raises(ValueError, match="blocks 0 to 5"):
        base.with_mixer(2, Lambda(), blocks=[6])
    with pytest.raises(ValueError, match="no k x k convolution that a mixer could stand for"):
        cs.spec("resnet18").with_mixer(0, Lambda())


@pytest.mark.parametrize("depth", [50, 101, 152, 200, 270, 350, 420])
def test_hybrids_hold_lambdas_where_the_paper_counts_them(depth):
    arch = cs.spec(f"lambdaresnet{depth}")
    held = sum(stage.depth for stage in arch.stages if stage.block.mixer is not None and stage.width == 1024)
    assert held == {50: 1, 101: 3, 152: 6, 200: 6, 270: 6, 350: 6, 420: 8}[depth]
    assert all((stage.block.mixer is None) == (stage.block.se is not None) for stage in arch.stages)
    assert all(stage.block.mixer is not None for stage in arch.stages if stage.width == 2048)
