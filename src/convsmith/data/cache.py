"""A cache of decoded images: each decoded and made small enough once, then read as bytes that all processes share.

Three files, named after the data, the side and the place that the images come from:

    NAME-256px-PLACE.json        the index: the shape of every image, what it was made of, the SHA-256 of the pixels
    NAME-256px-PLACE-KEY.u8      the pixels, uint8, one image (height, width, channels) after another, and nothing else
    NAME-256px-PLACE.lock        whose lock is held by the process that builds

Of a film all frames are held, one below the other, as one image; a film that is very long is left in its file.

KEY is a hash of what the images are: the paths, sizes and times of files, the bytes of those in an `.npz`. So a name never
stands for other pixels, and whoever has mapped the old ones keeps them while new ones are made. The index is renamed into
its place last: what it names is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..errors import DataError
from ..files import unfinished
from ..locks import locked
from ..watcher import Watcher
from .inputs import Cached, CachedFilms, Encoded, Files, Films, Inputs, Joined, Pixels
from .pictures import decoded, unwarned
from .resize import covering, resized, shortened

__all__ = ["CHECKED_BYTES", "Cache"]

# Up to here the pixels are held against their checksum whenever training begins: 1.7 GiB a second, so at most seconds.
CHECKED_BYTES = 4 * 2**30

_VERSION = 2  # since which what is transparent lies on white
_BLOCK = 16 * 2**20
_CHUNK = 8  # images that a thread decodes before it hands them over
_FRAMES = 64  # of a film that are decoded at a time
_LONGEST = 2**27  # bytes of a film that is held: a minute or two, since it is whole in memory while it is written


@dataclass(frozen=True, eq=False)
class Cache:
    """A cache in `folder` of the images of `inputs`, of which those on disk or encoded are held, each once.

    An image is decoded whole and reduced until its short side has `side` pixels; a smaller one is left as it is. 0 stands
    for a side that is not decided yet. `place` says in a few letters where the images come from: what lies there may
    change, and the cache is then built anew; another place has another cache. Nothing is read or written before `ready`.
    """

    folder: Path
    name: str
    place: str
    inputs: tuple[Inputs, ...]
    side: int
    listener: Watcher | None = None

    def __reduce__(self) -> tuple[type[Cache], tuple[Any, ...]]:
        """Who listens stays in this process."""
        return Cache, (self.folder, self.name, self.place, self.inputs, self.side)

    def with_side(self, side: int) -> Cache:
        """This cache with `side` where none was decided."""
        return self if self.side else replace(self, side=side)

    def ready(self) -> None:
        """Build the cache, unless it is there and whole and of these very images. One of several processes builds it.

        Raises `DataError` where it cannot be written, and leaves nothing half done then.
        """
        images = _images(self.inputs)
        if not images:
            self.tell("the images are held in memory already: no cache is needed")
            return
        if not self._wrong(self._key(images), checked=True):
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._alone():
                wrong = self._wrong(self._key(images), checked=True)  # another process may have built it meanwhile
                if not wrong:
                    return
                if wrong != _NONE:
                    self.tell(f"the cache {self._index} {wrong}: it is built anew")
                self._build(images)
        except OSError as error:
            raise DataError(
                f"cannot write the cache {self._index}: {error.strerror or error}; nothing half done is left. Make room, "
                "give another folder, or train without a cache"
            ) from error

    def over(self, inputs: Inputs) -> Inputs:
        """`inputs` with its images taken from the cache, which is ready, as far as they are in it."""
        images = _images(self.inputs)
        if not images:
            return inputs
        if wrong := self._wrong(self._key(images), checked=False):
            raise DataError(f"the cache {self._index} {wrong}; another process must have changed it just now")
        pixels = Pixels(self._data(self._key(images)), _shapes(json.loads(self._index.read_bytes())))
        number = {_address(one.inputs, one.i): k for k, one in enumerate(images) if pixels.shapes[k].all()}
        return _over(inputs, pixels, number, _least(self.side))

    def tell(self, text: str) -> None:
        """Something that whoever listens should know."""
        if self.listener is not None:
            self.listener.note(text)

    # ---- the files ---------------------------------------------------------------------------------------------------

    @property
    def _stem(self) -> str:
        return f"{self.name}-{self.side}px-{self.place}"

    @property
    def _index(self) -> Path:
        return self.folder / f"{self._stem}.json"

    def _data(self, key: str) -> Path:
        return self.folder / f"{self._stem}-{key}.u8"

    def _wrong(self, key: str, *, checked: bool) -> str:
        """What is wrong with the cache, for a message; empty where it can be used."""
        try:
            index = json.loads(self._index.read_bytes())
            path, size = self._data(key), _shapes(index).prod(axis=1).sum()
            if index["version"] != _VERSION:
                return "is of an earlier version, which read some images otherwise"
            if index["key"] != key:
                return "is of other images, or of some that have changed since"
            if path.stat().st_size != index["bytes"] or size != index["bytes"]:
                return "is damaged: the size of its pixels is wrong"
            if checked and index["bytes"] <= CHECKED_BYTES and _checksum(path) != index["sha256"]:
                return "is damaged: its checksum does not agree"
        except FileNotFoundError:
            return "has lost its pixels" if self._index.exists() else _NONE
        except (OSError, ValueError, KeyError, TypeError):
            return "is damaged: it cannot be read"
        return ""

    def _key(self, images: list[_Image]) -> str:
        marks = "\n".join(image.mark for image in images)
        return hashlib.sha256(f"{_VERSION} {self.side}\n{marks}".encode(errors="surrogateescape")).hexdigest()[:16]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process at a time is inside; its lock ends with it, however it ends."""
        with (self.folder / f"{self._stem}.lock").open("a", encoding="utf-8") as lock:
            if not locked(lock):
                self.tell(f"another process is building the cache {self._index}: waiting for it")
                locked(lock, wait=True)
            yield

    # ---- building ----------------------------------------------------------------------------------------------------

    def _build(self, images: list[_Image]) -> None:
        self._sweep(f".{self._stem}", ".tmp")  # left by a process that was killed: nobody else is here
        key = self._key(images)
        data, shapes, digest = self._data(key), [], hashlib.sha256()
        with unfinished(data) as temporary, temporary.open("wb") as file:
            for image in _reduced(images, self.side):
                shapes.append(image.shape)
                digest.update(image.ravel().data)
                file.write(image.ravel().data)
                if self.listener is not None:
                    self.listener.count("decoding into the cache", len(shapes), len(images))
            size = file.tell()
        record = {"version": _VERSION, "side": self.side, "key": key, "pixels": data.name, "bytes": size}
        try:
            with unfinished(self._index) as temporary:
                text = json.dumps(record | {"sha256": digest.hexdigest(), "shapes": shapes})
                temporary.write_text(text, encoding="utf-8")
        except OSError:
            data.unlink()
            raise
        self._sweep(f"{self._stem}-", ".u8", but=data.name)
        missing = sum(0 in shape for shape in shapes)
        self.tell(
            f"the cache {self._index} holds {len(images) - missing} images at {self.side} px, {size / 1e6:,.0f} MB"
            + (f"; {missing} could not be read, or are too long" if missing else "")
        )

    def _sweep(self, start: str, end: str, *, but: str = "") -> None:
        for entry in os.listdir(self.folder):
            if entry.startswith(start) and entry.endswith(end) and entry != but:
                (self.folder / entry).unlink()


