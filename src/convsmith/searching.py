"""One supernet trained on the user's data, and a finished network cut out of it for each budget: `convsmith search`."""

from __future__ import annotations

import hashlib
import math
import random
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .carrying import carry_on, data_record
from .choosing import choose
from .codec import from_data, to_data
from .costs import cost
from .data import ImageData, divided, eval_batches, steps_per_epoch
from .errors import Stopped, UserError
from .exporting import Exported, export_onnx
from .feed import Feed, Source, Watcher, fingerprint, normaliser, samples_of, shape_of
from .jobs import Options, regularised, source_of
from .latency import Runtime
from .machine import this_machine
from .model import Model
from .parts import PARTS
from .recipe import KINDS, Recipe
from .recipes import changed, settle
from .recipes import recipe as named_recipe
from .resolve import device
from .runs import Run, now
from .scoring import Scorer
from .search_options import SearchOptions, named_budgets, refuse_impossible, space_of
from .searching_page import write_page
from .stages import stage_rows
from .stopwatch import Stopwatch
from .supernet import (
    RolledBack,
    Space,
    Supernet,
    Watched,
    refuse_recipe,
    skeletons,
    train_supernet,
)
from .timing import Timed
from .training import EpochDone, Ranks, Started, StepDone, Termination, joined, save_atomically
from .units import Budget, human

__all__ = ["SearchOptions", "child_model", "export_child", "rehearsed", "resume_search", "search", "space_of"]

# Of each class, the share of training images that the supernet never sees: children are chosen by them.
HELD_OUT = 0.1
# Training images whose statistics a child's norms are given.
CALIBRATION = 2000


def search(
    data: str | Path,
    *,
    to: str | Sequence[str],
    options: Options | None = None,
    how: SearchOptions | None = None,
    watcher: Watcher | None = None,
) -> Run:
    """Train a supernet on `data` and hand over a finished child for each budget, with the front they stand on.

    `to` is budgets joined by commas, each its own (`2M-macs,5ms`); `+` joins limits of one (`5ms+1M-params`). A tenth of
    the training images is held out: the children are chosen by these, so that the validation images, which the winners'
    scores and the report are of, have had no part in it. A child of a budget in milliseconds is exported and measured.

    Raises:
        UserError: a budget that no child meets, a space that does not fit, wrong options.
    """
    options, how, watcher = options or Options(), how or SearchOptions(), watcher or Watcher()
    budgets = named_budgets(to.split(",") if isinstance(to, str) else to)
    if how.rounds < 0 or how.per_round < 1 or how.threads < 1:
        raise UserError("--rounds is 0 or more, --per-round and --threads are 1 or more")
    source = source_of(data, options)
    base = named_recipe(options.recipe) if isinstance(options.recipe, str) else options.recipe
    recipe = changed(base, options.settings)
    refuse_recipe(recipe)
    with joined(device()) as ranks:

        def begun() -> tuple[Run, ImageData]:
            images = source.load(watcher)
            space = space_of(how.space).with_classes(len(images.classes))
            refuse_impossible(space, budgets.values())
            settled = settle(recipe, space.biggest())
            space = replace(space, base=regularised(space.base, settled))
            run = Run.create(Path(options.parent), options.name or f"{images.name}-search-{space.base.name}")
            watcher.stage("run", str(run.path))
            small, big = cost(space.smallest()), cost(space.biggest())
            watcher.stage("space", f"{space.base.name}: {space.size():,} networks, from {small} to {big}")
            _describe(run, space, settled, budgets, source, images, options, how)
            return run, images

        found, images = ranks.from_first(begun)
        return _carried(found, images, watcher, ranks)


