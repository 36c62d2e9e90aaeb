"""`passport`: the robustness of runs on one page that can be mailed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..ambient import undisturbed
from ..corruptions import CORRUPTIONS
from ..errors import UserError
from ..evals import bootstrapped
from ..files import write_json, write_text
from ..machine import this_machine
from ..reports import Sheet, render_passport
from ..resolve import trained_run
from ..runs import Domains, Robustness, RunFolder
from ..scores import Metric
from ..watcher import Watcher
from .feed import is_of_weights
from .ood import out_of_domain
from .options import Data
from .robustness import robustness

__all__ = ["Passport", "passport"]


@dataclass(frozen=True)
class Passport:
    """The page, the same as JSON beside it, and what they say."""

    page: Path
    sheets: tuple[Sheet, ...]
    reference: str = ""

    def to_record(self) -> dict[str, object]:
        rows = [
            {
                "run": sheet.name,
                "network": sheet.network,
                "clean": sheet.robustness.clean.to_record(),
                "corrupted": sheet.robustness.mean().to_record(),
                "groups": {group: sheet.robustness.mean(group).to_record() for group in sheet.robustness.groups},
                "against": None if sheet.against is None else sheet.against.to_record(),
                "against_by_group": {group: one.to_record() for group, one in sheet.by_group},
                "out_of_domain": None
                if sheet.domains is None
                else sheet.domains.to_record() | {"beyond": sheet.domains.beyond.short_record()},
                "params": sheet.params,
                "macs": sheet.macs,
                "bytes": sheet.bytes,
                "ms": sheet.ms,
                "words": sheet.words,
            }
            for sheet in self.sheets
        ]
        return {"passport": self.page.name, "reference": self.reference or None, "runs": rows}


@undisturbed()
def passport(
    runs: Sequence[RunFolder | str | Path] | RunFolder | str | Path,
    data: Data | None = None,
    *,
    reference: str | Path | None = None,
    split: str | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    command: str = "",
    watcher: Watcher | None = None,
) -> Passport:
    """What fifteen corruptions at five severities leave of each run, with what it costs, as one page and as JSON beside it.

    A run whose whole `robustness.json` is of its weights as they are, and of these pictures, is not scored again.

    Args:
        data, split: what is scored, as `evaluate` takes it; of each run its own validation images by default.
        reference: the run that the others are held against; the first by default.
        out: the page; `passport.html` in the run folder, of several beside the first.

    Raises:
        UserError: a run that is not trained, or a reference that is none of them.
    """
    given = [runs] if isinstance(runs, RunFolder | str | Path) else list(runs)
    if not given:
        raise UserError("a passport needs a run folder")
    found = [trained_run(run) for run in given]
    base = found[0] if reference is None else _among(found, Path(reference))
    watcher = watcher or Watcher()
    scored = {run.path: _scored(run, data, split, device, watcher) for run in found}
    domains = {run.path: _domains(run, device, watcher) if data is None and split is None else None for run in found}
    sheets = tuple(_sheet(run, scored[run.path], base, scored[base.path], domains[run.path]) for run in found)
    several = len(found) > 1
    page = Path(out) if out is not None else (found[0].path.parent if several else found[0].path) / "passport.html"
    name = base.path.name if several else ""
    made = Passport(page, sheets, name)
    write_text(page, render_passport(sheets, reference=name, machine=str(this_machine()), command=command))
    write_json(page.with_suffix(".json"), made.to_record())
    return made


def _among(runs: Sequence[RunFolder], reference: Path) -> RunFolder:
    for run in runs:
        if run.path.resolve() == reference.resolve():
            return run
    raise UserError(f"the reference {reference} is none of the runs: {', '.join(str(run.path) for run in runs)}")


def _scored(run: RunFolder, data: Data | None, split: str | None, device: str | None, watcher: Watcher) -> Robustness:
    """What was found of these weights before, where it was all and nothing else is asked for; else found now."""
    if data is None and split is None and is_of_weights(run, "robustness.json"):
        known = run.robustness
        if known.whole and known.own and not known.adapted:
            return known
    watcher.stage("passport", str(run.path))
    return robustness(run, data, split=split, device=device, watcher=watcher)


def _domains(run: RunFolder, device: str | None, watcher: Watcher) -> Domains | None:
    """Its score out of its domain: what was found of these weights before, or where its own data has pictures of others."""
    if is_of_weights(run, "ood.json"):
        return run.domains
    own = run.data
    return (
        out_of_domain(run, device=device, watcher=watcher) if own.test and own.to_record().get("individuals") else None
    )


def _sheet(run: RunFolder, found: Robustness, base: RunFolder, other: Robustness, domains: Domains | None) -> Sheet:
    own = run.path == base.path
    cost = run.config.cost
    row = run.latency.rows[0] if run.has("latency.json") and run.latency.rows else None
    spec = run.spec
    return Sheet(
        name=run.path.name,
        network=f"{spec.name} at {spec.input.px} px",
        robustness=found,
        params=cost.params if cost else None,
        macs=cost.macs if cost else None,
        bytes=run.exported.bytes if run.has("export.json") else None,
        ms=row.median_ms if row else None,
        against=None if own else _difference(run, found, base, other),
        by_group=tuple(
            (group, one)
            for group in (() if own else found.groups)
            if (one := _difference(run, found, base, other, group)) is not None
        ),
        domains=domains,
    )


def _difference(
    run: RunFolder, found: Robustness, base: RunFolder, other: Robustness, over: str = "all"
) -> Metric | None:
    """The mean of a run over a group less that of the reference, picture by picture; None where that cannot be said."""
    files = [one.file("robustness.npz") for one in (run, base)]
    tried = [(cell.corruption, cell.severity) for cell in found.cells]
    alike = tried == [(cell.corruption, cell.severity) for cell in other.cells] and found.clean.name == other.clean.name
    if found.pictures != other.pictures or not alike or not all(map(Path.is_file, files)):
        return None
    of_group = {known.name for known in CORRUPTIONS if over in ("all", known.group)}
    chosen = np.array([name in of_group for name, _ in tried])
    each = []
    owners = None
    for path in files:
        with np.load(path) as saved:
            each.append(saved["cells"][chosen].mean(0))
            owners = saved.get("owners")
    gain = each[0] - each[1]
    return replace(found.clean, value=float(gain.mean()), interval=bootstrapped(gain, owners))
