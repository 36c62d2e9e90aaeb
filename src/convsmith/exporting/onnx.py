"""ONNX: written by torch's exporter, then run by onnxruntime and compared, before the file takes its name."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import onnxruntime
import torch
from torch import nn

from ..ambient import quiet
from ..files import unfinished
from ..units import plural
from .compared import compared, doubtful, held
from .errors import ExportDiffers, ExportError
from .metadata import Metadata, describe
from .ort import runs
from .prepared import Prepared, prepared
from .raw import take_bytes
from .snippets import snippet

__all__ = ["ExportDiffers", "ExportError", "Exported", "export_onnx", "write_onnx"]

_PROTOBUF_LIMIT = 2**31 - 2**24  # one message holds 2 GiB; the graph itself needs some of it


@dataclass(frozen=True, slots=True)
class Exported:
    """An ONNX file that was run and found equal to the torch model.

    `folded` counts batch norms folded into convolutions. `max_abs_difference` is the largest over the logits of `n`
    images, `relative_difference` the same over the largest |logit|, which is at most `tolerance`, what was allowed. `says` is
    what the file says of itself. `moved`, of a network with spectral norms, is how far what it puts out is from the network's
    when these are replaced by what they converge to, as they are in the file.
    """

    path: Path = field(compare=False)
    bytes: int
    opset: int
    dynamic_batch: bool
    folded: int
    max_abs_difference: float
    relative_difference: float
    tolerance: float
    n: int
    runtime: str
    says: Metadata | None = None
    moved: float | None = None

    @property
    def snippet(self) -> str | None:
        """Some lines of Python that ask the file about a picture, without this package; None where it does not say how."""
        return None if self.says is None else snippet(self.path, self.says)

    @property
    def summary(self) -> tuple[str, ...]:
        """Lines for a person."""
        batch = "a batch of any size" if self.dynamic_batch else "a batch of 1"
        return (
            f"file      {self.path}",
            f"size      {self.bytes / 1e6:.2f} MB, opset {self.opset}, {batch}",
            f"answers   within {self.relative_difference:.1e} of the network's (at most {self.tolerance:.0e} is allowed), "
            f"{plural(self.n, 'image')} run by {self.runtime}",
        )

    def to_record(self) -> dict[str, object]:
        """`export.json` of a run folder."""
        record = asdict(self)
        del record["path"], record["dynamic_batch"], record["says"]
        if self.moved is None:
            del record["moved"]
        return {"file": self.path.name, "batch": "dynamic" if self.dynamic_batch else 1} | record


def export_onnx(
    model: nn.Module,
    path: Path,
    *,
    input_shape: tuple[int, ...],
    dynamic_batch: bool = True,
    opset: int | None = None,
    samples: torch.Tensor | tuple[torch.Tensor, ...] | None = None,
    tolerance: float = 1e-4,
    fold: bool = True,
    metadata: Metadata | None = None,
    raw_input: bool = False,
) -> Exported:
    """Write `model` (images in, logits out) to `path` and prove it by running it.

    A network built from a spec ends as its head says: with what it puts out `deployed`, under its names for it; a file of a head
    that is `alone` takes one image at a time, whatever is asked for.

    `input_shape` is (channels, height, width), of clips (channels, frames, height, width), `samples` normalised images, or
    clips, to compare on, None for eight of random noise; of a network that reads other things (`spec.shapes`) a tensor of each.
    They are run one by one, and all at once if the batch is dynamic. `opset` None leaves the choice to torch. The file takes its
    name only once it agrees: a failure leaves what was at `path` before. `metadata` is what the file says of itself, None for
    nothing. With `raw_input`, which needs it, the file takes uint8 pictures ⟨N,H,W,C⟩ and gives probabilities
    (`raw.take_bytes`).

    Rounding is no fault of a file: a network that magnifies it may differ by more than `tolerance` of the largest |logit|, up
    to four times what its own float32 differs from its float64 by, and a hundredth at most.

    Raises `ExportError` if the model cannot be expressed, is over 2 GB, differs by more than that, or if `path` cannot be
    written. An infinite tolerance lets any difference pass: with random weights the
    logits of a deep network without norms may be beyond what float32 can compare.
    """
    if raw_input and metadata is None:
        raise ExportError(
            "a file takes raw pictures where it is known how they are normalised; give a network with a spec"
        )
    if raw_input and len(input_shape) > 3:
        raise ExportError("a file takes raw pictures, not raw clips: export it without --raw-input")
    ready = prepared(model, input_shape=input_shape, samples=samples, fold=fold)
    dynamic_batch = dynamic_batch and not ready.alone
    with _writing(path) as temporary:
        used = write_onnx(ready, temporary, batch=None if dynamic_batch else 1, opset=opset, metadata=metadata)
        doubted = doubtful(ready, tolerance)
        found = compared(
            ready, runs(temporary, threads=torch.get_num_threads()), batches=dynamic_batch, doubted=doubted
        )
        tolerance = held(ready, found, tolerance, path.name, doubted)
        if raw_input and metadata is not None:
            metadata = take_bytes(temporary, metadata)
        written = temporary.stat().st_size
    return Exported(
        path=path,
        bytes=written,
        opset=used,
        dynamic_batch=dynamic_batch,
        folded=ready.folded,
        max_abs_difference=found.difference,
        relative_difference=found.relative,
        tolerance=tolerance,
        n=found.n,
        runtime=f"onnxruntime {onnxruntime.__version__}",
        says=metadata,
        moved=ready.moved,
    )


def write_onnx(
    network: Prepared,
    path: Path,
    *,
    batch: int | None,
    opset: int | None = None,
    metadata: Metadata | None = None,
) -> int:
    """Write the network to `path`, for batches of `batch` or, if None, of any size, and do not run it; the version of the
    operators that the file is made of.

    Raises:
        ExportError: ONNX cannot express it, or its weights are over 2 GB.
    """
    if network.bytes > _PROTOBUF_LIMIT:
        raise ExportError(f"the weights are {network.bytes / 1e9:.1f} GB and one ONNX file holds 2 GB")
    program = _program(network, batch, opset)
    program.model.metadata_props.update({} if metadata is None else describe(metadata))
    program.save(path, external_data=False)
    return int(program.model.opset_imports[""])


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    try:
        with unfinished(path) as temporary:
            yield temporary
    except OSError as error:
        full = "; the disk is full" if error.errno == errno.ENOSPC else ""
        raise ExportError(f"cannot write {path}: {error.strerror or error}{full}") from error


def _program(network: Prepared, batch: int | None, opset: int | None) -> torch.onnx.ONNXProgram:
    # Two images: an exporter that sees a batch of one takes the one for a constant.
    blank = network.blank(2 if batch is None else batch)
    dynamic = ({0: torch.export.Dim("batch")},) * len(blank) if batch is None else None
    with warnings.catch_warnings(), quiet("onnx_ir"), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated parts
        try:
            program = torch.onnx.export(
                network.network,
                blank,
                dynamo=True,
                opset_version=opset,
                dynamic_shapes=dynamic,
                input_names=list(network.names),
                output_names=list(network.outputs),
                external_data=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            hint = "; a static batch may work" if batch is None else ""
            raise ExportError(f"torch cannot express this model in ONNX: {_first_line(error)}{hint}") from error
    assert program is not None  # it is None only for the exporter before dynamo
    _forget_where(program)
    return program


def _forget_where(program: torch.onnx.ONNXProgram) -> None:
    """Drop the stack that the exporter notes behind each node: paths of this machine, and a fifth of a small INT8 file."""
    graph = program.model.graph
    graph.metadata_props.clear()
    for node in graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()


def _first_line(error: BaseException) -> str:
    return (str(error.__cause__ or error).strip().splitlines() or [type(error).__name__])[0]