def rehearsed(
    data: str | Path, *, to: str, options: Options, how: SearchOptions, watcher: Watcher
) -> dict[str, object]:
    """What `search` would do, by name; nothing is trained and nothing is written."""
    images = source_of(data, options).load(watcher)
    space = space_of(how.space).with_classes(len(images.classes))
    budgets = named_budgets(to.split(","))
    refuse_impossible(space, budgets.values())
    base = named_recipe(options.recipe) if isinstance(options.recipe, str) else options.recipe
    recipe, parts = changed(base, options.settings), _three(images, options.seed)
    return {
        "space": space.base.name,
        "networks": space.size(),
        "smallest": str(cost(space.smallest())),
        "biggest": str(cost(space.biggest())),
        "training_images": len(parts.train),
        "held_out": len(parts.val),
        "sandwich_steps": recipe.epochs * steps_per_epoch(len(parts.train), recipe.batch),
        "scored_at_most": len(skeletons(space)) + len(budgets) * how.rounds * how.per_round,
    }


def resume_search(run: Run, *, watcher: Watcher | None = None) -> Run:
    """Go on with a search where it was stopped: what was trained, scored and measured is not done again."""
    watcher = watcher or Watcher()
    images = Source(**run.read("config.json")["source"]).load(watcher)
    if run.read("data.json")["fingerprint"] != fingerprint(images):
        raise UserError(f"the data is not what {run.path} was begun with; begin a new search")
    with joined(device()) as ranks:
        return _carried(run, images, watcher, ranks)


def export_child(
    run: Run | str | Path,
    number: int,
    path: str | Path | None = None,
    *,
    dynamic_batch: bool = True,
    watcher: Watcher | None = None,
) -> Exported:
    """Child `number` of a search's front as an ONNX file, which onnxruntime has run on real images."""
    found = run if isinstance(run, Run) else Run.open(run)
    watcher = watcher or Watcher()
    model = child_model(found, number, watcher)
    images = Source(**found.read("config.json")["source"]).load(watcher)
    out = Path(path) if path else found.file(f"child-{number}.onnx")
    samples = samples_of(model.spec, images)
    return export_onnx(model, out, input_shape=shape_of(model.spec), dynamic_batch=dynamic_batch, samples=samples)


def child_model(run: Run, number: int, watcher: Watcher | None = None) -> Model:
    """Child `number` of a search's front, counted from 1 as its report does, cut out and fit to be evaluated."""
    if not run.has("space.json"):
        raise UserError(f"{run.path} is not a search; it has no children")
    front = run.read("front.json")["front"]
    if not 1 <= number <= len(front):
        raise UserError(f"{run.path}'s front has children 1 to {len(front)}; got {number}")
    images = Source(**run.read("config.json")["source"]).load(watcher or Watcher())
    space = from_data(Space, run.read("space.json"), PARTS, source=str(run.file("space.json")))
    state = _State(run, space, images, watcher or Watcher())
    return state.scorer.child(space.spec(tuple(front[number - 1]["genes"])))


def _describe(
    run: Run,
    space: Space,
    recipe: Recipe,
    budgets: Mapping[str, Budget],
    source: Source,
    images: ImageData,
    options: Options,
    how: SearchOptions,
) -> None:
    run.write("space.json", to_data(space))
    run.write_spec(space.biggest())
    run.write("data.json", data_record(images))
    run.write(
        "config.json",
        {
            "verb": "search",
            "convsmith": dict(this_machine().packages).get("convsmith", "unknown"),
            "started": now(),
            "name": run.path.name,
            "data": images.name,
            "source": to_data(source),
            "seed": options.seed,
            "workers": options.workers,
            "command": shlex.join(["convsmith", *sys.argv[1:]]) if Path(sys.argv[0]).name == "convsmith" else None,
            "budgets": list(budgets),
            "how": to_data(how),
            "recipe": to_data(recipe),
            "machine": to_data(this_machine()),
        },
    )


# ---- the stages ------------------------------------------------------------------------------------------------------


