"""torchvision's detectors: their names, their files, and the numbers that its weights give here."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import convsmith as cs
from convsmith.arch import Act, ArchSpec
from convsmith.layers.detection import Geometry, Settings
from convsmith.parts.heads.mask_rcnn import MaskRCNN, detector
from convsmith.parts.necks.fpn import Form, Top
from convsmith.parts.norms.none import NoNorm
from convsmith.weights import Dialect, Origin, fitted, obtain
from convsmith.weights.maps import names, shapes

THEIRS: dict[str, Any] = {
    "form": Form.TORCHVISION,
    "top": Top.SUBSAMPLE,
    "geometry": Geometry.TORCHVISION,
    "ratios": (2.0, 1.0, 0.5),
}
FIRST: dict[str, Any] = THEIRS | {"norm": NoNorm(act=Act.RELU), "box_convs": 0, "box_fcs": 2}
SECOND: dict[str, Any] = THEIRS | {"rpn_convs": 2}
SIDE = 96
CLASSES = 4


def spec(trunk: str = "resnet18", classes: int = CLASSES, form: dict[str, Any] | None = None, **more: Any) -> ArchSpec:
    return detector(cs.spec(trunk).with_resolution(SIDE), classes, **(form or FIRST) | more)


@pytest.mark.parametrize(("version", "choices"), [("", FIRST), ("_v2", SECOND)])
def test_every_weight_has_a_name_and_its_shape(version: str, choices: dict[str, Any]) -> None:
    """Of both versions on ResNet-50, for COCO's 91 classes: 44,454,513 and 46,359,409 parameters (the sheet, section 11)."""
    from torchvision.models import detection

    with torch.device("meta"):
        make = getattr(detection, f"maskrcnn_resnet50_fpn{version}")
        theirs = make(weights=None, weights_backbone=None).state_dict()
    own = spec("resnet50", 90, choices)
    found = names(own, Dialect.TORCHVISION_DETECTION)
    assert {theirs_: shapes(own)[ours] for ours, theirs_ in found.items()} == {k: v.shape for k, v in theirs.items()}
    counted = sum(shape.numel() for key, shape in shapes(own).items() if "running" not in key and "num_b" not in key)
    assert counted == (46_359_409 if version else 44_454_513)


@cache
def theirs() -> Any:
    """torchvision's first form on a ResNet-18, its norms as trained ones would be, its scores spread so that things are found."""
    from torch import nn
    from torchvision.models.detection import MaskRCNN as Theirs
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    torch.manual_seed(0)
    trunk = resnet_fpn_backbone(backbone_name="resnet18", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5)
    sizes = {"min_size": SIDE, "max_size": SIDE, "rpn_pre_nms_top_n_test": 60, "rpn_post_nms_top_n_test": 60}
    model = Theirs(trunk, num_classes=CLASSES + 1, **sizes).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
        for layer in (model.rpn.head.cls_logits, model.rpn.head.bbox_pred, model.roi_heads.box_predictor.cls_score):
            layer.weight.mul_(10)
    return model


@torch.no_grad()
def test_its_weights_give_its_numbers() -> None:
    """Picture in, boxes, labels, scores and masks out: no difference at all, where the canvas is the picture."""
    model, own = theirs(), spec(regions=60)
    fit = fitted(own, Origin("a file", model.state_dict()))
    assert (fit.dialect, fit.fresh, fit.notes) == (Dialect.TORCHVISION_DETECTION, (), ())
    network = cs.build(fit.spec)
    network.load_state_dict(fit.state)
    network.eval()
    pictures = torch.rand(2, 3, SIDE, SIDE)
    logits: list[Tensor] = []
    hook = model.roi_heads.mask_predictor.register_forward_hook(lambda module, given, out: logits.append(out))
    expected = model(list(pictures))
    hook.remove()
    shown = (pictures - torch.tensor(own.input.mean)[:, None, None]) / torch.tensor(own.input.std)[:, None, None]
    found = network(shown)
    assert found.counts.tolist() == [len(one["boxes"]) for one in expected]
    assert int(found.counts.min()) > 5
    there = found.labels > 0
    labels = torch.cat([one["labels"] for one in expected])
    assert torch.equal(found.labels[there], labels)
    assert torch.equal(found.boxes[there], torch.cat([one["boxes"] for one in expected]))
    assert torch.equal(found.scores[there], torch.cat([one["scores"] for one in expected]))
    assert torch.equal(found.masks[there], logits[0].sigmoid()[torch.arange(len(labels)), labels])


