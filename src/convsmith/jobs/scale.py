"""`scale`: the largest member of a rule's line that meets a budget."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from ..ambient import undisturbed
from ..arch import ArchSpec
from ..costs import cost
from ..errors import BudgetError, UserError
from ..latency import Runtime
from ..recipe import Recipe
from ..resolve import spec as resolve_spec
from ..runs import Limit
from ..runs import met as limits_met
from ..scaling import ResNetRS, Rule, Solution, regime, solve, solve_timed
from ..scaling import rule as named_rule
from ..units import Budget
from ..watcher import Watcher
from .timing.calibrate import expectation
from .timing.devices import Aim, clock

__all__ = ["line_of", "met", "scale"]


@undisturbed()
def scale(
    model: str | Path | ArchSpec,
    *,
    to: str | Budget,
    rule: str | Rule = "compound",
    classes: int | None = None,
    runtime: str | Runtime = Runtime.ORT,
    threads: int = 1,
    device: str | None = None,
    folder: Path | None = None,
    fill: bool = False,
    watcher: Watcher | None = None,
) -> Solution:
    """The largest member of `rule`'s line through `model` that meets every part of the budget.

    Multiply-adds and parameters are counted. Milliseconds are measured on this machine, of one image, in `runtime` with
    `threads` threads: members are built, exported and timed until one meets the limit and the next larger does not. Where
    this machine is calibrated, the first to be timed is the one that the calibration expects to meet the limit. With `device`
    they are those of a device that a kit measured, as its calibration estimates them, and nothing is timed. Calibrations lie under
    `folder`, or in the user's cache.
    `rule` is a rule, its name, or the file of one that `fit-scaling` wrote. `fill` then uses up a limit of multiply-adds by
    the largest side that fits, off the rule's line.

    >>> scale("mobilenetv2_100", to="100M-macs").spec.input.resolution
    160
    """
    base = resolve_spec(model)
    base = base if classes is None else base.with_classes(classes)
    budget = to if isinstance(to, Budget) else Budget.parse(to)
    line = rule if isinstance(rule, Rule) else named_rule(rule)
    if math.isinf(budget.ms):
        if device is not None:
            raise UserError(f"--device is of milliseconds, and '{budget}' limits none; 5ms would")
        return solve(line, base, budget, cost, fill=fill)
    if fill:
        raise BudgetError(f"budget '{budget}' cannot be filled: that takes counts, and milliseconds are measured")
    with clock(Aim(Runtime(runtime), threads, device), watcher or Watcher(), folder) as time:
        return solve_timed(line, base, budget, cost, time, None if device else expectation(runtime, threads, folder))


def met(found: Solution) -> dict[str, Limit]:
    """For each limit of the budget, what the network needs."""
    took = found.latency
    if took is None:
        return limits_met(found.budget, found.cost)
    return limits_met(found.budget, found.cost, took.median_ms, took.estimated_for, took.runtime)


def line_of(rule: Rule, recipe: Recipe, images: int) -> Rule:
    """`rule` as it is for a training by `recipe` on so many images: ResNet-RS's depends on how long that is."""
    return replace(rule, regime=regime(recipe.epochs, images)) if isinstance(rule, ResNetRS) else rule
