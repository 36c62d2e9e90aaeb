"""`evaluate RUN --ood`: what a run is worth on pictures like those it was trained on, beside others."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..ambient import undisturbed
from ..data import Split
from ..data.how import How
from ..errors import DataError
from ..files import check_writable, write_text
from ..resolve import device as chosen_device
from ..resolve import trained_run
from ..runs import RunFolder, write_tables
from ..runs.ood import Domains, ratio
from ..scores import Scores
from ..units import plural
from ..watcher import Watcher
from .evaluate import Part, owners, part_to_score
from .feed import record_of_weights, score_on, task_of, trained
from .options import Data

__all__ = ["out_of_domain"]


@undisturbed()
def out_of_domain(
    run: RunFolder | str | Path,
    data: Data | None = None,
    *,
    split: str | None = None,
    root: str | Path | None = None,
    download: bool = False,
    how: How | None = None,
    device: str | None = None,
    out: str | Path | None = None,
    watcher: Watcher | None = None,
) -> Domains:
    """A trained run's scores on its validation part, which is of what it was trained on, beside those out of that domain: on its
    own test part, or on `data`. Written as `ood.json` where it is its own.

    Args:
        split: which part is out of the domain; test, or of `data` as `evaluate` chooses.
        out: a folder for a table of both as `ood.csv`, and for each part's own tables in `within` and `beyond`.

    Raises:
        DataError: the run's data has no test part, and no other is given.
    """
    run, watcher = trained_run(run), watcher or Watcher()
    if out is not None:
        check_writable(Path(out) / "ood.csv")
    if data is None and split is None and not run.data.test:
        raise DataError(
            f"the data of {run.path} has no test part to be out of its domain: give pictures of other individuals or places, as "
            "`convsmith evaluate RUN DATA --ood`, or train on data that is divided by individual"
        )
    within = part_to_score(run, None, split="val", watcher=watcher)
    chosen = split or ("test" if data is None else None)
    beyond = part_to_score(run, data, split=chosen, root=root, download=download, how=how, watcher=watcher)
    scores = [_scored(run, part, device, watcher) for part in (within, beyond)]
    found = Domains(scores[0], scores[1], tuple(_doubts(run, within.split, beyond.split)))
    if data is None and split is None:
        record_of_weights(run, "ood.json", found.to_record())
    if out is not None:
        _write(found, Path(out))
    return found


def _scored(run: RunFolder, part: Part, device: str | None, watcher: Watcher) -> Scores:
    watcher.stage("evaluate", f"{plural(len(part.split), 'picture')} of {part.said}")
    where = chosen_device(device)
    model = trained(run, run.spec)
    scores = score_on(model, run.spec, part.split, run.data.classes, where, task_of(run.config), part.roots)
    return replace(scores, split=part.part, of=part.name)


def _doubts(run: RunFolder, within: Split, beyond: Split) -> Iterator[str]:
    known, others = set(owners(within)), set(owners(beyond))
    if both := sorted(known & others):
        yield (
            f"{len(both)} of {plural(len(others), 'individual')} stand in both parts, {both[0]} first: the second is not out of "
            "the domain"
        )
    if run.config.recipe.get("keep") == "best":
        yield "the epoch was chosen by the pictures within the domain, so their score is a little optimistic; the other is not"


def _write(found: Domains, folder: Path) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("metric", "unit", "within", "low", "high", "beyond", "low", "high", "ratio"))
    for one, other in found.pairs:
        ends = [end for metric in (one, other) for end in (metric.value, *(metric.interval or ("", "")))]
        rows.writerow((one.name, one.unit.value, *ends, ratio(one, other)))
    write_text(folder / "ood.csv", text.getvalue())
    write_tables(found.within, folder / "within")
    write_tables(found.beyond, folder / "beyond")
