"""A search as it was asked for, and what is refused before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...costs import cost
from ...data import ImageData
from ...data.dividing import set_aside
from ...data.how import BY_FRAME, BY_INDIVIDUAL
from ...errors import UserError
from ...recipe import Recipe
from ...recipes import settle
from ...resolve import origin
from ...resolve import spec as resolve_spec
from ...supernet import SPACES, Space, refuse_recipe
from ...tasks import TASKS, Task, refuse_unread, task_for
from ...units import Budget
from ...watcher import Watcher
from ...weights import Fitted, fitted, onto
from ..fitting import fitted_to
from ..options import Data, Options, refuse_settings, resolved_recipe, source_of
from ..source import Source
from ..timing.devices import Aim, clock, in_two
from ..train.begin import regularised
from .foils import parsed
from .options import SearchOptions, named_budgets, space_of

__all__ = ["Request", "in_three"]

# Of each class, or of the individuals, the share of training images that the supernet never sees: children are chosen by them.
HELD_OUT = 0.1
# With fewer individuals, one held out takes more than a quarter of what could be learnt from.
INDIVIDUALS = 4


@dataclass(frozen=True)
class Request:
    """A search as it was asked for, understood; what can be refused without the data has been."""

    source: Source
    budgets: Mapping[str, Budget]
    how: SearchOptions
    options: Options

    @classmethod
    def of(cls, data: Data, to: str | Sequence[str], options: Options, how: SearchOptions) -> Request:
        """What `search` was given, understood. `options.device` may name the one to train on, one elsewhere whose milliseconds are
        meant, or both.

        Raises:
            UserError: what cannot be understood, or no supernet can be trained by.
        """
        here, aimed = in_two(options.device)
        budgets = named_budgets(to.split(",") if isinstance(to, str) else to)
        aim = Aim.of(aimed, how.runtime, how.threads, budgets.values())
        options, how = replace(options, device=here), replace(how, aimed=aim.device, runtime=aim.runtime)
        if how.space is not None:
            space_of(how.space)
        for name in how.against:
            parsed(name)
        refuse_settings(options, list(dict.fromkeys(kind.recipes[0] for kind in TASKS)))
        if options.recipe is not None:
            refuse_recipe(resolved_recipe(options, ""))
        if options.folds is not None:
            raise UserError("--folds is of a training: cross-validate the network that a search found, with `train`")
        if options.tensorboard:
            raise UserError("--tensorboard is of a training; a search draws its curves in its report")
        if options.pseudo is not None:
            raise UserError(
                "a search learns from no pseudo-labels: children would be chosen by images that they labelled"
            )
        return cls(source_of(data, options), budgets, how, options)

    def learnt(self, images: ImageData) -> tuple[Task, Recipe]:
        """What the networks are for, and the recipe, with its tables by size. Refused where the task cannot be searched for or
        does not read what the recipe sets, or a supernet cannot be trained by it."""
        task = task_for(images, self.options.class_weights, self.options.task_settings, word=self.options.task)
        task.chance(images.classes)
        recipe = resolved_recipe(self.options, task.recipes[0])
        refuse_recipe(recipe)
        refuse_unread(task, recipe)
        return task, recipe

    def chosen(self, task: Task) -> SearchOptions:
        """How is searched, with the task's own space where none was named."""
        return replace(self.how, space=self.how.space or task.space)

    def settled(self, images: ImageData) -> tuple[Space, Recipe, Fitted | None]:
        """The space of networks for these classes, the recipe in numbers for the biggest, which alone is regularised, and the
        weights that the biggest begins with.

        Raises:
            UserError: no network of the space meets a budget, the space leaves no choice, too few images to choose by, or
                weights of another network.
        """
        task, recipe = self.learnt(images)
        name = self.how.space or task.space
        space = space_of(name, lambda spec: fitted_to(spec, task, images))
        if images.filmed:
            raise UserError(
                f"a search trains networks that read pictures, and {images.name} has films: `convsmith design` scales one for clips"
            )
        begin = None
        if self.options.weights is not None:
            space, begin = self._begun(name, space, task, images)
        if space.size() == 1 or cost(space.smallest()) == cost(space.biggest()):
            raise UserError(f"{space.base.name}'s space leaves no choice: train that network by itself")
        _refuse_impossible(space, self.budgets.values())
        if not len(in_three(images, self.options.seed).val):
            raise UserError(
                f"{images.name} has one training image a class: a search holds some out to choose by, and needs two at least"
            )
        recipe = settle(recipe, space.biggest())
        return replace(space, base=regularised(space.base, recipe)), recipe, begin

    def _begun(self, name: str, space: Space, task: Task, images: ImageData) -> tuple[Space, Fitted]:
        """The weights of the model whose networks are searched, for the biggest of them, and the space as they need it."""
        if name in SPACES:
            raise UserError(
                f"no package has weights of the networks of {name}: --space MODEL searches within a network, such as "
                "resnet18, and that can begin with its weights"
            )
        assert self.options.weights is not None
        own = fitted_to(resolve_spec(name), task, images)
        fit = fitted(own, origin(self.options.weights, own.name), classes=own.head.n_names)
        as_trained = replace(space.base, input=fit.spec.input).with_style(
            norm=fit.spec.style.norm, conv=fit.spec.style.conv
        )
        space = replace(space, base=as_trained)
        return space, onto(fit, space.biggest())

    def refuse_slow(self, space: Space) -> None:
        """Refuse a limit in milliseconds that not even the smallest network meets: the better of two measurements, or the estimate.

        Raises:
            UserError: which limit it is, and what the smallest takes.
        """
        limits = {name: budget.ms for name, budget in self.budgets.items() if math.isfinite(budget.ms)}
        if not limits:
            return
        with clock(self.how.aim, Watcher()) as watch:
            least = min(watch(space.smallest()).median_ms for _ in range(2))
        for name, limit in limits.items():
            if least > limit:
                where = "here" if self.how.aimed is None else f"on {self.how.aimed}"
                raise UserError(
                    f"no network of {space.base.name}'s space is within {name} {where}: its smallest takes {least:.3g} ms"
                    f"{self.how.aim.told}"
                )


def _refuse_impossible(space: Space, budgets: Iterable[Budget]) -> None:
    """Refuse what can be refused before anything is trained."""
    least = cost(space.smallest())
    for budget in budgets:
        if least.macs > budget.macs or least.params > budget.params:
            raise UserError(f"no network of {space.base.name}'s space meets {budget}: its smallest has {least}")


def in_three(images: ImageData, seed: int) -> ImageData:
    """Training images without those held out, and these as its validation part: of other individuals, where there are four or
    more, since children that are chosen on the neighbours of what they learnt from are chosen for knowing these."""
    by = BY_INDIVIDUAL if len(set(images.train.groups)) >= INDIVIDUALS else BY_FRAME
    kept, out, _ = set_aside(images.train, HELD_OUT, None, seed, by)
    return replace(images, train=kept, val=out)
