"""The stages of a search, from the supernet's training to its page: each is done once, whatever interrupts."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...codec import to_data
from ...data import ImageData, eval_batches, span_of
from ...runs import Config, Epoch, Fall, Look, RunFolder
from ...scores import Metric, Unit
from ...supernet import Genes, Sandwich, Space, Supernet, ends, skeletons
from ...training import Ranks, Termination, fit
from ...units import Budget, human, plural
from ...watcher import EpochDone, RolledBack, Started, StepDone, Watched, Watcher
from ...weights import write as write_weights
from ..feed import Feed, normaliser, task_of
from ..source import fingerprint
from ..studies.farm import Farm
from ..timing.devices import clock
from .choose import choose
from .foils import train_foils
from .handing import finish, hand_over
from .options import SearchOptions, named_budgets, space_in
from .page import said_of, write_page
from .predicted import Timed
from .request import in_three
from .scores import Examiner, Scorer, examined

__all__ = ["CALIBRATION", "Search", "begin_with", "calibration_of", "carried"]

# Training images whose statistics a child's norms are given.
CALIBRATION = 2000


def carried(run: RunFolder, images: ImageData, watcher: Watcher, ranks: Ranks) -> RunFolder:
    with run.stoppable():
        return _stages(run, images, watcher, ranks)


def _stages(run: RunFolder, images: ImageData, watcher: Watcher, ranks: Ranks) -> RunFolder:
    config, space, how = run.config, space_in(run), SearchOptions.of(run)
    if ranks.from_first(lambda: not run.has("supernet.safetensors")):
        with Termination() as termination, termination.deferred():
            _train(run, config, how, space, images, watcher, ranks, termination)
    if not ranks.leads:
        return run
    state = Search(run, space, images, watcher, ranks.device)
    if not run.has("front.json"):
        _select(state, named_budgets(config.budgets), how)
    for row in run.front.winners:
        hand_over(state, config, how, row)
    if how.finish:
        for row in run.front.winners:
            finish(state, how, row)
    if how.against and not run.has("foils.json"):
        run.write_foils(train_foils(run, how, state.recipe, in_three(images, run.seed), images, watcher))
    watcher.stage("report", str(write_page(run)))
    return run


class Search:
    """What every stage after training looks at: the trained supernet, and its data in three parts."""

    def __init__(self, run: RunFolder, space: Space, images: ImageData, watcher: Watcher, where: torch.device) -> None:
        self.run, self.space, self.images, self.watcher = run, space, images, watcher
        self.recipe = run.recipe
        self.parts = parts = in_three(images, run.seed)
        supernet = Supernet(space)
        supernet.model.load_state_dict(load_file(run.file("supernet.safetensors")))
        supernet.model.to(where)
        digest = hashlib.sha256(run.file("supernet.safetensors").read_bytes())
        digest.update(f"{space.key} {fingerprint(parts)} {run.data.contents} {CALIBRATION}".encode())
        self.key = digest.hexdigest()[:16]
        self.task = task_of(run.config)
        self.examiner = Examiner(supernet, parts, calibration_of(space, parts), self.task, device=where)

    def farm(
        self, how: SearchOptions
    ) -> AbstractContextManager[Farm[Examiner, tuple[Genes, int], tuple[Metric, ...]] | None]:
        """Processes that score beside each other; None where one is enough, or where all would share one accelerator."""
        if how.cluster is None and (how.processes == 1 or self.examiner.device.type != "cpu"):
            return nullcontext()
        return Farm(examined, self.examiner, workers=how.processes, cluster=how.cluster)


def calibration_of(space: Space, parts: ImageData) -> list[Tensor]:
    """Batches of training images in bytes, as evaluation shows them, at the biggest resolution."""
    spec = space.biggest()
    chosen = np.random.default_rng(0).permutation(len(parts.train))[:CALIBRATION]
    batches = eval_batches(
        parts.train.take(np.sort(chosen)), sides=spec.input.sides, channels=spec.input.channels, batch=250,
        span=span_of(spec.input),
    )  # fmt: skip
    return [batch.images for batch in batches if len(batch.answers)]


def _train(
    run: RunFolder,
    config: Config,
    how: SearchOptions,
    space: Space,
    images: ImageData,
    watcher: Watcher,
    ranks: Ranks,
    termination: Termination,
) -> None:
    recipe, seed = run.recipe, run.seed
    where, spec, parts = ranks.device, space.biggest(), in_three(images, seed)
    feed = Feed(spec, parts, recipe, seed, config.workers, (ranks.rank, ranks.world))
    calibration = calibration_of(space, parts)
    supernet, task = Supernet(space, seed=seed), task_of(run.config)
    if run.has("initial.safetensors"):
        begin_with(supernet.model, load_file(run.file("initial.safetensors")))

    def evaluate(shipped: Supernet) -> dict[str, float]:
        examiner = Examiner(shipped, parts, calibration, task, device=where)
        small, big = (examiner.headline(examiner.child(end)) for end in (space.smallest(), spec))
        return {f"val_{big.name}": big.value, f"smallest_{small.name}": small.value}

    watcher.stage(
        "train",
        f"{recipe.name}: {plural(recipe.epochs, 'epoch')} of {feed.steps_per_epoch} sandwiches of "
        f"{recipe.sandwich.randoms + 2} children on {where}; "
        f"{len(parts.val)} training images are held out to choose by",
    )
    for record in fit(
        Sandwich(supernet, task, recipe, seed=seed, labels_first=how.labels_first),
        recipe,
        feed,
        prepare=normaliser(spec, where),
        evaluate=evaluate,
        checkpoint=run.file("last.pt"),
        device=where,
        seed=seed,
        lookout=ends(supernet, task, recipe, chance=task.chance(parts.classes)),
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
                run.log(Look.from_record(to_data(record)))
            case RolledBack():
                watcher.note(
                    f"step {record.step}: {record.reason}; back to step {record.to} at {record.share:g} of the rate"
                )
                run.log(Fall.from_record(to_data(record)))
            case EpochDone():
                watcher.record(record)
                run.log(Epoch.of(record, task.running))
            case StepDone():
                watcher.record(record)
    if ranks.leads:
        write_weights(run.file("supernet.safetensors"), supernet.model.state_dict())


def begin_with(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load weights of the network that a space was made from into its biggest network.

    What they have no part in starts at 0: the classifier knows nothing, and the projections of shortcuts that the space adds
    add nothing, so that the biggest begins as the network that the weights are of.
    """
    missing, _ = model.load_state_dict(state, strict=False)
    for name, parameter in model.named_parameters():
        if name in missing:
            nn.init.zeros_(parameter)


