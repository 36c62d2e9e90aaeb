"""`predict`: what a trained network says of images that nobody labelled."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
import torch
from torch import Tensor, nn

from ..ambient import undisturbed, usual
from ..arch import ArchSpec
from ..data import Normalise
from ..data.batches import shown
from ..data.given import Images, One, read, unpacked
from ..data.pictures import dim_and_deep, unwarned, why
from ..errors import DataError, UserError
from ..exporting import Metadata, session
from ..exporting.metadata import PROBABILITIES, of_session
from ..exporting.ort import input_shape
from ..model import Model
from ..resolve import create, device, target_of
from ..runs import RunFolder
from ..shown import Shown
from ..threads import in_threads
from ..units import plural
from ..watcher import Watcher
from .feed import metadata_of, task_of, trained

__all__ = ["BATCH", "Prediction", "Predictions", "Predictor", "Unreadable", "opened", "predict"]

BATCH = 64
_READERS = 8  # threads that decode, at the most
_COMMON = 3  # labels that the first line of many predictions names
_LIKELY: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(dim=1),
    "sigmoid": Tensor.sigmoid,
    "none": lambda probabilities: probabilities,
}


@dataclass(frozen=True, repr=False)
class Prediction(Shown):
    """What the network says of one image: labels with their probabilities, the best first.

    `index` counts the images as they were given, from 0; `path` is None where the image came from no file.
    """

    index: int
    path: str | None
    top: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        shares = ", ".join(f"{label} {share:.1%}" for label, share in self.top)
        return f"{self.path or f'image {self.index}'}: {shares}"

    @property
    def label(self) -> str:
        return self.top[0][0]

    @property
    def probability(self) -> float:
        return self.top[0][1]

    def to_record(self) -> dict[str, object]:
        rows = [{"label": label, "probability": share} for label, share in self.top]
        return {"index": self.index, "path": self.path, **rows[0], "top": rows}


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be read, and why."""

    index: int
    path: str | None
    why: str

    def to_record(self) -> dict[str, object]:
        return {"index": self.index, "path": self.path, "why": self.why}


@dataclass(frozen=True, repr=False)
class Predictions(Shown, Sequence[Prediction]):
    """What a network says of images, in their order; `unreadable` are those that could not be read and are not among `rows`."""

    rows: tuple[Prediction, ...]
    unreadable: tuple[Unreadable, ...] = ()

    def __str__(self) -> str:
        lost = f", {len(self.unreadable)} of them unreadable" if self.unreadable else ""
        found = Counter(one.label for one in self.rows).most_common(_COMMON)
        said = ", ".join(f"{label} {n}" for label, n in found)
        return "\n".join((f"{plural(len(self) + len(self.unreadable), 'image')}{lost}: {said}", *map(str, self.rows)))

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Prediction: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Prediction, ...]: ...
    def __getitem__(self, at: int | slice) -> Prediction | tuple[Prediction, ...]:
        return self.rows[at]

    def to_record(self) -> dict[str, object]:
        return {
            "images": len(self.rows) + len(self.unreadable),
            "predictions": [one.to_record() for one in self.rows],
            "unreadable": [one.to_record() for one in self.unreadable],
        }


