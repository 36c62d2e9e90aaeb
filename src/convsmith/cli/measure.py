"""`convsmith measure`: milliseconds on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .options import COUNT, Json, RuntimeName, Seed
from .output import emit, machine_line, out, table, watching

if TYPE_CHECKING:
    pass

__all__ = ["measure"]


def measure(
    models: Annotated[list[str], Parameter(negative=())],
    /,
    *,
    runtime: Annotated[RuntimeName, Parameter(help="onnxruntime, eager torch or torch.compile.")] = "ort",
    threads: Annotated[int, Parameter(help="Threads of the runtime.", validator=COUNT)] = 1,
    batch: Annotated[int, Parameter(help="Images at once.", validator=COUNT)] = 1,
    rounds: Annotated[int, Parameter(help="Interleaved rounds.", validator=COUNT)] = 30,
    resolution: Annotated[int | None, Parameter(help="Another input side for every network.", validator=COUNT)] = None,
    json: Json = False,
    seed: Seed = 0,
) -> None:
    """Interleaved timing of MODELS on this machine: median, p10 and p90, and which of them can be ranked.

    A model is a name, a spec .json, a run folder, an .onnx file, timm:NAME or tv:NAME.
    """
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
    title = f"ms per image, {runtime}, batch {batch}, {threads} thread{'s' * (threads > 1)}"
    out.print(table(title, "<model median p10 p90 n", body))
    for sentence in timing.verdict:
        out.print(sentence, soft_wrap=True)
    out.print(machine_line(), style="dim", soft_wrap=True)
