"""A child trained on: half from answers, half from the biggest, which stays as it is."""

from __future__ import annotations

from dataclasses import replace

import torch

from convsmith.jobs.search.handing import finishing
from convsmith.recipe import SandwichRule
from convsmith.supernet import Finishing
from convsmith.supernet.shared import resized
from convsmith.training import Moment
from supernets import CLASSIFY, CPU, PLAIN, TINY, noise, stirred


def test_a_step_is_half_from_answers_and_half_from_the_teacher_and_nothing_is_dropped() -> None:
    supernet, images, labels = stirred(TINY), noise(8, 12), torch.arange(8) % 3
    child, teacher = supernet.extract(TINY.smallest()), supernet.calibrated(TINY.biggest(), [images])
    trainee = Finishing(child, teacher, CLASSIFY, PLAIN)
    before = {name: one.clone() for name, one in teacher.state_dict().items()}

    trainee.gradients(child, images, labels, Moment(0, 1, 0, CPU))
    found = {name: one.grad for name, one in child.named_parameters()}
    assert all(torch.equal(before[name], one) for name, one in teacher.state_dict().items())
    assert all(one.grad is None for one in teacher.parameters()) and not teacher.training

    own = supernet.child(TINY.smallest())  # by the batch's statistics, at its own side, undropped
    with torch.no_grad():
        said = teacher(resized(images, TINY.biggest().input.sides))
    learnt = CLASSIFY.loss(own, images, labels, PLAIN)
    ((learnt.loss + CLASSIFY.distilled(learnt.outputs, said)) / 2).backward()
    names = own.views()
    for name, one in supernet.model.named_parameters():
        if name in names and one.grad is not None:
            part = tuple(slice(0, size) for size in found[name].shape)
            if one.ndim == 4 and one.shape[-1] != found[name].shape[-1]:  # the middle of a larger kernel
                edge = (one.shape[-1] - found[name].shape[-1]) // 2
                part = (*part[:2], slice(edge, edge + found[name].shape[-1]), slice(edge, edge + found[name].shape[-1]))
            torch.testing.assert_close(found[name], one.grad[part], rtol=1e-4, atol=1e-6)  # sums in single precision


def test_training_on_is_short_slow_and_by_the_same_recipe_otherwise() -> None:
    own = finishing(replace(PLAIN, sandwich=SandwichRule(first=0.5)), 3)
    assert (own.epochs, own.warmup, own.sandwich) == (3, 0, SandwichRule())
    assert own.rate == 0.1 * PLAIN.rate
    shares = [own.schedule.share(step, steps=10, warmup=0, per_epoch=5) for step in range(10)]
    assert shares[0] == 1 and shares == sorted(shares, reverse=True) and shares[-1] < 0.05
