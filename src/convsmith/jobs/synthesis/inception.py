"""Inception v3 (Szegedy et al., 2015) as a judge: its features and classes of images, from a file of its weights.

Two layouts are known. `torchvision.models.inception_v3`'s has 1,000 classes. The other, of 1,008, is TensorFlow's network of
2015-12-05, by which FID (Heusel et al., 2017) and the Inception Score (Salimans et al., 2016) are defined, as pytorch-fid ported it
to torchvision's names: that network is torchvision's, but for what the last branches of its blocks pool.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import UserError
from ...evals import FID, Terms, terms_of
from ...weights import read

__all__ = ["Inception", "inception"]

# The side that it is shown images at, whatever theirs is; at the same time as few as fit in a few hundred megabytes.
SIDE = 299
_AT_ONCE = 32
# The network that FID is of: its classes, and how the sha256 of the file begins that all publish numbers by.
_PORTED = 1008
_DIGEST = "6726825d"


@dataclass(frozen=True, eq=False)
class Inception:
    """What its numbers are called, what it is, and `features`: of uint8 images ⟨N,C,H,W⟩ the means of the last maps ⟨N,2048⟩, for
    the one distance and for the other, and the probabilities of its own classes ⟨N,classes⟩."""

    terms: Terms
    says: str
    features: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


def inception(path: Path, where: torch.device) -> Inception:
    """The network in a file of weights. Only numbers of the file that FID is defined by are called so.

    Images are made 299 pixels wide and high, bilinear and without antialiasing, as pytorch-fid does, and scaled to [-1, 1].
    The probabilities of the ported network are those of its logits without their bias, as the Inception Score's own code has them.

    Raises:
        UserError: a file that cannot be read, or that holds another network.
    """
    state = read(path)
    network, last = _network(state, path)
    network.to(where)
    weight, bias = (one.to(where) for one in last)
    ported = len(weight) == _PORTED

    @torch.inference_mode()
    def few(images: Tensor) -> tuple[Tensor, Tensor]:
        colour = images.float().expand(-1, 3, -1, -1)
        shown = F.interpolate(colour, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        means = network(shown / 127.5 - 1)
        return means, F.linear(means, weight, None if ported else bias).softmax(1)

    def features(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        means, shares = map(torch.cat, zip(*map(few, torch.split(images, _AT_ONCE)), strict=True))
        return means, means, shares

    if ported and _digest(path).startswith(_DIGEST):
        return Inception(FID, f"Inception v3 of 2015-12-05 at {SIDE} px", features)
    return Inception(terms_of(path.stem), f"the Inception v3 in {path.name} at {SIDE} px", features)


def _network(state: Mapping[str, Tensor], path: Path) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """The network from images in [-1, 1] to the means of its last maps, in evaluation mode; the weight and bias of its classes."""
    from torchvision.models import Inception3

    classes = len(state["fc.weight"]) if "fc.weight" in state and state["fc.weight"].ndim == 2 else 0
    with torch.device("meta"):
        network = Inception3(num_classes=classes or 1, aux_logits=False, init_weights=False)
    wanted = {key: one.shape for key, one in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    own = {key: one.float() for key, one in state.items() if key in wanted}
    if wrong := [key for key, shape in wanted.items() if key not in own or own[key].shape != shape]:
        raise UserError(
            f"{path} holds no Inception v3 in torchvision's names: {wrong[0]} "
            + ("is missing" if wrong[0] not in own else f"has the shape {tuple(own[wrong[0]].shape)}")
            + "; give torchvision's inception_v3_google or pytorch-fid's pt_inception-2015-12-05"
        )
    network.load_state_dict(own, assign=True)
    network.fc = nn.Identity()
    if classes == _PORTED:
        for name, pool in _POOLS.items():
            setattr(network, name, _Pooled(getattr(network, name), pool))
    return network.eval(), (own["fc.weight"], own["fc.bias"])


class _Pooled(nn.Module):
    """A block of torchvision's Inception v3 whose last branch begins with another pool."""

    def __init__(self, block: Any, pool: nn.Module) -> None:
        super().__init__()
        self.block: Any = block
        self.pool = pool
        self.width: int = block.branch_pool.conv.out_channels

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.block(x)[:, : -self.width], self.block.branch_pool(self.pool(x))), 1)


# As TensorFlow has them: a mean over what lies inside the map; in the last block, by a slip that has to stay, a maximum.
_INSIDE = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
_POOLS = {f"Mixed_{name}": _INSIDE for name in ("5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b")} | {
    "Mixed_7c": nn.MaxPool2d(3, stride=1, padding=1)
}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
