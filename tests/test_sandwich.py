"""One step of the sandwich: whose gradients it sums, and who sees labels."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from convsmith.arch import ArchSpec
from convsmith.errors import UserError
from convsmith.recipe import SGD
from convsmith.supernet import T32, Axes, Space, Supernet, assert_distinct, drawn, sandwich
from convsmith.training import Moment
from convsmith.training.optim import optimiser
from supernets import CLASSIFY, CPU, PLAIN, TINY, noise, stirred

MOMENT = Moment(step=0, steps=1, epoch=0, device=CPU)


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
        sandwich(supernet, CLASSIFY, images, labels, specs, PLAIN, MOMENT)
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
    seen = sandwich(supernet, CLASSIFY, images, labels, (child,), recipe, MOMENT, labelled=True)
    found = gradients(supernet)
    torch.manual_seed(0)
    sandwich(supernet, CLASSIFY, images, labels, (), recipe, MOMENT)
    loss = F.cross_entropy(supernet.child(child)(images), labels, label_smoothing=0.1)
    loss.backward()
    for name, one in gradients(supernet).items():
        torch.testing.assert_close(one, found[name], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(seen.children[0], loss.detach())


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