_NONE = "is not there"


class _Image(NamedTuple):
    """What a cache holds one of; `mark` says what it is made of."""

    mark: str
    inputs: Files | Encoded | Films
    i: int


def _images(several: Iterable[Inputs]) -> list[_Image]:
    """The images that are on disk or encoded, each once, in an order that does not depend on that of the inputs."""
    found = {_address(leaf, i): (leaf, i) for leaf in _leaves(several) for i in range(len(leaf))}
    return sorted((_Image(_mark(leaf, i), leaf, i) for leaf, i in found.values()), key=lambda image: image.mark)


def _leaves(several: Iterable[Inputs]) -> Iterator[Files | Encoded | Films]:
    for inputs in several:
        match inputs:
            case Files() | Encoded() | Films():
                yield inputs
            case Joined(parts=parts):
                yield from _leaves(parts)


def _address(inputs: Files | Encoded | Films, i: int) -> Hashable:
    """Where an image lies: the same for the same image of another part of the same data."""
    return inputs.paths[i] if isinstance(inputs, Files | Films) else (id(inputs.joined), int(inputs.start[i]))


def _mark(inputs: Files | Encoded | Films, i: int) -> str:
    if isinstance(inputs, Encoded):
        return hashlib.sha256(inputs.bytes_of(i)).hexdigest()
    try:
        found = os.stat(inputs.paths[i])
    except OSError:
        return inputs.paths[i]
    mark = f"{inputs.paths[i]}\0{found.st_size}\0{found.st_mtime_ns}"
    return mark if isinstance(inputs, Films) or inputs.is_upright(i) else f"{mark}\0stored"