def _carried(run: Run, images: ImageData, watcher: Watcher, ranks: Ranks) -> Run:
    config = run.read("config.json")
    space = from_data(Space, run.read("space.json"), PARTS, source=str(run.file("space.json")))
    if ranks.from_first(lambda: not run.has("supernet.safetensors")):
        try:
            with Termination() as termination, termination.deferred():
                _train(run, config, space, images, watcher, ranks, termination)
        except Stopped as stopped:
            raise Stopped(f"{stopped}; `convsmith resume {run.path}` goes on") from None
    if not ranks.leads:
        return run
    state = _State(run, space, images, watcher)
    if not run.has("front.json"):
        _select(state, named_budgets(config["budgets"]), SearchOptions(**config["how"]))
    for row in run.read("front.json")["winners"]:
        _finish(state, config, row)
    watcher.stage("report", str(write_page(run)))
    return run


class _State:
    """What every stage after training looks at: the trained supernet, and its data in three parts."""

    def __init__(self, run: Run, space: Space, images: ImageData, watcher: Watcher) -> None:
        self.run, self.space, self.images, self.watcher = run, space, images, watcher
        config = run.read("config.json")
        self.recipe = from_data(Recipe, config["recipe"], KINDS, source=str(run.file("config.json")))
        parts = _three(images, config["seed"])
        supernet = Supernet(space)
        supernet.model.load_state_dict(load_file(run.file("supernet.safetensors")))
        digest = hashlib.sha256(run.file("supernet.safetensors").read_bytes())
        digest.update(f"{space.key} {fingerprint(parts)} {CALIBRATION}".encode())
        self.scorer = Scorer(
            supernet,
            parts,
            _calibration(space, parts),
            path=run.file("children.jsonl"),
            key=digest.hexdigest()[:16],
            device=device(),
            watcher=watcher,
        )


def _three(images: ImageData, seed: int) -> ImageData:
    """Training images without those held out, and these as its validation part."""
    kept, out = divided(images.train, HELD_OUT, seed)
    return replace(images, train=kept, val=out)


def _calibration(space: Space, parts: ImageData) -> list[Tensor]:
    """Normalised batches of training images, as evaluation shows them, at the biggest resolution."""
    spec = space.biggest()
    chosen = np.random.default_rng(0).permutation(len(parts.train))[:CALIBRATION]
    batches = eval_batches(
        parts.train.take(np.sort(chosen)), resolution=spec.input.resolution, channels=spec.input.channels, batch=250
    )
    normalise = normaliser(spec, torch.device("cpu"))
    return [normalise(batch.images) for batch in batches if len(batch.labels)]


def _train(
    run: Run,
    config: dict[str, Any],
    space: Space,
    images: ImageData,
    watcher: Watcher,
    ranks: Ranks,
    termination: Termination,
) -> None:
    recipe = from_data(Recipe, config["recipe"], KINDS, source=str(run.file("config.json")))
    where, spec, parts = device(), space.biggest(), _three(images, config["seed"])
    feed = Feed(spec, parts, recipe, config["seed"], config["workers"], (ranks.rank, ranks.world))
    calibration = _calibration(space, parts)
    supernet = Supernet(space, seed=config["seed"])
    ends = (space.smallest(), spec)

    def evaluate(shipped: Supernet) -> dict[str, float]:
        scorer = Scorer(
            shipped, parts, calibration, path=run.file("watched.jsonl"), key="", device=where, watcher=Watcher()
        )
        small, big = (scorer.top1(scorer.child(end)) for end in ends)
        return {"smallest_top1": small, "val_top1": big}

    watcher.stage(
        "train",
        f"{recipe.name}: {recipe.epochs} epochs of {feed.steps_per_epoch} sandwiches of 4 children on {where}; "
        f"{len(parts.val)} training images are held out to choose by",
    )
    for record in train_supernet(
        supernet,
        recipe,
        feed,
        prepare=normaliser(spec, where),
        evaluate=evaluate,
        checkpoint=run.file("last.pt"),
        device=where,
        seed=config["seed"],
        ranks=ranks,
        stop=lambda: termination.asked,
    ):
        if not ranks.leads:
            continue
        match record:
            case Started():
                run.rewind(record.step)
                if record.damage:
                    watcher.note(record.damage)
                if record.step:
                    watcher.note(f"resuming after step {record.step} of {record.steps}")
            case Watched():
                run.log({"event": "look"} | to_data(record))
            case RolledBack():
                watcher.note(
                    f"step {record.step}: {record.reason}; back to step {record.to} at {record.share:g} of the rate"
                )
                run.log({"event": "rolled back"} | to_data(record))
            case EpochDone():
                watcher.record(record)
                data = to_data(replace(record, scores={}))
                data.pop("scores")
                run.log({"event": "epoch", **data, **record.scores})
            case StepDone():
                watcher.record(record)
    if ranks.leads:
        weights = {key: value.contiguous().cpu() for key, value in supernet.model.state_dict().items()}
        save_atomically(run.file("supernet.safetensors"), lambda path: save_file(weights, path))


