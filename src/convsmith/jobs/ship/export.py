"""`export`: a network as a file that its runtime has run."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from torch import nn

from ...ambient import undisturbed
from ...arch import ArchSpec
from ...errors import UserError
from ...exporting import Exported
from ...exporting.runtimes import Shipped, runtime_named
from ...locks import at_work
from ...resolve import target_of
from ...runs import RunFolder
from ...watcher import Watcher
from ..feed import metadata_of, record_of_weights, refuse_misfit, samples_of, task_of
from ..options import Data
from ..source import Source
from .eight_bits import USUAL, EightBits
from .quantise import Shrunk, export_int8, run_data

__all__ = ["export"]


MOVED = 1e-3  # an eighth of a step of 8-bit images


@undisturbed()
def export(
    model: str | Path | ArchSpec | RunFolder | nn.Module,
    path: str | Path | None = None,
    *,
    to: str = "onnx",
    dynamic_batch: bool = True,
    int8: bool | EightBits = False,
    raw_input: bool = False,
    must: str = "",
    data: Data | None = None,
    val: str | Path | None = None,
    watcher: Watcher | None = None,
) -> Exported | Shipped | Shrunk:
    """A run, or any network that can be built, as a file that its runtime has run and that equals the network.

    `to` is the runtime: onnx, which onnxruntime runs, openvino, executorch, litert or coreml, whose files are not run but on
    Apple's systems. All but the first are installed by an extra of their name. The files of the last three hold one input at
    a time.

    A run is exported with what it was trained to; a live network as it is; a spec or a foreign name freshly initialised,
    which the watcher is told.

    With `int8` a run in eight bits instead, held against the float file; `must` are conditions that it has to meet, such as
    `ms<=5,drop<=0.5` (`quantise.export_int8`). `EightBits` instead of True says how: `cs.EightBits(keep=3)` leaves
    the three blocks in float that eight bits cost most.

    With `raw_input` the file takes uint8 pictures ⟨N,H,W,C⟩ of the network's size and gives probabilities, of either kind: its
    normalisation and its activation are inside. In a run's folder it is model.raw.onnx, beside what the run's report tells of.
    It is for ONNX files.

    `data` and `val` say where a run's data lies now, if it was moved.

    Raises:
        UserError: what cannot be exported, a run that is not trained, a place that cannot be written to, or a runtime that is not
            installed or cannot express the network.
        CheckFailed: a condition is broken; nothing is written.
    """
    runtime = runtime_named(to)
    runtime.require()
    if int8:
        if not dynamic_batch:
            raise UserError("a file in eight bits leaves the batch free")
        return export_int8(
            model,
            path,
            to=to,
            raw_input=raw_input,
            eight=int8 if isinstance(int8, EightBits) else USUAL,
            must=must,
            data=data,
            val=val,
            watcher=watcher,
        )
    if must:
        raise UserError("conditions are of files in eight bits: give int8=True")
    watcher, target = watcher or Watcher(), target_of(model)
    module, shape, samples = target.module(), target.input_shape(), None
    says = None if target.spec is None else metadata_of(target.spec)
    if target.live is not None and not target.given():
        refuse_misfit(target.label, module, shape)
    if said := target.assumed():
        watcher.note(said)
    if not target.trained:
        watcher.note(f"{target.label} is exported with random weights: it was not trained here")
    if target.run is not None:
        says = metadata_of(target.run.spec, target.run.data.classes, task_of(target.run.config))
        if (
            data is not None or not Source.of(target.run).own
        ):  # a dataset that lives in Python is not here: noise will do
            samples = samples_of(target.run.spec, run_data(target.run, data, val, watcher), runtime.shown)
    if raw_input and target.given():
        raise UserError(f"{target.label} is not shown pictures: --raw-input is for networks that are")
    named = Path(f"{target.label.replace(':', '-')}{runtime.suffix}")
    own = f"model{'.raw' if raw_input else ''}{runtime.suffix}"
    out = Path(path) if path else target.run.file(own) if target.run else named
    into = target.run if path is None else None  # the run whose folder is written into
    with nullcontext() if into is None else at_work(into.path):
        exported = runtime.export(
            module,
            out,
            input_shape=shape,
            dynamic_batch=dynamic_batch,
            samples=samples,
            metadata=says,
            raw_input=raw_input,
        )
        if (exported.moved or 0) > MOVED:
            watcher.note(
                f"the spectral norms had not converged: with their limits inside, what the file puts out differs by up to "
                f"{exported.moved:.2g} from the network's own"
            )
        if into is not None and not raw_input:
            record_of_weights(into, runtime.record, exported.to_record())
    return exported
