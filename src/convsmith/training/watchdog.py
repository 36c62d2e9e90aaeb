"""Noticing that training has collapsed, while there is still a good state to go back to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor

from ..watcher import Looked, Watched
from .ranks import Ranks

__all__ = ["Lookout", "Watch"]

# How far a loss may rise above its usual one: this share of the way back to chance, or of the least way that counts,
# half of chance, so that near chance, where all is noise, a quarter more than a guess has is allowed.
TOLERANCE = 0.5
LEAST = 0.5
# Weight of a new look in the usual loss.
NEWS = 0.3
# The rate's share halves at a fall and doubles after so many good looks in a row.
SHRINK = 0.5
CALM = 5


@dataclass(frozen=True)
class Watch:
    """What is known so far: the usual numbers that looks saw, of a supernet the losses of the two that are watched; the
    share of the scheduled rate that training runs at, how many good looks in a row there were, and how many falls in all."""

    usual: tuple[float, ...] = ()
    share: float = 1.0
    calm: int = 0
    falls: int = 0

    def judged(self, losses: tuple[float, ...], chance: float) -> str:
        """Why these losses, of the smallest and the biggest, are a collapse; "" where they are not.

        They are where one is not finite, or has risen above its usual u (at most `chance`, the loss of a guess) by more than

            max(chance - u, chance / 2) / 2
        """
        for which, (name, loss) in enumerate(zip(("smallest", "biggest"), losses, strict=True)):
            usual = min(chance, self.usual[which]) if self.usual else chance
            if not loss <= usual + TOLERANCE * max(chance - usual, LEAST * chance):  # also where it is not a number
                return f"the {name} child's loss went from {usual:.3g} to {loss:.3g}, a guess has {chance:.3g}"
        return ""

    def passed(self, losses: tuple[float, ...]) -> Watch:
        """After a good look."""
        pairs = zip(self.usual or losses, losses, strict=True)
        grown = self.calm + 1 == CALM and self.share < 1
        return replace(
            self,
            usual=tuple(old + NEWS * (new - old) for old, new in pairs),
            share=min(1.0, self.share / SHRINK) if grown else self.share,
            calm=0 if self.calm + 1 == CALM else self.calm + 1,
        )

    def fallen(self, now: Watch) -> Watch:
        """This watch, of the state that is gone back to, after the fall that `now` saw: a smaller rate."""
        return replace(self, share=now.share * SHRINK, calm=0, falls=now.falls + 1)

    def state(self) -> dict[str, object]:
        """For a checkpoint; `restored` reads it back."""
        return asdict(self)

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Watch:
        return cls(**{**state, "usual": tuple(state["usual"])})


@dataclass(frozen=True)
class Lookout:
    """Who looks, at what: every `every` steps, and at an epoch's end, `look` says some numbers of what is trained, on the feed's
    first batch. `judged` says by these, what was usual and the share of all steps that is done why they are a collapse, or nothing
    where they are not; `told` makes the record of a look: of its step, its numbers and the share of the rate. `first` may refuse,
    before any training."""

    look: Callable[[Tensor, Any, Ranks], tuple[float, ...]]
    judged: Callable[[Watch, tuple[float, ...], float], str]
    told: Callable[[int, tuple[float, ...], float], Watched | Looked]
    every: int = 50
    first: Callable[[Tensor], None] = lambda images: None
