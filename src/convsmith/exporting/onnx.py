"""ONNX: written by torch's exporter, then run by onnxruntime and compared, before the file takes its name."""

from __future__ import annotations

import copy
import errno
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from ..ambient import quiet
from ..errors import CheckFailed, UserError
from ..files import unfinished
from ..model import Model
from .constants import fold_constants
from .fold import fold_batch_norm, fold_filters, fold_spectral
from .fold_graphs import split_graphs
from .metadata import Metadata, describe
from .ort import session
from .raw import take_bytes
from .snippets import snippet

__all__ = ["ExportError", "Exported", "export_onnx"]

_PROTOBUF_LIMIT = 2**31 - 2**24  # one message holds 2 GiB; the graph itself needs some of it
_ROUNDINGS = 4  # both sides round, in orders of their own, which also differ from image to image
_MOST = 1e-2  # beyond, nothing could be told from a wrong file
_NUDGE = 1e-5  # a hundred times what rounding does to an image
_JUMP = 1e-3  # of the largest number; what does not jump changes by about the nudge
_MOST_DOUBTED = 0.1


class ExportError(UserError):
    """The network was not exported; no file was written or replaced."""


class ExportDiffers(ExportError, CheckFailed):
    """The exported file was run and gave other answers than the network."""


@dataclass(frozen=True, slots=True)
class Exported:
    """An ONNX file that was run and found equal to the torch model.

    `folded` counts batch norms folded into convolutions. `max_abs_difference` is the largest over the logits of `n`
    images, `relative_difference` the same over the largest |logit|, which is at most `tolerance`, what was allowed. `says` is
    what the file says of itself. `moved`, of a network with spectral norms, is how far what it puts out is from the network's when
    these are replaced by what they converge to, as they are in the file.
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
    given = _given(model, samples, input_shape)
    names = model.spec.called if isinstance(model, Model) else ("images",)
    dynamic_batch = dynamic_batch and not _alone(model)
    reference, outputs = _deployed(model)
    reference, moved = _settled(reference, given)
    size = sum(weight.numel() * weight.element_size() for weight in reference.state_dict().values())
    if size > _PROTOBUF_LIMIT:
        raise ExportError(f"the weights are {size / 1e9:.1f} GB and one ONNX file holds 2 GB")
    one = () if len(given) == 1 else tuple(each[:1] for each in given)
    prepared, folded = reference, 0
    if fold:
        prepared, folded = fold_batch_norm(split_graphs(reference), input_shape=input_shape, given=one)
    prepared = fold_constants(fold_filters(prepared))
    with _writing(path) as temporary:
        program = _program(prepared, given, dynamic_batch, opset, names, outputs)
        program.model.metadata_props.update({} if metadata is None else describe(metadata))
        program.save(temporary, external_data=False)
        doubted = _doubted(reference, given[0]) if _decides(model) and math.isfinite(tolerance) else None
        difference, relative = _difference(reference, temporary, given, dynamic_batch, doubted)
        # Written so that a NaN fails; an infinite tolerance is for files that are only timed.
        if not relative <= tolerance:
            tolerance = max(tolerance, min(_ROUNDINGS * _rounding(reference, given, doubted), _MOST))
        if not relative <= tolerance and math.isfinite(tolerance):
            what = "number" if _decides(model) else "logit"
            raise ExportDiffers(
                f"{path.name} differs from the model by {difference:.3g}, {relative:.3g} of the largest {what}; allowed is "
                f"{tolerance:.3g}, which is more than rounding does"
            )
        if raw_input and metadata is not None:
            metadata = take_bytes(temporary, metadata)
        written = temporary.stat().st_size
    return Exported(
        path=path,
        bytes=written,
        opset=program.model.opset_imports[""],
        dynamic_batch=dynamic_batch,
        folded=folded,
        max_abs_difference=difference,
        relative_difference=relative,
        tolerance=tolerance,
        n=len(given[0]),
        runtime=f"onnxruntime {onnxruntime.__version__}",
        says=metadata,
        moved=moved,
    )


def _deployed(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """A copy of the network as a file ends, in evaluation mode on the CPU, and the names of what it puts out."""
    reference = copy.deepcopy(model).cpu().eval()
    if not isinstance(reference, Model):
        return reference, ("logits",)
    head = reference.spec.head
    reference.head = head.deployed(reference.head)
    return reference, head.puts_out


def _decides(model: nn.Module) -> bool:
    return isinstance(model, Model) and model.spec.head.decides


def _alone(model: nn.Module) -> bool:
    return isinstance(model, Model) and model.spec.head.alone


def _given(
    model: nn.Module, samples: torch.Tensor | tuple[torch.Tensor, ...] | None, input_shape: tuple[int, ...]
) -> tuple[torch.Tensor, ...]:
    """What is compared on, a tensor for each input."""
    spec = model.spec if isinstance(model, Model) and len(model.spec.shapes) > 1 else None
    if samples is None:
        if spec is not None:
            return spec.example(8, seed=0)
        return (torch.randn((8, *input_shape), generator=torch.Generator().manual_seed(0)),)
    given = samples if isinstance(samples, tuple) else (samples,)
    wanted = [input_shape] if spec is None else [shape.dims for shape in spec.shapes]
    if [tuple(one.shape[1:]) for one in given] != wanted or not all(len(one) == len(given[0]) > 0 for one in given):
        shapes, taken = (", ".join(map(str, all_)) for all_ in ([tuple(one.shape) for one in given], wanted))
        raise ExportError(f"samples are of shape {shapes}; the model takes (n, *{taken})")
    return tuple(one.detach().to("cpu", _single(one.dtype)).contiguous() for one in given)


def _single(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype.is_floating_point else dtype


@torch.no_grad()
def _settled(reference: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[nn.Module, float | None]:
    """The network with spectral norms that have converged, inside its weights, and how far that moves what it puts out; None where
    it has none."""
    settled = fold_spectral(reference)
    if settled is reference:
        return reference, None
    pairs = zip(tree_leaves(reference(*given)), tree_leaves(settled(*given)), strict=True)
    return settled, max(float((one - other).abs().max()) for one, other in pairs)


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    try:
        with unfinished(path) as temporary:
            yield temporary
    except OSError as error:
        full = "; the disk is full" if error.errno == errno.ENOSPC else ""
        raise ExportError(f"cannot write {path}: {error.strerror or error}{full}") from error


def _program(
    model: nn.Module,
    given: tuple[torch.Tensor, ...],
    dynamic_batch: bool,
    opset: int | None,
    names: tuple[str, ...],
    outputs: tuple[str, ...],
) -> torch.onnx.ONNXProgram:
    # Two images: an exporter that sees a batch of one takes the one for a constant.
    blank = tuple(torch.zeros((2 if dynamic_batch else 1, *one.shape[1:]), dtype=one.dtype) for one in given)
    dynamic = ({0: torch.export.Dim("batch")},) * len(given) if dynamic_batch else None
    with warnings.catch_warnings(), quiet("onnx_ir"), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated parts
        try:
            program = torch.onnx.export(
                model,
                blank,
                dynamo=True,
                opset_version=opset,
                dynamic_shapes=dynamic,
                input_names=list(names),
                output_names=list(outputs),
                external_data=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            hint = "; a static batch may work" if dynamic_batch else ""
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


@torch.no_grad()
def _difference(
    reference: nn.Module,
    path: Path,
    given: tuple[torch.Tensor, ...],
    dynamic_batch: bool,
    doubted: list[np.ndarray] | None,
) -> tuple[float, float]:
    """The largest absolute difference of an output, and its share of that output's largest number; of several outputs
    those of the one that differs by the largest share. What is `doubted` is left out."""
    runtime = session(path, threads=torch.get_num_threads())
    names = [one.name for one in runtime.get_inputs()]

    def run(batch: tuple[torch.Tensor, ...]) -> list[np.ndarray]:
        fed = {name: one.numpy() for name, one in zip(names, batch, strict=True)}
        return [np.asarray(one) for one in runtime.run(None, fed)]

    def joined(parts: list[list[np.ndarray]]) -> list[np.ndarray]:
        if any(len({one.shape for one in part}) > 1 for part in zip(*parts, strict=True)):
            raise ExportError(
                "torch cannot express this model in ONNX: the shape of what it puts out differs from image to image"
            )
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    expected = joined([[out.numpy() for out in tree_leaves(reference(*one))] for one in _singly(given)])
    found = [joined([run(one) for one in _singly(given)])]
    if dynamic_batch:
        found.append(run(given))
    if doubted is not None:
        for outputs in found:
            for own, other, where in zip(expected, outputs, doubted, strict=True):
                other[where] = own[where]
    apart = [_apart([outputs[at] for outputs in found], own) for at, own in enumerate(expected)]
    return max(apart, key=lambda pair: (math.isnan(pair[1]), pair[1]))


def _singly(given: tuple[torch.Tensor, ...]) -> Iterator[tuple[torch.Tensor, ...]]:
    """Batches of one."""
    return zip(*(torch.split(one, 1) for one in given), strict=True)


@torch.no_grad()
def _doubted(reference: nn.Module, images: torch.Tensor) -> list[np.ndarray]:
    """Which numbers of each output name another place when the images change by a hundred-thousandth, or in float64: two
    places score alike there, and rounding decides. A network of whose numbers it is more than a tenth cannot be compared.

    Raises:
        ExportError: such a network.
    """

    def asked(network: nn.Module, shown: torch.Tensor) -> list[np.ndarray]:
        return [out.numpy() for out in tree_leaves(network(shown))]

    own, others = asked(reference, images), [asked(reference, images * (1 + step)) for step in (-_NUDGE, _NUDGE)]
    with suppress(RuntimeError):  # of a network that is made for float32 alone
        others.append(asked(copy.deepcopy(reference).double(), images.double()))
    doubted = [
        np.any([np.abs(other[at] - one) > _JUMP * np.abs(one).max() for other in others], axis=0)
        for at, one in enumerate(own)
    ]
    if any(where.mean() > _MOST_DOUBTED for where in doubted):
        raise ExportError(
            f"{max(where.mean() for where in doubted):.0%} of what the network finds is anywhere else when its images change by "
            f"{_NUDGE:g}: there is nothing to hold a file against. Train it first"
        )
    return doubted


@torch.no_grad()
def _rounding(reference: nn.Module, given: tuple[torch.Tensor, ...], doubted: list[np.ndarray] | None = None) -> float:
    """How far float32 takes the network's outputs from those of float64, as a share of the largest; 0 where it is made for
    float32 alone."""
    double = copy.deepcopy(reference).double()
    try:
        pairs = [
            (tree_leaves(reference(*one)), tree_leaves(double(*(each.to(_double(each.dtype)) for each in one))))
            for one in _singly(given)
        ]
    except RuntimeError:
        return 0.0
    columns = zip(*(zip(single, exact, strict=True) for single, exact in pairs), strict=True)
    found = []
    for at, column in enumerate(columns):
        single = torch.cat([one for one, _ in column]).numpy()
        exact = torch.cat([one for _, one in column]).numpy()
        if doubted is not None:
            single[doubted[at]] = exact[doubted[at]]
        found.append(_apart([single], exact)[1])
    return max(found)


def _double(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype.is_floating_point else dtype


def _apart(found: list[np.ndarray], expected: np.ndarray) -> tuple[float, float]:
    difference = max(float(np.abs(one - expected).max()) for one in found)
    largest = float(np.abs(expected).max())
    if difference == 0:
        return 0.0, 0.0
    return difference, difference / largest if largest > 0 else math.inf
