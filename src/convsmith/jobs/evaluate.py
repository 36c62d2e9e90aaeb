"""`evaluate`: what a trained run is worth, on its own images or on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..data.readers.dataset import own_data
from ..errors import DataError, UserError
from ..resolve import device as chosen_device
from ..resolve import trained_run
from ..runs import RunFolder
from ..scores import Scores
from ..watcher import Watcher
from .feed import score_on, task_of, trained
from .options import Data, Options, source_of
from .source import Source

__all__ = ["evaluate"]

SPLITS = ("val", "train")


def evaluate(
    run: RunFolder | str | Path,
    data: Data | None = None,
    *,
    split: str = "val",
    root: str | Path | None = None,
    download: bool = False,
    device: str | None = None,
    watcher: Watcher | None = None,
) -> Scores:
    """Top-1 and top-5 with 95 % intervals of a trained run, on its own images or on other data with the same classes."""
    run = trained_run(run)
    if split not in SPLITS:
        raise UserError(f"split '{split}' is none of {', '.join(SPLITS)}")
    own = Source.of(run)
    source = own if data is None else source_of(data, Options(root=root, download=download, seed=own.seed))
    images = source.load(watcher or Watcher(), own_data(data))
    classes = run.data.classes
    if images.classes != classes:
        raise DataError(
            f"{images.name} has classes {_few(images.classes)}; {run.path.name} was trained on {_few(classes)}"
        )
    if split == "train":
        images = replace(images, val=images.train)
    return replace(
        score_on(trained(run, run.spec), run.spec, images, chosen_device(device), task_of(run.config)), split=split
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