def _over(inputs: Inputs, pixels: Pixels, number: dict[Hashable, int], least: int) -> Inputs:
    match inputs:
        case Joined(parts=parts):
            return replace(inputs, parts=tuple(_over(part, pixels, number, least) for part in parts))
        case Films():
            at = np.array([number.get(_address(inputs, i), -1) for i in range(len(inputs))], np.int64)
            return CachedFilms(inputs, pixels, at)
        case Files() | Encoded():
            at = np.array([number.get(_address(inputs, i), -1) for i in range(len(inputs))], np.int64)
            return Cached(inputs, pixels, at, least)
        case _:
            return inputs


def _reduced(images: list[_Image], side: int) -> Iterator[np.ndarray]:
    """The pixels of each, few enough; none of one that cannot be read. Threads are a little ahead of the caller."""

    def one(image: _Image) -> np.ndarray:
        try:
            own = image.inputs
            if isinstance(own, Films):
                return _film(own, image.i, side)
            source = own.paths[image.i] if isinstance(own, Files) else own.bytes_of(image.i)
            upright = isinstance(own, Encoded) or own.is_upright(image.i)
            pixels = decoded(source, channels=0, least=_least(side), upright=upright)
        except OSError:
            return np.zeros((0, 0, 0), np.uint8)
        if min(pixels.shape[:2]) <= side:
            return pixels
        small = shortened(torch.from_numpy(pixels)[None].permute(0, 3, 1, 2), side)
        return small[0].permute(1, 2, 0).numpy()

    chunk_of = 1 if any(isinstance(image.inputs, Films) for image in images) else _CHUNK

    def chunk(first: int) -> list[np.ndarray]:
        return [one(image) for image in images[first : first + chunk_of]]

    threads = min(8, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads)
    coming: deque[Future[list[np.ndarray]]] = deque()
    try:
        with unwarned():
            for first in range(0, len(images), chunk_of):
                coming.append(pool.submit(chunk, first))
                if len(coming) > 2 * threads:
                    yield from coming.popleft().result()
            while coming:
                yield from coming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _film(films: Films, i: int, side: int) -> np.ndarray:
    """All frames of a film, each small enough, one below the other."""
    n, (height, width) = films.length(i), films.size(i)
    rows, columns = covering((side, side), height, width) if min(height, width) > side else (height, width)
    if n * rows * columns * 3 > _LONGEST:
        return np.zeros((0, 0, 0), np.uint8)
    every = np.empty((n, rows, columns, 3), np.uint8)
    for first in range(0, n, _FRAMES):
        numbers = np.arange(first, min(n, first + _FRAMES))
        frames = torch.from_numpy(films.reels[i].read(films.paths[i], numbers)).permute(0, 3, 1, 2)
        every[numbers] = resized(frames, rows, columns).permute(0, 2, 3, 1).numpy()
    return every.reshape(n * rows, columns, 3)


def _least(side: int) -> int:
    """Twice the pixels needed: the quick reduction inside the JPEG decoder then does not show after the resize."""
    return 2 * side


def _shapes(index: dict[str, Any]) -> np.ndarray:
    return np.array(index["shapes"], np.int64).reshape(-1, 3)


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
