"""BigGAN's networks: counts against two public codes, what conditions reach, files of generators, and what refuses them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import convsmith as cs
from convsmith.arch import Act, ArchSpec, Latent, Stage, Style, plan
from convsmith.errors import UserError
from convsmith.exporting import export_onnx, ort_subject, session
from convsmith.families.biggan import critic, generator
from convsmith.layers import Conditional, Spectral
from convsmith.parts import Attention, BatchNorm, EvoNorm, EvoNormKind, GroupNorm, LatentStem, NoNorm, Told
from convsmith.stages import stage_rows
from convsmith.supernet import Axes, Space
from convsmith.units import Rounding

CIFAR = {"classes": 10, "dim": 128, "shared": 0, "told": Told.NONE}
IMAGENET = {"classes": 1000, "attention": 64}
DEEP = {"dim": 128, "told": Told.WHOLE, "deep": True}


def small(norm: cs.Norm | None = None) -> ArchSpec:
    """Two doublings, narrow, with attention between: 16 px."""
    made = cs.spec("biggan8").with_style(norm=norm)
    stages = [Stage(made.stages[0].block, 1, 12, 2), Stage(Attention(), 1, 12, 1), Stage(made.stages[0].block, 2, 8, 2)]
    return replace(
        made,
        name="small",
        input=replace(made.input, resolution=16),
        stem=LatentStem(width=16, shared=6),
        stages=tuple(stages),
    )


NORMS = [BatchNorm(act=Act.RELU), GroupNorm(groups=2), EvoNorm(variant=EvoNormKind.B0), EvoNorm(groups=2), NoNorm()]
named = pytest.mark.parametrize("norm", NORMS, ids=lambda norm: norm.describe())

# ---- counts ------------------------------------------------------------------------------------------------------------

# The setting; parameters and multiply-adds of generator and critic; parameters with EvoNorm-B0 or -S0; norms told a class, their
# widths. Counted in ajbrock/BigGAN-PyTorch at 9845943; google/compare_gan at 19922d3 documents the same of 128 px.
# fmt: off
COUNTED = {
    "cifar ch64": (
        generator(32, 64, **CIFAR),
        4_304_387, 4_207_361, 1_681_129_472, 1_081_016_576, 4_306_179, 6, 1536,
    ),
    "cifar ch32": (
        generator(32, 32, **CIFAR),
        1_218_307, 1_055_105, 422_182_912, 272_072_832, 1_219_203, 6, 768,
    ),
    "cifar ch16": (
        generator(32, 16, **CIFAR),
        375_683, 265_409, 106_496_000, 68_927_552, 376_131, 6, 384,
    ),
    "chunks ch16": (
        generator(32, 16, classes=10, dim=80, shared=32),
        297_667, 265_409, 106_425_344, 68_927_552, 298_115, 6, 384,
    ),
    "chunks ch64": (
        generator(32, 64, classes=10, dim=128),
        4_373_251, 4_207_361, 1_681_227_776, 1_081_016_576, 4_375_043, 6, 1536,
    ),
    "128 ch96": (
        generator(128, 96, dim=120, **IMAGENET),
        70_433_988, 87_982_370, 21_121_524_480, 10_836_641_280, 70_441_476, 10, 7392,
    ),
    "128 ch64": (
        generator(128, 64, dim=120, **IMAGENET),
        31_978_628, 39_448_258, 9_509_224_960, 4_881_908_736, 31_983_620, 10, 4928,
    ),
    "128 ch64 unshared": (
        generator(128, 64, **CIFAR | IMAGENET),
        42_017_412, 39_448_258, 9_509_535_744, 4_881_908_736, 42_022_404, 10, 4928,
    ),
    "256 ch96": (
        generator(256, 96, dim=140, **IMAGENET),
        82_235_844, 99_225_890, 73_204_224_768, 37_331_928_576, 82_244_868, 12, 8928,
    ),
    "deep 128": (
        generator(128, 128, **IMAGENET, **DEEP),
        50_244_484, 34_590_210, 8_959_098_880, 9_208_596_480, 50_265_220, 40, 20608,
    ),
    "deep 32": (
        generator(32, 64, classes=10, **DEEP),
        3_079_299, 651_649, 171_900_928, 175_374_592, 3_082_243, 24, 2688,
    ),
}
# fmt: on


@pytest.mark.parametrize("row", COUNTED.values(), ids=COUNTED)
def test_counts_are_those_of_the_public_codes_to_the_unit(row) -> None:
    spec, params, d_params, macs, d_macs, evolved, _, _ = row
    own, judge = cs.cost(spec), cs.cost(critic(spec))
    assert (own.params, own.macs) == (params, macs)
    assert (judge.params, judge.macs) == (d_params, d_macs)
    for kind in (EvoNormKind.B0, EvoNormKind.S0):
        assert cs.cost(spec.with_style(norm=EvoNorm(variant=kind))).params == evolved


@pytest.mark.parametrize("name", ["cifar ch16", "chunks ch16", "deep 32"])
def test_norms_that_are_told_a_class_are_as_many_and_as_wide_as_published(name: str) -> None:
    spec, *_, count, widths = COUNTED[name]
    told = [one for one in cs.build(spec, device="meta").modules() if isinstance(one, Conditional)]
    assert (len(told), sum(one.core.num_features for one in told)) == (count, widths)


def test_attention_at_16_px_is_counted_too() -> None:
    spec = generator(32, 64, classes=10, dim=128, attention=16)
    assert (cs.cost(spec).params, cs.cost(spec).macs) == (4_455_172, 1_704_820_736)
    # The release's critic of 32 px believes all four of its blocks to put out 16 px, and looks behind each of them.
    judge = critic(replace(spec, stages=tuple(one for one in spec.stages if one.block != Attention())))
    looks = [Stage(Attention(), 1, 256, 1)]
    stages = looks + [row for stage in judge.stages for row in (stage, *looks)]
    found = cs.cost(replace(judge, stages=tuple(stages)))
    assert (found.params, found.macs) == (4_535_045, 1_120_829_696)


def test_the_generator_of_digits_and_its_critic_have_the_counts_they_were_first_tried_with() -> None:
    plain = cs.spec("biggan8")
    assert (cs.cost(plain).params, cs.cost(critic(plain)).params) == (56_513, 28_481)
    assert {cs.cost(cs.spec(f"biggan8_evo{kind}")).params for kind in ("b0", "s0")} == {56_673}


# ---- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cs.names("synthesise"))
def test_generators_and_critics_survive_json(name: str) -> None:
    spec = cs.spec(name)
    judge = critic(spec)
    assert cs.from_json(spec.to_json()) == spec and cs.from_json(judge.to_json()) == judge
    assert isinstance(spec.input, Latent) and spec.n_names == judge.n_names == spec.input.classes


def test_json_of_an_image_is_as_it_was_and_mistakes_name_the_field() -> None:
    text = cs.spec("resnet18").to_json()
    assert '"Image"' not in text and cs.from_json(text) == cs.spec("resnet18")
    with pytest.raises(UserError, match=r"input.chanels: no such field; allowed are resolution, channels"):
        cs.from_json(text.replace('"channels": 3', '"chanels": 3'))
    text = cs.spec("biggan8").to_json()
    with pytest.raises(UserError, match=r"(?s)input.dim: missing"):
        cs.from_json(text.replace('"dim": 48,', ""))
    with pytest.raises(UserError, match=r"input.dim must be at least 1; got 0"):
        cs.from_json(text.replace('"dim": 48', '"dim": 0'))


def _keep(seen: dict[str, Any], path: str, _: Any, ins: Any, out: Any) -> None:
    seen[path] = ins, out


@named
def test_shapes_of_the_plan_are_those_of_the_network(norm) -> None:
    for spec in (small(norm), critic(small(norm)), generator(32, 4, classes=3, **DEEP).with_style(norm=norm)):
        network, seen = cs.build(spec, seed=0).eval(), {}
        for node in plan(spec):
            keep = partial(_keep, seen, node.path)
            network.get_submodule(node.path).register_forward_hook(keep)
        out = network(*spec.example(3, seed=0))
        for node in plan(spec):
            ins, outs = seen[node.path]
            outs = outs if isinstance(outs, tuple) else (outs,)
            assert [tuple(one.shape[1:]) for one in ins] == [shape.dims for shape in node.ins]
            expected = [() if node.path == "head" and not shape.sides else shape.dims for shape in node.outs]
            assert [tuple(one.shape[1:]) for one in outs] == expected
        assert out.isfinite().all()
        assert sum(row.params for row in stage_rows(spec)) == sum(one.numel() for one in network.parameters())


def test_a_made_image_is_in_range_and_a_judgement_is_one_number() -> None:
    spec = small()
    made = cs.build(spec, seed=0)(*spec.example(4, seed=1))
    assert made.shape == (4, 1, 16, 16) and made.abs().max() <= 1
    judge = critic(spec)
    assert judge.input.mean == (0.5,) and judge.input.std == (0.5,)
    assert cs.build(judge, seed=1)(made, torch.tensor([0, 1, 2, 3])).shape == (4,)


def test_scaling_a_generator_scales_its_critic() -> None:
    spec = cs.spec("biggan32_ch16")
    wide = cs.grown(spec, depth=2, width=1.5, resolution=2, rounding=Rounding())
    assert wide.input.resolution == 64 and wide.stem.width == 96 and spec.growth == 8
    judge, plain = critic(wide), critic(spec)
    assert judge.input.resolution == 64 and judge.depth > plain.depth
    assert {stage.width for stage in judge.stages} == {96} and {stage.width for stage in plain.stages} == {64}
    assert cs.build(judge, seed=0)(*judge.example(2, seed=0)).shape == (2,)
    # Sides stay multiples of what the blocks enlarge by.
    assert cs.grown(spec, resolution=1.13, rounding=Rounding()).input.resolution == 40
    with pytest.raises(UserError, match="do not divide by 8"):
        cs.cost(spec.with_resolution(36))


def test_classes_and_channels_belong_to_the_input() -> None:
    spec = cs.spec("biggan8").with_classes(4).with_channels(3)
    assert (spec.input.classes, spec.input.channels, spec.head.channels, spec.n_names) == (4, 3, 3, 4)
    assert cs.build(spec, seed=0)(*spec.example(2)).shape == (2, 3, 8, 8)
    assert critic(spec).head.classes == 4


def test_what_cannot_be_built_is_refused_in_words() -> None:
    spec = small()
    with pytest.raises(ValueError, match="head makes images of 1 channels, not 3"):
        replace(spec, input=Latent(resolution=16, dim=8, classes=2))
    with pytest.raises(UserError, match="too few for 4 chunks"):
        plan(replace(spec, input=replace(spec.input, dim=3)))
    with pytest.raises(UserError, match="give the network a LatentStem"):
        plan(replace(spec, input=cs.Image(16, 1, (0.5,), (0.5,)), stem=cs.ConvStem(width=8)))
    with pytest.raises(UserError, match="give the network a Latent input"):
        plan(replace(spec, input=cs.Image(16, 1, (0.5,), (0.5,))))
    with pytest.raises(ValueError, match="needs a shared vector"):
        LatentStem(width=8, shared=0)
    with pytest.raises(UserError, match="makes no images of a class"):
        critic(cs.spec("resnet18"))
    scaled = cs.ScaledWS()
    lambda_ = cs.spec("resnet18").style.norm
    assert cs.build(spec.with_style(conv=scaled, norm=lambda_), seed=0)(*spec.example(2)).isfinite().all()


def test_verbs_for_images_refuse_generators_in_one_line() -> None:
    spec = cs.spec("biggan8")
    with pytest.raises(UserError, match="reads more than images"):
        cs.diagnose(spec)
    with pytest.raises(UserError, match="reads more than images"):
        cs.convert(spec, "evonorm-s0")
    with pytest.raises(UserError, match="have no supernet"):
        Space(spec, (Axes(), Axes()))
    with pytest.raises(UserError, match="--resolution could set"):
        cs.measure(spec, resolution=16)


# ---- what conditions reach ---------------------------------------------------------------------------------------------


def test_a_chunk_reaches_its_block_and_those_behind_it_alone() -> None:
    spec = small()
    network = cs.build(spec, seed=0).eval()
    z, y = spec.example(2, seed=0)
    sizes = network.stem.sizes
    assert sum(sizes) == spec.input.dim and len(sizes) == 4  # two blocks, one of them twice; attention reads none
    readers = [node.path for node in plan(spec) if node.reads]
    assert readers == ["stages.0.0", "stages.2.0", "stages.2.1"]

    def entering(z: torch.Tensor) -> dict[str, torch.Tensor]:
        seen: dict[str, torch.Tensor] = {}
        hooks = [
            network.get_submodule(path).register_forward_pre_hook(lambda _, ins, path=path: seen.update({path: ins[0]}))
            for path in readers
        ]
        seen["made"] = network(z, y)
        for hook in hooks:
            hook.remove()
        return seen

    plain = entering(z)
    for chunk, path in enumerate(readers, 1):
        other = z.clone()
        start = sum(sizes[:chunk])
        other[:, start : start + sizes[chunk]] += 1
        moved = entering(other)
        for index, reader in enumerate(readers, 1):
            assert torch.equal(moved[reader], plain[reader]) == (index <= chunk), (path, reader)
        assert not torch.equal(moved["made"], plain["made"])


@named
def test_zero_tables_make_the_norm_at_scale_one_and_shift_nought(norm) -> None:
    torch.manual_seed(0)
    zero = lambda: torch.nn.Linear(3, 8, bias=False).requires_grad_(False)  # noqa: E731
    gain, shift = zero(), zero()
    told = Conditional(*norm.core(8), gain, shift).double()
    plain = norm.build(8).double()
    for table in (gain, shift):
        table.weight.zero_()
    x, c = torch.randn(4, 8, 5, 5, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    for training in (True, True, False):  # twice in training, so that statistics have moved
        told.train(training), plain.train(training)
        torch.testing.assert_close(told(x, c), plain(x.clone()), rtol=0, atol=1e-12)  # sums in another order


@named
def test_one_class_is_the_norm_with_that_class_s_numbers(norm) -> None:
    torch.manual_seed(0)
    tables = [torch.nn.Embedding(3, 8) for _ in range(2)]
    told = Conditional(*norm.core(8), *tables).double().eval()
    x = torch.randn(4, 8, 5, 5, dtype=torch.float64)
    found = told(x, torch.full((4,), 2))
    gain, shift = (table.weight[2].detach() for table in tables)
    plain = norm.build(8).double().eval()
    scale = next((one for one in plain.modules() if getattr(one, "bias", None) is not None), None)
    if scale is None:  # no norm, no scale: the formula itself
        torch.testing.assert_close(found, (x * (1 + gain)[:, None, None] + shift[:, None, None]).relu())
        return
    scale.weight.data, scale.bias.data = 1 + gain, shift
    torch.testing.assert_close(found, plain(x.clone()), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kind", "alone"), [("evos0", True), ("evob0", False), ("bn", False)])
def test_an_image_made_alone_is_that_of_a_batch(kind: str, alone: bool) -> None:
    norm = {"evos0": EvoNorm(groups=4), "evob0": EvoNorm(variant=EvoNormKind.B0), "bn": BatchNorm(act=Act.RELU)}[kind]
    spec = small(norm)
    network = cs.build(spec, seed=0).double().train()
    for module in network.modules():
        if isinstance(module, Spectral):
            module.u.copy_(torch.linalg.svd(module.weight.flatten(1), full_matrices=False)[0][:, 0])  # converged
    z, y = spec.example(6, seed=3)
    z = z.double()
    with torch.no_grad():
        batch, single = network(z, y), torch.cat([network(z[i : i + 1], y[i : i + 1]) for i in range(6)])
        apart = (batch - single).abs().max()
        assert (apart < 1e-9) == alone  # u goes on converging from its limit: rounding only
        network.eval()
        batch, single = network(z, y), torch.cat([network(z[i : i + 1], y[i : i + 1]) for i in range(6)])
        torch.testing.assert_close(batch, single, rtol=0, atol=1e-9)


# ---- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [None, EvoNorm(groups=4)], ids=["bn", "evos0"])
def test_an_exported_generator_is_the_network_with_its_norms_inside(norm, tmp_path: Path) -> None:
    spec = small(norm)
    network = cs.build(spec, seed=0)
    with torch.no_grad():
        for seed in range(40):  # u converges, statistics settle
            network(*spec.example(8, seed=seed))
    network.eval()
    z, y = spec.example(5, seed=99)
    made = export_onnx(network, tmp_path / "g.onnx", input_shape=(), samples=(z, y))
    assert made.moved is not None and made.moved < 1e-3 and "moved" in made.to_record()
    runtime = session(made.path, threads=1)
    assert [one.name for one in runtime.get_inputs()] == ["z", "y"]
    (images,) = runtime.run(None, {"z": z.numpy(), "y": y.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(images, network(z, y).numpy(), rtol=0, atol=1e-3)  # the sheet's bound on folding
    assert ort_subject("g", made.path, batch=3, threads=1).run() is None


def test_samples_of_other_shapes_are_refused(tmp_path: Path) -> None:
    spec = cs.spec("biggan8")
    z, y = spec.example(4)
    with pytest.raises(UserError, match="samples are of shape"):
        export_onnx(cs.build(spec, seed=0), tmp_path / "g.onnx", input_shape=(), samples=(z[:, :5], y))


def test_a_style_without_spectral_norms_serves_as_well() -> None:
    spec = small().with_style(conv=cs.PlainConv())
    network = cs.build(spec, seed=0)
    assert not any(isinstance(one, Spectral) for one in network.modules())
    assert network(*spec.example(2, seed=0)).isfinite().all()
    assert Style(norm=spec.style.norm, conv=spec.style.conv) == spec.style
