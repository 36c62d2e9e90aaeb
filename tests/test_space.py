"""A space's laws: it holds what it says it holds, and refuses what no shared weights could be cut into."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given

from convsmith.arch import Block
from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.families import bignas
from convsmith.families import spec as member
from convsmith.graphs import KNOWN
from convsmith.jobs.fitting import in_aspect
from convsmith.parts import (
    BasicBlock,
    Bottleneck,
    EvoNorm,
    GhostBottleneck,
    GraphNorm,
    GroupNorm,
    Lambda,
    PreActBottleneck,
)
from convsmith.parts.heads.keypoints import posed
from convsmith.supernet import BIGNAS, P16, T32, Axes, Supernet, check, space_from
from convsmith.supernet.shared import resized
from specs import blocks
from supernets import SOUND, TINY, family, noise, stirred, undropped


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


UNSOUND = {
    "group_norm": (family(BasicBlock(), norm=GroupNorm(groups=8)), "normalises groups of"),
    "graph_norm": (family(PreActBottleneck(), norm=GraphNorm(KNOWN["gn-silu"], groups=8)), "normalises groups of"),
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


# ---- what may vary -------------------------------------------------------------------------------------------------


@given(blocks)
def test_a_block_is_what_its_choices_say(block: Block) -> None:
    own = block.choices
    assert block.varied(own.kernel or 1, own.expand or 1) == block
    other = block.varied(7, 3)
    assert (other.choices.kernel, other.choices.expand) == (own.kernel and 7, own.expand and 3)
    assert other.varied(own.kernel or 1, own.expand or 1) == block  # nothing else has changed


def test_a_network_whose_head_has_no_width_keeps_it() -> None:
    bare, wide = member("resnet18").head, member("efficientnet_b0").head
    assert (bare.choice, wide.choice) == (0, 1280)
    assert bare.with_choice(64) == bare and wide.with_choice(64).choice == 64


def test_the_space_for_points_is_had_at_the_pictures_aspect() -> None:
    """The numbers that docs/supernet.md tells of it."""
    base = posed(P16.base, 16)
    space = P16.over(replace(base, input=in_aspect(base.input, (112, 192))))
    ends = [cost(one).macs for one in (space.smallest(), space.biggest())]
    assert [round(macs / 1e6) for macs in ends] == [17, 112] and P16.size() == 497_664
