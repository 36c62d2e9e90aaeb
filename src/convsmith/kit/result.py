"""What a kit brings back: `result.json`, read as something that was carried by hand from a machine nobody here knows."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..runs.record import Record, parsed
from .manifest import Manifest

__all__ = ["Convolution", "Machine", "Network", "Profile", "Result", "Round"]


@dataclass(frozen=True)
class Machine(Record):
    """The device that the kit was run on."""

    processor: str
    system: str
    cores: int
    python: str
    package: str
    version: str


@dataclass(frozen=True)
class Round(Record):
    """One round of a group: the ms of an image of each network, with so many threads and images at once."""

    threads: int
    batch: int
    group: int
    ms: Mapping[str, float]
    seconds: float
    mhz: float | None = None


@dataclass(frozen=True)
class Convolution(Record):
    """A convolution in a profile: what it is called, its ms, the shapes of picture and filters, that of what it wrote."""

    name: str
    ms: float
    taken: tuple[tuple[int, ...], tuple[int, ...]]
    given: tuple[int, ...]


@dataclass(frozen=True)
class Profile(Record):
    """What a runtime says of its kernels: of the convolutions each, of all together the ms and how many these are."""

    convolutions: tuple[Convolution, ...]
    ms: float
    kernels: int


@dataclass(frozen=True)
class Network(Record):
    """What was found of one network beside its rounds: energy of an image, and the profile of a whole batch."""

    threads: int
    batch: int
    network: str
    mj: float | None = None
    profile: Profile | None = None


@dataclass(frozen=True)
class Result(Record):
    """`result.json`. `slower` is how many times as long the end of it took as the beginning, by networks that were in every round;
    `too_many` are settings of more threads than the device has cores."""

    kit: str
    device: Machine
    settings: tuple[tuple[int, int], ...]
    slower: float
    throttled: bool
    rounds: tuple[Round, ...]
    networks: tuple[Network, ...]
    too_many: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def of(path: Path, *, accept_throttled: bool = False) -> tuple[Result, Manifest]:
        """A result, and the manifest of its kit, which lies beside it.

        Raises:
            UserError: it is cut off, of another kit, has what is no time, or its device throttled and nobody accepted that.
        """
        if not path.is_file():
            raise UserError(f"there is no {path}: a kit's `run.py` writes it at its end")
        manifest, kit = Manifest.of(path.parent)
        again = "copy it again, and if `run.py` did not end start it again on the device: it goes on where it was"
        try:
            found = parsed(Result, json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise UserError(f"{path} is cut off or damaged ({error}): {again}") from None
        if found.kit != kit:
            raise UserError(
                f"{path} is of another kit ({found.kit[:8]}) than the one in {path.parent} ({kit[:8]}): put it beside the "
                "manifest.json that it was measured by"
            )
        for threads, batch in found.settings:
            for group, own in enumerate(manifest.groups()):
                found._refuse_gaps(manifest, (threads, batch), group, own, f"{path} is cut off or damaged: {again}")
        if wrong := found._wrong(manifest):
            raise UserError(f"{path} says that {wrong}: time it again")
        if found.throttled and not accept_throttled:
            raise UserError(
                f"{path} is from a device that throttled: its last quarter took {found.slower:.2f} times as long as its first. "
                "Cool the device, remove rounds.jsonl and run `run.py` again, or take it as it is with --accept-throttled"
            )
        return found, manifest

    def of_group(self, threads: int, batch: int, group: int) -> Sequence[Round]:
        return [one for one in self.rounds if (one.threads, one.batch, one.group) == (threads, batch, group)]

    def medians(self, threads: int, batch: int, group: int, ids: Sequence[str]) -> list[float]:
        """The median ms of an image of each of these networks."""
        rounds = self.of_group(threads, batch, group)
        return [statistics.median(one.ms[id] for one in rounds) for id in ids]

    def about(self, threads: int, batch: int, id: str) -> Network:
        """What was found of a network beside its rounds."""
        own = (one for one in self.networks if (one.threads, one.batch, one.network) == (threads, batch, id))
        return next(own)

    def _refuse_gaps(
        self, manifest: Manifest, setting: tuple[int, int], group: int, own: Sequence[str], said: str
    ) -> None:
        wanted = {*manifest.references, *own}
        rounds = self.of_group(*setting, group)
        known = {one.network for one in self.networks if (one.threads, one.batch) == setting}
        if not rounds or any(one.ms.keys() != wanted for one in rounds) or not wanted <= known:
            raise UserError(said)

    def _wrong(self, manifest: Manifest) -> str:
        """The first time that is none, as a sentence; empty where all are."""
        for one in self.rounds:
            for id, ms in one.ms.items():
                if not (math.isfinite(ms) and ms > 0):
                    return f"{manifest.network(id).name} took {ms:g} ms"
        for network in self.networks:
            for conv in () if network.profile is None else network.profile.convolutions:
                if not (math.isfinite(conv.ms) and conv.ms >= 0):
                    return f"a convolution of {manifest.network(network.network).name} took {conv.ms:g} ms"
        return ""
