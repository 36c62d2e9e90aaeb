"""Which frames of a film make a clip, and as how many clips a film is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arch import Image
from ..errors import UserError

__all__ = ["ONE", "Span", "Views", "span_of"]


@dataclass(frozen=True)
class Span:
    """A clip's `frames`, of which each is `stride` frames of the film behind the one before it."""

    frames: int
    stride: int = 1

    @property
    def reach(self) -> int:
        """Frames of the film from the first of the clip to the last, both among them."""
        return (self.frames - 1) * self.stride + 1

    def numbers(self, n: int, at: float) -> np.ndarray:
        """The numbers of a clip's frames in a film of `n` frames, int64 ⟨frames⟩. `at`, in [0, 1), says where it begins: 0 at the
        first frame, numbers near 1 so that it ends with the last, those between evenly in between.

        A film that is shorter than the clip is shown again from its beginning.

        >>> Span(3, stride=2).numbers(9, 0.5).tolist(), Span(4).numbers(3, 0.9).tolist()
        ([2, 4, 6], [0, 1, 2, 0])
        """
        room = max(1, n - self.reach + 1)
        return (int(at * room) + self.stride * np.arange(self.frames)) % n


ONE = Span(1)


def span_of(image: Image) -> Span | None:
    """The clip that a network of this input reads; None where it reads pictures."""
    return Span(image.frames, image.stride) if image.frames else None


@dataclass(frozen=True)
class Views:
    """How often evaluation looks at a film: at `clips` of it, spread evenly, each in `crops` that lie side by side along the longer
    side of the picture; one is its middle."""

    clips: int = 1
    crops: int = 1

    @classmethod
    def parse(cls, text: str) -> Views:
        """`10x3` is ten clips in three crops each, `4` four clips. Raises `UserError` for what is no such number."""
        clips, _, crops = text.lower().partition("x")
        if not (clips.isdecimal() and (crops or "1").isdecimal() and int(clips) and int(crops or "1")):
            raise UserError(f"views are CLIPSxCROPS, as in 10x3, or a number of clips; got '{text}'")
        return cls(int(clips), int(crops or "1"))

    def __len__(self) -> int:
        return self.clips * self.crops