def _select(state: _State, budgets: Mapping[str, Budget], how: SearchOptions) -> None:
    """Choose a child for each budget; leaves `front.json`, the winners and the front of all that was scored."""
    run, space, watcher = state.run, state.space, state.watcher
    seed = run.read("config.json")["seed"]
    with Stopwatch(Runtime.ORT, how.threads, Watcher()) as watch:
        timed = None
        if any(math.isfinite(budget.ms) for budget in budgets.values()):
            watcher.stage("time", "a dozen children, to predict the others' milliseconds")
            timed = Timed(space, run.file("timed.json"), watch, random.Random(seed))
            watcher.note(f"predictions of children left out in turn are off by {timed.error:.0%} (median)")
        watcher.stage(
            "choose", f"from {len(skeletons(space))} skeletons, then {how.rounds} rounds of mutations a budget"
        )
        found = choose(space, state.scorer, budgets, timed, how.rounds, how.per_round, seed)
    for row in found["winners"]:
        took = "" if row["ms"] is None else f", {row['ms']:.3g} ms"
        watcher.note(f"{row['budget']}: held-out top-1 {row['top1']:.2%}, {human(row['macs'])} MACs{took}")
    run.write("front.json", found)


def _finish(state: _State, config: dict[str, Any], row: dict[str, Any]) -> None:
    """A winner as a run folder of its own, evaluated, exported, measured and reported as every run is."""
    run, space = state.run, state.space
    folder = run.file("children") / row["budget"]
    if not (folder / "report.html").exists():
        spec = replace(space.spec(tuple(row["genes"])), name=f"{space.base.name}-{row['budget']}")
        budget = Budget.parse(row["budget"].replace("+", ","))
        folder.mkdir(parents=True, exist_ok=True)
        child = Run(folder)
        state.watcher.stage("child", str(folder))
        model = state.scorer.child(space.spec(tuple(row["genes"])))
        child.write_spec(spec)
        child.write("data.json", run.read("data.json"))
        needs = cost(spec)
        met = {
            name: {"limit": limit, "is": own, "slack": 1 - own / limit}
            for name, limit, own in (
                ("macs", budget.macs, needs.macs),
                ("params", budget.params, needs.params),
                ("ms", budget.ms, row["ms"]),
            )
            if math.isfinite(limit)
        }
        child.write(
            "config.json",
            {key: config[key] for key in ("convsmith", "started", "data", "source", "seed", "workers", "command")}
            | {"recipe": config["recipe"], "machine": config["machine"], "verb": "search", "name": spec.name}
            | {"weights": None, "budget": str(budget), "base": space.base.name, "rule": "search", "x": None, "met": met}
            | {"cost": to_data(needs), "stages": [to_data(one) for one in stage_rows(spec)]}
            | {"differences": ["cut out of a supernet, with norm statistics of its own; not trained further"]},
        )
        weights = {key: value.contiguous().cpu() for key, value in model.state_dict().items()}
        save_atomically(child.file("model.safetensors"), lambda path: save_file(weights, path))
        carry_on(child, state.watcher, state.images, Ranks())
