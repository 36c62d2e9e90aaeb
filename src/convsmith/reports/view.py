"""From facts to what a page says: the verdict, the cards, the sentences. No HTML here, and no numbers made up."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..runs import Limit, best_of
from ..scores import TABLED, Confusion, Curves, Scores, Table, Unit
from ..units import plural
from .facts import RunFacts
from .format import amount, count, ends, megabytes, ms, percent, when

__all__ = [
    "Card",
    "Verdict",
    "beside",
    "cards",
    "command",
    "distinct_names",
    "flat",
    "names_are",
    "quality",
    "read",
    "ring",
    "subtitle",
    "verdict",
    "what",
    "where",
]


@dataclass(frozen=True)
class Verdict:
    """The first thing a reader sees. `state` is met, missed, unfinished or none: there was nothing to meet."""

    state: str
    headline: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """A key number. `basis` says what it rests on: for a measured number its n, for a counted one what was counted."""

    name: str
    value: str
    basis: str
    details: tuple[str, ...] = ()
    measured: bool = False


def verdict(facts: RunFacts) -> Verdict:
    """Whether training came to its end and whether the budget was met; an unfinished run is never called met."""
    budget = _budget(facts.config.met if facts.config else None)
    done, planned = len(facts.epochs), facts.epochs_planned
    last = facts.epochs[-1].epoch if facts.epochs else 0
    if planned is not None and last < planned and not (facts.scores and facts.stopped_early):
        headline = f"Training not finished: epoch {last} of {planned}"
        headline = headline if done else f"Training not started: {plural(planned, 'epoch')} planned"
    elif planned is None and facts.scores is None:
        headline = f"Training not finished: epoch {last}" if done else "Nothing was trained yet"
    else:
        details = () if facts.scores else ("Not evaluated yet.",)
        if budget is not None:
            return Verdict(budget.state, budget.headline, details)
        headline = f"Trained for {plural(last, 'epoch')}; no budget was set" if done else "No budget was set"
        return Verdict("none", headline, details)
    return Verdict("unfinished", headline, (budget.headline + ".",) if budget else ())


def quality(facts: RunFacts) -> Verdict | None:
    """Whether anything speaks against the score, and what; None where there is no score yet."""
    if facts.scores is None:
        return None
    score, found = facts.scores.headline, tuple(f"{note[:1].upper()}{note[1:]}." for note in facts.notes)
    is_so = f"{score.title} {amount(score)}"
    if found:
        return Verdict("unfinished", f"{is_so}: look before you trust it", found)
    classes = any(isinstance(block, Confusion) for block in facts.scores.blocks)
    signs = ("a score that one answer would reach", "lopsided classes") if classes else ()
    looked = ", ".join((*signs[:1], "overfitting", "few images", "few steps an epoch", *signs[1:]))
    return Verdict("met", f"{is_so}, and no warning sign", (f"Looked for: {looked}.",))


def ring(facts: RunFacts) -> str:
    """What the ring in the drawing of the score marks, and whether it is what was shipped."""
    metric = facts.headline
    scored = [
        (own, epoch.epoch)
        for epoch in facts.epochs
        if metric is not None and (own := epoch.values.get(f"val_{metric.name}")) is not None
    ]
    says = "The ring in the drawing of the score marks the best validation epoch"
    if metric is None or not scored:
        return f"{says}."
    best, at = max(scored, key=lambda one: one[0] if metric.more_is_better else -one[0])
    last, end = scored[-1]
    if facts.config and facts.config.recipe.get("keep") == "best" and (kept := best_of(facts.epochs)):
        whose = (
            "whose weights are kept"
            if kept.epoch == at
            else f"and epoch {kept.epoch} equals it by a smaller loss and is kept"
        )
        return f"{says}, {at}, {whose}: it is what is scored, exported and shipped."
    if end == at:
        return f"{says}, which is the last one."
    reached, shipped = (amount(replace(metric, value=value)) for value in (best, last))
    return (
        f"{says}, {at} ({reached}). The weights of the last, {end} ({shipped}), are what is scored, exported and shipped: to "
        "choose the best by the images that score it would flatter it."
    )


def _budget(met: Mapping[str, Limit] | None) -> Verdict | None:
    if not met:
        return None
    missed = [_limit(name, limit) for name, limit in met.items() if limit.actual > limit.limit]
    kept = [_limit(name, limit) for name, limit in met.items() if limit.actual <= limit.limit]
    if missed:
        return Verdict("missed", "Budget missed: " + "; ".join(missed) + (f". Met: {'; '.join(kept)}" if kept else ""))
    return Verdict("met", "Budget met: " + "; ".join(kept))


def _limit(name: str, limit: Limit) -> str:
    """Such as `1.99 M of 2 M MACs (0.5 % below)`."""
    if name == "ms":
        amounts = f"{ms(limit.actual, unit=False)} of {ms(limit.limit)}{limit.whose}"
    else:
        amounts = f"{count(limit.actual)} of {count(limit.limit)} {'MACs' if name == 'macs' else name}"
    off = limit.actual / limit.limit - 1
    if off == 0:
        return f"{amounts} (exactly)"
    gap = percent(abs(off)) if abs(off) >= 0.0005 else "under " + percent(0.001)
    return f"{amounts} ({gap} {'above' if off > 0 else 'below'})"


def cards(facts: RunFacts) -> tuple[Card, ...]:
    """The key numbers that are there, each with what it rests on."""
    return tuple(_cards(facts))


def _cards(facts: RunFacts) -> Iterator[Card]:
    if scores := facts.scores:
        on = f"n = {plural(scores.n, f'{scores.split} {what(facts)}')}"
        for metric in scores.telling():
            if metric.interval is not None or metric is scores.headline:
                details = (f"95 % interval {ends(metric)}",) if metric.interval else ()
                yield Card(metric.title, amount(metric), on, details, measured=True)
    dims = f", {' × '.join(map(str, facts.spec.input.dims))}" if facts.spec else ""
    if facts.macs is not None:
        yield Card(
            "MACs",
            count(facts.macs),
            f"counted for one {read(facts)}{dims}",
            (f"= {count(2 * facts.macs)}FLOPs at 2 per MAC",),
        )
    if facts.params is not None:
        yield Card("Parameters", count(facts.params), "counted", (f"exactly {facts.params:,}",))
    if facts.latency and facts.latency.rows:
        row = facts.latency.rows[0]
        yield Card(
            "Latency",
            ms(row.median_ms),
            f"median of n = {row.n:,}",
            (
                f"p10–p90 {ms(row.p10_ms, unit=False)}–{ms(row.p90_ms)}",
                f"{row.runtime}, {row.threads} thread{'' if row.threads == 1 else 's'}, batch {row.batch}",
                *((row.name,) if len(facts.latency.rows) > 1 else ()),
            ),
            measured=True,
        )
    if facts.export:
        yield Card("File", megabytes(facts.export.bytes), "size on disk", (facts.export.file,))


# Sentences in which a label alone would be too short.
_IN_WORDS = {"per_class_mean": "mean of the classes' top-1", "majority": "always answering the largest class"}


def beside(scores: Scores) -> tuple[str, ...]:
    """The metrics that are no cards, in words: the losses first."""
    rest = [metric for metric in scores.telling() if metric.interval is None and metric is not scores.headline]
    if any(isinstance(block, Curves) for block in scores.blocks):  # a table has those of detectors
        rest = [metric for metric in rest if metric.name not in TABLED]
    rest.sort(key=lambda metric: metric.unit is not Unit.NATS)
    return tuple(f"{_IN_WORDS.get(metric.name, metric.words)} {amount(metric)}" for metric in rest)


def what(facts: RunFacts) -> str:
    """What the data is of."""
    return facts.data.what if facts.data else "image"


def read(facts: RunFacts) -> str:
    """What the network reads at once: a network for images sees one frame of a film."""
    return "clip" if facts.spec and facts.spec.input.frames else "image"


def names_are(facts: RunFacts) -> str:
    """What the names of the data are of: where a table of the evaluation has a row for each of them, it says so; else classes."""
    for block in facts.scores.blocks if facts.scores and facts.data else ():
        if isinstance(block, Table) and facts.data and tuple(row[0] for row in block.rows) == facts.data.classes:
            return block.columns[0]
    return "class"


def where(facts: RunFacts) -> str:
    """Where the cost is of a network whose head has several parts: the trunk's share of the MACs, the neck's, and each part's.
    Empty of any other."""
    stages = facts.config.stages if facts.config else ()
    total = sum(stage.macs for stage in stages)
    heads = [stage for stage in stages if stage.name.split(".")[0] == "head"]
    if len(heads) < 2 or not total:
        return ""
    trunk = sum(stage.macs for stage in stages if stage.name == "stem" or stage.name.startswith("stage "))
    neck = sum(stage.macs for stage in stages if stage.name.split(".")[0] == "neck")
    shares = [("trunk", trunk), *([("neck", neck)] if neck else [])]
    shares += [(stage.what if stage.name == "head" else stage.name, stage.macs) for stage in heads]
    said = ", ".join(f"{name} {percent(macs / total)}" for name, macs in shares)
    runs = [f"{stage.times:,}" for stage in heads if stage.times > 1]
    regions = f" What looks at regions is counted for {' and '.join(runs)} of them in an image." if runs else ""
    return f"Of the MACs: {said}.{regions}"


def subtitle(facts: RunFacts) -> tuple[str, ...]:
    """What the network is, by its name or how it was scaled, on which data, when."""
    config, parts = facts.config, []
    if config and config.rule == "search":
        parts.append(f"cut out of a supernet within {config.base}")
    elif config and config.base and config.rule:
        step = "" if config.x is None else f" at x = {config.x:.4g}"
        parts.append(f"{config.base} scaled by {config.rule}{step}")
    elif facts.spec or (config and config.name):
        parts.append(facts.spec.name if facts.spec else str(config and config.name))
    if config:
        if data := (facts.data.name if facts.data else config.data):
            parts.append(f"data: {data}")
        if config.budget:
            parts.append(f"budget: {config.budget}")
        if config.started:
            parts.append(f"started {when(config.started)}")
    return tuple(parts)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values as rows with dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def command(facts: RunFacts) -> str:
    """The command that made the run, ready to paste; empty where the run does not say."""
    given = facts.config.command if facts.config and facts.config.command else ""
    return given if isinstance(given, str) else shlex.join(given)


def distinct_names(runs: Sequence[Path]) -> tuple[str, ...]:
    """The folders' names; where two are equal, with as many of their parents as it takes to tell them apart.

    >>> distinct_names([Path("/a/x"), Path("/b/x"), Path("/b/y")])
    ('a/x', 'b/x', 'y')
    """
    parts = [run.resolve().parts for run in runs]
    depth = [1] * len(parts)
    while True:
        names = ["/".join(part[-deep:]) for part, deep in zip(parts, depth, strict=True)]
        longer = [deep < len(part) for part, deep in zip(parts, depth, strict=True)]
        clashing = [place for place, name in enumerate(names) if names.count(name) > 1 and longer[place]]
        if not clashing:
            return tuple(names)
        for place in clashing:
            depth[place] += 1
