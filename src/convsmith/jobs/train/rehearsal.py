"""What a training job would take, from a few of its own steps."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...ambient import undisturbed
from ...codec import to_data
from ...costs import cost
from ...resolve import device
from ...runs import Known, notes_on
from ...tagged import LATER
from ...units import Cost, duration, plural
from ...watcher import Watcher
from ..feed import Feed, refuse_lone_images
from ..source import data_record
from ..timing.steps import STEPS, memory, peak_gib, seconds_a_step
from .begin import Job, sound

__all__ = ["Rehearsal", "rehearse"]


@dataclass(frozen=True)
class Rehearsal:
    """An estimate: `seconds_a_step` is the fastest of the steps tried, `memory_gib` the process's peak so far, NaN
    where the system does not say; `notes` are what is worth knowing of the data and the recipe."""

    name: str
    cost: Cost
    train_images: int
    val_images: int
    epochs: int
    steps: int
    seconds_a_step: float
    memory_gib: float
    device: str
    notes: tuple[str, ...] = ()
    what: str = field(default="image", metadata=LATER)  # what one of them is called

    @property
    def hours(self) -> float:
        return self.steps * self.seconds_a_step / 3600

    def lines(self) -> list[str]:
        return [
            f"would train {self.name}: {self.cost}",
            f"on {plural(self.train_images, self.what)}, validating on {self.val_images:,}: {plural(self.epochs, 'epoch')}, "
            f"{plural(self.steps, 'step')}",
            f"about {duration(3600 * self.hours)} on {self.device} ({1000 * self.seconds_a_step:.0f} ms a step, "
            f"without evaluation), {memory(self.memory_gib)}",
            *(f"note: {note}" for note in self.notes),
            "nothing was trained and nothing was written",
        ]

    def to_record(self) -> dict[str, object]:
        record: dict[str, object] = to_data(self)
        return record | {"hours": self.hours, "dry_run": True}


@undisturbed()
def rehearse(job: Job, watcher: Watcher) -> Rehearsal:
    """Take a few steps of the job on its own data, with a model that is thrown away."""
    if job.found is not None and not job.spec.head.makes:
        sound(job.found.spec, None)
    refuse_lone_images(job.spec, job.recipe, len(job.images.train))
    watcher.stage("rehearse", f"{STEPS} steps")
    where, spec, recipe = device(job.options.device), job.spec, job.recipe
    feed = Feed(spec, job.images, recipe, job.options.seed, job.options.workers)
    a_step = seconds_a_step(spec, job.task, recipe, feed, seed=job.options.seed, where=where)
    data = data_record(job.images)
    return Rehearsal(
        name=spec.name,
        cost=cost(spec),
        train_images=len(job.images.train),
        val_images=len(job.images.val),
        epochs=recipe.epochs,
        steps=recipe.epochs * feed.steps_per_epoch,
        seconds_a_step=a_step,
        memory_gib=peak_gib(where),
        device=str(where),
        notes=notes_on(Known(data, to_data(recipe), job.start is not None, makes=job.task.makes)),
        what=data.what,
    )
