"""Studies of many trainings, as functions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..arch import ArchSpec
from ..data.readers.dataset import own_data
from ..jobs.norms.begin import NormSearch
from ..jobs.norms.begin import search_norms as searched_norms
from ..jobs.norms.options import NormSearchOptions
from ..jobs.options import Data, Options, source_of
from ..jobs.studies.climb import Climbed, climb
from ..jobs.studies.family import Family
from ..jobs.studies.family import family as trained
from ..jobs.studies.family import planned as planned_family
from ..jobs.studies.family_page import written as family_written
from ..jobs.studies.scaling import Fitted, planned
from ..jobs.studies.scaling import fit_scaling as fitted
from ..jobs.studies.scaling_page import written
from ..machine import this_machine
from ..watcher import Watcher
from .words import answering

__all__ = ["family", "fit_scaling", "ladder", "search_norms"]


@answering
def family(
    base: str | Path | ArchSpec,
    data: Data,
    *,
    to: str | Sequence[str],
    out: str | Path,
    rule: str = "compound",
    against: Sequence[str] = (),
    seeds: int = 3,
    resolution: int | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    options: Options | None = None,
    watcher: Watcher | None = None,
) -> Family:
    """Train the members of `base`'s line at several budgets, and draw score against multiply-adds, parameters and milliseconds.

    `to` is budgets joined by commas, each its own (`1M-macs,2M-macs`); `+` joins limits of one. `against` are rules whose lines
    are trained beside that of `rule`. Results and a page go to `out`, from which a study that was stopped goes on.
    """
    watcher = watcher or Watcher()
    rules = (rule, *against)
    plan = planned_family(base, data, to=to, rules=rules, resolution=resolution, options=options, watcher=watcher)
    workers = this_machine().cores if workers is None else workers
    made = trained(plan, out=Path(out), seeds=seeds, workers=workers, cluster=cluster, watcher=watcher)
    family_written(made)
    return made


@answering
def fit_scaling(
    data: Data,
    *,
    base: str | Path | ArchSpec = "efficientnet_b0",
    rule: str = "compound",
    out: str | Path,
    trials: int | None = None,
    seeds: int = 3,
    front: float = 0.4,
    against: Sequence[str] = (),
    resolution: int | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    options: Options | None = None,
    watcher: Watcher | None = None,
) -> Fitted:
    """Fit alpha, beta, gamma or the tiny formula to `data` from small trainings, and check what it predicts of larger ones.

    Results, the rule as a file and a page go to `out`, from which a study that was stopped goes on.
    """
    options, watcher, folder = options or Options(), watcher or Watcher(), Path(out)
    workers = this_machine().cores if workers is None else workers
    images = source_of(data, options).load(watcher, own_data(data))
    plan = planned(
        base=base,
        rule=rule,
        images=images,
        trials=trials,
        seeds=seeds,
        front=front,
        resolution=resolution,
        against=tuple(against),
        options=options,
    )
    study = fitted(plan, images, folder, workers=workers, cluster=cluster, watcher=watcher)
    written(study, folder, workers=workers)
    return study


@answering
def ladder(
    model: str | Path | ArchSpec,
    data: Data,
    *,
    out: str | Path,
    seeds: int = 3,
    factors: bool = False,
    grow: float = 2.0,
    resolution: int | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    options: Options | None = None,
    watcher: Watcher | None = None,
) -> Climbed:
    """Train `model` on `data` by a recipe's ingredients one after another: what each adds, with intervals.

    With `factors` the 2 x 2 x 2 study of training, architecture and scaling instead, both scalings reaching `grow` times the
    multiply-adds. Results and a page go to `out`, from which a study that was stopped goes on.
    """
    return climb(
        model,
        data,
        out=Path(out),
        seeds=seeds,
        resolution=resolution,
        study_factors=factors,
        grow=grow,
        options=options,
        workers=this_machine().cores if workers is None else workers,
        cluster=cluster,
        watcher=watcher,
    )


@answering
def search_norms(
    data: Data,
    *,
    out: str | Path,
    how: NormSearchOptions | None = None,
    scores: str | Path | None = None,
    options: Options | None = None,
    watcher: Watcher | None = None,
) -> NormSearch:
    """Search for a layer in the place of every normalisation and the activation behind it, by evolution on `data`.

    `found.winner` is a `NormGraph`, `found.against` what it is beside known layers in networks that the search never saw, on
    images that chose nothing. Results go to `out`, from which a search that was stopped goes on. `scores` is a file of what is
    known of layers, which may serve several searches.

    Raises:
        UserError: data that is judged by anything but top-1, or nothing to begin with that learns.
    """
    return searched_norms(data, out=out, how=how, options=options, scores=scores, watcher=watcher)
