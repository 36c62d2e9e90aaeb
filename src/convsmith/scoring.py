"""How good a supernet's children are: calibrated, scored on images that nothing was trained on, and remembered on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from .arch import ArchSpec
from .data import ImageData, Split, eval_batches, held
from .errors import UserError
from .evals import score
from .feed import EVAL_BATCH, Watcher, normaliser
from .model import Model
from .supernet import Genes, Supernet
from .training import save_atomically

__all__ = ["Scorer"]


class Scorer:
    """A function from genes to top-1 on the validation part of `images`, which are to be images held out from training.

    Each child is extracted, given its own statistics by `calibration` (normalised batches at the biggest resolution) and
    scored on images decoded and resized for its resolution, as its exported twin would be. What was scored is kept in
    `path`, one line a child, under `key`: a digest of the weights and the data. Scores of another key are not read.

    A child whose outputs are not finite has the score NaN, which no selection keeps.
    """

    def __init__(
        self,
        supernet: Supernet,
        images: ImageData,
        calibration: Sequence[Tensor],
        *,
        path: Path,
        key: str,
        device: torch.device,
        watcher: Watcher,
    ) -> None:
        self.known: dict[Genes, float] = {}
        self._supernet, self._images, self._calibration = supernet, images, calibration
        self._path, self._device, self._watcher = path, device, watcher
        self._shown: dict[int, Split] = {}
        self._read(key)

    def __call__(self, wanted: Sequence[Genes]) -> list[float]:
        new = [genes for genes in dict.fromkeys(wanted) if genes not in self.known]
        with self._path.open("a", encoding="utf-8") as file:
            for done, genes in enumerate(new, 1):
                self.known[genes] = self.top1(self.child(self._supernet.space.spec(genes)))
                top1 = self.known[genes]
                file.write(json.dumps({"genes": genes, "top1": top1 if math.isfinite(top1) else None}) + "\n")
                file.flush()
                self._watcher.count("children", done, len(new))
        return [self.known[genes] for genes in wanted]

    @property
    def n(self) -> int:
        """How many images a score is of."""
        return len(self._images.val)

    def child(self, spec: ArchSpec) -> Model:
        """The stand-alone network of `spec`, fit to be evaluated."""
        return self._supernet.calibrated(spec, self._calibration)

    def top1(self, model: Model) -> float:
        """Its share of right answers on the held-out images; NaN where its outputs are not finite."""
        resolution, channels = model.spec.input.resolution, model.spec.input.channels
        if resolution not in self._shown:  # there are a handful of resolutions and hundreds of children
            self._shown[resolution] = held(self._images.val, resolution=resolution, channels=channels)
        batches = eval_batches(self._shown[resolution], resolution=resolution, channels=channels, batch=EVAL_BATCH)
        try:
            found = score(
                model.to(self._device),
                batches,
                classes=self._images.classes,
                normalise=normaliser(model.spec, self._device),
                device=self._device,
                thumbnails=0,
            )
        except UserError:
            return math.nan
        return float(found.top1)

    def _read(self, key: str) -> None:
        """Take over the lines of an earlier process up to the first torn one, and start the file with them."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        kept = [json.dumps({"key": key})]
        if lines and lines[0] == kept[0]:
            for line in lines[1:]:
                try:
                    own = json.loads(line)
                    genes, top1 = tuple(own["genes"]), own["top1"]
                except (ValueError, KeyError, TypeError):
                    break
                self.known[genes] = math.nan if top1 is None else top1
                kept.append(line)
            if self.known:
                self._watcher.note(f"{len(self.known)} children were scored before")
        text = "\n".join(kept) + "\n"
        save_atomically(self._path, lambda path: _write(path, text))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