def _select(state: Search, budgets: Mapping[str, Budget], how: SearchOptions) -> None:
    """Choose a child for each budget; leaves `front.json`, the winners and the front of all that was scored."""
    run, space, watcher, seed = state.run, state.space, state.watcher, state.run.seed
    with clock(how.aim, Watcher()) as watch:
        timed = None
        if any(math.isfinite(budget.ms) for budget in budgets.values()):
            where = f"{how.aim.told}," if how.aim.told else ""
            watcher.stage("time", f"a dozen children{where} to predict the others' milliseconds")
            timed = Timed(space, run.file("timed.json"), watch, random.Random(seed), aim=how.aim)
            if math.isfinite(timed.error):
                watcher.note(f"predictions of children left out in turn are off by {timed.error:.0%} (median)")
        watcher.stage(
            "choose",
            f"{how.select.value}: from {len(skeletons(space))} skeletons, then {how.rounds} rounds of mutations a budget",
        )
        with state.farm(how) as farm:
            path = run.file("children.jsonl")
            scorer = Scorer(state.examiner, path=path, key=state.key, watcher=watcher, farm=farm)
            found = choose(space, scorer, budgets, timed, how, seed, halves=scorer.halves)
    # Where a picture has several points, its score is surer than that of as many pictures of one label: each has its interval.
    ends = [row.score.interval for row in found.winners if row.score.interval is not None]
    if ends and found.metric.unit is Unit.SHARE:
        watcher.note(
            f"scores of {plural(found.n, 'image')} are known within {50 * max(high - low for low, high in ends):.1f} points; the "
            "order of closer children is chance"
        )
    for row in found.winners:
        took = "" if row.ms is None else f", {row.ms:.3g} ms"
        watcher.note(f"{row.budget}: held-out {row.score.words} {row.score.text}, {human(row.macs)} MACs{took}")
    for order in found.ranked:
        watcher.note(said_of(order))
    run.write_front(found)
