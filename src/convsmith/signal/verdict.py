"""A verdict in words on a trace: which laws of healthy signals it breaks, where, by how much, and what to do."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .moments import Moments
from .trace import Trace
from .watch import Activated, Convolved, Merged, Normed, Pooled

__all__ = ["LAWS", "Finding", "Verdict", "verdict"]

# Thresholds. Without norms a healthy variance is near 1; with them it may drift, since every norm undoes the drift.
EXPLODES, EXPLODES_NORMED = 100.0, 1e4
VANISHES, VANISHES_NORMED = 1e-3, 1e-6
SHIFTED = 0.5  # more energy in the means of channels than around them
CONSTANT = 0.5  # half of a layer's channels put out one number
OFF_GAIN = 2.0  # a convolution behind an activation halves or doubles the variance, layer after layer
GUARDED = 0.05  # an epsilon takes 5 % of the filters' scale
NORM_EPS = 0.5  # an epsilon half as large as the variance it guards is noted,
NORM_EPS_WRONG = 9.0  # and one that leaves a tenth of the variance 1 that the norm is there for is wrong
SMALL_MAP = 0.7  # zero padding leaves less than this of a convolution's energy
POOLED = 0.5
SMALLEST = 2  # maps of this side are mostly border: what zeros around them take is noted, and no branch is to blame


@dataclass(frozen=True)
class Finding:
    """One thing to know. `wrong` or only to be noted; `number` is what was found and `limit` what it was held against."""

    law: str
    wrong: bool
    path: str
    number: float
    limit: float
    says: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.law} at {self.path or 'the network'}: {self.says}. {self.remedy}"


@dataclass(frozen=True)
class Verdict:
    """What `verdict` found, the wrong things first."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong; notes may remain."""
        return not self.wrong

    @property
    def wrong(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.wrong)

    def __str__(self) -> str:
        if not self.wrong:
            return "nothing is wrong with the signal"
        return f"{len(self.wrong)} thing{'s are' if len(self.wrong) > 1 else ' is'} wrong with the signal"


def verdict(trace: Trace) -> Verdict:
    """Hold a trace against every law of `LAWS`."""
    found = [finding for law in LAWS for finding in law(trace)]
    return Verdict(tuple(sorted(found, key=lambda finding: not finding.wrong)))


def _convs(trace: Trace) -> list[Convolved]:
    return [event for event in trace.draws[0].events if isinstance(event, Convolved)]


def normed(trace: Trace) -> bool:
    """Whether the trunk is normalised: at least one norm for every three convolutions on maps."""
    norms = sum(isinstance(event, Normed) for event in trace.draws[0].events)
    return 3 * norms >= sum(conv.side > 1 for conv in _convs(trace))


# ---- laws of the trunk -----------------------------------------------------------------------------------------------


def not_finite(trace: Trace) -> Iterator[Finding]:
    if trace.broken is not None:
        yield Finding(
            "not a number", True, trace.broken, math.nan, math.nan, "its output is not finite",
            "Look for infinite or NaN weights there, or lower the scale of what comes before",
        )  # fmt: skip


def explosion(trace: Trace) -> Iterator[Finding]:
    limit = EXPLODES_NORMED if normed(trace) else EXPLODES
    energies = [(point, point.out.var + point.out.sqmean) for point in trace.points if point.out.finite]
    if not energies:
        return
    base = max(1.0, energies[0][1])
    worst, energy = max(energies, key=lambda pair: pair[1])
    if energy > limit * base:
        first = next(point for point, e in energies if e > limit * base)
        blocks = max(1, worst.index - energies[0][0].index)
        growth = (energy / energies[0][1]) ** (1 / blocks) if energies[0][1] > 0 else math.inf
        yield Finding(
            "variance explosion", True, first.path, energy, limit * base,
            f"the mean square grows by a factor of {growth:.2g} a block, to {energy:.3g} at {worst.path}",
            "Normalise, or scale branches (alpha 0.2) and standardise filters: `convsmith convert --norm nf`",
        )  # fmt: skip


def vanishing(trace: Trace) -> Iterator[Finding]:
    limit = VANISHES_NORMED if normed(trace) else VANISHES
    for point in trace.points:
        if point.out.finite and point.out.var + point.out.sqmean < limit:
            if not normed(trace) and _pools_explain(trace, point.index, point.out.var):
                return  # told as attenuation
            yield Finding(
                "variance vanishing", True, point.path, point.out.var, limit,
                f"only {point.out.var:.2g} of a variance of 1 is left",
                "Initialise by fan-in with the activation's gain (He: variance 2 / fan-in for ReLU), or normalise",
            )  # fmt: skip
            return


