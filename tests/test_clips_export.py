"""Files of networks for clips: folded, run by onnxruntime, in floats and in eight bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from convsmith.arch import Act, ArchSpec
from convsmith.errors import UserError
from convsmith.exporting import export_onnx, ort_subject
from convsmith.exporting.fold import fold_batch_norm
from convsmith.exporting.int8 import quantise
from convsmith.exporting.ort import runner
from convsmith.latency import interleave
from convsmith.layers import channels_last
from convsmith.model import build
from convsmith.parts import SE, BasicBlock, Bottleneck, MBConv, NFBottleneck, NoNorm, ScaledWS
from test_clips import moved, small

BLOCKS = {"basic": BasicBlock(), "bottleneck": Bottleneck(se=SE(act=Act.RELU), gated=True), "mbconv": MBConv()}


def shallow(arch: ArchSpec) -> ArchSpec:
    """An exporter takes seconds for every few blocks."""
    return replace(arch, stages=tuple(replace(stage, depth=1) for stage in arch.stages))


@pytest.mark.parametrize("block", BLOCKS)
def test_every_batch_norm_of_a_network_for_clips_folds(block: str) -> None:
    model = moved(build(small(BLOCKS[block]), seed=0))
    norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())
    folded, n = fold_batch_norm(channels_last(model), input_shape=(3, 4, 16, 16))
    assert n == norms > 0
    x = model.spec.input.example(2, seed=0)
    # float32: a folded norm multiplies before the sum instead of behind it.
    assert (folded(x) - model(x)).abs().max() <= 1e-5 * model(x).abs().max()


@pytest.mark.parametrize("block", ["bottleneck", "mbconv"])
def test_a_file_of_clips_equals_the_network_and_goes_in_eight_bits(block: str, tmp_path: Path) -> None:
    arch = shallow(small(BLOCKS[block]))
    model = moved(build(arch, seed=0))
    made = export_onnx(model, tmp_path / "net.onnx", input_shape=arch.input.shape.dims)  # compared before it is named
    assert made.relative_difference <= made.tolerance and made.folded > 0
    clips = arch.input.example(4, seed=1)
    eight = quantise(made.path, tmp_path / "int8.onnx", [clips.numpy()])
    assert eight.int8_convolutions == eight.convolutions > 0
    floats, bytes_ = (runner(path, threads=1)(clips) for path in (made.path, eight.path))
    apart = (floats - bytes_).abs().max() / (floats.max() - floats.min())
    assert apart < 0.25  # a wrong axis would leave nothing alike; seven bits leave a few hundredths
    timing = interleave([ort_subject("net", made.path, threads=1)], threads=1, rounds=2)
    assert timing.rows[0].median_ms > 0


def test_a_file_of_standardised_filters_over_time_equals_its_network(tmp_path: Path) -> None:
    arch = shallow(small(NFBottleneck())).with_style(norm=NoNorm(gain=True), conv=ScaledWS())
    made = export_onnx(moved(build(arch, seed=0)), tmp_path / "net.onnx", input_shape=arch.input.shape.dims)
    assert made.relative_difference <= made.tolerance


def test_a_file_takes_no_raw_clips(tmp_path: Path) -> None:
    from convsmith.jobs.feed import metadata_of

    arch = small()
    with pytest.raises(UserError, match="raw pictures, not raw clips"):
        export_onnx(
            build(arch, seed=0),
            tmp_path / "net.onnx",
            input_shape=arch.input.shape.dims,
            raw_input=True,
            metadata=metadata_of(arch),
        )
