"""The latency model: kernels add up to costs, a made-up device is learnt, and a calibration holds for its device only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from convsmith.arch import ArchSpec
from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.families import FAMILIES, TASKS, spec
from convsmith.jobs.timing import profile as profiling
from convsmith.jobs.timing.calibrate import Steady, calibration, place, this_device
from convsmith.jobs.timing.profile import Network, _types, networks_for, timed
from convsmith.latency import Runtime, Subject, Timing, summarise
from convsmith.parts import posed
from convsmith.speed import Device, DeviceModel, Kernel, Observed, kernels, members
from convsmith.speed.features import UNNAMED, convolutions, others, touched
from convsmith.speed.model import _doubt
from convsmith.speed.profiles import conv_shape
from convsmith.watcher import Watcher

DEVICE = Device("a processor", "a system", "ort", "1.0", 1)


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - TASKS.keys()))
def test_kernels_multiply_and_add_as_often_as_the_cost_says(family: str) -> None:
    made = FAMILIES[family]()[0]
    made = made.with_resolution(min(made.input.resolution, 96))
    found = kernels(made)
    assert sum(kernel.macs * times for kernel, times in found.items()) == cost(made).macs
    for kernel in found:
        if kernel.kind == "conv":  # also one that slides over many maps of an image, as a lambda layer's
            c_in, c_out, side, _, groups, rows, columns = kernel.shape
            assert kernel.macs == c_out * (c_in // groups) * side**2 * rows * columns


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - TASKS.keys()))
def test_kernels_read_the_weights_that_the_network_has(family: str) -> None:
    made = FAMILIES[family]()[0]
    made = made.with_resolution(min(made.input.resolution, 96))
    read = sum(kernel.weights * times for kernel, times in kernels(made).items())
    # Kernels read a batch norm's statistics, too, and not the gains of standardised filters, which are multiplied in before.
    assert 0.98 * cost(made).params <= read <= 1.05 * cost(made).params


def test_members_are_of_every_family_and_within_their_range() -> None:
    found = members(30, np.random.default_rng(0), shallow=True)
    assert len({one.name.rpartition("-")[0] for one in found}) >= 15
    assert all(5e6 <= cost(one).macs <= 1.5e9 for one in found)
    assert found == members(30, np.random.default_rng(0), shallow=True)


def conv_ms(shape: tuple[int, ...]) -> float:
    """A made-up device: 20 MACs a nanosecond for dense convolutions, 4 for depthwise ones, and a start of 3 microseconds."""
    c_in, c_out, kernel, _, groups, rows, columns = shape
    macs = c_out * (c_in // groups) * kernel**2 * rows * columns
    return 0.003 + macs / (4e6 if groups == c_in and groups > 1 else 20e6)


def rest_ms(found: Mapping[Kernel, int]) -> float:
    """A nanosecond for each number activated, multiplied, divided or laid out anew, a fifth for what a moment reads."""
    sums = others(found, fuses=True)
    return 1e-6 * sum(sums[name] for name in ("activation", "mul", "divide", "layout")) + 2e-7 * sums["moment"]


def observe(made: ArchSpec) -> Observed:
    """On the made-up device convolutions of a network that touches ten times as much take a quarter longer."""
    found = kernels(made)
    shapes, times = convolutions(found)
    cold = (touched(found) / 1e7) ** 0.1
    convs = tuple((shape, cold * conv_ms(shape)) for shape, n in zip(shapes, times, strict=True) for _ in range(int(n)))
    return Observed(made, sum(ms for _, ms in convs) + rest_ms(found), convs)


@pytest.fixture(scope="module")
def deep() -> tuple[ArchSpec, ...]:
    return members(30, np.random.default_rng(7))


@pytest.fixture(scope="module")
def model() -> DeviceModel:
    calibrated = [observe(one) for one in members(40, np.random.default_rng(0), shallow=True)]
    return DeviceModel.fitted(calibrated, DEVICE, anchors=[("resnet18@96", 2.0)], made="today", minutes=1.5)


def test_a_made_up_device_is_learnt_from_shallow_networks(model: DeviceModel, deep: tuple[ArchSpec, ...]) -> None:
    ratios = [model.ms(one) / observe(one).ms for one in deep]
    # Smooth laws and a few weights, no noise: what is left is the process between its points.
    assert float(np.median(np.abs(np.array(ratios) - 1))) < 0.05
    assert kendalltau([model.ms(one) for one in deep], [observe(one).ms for one in deep]).statistic > 0.95


def test_small_networks_are_not_taken_to_be_as_cold_as_large_ones(
    model: DeviceModel, deep: tuple[ArchSpec, ...]
) -> None:
    small = sorted(deep, key=lambda one: touched(kernels(one)))[:10]
    # Without what a network touches, that of the smallest would come out a tenth to a fifth too slow.
    assert np.median([model.ms(one) / observe(one).ms for one in small]) == pytest.approx(1, abs=0.05)


def test_intervals_hold_the_truth_and_are_wider_where_less_is_known(
    model: DeviceModel, deep: tuple[ArchSpec, ...]
) -> None:
    told = [model.predict(one) for one in deep]
    # 90 % of networks like those of the calibration. Of 30, 23 or fewer are held with a chance of 3 %; these are deeper.
    assert sum(one.low <= observe(spec).ms <= one.high for one, spec in zip(told, deep, strict=True)) >= 24
    assert all(one.low < one.ms < one.high for one in told)
    assert len({round(one.high / one.low, 6) for one in told}) > 20


def test_half_an_interval_is_scaled_until_nine_of_ten_are_within_theirs() -> None:
    rng = np.random.default_rng(0)
    doubts = np.c_[np.ones(99), rng.uniform(0, 1, (99, 2))]
    errors = np.abs(rng.normal(0, 0.02 + 0.2 * doubts[:, 1]))
    half = doubts @ np.array(_doubt(errors, doubts))
    assert int((errors <= half * (1 + 1e-12)).sum()) == 90  # ceil(0.9 * 100)
    assert np.corrcoef(half, doubts[:, 1])[0, 1] > 0.9


def test_a_calibration_from_before_sums_had_names_is_read_as_it_was(model: DeviceModel) -> None:
    record = json.loads(model.to_json())
    for name in ("sums", "around", "doubt"):
        del record[name]
    record["scales"], record["weights"] = record["scales"][:-1], [1e-6] * len(UNNAMED)
    old, one = DeviceModel.from_json(json.dumps(record), "here"), spec("resnetv2_50_evos0").with_resolution(64)
    sums = others(kernels(one), fuses=True)
    convs = old.ms(one) - sum(1e-6 * sums[name] for name in UNNAMED)
    assert 0 < convs < old.ms(one)
    told = old.predict(one)
    assert (told.low / told.ms, told.high / told.ms) == pytest.approx(tuple(np.quantile(old.error, (0.05, 0.95))))


def test_predictions_grow_with_the_picture_and_the_depth(model: DeviceModel) -> None:
    base = spec("mobilenetv2_100")
    small, large = (model.ms(base.with_resolution(side)) for side in (96, 224))
    assert small < large
    deeper = replace(base, stages=tuple(replace(stage, depth=2 * stage.depth) for stage in base.stages))
    assert model.ms(deeper) > model.ms(base)


def test_a_calibration_survives_its_file(model: DeviceModel) -> None:
    again = DeviceModel.from_json(model.to_json(), "here")
    assert again == model
    assert again.ms(spec("resnet18")) == pytest.approx(model.ms(spec("resnet18")), rel=1e-9)


def test_a_calibration_of_another_device_is_refused(model: DeviceModel, tmp_path: Path) -> None:
    device = this_device(Runtime.ORT, 1)
    with pytest.raises(UserError, match="run `convsmith calibrate"):
        calibration("ort", 1, tmp_path)
    path = place(device, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(model.to_json())
    with pytest.raises(UserError, match="was made on a processor"):
        calibration("ort", 1, tmp_path)
    path.write_text("{}")
    with pytest.raises(UserError, match="is not a calibration"):
        calibration("ort", 1, tmp_path)


def test_what_compiles_longer_than_it_measures_is_not_calibrated() -> None:
    with pytest.raises(UserError, match="longer to compile"):
        this_device(Runtime.COMPILE, 1)


def test_what_a_runtime_does_not_fuse_it_launches() -> None:
    found = kernels(spec("mobilenetv2_035").with_resolution(64))
    fused, eager = (others(found, fuses=fuses) for fuses in (True, False))
    assert fused["norm"] == fused["relu"] == fused["add"] == 0 < fused["+relu"]
    assert eager["+relu"] == eager["+add"] == 0 and eager["relu"] == fused["+relu"]
    norms = sum(times for kernel, times in found.items() if kernel.kind == "+norm")
    assert eager["launch"] == fused["launch"] + norms


def test_what_no_convolution_s_layout_knows_is_laid_out_before_and_after() -> None:
    def layout(name: str, *, fuses: bool = True) -> float:
        return others(kernels(spec(name).with_resolution(64)), fuses=fuses)["layout"]

    # Of ReLU networks nothing but the last map, for its mean.
    assert (layout("resnet18"), layout("mobilenetv2_035")) == (512 * 2 * 2, 1280 * 2 * 2)
    assert layout("mobilenetv2_100_evos0", fuses=False) == 0
    # The moments of EvoNorm are in the plain layout, and so is what it puts out.
    assert layout("mobilenetv2_100_evos0") > 20 * layout("mobilenetv2_100")


def test_a_common_slowdown_keeps_the_ranking_and_one_kind_s_own_does_not() -> None:
    assert Steady((("a", 1.5), ("b", 1.55), ("c", 1.45))).ranks
    assert not Steady((("a", 1.0), ("b", 1.0), ("c", 1.4))).ranks


@pytest.mark.parametrize("runtime", [Runtime.ORT, Runtime.EAGER])
def test_a_profile_s_convolutions_are_the_kernels_of_the_spec(runtime: Runtime, tmp_path: Path) -> None:
    made = replace(spec("mobilenetv2_035").with_resolution(64), name="one")
    made = replace(made, stages=tuple(replace(stage, depth=1) for stage in made.stages))
    found = networks_for(runtime, [made], tmp_path, 1, 1, Watcher())[0].convolutions(2.0)
    shapes, times = convolutions(kernels(made))
    wanted = sorted(shape for shape, n in zip(shapes, times, strict=True) for _ in range(int(n)))
    assert sorted(shape for shape, _ in found) == wanted
    assert 0 < sum(ms for _, ms in found) <= 2.0 + 1e-9
    assert all(math.isfinite(ms) and ms > 0 for _, ms in found)


@dataclass(frozen=True)
class Known(Network):
    """A network whose milliseconds and profile are given."""

    ms: float
    kernels: tuple[float, ...] = ()

    def subject(self) -> Subject:
        return Subject(str(self.ms), Runtime.ORT, 1, lambda: None)

    def profile(self) -> tuple[tuple[tuple[tuple[int, ...], float], ...], float, int]:
        convs = tuple(((8, 8, 1, 1, 1, 4, 4), ms) for ms in self.kernels)
        return convs, sum(self.kernels), len(self.kernels)


def test_what_watching_costs_is_the_same_for_every_kernel_and_what_is_slower_still_is_a_share() -> None:
    def took(ms: float) -> list[float]:
        return [ms for _, ms in Known(0.0, (0.004, 0.104)).convolutions(ms)]

    assert took(0.108) == pytest.approx([0.004, 0.104])
    assert took(0.102) == pytest.approx([0.001, 0.101])
    # Five microseconds a kernel at the most; and no kernel takes nothing.
    assert took(0.049) == pytest.approx([3e-4, 0.099 / 2])
    assert took(0.216) == pytest.approx([0.008, 0.208])


def test_the_drift_of_groups_is_what_most_references_show(monkeypatch: pytest.MonkeyPatch) -> None:
    def interleaved(subjects: Sequence[Subject], **given: object) -> Timing:
        drift = 1.5 if subjects[-1].name == "40.0" else 1.0
        # One reference is slow in that group for reasons of its own.
        times = [float(one.name) * drift * (2.0 if drift > 1 and one.name == "1.0" else 1.0) for one in subjects]
        return summarise(subjects, [[ms] for ms in times], threads=1)

    monkeypatch.setattr(profiling, "interleave", interleaved)
    networks, references = [Known(float(at)) for at in range(5, 41)], [Known(1.0), Known(2.0), Known(3.0)]
    took, usual = timed(networks, references, 1, 5, Watcher())
    assert took == pytest.approx([one.ms for one in networks])
    assert usual == [1.0, 2.0, 3.0]


def test_channels_that_a_layout_pads_are_not_the_network_s() -> None:
    """With AVX-512 onnxruntime pads 8 channels to 16, in the filters that its profile names, too."""
    noted = {
        "input_type_shape": [{"float": [1, 16, 32, 32]}, {"float": [16, 16, 1, 1]}],
        "output_type_shape": [{"float": [1, 16, 32, 32]}],
    }
    own = {"conv2d_2": ([8, 16, 1, 1], 1)}
    assert conv_shape("conv2d_2_nchwc_kernel_time", *_types(noted), own) == (16, 8, 1, 1, 1, 32, 32)


def test_a_prediction_is_wider_where_kernels_are_not_in_the_calibration(model: DeviceModel) -> None:
    """Dilated and transposed convolutions are taken for plain ones of as many multiply-adds, which they may not be."""
    pose = replace(posed(spec("resnet18"), 5).with_resolution(96), name="pose")
    plain = spec("resnet18").with_resolution(96)
    kinds, own = ({kernel.kind for kernel in kernels(one)} for one in (pose, plain))
    assert kinds - own == {"transposed", "dilated"}
    assert sum(kernel.macs * times for kernel, times in kernels(pose).items()) == cost(pose).macs
    one, other = model.predict(pose), model.predict(plain)
    assert one.high / one.low > 1.1 * other.high / other.low
    assert one.low < one.ms < one.high
