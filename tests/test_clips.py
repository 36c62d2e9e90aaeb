"""Networks for clips: the same parts for both, 2-d networks inflated with their weights, 3-D ResNets to the unit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import convsmith as cs
from convsmith.arch import ArchSpec, Clip, Edges, Image, Padding, Shape, Stage, grown, plan
from convsmith.costs import cost, operations
from convsmith.errors import UserError
from convsmith.families import spec
from convsmith.families.inflated import flattened, inflated
from convsmith.layers import AvgPool2d, BatchNorm2d, Conv2d, Conv3d, MaxPool2d, SelfGate, SqueezeExcite, channels_last
from convsmith.model import build
from convsmith.parts import BasicBlock, Bottleneck, ConvStem, Halving, MBConv, PooledClassifier
from convsmith.ranges import OutOfRange
from convsmith.scaling import CompoundClips, Frames, solve
from convsmith.signal import trace
from convsmith.stages import stage_rows
from convsmith.units import Budget, Rounding
from convsmith.weights import Origin, fitted
from convsmith.weights.inflating import Start, inflate
from specs import specs

# float64 rounds at 1e-16; what a network of a dozen layers makes of it stays far below.
EXACT = 1e-9


def small(block: object = None, **input_: int) -> ArchSpec:
    """Two stages at 16 px and widths of 8 and 16."""
    base = spec("resnet18", classes=3)
    made = replace(
        base,
        input=Image(input_.get("resolution", 16)),
        stem=ConvStem(width=8),
        stages=tuple(Stage(block or BasicBlock(), 2, width, 2) for width in (8, 16)),
    )
    return inflated(made, frames=input_.get("frames", 4))


def moved(model: nn.Module) -> nn.Module:
    """In evaluation mode, with every number moved from where it began, so that nothing is hidden by zeros and ones."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator).to(parameter)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer += 0.2 * torch.rand(buffer.shape, generator=generator).to(buffer)
    return model.eval()


# ---- values ----------------------------------------------------------------------------------------------------------


def test_a_clip_says_its_frames_and_survives_json() -> None:
    arch = small()
    assert arch.input == Clip(resolution=16, frames=4, stride=2)
    assert arch.input.shape == Shape(3, (4, 16, 16)) and arch.input.sides == (16, 16)
    assert arch.input.example(2, seed=0).shape == (2, 3, 4, 16, 16)
    assert cs.from_json(arch.to_json()) == arch
    assert cs.from_json(flattened(arch).to_json()) == flattened(arch)
    assert arch.with_resolution(24).input == Clip(resolution=24, frames=4, stride=2)


def test_what_reads_pictures_writes_nothing_about_time() -> None:
    text = spec("resnet50").to_json()
    assert not any(word in text for word in ("frames", "temporal", "over", "edges", "gated"))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Clip(resolution=16, frames=0), "input.frames must be at least 1"),
        (lambda: Clip(resolution=16, frames=4, stride=0), "input.stride must be at least 1"),
        (lambda: Stage(BasicBlock(), 1, 8, 1, temporal=(2,)), "stage.temporal must be odd"),
        (lambda: Stage(BasicBlock(), 1, 8, 1, over=0), "stage.over must be at least 1"),
        (lambda: ConvStem(width=8, temporal=4), "conv_stem.temporal must be odd"),
    ],
)
def test_numbers_over_time_are_refused_where_they_cannot_be(make, says: str) -> None:
    with pytest.raises(OutOfRange, match=says):
        make()


def test_a_wrong_input_is_told_of_the_kind_it_is_nearest_to() -> None:
    text = small().to_json()
    with pytest.raises(UserError) as wrong:
        cs.from_json(text.replace('"frames"', '"frams"'))
    assert "input.frams: no such field" in str(wrong.value) and "did you mean 'frames'" in str(wrong.value)
    assert "Image" not in str(wrong.value) and "Clip" not in str(wrong.value)


def test_inflating_says_what_it_cannot_do() -> None:
    with pytest.raises(UserError, match="reads clips already"):
        inflated(small())
    with pytest.raises(UserError, match="only classifiers"):
        inflated(spec("fasterrcnn_resnet50_fpn"))
    with pytest.raises(UserError, match="has 4 stages; got kernels over time for 2"):
        inflated(spec("resnet18"), kernels=(1, 3))


def test_the_later_half_of_the_stages_reads_three_frames() -> None:
    arch = inflated(spec("efficientnet_lite0"))
    assert [node.temporal for node in plan(arch) if node.path.endswith(".0")] == [1, 1, 1, 3, 3, 3, 3]
    alternating = inflated(spec("resnet50"), kernels=((3, 1), 1, (1, 3), 5))
    assert [node.temporal for node in plan(alternating) if node.path.startswith("stages")] == (
        [3, 1, 3] + [1] * 4 + [1, 3] * 3 + [5] * 3
    )


