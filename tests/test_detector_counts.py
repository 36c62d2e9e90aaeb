"""Published detectors and SpineNets count what their sources and other builders count."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

import convsmith as cs
from convsmith.arch import ArchSpec
from convsmith.costs import cost
from convsmith.families import spec
from convsmith.families.mask_rcnn import CLASSES
from convsmith.families.spinenet import spinenet
from convsmith.ledger import Printed
from convsmith.model import build
from convsmith.parts import (
    BatchNorm,
    MaskRCNN,
    SpineNet,
    detector,
)
from convsmith.supernet.slicing import blank
from detectors import S0, parts_of, weights_in


@pytest.fixture
def golden(shared_data: Path) -> list[dict[str, str]]:
    path = shared_data.parent / "spec" / "golden" / "detection.csv"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    return list(csv.DictReader(path.read_text().splitlines()))


# How the golden file calls trunks and forms.
TRUNKS = {"r50": "resnet50", "r101": "resnet101", "b7": "efficientnet_b7"}


@cache
def theirs(name: str, side: int) -> ArchSpec:
    """The detector that the golden file calls so, with batch norm in neck and heads, as its builder has it everywhere."""
    base = name.removeprefix("maskrcnn_")
    if base.startswith("spinenet"):
        return spec(f"mask_rcnn_{base}").with_resolution(side)
    if base == "r50_fpn_p3p7":
        return spec("mask_rcnn_r50_fpn_p3p7").with_resolution(side)
    choices: dict[str, object] = {"rpn_convs": 2, "box_fcs": 2} if base.endswith("_copypaste") else {}
    base = base.removesuffix("_copypaste").removesuffix("_fpn")
    if base.startswith("nf_"):
        choices["norm"] = BatchNorm()
    return detector(spec(TRUNKS.get(base, base)).with_resolution(side), CLASSES, **choices)


def test_detectors_count_what_the_golden_file_measured(golden: list[dict[str, str]]) -> None:
    """Every detector and part of it, to the unit: 24 trunks and forms, at 1000 regions and 100 masks."""
    seen = 0
    for row in golden:
        if row["group"] not in ("detector", "detector_part") or not row["input"]:
            continue
        arch = theirs(row["name"], int(row["input"].partition("x")[0]))
        what, _, which = row["metric"].rpartition("_")
        if row["group"] == "detector":
            found = cost(arch).params if row["metric"] == "params" else cost(arch).macs
        else:
            part = what.removesuffix("_1000").removesuffix("_100")
            own = dict(parts_of(arch))
            if part == "backbone" and "neck" in own and isinstance(arch.neck, SpineNet):
                own["backbone"] = tuple(a + b for a, b in zip(own["backbone"], own["neck"], strict=True))  # type: ignore[assignment]
            found = own[part][which == "macs"]
        assert found == int(row["value"]), row
        seen += 1
    assert seen > 280


def test_evonorm_adds_its_v_and_nothing_else(golden: list[dict[str, str]]) -> None:
    """O13: both published forms, and the number of channels behind which something is activated in SpineNets."""
    values = {(row["name"], row["metric"]): int(row["value"]) for row in golden if row["value"].isdigit()}
    for ours, name in (
        ("mask_rcnn_r50_fpn", "maskrcnn_resnet50_fpn"),
        ("mask_rcnn_spinenet_96", "maskrcnn_spinenet_96"),
    ):
        for kind in ("evob0", "evos0"):
            assert cost(spec(f"{ours}_{kind}")).params == values[f"{name}_evonorm", "params"]
    with_v, without = (blank(one) for one in (spinenet("49s").with_style(norm=S0), spinenet("49s")))
    assert weights_in(iter((with_v,))) - weights_in(iter((without,))) == values["spinenet_49s", "evonorm_extra_v"]


def test_spinenets_count_what_the_golden_file_measured(golden: list[dict[str, str]]) -> None:
    """O12: six sizes at every side; size 49 edge by edge and block by block."""
    blocks = blank(spinenet("49"))
    for row in golden:
        value = row["value"]
        if row["group"] == "backbone":
            name, metric = row["name"].removeprefix("spinenet_"), row["metric"]
            if metric == "macs":
                own = parts_of(backbone(name).with_resolution(int(row["input"].partition("x")[0])))
                assert own["backbone"][1] + own["neck"][1] == int(value), row
            else:
                assert facts(name)[metric] == int(value), row
        elif row["group"] == "spinenet49_block":
            assert weights_in(_named(blocks, row["name"], row["metric"])) == int(value), row


def backbone(name: str) -> ArchSpec:
    """A SpineNet as the golden file calls it: `49_level2` puts out a map of stride 4, too."""
    size, _, level = name.partition("_")
    arch = spinenet(size)
    assert isinstance(arch.neck, SpineNet)
    return replace(arch, neck=replace(arch.neck, low=2)) if level else arch


@cache
def facts(name: str) -> dict[str, int]:
    """What the golden file measures of a backbone's modules: of all but the head's."""
    net = blank(backbone(name))
    norms = [one for one in net.modules() if isinstance(one, nn.BatchNorm2d)]
    # Behind a norm its Sequential has the activation, unless there is none.
    active = [one for one in net.modules() if {"bn", "act"} <= dict(one.named_children()).keys()]
    return {
        "params": weights_in(iter((net.stem, net.stages, net.get_submodule("neck")))),
        "norm_layers": len(norms),
        "norm_layers_followed_by_activation": len(active),
        "evonorm_extra_v": sum(one.get_submodule("bn").num_features for one in active),
    }


def _named(net: nn.Module, name: str, metric: str) -> Iterator[nn.Module]:
    """The modules that a row of `spinenet49_block` counts."""
    if name == "stem":
        return iter((net.get_submodule("stem"), net.get_submodule("stages")))
    if name == "endpoints":
        return iter((net.get_submodule("neck.ends"),))
    part = "blocks" if metric.startswith("block") else f"resample.{metric.removeprefix('resample')[0]}"
    return iter((net.get_submodule(f"neck.nets.{name.removeprefix('net')}.{part}"),))


def test_counts_agree_with_every_statement_that_we_can_meet(golden: list[dict[str, str]]) -> None:
    """The sources' "FLOPs" are multiply-adds. SpineNet-190's heads as released count to another number than stated."""
    seen = 0
    for row in golden:
        if row["group"] != "stated" or ("spinenet_190" in row["name"] and "classification" not in row["name"]):
            continue
        side = int(row["input"].partition("x")[0])
        name = row["name"].removesuffix("_classification")
        arch = theirs(name, side) if name.startswith("maskrcnn") else spec(name).with_resolution(side)
        printed = Printed(row["value"] + row["metric"][-1])
        found = cost(arch).params if row["metric"] == "params_M" else cost(arch).macs
        assert printed.agrees(found), row
        seen += 1
    assert seen == 34


@pytest.mark.parametrize(
    "name",
    ["maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2", "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2"],
)
def test_torchvision_s_detectors_have_our_shapes(name: str, golden: list[dict[str, str]]) -> None:
    """Tensor by tensor, and the golden file's counts of parts (torchvision 0.29.1, 91 scores)."""
    from torchvision.models import detection

    arch = spec(name)
    with torch.device("meta"):
        peer = getattr(detection, name)(weights=None, weights_backbone=None)
    ours = sorted(tuple(one.shape) for one in build(arch, device="meta").parameters())
    assert ours == sorted(tuple(one.shape) for one in peer.parameters())
    rows = {
        row["metric"]: float(row["value"])
        for row in golden
        if row["group"] == "torchvision" and row["name"] == f"tv_{name}"
    }
    own = parts_of(arch)
    assert cost(arch).params == rows["params_batchnorm"]
    assert own["backbone"][1] + own["neck"][1] == rows["backbone_and_fpn_macs"]
    assert own["rpn"][1] == rows["rpn_macs"]
    assert own["box"][1] == 1000 * rows["macs_per_box_roi"]
    assert own.get("mask", (0, 0))[1] == 100 * rows["macs_per_mask_roi"]
    assert cost(arch).macs - own.get("mask", (0, 0))[1] == rows["macs_1000rois_0masks"]


def test_every_published_detector_says_what_its_counts_are_of() -> None:
    rows = cs.published(task="detect")
    assert {row.name for row in rows} == set(cs.names("detect"))
    for row in rows:
        head = spec(row.name).head
        assert isinstance(head, MaskRCNN) and head.classes == row.classes
        assert row.per == f"{head.regions} regions" + f" and {head.kept} masks" * head.masks
