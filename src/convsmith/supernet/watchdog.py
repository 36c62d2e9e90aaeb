"""Noticing that a supernet has collapsed, while there is still a good state to go back to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ..training import Ranks
from .shared import Supernet

__all__ = ["Watch", "look"]

# How far a child's loss may rise above its usual one: this share of the way back to chance, or of the least way that counts,
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
    """What is known so far: the usual losses of the smallest and the biggest child, the share of the scheduled rate that
    training runs at, how many good looks in a row there were, and how many falls in all."""

    usual: tuple[float, ...] = ()
    share: float = 1.0
    calm: int = 0
    falls: int = 0

    def judged(self, losses: tuple[float, ...], chance: float) -> str:
        """Why these losses, of the smallest and the biggest child, are a collapse; "" where they are not.

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
        """For a checkpoint; `Watch(**state)` reads it back."""
        return asdict(self)


@torch.no_grad()
def look(supernet: Supernet, images: Tensor, labels: Tensor, ranks: Ranks) -> tuple[float, float]:
    """Cross-entropy of the smallest and of the biggest child on a batch, by its statistics; over all processes' parts."""
    sums = torch.zeros(3, dtype=torch.float64, device=images.device)
    if len(labels):
        for which, spec in enumerate((supernet.space.smallest(), supernet.space.biggest())):
            logits = supernet.child(spec)(images).float()
            sums[which] = F.cross_entropy(logits, labels, reduction="sum").double()
        sums[2] = len(labels)
    ranks.total(sums)
    small, big, count = sums.tolist()
    return small / max(1, count), big / max(1, count)