def mean_shift(trace: Trace) -> Iterator[Finding]:
    """Without norms, energy that moves from a channel's variance into its mean is lost for telling images apart."""
    points = [
        point
        for point in trace.points[1:]
        if point.out.finite and point.side > SMALLEST and point.out.var + point.out.sqmean > 0
    ]
    if normed(trace) or not points:
        return
    worst = max(points, key=lambda point: point.out.shift)
    if worst.out.shift > SHIFTED:
        yield Finding(
            "mean shift", True, worst.path, worst.out.shift, SHIFTED,
            f"{worst.out.shift:.0%} of the energy is in the channels' means, the same for every image",
            "Standardise the filters, so that each sums to zero: Scaled Weight Standardization",
        )  # fmt: skip


def branches_off(trace: Trace) -> Iterator[Finding]:
    """Branches that start at zero are how SkipInit and zero-initialised norms start, and why a plot may show nothing."""
    branched = [point for point in trace.points if not math.isnan(point.branch)]
    off = [point for point in branched if point.branch == 0 or point.factor == 0]
    if off:
        yield Finding(
            "branches off", False, off[0].path, float(len(off)), 0.0,
            f"{len(off)} of {len(branched)} residual branches add nothing: their last scale is zero",
            "Right at the start of training. To see the branches: --branches-on",
        )  # fmt: skip


def uneven_branches(trace: Trace) -> Iterator[Finding]:
    """In a network without norms a branch puts out the variance that its block's scale was reckoned for. What average
    pools took from its input is another law's."""
    branches = [
        (point, point.branch / math.prod(one.skip_pooled for one in trace.points if one.index < point.index))
        for point in trace.points
        if point.factor not in (0.0, 1.0) and point.branch > 0 and point.side > SMALLEST
    ]
    if normed(trace) or len(branches) < 2:
        return
    worst, own = max(branches, key=lambda pair: abs(math.log(pair[1])))
    if not 0.1 <= own <= 10:
        yield Finding(
            "branch variance", True, worst.path, worst.branch, 10.0,
            f"its branch puts out a variance of {worst.branch:.2g}; the scale {worst.factor:.2g} is meant for 1",
            "Check the gain of its activation, and the 1/beta in front of it",
        )  # fmt: skip


# ---- laws of single layers -------------------------------------------------------------------------------------------


def dead_channels(trace: Trace) -> Iterator[Finding]:
    """Behind the zero that a branch starts at, an activation puts out a constant without having killed anything."""
    events = trace.draws[0].events
    off = {one.branch_conv for one in events if isinstance(one, Merged) and one.branch == Moments(0.0, 0.0)}
    acts = [event for event in events if isinstance(event, Activated)]
    dead = [one for one in acts if one.constant > CONSTANT and not (one.silent and one.conv in off)]
    if dead:
        worst = max(dead, key=lambda event: event.constant)
        yield Finding(
            "dead channels", True, worst.path, worst.constant, CONSTANT,
            f"{worst.constant:.0%} of the channels that {worst.act} puts out are constant, and so in {len(dead)} layers",
            "A bias pushes them below zero, or their filters are zero: re-initialise, or lower the learning rate",
        )  # fmt: skip


def wrong_gain(trace: Trace) -> Iterator[Finding]:
    """In a network without norms, a convolution behind an activation restores the variance from before the activation."""
    if normed(trace):
        return
    ratios: dict[str, list[float]] = {}
    first: dict[str, Convolved] = {}
    for conv in _convs(trace):
        if conv.before is not None and conv.before.var > 0 and conv.out.var > 0 and conv.side > 2 and conv.out.finite:
            energy = (conv.out.var + conv.out.sqmean) / (conv.before.var + conv.before.sqmean)
            kept = _kept_by_padding(conv)
            ratios.setdefault(conv.act, []).append(energy / kept)
            first.setdefault(conv.act, conv)
    for act, each in ratios.items():
        middle = statistics.median(each)
        if len(each) >= 3 and not 1 / OFF_GAIN <= middle <= OFF_GAIN:
            conv = first[act]
            yield Finding(
                "wrong gain", True, conv.path, middle, OFF_GAIN,
                f"behind {act}, convolutions multiply the mean square by {middle:.2g} (median of {len(each)})",
                f"Scale filters or activation by {math.sqrt(1 / middle) if middle > 0 else math.inf:.3g}: "
                f"`convsmith.gain` has the gain of {act}",
            )  # fmt: skip


def large_guard(trace: Trace) -> Iterator[Finding]:
    """A standardised filter's energy must not depend on its fan-in; an epsilon added to its variance makes it fall."""
    rows = [(1 / conv.raw_var, 1 / conv.energy, conv) for conv in _convs(trace)
            if conv.standardised and conv.raw_var > 0 and conv.energy > 0 and not conv.depthwise]  # fmt: skip
    if len({round(x, 9) for x, _, _ in rows}) < 3:
        return
    # 1 / energy = (1 + eps / var) / gamma^2: a line in 1 / var, whose slope over its height is eps. By Theil and Sen's
    # median of slopes, since a layer may have a gamma of its own.
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(rows) for b in rows[:i] if abs(b[0] - a[0]) > 1e-9]
    slope = statistics.median(slopes)
    height = statistics.median(y - slope * x for x, y, _ in rows)
    if height <= 0 or slope <= 0:
        return
    if statistics.median(abs(y - height - slope * x) / y for x, y, _ in rows) > 0.05:
        return  # no line: layers have scales of their own, and an epsilon cannot be told from them
    eps = slope / height
    worst = min((conv for *_, conv in rows), key=lambda conv: conv.raw_var)
    lost = 1 - (1 + eps / worst.raw_var) ** -0.5
    if lost > GUARDED:
        yield Finding(
            "eps too large", True, worst.path, lost, GUARDED,
            f"an epsilon of about {eps:.1g} beside a filter variance of {worst.raw_var:.1g} (fan-in {worst.fan_in}) "
            f"shrinks its filters by {lost:.0%}",
            "Guard N * var with a floor of 1e-4, as the authors do, or lower the epsilon",
        )  # fmt: skip


