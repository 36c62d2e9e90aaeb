"""Labels over time: what a classifier says of each stretch of a film, which is never in memory as a whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import overload

import torch
from torch import Tensor

from ...ambient import usual
from ...data import Move
from ...data.films import Film
from ...data.inputs import as_channels
from ...data.reels import rate_of
from ...data.showing import alone, centred
from ...data.spans import ONE, Span
from ...errors import DataError, UserError
from ...shown import Shown
from ...threads import in_threads
from ...watcher import Watcher
from .answers import Stretch
from .reading import Asked, Classes
from .stream import BATCH, Predictor

__all__ = ["Timeline", "over_time", "timeline", "windows"]


@dataclass(frozen=True, repr=False)
class Timeline(Shown, Sequence[Stretch]):
    """What a network says of a film: a `Stretch` after another. `seconds` is how long what could be read of it lasts, and `lost`
    why the rest could not, empty where there is none."""

    film: str
    seconds: float
    rows: tuple[Stretch, ...]
    lost: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Stretch: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Stretch, ...]: ...
    def __getitem__(self, at: int | slice) -> Stretch | tuple[Stretch, ...]:
        return self.rows[at]

    def __str__(self) -> str:
        return "\n".join((f"{self.film}: {self.seconds:.2f} s", *map(str, self.rows)))

    def to_record(self) -> dict[str, object]:
        return {
            "film": self.film,
            "seconds": self.seconds,
            "stretches": [one.to_record() for one in self.rows],
        } | ({"lost": self.lost} if self.lost else {})


def timeline(
    predictor: Predictor,
    film: str | Path,
    *,
    every: float | None = None,
    top: int = 5,
    batch: int = BATCH,
    watcher: Watcher | None = None,
) -> Timeline:
    """All of what `over_time` gives."""
    opened = Film(Path(film))
    rows = tuple(over_time(predictor, opened, every=every, top=top, batch=batch, watcher=watcher))
    return Timeline(str(film), rows[-1].end, rows, opened.lost)


def over_time(
    predictor: Predictor,
    film: Film,
    *,
    every: float | None = None,
    top: int = 5,
    batch: int = BATCH,
    watcher: Watcher | None = None,
) -> Iterator[Stretch]:
    """The `top` likeliest classes of each stretch of a film, as it is read: a clip begins every so many seconds, or where the one
    before it ends; the last one ends with the film. A film that is shorter than a clip is shown again from its beginning.

    A network that reads images is shown one frame of each stretch. A film of a varying rate is seen at its mean rate.

    Raises:
        UserError: the network does not tell classes, or `every` is not above 0. DataError: no frame could be read.
    """
    if not isinstance(predictor.reading, Classes):
        raise UserError(f"{predictor.label} does not tell classes: there are no labels over time")
    if every is not None and not every > 0:
        raise UserError(f"--every is a number of seconds above 0; got {every:g}")
    if top < 1 or batch < 1:
        raise UserError(f"top and batch are at least 1; got top={top}, batch={batch}")
    watcher = watcher or Watcher()
    span, rate = predictor.span or ONE, rate_of(str(film.path))
    hop = max(1.0, float(every * rate)) if every is not None else float(span.reach)
    says, name = predictor.says, str(film.path)

    def shown() -> Iterator[Tensor]:
        for frame in film.even(rate):
            picture = as_channels(torch.from_numpy(frame.copy()).permute(2, 0, 1), says.channels)
            yield centred(alone(picture), says.resolution, 1.0)[0]

    done = 0
    every_clip, most = windows(shown(), span, hop), max(1, min(batch, BATCH // span.frames))
    while some := list(islice(every_clip, most)):
        clips = torch.stack([clip for _, _, clip in some])
        with usual(), in_threads(predictor.threads), torch.inference_mode():
            outputs = predictor.network(clips if predictor.span else clips[:, :, 0])
        asked = [Asked(done + k, name, Move.identity()) for k in range(len(some))]
        for (first, behind, _), told in zip(some, predictor.reading.predictions(outputs, asked, top), strict=True):
            yield Stretch(told.index, first / float(rate), behind / float(rate), told.top)
        done += len(some)
        watcher.count("predicting", some[-1][1], max(film.frames, some[-1][1]))
    if not done:
        raise DataError(f"{film.path} has no frame that can be read")
    if film.lost:
        watcher.note(f"the end of {film.path} could not be read: {film.lost}")


def windows(frames: Iterable[Tensor], span: Span, hop: float) -> Iterator[tuple[int, int, Tensor]]:
    """Clips ⟨C,T,H,W⟩ of frames ⟨C,H,W⟩, each with the number of its first frame and of the one behind its last: one that begins
    at every `hop`-th frame (1 or more) as far as they go, and one that ends with the last frame. No more frames are held than a
    clip reaches over."""
    held: deque[Tensor] = deque(maxlen=span.reach)
    n, begun, wanted = 0, -1, 0.0

    def clip() -> Tensor:
        return torch.stack([held[k] for k in span.numbers(len(held), 0.0).tolist()], 1)

    for frame in frames:
        held.append(frame)
        n += 1
        if n - span.reach == int(wanted):
            begun, wanted = n - span.reach, wanted + hop
            yield begun, n, clip()
    if held and (first := max(0, n - span.reach)) != begun:
        yield first, n, clip()
