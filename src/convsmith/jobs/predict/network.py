"""The network that somebody names, ready to be asked about images."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...ambient import undisturbed
from ...arch import ArchSpec
from ...data import Normalise
from ...errors import UserError
from ...exporting import Metadata, session
from ...exporting.metadata import PROBABILITIES, of_session
from ...exporting.ort import input_shape
from ...layers.detection import Detections
from ...model import Model
from ...resolve import create, device, target_of
from ...runs import RunFolder
from ..feed import metadata_of, task_of, trained
from .reading import Classes, Points, Reading, Things
from .stream import Predictor

__all__ = ["opened", "refuse_without_images"]

POINTS = ("points", "likelihood")  # the outputs of a network that finds points
THINGS = ("boxes", "scores", "labels", "masks")  # of one that finds objects; masks may be missing

# Of a detector without names, labels are numbers up to this.
_NUMBERED = 1000


@undisturbed()
def opened(
    model: RunFolder | str | Path | ArchSpec | Model,
    *,
    classes: Sequence[str] | None = None,
    weights: str | Path | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> Predictor:
    """The network that `model` names, ready to be asked; see `predict`.

    Raises:
        UserError: nothing trained to ask, or a file that does not say what it takes.
    """
    if threads is not None and threads < 1:
        raise UserError(f"threads must be at least 1; got {threads}")
    threads = threads or torch.get_num_threads()
    if isinstance(model, nn.Module):
        if not isinstance(model, Model):
            raise UserError(
                f"a {type(model).__name__} does not say what images it was made for; give a network that was built here, or an "
                "exported file"
            )
        _no_weights(weights, "a live network")
        mine = next(model.parameters()).device if device is None else None
        says = metadata_of(model.spec, classes or ())
        return _live(model.spec.name, copy.deepcopy(model), says, device if mine is None else str(mine), threads)
    target = target_of(model)
    if target.onnx is not None:
        _no_weights(weights, target.label)
        if device not in (None, "cpu"):
            raise UserError(f"an ONNX file is run on the CPU here; got device '{device}'")
        return _file(target.onnx, classes or (), threads)
    if target.run is not None:
        _no_weights(weights, str(target.run.path))
        if classes is not None:
            raise UserError(f"{target.run.path} knows its classes; `classes` is for networks that do not")
        _trained(target.run)
        says = metadata_of(target.run.spec, target.run.data.classes, task_of(target.run.config))
        return _live(target.label, trained(target.run, target.run.spec), says, device, threads)
    if target.spec is None:
        raise UserError(
            f"{target.label} was not made here; predictions are a run's, an exported file's or those of a network of ours with "
            "weights"
        )
    if weights is None:
        raise UserError(
            f"{target.label} is untrained: give a run, an exported .onnx file, or weights (a file, timm:NAME, tv:NAME)"
        )
    net = create(target.spec, weights=weights)
    return _live(target.label, net, metadata_of(net.spec, classes or ()), device, threads)


def _live(label: str, model: Model, says: Metadata, where: str | None, threads: int) -> Predictor:
    head = model.spec.head
    if head.makes:
        raise UserError(f"{label} makes images and reads none: leave out IMAGES, as in `convsmith predict RUN --n 64`")
    if not (head.decides or model.num_classes):
        raise UserError(f"{label} has no classifier")
    on = device(where)
    ready = Normalise(says.mean, says.std).to(on)
    model = model.eval()
    model.head = head.deployed(model.head)
    network = model.to(on)

    def outputs(images: Tensor) -> tuple[Tensor, ...]:
        answers = network(ready(images))
        if isinstance(answers, Detections):
            every = (answers.boxes, answers.scores, answers.labels, answers.masks)
            return tuple(one for one in every if one is not None)
        return answers if isinstance(answers, tuple) else (answers,)

    reading = _reading(label, says, head.n_names if head.decides else model.num_classes)
    return Predictor(label, says, reading, outputs, threads)


def _file(path: Path, classes: Sequence[str], threads: int) -> Predictor:
    runtime = session(path, threads=threads)
    says = of_session(runtime, str(path))
    if classes and says.classes:
        raise UserError(f"{path} knows its classes; `classes` is for files that do not")
    fixed, *shape = input_shape(runtime)
    sides = (says.frames, *says.resolution) if says.frames else says.resolution
    if tuple(shape) != ((*sides, says.channels) if says.raw else (says.channels, *sides)):
        raise UserError(f"the metadata of {path} is damaged: it says {sides}, the network takes {tuple(shape)}")
    if len(runtime.get_outputs()) != len(says.outputs):
        raise UserError(
            f"the metadata of {path} is damaged: it says {', '.join(says.outputs)}, and the network puts out "
            f"{', '.join(one.name for one in runtime.get_outputs())}"
        )
    given, ready = runtime.get_inputs()[0].name, Normalise(says.mean, says.std)
    says = replace(says, classes=tuple(classes)) if classes else says

    def outputs(images: Tensor) -> tuple[Tensor, ...]:
        batch = (images.permute(0, 2, 3, 1) if says.raw else ready(images)).contiguous().numpy()
        parts = [batch] if fixed is None else [batch[at : at + fixed] for at in range(0, len(batch), fixed)]
        answers = [runtime.run(None, {given: part}) for part in parts]
        return tuple(
            torch.cat([torch.from_numpy(np.asarray(one)) for one in each]) for each in zip(*answers, strict=True)
        )

    # The last output has a column for each class, or for each point; of a detector its names alone say how many classes.
    columns = int(runtime.get_outputs()[-1].shape[-1])
    n = (len(says.classes) or _NUMBERED) if says.outputs in (THINGS, THINGS[:3]) else columns
    return Predictor(path.name, says, _reading(str(path), says, n), outputs, threads)


def _reading(label: str, says: Metadata, n: int) -> Reading:
    """What the outputs of a network mean that tells `n` classes apart, or finds `n` points.

    Raises:
        UserError: outputs that are neither, another number of names, or images that are no pictures.
    """
    if says.channels not in (1, 3):
        raise UserError(f"{label} takes images of {says.channels} channels; pictures have 1 or 3")
    if says.classes and len(says.classes) != n:
        raise UserError(f"{label} has {n} outputs, and {len(says.classes)} classes are named")
    names = says.classes or tuple(map(str, range(n)))
    if says.outputs == POINTS:
        return Points(names, says.bones)
    if says.outputs in (THINGS, THINGS[:3]):
        return Things(names)
    if says.outputs in (("logits",), (PROBABILITIES,)):
        return Classes(names, says.activation)
    raise UserError(f"{label} is for the task '{says.task}', which this version cannot be asked about")


def refuse_without_images(model: RunFolder | str | Path) -> None:
    """Raise `UserError` where a network that reads images is given none: only a run of a generator needs none."""
    target = target_of(model)
    if target.run is None:
        raise UserError(f"{target.label}: give IMAGES; without any, the run of a generator makes some")
    _trained(target.run)
    if not target.run.spec.head.makes:
        raise UserError(f"{target.run.path} reads images: give files, folders or patterns")


def _trained(run: RunFolder) -> None:
    """Refuse a run without weights of its own, naming where there are some."""
    if run.has("model.safetensors"):
        return
    if run.has("space.json"):
        children = sorted(
            folder.name for folder in run.file("children").glob("*") if (folder / "model.safetensors").is_file()
        )
        where = f"; its trained networks are {', '.join(str(run.file('children') / name) for name in children)}"
        raise UserError(
            f"{run.path} is a search"
            + (where if children else f" without trained children yet; `convsmith resume {run.path}` goes on with it")
        )
    raise UserError(f"{run.path} has no trained weights yet; finish it with `convsmith resume {run.path}`")


def _no_weights(weights: str | Path | None, label: str) -> None:
    if weights is not None:
        raise UserError(f"{label} has its own weights; other ones are for networks by name or spec")
