"""Layers that are graphs where no classifier of pictures is: in generators, and over time."""

from __future__ import annotations

import pytest
import torch

from convsmith.arch import ArchSpec
from convsmith.families import spec
from convsmith.families.inflated import inflated
from convsmith.graphs import KNOWN, NormGraph, read
from convsmith.model import build
from convsmith.parts import GraphNorm
from convsmith.training import stand

# A found layer that is none of the known ones, with a moment of the batch and one of the image.
OWN = read("max(x, v1 * x / std_instance(x)) / rms_batch(x)")


@pytest.mark.parametrize("graph", [OWN, KNOWN["bn-silu"], KNOWN["evonorm-s0"]], ids=["own", "bn-silu", "evonorm-s0"])
def test_without_scale_and_shift_it_is_its_core(graph: NormGraph) -> None:
    norm = GraphNorm(graph, groups=4)
    whole, (core, after) = norm.build(8), norm.core(8)
    x = torch.randn((3, 8, 5, 5), generator=torch.Generator().manual_seed(0))
    assert torch.equal(whole(x), after(core(x)))
    assert {"weight", "bias"} & set(core.state_dict()) == set()


def test_a_generator_has_it_told_by_classes_and_stands_its_statistics() -> None:
    generator = build(spec("biggan8").with_style(norm=GraphNorm(OWN, groups=8)), seed=0)
    z, y = generator.spec.example(16, seed=1)
    before = {name: value.clone() for name, value in generator.named_buffers() if name.endswith("stat0")}
    stand(generator, lambda k: (z, y), batches=2)
    after = dict(generator.named_buffers())
    assert before and all(not torch.equal(value, after[name]) for name, value in before.items())
    with (
        torch.no_grad()
    ):  # of one batch, twice, the standing statistics are that batch's: evaluation is what training was
        generator.train()
        trained = generator(z, y)
        stand(generator, lambda k: (z, y), batches=1)
        assert torch.allclose(generator(z, y), trained, atol=1e-5)  # float32, and spectral norms take a step between


def test_over_time_it_is_one_picture_of_all_frames() -> None:
    still = ArchSpec.with_style(spec("resnet18").with_resolution(32).with_classes(3), norm=GraphNorm(OWN, groups=8))
    moving = inflated(still, frames=4, kernels=(1, 1, 1, 1))
    flat, filmed = build(still, seed=0).eval(), build(moving, seed=0).eval()
    filmed.load_state_dict(flat.state_dict())
    picture = still.input.example(2, seed=0)
    with torch.no_grad():
        assert torch.allclose(filmed(picture[:, :, None].expand(-1, -1, 4, -1, -1)), flat(picture), atol=1e-5)
