"""Images that are mixed, the loss of mixed ones, and the side at which an epoch shows them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..recipe import Recipe

__all__ = ["Mixed", "grown_to", "mixed", "mixed_loss", "side_at"]


@dataclass(frozen=True)
class Mixed:
    """The labels ⟨N⟩ of images that hold a share `own` ⟨N⟩ of themselves, the rest being that of image N-1-i."""

    labels: Tensor
    own: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def mixed(images: Tensor, *, mixup: float, cutmix: float) -> tuple[Tensor, Tensor]:
    """A batch ⟨N,C,H,W⟩ in which image i holds a share of image N-1-i, and the share ⟨N⟩ that is its own.

    mixup (Zhang et al., 2018): the mean of the two, weighted by a share from Beta(mixup, mixup). CutMix (Yun et al.,
    2019): a rectangle of the other, of the image's aspect, that covers 1 minus a share from Beta(cutmix, cutmix) before
    it is cut at the border; the share is counted after. With both, every other image is mixed one way, the rest the other.
    Draws from torch's global generator, which the loop seeds for every step. Clips ⟨N,C,T,H,W⟩ are mixed alike in all frames.
    """
    if images.ndim == 5:  # a channel is mixed as any other is
        folded, share = mixed(images.flatten(1, 2), mixup=mixup, cutmix=cutmix)
        clips: Tensor = folded.unflatten(1, images.shape[1:3])  # type: ignore[no-untyped-call]
        return clips, share
    n, _, height, width = images.shape
    other, device = images.flip(0), images.device
    cut = torch.arange(n, device=device) % 2 == 0 if mixup and cutmix else torch.full((n,), bool(cutmix), device=device)
    alpha = torch.where(cut, cutmix or 1.0, mixup or 1.0)
    own = torch.distributions.Beta(alpha, alpha, validate_args=False).sample()

    middle, half = torch.rand(2, n, device=device), 0.5 * (1 - own).sqrt()
    inside = [
        ((torch.arange(size, device=device) + 0.5) / size - at[:, None]).abs() < half[:, None]
        for size, at in zip((height, width), middle, strict=True)
    ]
    box = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    shown = torch.where(cut[:, None, None, None], (~box).to(images.dtype), own.to(images.dtype)[:, None, None, None])
    return torch.lerp(other, images, shown), shown.float().expand(n, 1, height, width).mean((1, 2, 3))


def mixed_loss(
    logits: Tensor, labels: Tensor, own: Tensor | None, *, smoothing: float, weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy towards both images' classes by their shares, as `mixed` pairs them; None where nothing is mixed.

    `weights` ⟨classes⟩ weigh each image by its class; the mean is over the weights then.
    """
    if own is None:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing, weight=weights)
    one = F.cross_entropy(logits, labels, label_smoothing=smoothing, weight=weights, reduction="none")
    other = F.cross_entropy(logits, labels.flip(0), label_smoothing=smoothing, weight=weights, reduction="none")
    summed = own * one + (1 - own) * other
    if weights is None:
        return summed.mean()
    return summed.sum() / (own * weights[labels] + (1 - own) * weights[labels.flip(0)]).sum()


def grown_to(images: Tensor, recipe: Recipe, epoch: int) -> Tensor:
    """A prepared batch, of images or of clips, at the side that `epoch`, counted from 0, shows: smaller at first, where the recipe
    says so."""
    if recipe.first_side >= 1:
        return images
    if images.ndim == 5:
        grown = grown_to(images.flatten(1, 2), recipe, epoch)
        clips: Tensor = grown.unflatten(1, images.shape[1:3])  # type: ignore[no-untyped-call]
        return clips
    side = side_at(images.shape[-1], epoch, recipe.epochs, first=recipe.first_side)
    return F.interpolate(images, size=side, mode="bilinear", antialias=True)


def side_at(side: int, epoch: int, epochs: int, *, first: float) -> int:
    """The side of training images in `epoch`, counted from 0: from `first` times `side`, linearly, to the whole of it
    from three quarters of the epochs on. The growth's shape is ours.

    >>> [side_at(32, epoch, 8, first=0.5) for epoch in range(8)]
    [16, 19, 21, 24, 27, 29, 32, 32]
    """
    return round(side * (first + (1 - first) * min(1.0, epoch / (0.75 * epochs))))
