"""A network that is asked about one image after another, while the next ones are decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from ...ambient import usual
from ...data import Move
from ...data.given import Images, One, read, unpacked
from ...data.pictures import dim_and_deep, measured, unwarned, why
from ...data.showing import move_whole, shown
from ...data.spans import Span
from ...errors import DataError, UserError
from ...exporting import Metadata
from ...threads import in_threads
from ...watcher import Watcher
from .answers import Answer, Unreadable
from .reading import Asked, Reading

__all__ = ["BATCH", "Predictor"]

BATCH = 64
_READERS = 8  # threads that decode and resize, at the most
_LARGE = 2**17  # numbers in an array that takes a thread some time to resize


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Images that the network is asked about together: `images` are those that could be read, `moves` and `sizes` theirs where
    they are shown whole, and `reasons` say why each other one could not."""

    given: list[One]
    images: Tensor
    moves: dict[int, Move]
    sizes: dict[int, tuple[int, int]]
    reasons: dict[int, str]


@dataclass(frozen=True)
class Predictor:
    """A network ready to be asked, as often as wanted. `says` is what it takes and gives; `network` are its outputs for uint8
    images (n, channels, height, width), and `reading` what these mean; `threads` is how many it and the decoding may use each.
    """

    label: str
    says: Metadata
    reading: Reading
    network: Callable[[Tensor], tuple[Tensor, ...]]
    threads: int

    @property
    def span(self) -> Span | None:
        """Which frames of a film it reads at once; None where it reads images."""
        return Span(self.says.frames, self.says.stride) if self.says.frames else None

    @property
    def outputs(self) -> int:
        """How many classes it tells apart, or points it finds."""
        return len(self.reading.names)

    def stream(
        self, images: Images, *, top: int = 5, batch: int = BATCH, watcher: Watcher | None = None
    ) -> Iterator[Answer | Unreadable]:
        """What the network says of each image, in their order, while it looks at the next ones: a batch at a time is in memory.

        Raises:
            UserError: no images, or at the end: none that could be read.
        """
        for _, answers in self.batches(images, top=top, batch=batch, watcher=watcher):
            yield from answers

    def batches(
        self, images: Images, *, top: int = 5, batch: int = BATCH, watcher: Watcher | None = None
    ) -> Iterator[tuple[list[One], list[Answer | Unreadable]]]:
        """The images as they were given, batch by batch, with what the network says of them; as `stream`."""
        if top < 1 or batch < 1:
            raise UserError(f"top and batch are at least 1; got top={top}, batch={batch}")
        if self.span is not None:
            raise UserError(
                f"{self.label} reads clips of {self.span.frames} frames: give the path of one film, whose labels are told over time"
            )
        watcher = watcher or Watcher()
        chosen = unpacked(images, watcher.note)
        total = None
        if not isinstance(images, Iterator):  # an iterator may have no end
            listed = list(chosen)
            chosen, total = iter(listed), len(listed)
        first: Unreadable | None = None
        done = readable = faint = 0
        for given, found in self._answered(chosen, top, min(batch, self.reading.most)):
            done += len(found)
            watcher.count("predicting", done, done if total is None else total)
            for one in found:
                if not isinstance(one, Unreadable):
                    readable += 1
                    faint += one.path is not None and dim_and_deep(one.path)
                elif first is None:
                    first = one
            yield given, found
        if not done:
            raise DataError("there are no images to look at")
        if faint:
            watcher.note(
                f"{faint} of {done} images have more than 8 bits and use less than a quarter of their range, as 12-bit data in "
                "16-bit files: they are shown all but black, as in training"
            )
        if first is not None and not readable:
            what = first.path or f"image {first.index}"
            raise DataError(f"none of {done} images could be read, {what} first: {first.why}" if done > 1 else
                            f"{what} cannot be read: {first.why}")  # fmt: skip

    def _answered(
        self, images: Iterator[One], top: int, batch: int
    ) -> Iterator[tuple[list[One], list[Answer | Unreadable]]]:
        """The answers batch by batch. While the network looks at one, threads find and decode the next."""
        start = 0
        with ThreadPoolExecutor(max_workers=1) as ahead:
            made: _Chunk | None = None
            while True:
                # Nothing is under way while the caller has the answers: warnings and threads are the process's.
                with unwarned(), usual(), in_threads(self.threads):
                    chunk = self._taken(images, batch) if made is None else made
                    if not chunk.given:
                        return
                    coming = ahead.submit(self._taken, images, batch)
                    found = self._asked(chunk, start, top)
                    made = coming.result()
                yield chunk.given, found
                start += len(chunk.given)

    def _taken(self, images: Iterator[One], batch: int) -> _Chunk:
        """The next images, prepared."""
        given = list(islice(images, batch))
        reasons: dict[int, str] = {}
        moves: dict[int, Move] = {}
        sizes: dict[int, tuple[int, int]] = {}
        if not given:
            return _Chunk(given, torch.empty(0), moves, sizes, reasons)
        canvas = self.says.resolution

        def picture(j: int, least: int) -> Tensor:
            try:
                image = read(given[j], channels=self.says.channels, least=least)
                if self.reading.whole:
                    decoded = image.shape[1], image.shape[2]
                    sizes[j] = measured(one) if isinstance(one := given[j], str) else decoded
                    moves[j] = Move.reduced(sizes[j], decoded).then(move_whole(decoded, canvas))
            except OSError as error:
                reasons[j] = why(error)
                raise
            return image

        # Of small arrays, one thread is done before a second has begun.
        large = any(not isinstance(one, np.ndarray) or one.size > _LARGE for one in given)
        images_, _ = shown(
            picture,
            len(given),
            sides=canvas,
            channels=self.says.channels,
            threads=min(_READERS, self.threads, len(given)) if large else 1,
            whole=self.reading.whole,
        )
        return _Chunk(given, images_, moves, sizes, reasons)

    @torch.inference_mode()
    def _asked(self, chunk: _Chunk, start: int, top: int) -> list[Answer | Unreadable]:
        paths = [one if isinstance(one, str) else None for one in chunk.given]
        found: dict[int, Answer | Unreadable] = {
            j: Unreadable(start + j, paths[j], because) for j, because in chunk.reasons.items()
        }
        kept = [j for j in range(len(chunk.given)) if j not in chunk.reasons]
        if kept:
            asked = [
                Asked(start + j, paths[j], chunk.moves.get(j, Move.identity()), chunk.sizes.get(j, (0, 0)))
                for j in kept
            ]
            found |= dict(zip(kept, self.reading.told(self.network(chunk.images), asked, top), strict=True))
        return [found[j] for j in range(len(chunk.given))]