def predict(
    model: RunFolder | str | Path | ArchSpec | Model,
    images: Images,
    *,
    top: int = 5,
    batch: int = BATCH,
    classes: Sequence[str] | None = None,
    weights: str | Path | None = None,
    device: str | None = None,
    threads: int | None = None,
    watcher: Watcher | None = None,
) -> Predictions:
    """The `top` likeliest classes of each image, with probabilities, by a trained network.

    `model` is a finished run or its folder, a file that `export` wrote, a network with `weights` (as `create` takes them), or
    a live one. `images` are files, folders and patterns, Pillow's pictures, uint8 arrays and tensors, one or many
    (`data.given.unpacked`); each is shown to the network as `evaluate` shows it. `classes` names the outputs of a network that
    has no names for them; without, they are numbers. Nothing but a batch of images and the answers is held in memory.

    A large JPEG is decoded no finer than the network needs; a picture or an array that was made from it is whole, and its
    probabilities may differ in the third decimal.

    Raises:
        UserError: nothing trained to ask, no images, images of a kind that is none, or none that could be read.
    """
    predictor = opened(model, classes=classes, weights=weights, device=device, threads=threads)
    rows: list[Prediction] = []
    unreadable: list[Unreadable] = []
    for one in predictor.stream(images, top=top, batch=batch, watcher=watcher):
        if isinstance(one, Unreadable):
            unreadable.append(one)
        else:
            rows.append(one)
    return Predictions(tuple(rows), tuple(unreadable))


@dataclass(frozen=True)
class Predictor:
    """A network ready to be asked, as often as wanted. `says` is what it takes and gives; `logits` are its answers to uint8
    images (n, channels, height, width); `threads` is how many it and the decoding may use each."""

    label: str
    says: Metadata
    outputs: int
    logits: Callable[[Tensor], Tensor]
    threads: int

    def stream(
        self, images: Images, *, top: int = 5, batch: int = BATCH, watcher: Watcher | None = None
    ) -> Iterator[Prediction | Unreadable]:
        """What the network says of each image, in their order, while it looks at the next ones: a batch at a time is in memory.

        Raises:
            UserError: no images, or at the end: none that could be read.
        """
        if top < 1 or batch < 1:
            raise UserError(f"top and batch are at least 1; got top={top}, batch={batch}")
        watcher = watcher or Watcher()
        chosen = unpacked(images, watcher.note)
        total = None
        if not isinstance(images, Iterator):  # an iterator may have no end
            listed = list(chosen)
            chosen, total = iter(listed), len(listed)
        first: Unreadable | None = None
        done = readable = faint = 0
        for found in self._batches(chosen, min(top, self.outputs), batch):
            done += len(found)
            watcher.count("predicting", done, done if total is None else total)
            for one in found:
                if isinstance(one, Prediction):
                    readable += 1
                    faint += one.path is not None and dim_and_deep(one.path)
                elif first is None:
                    first = one
                yield one
        if not done:
            raise DataError("there are no images to look at")
        if faint:
            watcher.note(
                f"{faint} of {done} images have more than 8 bits and use less than a quarter of their range, as 12-bit data in "
                "16-bit files: they are shown all but black, as in training"
            )
        if first is not None and not readable:
            what = first.path or f"image {first.index}"
            raise DataError(f"none of {done} images could be read, {what} first: {first.why}" if done > 1 else
                            f"{what} cannot be read: {first.why}")  # fmt: skip

    def _batches(self, images: Iterator[One], top: int, batch: int) -> Iterator[list[Prediction | Unreadable]]:
        """The answers batch by batch. While the network looks at one, threads decode the next."""
        start, chunk = 0, list(islice(images, batch))
        with ThreadPoolExecutor(max_workers=1) as ahead:
            made = None
            while chunk:
                following = list(islice(images, batch))
                # Nothing is under way while the caller has the answers: warnings and threads are the process's.
                with unwarned(), usual(), in_threads(self.threads):
                    ready, reasons = self._shown(chunk) if made is None else made
                    coming = ahead.submit(self._shown, following) if following else None
                    found = self._asked(chunk, start, ready, reasons, top)
                    made = None if coming is None else coming.result()
                yield found
                start, chunk = start + len(chunk), following

    def _shown(self, chunk: list[One]) -> tuple[Tensor, dict[int, str]]:
        """The images of a chunk that can be read, and why each other one cannot."""
        reasons: dict[int, str] = {}

        def whole(j: int, least: int) -> Tensor:
            try:
                return read(chunk[j], channels=self.says.channels, least=least)
            except OSError as error:
                reasons[j] = why(error)
                raise

        files = any(not isinstance(one, np.ndarray) for one in chunk)
        images, _ = shown(
            whole,
            len(chunk),
            sides=self.says.resolution,
            channels=self.says.channels,
            threads=min(_READERS, self.threads, len(chunk)) if files else 1,
        )
        return images, reasons

    @torch.inference_mode()
    def _asked(
        self, chunk: list[One], start: int, images: Tensor, reasons: dict[int, str], top: int
    ) -> list[Prediction | Unreadable]:
        names = self.says.classes
        paths = [one if isinstance(one, str) else None for one in chunk]
        kept = [j for j in range(len(chunk)) if j not in reasons]
        found: dict[int, Prediction | Unreadable] = {
            j: Unreadable(start + j, paths[j], because) for j, because in reasons.items()
        }
        if kept:
            logits = self.logits(images).float()
            finite = logits.isfinite().all(dim=1).cpu()
            if not finite.all():
                j = kept[int((~finite).nonzero()[0])]
                raise UserError(
                    f"the network's output for {paths[j] or f'image {start + j}'} is not finite; the training that made it "
                    "diverged, or the weights are damaged"
                )
            best = logits.topk(top, dim=1).indices
            likely = _LIKELY[self.says.activation](logits)
            shares = likely.gather(1, best).cpu().tolist()
            for j, labels, row in zip(kept, best.cpu().tolist(), shares, strict=True):
                pairs = ((names[i] if names else str(i), share) for i, share in zip(labels, row, strict=True))
                found[j] = Prediction(start + j, paths[j], tuple(pairs))
        return [found[j] for j in range(len(chunk))]


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
    if not model.num_classes:
        raise UserError(f"{label} has no classifier")
    on = device(where)
    ready = Normalise(says.mean, says.std).to(on)
    network = model.eval().to(on)

    def logits(images: Tensor) -> Tensor:
        answers: Tensor = network(ready(images))
        return answers

    return _checked(Predictor(label, says, model.num_classes, logits, threads))


