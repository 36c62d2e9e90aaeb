"""A supernet's laws: a child is the network it says it is, and training neither leaks nor loses anything."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convsmith.arch import Act, ArchSpec, Image, Stage, Style
from convsmith.costs import cost
from convsmith.errors import Stopped, UserError
from convsmith.families import bignas
from convsmith.layers import EvoNormKind, LinearInit
from convsmith.parts import (
    SE,
    BasicBlock,
    BatchNorm,
    Bottleneck,
    ConvStem,
    EvoNorm,
    GhostBottleneck,
    GroupNorm,
    Lambda,
    MBConv,
    NFBottleneck,
    NFRegNetBlock,
    NoNorm,
    PlainConv,
    PooledClassifier,
    PreActBottleneck,
    ScaledWS,
)
from convsmith.recipe import SGD, Recipe
from convsmith.recipes import QUICK
from convsmith.recipes.bignas import BIGNAS as BIGNAS_RECIPE
from convsmith.schedules import Schedule
from convsmith.supernet import (
    BIGNAS,
    T32,
    Axes,
    RolledBack,
    Space,
    Supernet,
    Watched,
    assert_distinct,
    calibrate,
    check,
    drawn,
    sandwich,
    space_from,
    train_supernet,
)
from convsmith.supernet.sandwich import Sandwich
from convsmith.supernet.shared import resized
from convsmith.supernet.watchdog import Watch
from convsmith.training import EpochDone, Started, StepDone, TrainingDiverged, fit, rate_at
from convsmith.training.optim import optimiser

CPU = torch.device("cpu")
TINY = Space(
    base=ArchSpec(
        name="tiny",
        input=Image(resolution=12),
        style=Style(norm=BatchNorm(act=Act.SILU), conv=PlainConv(), zero_last=True),
        stem=ConvStem(width=8, stride=1),
        stages=(
            Stage(MBConv(kernel=5, expand=2, se=SE(), skips=True), 2, 12, 2),
            Stage(MBConv(kernel=3, expand=2, se=None, skips=True), 1, 16, 1),
        ),
        head=PooledClassifier(classes=3, width=24, dropout=0.1, init=LinearInit.NORMAL),
    ),
    resolution=(8, 12),
    stem=(4, 8),
    stages=(Axes((8, 12), (1, 2), (3, 5), (1.5, 2)), Axes((12, 16))),
    head=(16, 24),
)


def stirred(space: Space, seed: int = 0) -> Supernet:
    """A supernet with nothing left at 0, so that every weight shows."""
    supernet = Supernet(space, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in supernet.model.parameters():
            if parameter.ndim < 2 or not parameter.any():
                parameter.add_(0.5 + 0.1 * torch.randn(parameter.shape, generator=generator))
    return supernet


def noise(n: int, side: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, side, side, generator=generator).to(memory_format=torch.channels_last)


def undropped(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    return model


# ---- the space -------------------------------------------------------------------------------------------------------


def test_the_papers_space_has_its_ends_and_efficientnet_b0() -> None:
    assert BIGNAS.size() == 5_013_504_000  # the sheet: 5.0e9 with steps of 8 and four resolutions
    assert cost(BIGNAS.biggest()) == cost(bignas.LARGEST)
    assert cost(BIGNAS.smallest()) == cost(bignas.SMALLEST)
    widths, depths, kernels = (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1), (3, 3, 5, 3, 5, 5, 3)
    genes = [224, 32]
    for width, depth, kernel, expand in zip(widths, depths, kernels, (1, 6, 6, 6, 6, 6, 6), strict=True):
        genes += [width, depth, kernel, expand]
    b0 = cost(BIGNAS.spec([*genes, 1280]))
    assert (b0.macs, b0.params) == (400_641_760, 5_385_508)  # the sheet: B0 with the projections of its shortcuts


def test_the_small_space_is_the_sheets() -> None:
    assert T32.size() == 82_944
    biggest, smallest = cost(T32.biggest()), cost(T32.smallest())
    assert [round(biggest.macs / 1e6, 2), round(biggest.params / 1e6, 3)] == [12.85, 0.235]
    assert [round(smallest.macs / 1e6, 2), round(smallest.params / 1e6, 3)] == [0.95, 0.031]


def test_children_stay_in_the_space_and_genes_name_them() -> None:
    rng = random.Random(3)
    spec = T32.biggest()
    for _ in range(50):
        before, spec = spec, T32.mutate(spec, rng)
        assert T32.contains(spec) and spec != before
        genes = T32.genes(spec)
        assert T32.spec(json.loads(json.dumps(genes))) == spec
        assert cost(T32.smallest()).macs <= cost(spec).macs <= cost(T32.biggest()).macs
    assert T32.sample(random.Random(1)) == T32.sample(random.Random(1))
    assert len({T32.sample(rng) for _ in range(30)}) > 25
    assert not T32.contains(BIGNAS.smallest())
    assert not T32.contains(T32.biggest().with_classes(7))
    assert T32.contains(replace(spec, name="another"))


def test_a_space_refuses_what_no_network_can_have_and_names_what_it_may() -> None:
    with pytest.raises(UserError, match=r"stages.0.kernel must be odd"):
        replace(TINY, stages=(Axes((8, 12), (1, 2), (2, 4)), TINY.stages[1]))
    with pytest.raises(UserError, match="rising"):
        replace(TINY, resolution=(12, 8))
    with pytest.raises(UserError, match="axes for 1"):
        replace(TINY, stages=TINY.stages[:1])
    genes = list(TINY.genes(TINY.biggest()))
    genes[2] = 9
    with pytest.raises(UserError, match=r"stages.0.width may be 8, 12; got 9"):
        TINY.spec(genes)
    with pytest.raises(UserError, match=r"stages.0.width may be"):
        Supernet(TINY, seed=0).child(replace(TINY.biggest(), stages=T32.biggest().stages[:2]))


def family(block, *, norm=None, conv=None, stem=None, head=None, widths=(48, 64)) -> ArchSpec:  # type: ignore[no-untyped-def]
    return ArchSpec(
        name="family",
        input=Image(resolution=16),
        style=Style(norm=norm or BatchNorm(), conv=conv or PlainConv()),
        stem=stem or ConvStem(width=32),
        stages=(Stage(block, 2, widths[0], 1), Stage(block, 2, widths[1], 2)),
        head=head or PooledClassifier(classes=4),
    )


NF = {"norm": NoNorm(gain=True), "conv": ScaledWS()}
SOUND = {
    "resnet": family(BasicBlock()),
    "bottleneck": family(Bottleneck(se=SE())),
    "mobilenet": family(MBConv(expand=3), head=PooledClassifier(classes=4, width=64)),
    "nf": family(NFBottleneck(), stem=ConvStem(width=32, bare=True), **NF),
    "nf_regnet": family(NFRegNetBlock(se=SE(gain=2.0)), stem=ConvStem(width=32, bare=True), **NF),
    "evonorm_b0": family(PreActBottleneck(), norm=EvoNorm(variant=EvoNormKind.B0), stem=ConvStem(width=32, bare=True)),
    "groups_of_one": family(BasicBlock(), norm=GroupNorm(groups=1)),
}
UNSOUND = {
    "group_norm": (family(BasicBlock(), norm=GroupNorm(groups=8)), "normalises groups of"),
    "evonorm_s0": (family(PreActBottleneck(), norm=EvoNorm(groups=8)), "normalises groups of"),
    "lambda": (family(Bottleneck(mixer=Lambda(scope=3))), "lambda layer"),
    "ghost": (family(GhostBottleneck(expand=2)), "two halves"),
    "resnext": (family(Bottleneck(groups=4)), "groups of"),
}


@pytest.mark.parametrize("name", SOUND)
def test_any_sound_family_makes_a_space_whose_children_equal_their_extracts(name: str) -> None:
    space = space_from(SOUND[name], width=0.5, resolution=(12,), kernel=(3,), expand=(2,))
    assert space.contains(space.biggest()) and space.size() > 1
    supernet, rng, images = stirred(space), random.Random(0), noise(4, 16)
    for spec in (space.smallest(), space.biggest(), *(space.sample(rng) for _ in range(4))):
        own = undropped(supernet.extract(spec))(resized(images, spec.input.resolution))
        # Standardised filters are summed in the order they lie in, which a view and its copy need not share: an ulp or two.
        ulps = 1e-6 if name.startswith("nf") else 0.0
        torch.testing.assert_close(supernet.child(spec)(images), own, rtol=0, atol=ulps)


@pytest.mark.parametrize("name", UNSOUND)
def test_what_cannot_be_sliced_is_refused_with_its_reason_and_allowed_where_it_keeps_its_shape(name: str) -> None:
    spec, reason = UNSOUND[name]
    with pytest.raises(UserError, match=reason):
        space_from(spec, width=0.5)
    assert space_from(spec, width=1).size() == 4  # depths alone


def test_a_projection_that_the_biggest_child_lacks_is_refused() -> None:
    base = replace(TINY.base, stages=(replace(TINY.base.stages[0], width=8, stride=1), TINY.base.stages[1]))
    with pytest.raises(UserError, match=r"stages.0.0 .* no skip.project"):
        check(replace(TINY, base=base, stages=(Axes((4, 8)), TINY.stages[1])))


# ---- shared weights --------------------------------------------------------------------------------------------------


def test_a_childs_output_and_gradients_are_its_extracts_and_nothing_else_gets_any() -> None:
    supernet, rng, images = stirred(T32), random.Random(0), noise(8, 32)
    labels = torch.arange(8) % 10
    for spec in (T32.smallest(), *(T32.sample(rng) for _ in range(5))):
        supernet.model.zero_grad(set_to_none=True)
        alone = undropped(supernet.extract(spec))
        shared, own = supernet.child(spec)(images), alone(resized(images, spec.input.resolution))
        assert torch.equal(shared, own)
        F.cross_entropy(shared, labels).backward()
        F.cross_entropy(own, labels).backward()
        total = {name: one.grad for name, one in supernet.model.named_parameters()}
        for name, view in supernet.child(spec).views().items():
            # The same slice of the gradient, found by the view's own place in memory.
            whole, grad = supernet.model.get_parameter(name), total.pop(name)
            assert view.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()
            assert grad is not None
            inside = grad.contiguous().clone(memory_format=torch.preserve_format)
            laid = torch.empty_strided(whole.size(), whole.stride()).copy_(inside)
            part = laid.as_strided(view.size(), view.stride(), view.storage_offset())
            torch.testing.assert_close(part, alone.get_parameter(name).grad, rtol=1e-5, atol=1e-7)
            part.zero_()
            assert not laid.any()
        assert all(grad is None for grad in total.values())


def test_children_differ_in_cost_and_in_logits() -> None:
    supernet, rng, images = stirred(T32), random.Random(0), noise(2, 32)
    specs = [T32.smallest(), T32.biggest(), T32.sample(rng), T32.sample(rng)]
    assert len({cost(spec) for spec in specs}) == 4
    logits = [supernet.child(spec)(images) for spec in specs]
    assert all(not torch.allclose(a, b, rtol=1e-3) for i, a in enumerate(logits) for b in logits[:i])


def test_a_child_sees_new_weights_and_no_norm_of_the_whole_is_ever_written() -> None:
    supernet, images = stirred(TINY), noise(4, 12)
    child = supernet.child(TINY.smallest())
    before, buffers = child(images), {name: one.clone() for name, one in supernet.model.named_buffers()}
    with torch.no_grad():
        supernet.model.get_parameter("stem.conv.conv.weight").neg_()
    assert not torch.equal(child(images), before)
    supernet.child(TINY.biggest(), regularised=True)(images)
    assert all(torch.equal(buffers[name], one) for name, one in supernet.model.named_buffers())


def test_the_biggest_child_holds_every_weight() -> None:
    for space in (TINY, T32):
        supernet = Supernet(space, seed=0)
        assert set(supernet.child(space.biggest()).views()) == set(dict(supernet.model.named_parameters()))


def test_at_the_start_depth_and_kernel_change_nothing() -> None:
    supernet, images = Supernet(T32, seed=0), noise(2, 32)
    genes = list(T32.genes(T32.biggest()))
    logits = supernet.child(T32.biggest())(images)
    for index, axis in enumerate(T32.axes):
        if axis.name.endswith(("depth", "kernel")):
            genes[index] = axis.values[0]
    torch.testing.assert_close(supernet.child(T32.spec(genes))(images), logits, rtol=0, atol=1e-7)


# ---- calibration -----------------------------------------------------------------------------------------------------


def batches(sizes: tuple[int, ...], side: int = 12) -> list[Tensor]:
    """Batches of a set whose brightness varies, so that means of batches differ."""
    images = noise(sum(sizes), side) + torch.linspace(-2, 2, sum(sizes))[:, None, None, None]
    return list(images.split(sizes))


def test_the_first_norms_statistics_are_the_whole_sets_however_it_is_cut() -> None:
    supernet, spec = stirred(TINY), TINY.sample(random.Random(5)).with_resolution(12)
    for sizes in ((40,), (7, 30, 3), (20, 19, 1)):
        given = batches(sizes)
        model = supernet.calibrated(spec, given)
        maps = model.get_submodule("stem.conv.conv")(torch.cat(given)).double()
        norm = model.get_submodule("stem.conv.norm.bn")
        torch.testing.assert_close(norm.running_mean.double(), maps.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(norm.running_var.double(), maps.var((0, 2, 3), correction=0), rtol=1e-5, atol=1e-6)
        assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("name", ["mobilenet", "evonorm_b0"])
def test_layer_by_layer_every_norms_statistics_are_the_whole_sets(name: str) -> None:
    space = space_from(SOUND[name], width=0.5)
    supernet, spec = stirred(space), space.smallest()
    whole = supernet.calibrated(spec, batches((40,), 16)).state_dict()
    cut = supernet.calibrated(spec, batches((7, 30, 3), 16), layerwise=True).state_dict()
    running = [key for key in whole if "running" in key]
    assert running
    for key in running:
        # Not to the bit: sums over other batches, through up to ten layers in single precision.
        torch.testing.assert_close(cut[key], whole[key], rtol=1e-4, atol=1e-5)


def test_calibration_leaves_weights_momenta_and_other_children_alone() -> None:
    supernet, given = stirred(TINY), batches((8, 8))
    first = supernet.calibrated(TINY.smallest(), given)
    kept = {name: one.clone() for name, one in first.state_dict().items()}
    weights = {name: one.clone() for name, one in supernet.model.state_dict().items()}
    second = supernet.calibrated(TINY.biggest(), given)
    assert all(torch.equal(kept[name], one) for name, one in first.state_dict().items())
    assert all(torch.equal(weights[name], one) for name, one in supernet.model.state_dict().items())
    assert all(module.momentum == 0.1 for module in second.modules() if isinstance(module, nn.BatchNorm2d))
    with pytest.raises(UserError, match="at least one batch"):
        calibrate(second, [])


def test_one_batch_calibrated_says_what_training_said_of_it() -> None:
    supernet, images = stirred(TINY), noise(16, 12)
    for spec in (TINY.smallest(), TINY.biggest()):
        side = spec.input.resolution
        logits = supernet.calibrated(spec, [images])(resized(images, side))
        # The same function with the same statistics, in another order of operations.
        torch.testing.assert_close(logits, supernet.child(spec)(images), rtol=1e-4, atol=1e-4)


# ---- a step ----------------------------------------------------------------------------------------------------------

PLAIN = replace(QUICK, epochs=4, batch=8, rate=0.5, warmup=1, average=0.0, decay=0.0, smoothing=0.1, optimiser=SGD())


def gradients(supernet: Supernet) -> dict[str, Tensor]:
    found = {
        name: torch.zeros_like(one) if one.grad is None else one.grad.clone()
        for name, one in supernet.model.named_parameters()
    }
    supernet.model.zero_grad(set_to_none=True)
    return found


def test_a_sandwichs_gradient_is_the_sum_of_its_parts_and_children_see_no_labels() -> None:
    supernet = stirred(TINY)
    images, labels = noise(8, 12), torch.arange(8) % 3
    children = drawn(TINY, seed=0, step=0, randoms=2)

    def step(labels: Tensor, *specs: ArchSpec) -> dict[str, Tensor]:
        torch.manual_seed(0)  # the biggest child's dropout
        sandwich(supernet, images, labels, specs, PLAIN)
        return gradients(supernet)

    whole, alone = step(labels, *children), step(labels)
    parts = [{name: one - alone[name] for name, one in step(labels, spec).items()} for spec in children]
    for name, one in whole.items():
        torch.testing.assert_close(one, alone[name] + sum(part[name] for part in parts), rtol=1e-4, atol=1e-6)
    other = labels.roll(1)
    moved, moved_alone = step(other, *children), step(other)
    for name, one in whole.items():
        torch.testing.assert_close(one - alone[name], moved[name] - moved_alone[name], rtol=1e-4, atol=1e-6)


def test_labelled_children_learn_from_labels_as_the_biggest_does() -> None:
    supernet = stirred(TINY)
    images, labels = noise(8, 12), torch.arange(8) % 3
    recipe, child = replace(PLAIN, smoothing=0.1), TINY.smallest()

    torch.manual_seed(0)  # the biggest child's dropout
    seen = sandwich(supernet, images, labels, (child,), recipe, labelled=True)
    found = gradients(supernet)
    torch.manual_seed(0)
    sandwich(supernet, images, labels, (), recipe)
    loss = F.cross_entropy(supernet.child(child)(images), labels, label_smoothing=0.1)
    loss.backward()
    for name, one in gradients(supernet).items():
        torch.testing.assert_close(one, found[name], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(seen.distilled[0], loss.detach())


@pytest.mark.parametrize(("share", "first"), [(0.0, 0), (0.5, 6), (0.3, 4), (1.0, 12)])
def test_labels_first_are_for_that_share_of_the_steps(tmp_path: Path, share: float, first: int) -> None:
    labelled = []

    def looked_at(*given: Any, **named: Any) -> Sandwich:
        labelled.append(named["labelled"])
        return sandwich(*given, **named)

    for _ in train_supernet(
        Supernet(TINY, seed=0), replace(PLAIN, epochs=2), Feed(), prepare=lambda images: images.float() / 128 - 1,
        evaluate=lambda shipped: {}, checkpoint=tmp_path / "last.pt", device=CPU, seed=7, labels_first=share,
        gradients=looked_at,
    ):  # fmt: skip
        pass
    assert labelled == [step < first for step in range(12)]


def test_with_no_other_children_the_loop_is_that_of_ordinary_training(tmp_path: Path) -> None:
    """What children cost the biggest is the method's, and not the loop's."""
    recipe, given = (
        replace(PLAIN, epochs=2),
        {"prepare": lambda images: images.float() / 128 - 1, "device": CPU, "seed": 7},
    )
    supernet = Supernet(TINY, seed=0)
    alone = supernet.extract(TINY.biggest()).train()
    ours = train_supernet(
        supernet, recipe, Feed(), evaluate=lambda shipped: {}, checkpoint=tmp_path / "ours.pt",
        draw=lambda space, **drawn: (), **given,
    )  # fmt: skip
    theirs = fit(alone, recipe, Feed(), evaluate=lambda model: {}, checkpoint=tmp_path / "theirs.pt", **given)
    losses = [[one.loss for one in records if isinstance(one, StepDone)] for records in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_weight_decay_is_the_biggest_childs_alone_however_many_children() -> None:
    supernet = stirred(TINY)
    optim = optimiser(supernet.model, replace(PLAIN, decay=0.1, optimiser=SGD(momentum=0.0)))
    before = {name: one.detach().clone() for name, one in supernet.model.named_parameters()}
    for group in optim.param_groups:
        group["lr"] = 0.5
    for parameter in supernet.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optim.step()
    shrunk = {name for name, one in supernet.model.named_parameters() if not torch.equal(one, before[name])}
    assert shrunk == {name for name, one in before.items() if one.ndim > 1}
    name = "stem.conv.conv.weight"
    torch.testing.assert_close(supernet.model.get_parameter(name).detach(), before[name] * (1 - 0.5 * 0.1))


def test_draws_depend_on_seed_and_step_alone_and_end_with_the_smallest() -> None:
    state = random.getstate()
    assert drawn(T32, seed=1, step=5, randoms=2) == drawn(T32, seed=1, step=5, randoms=2)
    assert random.getstate() == state
    steps = {drawn(T32, seed=1, step=step, randoms=2) for step in range(20)}
    assert len(steps) == 20 and all(children[-1] == T32.smallest() for children in steps)
    assert drawn(T32, seed=2, step=5, randoms=2) != drawn(T32, seed=1, step=5, randoms=2)


def test_the_rate_ends_constant() -> None:
    def rate(epoch: float) -> float:
        return rate_at(
            round((epoch + 5) * 100),
            steps=36_000,
            warmup=500,
            peak=0.256,
            schedule=BIGNAS_RECIPE.schedule,
            per_epoch=100,
        )

    assert rate(100) == pytest.approx(0.07196, abs=5e-6)  # the sheet's
    assert rate(236.1) == rate(300) == pytest.approx(0.0128)


def test_twins_are_refused_before_training() -> None:
    supernet = Supernet(T32, seed=0)
    before = {name: one.clone() for name, one in supernet.model.state_dict().items()}
    assert_distinct(supernet, noise(2, 32))
    assert all(torch.equal(before[name], one) for name, one in supernet.model.state_dict().items())
    one = Space(TINY.base, stages=(Axes(), Axes()))
    with pytest.raises(UserError, match="one network only"):
        assert_distinct(Supernet(one, seed=0), noise(2, 12))
    mute = Supernet(TINY, seed=0)
    with torch.no_grad():  # a classifier that starts at 0, as some papers' do, is no reason to refuse
        mute.model.get_parameter("head.fc.weight").fill_(0.0)
    assert_distinct(mute, noise(2, 12))


# ---- training --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Feed:
    """Images of three classes that a brightness tells apart; a batch depends on its step alone."""

    steps_per_epoch: int = 6

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        for step in range(first, last):
            generator = torch.Generator().manual_seed(step)
            labels = torch.randint(0, 3, (16,), generator=generator)
            images = torch.randint(0, 80, (16, 3, 12, 12), generator=generator) + 80 * labels[:, None, None, None]
            yield Batch(images.to(torch.uint8), labels)


@dataclass(frozen=True)
class Spike(Schedule):
    """A constant rate that jumps for a while."""

    kind = "spike"
    at: tuple[int, ...] = ()
    times: float = 1.0

    def share(self, step: int, *, steps: int, warmup: int, per_epoch: int) -> float:
        return self.times if step in self.at else 1.0


def train(folder: Path, recipe: Recipe, *, stop_at: int = 0, watch_every: int = 4) -> tuple[Supernet, list]:
    supernet, records = Supernet(TINY, seed=0), []
    for record in train_supernet(
        supernet,
        recipe,
        Feed(),
        prepare=lambda images: images.float() / 128 - 1,
        evaluate=lambda shipped: {"children": float(shipped.space.size())},
        checkpoint=folder / "last.pt",
        device=CPU,
        seed=7,
        watch_every=watch_every,
    ):
        records.append(record)
        if isinstance(record, StepDone) and record.step == stop_at:
            break
    return supernet, records


def same(one: Supernet, other: Supernet) -> bool:
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_both_ends_learn_what_can_be_learnt(tmp_path: Path) -> None:
    supernet, records = train(tmp_path, replace(PLAIN, epochs=5))
    assert isinstance(records[0], Started) and records[0].step == 0
    epochs = [record for record in records if isinstance(record, EpochDone)]
    assert [record.epoch for record in epochs] == list(range(1, 6))
    assert epochs[-1].scores == {"children": TINY.size()}
    last = [record for record in records if isinstance(record, Watched)][-1]
    assert max(last.smallest, last.biggest) < 0.5 * math.log(3)
    feed = list(Feed().batches(0, 4))
    given = [batch.images.float() / 128 - 1 for batch in feed]
    for spec in (TINY.smallest(), TINY.biggest()):
        model = supernet.calibrated(spec, given)
        right = [
            model(resized(x, spec.input.resolution)).argmax(1) == batch.labels
            for x, batch in zip(given, feed, strict=True)
        ]
        assert torch.cat(right).float().mean() > 0.9


@pytest.mark.parametrize(("average", "stops"), [(0.0, (3, 9)), (0.9, (8,))])
def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, average: float, stops: tuple[int, ...]) -> None:
    recipe = replace(PLAIN, epochs=2, average=average)
    (tmp_path / "whole").mkdir()
    whole, _ = train(tmp_path / "whole", recipe)
    for stop_at in stops:
        folder = tmp_path / str(stop_at)
        folder.mkdir()
        train(folder, recipe, stop_at=stop_at)
        resumed, records = train(folder, recipe)
        assert records[0].step == (6 if stop_at > 6 else 0)  # the end of an epoch is written after its step is told
        assert same(resumed, whole)


def test_a_stop_leaves_the_last_good_look_and_the_same_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, _ = train(tmp_path / "a", replace(PLAIN, epochs=2))
    steps: list[int] = []
    told = train_supernet(
        Supernet(TINY, seed=0),
        replace(PLAIN, epochs=2),
        Feed(),
        prepare=lambda images: images.float() / 128 - 1,
        evaluate=lambda shipped: {},
        checkpoint=tmp_path / "b" / "last.pt",
        device=CPU,
        seed=7,
        watch_every=4,
        stop=lambda: len(steps) >= 4,
    )
    with pytest.raises(Stopped, match="step 4 of 12"):
        for record in told:
            if isinstance(record, StepDone):
                steps.append(record.step)
    resumed, records = train(tmp_path / "b", replace(PLAIN, epochs=2))
    assert records[0].step == 4
    assert same(resumed, whole)


def test_a_collapse_is_noticed_and_undone_and_a_resumed_run_undoes_it_alike(tmp_path: Path) -> None:
    spiked = replace(PLAIN, epochs=4, schedule=Spike(tuple(range(13, 17)), 100.0))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, records = train(tmp_path / "a", spiked)
    falls = [record for record in records if isinstance(record, RolledBack)]
    assert falls and all(12 <= fall.to < fall.step <= 24 for fall in falls)
    assert [fall.share for fall in falls] == [0.5 ** (index + 1) for index in range(len(falls))]
    steps = [record.step for record in records if isinstance(record, StepDone)]
    assert steps[-1] == 24 and len(steps) > 24
    last = [record for record in records if isinstance(record, Watched)][-1]
    assert max(last.smallest, last.biggest) < 0.6 * math.log(3)
    train(tmp_path / "b", spiked, stop_at=15)
    resumed, _ = train(tmp_path / "b", spiked)
    assert same(resumed, whole)


def test_a_recipe_that_going_back_cannot_cure_ends_with_advice(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"collapsed 11 times.*--set rate="):
        train(tmp_path, replace(PLAIN, rate=1e30), watch_every=2)


def test_the_watch_tells_a_collapse_from_noise() -> None:
    chance = math.log(10)
    watch = Watch().passed((2.3, 2.2))
    assert watch.judged((2.6, 2.4), chance) == ""  # near chance nothing can be told
    assert "biggest" in watch.judged((2.3, math.nan), chance)
    assert "smallest" in watch.judged((5.0, 2.0), chance)
    for _ in range(20):
        watch = watch.passed((1.0, 0.5))
    assert watch.judged((1.5, 1.2), chance) == ""
    assert "biggest child's loss went" in watch.judged((1.0, 1.6), chance)
    low = Watch(usual=(1.0, 0.5)).fallen(Watch())
    assert (low.share, low.falls) == (0.5, 1)
    for _ in range(5):
        low = low.passed((1.0, 0.5))
    assert low.share == 1.0


def test_another_spaces_checkpoint_is_refused(tmp_path: Path) -> None:
    train(tmp_path, PLAIN, stop_at=7)
    other = Supernet(replace(TINY, resolution=(12,)), seed=0)
    run = train_supernet(
        other,
        PLAIN,
        Feed(),
        prepare=lambda images: images.float(),
        evaluate=lambda shipped: {},
        checkpoint=tmp_path / "last.pt",
        device=CPU,
        seed=7,
    )
    with pytest.raises(UserError, match="another search space"):
        next(run)