def norm_guard(trace: Trace) -> Iterator[Finding]:
    """A norm puts out var / (var + eps) and not 1. The next norm undoes that, if it is not as short of variance itself."""
    norms = [event for event in trace.draws[0].events if isinstance(event, Normed) and event.into.finite]
    over = [event for event in norms if event.eps > NORM_EPS * event.into.var]
    if over and trace.statistics.endswith("the batch's statistics"):
        worst = max(over, key=lambda event: event.eps / max(event.into.var, 1e-30))
        share = worst.eps / max(worst.into.var, 1e-30)
        wrong = share > NORM_EPS_WRONG
        yield Finding(
            "eps too large", wrong, worst.path, share, NORM_EPS_WRONG if wrong else NORM_EPS,
            f"it normalises a variance of {worst.into.var:.2g} with an epsilon of {worst.eps:.1g}, so it puts out "
            f"{1 / (1 + share):.2g} and not 1; in {len(over)} of {len(norms)} norms epsilon is above half of the variance",
            "Raise the scale of the convolutions before it (a depthwise filter's fan is k x k), or lower epsilon",
        )  # fmt: skip


def standardised_depthwise(trace: Trace) -> Iterator[Finding]:
    found = [conv for conv in _convs(trace) if conv.standardised and conv.depthwise and conv.lean < 1e-3]
    if found:
        yield Finding(
            "standardised depthwise", True, found[0].path, float(len(found)), 0.0,
            f"{len(found)} depthwise convolutions have filters that sum to zero: they cannot pass a channel's local mean",
            "Leave depthwise filters as they are, or use groups of 8 channels or more",
        )  # fmt: skip


def small_maps(trace: Trace) -> Iterator[Finding]:
    found = [conv for conv in _convs(trace) if conv.padded and conv.side > 1 and _kept_by_padding(conv) < SMALL_MAP]
    if found and not normed(trace):
        worst = min(found, key=_kept_by_padding)
        yield Finding(
            "padding on small maps", False, worst.path, _kept_by_padding(worst), SMALL_MAP,
            f"on a map of side {worst.side}, zeros around it leave a {worst.kernel}x{worst.kernel} convolution "
            f"{_kept_by_padding(worst):.0%} of its energy",
            "Expect smaller branches there; larger images or fewer strides avoid it",
        )  # fmt: skip


def attenuation(trace: Trace) -> Iterator[Finding]:
    pools = [point for point in trace.points if point.skip_pooled < POOLED]
    if pools and not normed(trace):
        worst = min(pools, key=lambda point: point.skip_pooled)
        left = math.prod(point.skip_pooled for point in pools)
        yield Finding(
            "attenuated by average pooling", False, worst.path, left, POOLED,
            f"average pools on {len(pools)} shortcuts keep {left:.2g} of the variance together, and nothing restores it",
            "Smooth images lose less than noise does; a strided 1x1 convolution on the shortcut loses nothing",
        )  # fmt: skip


def no_merges(trace: Trace) -> Iterator[Finding]:
    pooled = Counter(type(event) for event in trace.draws[0].events)[Pooled]
    if not trace.merges and not pooled and not trace.points:
        yield Finding("no signal", True, "", 0.0, 0.0, "no convolution was seen", "Is this a ConvNet?")


def _kept_by_padding(conv: Convolved) -> float:
    """(1 - 2/(3H))(1 - 2/(3W)) for a 3x3 with one zero around a map of H x W, and so for other kernels by their overhang."""
    if not conv.padded or conv.kernel < 2:
        return 1.0
    reach = conv.kernel // 2
    return math.prod(max(1 - reach * (reach + 1) / (conv.kernel * side), 0.05) for side in conv.sides)


def _pools_explain(trace: Trace, index: int, var: float) -> bool:
    kept = math.prod(point.skip_pooled for point in trace.points if point.index <= index)
    return kept < 0.2 and var / kept > 0.05


LAWS: Sequence[Callable[[Trace], Iterator[Finding]]] = (
    not_finite,
    explosion,
    vanishing,
    mean_shift,
    branches_off,
    uneven_branches,
    dead_channels,
    wrong_gain,
    large_guard,
    norm_guard,
    standardised_depthwise,
    small_maps,
    attenuation,
    no_merges,
)