def _file(path: Path, classes: Sequence[str], threads: int) -> Predictor:
    runtime = session(path, threads=threads)
    says = of_session(runtime, str(path))
    if classes and says.classes:
        raise UserError(f"{path} knows its classes; `classes` is for files that do not")
    if says.outputs != ((PROBABILITIES,) if says.raw else ("logits",)):
        raise UserError(f"{path} is for the task '{says.task}'; only classifiers can be asked for labels")
    fixed, *shape = input_shape(runtime)
    if tuple(shape) != ((*says.resolution, says.channels) if says.raw else (says.channels, *says.resolution)):
        raise UserError(
            f"the metadata of {path} is damaged: it says {says.resolution}, the network takes {tuple(shape)}"
        )
    given, ready = runtime.get_inputs()[0].name, Normalise(says.mean, says.std)
    says = replace(says, classes=tuple(classes)) if classes else says

    def logits(images: Tensor) -> Tensor:
        batch = (images.permute(0, 2, 3, 1) if says.raw else ready(images)).contiguous().numpy()
        parts = [batch] if fixed is None else [batch[at : at + fixed] for at in range(0, len(batch), fixed)]
        return torch.cat([torch.from_numpy(np.asarray(runtime.run(None, {given: part})[0])) for part in parts])

    outputs = runtime.get_outputs()[0].shape[-1]
    return _checked(Predictor(path.name, says, int(outputs), logits, threads))


def _checked(predictor: Predictor) -> Predictor:
    says = predictor.says
    if says.channels not in (1, 3):
        raise UserError(f"{predictor.label} takes images of {says.channels} channels; pictures have 1 or 3")
    if says.classes and len(says.classes) != predictor.outputs:
        raise UserError(f"{predictor.label} has {predictor.outputs} outputs, and {len(says.classes)} classes are named")
    return predictor


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
