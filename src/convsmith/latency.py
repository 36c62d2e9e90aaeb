"""Honest milliseconds: every network is timed in every round, in random order, ranked only where the data allow.

On a shared machine the clock drifts: a neighbour wakes up, the processor cools, a cache is taken. Timing one
network after the other in a sequential loop puts that drift into the comparison; it once ranked ResNet-50 wrong by
a factor of two. So time is cut into rounds, each round times every subject once in a fresh random order, and two
subjects are compared by the ratio of their times *within* a round, where the drift cancels.
"""

from __future__ import annotations

import copy
import gc
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import FunctionType

import numpy as np
import torch
from torch import Tensor, nn

from .errors import UserError, nearest
from .layers import channels_last
from .machine import Machine, this_machine
from .shown import Shown
from .threads import in_threads
from .units import plural

__all__ = [
    "Latency",
    "Ratio",
    "Runtime",
    "Subject",
    "Timing",
    "compile_subject",
    "eager_subject",
    "interleave",
    "ratio",
    "summarise",
]

_SAMPLE_NS = 2_000_000  # a shorter sample is mostly the clock and the interpreter
_LEAST_ROUNDS = 5
_WARM_UP_NS = 2_000_000_000  # the cap for each subject, after its first call
_WINDOW = 3  # samples whose median is compared, and medians that must agree
_SETTLED = 0.03
_NOISY = 0.10  # a spread of rounds at which milliseconds say little
_UNRESOLVED = 0.05  # half an interval of a ratio at which ranking says little
_SAME = 0.02  # two sessions of one file were up to 1.5 % apart: memory layout, not the network


class Runtime(StrEnum):
    """What executes the forward: torch itself, eager or compiled, or a runtime that is given a file."""

    ORT = "ort"
    EAGER = "eager"
    COMPILE = "compile"
    OPENVINO = "openvino"
    EXECUTORCH = "executorch"
    LITERT = "litert"

    @classmethod
    def _missing_(cls, value: object) -> Runtime:
        known = [one.value for one in cls]
        raise UserError(f"milliseconds are those of {', '.join(known)}, not of '{value}'{nearest(str(value), known)}")


