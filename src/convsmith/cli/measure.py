"""`convsmith measure`: milliseconds on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..units import plural
from .early import known_model
from .options import MODEL_HELP, TIMING, Batch, Json, Resolution, Rounds, Runtime, Seed, Threads
from .output import emit, out, table, tell_machine, watching

if TYPE_CHECKING:
    pass

__all__ = ["measure"]


def measure(
    models: Annotated[list[str], Parameter(help=f"{MODEL_HELP[:-1]}, or an .onnx file.", validator=known_model)],
    /,
    *,
    runtime: Runtime = "ort",
    threads: Threads = 1,
    batch: Annotated[Batch, Parameter(group=TIMING)] = 1,
    rounds: Rounds = 30,
    resolution: Annotated[Resolution, Parameter(help="Another input side for every network.")] = None,
    json: Json = False,
    seed: Seed = 0,
) -> None:
    """Interleaved timing of MODELS on this machine: median, p10 and p90, and which of them can be ranked."""
    from ..jobs.timing.measure import measure as timed

    timing = timed(
        models,
        runtime=runtime,
        threads=threads,
        batch=batch,
        rounds=rounds,
        resolution=resolution,
        seed=seed,
        watcher=watching(),
    )
    if json:
        emit(timing.to_record())
        return
    body = [
        [row.name, f"{row.median_ms:.3f}", f"{row.p10_ms:.3f}", f"{row.p90_ms:.3f}", str(row.n)]
        for row in sorted(timing.rows, key=lambda row: row.median_ms)
    ]
    title = f"ms per image, {runtime}, batch {batch}, {plural(threads, 'thread')}"
    out.print(table(title, "<model median p10 p90 n", body))
    for sentence in timing.verdict:
        out.print(sentence, soft_wrap=True)
    tell_machine()
