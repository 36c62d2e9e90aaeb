"""A network that meets a budget and begins with weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...arch import ArchSpec
from ...costs import cost
from ...errors import BudgetError
from ...ledger import fetchable
from ...resolve import is_run, origin, published_weights
from ...resolve import spec as resolve_spec
from ...scaling import Resolution, Rule, Solution
from ...units import Budget
from ...watcher import Watcher
from ...weights import Fitted, fitted, onto
from ..scale import scale
from ..timing.devices import HERE, Aim
from ..timing.pick import pick

__all__ = ["AUTO", "Weighted", "base_of", "picked", "scaled"]

# The weights that a package has of the network, or of the best network that meets the budget.
AUTO = "auto"


@dataclass(frozen=True)
class Weighted:
    """A network for a budget, the weights to begin with, where they are from, and the network that was scaled."""

    found: Solution
    begin: Fitted
    source: str
    base: str


def picked(budget: Budget, fit: Callable[[ArchSpec], ArchSpec], watcher: Watcher, *, aim: Aim = HERE) -> Weighted:
    """The best published network that meets the budget as it is and has weights, by its published accuracy.

    `fit` gives a network the head for the data; `aim` says whose milliseconds are meant.
    """
    ranked = pick(
        budget,
        top=3,
        with_weights=True,
        timed=math.isfinite(budget.ms),
        runtime=aim.runtime,
        threads=aim.threads,
        device=aim.device,
        watcher=watcher,
    ).picks
    if not ranked:
        raise BudgetError(f"no network with weights met {budget} when it was timed again; try a larger budget")
    best = ranked[0]
    name = best.name.partition("@")[0]
    source = published_weights(name)
    own = resolve_spec(name)
    at = own.with_resolution(best.spec.input.resolution)
    begin = _begun(fit(at), source)
    x = best.spec.input.resolution / own.input.resolution
    found = Solution(begin.spec, Resolution(), x, cost(begin.spec), budget, best.latency)
    watcher.note(
        f"{best.name} has the highest published top-1 ({best.prior:.1f} %) of networks with weights under {budget}"
    )
    return Weighted(found, begin, source, name)


def scaled(
    own: ArchSpec,
    source: str | Path,
    budget: Budget,
    rule: Rule,
    fit: Callable[[ArchSpec], ArchSpec],
    watcher: Watcher,
    *,
    aim: Aim = HERE,
) -> Weighted:
    """The largest member of the rule's line through `own` that meets the budget, with as many of its weights as it can have.

    Raises:
        UserError: the rule changes shapes, or the weights are another network's.
    """
    named = published_weights(own.name) if str(source) == AUTO else str(source)
    begin = _begun(fit(own), named)
    found = scale(
        begin.spec,
        to=budget,
        rule=rule,
        runtime=aim.runtime,
        threads=aim.threads,
        device=aim.device,
        watcher=watcher,
    )
    return Weighted(found, onto(begin, found.spec), named, own.name)


def base_of(source: str | Path | None) -> str | None:
    """The network whose weights `source` names: a published one's, or a run's; None where a file does not say."""
    if source is None:
        return None
    kind, _, model = str(source).partition(":")
    if model:
        wanted = f"{kind}:{model.partition('.')[0]}"
        return next((row.name for row in fetchable() if row.source == wanted), None)
    return str(source) if is_run(source) else None


def _begun(spec: ArchSpec, source: str) -> Fitted:
    return fitted(spec, origin(source, spec.name), classes=spec.n_names)
