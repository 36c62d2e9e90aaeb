"""The same weights give the same logits as timm's and torchvision's networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convsmith.families import spec
from convsmith.model import build

timm = pytest.importorskip("timm")
from torchvision import models  # noqa: E402

# (ours, theirs, side). timm keeps batch norm's epsilon at 1e-5 where the paper has 1e-3; it is set alike below.
PAIRS = [
    *[(f"efficientnet_b{size}", f"timm:efficientnet_b{size}", 64) for size in range(8)],
    ("efficientnet_b0", "tv:efficientnet_b0", 64),
    ("mobilenetv1_100", "timm:mobilenetv1_100", 64),
    ("mobilenetv2_100", "timm:mobilenetv2_100", 64),
    ("mobilenetv2_100", "tv:mobilenet_v2", 64),
    ("mobilenetv2_050", "timm:mobilenetv2_050", 64),
    ("mobilenetv2_140", "timm:mobilenetv2_140", 64),
    ("resnet18", "timm:resnet18", 64),
    ("resnet34", "tv:resnet34", 64),
    ("resnet50", "timm:resnet50", 64),
    ("resnet50", "tv:resnet50", 64),
]


def theirs_by_name(name: str) -> nn.Module:
    source, _, wanted = name.partition(":")
    return timm.create_model(wanted) if source == "timm" else models.get_model(wanted, weights=None)


def in_order_of_use(model: nn.Module, x: torch.Tensor) -> list[nn.Module]:
    """Modules that hold weights, in the order in which a forward first uses them: the same in any implementation."""
    order: list[nn.Module] = []
    handles = [
        module.register_forward_pre_hook(lambda module, _: order.append(module))
        for module in model.modules()
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm2d))
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return order


@torch.no_grad()
def copy_weights(source: nn.Module, target: nn.Module, x: torch.Tensor) -> None:
    theirs, ours = (in_order_of_use(model.eval(), x) for model in (source, target))
    assert len(theirs) == len(ours)
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    for kind in kinds:
        shapes = {tuple(m.weight.shape) for m in ours if isinstance(m, kind)}
        for shape in shapes:
            a = [m for m in theirs if isinstance(m, kind) and tuple(m.weight.shape) == shape]
            b = [m for m in ours if isinstance(m, kind) and tuple(m.weight.shape) == shape]
            assert len(a) == len(b), (kind.__name__, shape)
            for one, other in zip(a, b, strict=True):
                other.load_state_dict(one.state_dict())


@torch.no_grad()
def shake(model: nn.Module) -> None:
    """Weights and statistics that nothing hides behind: no norm at its start, no branch at zero."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
            for tensor, low in (
                (module.weight, 0.5),
                (module.running_var, 0.5),
                (module.bias, -0.2),
                (module.running_mean, -0.2),
            ):
                tensor.copy_(low + torch.rand(tensor.shape, generator=generator) * (1.0 if low > 0 else 0.4))


@pytest.mark.parametrize(("ours", "theirs", "side"), PAIRS, ids=lambda value: str(value))
def test_logits_are_theirs(ours: str, theirs: str, side: int) -> None:
    x = torch.randn(2, 3, side, side)
    peer, mine = theirs_by_name(theirs), build(spec(ours), seed=0)
    shake(peer)
    copy_weights(peer, mine, x)
    for module in mine.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
    with torch.inference_mode():
        expected, found = peer.eval()(x), mine.eval()(x)
    # float32; the two differ only in the order of summation.
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
