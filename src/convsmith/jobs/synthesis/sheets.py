"""Sheets of made images: over a training from one z, from narrower latents, between two latents."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ...evals.thumbnails import as_uri, montage
from ...files import whole
from ...model import Model
from ...scores import Sheet
from ...tasks.synthesise import latent_of
from .making import latents, made, stood

__all__ = ["FOLDER", "keep_sheet", "sheets_of"]

# Where a run keeps a sheet of some of its epochs.
FOLDER = "made"
# Of a training: so many sheets are kept, and so many shown; each has so many classes across and images of each down.
_KEPT, _SHOWN, _CLASSES, _DOWN = 24, 6, 10, 4
_TRUNCATIONS = (None, 1.5, 1.0, 0.7, 0.4, 0.2)
_BETWEEN, _PAIRS = 8, 4
_SEED = 1


def keep_sheet(model: Model, folder: Path, epoch: int, epochs: int) -> None:
    """Write what the generator makes of the run's fixed latents after `epoch`: of the first, the last, and some between."""
    every = -(-epochs // _KEPT)
    if epoch not in (1, epochs) and epoch % every:
        return
    file = io.BytesIO()
    _sheet(model).save(file, "PNG", optimize=True)
    (folder / FOLDER).mkdir(exist_ok=True)
    with whole(folder / FOLDER / f"epoch-{epoch:06d}.png") as path:
        path.write_bytes(file.getvalue())


def sheets_of(model: Model, folder: Path) -> tuple[Sheet, ...]:
    """All that a report shows of a generator: how its images came to be, how truncation changes them, what lies between two."""
    return (*_over_time(folder), _truncated(model), _between(model))


def _sheet(model: Model) -> Image.Image:
    latent = latent_of(model.spec)
    across = min(_CLASSES, latent.classes)
    y = torch.arange(across).repeat(_DOWN)
    return montage(made(model, latents(len(y), latent.dim, _SEED), y).numpy(), across)


def _over_time(folder: Path) -> tuple[Sheet, ...]:
    files = sorted((folder / FOLDER).glob("epoch-*.png"))
    chosen = sorted({round(at * (len(files) - 1) / max(1, _SHOWN - 1)) for at in range(_SHOWN)}) if files else []
    found = []
    for at in chosen:
        with Image.open(files[at]) as picture:
            uri = as_uri(picture.copy())
        found.append(Sheet(f"Epoch {int(files[at].stem.split('-')[1])}", uri, "", "over time"))
    return tuple(found)


def _truncated(model: Model) -> Sheet:
    """One row a truncation, of the same draws: columns go continuously from one row to the next."""
    latent = latent_of(model.spec)
    across = min(_CLASSES, latent.classes)
    y, rows = torch.arange(across), []
    for t in _TRUNCATIONS:
        own = stood(copy.deepcopy(model), latent, t)
        rows.append(made(own, latents(across, latent.dim, _SEED + 1, t), y))
    named = ", ".join("none" if t is None else f"{t:g}" for t in _TRUNCATIONS)
    return Sheet(
        "Truncation",
        as_uri(montage(torch.cat(rows).numpy(), across)),
        f"A row each, from above: {named}.",
        "truncation",
    )


def _between(model: Model) -> Sheet:
    """Rows from one latent to another, each of one class."""
    latent = latent_of(model.spec)
    ends = latents(2 * _PAIRS, latent.dim, _SEED + 2).view(_PAIRS, 2, -1)
    shares = torch.linspace(0, 1, _BETWEEN)[None, :, None]
    # On the sphere that both lie near: their mean alone would be shorter than any draw.
    z: Tensor = (1 - shares) * ends[:, :1] + shares * ends[:, 1:]
    length = (1 - shares) * ends[:, :1].norm(dim=2, keepdim=True) + shares * ends[:, 1:].norm(dim=2, keepdim=True)
    z = z * length / z.norm(dim=2, keepdim=True)
    y = (torch.arange(_PAIRS) % latent.classes).repeat_interleave(_BETWEEN)
    images = made(model, z.flatten(0, 1), y)
    return Sheet("Between two latents", as_uri(montage(images.numpy(), _BETWEEN)), "A row is one class.", "between")