@dataclass(frozen=True, slots=True)
class Subject:
    """One network, ready to run: `run` makes one forward of `batch` images.

    `sync` waits for a device that works asynchronously, None where `run` returns with the work done. `threads` is
    the number of threads the subject was made for, None where it follows the process's setting.
    """

    name: str
    runtime: Runtime
    batch: int
    run: Callable[[], object] = field(repr=False)
    sync: Callable[[], object] | None = field(default=None, repr=False)
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds per image of one subject: the median over `n` rounds, with the 10th and 90th percentile.

    `samples` holds the rounds themselves, in order, so that `ratio` can pair two rows of one `Timing`.
    """

    name: str
    runtime: Runtime
    threads: int
    batch: int
    median_ms: float
    p10_ms: float
    p90_ms: float
    n: int
    samples: tuple[float, ...] = field(repr=False)

    @property
    def noisy(self) -> str | None:
        """What is to be minded where this machine was too busy for milliseconds to say much; None where it was not."""
        noise = _spread(self.samples)
        if not noise > _NOISY:
            return None
        return f"the rounds spread by {noise:.0%}: this machine is too noisy for its milliseconds to say much"

    @property
    def estimated_for(self) -> None:
        """It was measured, and so is of no device elsewhere."""
        return None

    @property
    def within(self) -> tuple[float, float]:
        """Between what four of five rounds lay."""
        return self.p10_ms, self.p90_ms

    @property
    def told(self) -> str:
        """A line that says what was measured, and how."""
        return (
            f"measured {self.median_ms:.3g} ms (p10 {self.p10_ms:.3g}, p90 {self.p90_ms:.3g}, n = {self.n}; {self.runtime}, "
            f"batch {self.batch}, {plural(self.threads, 'thread')})"
        )

    def to_record(self) -> dict[str, object]:
        """The row as JSON-ready values, without the samples."""
        record = asdict(self)
        del record["samples"]
        return record | {"runtime": self.runtime.value}


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two times with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, slots=True, repr=False)
class Timing(Shown):
    """What `interleave` found: a row per subject, in the order given, and what may be concluded from them.

    `noise` is the spread of one subject's rounds about their median, relative to it: 1.4826 x the median absolute
    deviation, that of the worst subject.
    """

    rows: tuple[Latency, ...]
    rounds: int
    noise: float
    verdict: tuple[str, ...]
    machine: Machine

    def __str__(self) -> str:
        rows = sorted(self.rows, key=lambda row: row.median_ms)
        said = (
            f"{row.name} {row.median_ms:.3f} ms ({row.p10_ms:.3f} to {row.p90_ms:.3f}, n = {row.n})" for row in rows
        )
        return "\n".join((*said, *self.verdict, str(self.machine)))

    def to_record(self) -> dict[str, object]:
        """`latency.json` of a run folder."""
        return {
            "rows": [row.to_record() for row in self.rows],
            "rounds": self.rounds,
            "noise": self.noise,
            "verdict": list(self.verdict),
            "machine": asdict(self.machine),
        }


def interleave(
    subjects: Sequence[Subject],
    *,
    threads: int,
    rounds: int = 100,
    seconds: float = 30.0,
    progress: Callable[[int, int], object] | None = None,
    seed: int = 0,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Timing:
    """Time every subject in every round, in an order drawn anew for each round.

    Each subject is first warmed up until its times stop changing. No round begins after `seconds` once five are
    done. A sample is the mean of as many forwards as last two milliseconds, after one forward that is not counted:
    it brings back the caches that the subject before has taken. `progress` is told rounds done and rounds asked for.

    Torch's thread count is set here, once for all subjects, and given back at the end; garbage is not collected
    while timing. `clock` counts nanoseconds.

    Raises `UserError` for no subjects, or one made for another number of threads.
    """
    _check(subjects, threads, rounds)
    rng = np.random.default_rng(seed)
    samples: list[list[float]] = [[] for _ in subjects]
    with in_threads(threads), _no_garbage_collection():
        calls = [_warm_up(subject, clock) for subject in subjects]
        began = clock()
        for done in range(rounds):
            if done >= _LEAST_ROUNDS and clock() - began > seconds * 1e9:
                break
            for index in rng.permutation(len(subjects)):
                subject = subjects[index]
                _elapsed(subject, 1, clock)
                samples[index].append(_elapsed(subject, calls[index], clock) / 1e6 / calls[index] / subject.batch)
            if progress is not None:
                progress(done + 1, rounds)
    return summarise(subjects, samples, threads=threads, seed=seed)


def summarise(
    subjects: Sequence[Subject], samples: Sequence[Sequence[float]], *, threads: int, seed: int = 0
) -> Timing:
    """The rows and the verdict of `samples[subject][round]`, in milliseconds per image."""
    rows = tuple(_latency(subject, tuple(times), threads) for subject, times in zip(subjects, samples, strict=True))
    noise = max(_spread(row.samples) for row in rows)
    return Timing(rows, min(row.n for row in rows), noise, _verdict(rows, noise, seed), this_machine())


def ratio(a: Latency, b: Latency, *, seed: int = 0) -> Ratio:
    """How many times as long `a` takes as `b`: the median of the ratios within each round of one `Timing`.

    The interval is the percentile bootstrap's over the rounds, with `seed`'s generator.
    """
    if a.n != b.n:
        raise ValueError(f"'{a.name}' has {a.n} rounds and '{b.name}' {b.n}: they are not from one timing")
    pairs = np.asarray(a.samples) / np.asarray(b.samples)
    drawn = np.random.default_rng(seed).integers(len(pairs), size=(2000, len(pairs)))
    low, high = np.quantile(np.median(pairs[drawn], axis=1), (0.025, 0.975))
    return Ratio(float(np.median(pairs)), float(low), float(high))


def eager_subject(
    name: str, model: nn.Module, *, input_shape: tuple[int, ...], batch: int = 1, given: tuple[Tensor, ...] = ()
) -> Subject:
    """`model` as torch runs it: a copy in eval mode, channels last, where it lives, on one fixed random input; on what is `given`,
    a batch, where it reads other things than images of `input_shape`."""
    return _torch_subject(name, Runtime.EAGER, _frozen(model), input_shape, batch, given)


def compile_subject(
    name: str, model: nn.Module, *, input_shape: tuple[int, ...], batch: int = 1, given: tuple[Tensor, ...] = ()
) -> Subject:
    """`model` through `torch.compile`, otherwise as `eager_subject`.

    It compiles at its first call, in `interleave`'s warm-up: the code depends on the thread count set there.
    """
    return _torch_subject(name, Runtime.COMPILE, _frozen(model), input_shape, batch, given)


def _torch_subject(
    name: str,
    runtime: Runtime,
    model: nn.Module,
    input_shape: tuple[int, ...],
    batch: int,
    given: tuple[Tensor, ...],
) -> Subject:
    if batch < 1:
        raise UserError(f"a batch has at least one image; got {batch}")
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    images = torch.randn((batch, *input_shape), generator=torch.Generator().manual_seed(0))
    shown = tuple(one.to(device) for one in given) or (channels_last(images.to(device)),)
    forward = torch.compile(_of_its_own(model)) if runtime is Runtime.COMPILE else model

    @torch.inference_mode()
    def run() -> object:
        return forward(*shown)

    return Subject(name, runtime, batch, run, torch.cuda.synchronize if device.type == "cuda" else None)


def _of_its_own(model: nn.Module) -> Callable[..., object]:
    """`model` as a function that shares its code with no other network's: of one piece of code torch compiles eight variants, and
    runs all further networks eagerly without an error."""

    def forward(*given: Tensor) -> object:
        return model(*given)

    return FunctionType(forward.__code__.replace(), globals(), forward.__name__, None, forward.__closure__)


def _frozen(model: nn.Module) -> nn.Module:
    return channels_last(copy.deepcopy(model).eval().requires_grad_(False))


def _check(subjects: Sequence[Subject], threads: int, rounds: int) -> None:
    if not subjects:
        raise UserError("nothing to measure: give at least one model")
    if threads < 1 or rounds < 1:
        raise UserError(f"threads and rounds are at least 1; got threads={threads}, rounds={rounds}")
    for subject in subjects:
        if subject.threads not in (None, threads):
            raise UserError(f"'{subject.name}' was made for {subject.threads} threads, not for {threads}")


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _elapsed(subject: Subject, calls: int, clock: Callable[[], int]) -> int:
    """Nanoseconds that `calls` forwards take."""
    began = clock()
    for _ in range(calls):
        subject.run()
    if subject.sync is not None:
        subject.sync()
    return clock() - began


def _warm_up(subject: Subject, clock: Callable[[], int]) -> int:
    """Run until the last medians agree, or the cap; the number of calls that make one sample."""
    _elapsed(subject, 1, clock)  # compiles, allocates, reads weights from disk: none of it recurs
    began, calls = clock(), 1
    medians: list[float] = []
    while clock() - began < _WARM_UP_NS:
        one = float(np.median([_elapsed(subject, calls, clock) / calls for _ in range(_WINDOW)]))
        calls = max(1, math.ceil(_SAMPLE_NS / max(one, 1.0)))
        medians = [*medians, one][-_WINDOW:]
        if len(medians) == _WINDOW and max(medians) <= (1 + _SETTLED) * min(medians):
            break
    return calls


def _latency(subject: Subject, samples: tuple[float, ...], threads: int) -> Latency:
    p10, median, p90 = (float(value) for value in np.quantile(samples, (0.1, 0.5, 0.9)))
    return Latency(subject.name, subject.runtime, threads, subject.batch, median, p10, p90, len(samples), samples)


def _spread(samples: tuple[float, ...]) -> float:
    median = np.median(samples)
    return float(1.4826 * np.median(np.abs(np.asarray(samples) - median)) / median)


def _verdict(rows: tuple[Latency, ...], noise: float, seed: int) -> tuple[str, ...]:
    """A sentence for each neighbouring pair, fastest first, and one on the machine where it is too noisy."""
    ranked = sorted(rows, key=lambda row: row.median_ms)
    pairs = [(fast, slow, ratio(slow, fast, seed=seed)) for fast, slow in itertools.pairwise(ranked)]
    sentences = []
    for told, neighbours in itertools.groupby(pairs, key=lambda pair: pair[2].low > 1 + _SAME):
        group = list(neighbours)
        if told:
            sentences += [f"{_label(f, rows)} is faster than {_label(s, rows)}: ratio {found}" for f, s, found in group]
        else:
            *names, last = [_label(row, rows) for row in (group[0][0], *(slow for _, slow, _ in group))]
            ratios = ", ".join(str(found) for *_, found in group)
            sentences.append(
                f"cannot rank {', '.join(names)} and {last}: {'ratios' if len(group) > 1 else 'ratio'} {ratios}"
            )
    resolution = max((math.sqrt(found.high / found.low) - 1 for *_, found in pairs), default=0.0)
    if resolution > _UNRESOLVED:
        sentences.append(f"this machine is too noisy to rank models that differ by less than {resolution:.0%}")
    if noise > _NOISY:
        sentences.append(f"the rounds of one model spread by {noise:.0%}: trust the ratios, not the milliseconds")
    return tuple(sentences)


def _label(row: Latency, rows: tuple[Latency, ...]) -> str:
    """The name, with what tells it apart where two rows share it."""
    alike = [other for other in rows if other.name == row.name]
    return row.name if len(alike) == 1 else f"{row.name} ({row.runtime}, batch {row.batch})"