def old(key: str) -> str:
    """What torchvision called the same weight in its files until 2021."""
    for new, before in (("_blocks.{}.0.", "_blocks.{}."), ("mask_head.{}.0.", "mask_head.mask_fcn{}.")):
        for number in range(5):
            key = key.replace(new.format(number), before.format(number + ("mask" in new)))
    return key.replace("rpn.head.conv.0.0.", "rpn.head.conv.")


def test_a_file_with_its_old_names(tmp_path: Path) -> None:
    """As its published weights are: without counts of batches, since their norms are frozen."""
    state = theirs().state_dict()
    before = {old(key): tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")}
    assert "backbone.fpn.inner_blocks.0.weight" in before
    assert "roi_heads.mask_head.mask_fcn1.weight" in before
    torch.save(before, tmp_path / "maskrcnn.pth")
    fit = fitted(spec(), obtain(tmp_path / "maskrcnn.pth"))
    assert not fit.fresh
    assert torch.equal(fit.state["head.mask.convs.0.conv.weight"], state["roi_heads.mask_head.0.0.weight"])
    assert torch.equal(fit.state["neck.lateral.5.conv.bias"], state["backbone.fpn.inner_blocks.3.0.bias"])


def test_another_number_of_classes() -> None:
    """Where none is asked for, the file's; else the three layers that tell classes apart begin afresh, and nothing else."""
    origin = Origin("a file", theirs().state_dict())
    taken = fitted(spec(classes=7), origin).spec.head
    assert isinstance(taken, MaskRCNN)
    assert taken.classes == CLASSES
    fit = fitted(spec(classes=7), origin, classes=7)
    assert {key.rpartition(".")[0] for key in fit.fresh} == {"head.box.scores", "head.box.deltas", "head.mask.logits"}
    assert fit.state.keys() | set(fit.fresh) == shapes(fit.spec).keys()


def test_a_classifiers_weights_begin_a_detector() -> None:
    """The trunk is taken, the pyramid and the head are new, and it is said."""
    trunk = cs.build(cs.spec("resnet18"))
    fit = fitted(spec(), Origin("a file", trunk.state_dict()), classes=CLASSES)
    assert {key.split(".")[0] for key in fit.fresh} == {"neck", "head"}
    assert {key.split(".")[0] for key in fit.state} == {"stem", "stages"}
    assert any("new" in note and "neck.lateral.5" in note for note in fit.notes)


def test_a_detector_without_masks_takes_what_it_has() -> None:
    fit = fitted(spec(masks=False), Origin("a file", theirs().state_dict()))
    assert not fit.fresh
    assert any("left out" in note and "roi_heads" in note for note in fit.notes)


@pytest.mark.parametrize("version", ["", "_v2"])
def test_its_published_form_by_name(version: str) -> None:
    """The epsilon that torchvision has: 0 in the first version, to all digits of single precision, and 1e-5 in the second. Its
    predictors' order of ratios."""
    own = cs.spec(f"maskrcnn_resnet50_fpn{version}")
    theirs = names(own, Dialect.TORCHVISION_DETECTION)
    state = {theirs[key]: torch.zeros(shape) for key, shape in shapes(own).items()}
    fit = fitted(own, Origin("a file", state))
    assert getattr(fit.spec.style.norm, "eps", None) == (1e-5 if version else 1e-12)
    assert isinstance(own.head, MaskRCNN)
    assert own.head.settings((4, 8, 16, 32, 64)) == Settings().as_torchvision()
