"""What a network costs: published counts, closed forms, oracles, and two derivations of one number."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from convsmith.arch import ArchSpec, grown
from convsmith.costs import cost, node_costs, operations
from convsmith.families import names, spec
from convsmith.families.efficientnet import B0, SIZES
from convsmith.ledger import Printed, published
from convsmith.model import build
from convsmith.stages import stage_rows
from convsmith.units import Cost, Rounding
from specs import specs

LEDGER = published()


# ---- the ledger ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", LEDGER, ids=lambda row: f"{row.name}@{row.resolution}")
def test_our_count_is_the_ledger_s_to_the_unit(row) -> None:
    found = cost(spec(row.name, resolution=row.resolution))
    assert (found.params, found.macs) == (row.params, row.macs)


@pytest.mark.parametrize("row", LEDGER, ids=lambda row: f"{row.name}@{row.resolution}")
def test_a_row_agrees_with_its_paper_or_says_why_not(row) -> None:
    assert any(row.differences()) or row.reason
    for field, printed, ours in row.differences():
        assert row.source
        assert printed.agrees(ours) or f"{field}: " in row.reason


def test_every_member_of_every_family_is_in_the_ledger() -> None:
    assert {row.name for row in LEDGER} == set(names())


def test_a_print_is_known_to_half_its_last_digit() -> None:
    assert Printed("0.39B").half_step == 5_000_000
    assert Printed("66M").half_step == 500_000
    assert Printed("0.39B").agrees(385_814_752)
    assert not Printed("4.2B").agrees(4_393_771_024)


# ---- EfficientNet against its sheet ----------------------------------------------------------------------------------


def test_b0_is_known_to_the_unit() -> None:
    found = cost(spec("efficientnet_b0"))
    assert (found.params, found.macs) == (5_288_548, 385_814_752)  # TF, timm, torchvision, lukemelas


# fmt: off
VARIANTS = [  # golden/efficientnet.csv: width, depth, resolution, params, macs; built by timm with the paper's rule
    (1.0,      4.0,      224, 20_091_856, 1_575_132_640),  # table 7, depth
    (2.0,      1.0,      224, 18_122_720, 1_449_958_848),  # table 7, width
    (1.0,      1.0,      448,  5_288_548, 1_537_537_408),  # table 7, resolution
    (1.2,      1.4,      291, 12_233_232, 1_800_091_280),  # table 7, compound
    (1.0,      4.333333, 224, 23_185_444, 1_782_167_392),
    (2.2223,   1.0,      224, 21_831_082, 1_818_842_096),
    (1.1,      1.2,      258,  9_109_994,   992_629_472),  # phi = 1
    (1.331,    1.728,    341, 16_350_296, 3_250_916_456),  # phi = 3
    (1.948717, 3.583181, 596, 68_741_810, 39_663_901_696), # phi = 7
]
SMALL = [  # ten classes, small images
    (0.25, 1.0, 32,   328_956,  1_002_912),
    (0.35, 1.0, 64,   539_618,  5_427_264),
    (0.5,  2.0, 32, 2_389_442,  5_333_232),
    (0.5,  0.5, 32,   663_530,  1_587_024),
    (1.0,  1.0, 48, 4_020_358, 22_764_368),
]
# fmt: on


@pytest.mark.parametrize(("classes", "row"), [(1000, row) for row in VARIANTS] + [(10, row) for row in SMALL], ids=str)
def test_scaled_b0_costs_what_timm_s_builder_says(classes: int, row) -> None:
    width, depth, resolution, params, macs = row
    arch = grown(B0, width=width, depth=depth, rounding=Rounding()).with_resolution(resolution).with_classes(classes)
    assert (cost(arch).params, cost(arch).macs) == (params, macs)


def closed_form(arch: ArchSpec) -> tuple[int, int]:
    """Parameters and MACs of an EfficientNet by the algebra of its sheet, section 8.1."""

    def half(side: int, stride: int) -> int:
        return math.ceil(side / stride)

    side, c = half(arch.input.resolution, 2), arch.stem.width
    params, macs = 27 * c + 2 * c, 27 * c * side**2
    for stage in arch.stages:
        for repeat in range(stage.depth):
            out = half(side, stage.stride if repeat == 0 else 1)
            k, m, width, r = stage.block.kernel, int(c * stage.block.expand), stage.width, max(1, c // 4)
            if stage.block.expand != 1:
                params += c * m + 2 * m
                macs += c * m * side**2
            params += k * k * m + 2 * m + (2 * m * r + r + m) + m * width + 2 * width
            macs += k * k * m * out**2 + 2 * m * r + m * width * out**2
            c, side = width, out
    d, classes = arch.head.width, arch.head.classes
    params += c * d + 2 * d + d * classes + classes
    macs += c * d * side**2 + d * classes
    return params, macs


@given(st.floats(0.3, 2.5), st.floats(0.3, 3.0), st.integers(16, 300), st.integers(1, 200))
def test_the_count_is_the_closed_form(width: float, depth: float, resolution: int, classes: int) -> None:
    arch = grown(B0, width=width, depth=depth, rounding=Rounding()).with_resolution(resolution).with_classes(classes)
    assert (cost(arch).params, cost(arch).macs) == closed_form(arch)


def test_the_golden_file_agrees_row_by_row() -> None:
    golden = Path(__file__).parents[2] / "shared" / "spec" / "golden" / "efficientnet.csv"
    if not golden.is_file():
        pytest.skip(f"no specification sheets at {golden.parent}")
    rows = [
        row
        for row in csv.DictReader(golden.read_text().splitlines())
        if row["source"].startswith("timm") and row["params_exact"]
    ]
    assert len(rows) > 30
    for row in rows:
        classes = 10 if row["name"].startswith("small") else 1000
        arch = grown(B0, width=float(row["width"]), depth=float(row["depth"]), rounding=Rounding())
        arch = arch.with_resolution(int(row["resolution"])).with_classes(classes)
        assert (cost(arch).params, cost(arch).macs) == (int(row["params_exact"]), int(row["macs_measured"])), row[
            "name"
        ]


def test_the_released_sizes_are_a_table_and_not_the_formula() -> None:
    assert SIZES["b7"][1] == 3.1
    assert round(1.2**7, 2) == 3.58


# ---- two derivations of one number -----------------------------------------------------------------------------------


@given(specs)
def test_cost_by_units_is_the_cost_of_the_whole_network(arch: ArchSpec) -> None:
    model = build(arch, device="meta")
    image = torch.empty(1, arch.input.channels, arch.input.resolution, arch.input.resolution, device="meta")
    assert cost(arch) == operations(model, image)


@given(specs)
def test_cost_on_the_meta_device_is_the_cost_of_a_real_run(arch: ArchSpec) -> None:
    # The counter answers some operations by shape alone where tensors have no storage; real ones all run.
    image = torch.zeros(1, arch.input.channels, arch.input.resolution, arch.input.resolution)
    assert cost(arch) == operations(build(arch, seed=0), image)


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenetv1_100", "mobilenetv2_140", "resnet18", "resnet50"])
def test_timm_s_network_counts_the_same(name: str) -> None:
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        theirs = operations(timm.create_model(name), torch.empty(1, 3, 224, 224))
    assert theirs == cost(spec(name, resolution=224))


@given(specs)
def test_stage_rows_add_up(arch: ArchSpec) -> None:
    rows = stage_rows(arch)
    total = Cost(sum(r.macs for r in rows), sum(r.params for r in rows), sum(r.activations for r in rows))
    assert total == cost(arch) == sum(node_costs(arch), Cost())
    assert len(rows) == len(arch.stages) + 2


@given(specs, st.integers(1, 8))
def test_resolution_changes_no_parameter_and_classes_only_the_classifier(arch: ArchSpec, more: int) -> None:
    assert cost(arch.with_resolution(arch.input.resolution + more)).params == cost(arch).params
    features = build(arch, device="meta").head_hidden_size
    wider = arch.with_classes(arch.head.classes + more)
    assert cost(wider).params - cost(arch).params == more * (features + 1)
    assert cost(wider).macs - cost(arch).macs == more * features


def test_macs_are_a_staircase_in_resolution() -> None:
    jump = cost(B0.with_resolution(225)).macs / cost(B0.with_resolution(224)).macs
    assert jump == pytest.approx(1.165, abs=0.001)  # sheet 8.2.3, measured


class Awkward(nn.Module):
    """What the counter answers by shape alone, in the ways that could mislead it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(6, 4, 3), nn.Linear(4, 5)
        self.frozen = nn.Parameter(torch.ones(7)).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean((2, 3), keepdim=True) * x.mean(1, keepdim=True)  # both sides grow
        x = nn.functional.silu(x.permute(0, 1, 3, 2)).reshape(1, 6, -1, 8)  # what is permuted cannot be viewed so
        x = nn.functional.group_norm(self.conv(1 - x) + 1, 2).relu_()
        return self.linear(torch.where(x > 0, x, -x).mean((2, 3)))


def test_operations_answered_by_their_shape_count_as_those_that_run() -> None:
    real = operations(Awkward(), torch.zeros(1, 6, 8, 8))
    with torch.device("meta"):
        assert operations(Awkward(), torch.empty(1, 6, 8, 8)) == real
    assert real == Cost(6 * 6 * 9 * 6 * 4 + 20, 6 * 9 * 4 + 4 + 25, 6 * 6 * 4 + 5)


def test_counting_leaves_a_module_s_mode_alone() -> None:
    model = build(B0.with_resolution(32), device="meta").train()
    operations(model, torch.empty(1, 3, 32, 32, device="meta"))
    assert model.training
