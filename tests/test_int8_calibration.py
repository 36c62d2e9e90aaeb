"""What ranges eight bits are spread over: laws of histograms, and files of a small network calibrated by each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import convsmith as cs
from broken import nf
from commands import TINY
from convsmith.arch import ArchSpec, plan
from convsmith.errors import UserError
from convsmith.exporting import export_onnx
from convsmith.exporting.calibration import Calibration, least_error, percentile, ranges_of
from convsmith.exporting.graph_units import units_of
from convsmith.exporting.int8 import Quantiser, quantise
from convsmith.exporting.sensitivity import Deviation

onnx = pytest.importorskip("onnx")


def tiny() -> ArchSpec:
    """12 px, three blocks, with SE and SiLU."""
    return cs.from_json(Path(TINY).read_text(encoding="utf-8"))


def exported(folder: Path, spec: ArchSpec) -> tuple[Path, np.ndarray]:
    """A file with random weights whose norms have seen something, and the images that they saw."""
    model = cs.build(spec, seed=0)
    for module in model.modules():  # blocks that start as the identity would hide what eight bits cost them
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(module.weight, 1.0)
    images = torch.randn((16, *spec.input.shape.dims), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.train()(images)
    export_onnx(model.eval(), folder / "float.onnx", input_shape=spec.input.shape.dims)
    return folder / "float.onnx", images.numpy()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    return exported(tmp_path_factory.mktemp("tiny"), tiny())


def squared(counts: np.ndarray, edges: np.ndarray, low: float, high: float) -> float:
    """The mean squared error of values at the middles of bins, by a table of the 256 levels."""
    levels, middles = np.linspace(low, high, 256), (edges[1:] + edges[:-1]) / 2
    nearest = np.abs(middles[:, None] - levels).min(1)
    return float(counts @ nearest**2 / counts.sum())


@pytest.mark.parametrize("far", [6.0, 12.0, 40.0])
def test_the_least_error_is_less_than_that_of_the_whole_range_where_one_value_is_far_out(far: float) -> None:
    edges = np.linspace(-far / 8, far, 2049)
    counts = np.round(1e7 * np.exp(-4 * np.abs((edges[1:] + edges[:-1]) / 2))).astype(np.int64)
    counts[-1] += 1
    low, high = least_error(counts, edges)
    assert edges[0] <= low < 0 < high < far
    assert squared(counts, edges, low, high) < 0.9 * squared(counts, edges, edges[0], far)


def test_values_that_are_spread_evenly_keep_their_whole_range() -> None:
    counts, edges = np.full(2048, 10), np.linspace(-1, 3, 2049)
    assert percentile(counts, edges) == (-1.0, 3.0)
    assert least_error(counts, edges) == pytest.approx(
        (-1.0, 3.0), abs=1 / 32
    )  # two of the places tried, of which a few are alike


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 100), st.floats(-50, 50))
def test_a_percentile_leaves_out_a_hundredth_of_a_percent_at_most(seed: int, scale: float, shift: float) -> None:
    values = shift + scale * np.random.default_rng(seed).standard_t(2, 5000)
    counts, edges = np.histogram(values, 2048)
    low, high = percentile(counts, edges)
    # A value at an edge belongs to the bin above it, by numpy's rounding of edges sometimes to the one below.
    inside = np.sum((values >= low - 1e-9 * scale) & (values <= high + 1e-9 * scale))
    assert edges[0] <= low < high <= edges[-1] and inside >= 0.9999 * len(values)
    assert all(np.sum(np.asarray(beyond)) <= 0.00005 * len(values) + 1e-9 for beyond in (values < low, values > high))


def test_each_calibration_stays_within_what_images_reach(made: tuple[Path, np.ndarray]) -> None:
    file, images = made
    found = {way: ranges_of(file, [images[:10], images[10:]], way) for way in Calibration}
    widest = {name: data.range_value for name, data in found[Calibration.MINMAX].items()}
    narrower = set()
    for way in (Calibration.PERCENTILE, Calibration.MSE):
        assert found[way].keys() == widest.keys()
        for name, data in found[way].items():
            (low, high), (least, most) = (
                tuple(float(np.ravel(end)[0]) for end in one) for one in (data.range_value, widest[name])
            )
            # Zero is always within a range, and edges of bins are float64.
            assert min(least, 0.0) - 1e-6 <= low <= high <= max(most, 0.0) + 1e-6
            narrower.add((way, high - low < 0.999 * (most - least)))
    assert {(Calibration.PERCENTILE, True), (Calibration.MSE, True)} <= narrower


def test_batches_do_not_change_what_is_counted(made: tuple[Path, np.ndarray]) -> None:
    file, images = made
    one, several = (ranges_of(file, batches, Calibration.MSE) for batches in ([images], list(images[:, None])))
    for name in one:
        # Sums in another order may move a value into the next of 2048 bins, which is half a level of eight bits at most.
        span = np.ptp(one[name].range_value)
        assert np.allclose(one[name].range_value, several[name].range_value, atol=0.02 * span + 1e-6)


@pytest.mark.parametrize("way", Calibration)
def test_a_file_of_each_calibration_is_near_the_network(made: tuple[Path, np.ndarray], way: Calibration) -> None:
    file, images = made
    quantiser = Quantiser(file, [images], way)
    # Seven bits of weights and eight of activations through some ten layers; a broken scale gives a deviation of 1 or more.
    assert 0 < Deviation(quantiser, [images])() < 0.1


def test_what_is_all_in_float_deviates_by_rounding_alone(made: tuple[Path, np.ndarray]) -> None:
    file, images = made
    quantiser = Quantiser(file, [images])
    every = [name for nodes in quantiser.units([node.path for node in plan(tiny())]).values() for name in nodes]
    assert Deviation(quantiser, [images])(every) < 1e-9  # float32, squared


def test_each_node_is_of_one_unit_and_each_unit_holds_its_own_weights(
    made: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    each_in_its_unit(made[0], tiny())
    activated_first = nf((2, 1, 1, 1)).with_resolution(16)
    each_in_its_unit(exported(tmp_path, activated_first)[0], activated_first)


def each_in_its_unit(file: Path, spec: ArchSpec) -> None:
    graph = onnx.load(file).graph
    paths = [node.path for node in plan(spec)]
    found = units_of(graph, paths)
    named = [name for nodes in found.values() for name in nodes]
    assert sorted(named) == sorted(node.name for node in graph.node)
    unit = {name: path for path, nodes in found.items() for name in nodes}
    weights = {one.name for one in graph.initializer}
    read = {
        (unit[node.name], own)
        for node in graph.node
        for own in node.input
        if own in weights and any(own.startswith(f"{path}.") for path in paths)
    }
    assert len(read) > len(paths) / 2
    assert all(own.startswith(f"{path}.") for path, own in read)
    places = [paths.index(unit[node.name]) for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    assert places == sorted(places) and set(places) == {at for at, path in enumerate(paths) if path in found}


def test_a_wrapped_head_is_its_own_unit_and_what_has_no_weights_is_with_what_it_reads() -> None:
    paths = ("stem", "stages.1.0", "stages.10.0", "head.score")
    weights = ("stem.conv.weight", "stages.10.0.conv.weight", "head.head.score.weight", "val_3")
    steps = [
        ("Conv", ("images", "stem.conv.weight"), "a"),
        ("Mul", ("a", "val_3"), "b"),
        ("Conv", ("b", "stages.10.0.conv.weight"), "c"),
        ("Add", ("b", "c"), "d"),
        ("Conv", ("d", "head.head.score.weight"), "e"),
        ("Sigmoid", ("e",), "f"),
    ]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, read, [made], name=made) for kind, read, made in steps],
        "drawn",
        [],
        [],
        [onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [1], [1.0]) for name in weights],
    )
    assert units_of(graph, paths) == {"stem": ("a", "b"), "stages.10.0": ("c", "d"), "head.score": ("e", "f")}


def test_blocks_left_in_float_read_weights_as_they_were(made: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    file, images = made
    quantiser = Quantiser(file, [images])
    units = quantiser.units([node.path for node in plan(tiny())])
    left = list(units)[1]
    every, some = (quantiser.write(tmp_path / f"{n}.onnx", floats=floats) for n, floats in ((0, ()), (1, units[left])))
    graph = onnx.load(some.path).graph
    by_name = {node.name: node for node in graph.node}
    quantised = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    convs = {
        path: [by_name[name] for name in nodes if name in by_name and by_name[name].op_type == "Conv"]
        for path, nodes in units.items()
    }
    assert convs[left] and not any(node.input[1] in quantised for node in convs[left])
    assert all(node.input[1] in quantised for path, nodes in convs.items() if path != left for node in nodes)
    assert some.int8_convolutions < every.int8_convolutions


def test_images_that_are_none_or_not_finite_are_refused(made: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    file, images = made
    spoilt = images.copy()
    spoilt[3, 0, 2, 2] = np.nan
    for batches, says in (([], "got none"), ([images[:0]], "got none"), ([images, spoilt], "are not finite")):
        with pytest.raises(UserError, match=says):
            quantise(file, tmp_path / "never.onnx", batches)
    with pytest.raises(UserError, match="numbers that are not finite"):
        quantise(file, tmp_path / "never.onnx", [images / np.abs(images).max() * np.float32(3e38)])
    assert not list(tmp_path.iterdir())
