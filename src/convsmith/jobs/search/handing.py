"""What a search hands over: for each budget a run folder of the child as it was cut out, and one of it trained on."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from ...codec import to_data
from ...costs import cost
from ...locks import at_work
from ...model import Model
from ...recipe import Cosine, Recipe, SandwichRule
from ...runs import Config, Epoch, FrontRow, RunFolder, Stage, met
from ...stages import stage_rows
from ...supernet import Finishing
from ...training import Ranks, Termination, fit, forget_checkpoint
from ...units import Budget, plural
from ...watcher import EpochDone, Started, StepDone
from ...weights import write as write_weights
from ..feed import Feed, metadata_of, normaliser
from ..train.stages import carry_on
from .options import SearchOptions
from .page import missed

if TYPE_CHECKING:
    from .stages import Search

__all__ = ["finish", "finishing", "hand_over"]

# Of the supernet's peak rate. From there a cosine falls to 0, so that its mean is the 5 % that helped children between the
# ends in `bench/supernet.py`.
PEAK = 0.1


def hand_over(state: Search, config: Config, how: SearchOptions, row: FrontRow) -> None:
    """A winner as a run folder of its own, evaluated, exported, measured and reported as every run is."""
    child = state.run.child(row.budget)
    if child.has("report.html"):
        return
    state.watcher.stage("child", str(child.path))
    if not child.has("config.json"):
        _describe(child, state, config, how, row)
    if not child.has("model.safetensors"):
        _ship(child, state, state.examiner.child(state.space.spec(row.genes)))
    with at_work(child.path):
        carry_on(child, state.watcher, state.images, Ranks(device=state.examiner.device))
    if said := missed(child.config.met):
        state.watcher.note(f"{row.budget}: {said}; to choose it {row.ms:.3g} had been measured")


def finish(state: Search, how: SearchOptions, row: FrontRow) -> None:
    """A winner that has been handed over, trained on for `how.finish` epochs, as a second run folder: the first stays as it is."""
    done = state.run.finished(row.budget)
    if done.has("report.html"):
        return
    done.path.mkdir(parents=True, exist_ok=True)
    with at_work(done.path):
        if not done.has("model.safetensors"):
            _train_on(done, state, how, row)
        # A folder with a config.json is a run: one without weights would be trained from nothing by `resume`.
        if not done.has("config.json"):
            cut = state.run.child(row.budget)
            done.write_spec(cut.spec)
            done.write_data(cut.data)
            trained = plural(how.finish, "epoch")
            said = f"cut out of a supernet and trained on for {trained}, with the biggest child as its teacher"
            done.write_config(
                replace(cut.config, recipe=to_data(finishing(state.recipe, how.finish)), differences=(said,))
            )
        carry_on(done, state.watcher, state.images, Ranks(device=state.examiner.device))


def finishing(recipe: Recipe, epochs: int) -> Recipe:
    """How a child is trained on: the supernet's recipe from a tenth of its rate, by a cosine to 0, without a warm-up."""
    return replace(
        recipe, epochs=epochs, rate=PEAK * recipe.rate, schedule=Cosine(), warmup=0.0, sandwich=SandwichRule()
    )


def _train_on(done: RunFolder, state: Search, how: SearchOptions, row: FrontRow) -> None:
    """On the images that the supernet was trained on. The statistics of its norms are made anew, as a child's are."""
    recipe, where, watcher = finishing(state.recipe, how.finish), state.examiner.device, state.watcher
    spec, seed = state.space.biggest(), state.run.seed
    model, teacher = (state.examiner.child(one) for one in (state.space.spec(row.genes), spec))
    feed = Feed(spec, state.parts, recipe, seed, state.run.config.workers)
    watcher.stage("finish", f"{row.budget}: {plural(how.finish, 'epoch')} of {plural(feed.steps_per_epoch, 'step')}")
    with Termination() as termination, termination.deferred():
        for record in fit(
            Finishing(model, teacher, state.task, recipe),
            recipe,
            feed,
            prepare=normaliser(spec, where),
            evaluate=lambda network: {},
            checkpoint=done.file("last.pt"),
            device=where,
            seed=seed,
            ranks=Ranks(device=where),
            stop=lambda: termination.asked,
        ):
            match record:
                case Started():
                    done.rewind(record.step)
                    if record.step:
                        watcher.note(f"resuming after step {record.step} of {record.steps}")
                case EpochDone():
                    watcher.record(record)
                    done.log(Epoch.of(record, state.task.running))
                case StepDone():
                    watcher.record(record)
        state.examiner.recalibrate(model)
        _ship(done, state, model)
    forget_checkpoint(done.file("last.pt"))


def _ship(run: RunFolder, state: Search, model: Model) -> None:
    says = metadata_of(model.spec, state.images.classes, state.task)
    write_weights(run.file("model.safetensors"), model.state_dict(), says=asdict(says))


def _describe(child: RunFolder, state: Search, config: Config, how: SearchOptions, row: FrontRow) -> None:
    base, budget = state.space.base, Budget.parse(row.budget.replace("+", ","))
    spec = replace(state.space.spec(row.genes), name=f"{base.name}-{row.budget}")
    child.write_spec(spec)
    child.write_data(state.run.data)
    child.write_config(
        replace(
            config,
            name=spec.name,
            budgets=(),
            how=None,
            budget=str(budget),
            base=base.name,
            rule="search",
            met=met(budget, cost(spec), row.ms, how.aimed, how.runtime),
            threads=how.threads,
            runtime=how.aim.recorded,
            cost=cost(spec),
            stages=tuple(Stage(**asdict(one)) for one in stage_rows(spec)),
            differences=("cut out of a supernet, with norm statistics of its own; not trained further",),
        )
    )
