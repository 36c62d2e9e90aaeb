"""What a search for a layer would take, from steps of the layer that it begins with."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from ...ambient import undisturbed
from ...graphs import KNOWN
from ...threads import in_threads
from ...units import duration, plural
from ...watcher import Watcher
from ..feed import Feed
from ..options import Data, Options
from ..timing.steps import seconds_a_step
from .begin import planned
from .options import NormSearchOptions
from .trying import Trier, in_memory, wearing

__all__ = ["NormRehearsal", "rehearse_norms"]

# Of the layers tried about so many are stable, and of those tried in an anchor about so many go on to the next: what was seen
# of 243 children of BN-ReLU, of which 58 % were stable, 29 % learnt in the first anchor and 19 % in all three.
STABLE, LEARNT, REST = 0.58, 0.5, 0.8
NIGHT = 10  # hours
FEW = 3  # steps of an ascent
JUDGED = 5  # the layer that was found and four that are known


@dataclass(frozen=True)
class NormRehearsal:
    """An estimate: hours of the search, of ranking and judging, and how many layers a night would try."""

    layers: int
    workers: int
    seconds_a_layer: float
    search_hours: float
    after_hours: float

    @property
    def a_night(self) -> int:
        """Layers that can be tried in what a night of ten hours has left when the rest is done."""
        left = 3600 * max(0.0, NIGHT - self.after_hours)
        return int(left * self.workers / self.seconds_a_layer)

    def lines(self) -> list[str]:
        return [
            f"would try {plural(self.layers, 'layer')} in about {duration(3600 * self.search_hours)}, "
            f"{duration(self.seconds_a_layer)} each on {plural(self.workers, 'process')}, then rank and judge in "
            f"{duration(3600 * self.after_hours)}",
            f"a night of {NIGHT} hours allows about {self.a_night:,} (--layers {self.a_night})",
            "nothing was searched and nothing was written",
        ]

    def to_record(self) -> dict[str, object]:
        return {
            "layers": self.layers,
            "jobs": self.workers,
            "seconds_a_layer": self.seconds_a_layer,
            "hours": self.search_hours + self.after_hours,
            "layers_a_night": self.a_night,
            "dry_run": True,
        }


@undisturbed()
def rehearse_norms(data: Data, *, how: NormSearchOptions, options: Options, watcher: Watcher) -> NormRehearsal:
    """Take a few steps of GN-ReLU as a graph in each network, by one thread, as a search does.

    Raises:
        UserError: what the search itself would refuse before it trains.
    """
    plan = planned(data, how, options, watcher)
    few, recipe = how.protocol.shown(plan.parts)
    layer = KNOWN["gn-relu"]
    watcher.stage("rehearse", f"a few steps in {plural(len(plan.anchors) + len(plan.others), 'network')}")
    steps = {}
    for spec in (*plan.anchors, *plan.others):
        worn = wearing(spec, layer, how.protocol)
        feed = Feed(worn, in_memory(worn, few), recipe, 0, 0)
        steps[spec.name] = seconds_a_step(worn, plan.task, recipe, feed, threads=1)
    each = how.protocol.steps
    trier = Trier(plan.anchors[:1], plan.parts, plan.task, replace(how.protocol, ascent_steps=FEW))
    with in_threads(1):
        trier.climbed(layer)  # the first also builds what later ones find
        began = time.perf_counter()
        trier.climbed(layer)
        a_climb = (time.perf_counter() - began) / FEW * how.protocol.ascent_steps
    share, seconds = STABLE, STABLE * a_climb
    for spec in plan.anchors:
        seconds += share * each * steps[spec.name]
        share *= LEARNT if spec is plan.anchors[0] else REST
    longer = how.longer * each * how.seeds
    after = longer * (
        how.finalists * sum(steps[spec.name] for spec in plan.anchors)
        + JUDGED * sum(steps[spec.name] for spec in (*plan.anchors, *plan.others))
    )
    return NormRehearsal(
        how.layers, plan.workers, seconds, how.layers * seconds / plan.workers / 3600, after / plan.workers / 3600
    )
