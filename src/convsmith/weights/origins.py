"""Where weights come from: a file, timm, torchvision, a package of weights, or a pinned file of a model hub.

A state dict does not say how the network that it was trained in pads, what its normalisations' epsilon is, or how images
were normalised. What comes from a package brings these along as `Numerics`; of a bare file the ledger says what the package
whose names it carries has under the network's name (`fitting`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..ambient import quiet
from ..arch import Padding
from ..errors import UserError, first_line, nearest
from ..ledger import Numerics
from .files import flat, read
from .hubs import refuse_unreachable
from .packages import file_of, packaged

__all__ = ["Origin", "obtain"]

_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
_COMMIT = re.compile(r"[0-9a-f]{40}")

_DETECTOR = Numerics(1e-5, Padding.SYMMETRIC, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# torchvision takes these weights' epsilon for 0; this one is lost beside every variance above 1e-5.
_FIRST_DETECTOR = replace(_DETECTOR, eps=1e-12)


@dataclass(frozen=True)
class Origin:
    """Tensors by their full names, a name for them in messages, and what is known about the network they were trained in."""

    label: str
    state: dict[str, Tensor]
    numerics: Numerics = Numerics()


def obtain(weights: str | Path) -> Origin:
    """The weights that `weights` names.

    A `.safetensors` file, one of torch's (`.pth`, `.pt`, `.bin`; tensors only), a run folder, `timm:NAME`, `tv:NAME`,
    `lite:NAME`, or `hub:OWNER/REPO@COMMIT`, where COMMIT is the full 40 digits: a branch may change, a commit may not. timm,
    torchvision and the hub download to their own caches when asked, and only then; what is in these is read without a network.
    `lite:efficientnet_lite0` is the file in an installed Python package.

    Raises:
        UserError: no such thing, a damaged file, no network, a package that is not installed.
    """
    source, _, name = str(weights).partition(":")
    if source == "timm":
        return _timm(name)
    if source == "tv":
        return _torchvision(name)
    if source == "hub":
        return _hub(name)
    if source == "lite":
        row = packaged(name)
        return Origin(f"lite:{name}", read(file_of(row)), row.numerics)
    path = Path(weights)
    if path.is_dir():
        path = path / "model.safetensors"
    return Origin(str(path), read(path))


def _timm(name: str) -> Origin:
    try:
        import timm
    except ImportError:
        raise UserError(f"timm:{name} needs timm, which is not installed here: pip install 'convsmith[timm]'") from None
    known = timm.list_pretrained()
    bare = {entry.split(".")[0] for entry in known}
    if name not in known and name not in bare:
        near = nearest(name, known if "." in name else bare)
        raise UserError(f"timm has no pretrained weights called '{name}'{near}")
    wanted: Any = timm.get_pretrained_cfg(name)
    path = _downloaded(f"timm:{name}", wanted.hf_hub_id, None)
    try:
        model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": str(path)})
    except Exception as error:  # whatever timm's reading of a damaged file comes to
        raise UserError(f"timm:{name} cannot be read from {path}: {first_line(error)}") from None
    config: Any = model.pretrained_cfg
    numerics = Numerics(
        eps=_eps(model),
        padding=Padding.SAME if any(type(m).__name__ == "Conv2dSame" for m in model.modules()) else Padding.SYMMETRIC,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )
    return Origin(f"timm:{name}", model.state_dict(), numerics)


def _torchvision(name: str) -> Origin:
    from torchvision import models

    detectors = [one for one in models.list_models(module=models.detection) if "rcnn_resnet50" in one]
    known = models.list_models(module=models)
    if name not in (*known, *detectors):
        raise UserError(f"torchvision has no model '{name}'{nearest(name, [*known, *detectors])}")
    weights = models.get_model_weights(name).DEFAULT
    if not (Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name).is_file():
        refuse_unreachable(weights.url, f"tv:{name}")
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise UserError(f"tv:{name} could not be fetched: {first_line(error)}") from None
    if name in detectors:  # how images are normalised is in the model there
        return Origin(f"tv:{name}", flat(state, f"tv:{name}"), _DETECTOR if name.endswith("v2") else _FIRST_DETECTOR)
    transform = weights.transforms()
    model = models.get_model(name, weights=None)
    return Origin(
        f"tv:{name}",
        flat(state, f"tv:{name}"),
        Numerics(eps=_eps(model), padding=Padding.SYMMETRIC, mean=tuple(transform.mean), std=tuple(transform.std)),
    )


def _hub(name: str) -> Origin:
    repo, _, revision = name.partition("@")
    if repo.count("/") != 1 or not _COMMIT.fullmatch(revision):
        raise UserError(
            f"hub:{name} is not pinned: write hub:OWNER/REPO@COMMIT with the commit's full 40 digits, since what a branch "
            "holds may change after you looked at it"
        )
    path = _downloaded(f"hub:{name}", repo, revision)
    _check_hash(path, f"hub:{name}")
    return Origin(f"hub:{name}", read(path))


def _downloaded(label: str, repo: str, revision: str | None) -> Path:
    """The weights' file of a repository of the model hub: the one in the hub's cache, else it is fetched."""
    try:
        from huggingface_hub import constants, errors, hf_hub_download
    except ImportError:
        raise UserError(
            f"{label} needs huggingface_hub, which is not installed here: pip install 'convsmith[hub]'"
        ) from None

    def found(files: Sequence[str], *, cached: bool) -> Path | None:
        for file in files:
            try:
                return Path(hf_hub_download(repo, file, revision=revision, local_files_only=cached))
            except errors.EntryNotFoundError:  # not in the repository, or not in the cache
                continue
        return None

    with quiet("huggingface_hub"):
        try:
            path = found(_HUB_FILES, cached=True)
            if path is None:
                refuse_unreachable(constants.ENDPOINT, label)
                path = found(_HUB_FILES, cached=False)
        except UserError:
            raise
        except Exception as error:  # the client's own kinds, and without network those of its transport
            raise UserError(f"{label} could not be fetched: {first_line(error)}") from None
    if path is None:
        raise UserError(f"{label} has neither {' nor '.join(_HUB_FILES)}")
    return path


def _check_hash(path: Path, label: str) -> None:
    """The hub's cache names each large file by the sha256 that the hub states for it."""
    stated = path.resolve().name
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != stated:
        raise UserError(
            f"{label}: {path.name} is not what the hub states: its sha256 is {found[:12]}..., stated is {stated[:12]}...\n"
            f"Delete {path} to fetch it again"
        )


def _eps(model: nn.Module) -> float | None:
    return next((module.eps for module in model.modules() if isinstance(module, nn.BatchNorm2d)), None)
