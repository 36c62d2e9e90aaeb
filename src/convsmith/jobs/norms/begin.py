"""`convsmith search norms`: a layer searched for on the user's data, and held against known ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...ambient import undisturbed
from ...arch import ArchSpec
from ...codec import to_data, to_json
from ...data import ImageData, check_channels
from ...data.readers.dataset import own_data
from ...errors import UserError
from ...evals.intervals import wilson
from ...files import write_json, write_text
from ...graphs import NormGraph, formula
from ...layers import fingerprint
from ...locks import at_work
from ...machine import this_machine
from ...parts import GraphNorm
from ...resolve import spec as resolve_spec
from ...scores import named
from ...shown import Shown
from ...tasks import Task, task_for
from ...units import plural
from ...watcher import Watcher
from ..feed import refuse_lone_images
from ..fitting import fitted_to
from ..options import Data, Options, source_of
from ..search.request import in_three
from ..studies.farm import Farm
from .anchors import ANCHORS
from .descent import Descent, Gate, descended
from .judging import Against, Finalist, Judged, against, finalists_of, judged, reranked
from .options import NormSearchOptions
from .page import written
from .protocol import LayerProtocol
from .rejection import probed
from .store import LayerStore, Seen
from .trying import Tried, Trier, tried

__all__ = ["NormSearch", "Plan", "planned", "search_norms"]


@dataclass(frozen=True)
class Plan:
    """What a search is of: `parts` are the images in three, whose validation part chooses; `images` as they were, whose
    validation part judges."""

    how: NormSearchOptions
    images: ImageData
    parts: ImageData
    task: Task
    anchors: tuple[ArchSpec, ...]
    others: tuple[ArchSpec, ...]

    @property
    def workers(self) -> int:
        return self.how.jobs or this_machine().cores


@dataclass(frozen=True, repr=False)
class NormSearch(Shown):
    """A finished search: all layers that were tried, the finalists with the best first, and the best held against known layers
    in the anchors and in other networks. `against` is of the others alone."""

    plan: Plan
    descent: Descent
    finalists: tuple[Finalist, ...]
    judged: tuple[Judged, ...]
    against: tuple[Against, ...]
    folder: Path

    @property
    def winner(self) -> NormGraph:
        return self.finalists[0].graph

    @property
    def report(self) -> Path:
        return self.folder / "study.html"

    def __str__(self) -> str:
        said = ", ".join(one.said for one in self.against)
        return f"{formula(self.winner)}\n{said}; {plural(len(self.descent.layers), 'layer')} tried, {self.report}"

    def to_record(self) -> dict[str, object]:
        """What `study.json` holds."""
        layers = [
            {
                "number": one.number,
                "generation": one.generation,
                "layer": one.text,
                "parent": one.parent,
                "graph": to_data(one.graph),
                **{name: value for name, value in to_data(one.came_to).items() if value},
            }
            for one in self.descent.layers
        ]
        return {
            "searched": "norms",
            "data": self.plan.images.name,
            "how": to_data(replace(self.plan.how, jobs=0, cluster=None)),  # which change nothing that is found
            "winner": {"layer": self.winner.text, "key": self.winner.key, "formula": formula(self.winner)},
            "finalists": [
                {"layer": one.graph.text, "searched": one.searched, "scores": one.scores, "failed": one.failed}
                for one in self.finalists
            ],
            "judged": [to_data(one) for one in self.judged],
            "against": [to_data(one) for one in self.against],
            "drawn": dict(self.descent.drawn),
            "layers": layers,
        }


def planned(data: Data, how: NormSearchOptions, options: Options, watcher: Watcher) -> Plan:
    """The data in its parts and the networks fit for it: all before anything is trained.

    Raises:
        UserError: data that is judged by anything but top-1, a network that is not known, too few images.
    """
    chosen = [[_network(name) for name in names] for names in (how.anchors, how.others)]
    images = replace(source_of(data, options).load(watcher, own_data(data)), cache=None)
    task = task_for(images, settings=options.task_settings)
    if task.headline != "top1":
        raise UserError(
            f"layers are told apart by top-1, and networks on {images.name} are judged by {named(task.headline, 0.0).words}: give "
            "images with one label each"
        )
    anchors, others = (tuple(fitted_to(spec, task, images) for spec in specs) for specs in chosen)
    parts = in_three(images, options.seed)
    if not len(parts.val):
        raise UserError(
            f"{images.name} has one training image a class: a search holds some out to choose by, and needs two"
        )
    few, recipe = how.protocol.shown(parts)
    for spec in (*anchors, *others):
        refuse_lone_images(spec, recipe, len(few.train))
    return Plan(how, images, parts, task, anchors, others)


@undisturbed()
def search_norms(
    data: Data,
    *,
    out: str | Path,
    how: NormSearchOptions | None = None,
    options: Options | None = None,
    scores: str | Path | None = None,
    command: str = "",
    watcher: Watcher | None = None,
) -> NormSearch:
    """Search for a layer that normalises and activates, by evolution from simple known ones, on `data`.

    A tenth of the training images is held out to choose by; the validation images choose nothing and judge. `out` gets the
    layer as `layer.json`, which `convert --norm` takes, `study.html` and `study.json`; a search that was stopped goes on from
    there by the same call, to the same result. What is known of layers is in `scores`, `layers.jsonl` in `out` by default: one
    file may serve several searches on the same data.

    Raises:
        UserError: as `planned`; nothing to begin with passes; none of the best can be trained longer.
    """
    how, options, watcher, folder = how or NormSearchOptions(), options or Options(), watcher or Watcher(), Path(out)
    plan = planned(data, how, options, watcher)
    with at_work(folder):
        write_json(folder / "search.json", {"searched": "norms", "how": to_data(how), "seed": options.seed})
        key = how.protocol.key(plan.anchors, plan.parts)
        store = LayerStore(Path(scores) if scores else folder / "layers.jsonl", key)
        descent = _searched(plan, store, options.seed, watcher)
        watcher.stage(
            "re-rank",
            f"the best {how.finalists}, {how.longer} times as long, in the anchors under {plural(how.seeds, 'fresh seed')}",
        )
        kept = [(one.graph, one.came_to) for one in descent.kept]
        ranked = reranked(
            finalists_of(kept, how), plan.anchors, plan.parts, how, folder / "reranked", plan.workers, watcher
        )
        watcher.stage(
            "judge", f"the best and known layers on {plural(len(plan.images.val), 'image')} that chose nothing"
        )
        # What chose has no part in what is learnt from either.
        judging = replace(plan.parts, val=plan.images.val)
        networks = (*plan.anchors, *plan.others)
        results = judged(ranked[0].graph, networks, judging, how, folder / "judged", plan.workers, watcher)
        beside = against(results, [spec.name for spec in plan.others], how.margin)
        found = NormSearch(plan, descent, ranked, results, beside, folder)
        write_text(folder / "layer.json", to_json(GraphNorm(found.winner, groups=how.protocol.groups)))
        write_json(folder / "study.json", found.to_record())
        watcher.stage("report", str(written(found, command=command)))
    return found


def _searched(plan: Plan, store: LayerStore, seed: int, watcher: Watcher) -> Descent:
    how, protocol = plan.how, plan.how.protocol
    if store.tried:
        watcher.note(f"tried before, on this data: {plural(len(store.tried), 'layer')}")
    low, high = wilson(len(plan.parts.val) // 2, len(plan.parts.val))
    names = ", ".join(spec.name for spec in plan.anchors)
    watcher.stage(
        "search",
        f"{plural(how.layers, 'layer')} from {', '.join(how.begun()) or 'random graphs'} in {names}; a score of "
        f"{plural(len(plan.parts.val), 'held-out image')} is known within {50 * (high - low):.1f} points",
    )
    trier = Trier(plan.anchors, plan.parts, plan.task, protocol)
    with Farm(tried, trier, workers=plan.workers, cluster=how.cluster) as farm:
        done = 0

        def try_(graphs: Sequence[NormGraph]) -> list[Tried]:
            nonlocal done
            new = {graph.text: graph for graph in graphs if graph.text not in store.tried}
            done += len(graphs) - len(new)
            for layer, came_to in farm(new) if new else ():
                store.try_(layer, came_to)
                done += 1
                watcher.count("layers", min(done, how.layers), how.layers)
            return [store.tried[graph.text] for graph in graphs]

        return descended(how, Gate(lambda graph: looked_at(graph, store, protocol)), try_, seed)


def looked_at(graph: NormGraph, store: LayerStore, protocol: LayerProtocol) -> Seen:
    """What a layer by itself comes to, asked for once."""
    if (known := store.seen.get(graph.text)) is not None:
        return known
    refused = probed(GraphNorm(graph, groups=protocol.groups).build(32), protocol.gain)
    if refused:
        return store.see(graph.text, Seen(refused))
    prints = fingerprint(graph)
    return store.see(graph.text, Seen("", prints.exact, prints.standardised))


def _network(name: str | ArchSpec) -> ArchSpec:
    """One of our own small networks, or whatever a spec may be named by."""
    spec = ANCHORS[name] if isinstance(name, str) and name in ANCHORS else resolve_spec(name)
    check_channels(spec.input.channels)
    return spec
