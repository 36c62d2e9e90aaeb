"""Trains the steps of a study, each under several seeds, and keeps what is done: a study goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean

from ...ambient import undisturbed
from ...arch import ArchSpec
from ...codec import to_data
from ...costs import cost
from ...data import ImageData, check_channels
from ...data.readers.dataset import own_data
from ...errors import UserError
from ...files import write_json, write_text
from ...machine import this_machine
from ...plot import alone
from ...recipe import Recipe
from ...recipes import differences
from ...reports.bars import Bar
from ...reports.study import StudyRow, StudyView, render_study
from ...resolve import spec as resolve_spec
from ...scores import Unit, named
from ...shown import Shown
from ...tasks import TASKS, refuse_unread, task_for
from ...units import plural
from ...watcher import Watcher
from ..feed import Feed
from ..fitting import fitted_to, refuse_norms
from ..options import Data, Options, refuse_settings, resolved_recipe, source_of
from ..timing.steps import seconds_a_step
from ..train.begin import regularised
from .ladder import Effect, Rung, Step, climbed, effects, factors, ladder
from .trials import Trial, train_all

__all__ = ["Climbed", "climb", "hours_of", "planned"]

# Images at once to see how long training takes: a study may be of networks that no dry run should fill the memory with.
TRIED = 8


@dataclass(frozen=True, repr=False)
class Climbed(Shown):
    """A finished study: its steps, each step's headline score by seed, what they say, and where the page is; `words` name
    the score."""

    steps: tuple[Step, ...]
    scores: tuple[dict[int, float], ...]
    rungs: tuple[Rung, ...]
    effects: tuple[Effect, ...]
    report: Path
    words: str = "top-1"

    def __str__(self) -> str:
        each = (
            f"{step.name}: {self.words} {mean(own.values()):.2%} of {len(own)}"
            for step, own in zip(self.steps, self.scores, strict=True)
        )
        return "\n".join((f"a ladder of {plural(len(self.steps), 'step')}, {self.report}", *each))

    def to_record(self) -> dict[str, object]:
        return {
            "steps": [
                asdict(rung) | {"scores": own, "cost": to_data(cost(step.spec)), "recipe": to_data(step.recipe)}
                for rung, own, step in zip(self.rungs, self.scores, self.steps, strict=True)
            ],
            "effects": [asdict(effect) for effect in self.effects],
            "report": str(self.report),
        }


def planned(
    model: str | Path | ArchSpec,
    data: Data,
    *,
    resolution: int | None,
    study_factors: bool,
    grow: float,
    options: Options,
    watcher: Watcher,
) -> tuple[ImageData, ArchSpec, Recipe, Sequence[Step]]:
    """The data, the network for its classes, the recipe at the top and the steps of a study: all before anything is trained."""
    refuse_settings(options, list(dict.fromkeys(kind.study for kind in TASKS)))
    spec = resolve_spec(model)
    check_channels(spec.input.channels)
    images = source_of(data, options).load(watcher, own_data(data))
    task = task_for(images, settings=options.task_settings, word=options.task)
    recipe = resolved_recipe(options, task.study)
    refuse_unread(task, recipe)
    refuse_norms(recipe, weights=False)
    judged = named(task.headline_of(images.val.targets), 0.0)
    if task.makes:
        raise UserError("a ladder compares shares of right answers, and a generator is judged by a distance")
    if judged.unit is not Unit.SHARE:
        raise UserError(
            f"a ladder compares shares, and networks on {images.name} are judged by {judged.words}: no individual to validate on "
            "has a scale. --ruler A,B names two body parts whose distance is one"
        )
    spec = fitted_to(spec, task, images, resolution)
    steps = factors(spec, recipe, grow=grow) if study_factors else ladder(spec, recipe)
    return images, spec, recipe, steps


def hours_of(steps: Sequence[Step], images: ImageData, *, seeds: int, workers: int) -> float:
    """About how long all trainings take: from a few small batches of the last step, by one thread, as if time followed MACs."""
    top = steps[-1]
    few = replace(top.recipe, batch=min(top.recipe.batch, TRIED))
    an_image = seconds_a_step(top.spec, task_for(images), few, Feed(top.spec, images, few, 0, 0), threads=1) / few.batch
    epochs = sum(step.recipe.epochs * cost(step.spec).macs / cost(top.spec).macs for step in steps)
    return seeds * epochs * len(images.train) * an_image / workers / 3600


@undisturbed()
def climb(
    model: str | Path | ArchSpec,
    data: Data,
    *,
    out: Path,
    seeds: int = 3,
    resolution: int | None = None,
    study_factors: bool = False,
    grow: float = 2.0,
    options: Options | None = None,
    workers: int = 1,
    cluster: str | None = None,
    command: str = "",
    watcher: Watcher | None = None,
) -> Climbed:
    """The additive study of `model` on `data`, or with `study_factors` the 2 x 2 x 2 study, under seeds 0 to `seeds` - 1.

    `out` holds a result for each training, named by a hash of all that it depends on, the drawings and `study.html`. A
    training that has its result is not run again; one that was killed goes on from its checkpoint. `workers` of them are
    trained beside each other, each by one thread and all on the same split of the data, or as many as a Ray `cluster` has
    cores; the results are the same.

    Raises:
        UserError: fewer than one seed, or a training that diverged, by its step; the others are kept.
    """
    options, watcher = options or Options(), watcher or Watcher()
    if seeds < 1:
        raise UserError(f"a study needs at least one seed; got {seeds}")
    images, spec, recipe, steps = planned(
        model, data, resolution=resolution, study_factors=study_factors, grow=grow, options=options, watcher=watcher
    )

    watcher.stage("train", f"{plural(len(steps), 'step')} of {plural(seeds, 'seed')}")
    trials = [
        Trial(regularised(step.spec, step.recipe), step.recipe, seed, options.task_settings)
        for step in steps
        for seed in range(seeds)
    ]
    outcomes = train_all(trials, images, out, workers=workers, cluster=cluster, watcher=watcher)
    for at, outcome in enumerate(outcomes):
        if outcome.failed:
            raise UserError(f"'{steps[at // seeds].name}' under seed {at % seeds}: {outcome.failed}")
    scores = [{seed: outcomes[seeds * at + seed].top1 for seed in range(seeds)} for at in range(len(steps))]
    words = named(task_for(images).headline, 0.0).words
    rungs = climbed([step.name for step in steps], scores)
    found = effects(steps, scores) if study_factors else ()

    page, drawn = render_study(
        StudyView(
            title=f"{'Factors' if study_factors else 'Ladder'} of {recipe.name}: {spec.name} on {images.name}",
            heading="The eight corners" if study_factors else "What each step adds",
            caption=f"Mean {words} over the seeds with its 95 % interval."
            + ("" if study_factors else " Each step holds all above it; gains whose interval holds 0 are grey."),
            subtitle=(
                plural(seeds, "seed"),
                plural(len(images.train), "training image"),
                plural(len(images.val), "validation image"),
            ),
            rows=tuple(
                StudyRow(
                    _bar(rung, gains=not study_factors),
                    tuple(sorted(own.items())),
                    step.recipe.epochs,
                    cost(step.spec).macs,
                    cost(step.spec).params,
                )
                for rung, own, step in zip(rungs, scores, steps, strict=True)
            ),
            effects=tuple(Bar(effect.name, effect.mean, effect.interval) for effect in found),
            differences=tuple(differences(recipe, spec, images=len(images.train))),
            command=command,
            machine=this_machine().line,
        )
    )
    for name, text in ({"study.html": page} | {f"{name}.svg": alone(svg) for name, svg in drawn.items()}).items():
        write_text(out / name, text)
    made = Climbed(tuple(steps), tuple(scores), rungs, tuple(found), out / "study.html", words)
    write_json(out / "study.json", made.to_record())
    return made


def _bar(rung: Rung, *, gains: bool) -> Bar:
    if not gains:
        return Bar(rung.name, rung.mean, rung.interval)
    return Bar(rung.name, rung.mean, rung.interval, rung.gain, rung.gain_interval)
