"""`synthesise`: images of some classes, made by a trained generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...ambient import undisturbed
from ...arch import Latent
from ...errors import UserError, nearest
from ...evals import as_bytes
from ...evals.thumbnails import montage
from ...model import Model
from ...resolve import device as chosen_device
from ...resolve import trained_run
from ...runs import RunFolder
from ...shown import Shown
from ...tasks.synthesise import latent_of
from ...training import has_statistics, stand
from ..feed import trained

__all__ = ["Sheetful", "classes_named", "latents", "made", "stood", "synthesise"]

_AT_ONCE = 256
# Batches, and images in each, that standing statistics are of.
_BATCHES, _STANDING = 16, 64
# Of these draws: others than any training's.
_SEED = 7


@dataclass(frozen=True, repr=False, eq=False)
class Sheetful(Shown):
    """Images that a generator made: uint8 ⟨N,C,H,W⟩, the class of each by its number and by its name."""

    images: Tensor
    labels: tuple[int, ...]
    names: tuple[str, ...]

    def __str__(self) -> str:
        counts = {name: self.names.count(name) for name in dict.fromkeys(self.names)}
        return ", ".join(f"{n} of {name}" for name, n in counts.items())

    def save(self, path: Path | str) -> Path:
        """Write them as one picture, a row for each class: .png, .jpg or what else Pillow writes."""
        path = Path(path)
        per_row = max(self.names.count(name) for name in set(self.names))
        montage(self.images.numpy(), min(per_row, 16)).save(path)
        return path


@undisturbed()
def synthesise(
    run: RunFolder | str | Path,
    *,
    classes: Sequence[str | int] | None = None,
    n: int = 64,
    truncation: float | None = None,
    seed: int = 0,
    device: str | None = None,
) -> Sheetful:
    """`n` images of `classes` (all by default), as many of each as can be, made by a run's generator.

    With `truncation` t every number that it reads is drawn from N(0, 1) within [-t, t]: fewer kinds of images, and more typical
    ones. Norms that go by statistics get those of such latents (`training.stand`). Images depend on the seed alone, and an image
    on nothing that is made beside it.

    Raises:
        UserError: a run of something else, no such class, a truncation that is not above 0.
    """
    run = trained_run(run)
    spec, names = run.spec, run.data.classes
    latent = latent_of(spec)
    if n < 1:
        raise UserError(f"n is {n}; give 1 or more images to make")
    chosen = classes_named(classes, names)
    # In rows: as many of each class as can be, the first having one more where they do not come out even.
    labels = [c for at, c in enumerate(chosen) for _ in range(n // len(chosen) + (at < n % len(chosen)))]
    where = chosen_device(device)
    model = stood(trained(run, spec).to(where), latent, truncation)
    z = latents(len(labels), latent.dim, seed, truncation)
    images = made(model, z, torch.tensor(labels))
    return Sheetful(images, tuple(labels), tuple(names[c] for c in labels))


def classes_named(classes: Sequence[str | int] | None, names: Sequence[str]) -> list[int]:
    """The numbers of classes that are given by name or, where none is called so, by number.

    Raises:
        UserError: one that is neither.
    """
    if classes is None:
        return list(range(len(names)))
    found = []
    for one in classes:
        if str(one) in names:
            found.append(names.index(str(one)))
        elif str(one).isdecimal() and int(one) < len(names):
            found.append(int(one))
        else:
            raise UserError(f"'{one}' is none of the classes {', '.join(names)}{nearest(str(one), names)}")
    if not found:
        raise UserError(f"give one or more of the classes {', '.join(names)}")
    return found


def latents(n: int, dim: int, seed: int, truncation: float | None = None) -> Tensor:
    """z float32 ⟨n,dim⟩ of that seed: N(0, 1), or N(0, 1) within [-t, t] for a `truncation` t, as if all outside were drawn anew.

    By the inverse of the distribution, u being uniform: z = Phi^-1(Phi(-t) + u (Phi(t) - Phi(-t))), so that one seed's z for
    several t go continuously into each other.
    """
    if truncation is not None and not (truncation > 0 and math.isfinite(truncation)):
        raise UserError(f"truncation is {truncation:g}; give a number above 0, such as 0.7, or leave it out")
    u = torch.rand((n, dim), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    reach = 1.0 if truncation is None else math.erf(truncation / math.sqrt(2))
    # erfinv(+-1) is infinite, and u may be exactly 0.
    inside = ((2 * u - 1) * reach).clamp(-1 + 1e-15, 1 - 1e-15)
    return (math.sqrt(2) * torch.erfinv(inside)).float()


def stood(model: Model, latent: Latent, truncation: float | None, *, anew: bool = False) -> Model:
    """The generator in evaluation mode, its norms with the standing statistics of latents that are so truncated; where they are
    not, with those that it has, unless they are wanted `anew`."""
    model.eval()
    if not has_statistics(model) or (truncation is None and not anew):
        return model
    where = next(model.parameters()).device
    labels = (torch.arange(_STANDING) % latent.classes).to(where)

    def draw(k: int) -> tuple[Tensor, Tensor]:
        return latents(_STANDING, latent.dim, _SEED + k, truncation).to(where), labels.roll(k)

    stand(model, draw, batches=_BATCHES)
    return model


@torch.inference_mode()
def made(model: Model, z: Tensor, y: Tensor) -> Tensor:
    """uint8 images ⟨N,C,H,W⟩ by a generator in evaluation mode, on the CPU."""
    latent, where = latent_of(model.spec), next(model.parameters()).device
    was = model.training
    parts = [
        as_bytes(model.eval()(some.to(where), own.to(where)).float(), latent.mean, latent.std).cpu()
        for some, own in zip(torch.split(z, _AT_ONCE), torch.split(y, _AT_ONCE), strict=True)
    ]
    model.train(was)
    return torch.cat(parts)