# ---- layers against torch's own ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        {"kernel": 1, "temporal": 3},
        {"kernel": 1, "temporal": 5, "over": 2, "edges": Edges.REPEATED},
        {"kernel": 3, "temporal": 3, "stride": 2, "over": 2, "groups": 4},
        {"kernel": 3, "temporal": 5, "dilation": 2, "edges": Edges.REPEATED},
        {"kernel": 3, "temporal": 3, "stride": 2, "same": True},
        {"kernel": 3, "temporal": 3, "circular": True},
    ],
    ids=str,
)
def test_a_convolution_over_time_is_torch_s_on_what_its_edges_say(how: dict, training: bool, frames: int) -> None:
    """Also of clips shorter than the kernel, of which training leaves taps out."""
    layer = Conv3d(4, 4, bias=True, **how).double().train(training)
    x = torch.randn(2, 4, frames, 6, 6, dtype=torch.float64)
    half, dilation, kernel = how["temporal"] // 2, how.get("dilation", 1), how["kernel"]
    edges = "replicate" if how.get("edges") else "constant"
    around = (1, 1, 1, 1) if not how.get("same") else (0, 1, 0, 1)  # TensorFlow's rule on an even side
    around = tuple(dilation * (kernel // 2) * one for one in around)
    padded = F.pad(F.pad(x, (0, 0, 0, 0, half, half), mode=edges), (*around, 0, 0), mode="constant")
    if how.get("circular"):
        padded = F.pad(F.pad(x, (0, 0, 0, 0, half, half)), (*around, 0, 0), mode="circular")
    stride = (how.get("over", 1), *(how.get("stride", 1),) * 2)
    wanted = F.conv3d(padded, layer.weight, layer.bias, stride, 0, (1, dilation, dilation), how.get("groups", 1))
    for given_ in (x, channels_last(x)):
        torch.testing.assert_close(layer(given_), wanted, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("sides", [(1, 1), (1, 4), (2, 1), (3, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("edges", Edges)
def test_taps_that_only_meet_the_padding_are_left_out_of_training_alone(
    sides: tuple[int, int], stride: int, edges: Edges
) -> None:
    """The same numbers and gradients: those of what is left out are 0 either way."""
    layer = Conv3d(4, 6, 5, temporal=3, stride=stride, bias=True, edges=edges).double()
    x = torch.randn(2, 4, 2, *sides, dtype=torch.float64, requires_grad=True)
    found = []
    for training in (True, False):
        out = layer.train(training)(x)
        found.append((out, *torch.autograd.grad(out.square().sum(), (x, layer.weight, layer.bias))))
    torch.testing.assert_close(found[0], found[1], rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("edges", Edges)
@pytest.mark.parametrize("padding", [{}, {"same": True}, {"circular": True}], ids=str)
def test_groups_are_exported_as_the_same_sum_of_frames(edges: Edges, padding: dict) -> None:
    layer = Conv3d(4, 4, 3, temporal=3, stride=2, over=2, groups=4, bias=True, edges=edges, **padding).double()
    x = torch.randn(2, 4, 5, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(layer._by_taps(x, layer.weight, layer.bias), layer(x), rtol=EXACT, atol=EXACT)


def test_layers_of_pictures_read_every_frame_alone() -> None:
    x = torch.randn(2, 4, 5, 8, 8)
    conv, pool, mean = Conv2d(4, 6, 3, stride=2, padding=1), MaxPool2d(3, 2, padding=1), AvgPool2d(2, 2)
    for layer in (conv, pool, mean, Conv2d(4, 6, 1)):
        wanted = torch.stack([layer(frame) for frame in x.unbind(2)], 2)
        torch.testing.assert_close(layer(x), wanted)
        layer.over = 2
        torch.testing.assert_close(layer(x), wanted[:, :, ::2])


def test_layers_of_channels_read_clips_whole() -> None:
    x = torch.randn(2, 4, 3, 5, 5)
    ours, theirs = BatchNorm2d(4), nn.BatchNorm3d(4)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    for gate in (SqueezeExcite(4, 2, act=nn.ReLU(), gate=nn.Sigmoid()), SelfGate(4)):
        tall = gate(x.flatten(2, 3)).view_as(x)  # a picture of the same numbers
        torch.testing.assert_close(gate(x), tall)
    own = SelfGate(4)
    shares = torch.sigmoid(own.conv.weight.flatten(1) @ x.mean((2, 3, 4)).T + own.conv.bias[:, None]).T
    torch.testing.assert_close(own(x), x * shares[:, :, None, None, None])


def test_the_layout_of_a_clip_changes_nothing() -> None:
    arch = small(MBConv())
    model, x = moved(build(arch, seed=0)).double(), arch.input.example(2, seed=1).double()
    expected = model(x)
    torch.testing.assert_close(model(channels_last(x)), expected, rtol=EXACT, atol=EXACT)
    torch.testing.assert_close(channels_last(model)(x), expected, rtol=EXACT, atol=EXACT)


# ---- inflated networks -------------------------------------------------------------------------------------------------

kernels = st.lists(st.sampled_from([1, 3, (1, 3), 5]), min_size=4, max_size=4)


@given(arch=specs, over_time=kernels, stem=st.sampled_from([1, 3]), start=st.sampled_from(Start))
def test_a_still_clip_gives_what_its_picture_gave(arch: ArchSpec, over_time: list, stem: int, start: Start) -> None:
    """With every norm, block, mixer and padding, and from both starts."""
    clips = inflated(arch, frames=3, kernels=over_time[: len(arch.stages)], stem=stem)
    assert flattened(clips) == arch
    flat, model = moved(build(arch, seed=0).double()), build(clips, seed=1).double().eval()
    model.load_state_dict(inflate(flat.state_dict(), clips, start))
    picture = arch.input.example(2, seed=2).double()
    with torch.no_grad():
        expected, found = flat(picture), model(picture[:, :, None].expand(-1, -1, 3, -1, -1))
    # Norms divide by deviations as small as eps allows, which magnifies rounding by what they divide by.
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max().clamp_min(1e-6)


@settings(max_examples=30)
@given(arch=specs, over_time=kernels, over=st.sampled_from([1, 2]), frames=st.integers(1, 5))
def test_cost_is_what_a_real_network_runs_and_gradients_reach_all(
    arch: ArchSpec, over_time: list, over: int, frames: int
) -> None:
    clips = inflated(arch.with_resolution(8), frames=frames, kernels=over_time[: len(arch.stages)], stem=3)
    stages = (replace(clips.stages[0], over=over), *clips.stages[1:])
    clips = replace(clips, stem=replace(clips.stem, over=over), stages=stages)
    x = clips.input.example(2, seed=0)
    model = build(clips, seed=0)
    assert operations(model, x[:1]) == cost(clips)
    maps = build(clips, seed=0).eval().stages(model.eval().stem(x))
    assert maps.shape[1:] == plan(clips)[-2].outs[0].dims
    model.train()(x).square().sum().backward()
    assert all(one.grad is not None and bool(one.grad.isfinite().all()) for one in model.parameters())


def test_weights_of_a_network_for_pictures_begin_one_for_clips() -> None:
    clips = small(Bottleneck())
    flat = moved(build(flattened(clips), seed=0))
    found = fitted(clips, Origin("a file", flat.state_dict()))
    assert found.spec == clips and not found.fresh and "network for pictures" in found.notes[-1]
    model = build(clips, seed=1).eval()
    model.load_state_dict(found.state)
    picture = flattened(clips).input.example(2, seed=0)
    with torch.no_grad():
        still, expected = model(picture[:, :, None].expand(-1, -1, 4, -1, -1)), flat(picture)
    torch.testing.assert_close(still, expected, rtol=1e-4, atol=1e-5)  # float32, summed in another order
    own = fitted(clips, Origin("a run of clips", model.state_dict()))
    assert own.notes == () and all(torch.equal(own.state[key], one) for key, one in model.state_dict().items())
    other = fitted(clips.with_classes(7), Origin("a file", flat.state_dict()), classes=7)
    assert other.spec.head == PooledClassifier(classes=7) and other.fresh == ("head.fc.weight", "head.fc.bias")


def test_a_still_clip_is_traced_as_its_picture_is() -> None:
    clips = small(Bottleneck())
    flat = build(flattened(clips), seed=0)
    model = build(clips, seed=1)
    model.load_state_dict(inflate(flat.state_dict(), clips))
    images = flattened(clips).input.example(4, seed=0)
    one, two = (
        trace(net, shown, trained=False)
        for net, shown in ((flat, images), (model, images[:, :, None].expand(-1, -1, 4, -1, -1)))
    )
    assert [point.path for point in two.points] == [point.path for point in one.points] != []
    for mine, theirs in zip(two.points, one.points, strict=True):
        assert (mine.out.var, mine.out.sqmean) == pytest.approx(
            (theirs.out.var, theirs.out.sqmean), rel=1e-4
        )  # float32


# ---- 3-D ResNets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [  # a builder written from Model Garden's description; of R3D-50 the multiply-adds are known to four digits
        ("r3d_rs50", 48_129_840, 88_024_350_720),
        ("r3d_rs101", 84_969_520, 175_379_644_416),
        ("r3d_rs152", 114_788_144, 256_156_696_576),
        ("r3d_rs200", 121_376_560, 312_060_477_440),
        ("r3d_50", 33_617_872, 49_626_841_088),
        ("r3d_18", 33_371_472, 40_696_553_472),  # torchvision: 40.697 G
    ],
)
def test_3d_resnets_cost_what_is_known_of_them(name: str, params: int, macs: int) -> None:
    found = cost(spec(name))
    assert (found.params, found.macs) == (params, macs)


def test_r3d_18_is_torchvision_s() -> None:
    theirs = torchvision.models.video.r3d_18(num_classes=5)
    ours = build(replace(spec("r3d_18", classes=5), input=Clip(resolution=32, frames=4)), seed=0)
    pairs = zip(ours.state_dict().items(), moved(theirs).state_dict().values(), strict=True)
    ours.load_state_dict({key: other.reshape(own.shape) for (key, own), other in pairs})
    x = ours.spec.input.example(2, seed=0)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), theirs(x), rtol=1e-4, atol=1e-4)  # float32, eighteen layers


def test_gates_stand_in_the_last_block_of_every_stage() -> None:
    arch = spec("r3d_rs50")
    gates = [name for name, layer in build(arch, device="meta").named_modules() if isinstance(layer, SelfGate)]
    assert gates == [f"stages.{at}.{depth - 1}.branch.gate" for at, depth in enumerate((3, 4, 6, 3))]
    first = [node for node in plan(arch) if node.path.endswith(".0")]
    assert [node.temporal for node in first] == [1, 1, 3, 3] and {node.over for node in first} == {1}
    assert arch.stem.reduction_over_time == 2 and arch.stem.then is Halving.POOL


def test_tables_show_frames() -> None:
    rows = stage_rows(spec("r3d_rs50"))
    assert [row.px for row in rows[:3]] == ["16x56x56", "16x56x56", "16x28x28"] and rows[1].size == 56
    assert rows[3].what.endswith("t3") and not rows[2].what.endswith("t3")
    assert {row.frames for row in cs.published("r3d_rs*", task="video")} == {32}


# ---- scaling -----------------------------------------------------------------------------------------------------------


def test_four_dimensions_share_a_doubling() -> None:
    line = CompoundClips()
    assert line.alpha * line.beta**2 * line.gamma**2 * line.eta == pytest.approx(2, rel=1e-12)  # rounding
    assert line.alpha == line.eta == line.beta**2 == line.gamma**2


@pytest.mark.parametrize("kind", [CompoundClips, Frames])
@settings(max_examples=8)
@given(place=st.floats(0.3, 0.6), step=st.floats(0.001, 0.1))
def test_cost_never_falls_along_a_line_over_time(kind: type, place: float, step: float) -> None:
    base, line = spec("r3d_50"), kind()
    span = (line.least, line.most) if line.neutral == 0 else (0.1, 4.0)

    def macs(share: float) -> int:
        return cost(line(base, span[0] + (span[1] - span[0]) * share)).macs

    assert macs(place) <= macs(place + step)


def test_a_network_for_clips_is_scaled_to_a_budget_in_four_dimensions() -> None:
    found = solve(CompoundClips(), spec("r3d_rs50"), Budget(macs=2e9), cost).spec
    assert cost(found).macs <= 2e9
    assert found.input.frames < 32 and found.input.frames % 2 == 0  # whole steps of its stride over time
    assert found.input.resolution < 224 and found.depth < 16 and found.stages[0].width < 256
    longer = grown(spec("r3d_18"), frames=1.4, rounding=Rounding())
    assert longer.input.frames == 24 and longer.input.stride == 4  # 22.4, in steps of eight


def test_pictures_have_no_frames_to_scale() -> None:
    with pytest.raises(UserError, match="reads pictures"):
        grown(spec("resnet18"), frames=2, rounding=Rounding())


def test_a_search_and_an_estimate_of_clips_are_refused_with_what_would_do() -> None:
    from convsmith.speed.kernels import kernels as launches
    from convsmith.supernet import check, space_from

    with pytest.raises(UserError, match="measure the network instead"):
        launches(small())
    with pytest.raises(UserError, match="supernets are of networks for pictures"):
        check(space_from(small()))


def test_padding_of_frames_is_that_of_pictures() -> None:
    """TensorFlow's rule in space; over time it is symmetric."""
    base = flattened(small())
    tf = inflated(base.with_style(conv=replace(base.style.conv, padding=Padding.SAME)), frames=3, stem=3)
    assert build(tf, seed=0).eval().stem(tf.input.example(1)).shape == (1, 8, 3, 8, 8)
