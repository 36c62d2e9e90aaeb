"""`export`: a network as an ONNX file that onnxruntime has run."""

from __future__ import annotations

from pathlib import Path

from ...errors import UserError
from ...exporting import Exported, export_onnx
from ...resolve import target_of
from ...runs import Run
from ...watcher import Watcher
from ..feed import metadata_of, samples_of
from ..source import Source
from .quantise import Shrunk, export_int8

__all__ = ["export"]


def export(
    model: Run | str | Path,
    path: str | Path | None = None,
    *,
    dynamic_batch: bool = True,
    int8: bool = False,
    must: str = "",
    watcher: Watcher | None = None,
) -> Exported | Shrunk:
    """A run, or any network that can be built, as an ONNX file that onnxruntime has run and that equals the network.

    With `int8` a run in eight bits instead, held against the float file; `must` are conditions that it has to meet, such as
    `ms<=5,drop<=0.5` (`quantise.export_int8`).

    Raises:
        UserError: what cannot be exported, or a place that cannot be written to.
        CheckFailed: a condition is broken; nothing is written.
    """
    if int8:
        if not dynamic_batch:
            raise UserError("a file in eight bits leaves the batch free")
        return export_int8(model, path, must=must, watcher=watcher)
    if must:
        raise UserError("conditions are of files in eight bits: give int8=True")
    target = target_of(model)
    samples, says = None, None if target.spec is None else metadata_of(target.spec)
    if target.run is not None:
        source = Source(**target.run.read("config.json")["source"])
        samples = samples_of(target.run.spec, source.load(watcher or Watcher()))
        says = metadata_of(target.run.spec, target.run.read("data.json")["classes"])
    out = Path(path) if path else target.run.file("model.onnx") if target.run else Path(f"{target.label}.onnx")
    exported = export_onnx(
        target.module(),
        out,
        input_shape=target.input_shape(),
        dynamic_batch=dynamic_batch,
        samples=samples,
        metadata=says,
    )
    if target.run is not None and path is None:
        target.run.write("export.json", exported.to_record())
    return exported
