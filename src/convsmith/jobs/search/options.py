"""What a search may be told: how to train and to choose, the space, and the budgets by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from ...arch import ArchSpec
from ...data import check_channels
from ...errors import UserError, first_line, nearest
from ...latency import Runtime
from ...machine import this_machine
from ...ranges import at_least, check_numbers
from ...resolve import spec as resolve_spec
from ...runs import RunFolder, value
from ...supernet import SPACES, Space, space_from
from ...tagged import LATER
from ...units import Budget
from ..timing.devices import Aim

__all__ = ["SearchOptions", "Selector", "named_budgets", "space_in", "space_of"]


# A process that scores holds torch, the weights and the held-out images: beyond this memory is what counts.
MOST_SCORERS = 8


class Selector(Enum):
    """How children are looked for: BigNAS's coarse to fine; MnasNet's reward; the front of the whole space by NSGA-II."""

    COARSE_TO_FINE = "coarse-to-fine"
    REWARD = "reward"
    NSGA2 = "nsga2"


@dataclass(frozen=True)
class SearchOptions:
    """How the supernet is trained and the children are chosen.

    For the share `labels_first` of training all children learn from labels, and only then from the biggest. `per_round`
    mutations are scored a round for each budget, by 1-image latency in `runtime` with `threads` threads.
    `scorers` processes score children beside each other, 0: one for each core, 8 at most; `cluster` is the address of a Ray
    cluster that does it instead. `against` names networks, of which members scaled to the winners' multiply-adds are trained
    alone for comparison. With `finish` each winner is also trained on by itself for so many epochs, beside what was cut out.
    """

    space: str | None = None  # without one the task's: t32, of poses p16
    labels_first: float = 0.0
    rounds: int = 6
    per_round: int = 16
    threads: int = 1
    select: Selector = Selector.COARSE_TO_FINE
    scorers: int = 0
    cluster: str | None = None
    against: tuple[str, ...] = ()
    finish: int = field(default=0, metadata=LATER)
    aimed: str | None = field(default=None, metadata=LATER)  # the calibrated device elsewhere that milliseconds are of
    runtime: Runtime = field(default=Runtime.ORT, metadata=LATER)  # that they are of

    @classmethod
    def of(cls, run: RunFolder) -> SearchOptions:
        """What a search was told."""
        return value(cls, dict(run.config.how or {}), f"{run.file('config.json')} is damaged: how")

    def __post_init__(self) -> None:
        check_numbers(self)
        at_least("--labels-first, a share of training,", self.labels_first, 0, 1)
        at_least("--generations", self.rounds, 0)
        at_least("--per-generation", self.per_round, 1)
        at_least("--threads", self.threads, 1)
        at_least("--jobs", self.scorers, 0)
        at_least("--finish", self.finish, 0)

    @property
    def aim(self) -> Aim:
        """Whose milliseconds budgets are of."""
        return Aim(self.runtime, self.threads, self.aimed)

    @property
    def processes(self) -> int:
        """How many processes score on this machine."""
        return self.scorers or min(this_machine().cores, MOST_SCORERS)


def space_of(name: str, fit: Callable[[ArchSpec], ArchSpec] = lambda spec: spec) -> Space:
    """A space by its name (`t32`, `p16`, `bignas`), or the networks within a model; `fit` makes networks fit for the data.

    These are from three quarters as wide, half as deep and five eighths as large in their images; larger kernels may be 3 or
    5. Where `fit` decides what is shown, all children are shown it at one size: what a teacher says of places is then said of
    the student's.
    """
    if name in SPACES:
        space = SPACES[name]
        base = fit(space.base)
        sides = space.resolution if base.input == space.base.input else ()
        return replace(space, base=base, resolution=sides, head=space.head if base.head.choice else ())
    try:
        own = resolve_spec(name)
        spec = fit(own)
        check_channels(spec.input.channels)
        if spec.input != own.input:
            return space_from(spec, kernel=(3, 5))
        step = max(1, spec.input.resolution // 14)
        sides = tuple(round(share * spec.input.resolution / step) * step for share in (0.625, 0.75, 0.875))
        return space_from(spec, resolution=() if spec.head.decides else sides, kernel=(3, 5))
    except UserError as error:
        said = " ".join(str(error).splitlines()[:2]) if first_line(error).endswith(":") else first_line(error)
        hint = "" if "did you mean" in said else nearest(name, SPACES)
        raise UserError(f"--space {name}: {said}{hint}; it may be {', '.join(SPACES)} or a model") from None


def space_in(run: RunFolder) -> Space:
    """The space of a search, as its folder has it."""
    return run.of_parts(Space, "space.json")


def named_budgets(texts: Sequence[str]) -> dict[str, Budget]:
    """Budgets by what the user calls them; the name is the child's folder, too."""
    found = {text.strip(): Budget.parse(text.strip().replace("+", ",")) for text in texts}
    if len(found) < len(texts):
        raise UserError(f"a budget is named twice in {', '.join(texts)}")
    return found
