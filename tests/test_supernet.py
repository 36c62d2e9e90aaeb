"""Shared weights: a child is the network it says it is, and its statistics are its own."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.supernet import T32, Supernet, calibrate, space_from
from convsmith.supernet.shared import resized
from supernets import SOUND, TINY, noise, stirred, undropped


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


@pytest.mark.parametrize("name", ["mobilenet", "evonorm_b0", "graph"])
def test_layer_by_layer_every_norms_statistics_are_the_whole_sets(name: str) -> None:
    space = space_from(SOUND[name], width=0.5)
    supernet, spec = stirred(space), space.smallest()
    whole = supernet.calibrated(spec, batches((40,), 16)).state_dict()
    cut = supernet.calibrated(spec, batches((7, 30, 3), 16), layerwise=True).state_dict()
    running = [key for key in whole if "running" in key or "stat" in key]
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


def test_batches_are_prepared_where_the_weights_are_one_at_a_time() -> None:
    given = [torch.randint(0, 256, (size, 3, 12, 12), dtype=torch.uint8) for size in (5, 3)]
    spec, seen = TINY.smallest(), []

    def prepare(images: Tensor) -> Tensor:
        seen.append((images.device.type, images.dtype, len(images)))
        return images.float() / 128 - 1

    ready = stirred(TINY).calibrated(spec, [prepare(images) for images in given]).state_dict()
    lazy = stirred(TINY).calibrated(spec, given, prepare=prepare).state_dict()
    assert all(torch.equal(lazy[name], one) for name, one in ready.items())
    # A stand-in for an accelerator: images left behind on the CPU would be an error there, too.
    Supernet(TINY, device="meta").calibrated(spec, given, prepare=prepare)
    assert seen[-2:] == [("meta", torch.uint8, 5), ("meta", torch.uint8, 3)]


def test_one_batch_calibrated_says_what_training_said_of_it() -> None:
    supernet, images = stirred(TINY), noise(16, 12)
    for spec in (TINY.smallest(), TINY.biggest()):
        side = spec.input.resolution
        logits = supernet.calibrated(spec, [images])(resized(images, side))
        # The same function with the same statistics, in another order of operations.
        torch.testing.assert_close(logits, supernet.child(spec)(images), rtol=1e-4, atol=1e-4)
