"""One plan for chains, necks and heads of several maps, over images of any sides: what it says is what the network does."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import convsmith as cs
from convsmith.arch import ArchSpec, Image, Shape, grown, plan, taps, trunk
from convsmith.codec import from_json, to_data
from convsmith.costs import cost, node_costs, operations
from convsmith.errors import UserError
from convsmith.exporting import export_onnx
from convsmith.families import names, spec
from convsmith.latency import eager_subject
from convsmith.model import build
from convsmith.parts import PARTS, PooledClassifier
from convsmith.resolve import load_weights
from convsmith.signal import expected, trace
from convsmith.speed import kernels
from convsmith.stages import stage_rows
from convsmith.supernet import Axes, Space, Supernet
from convsmith.supernet.counting import Counting
from convsmith.training.optim import parameter_groups
from convsmith.units import Cost, Rounding
from convsmith.weights import write
from convsmith.weights.fitting import fitted
from convsmith.weights.maps import dialects
from convsmith.weights.origins import Origin
from pyramids import KINDS, REGIONS, Pyramid, Regions
from specs import specs

oblong = st.builds(Image, resolution=st.integers(8, 40), width=st.integers(8, 40))
ends = st.sampled_from([(None, None), (Pyramid(8), None), (None, Regions(3)), (Pyramid(12), Regions(2, 4))])


@st.composite
def anything(draw: st.DrawFn) -> ArchSpec:
    """Any trunk, read at any sides, with any neck and any head."""
    arch = replace(draw(specs), input=draw(oblong))
    neck, head = draw(ends)
    several = neck is not None or head is not None
    assume(not several or len(taps(trunk(arch))) >= 2)
    if isinstance(head, Regions) and neck is None:  # over maps of unequal widths no convolution can be shared
        widths = {one.shape.channels for one in taps(trunk(arch))}
        assume(len(widths) == 1)
    return replace(arch, neck=neck, head=head or arch.head)


def small(**changes: object) -> ArchSpec:
    """ResNet-18 for 48 x 32 images with a pyramid and regions."""
    base = spec("resnet18").with_resolution(48)
    arch = replace(base, input=replace(base.input, width=32), neck=Pyramid(16), head=Regions(5))
    return replace(arch, **changes)  # type: ignore[arg-type]


# ---- the plan and the network --------------------------------------------------------------------------------------


@given(anything())
def test_shapes_and_times_of_a_plan_are_those_of_the_network(arch: ArchSpec) -> None:
    model = build(arch, seed=0).eval()
    seen: dict[str, tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]] = {}

    def note(path: str):  # type: ignore[no-untyped-def]
        def hook(_: object, ins: tuple[torch.Tensor, ...], out: object) -> None:
            seen[path] = (ins, out if isinstance(out, tuple) else (out,))  # type: ignore[assignment]

        return hook

    for node in plan(arch):
        model.get_submodule(node.path).register_forward_hook(note(node.path))
    model(arch.input.example(2, seed=1))
    for node in plan(arch):
        if node.path == "head":
            continue  # a classifier is called in two steps
        ins, outs = seen[node.path]
        assert [one.shape for one in ins] == [(2 * node.times, *shape.dims) for shape in node.ins], node.path
        assert [one.shape for one in outs] == [(2 * node.times, *shape.dims) for shape in node.outs], node.path
        if node.times == 1:  # what is cut out of a map is another tensor
            read = [{id(one) for one in seen[path][1]} for path in node.reads]
            assert all(id(one) in outs for one, outs in zip(ins, read, strict=False)), node.path


@given(anything())
def test_every_path_is_read_after_it_was_put_out(arch: ArchSpec) -> None:
    nodes = plan(arch)
    done: set[str] = set()
    for node in nodes:
        assert set(node.reads) <= done
        assert node.path not in done
        done.add(node.path)


@given(anything())
def test_costs_of_units_are_the_cost_of_the_whole_network(arch: ArchSpec) -> None:
    assert cost(arch) == sum(node_costs(arch), Cost())
    assert cost(arch) == operations(build(arch, device="meta"), arch.input.example().to("meta"))


@given(anything())
def test_stage_rows_of_any_plan_add_up(arch: ArchSpec) -> None:
    rows = stage_rows(arch)
    assert cost(arch) == sum((Cost(row.macs, row.params, row.activations) for row in rows), Cost())
    assert sum(row.depth for row in rows) == len(plan(arch))


def test_a_unit_that_runs_a_hundred_times_costs_a_hundred_and_has_its_weights_once() -> None:
    by_path = dict(zip((node.path for node in plan(small())), node_costs(small()), strict=True))
    region = by_path["head.region"]
    assert region == Cost(REGIONS * 8 * 8 * 9 * 16, 8 * 8 * 9 + 2 * 8, REGIONS * 8 * 16)
    assert by_path["head.answer"] == Cost(REGIONS * 8 * 5, 8 * 5 + 5, REGIONS * 5)


def test_taps_are_the_maps_that_feature_info_names() -> None:
    arch = spec("efficientnet_b0")
    info = build(arch, device="meta").feature_info
    assert [(one.stride, one.shape.channels) for one in taps(trunk(arch))] == [
        (feature.reduction, feature.channels) for feature in info
    ]


def test_a_stage_table_names_the_neck_and_the_times() -> None:
    rows = {(row.name, row.times): row for row in stage_rows(small())}
    neck, look, regions = rows["neck", 1], rows["head.look", 1], rows["head.region", REGIONS]
    assert (neck.what, neck.px, neck.width) == ("conv 1x1, merge, conv 3x3", "3x2", 16)
    assert (look.what, look.px) == ("shared conv 3x3", "3x2")
    assert (regions.what, regions.width) == ("conv 3x3, linear", 5)
    data = to_data(regions)
    assert data["times"] == REGIONS and "sides" not in data
    assert not {"times", "sides"} & to_data(stage_rows(spec("resnet18"))[0]).keys()


# ---- the network ---------------------------------------------------------------------------------------------------


def test_weights_are_named_by_their_place() -> None:
    keys = list(build(small(), device="meta").state_dict())
    assert [key for key in keys if key.startswith(("neck.", "head.")) and key.endswith("weight")] == [
        "neck.levels.top.conv.weight",
        "neck.levels.top.norm.bn.weight",
        "neck.levels.merge.lateral.conv.weight",
        "neck.levels.merge.lateral.norm.bn.weight",
        "neck.out.conv.weight",
        "neck.out.norm.bn.weight",
        "head.look.conv.conv.weight",
        "head.look.conv.norm.bn.weight",
        "head.region.conv.weight",
        "head.region.norm.bn.weight",
        "head.answer.weight",
    ]
    plain = build(replace(small(), neck=None, head=spec("resnet18").head), device="meta").state_dict()
    assert [key for key in keys if key.startswith(("stem.", "stages."))] == [key for key in plain if "head." not in key]


def test_what_is_made_is_up_to_the_maker() -> None:
    paths: list[str] = []

    def make(node, style):  # type: ignore[no-untyped-def]
        paths.append(node.path)
        return torch.nn.Identity()

    model = cs.Model(spec("resnet18"), make)
    assert paths == [node.path for node in plan(model.spec)]
    assert not list(model.parameters())


def test_a_classifier_may_stand_on_a_neck() -> None:
    arch = replace(small(), head=PooledClassifier(classes=4, width=24))
    model, images = build(arch, seed=0).eval(), arch.input.example(2, seed=0)
    with torch.no_grad():
        assert model(images).shape == (2, 4)
        torch.testing.assert_close(model.forward_head(model.forward_features(images)), model(images))
    assert plan(arch)[-1].ins == (Shape(16, (2, 1)),)  # the neck's coarsest
    assert model.forward_features(images).shape == (2, 24, 2, 1)


def test_a_head_of_several_maps_is_given_them_and_is_no_classifier() -> None:
    model = build(small(), seed=0).eval()
    images = small().input.example(2, seed=0)
    scores, presence = model(images)
    assert scores.shape == (2, REGIONS, 5) and presence.shape == (2,)
    assert torch.equal(model.head(model.maps(images))[0], scores)
    for ask in (lambda: model.num_classes, model.get_classifier, lambda: model.reset_classifier(3)):
        with pytest.raises(UserError, match="resnet18 ends in regions, which is no classifier"):
            ask()
    with pytest.raises(UserError, match=r"reads several maps: give it `model\.maps\(images\)`"):
        model.forward_head(model.forward_features(images))


def test_a_file_of_weights_is_read_back(tmp_path: Path) -> None:
    one, two = build(small(), seed=0), build(small(), seed=1)
    write(tmp_path / "weights.safetensors", one.state_dict())
    load_weights(two, tmp_path / "weights.safetensors")
    assert all(torch.equal(tensor, one.state_dict()[key]) for key, tensor in two.state_dict().items())


def test_a_head_says_which_weights_the_names_fix() -> None:
    model = build(small(), seed=0)
    last = {
        id(one)
        for group in parameter_groups(model, 0.1, trunk_rate=0.5)
        if group["share"] == 1
        for one in group["params"]
    }
    assert last == {id(model.head.answer.weight), id(model.head.answer.bias)}
    before = build(small().with_classes(2), seed=0).state_dict()
    assert [one.value for one in dialects(small())] == ["convsmith", "timm", "torchvision"]  # names of the trunk
    found = fitted(small(), Origin("weights", before), classes=5)
    assert set(found.fresh) == {"head.answer.weight", "head.answer.bias"}
    assert fitted(small(), Origin("weights", before)).spec.head == Regions(2)


@pytest.mark.parametrize("dynamic", [True, False])
def test_a_file_ends_as_its_head_says(dynamic: bool, tmp_path: Path) -> None:
    arch, path = small(), tmp_path / "regions.onnx"
    model = build(arch, seed=0).eval()
    done = export_onnx(model, path, input_shape=arch.input.shape.dims, dynamic_batch=dynamic)
    assert done.folded > 0
    session = onnxruntime.InferenceSession(path)
    assert [one.name for one in session.get_outputs()] == ["scores", "presence"]
    assert session.get_inputs()[0].shape[1:] == [3, 48, 32]
    images = arch.input.example(2 if dynamic else 1, seed=3)
    scores, _ = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    np.testing.assert_allclose(scores, model(images)[0].softmax(-1).detach(), atol=1e-4)


def test_torch_compile_and_export_take_a_head_of_several_maps() -> None:
    model, images = build(small(), seed=0).eval(), small().input.example(2, seed=0)
    with torch.inference_mode():
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(images), model(images))
    program = torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.testing.assert_close(program.module()(images[:1].repeat(3, 1, 1, 1))[1], model(images)[1][:1].repeat(3))


# ---- the value -----------------------------------------------------------------------------------------------------


@given(anything())
def test_any_spec_survives_json_with_its_kinds(arch: ArchSpec) -> None:
    assert from_json(ArchSpec, arch.to_json(), KINDS) == arch


@pytest.mark.parametrize("name", [name for name in names("classify") if spec(name).neck is None])
def test_published_specs_are_written_as_they_always_were(name: str) -> None:
    data = json.loads(spec(name).to_json())
    assert list(data) == ["name", "input", "style", "stem", "stages", "head"]
    assert list(data["input"]) == ["resolution", "channels", "mean", "std"]


def test_a_neck_that_nothing_knows_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="neck"):
        from_json(ArchSpec, small(head=spec("resnet18").head).to_json(), PARTS)


def test_growing_widens_the_neck_too() -> None:
    wide = grown(small(), width=2, resolution=1.5, rounding=Rounding())
    assert (wide.neck, wide.head) == (Pyramid(32), Regions(5, 16))
    assert wide.input.sides == (72, 48)
    assert cost(wide).params > 3 * cost(small()).params
    assert grown(small(), width=1, rounding=Rounding()) == small()


@given(oblong, st.integers(1, 99))
def test_an_oblong_image_keeps_its_ratio(image: Image, resolution: int) -> None:
    again = image.resized(resolution)
    height, width = again.sides
    assert height == resolution and again.channels == image.channels
    assert abs(width - max(1, image.sides[1] * resolution / image.sides[0])) <= 0.5
    assert image.resized(image.resolution) == image
    assert image.shape == Shape(3, image.sides)


def test_equal_images_are_equal_values() -> None:
    assert Image(64, width=64) == Image(64) and Image(64, width=64).width is None
    assert Image(64, width=48).px == "64x48" and Image(64).px == "64"
    with pytest.raises(ValueError, match=r"input\.width must be at least 1"):
        Image(64, width=0)
    with pytest.raises(UserError, match="only square images can be used here; this network reads 64x48 px"):
        _ = Image(64, width=48).side


def test_an_example_is_its_seed_s_alone() -> None:
    image = Image(6, width=4, channels=1, mean=(0.5,), std=(0.5,))
    assert not image.example(2).any() and image.example(2).shape == (2, 1, 6, 4)
    state = torch.get_rng_state()
    assert torch.equal(image.example(3, seed=1), image.example(3, seed=1))
    assert torch.equal(torch.get_rng_state(), state)


# ---- its other readers ---------------------------------------------------------------------------------------------


def test_an_oblong_network_is_traced_timed_and_predicted() -> None:
    base = spec("resnetv2_50").with_resolution(48)
    arch = replace(base, input=replace(base.input, width=64))
    seen = trace(build(arch, seed=0), input_shape=arch.input.shape.dims, draws=1)
    theory = expected(replace(arch, neck=Pyramid(8)))
    assert theory is not None and theory == expected(base)
    assert len(seen.points) == len(theory) + 1
    assert "of 3x48x64" in seen.source
    subject = eager_subject("oblong", build(arch, seed=0), input_shape=arch.input.shape.dims)
    assert torch.as_tensor(subject.run()).shape == (1, 1000)
    rows = {kernel.shape[5:] for kernel in kernels(arch) if kernel.kind == "conv"}
    assert (24, 32) in rows and (2, 2) in rows
    assert kernels(replace(arch, neck=Pyramid(8))) != kernels(arch)


def test_no_calibration_knows_the_time_of_regions() -> None:
    with pytest.raises(UserError, match=r"head\.region runs 100 times for one image"):
        kernels(small())


def space() -> Space:
    base = replace(small(), input=Image(32), name="regions")  # its first stage has no projections
    free = tuple(Axes(width=(stage.width // 2, stage.width), depth=(1, 2)) for stage in base.stages[1:])
    return Space(base=base, stages=(Axes(), *free), resolution=(24, 32))


def test_children_with_a_neck_are_views_and_counted() -> None:
    own, rng = space(), random.Random(0)
    supernet, counting = Supernet(own, seed=0), Counting(own)
    images = own.base.input.example(4, seed=0)
    for _ in range(4):
        child = own.sample(rng)
        assert counting(own.genes(child)) == cost(child)
        one = supernet.child(child)
        scores, _ = one(images)
        scores.sum().backward()
        extracted = supernet.extract(child).train()
        resized = torch.nn.functional.interpolate(images, size=child.input.side, mode="bilinear", antialias=True)
        torch.testing.assert_close(scores, extracted(resized)[0], rtol=1e-4, atol=1e-5)
    assert supernet.model.neck is not None
    assert supernet.model.neck.out.conv.weight.grad is not None


def test_children_of_an_oblong_space_keep_its_ratio_and_share_its_weights() -> None:
    oblong = replace(space(), base=replace(space().base, input=Image(32, width=48)))
    supernet, child = Supernet(oblong, seed=0), oblong.smallest()
    assert child.input.sides == (24, 36) and oblong.spec(oblong.genes(child)) == child
    images = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    alone = supernet.extract(child).train()
    shown = torch.nn.functional.interpolate(images, size=child.input.sides, mode="bilinear", antialias=True)
    torch.testing.assert_close(supernet.child(child)(images)[0], alone(shown)[0], rtol=1e-4, atol=1e-5)
