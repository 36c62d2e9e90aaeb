"""`pick`: which published network, or member scaled from one, to take under a budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ...ambient import undisturbed
from ...arch import ArchSpec
from ...costs import cost
from ...errors import BudgetError, UserError, nearest
from ...families import names
from ...families import spec as member
from ...latency import Runtime
from ...ledger import Row, families, fetchable, published
from ...scaling import Compound, Took, solve
from ...speed import DeviceModel
from ...units import Budget, Cost, duration, human, plural
from ...watcher import Watcher
from .devices import model_of
from .measure import measure

__all__ = ["Pick", "Picked", "pick"]

ROUNDS = 30
IMAGES = 50_000  # of ImageNet's validation set, on which the papers' top-1 stand
_WAVE, _WAVES = 5, 5
_PRIOR = "Top-1 is the source's ImageNet figure in per cent: a prior from another data set, not a promise for yours."


@dataclass(frozen=True)
class Pick:
    """A candidate: its cost, its milliseconds, measured here or estimated for a device that is elsewhere, and its prior: a
    published ImageNet top-1 in per cent.

    `between` is empty where the paper gives the number for this very network; else it names the two members of the family
    between whose numbers a scaled member's is interpolated, over the logarithm of multiply-adds. `source` says whose it is.
    """

    name: str
    family: str
    spec: ArchSpec
    cost: Cost
    prior: float
    source: str
    between: tuple[str, ...] = ()
    latency: Took | None = None

    def to_record(self) -> dict[str, object]:
        record: dict[str, object] = {"name": self.name, "family": self.family, "px": self.spec.input.resolution}
        record |= {"macs": self.cost.macs, "params": self.cost.params, "prior_top1": self.prior, "source": self.source}
        timed = None if self.latency is None else self.latency.to_record()
        return record | {"between": list(self.between), "latency": timed}


@dataclass(frozen=True)
class Picked:
    """Candidates that meet the budget, the highest prior first, and what cannot be told apart."""

    budget: Budget
    picks: tuple[Pick, ...]
    notes: tuple[str, ...]

    def to_record(self) -> dict[str, object]:
        return {
            "budget": str(self.budget),
            "picks": [one.to_record() for one in self.picks],
            "notes": list(self.notes),
        }


@undisturbed()
def pick(
    to: str | Budget,
    *,
    pattern: str = "*",
    family: str | None = None,
    top: int = 8,
    scaled: bool = True,
    with_weights: bool = False,
    timed: bool = True,
    runtime: str | Runtime = Runtime.ORT,
    threads: int = 1,
    rounds: int = ROUNDS,
    device: str | None = None,
    dry_run: bool = False,
    watcher: Watcher | None = None,
) -> Picked:
    """The `top` networks of the ledger that meet the budget, by published accuracy, and members scaled to fill it.

    Latency is measured here, interleaved, with random weights. For a budget in ms the ledger is tried from the top down,
    leaving out what the measured speed of its family says is far too slow. Without `timed` only counts are given, and a
    budget in ms is refused. With `device` milliseconds are those of a device that a kit measured, as its calibration estimates
    them, and nothing is measured. With `dry_run` nothing is measured, and a note says what would be.
    `with_weights` are networks that timm or torchvision has weights of, as they are: no scaled ones.
    """
    watcher, budget = watcher or Watcher(), to if isinstance(to, Budget) else Budget.parse(to)
    began = time.monotonic()
    if math.isfinite(budget.ms) and not timed:
        raise UserError(f"budget '{budget}': milliseconds need measuring")
    if not timed and device is not None:
        raise UserError("--device is of milliseconds, and --counts-only shows none")
    if not timed and (Runtime(runtime), threads, rounds) != (Runtime.ORT, 1, ROUNDS):
        raise UserError("--runtime, --threads and --rounds are of measuring, and --counts-only measures nothing")
    if family is not None and family not in families():
        raise UserError(f"unknown family '{family}'; families are {', '.join(families())}{nearest(family, families())}")
    rows = published(pattern, family=family, task="classify")
    everyone = _candidates(row for row in rows if not with_weights or fetchable(row.name))
    if not everyone:
        weighty = " and weights in timm or torchvision" if with_weights else ""
        raise UserError(f"no network of the ledger that matches '{pattern}' has a published ImageNet top-1{weighty}")
    ranked = sorted((one for one in everyone if budget.admits(one.cost)), key=lambda one: (-one.prior, one.cost.macs))
    if not ranked:
        least = min(everyone, key=lambda one: one.cost.macs)
        silent = dict.fromkeys(row.name for row in rows if row.paper_top1 is None and budget.admits(_counts(row)))
        others = f". Without a published top-1, which a rank goes by, are {', '.join(silent)}" if silent else ""
        raise BudgetError(
            f"no network with a published top-1 meets {budget}; the smallest that matches is {least.name}: "
            f"{human(least.cost.macs)} MACs, {human(least.cost.params)} parameters{others}"
        )

    clocked = _measured(runtime, threads, watcher) if device is None else _estimated(model_of(device, runtime, threads))

    if math.isfinite(budget.ms) and dry_run:
        most = min(len(ranked), _WAVE * _WAVES)
        note = f"Would time up to {plural(most, 'network')}, then {top} that meet {budget} again; nothing was measured."
        return Picked(budget, tuple(ranked[:top]), (_PRIOR, note))
    if math.isfinite(budget.ms):
        ranked = _fast_enough(ranked, budget.ms, top, lambda asked: clocked(asked, max(rounds // 3, 5))[0], watcher)
        if not ranked:
            raise BudgetError(
                f"none of the published networks that were timed meets {budget}; try `scale MODEL --to {budget}`"
            )
    chosen = ranked[:top]
    if scaled and not with_weights:
        chosen = sorted([*chosen, *_scaled(chosen, everyone, budget)], key=lambda one: (-one.prior, one.cost.macs))[
            :top
        ]
    notes = [_PRIOR]
    if any(one.between for one in chosen):
        notes.append(
            "~: interpolated between the published top-1 of the family's members next below and above in MACs."
        )
    if timed and dry_run:
        notes.append(
            f"Would estimate {plural(len(chosen), 'network')} for {device}; nothing was."
            if device is not None
            else f"Would export and time {plural(len(chosen), 'network')} in {plural(rounds, 'round')}; nothing was measured."
        )
    elif timed:
        watcher.stage(
            "measure" if device is None else "estimate", f"{plural(len(chosen), 'network')}, {plural(rounds, 'round')}"
        )
        chosen, said = clocked(chosen, rounds)
        notes += said
        slow = [one for one in chosen if one.latency and one.latency.median_ms > budget.ms]
        chosen = [one for one in chosen if one not in slow]
        if slow:
            notes.append(f"Left out, over the limit when timed again: {', '.join(one.name for one in slow)}.")
    picks = tuple(sorted(chosen, key=lambda one: (-one.prior, one.cost.macs)))
    took = (f"It took {duration(time.monotonic() - began)}.",) if timed and not dry_run else ()
    return Picked(budget, picks, (*notes, *_near(picks), *took))


# Networks with their milliseconds, of so many rounds, and what is to be said of them.
_Clock = Callable[[Sequence[Pick], int], tuple[list[Pick], tuple[str, ...]]]


def _measured(runtime: str | Runtime, threads: int, watcher: Watcher) -> _Clock:
    def clocked(asked: Sequence[Pick], n: int) -> tuple[list[Pick], tuple[str, ...]]:
        found = measure([one.spec for one in asked], runtime=runtime, threads=threads, rounds=n, watcher=watcher)
        return [replace(one, latency=row) for one, row in zip(asked, found.rows, strict=True)], found.verdict

    return clocked


def _estimated(model: DeviceModel) -> _Clock:
    said = f"Milliseconds are estimated for {model.device}, not measured; a kit of the winner measures it there."

    def clocked(asked: Sequence[Pick], n: int) -> tuple[list[Pick], tuple[str, ...]]:
        return [replace(one, latency=model.predict(one.spec)) for one in asked], (said,)

    return clocked


def _counts(row: Row) -> Cost:
    return Cost(row.macs, row.params)


def _candidates(rows: Iterable[Row]) -> list[Pick]:
    """Rows with a published top-1, twins (other padding, same counts and number) once."""
    found: dict[tuple[object, ...], Pick] = {}
    for row in rows:
        if row.paper_top1 is None or row.name not in names():
            continue
        spec = member(row.name)
        at = spec if spec.input.resolution == row.resolution else spec.with_resolution(row.resolution)
        name = row.name if at is spec else f"{row.name}@{row.resolution}"
        one = Pick(name, row.family, replace(at, name=name), _counts(row), row.paper_top1, row.source)
        key = (row.macs, row.params, row.paper_top1)
        if key not in found or found[key].name.startswith("tf_"):
            found[key] = one
    return list(found.values())


def _fast_enough(
    ranked: Sequence[Pick], limit: float, top: int, clock: Callable[[Sequence[Pick]], list[Pick]], watcher: Watcher
) -> list[Pick]:
    """From the highest prior down, those that meet the limit; families whose speed is known skip what is hopeless."""
    speed: dict[str, float] = {}  # ms per multiply-add of the family's last timed member
    met: list[Pick] = []
    left = list(ranked)
    for wave in range(_WAVES):
        fastest = min(speed.values(), default=0.0)
        hopeful = [
            one
            for one in left
            if one.cost.macs * speed.get(one.family, fastest) <= limit * (1.3 if one.family in speed else 1)
        ]
        # The first wave learns how fast the device is, from the cheapest members, not from the dearest.
        asked = hopeful[:_WAVE] if wave else _spread(hopeful)
        bar = sorted((one.prior for one in met), reverse=True)[top - 1] if len(met) >= top else 0.0
        if not asked or (wave > 1 and asked[0].prior <= bar):
            break
        watcher.stage("try", ", ".join(one.name for one in asked))
        for one in clock(asked):
            assert one.latency is not None
            speed[one.family] = one.latency.median_ms / one.cost.macs
            if one.latency.median_ms <= limit:
                met.append(one)
        left = [one for one in left if one not in asked]
    return sorted(met, key=lambda one: (-one.prior, one.cost.macs))


def _spread(found: Sequence[Pick]) -> list[Pick]:
    """A few networks of different families and small cost, whose timing says how fast this device is."""
    cheapest: dict[str, Pick] = {}
    for one in sorted(found, key=lambda one: one.cost.macs):
        cheapest.setdefault(one.family, one)
    return list(cheapest.values())[:_WAVE]


def _scaled(chosen: Sequence[Pick], everyone: Sequence[Pick], budget: Budget) -> list[Pick]:
    """For each family chosen, its best member grown by the compound rule to fill the budget, its prior interpolated."""
    grown: dict[str, Pick] = {}
    for one in chosen:
        if one.family in grown:
            continue
        own = sorted((other for other in everyone if other.family == one.family), key=lambda other: other.cost.macs)
        macs = budget.macs
        if (
            one.latency is not None
        ):  # of a budget in ms: the multiply-adds that would fill it at the speed just measured
            macs = min(macs, one.cost.macs * 0.95 * budget.ms / one.latency.median_ms)
        limits = Budget(macs, budget.params)
        try:
            found = solve(Compound(), one.spec, limits, cost)
        except BudgetError:
            continue
        pair = _between(found.cost.macs, own)
        if pair is None or found.cost.macs < 1.1 * one.cost.macs:
            continue
        low, high = pair
        share = math.log(found.cost.macs / low.cost.macs) / math.log(high.cost.macs / low.cost.macs)
        prior = low.prior + share * (high.prior - low.prior)
        grown[one.family] = Pick(
            found.spec.name, one.family, found.spec, found.cost, prior, "interpolated", (low.name, high.name)
        )
    return list(grown.values())


def _between(macs: int, own: Sequence[Pick]) -> tuple[Pick, Pick] | None:
    """The family's members next below and above that cost; none where one is missing: nothing is extrapolated."""
    below = [one for one in own if one.cost.macs <= macs]
    above = [one for one in own if one.cost.macs > macs]
    return (below[-1], above[0]) if below and above and below[-1].cost.macs < above[0].cost.macs else None


def _near(picks: Sequence[Pick]) -> list[str]:
    """Which of the others' priors cannot be told from the best one's, on 50,000 images."""
    if len(picks) < 2:
        return []
    best = picks[0]

    def interval(other: Pick) -> float:
        variance = sum(p / 100 * (1 - p / 100) / IMAGES for p in (best.prior, other.prior))
        return 196 * math.sqrt(variance)

    near = [one.name for one in picks[1:] if best.prior - one.prior <= interval(one)]
    if not near:
        return []
    return [
        f"Within noise of {best.name}'s {best.prior:.1f} % ({interval(picks[1]):.1f} points, two samples of 50,000 images, "
        f"before recipes differ): {', '.join(near)}."
    ]
