"""Which blocks of a network in eight bits stay in float: each is tried alone, then the worst are kept, one more at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data import Split
from ...errors import CheckFailed, UserError
from ...evals import bootstrapped, paired
from ...exporting.calibration import Images
from ...exporting.int8 import Quantiser
from ...exporting.ort import ort_subject
from ...exporting.sensitivity import Deviation
from ...latency import interleave
from ...runs import BlockAlone, KeptPoint
from ...scores import Interval, Metric, Unit
from ...watcher import Watcher
from .eight_bits import EightBits

__all__ = ["Choice", "Judge", "Judged", "choose", "halves"]

_CHOOSE = 1000  # images at most: as many files are scored on them as there are blocks, twice
_TIMED = 11  # files at most, whose sessions are in memory together
_ROUNDS = 40


@dataclass(frozen=True, eq=False)
class Judged:
    """What a file is worth on `n` images, and what each of them adds to that, where it is a mean over them."""

    metric: Metric
    each: NDArray[Any] | None
    n: int

    def lost(self, other: Judged) -> float:
        """How much worse another file is."""
        return self.metric.worth - other.metric.worth

    def lost_interval(self, other: Judged) -> Interval | None:
        """Its 95 % interval, from both files on the same images; None where the score is no mean over images."""
        if self.each is None or other.each is None:
            return None
        if self.each.dtype == bool:
            return paired(self.each, other.each)
        low, high = bootstrapped(self.each - other.each)
        return (low, high) if self.metric.more_is_better else (-high, -low)


Judge = Callable[[Path], Judged]


@dataclass(frozen=True)
class Choice:
    """The blocks that stay in float, `kept`, the worst first, and their `nodes`; what it rests on is as `runs.BlocksInFloat`
    says."""

    kept: tuple[str, ...]
    nodes: tuple[str, ...]
    blocks: tuple[BlockAlone, ...]
    curve: tuple[KeptPoint, ...]
    whole: Judged
    float_ms: float


def halves(part: Split) -> tuple[Split, Split]:
    """Images that choose, half of them and at most a thousand, and the others, which the choice is judged by; drawn, always alike.

    Raises:
        UserError: there are not two images.
    """
    if len(part) < 2:
        raise UserError(
            "the blocks that stay in float are chosen on one half of the validation images; there is but one"
        )
    drawn = np.random.default_rng(0).permutation(len(part))
    n = min(len(part) // 2, _CHOOSE)
    return part.take(np.sort(drawn[:n])), part.take(np.sort(drawn[n:]))


def choose(
    quantiser: Quantiser,
    units: Mapping[str, str],
    asked: EightBits,
    *,
    judge: Judge,
    images: Sequence[Images],
    folder: Path,
    threads: int,
    watcher: Watcher,
) -> Choice:
    """Try every block of `units`, a plan's paths and what they are, by itself in eight bits, order them by the deviation that this
    is on `images`, and score and time files in which the worst stay in float, one more at a time. They are written to `folder`.

    Raises:
        UserError: more blocks to keep than there are, or a limit in points of a score that has none.
        CheckFailed: no file keeps the limit.
    """
    nodes = quantiser.units(tuple(units))
    if asked.keep is not None and asked.keep >= len(nodes):
        raise UserError(
            f"the network has {len(nodes)} blocks that go in eight bits, and --keep {asked.keep} would leave it in float: keep at "
            f"most {len(nodes) - 1}"
        )
    whole = judge(quantiser.source)
    if asked.max_drop is not None and whole.metric.unit is not Unit.SHARE:
        raise UserError(
            f"--max-drop is in points of a share, and this network is judged by {whole.metric.words}: say how many blocks stay in "
            "float by --keep"
        )
    file = folder / "tried.onnx"

    def lost(floats: Sequence[str]) -> Judged:
        quantiser.save(file, floats=floats)
        return judge(file)

    watcher.stage("sensitivity", f"{len(nodes)} blocks, each by itself in eight bits")
    deviation, blocks = Deviation(quantiser, images), []
    for done, path in enumerate(nodes, 1):
        others = [name for other, own in nodes.items() if other != path for name in own]
        blocks.append(BlockAlone(path, units[path], deviation(others), whole.lost(lost(others))))
        watcher.count("blocks", done, len(nodes))
    worst = [block.path for block in sorted(blocks, key=lambda block: -block.deviation)]

    def floats(n: int) -> tuple[str, ...]:
        return tuple(name for path in worst[:n] for name in nodes[path])

    watcher.stage("keep", "the worst in float, one more at a time")
    tried = []
    for n in range(len(worst)):
        tried.append(lost(floats(n)))
        watcher.count("files", n + 1, len(worst))
    kept = _fewest(whole, tried, asked.max_drop) if asked.keep is None else asked.keep
    watcher.stage("measure", "these files and the float one, one after another")
    times = _timed(quantiser, {n: floats(n) for n in _spread(len(tried), kept)}, folder, threads)
    return Choice(
        kept=tuple(worst[:kept]),
        nodes=floats(kept),
        blocks=tuple(blocks),
        curve=tuple(KeptPoint(n, one.metric.value, whole.lost(one), times.get(n)) for n, one in enumerate(tried)),
        whole=whole,
        float_ms=times[None],
    )


def _fewest(whole: Judged, tried: Sequence[Judged], most: float | None) -> int:
    """The fewest blocks in float with which no more than `most` points are lost."""
    losses = [round(100 * whole.lost(one), 9) for one in tried]  # 0.93 - 0.925 is more than 0.005
    for n, lost in enumerate(losses):
        if most is None or lost <= most:
            return n
    raise CheckFailed(
        f"no file in eight bits keeps --max-drop {most:g}: with all blocks but one in float {losses[-1]:.2f} points are lost, and "
        f"{min(losses):.2f} at the least. Nothing was written"
    )


def _spread(n: int, chosen: int) -> list[int]:
    """Some of the numbers from 0 to n - 1, evenly spread, and the chosen one."""
    return sorted({*np.linspace(0, n - 1, min(n, _TIMED)).round().astype(int).tolist(), chosen})


def _timed(
    quantiser: Quantiser, floats: Mapping[int, Sequence[str]], folder: Path, threads: int
) -> dict[int | None, float]:
    """Milliseconds of one image for each number of blocks in float, and of the float file under None; interleaved."""
    files: dict[int | None, Path] = {None: quantiser.source}
    for n, own in floats.items():
        files[n] = folder / f"kept-{n}.onnx"
        quantiser.save(files[n], floats=own)
    subjects = [ort_subject(str(n), file, threads=threads) for n, file in files.items()]
    timing = interleave(subjects, threads=threads, rounds=_ROUNDS, seconds=30)
    return {n: row.median_ms for n, row in zip(files, timing.rows, strict=True)}
