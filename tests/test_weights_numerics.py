"""A file of a package's, under that package's name of a network, computes what the package's network computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import convsmith as cs
from convsmith.arch import Padding
from convsmith.families import names
from convsmith.ledger import weights_of
from convsmith.watcher import Watcher
from convsmith.weights import Numerics
from peers import on_meta

timm = pytest.importorskip("timm")

# The smallest of every kind of network that timm has under our name, and the side it is shown.
OF_TIMM = {
    "efficientnet_b0": 64,
    "efficientnet_b1": 64,
    "tf_efficientnet_b0": 65,
    "tinynet_e": 106,
    "efficientnet_lite0": 64,
    "tf_efficientnet_lite0": 64,
    "ghostnet_050": 64,
    "mnasnet_050": 64,
    "mobilenetv1_100": 64,
    "mobilenetv2_035": 64,
    "resnet18": 64,
    "resnetrs50": 64,
    "nf_seresnet26": 64,
    "nf_regnet_b0": 96,
    "resnetv2_50d_gn": 64,
    "resnetv2_50d_evos": 64,
}
OF_TORCHVISION = {"efficientnet_b0": "efficientnet_b0", "mnasnet_050": "mnasnet0_5"}


class Noted(Watcher):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def settled(net: nn.Module, side: int) -> nn.Module:
    """With statistics of noise, which are not those of a new network: an epsilon shows on them."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(4, 3, side, side))
    return net.eval()


def apart(net: nn.Module, peer: nn.Module, side: int) -> float:
    x = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        ours, theirs = net.eval()(x), peer(x)
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("name", OF_TIMM)
def test_a_file_of_timms_computes_what_timm_computes(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    peer = settled(timm.create_model(name), OF_TIMM[name])
    save_file(peer.state_dict(), tmp_path / "w.safetensors")
    net = cs.create(name, weights=tmp_path / "w.safetensors")
    assert apart(net, peer, OF_TIMM[name]) <= 1e-5
    config = timm.get_pretrained_cfg(name)
    assert net.spec.input.mean == config.mean and net.spec.input.std == config.std


@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_a_file_of_torchvisions_computes_what_torchvision_computes(name: str, tmp_path: Path) -> None:
    from torchvision import models

    torch.manual_seed(0)
    peer = settled(models.get_model(OF_TORCHVISION[name], weights=None), 64)
    torch.save(peer.state_dict(), tmp_path / "w.pth")
    assert apart(cs.create(name, weights=tmp_path / "w.pth"), peer, 64) <= 1e-5


def test_the_table_is_what_timm_and_torchvision_say() -> None:
    """Each row's epsilon, padding and normalisation, and that no set of weights is left out."""
    from torchvision import models

    for name in names():
        rows = weights_of(name, package="timm")
        assert bool(rows) == timm.is_model(name), name
        assert sorted(row.tag for row in rows if row.tag) == sorted(
            full.partition(".")[2] for full in timm.list_pretrained(f"{name}.*")
        ), f"golden/weights.csv lacks what this version of timm has of {name}, or has what it lacks"
        if not rows:
            continue
        peer = on_meta(name)
        eps = {module.eps for module in peer.modules() if isinstance(module, nn.BatchNorm2d)}
        same = any("Same" in type(module).__name__ for module in peer.modules())
        for row in rows:
            config = timm.get_pretrained_cfg(f"{name}.{row.tag}" if row.tag else name)
            assert eps <= {row.numerics.eps} and (row.numerics.padding is Padding.SAME) == same, name
            assert row.numerics.mean == config.mean and row.numerics.std == config.std, row
        assert not rows[0].tag or timm.get_pretrained_cfg(name).tag == rows[0].tag
    for name in names():
        for row in weights_of(name, package="torchvision"):
            transform = models.get_model_weights(row.model)[row.tag].transforms()
            assert list(row.numerics.mean or ()) == transform.mean and list(row.numerics.std or ()) == transform.std
            with torch.device("meta"):
                peer = models.get_model(row.model, weights=None)
            assert row.numerics.eps == next(m.eps for m in peer.modules() if isinstance(m, nn.BatchNorm2d))


def timms(name: str, path: Path) -> Path:
    torch.manual_seed(0)
    save_file(timm.create_model(name).state_dict(), path)
    return path


def test_the_choice_is_said_and_can_be_overruled(tmp_path: Path) -> None:
    told, path = Noted(), timms("efficientnet_b0", tmp_path / "w.safetensors")
    assert cs.create("efficientnet_b0", weights=path, watcher=told).spec.style.norm.eps == 1e-5
    assert told.notes == [
        "efficientnet_b0 is built as timm's efficientnet_b0.ra_in1k is: an epsilon of 1e-05 instead of 0.001"
    ]
    papers = cs.create("efficientnet_b0", weights=path, numerics=Numerics(eps=1e-3))
    assert papers.spec == cs.spec("efficientnet_b0")
    peer = settled(timm.create_model("efficientnet_b0"), 64)
    save_file(peer.state_dict(), path)
    assert apart(cs.create("efficientnet_b0", weights=path, numerics=Numerics(eps=1e-3)), peer, 64) > 1e-3


def test_a_file_named_after_its_weights_is_taken_for_these(tmp_path: Path) -> None:
    """efficientnet_b1 has weights for images normalised by 0.5, timm's default, and others by ImageNet's numbers."""
    path = timms("efficientnet_b1", tmp_path / "efficientnet_b1.ft_in1k.safetensors")
    assert cs.create("efficientnet_b1", weights=path).spec.input.mean == (0.485, 0.456, 0.406)
    path.rename(tmp_path / "mine.safetensors")
    assert cs.create("efficientnet_b1", weights=tmp_path / "mine.safetensors").spec.input.mean == (0.5, 0.5, 0.5)


def test_weights_of_ours_change_nothing(tmp_path: Path) -> None:
    save_file(cs.create("efficientnet_b0", seed=0).state_dict(), tmp_path / "ours.safetensors")
    told = Noted()
    net = cs.create("efficientnet_b0", weights=tmp_path / "ours.safetensors", watcher=told)
    assert net.spec == cs.spec("efficientnet_b0") and told.notes == []


@pytest.mark.parametrize(
    "model", ["efficientnet_b0.ra_in1k", "hf-hub:timm/efficientnet_b0.ra_in1k", "resnet50.a1_in1k"]
)
def test_timms_tag_as_a_model_is_told_where_it_belongs(model: str) -> None:
    name = model.removeprefix("hf-hub:timm/")
    with pytest.raises(cs.UserError, match=f"MODEL is {name.split('.')[0]}, and --weights timm:{name}"):
        cs.spec(model)
