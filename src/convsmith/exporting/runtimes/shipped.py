"""A network as a file of any runtime: written, run there, held against torch, and only then given its name."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...units import plural
from ..compared import Compared, compared, doubtful, held
from ..errors import ExportError
from ..metadata import Metadata, describe
from ..prepared import Prepared, prepared

if TYPE_CHECKING:
    from .runtime import FileRuntime

__all__ = ["Shipped", "export_file", "placed", "size_of"]


@dataclass(frozen=True, slots=True)
class Shipped:
    """A file that its runtime has run, and whose answers are the network's.

    `batch` is what it takes at once, None for any. `max_abs_difference`, `relative_difference` and `tolerance` are as of an
    `Exported`; `agreement` is the share of the `n` inputs of which the file and torch put the same class first, None where there
    are no classes. `not_run` says why nothing of these is known, and is empty where the file was run. `snippet` is some lines of
    Python that ask the file about a picture, without this package.
    """

    path: Path = field(compare=False)
    to: str
    bytes: int
    batch: int | None
    folded: int
    runtime: str
    max_abs_difference: float | None = None
    relative_difference: float | None = None
    tolerance: float | None = None
    agreement: float | None = None
    n: int = 0
    says: Metadata | None = None
    moved: float | None = None
    not_run: str = ""
    snippet: str | None = None

    @property
    def summary(self) -> tuple[str, ...]:
        """Lines for a person."""
        takes = "a batch of any size" if self.batch is None else f"a batch of {self.batch}"
        lines = (f"file      {self.path}", f"size      {self.bytes / 1e6:.2f} MB, {takes}")
        if self.not_run:
            return (*lines, f"answers   not known, by {self.runtime}: {self.not_run}")
        same = "" if self.agreement is None else f", the same class first for {self.agreement:.0%}"
        return (
            *lines,
            f"answers   within {self.relative_difference:.1e} of the network's (at most {self.tolerance:.0e} is allowed){same}; "
            f"{plural(self.n, 'input')} run by {self.runtime}",
        )

    def to_record(self) -> dict[str, Any]:
        """`export_NAME.json` of a run folder. `takes` is what an ONNX file says of itself: how images are prepared, the names
        of classes."""
        record = asdict(self)
        del record["path"], record["says"], record["snippet"]
        found = {"file": self.path.name} | {key: value for key, value in record.items() if value not in (None, "")}
        found["batch"] = "dynamic" if self.batch is None else self.batch
        return found if self.says is None else found | {"takes": describe(self.says)}


def export_file(
    model: nn.Module | Prepared,
    path: Path,
    runtime: FileRuntime,
    *,
    input_shape: tuple[int, ...],
    batch: int | None = 1,
    samples: Tensor | tuple[Tensor, ...] | None = None,
    tolerance: float = 1e-4,
    metadata: Metadata | None = None,
) -> Shipped:
    """Write `model` for `runtime` to `path`, run it there one input after another, and hold it against torch.

    `input_shape`, `samples`, `tolerance` and `metadata` are `export_onnx`'s; a `Prepared` network has the first two already.
    `batch` is what the file takes at once, None for any where the runtime's files can leave it open; 1 of a network that
    takes one at a time.

    Raises:
        UserError: the runtime is not installed, or `path` is no name for its files.
        ExportError: it cannot express the network, gives other answers, or the place cannot be written to.
    """
    runtime.require()
    runtime.check(path)
    ready = model if isinstance(model, Prepared) else prepared(model, input_shape=input_shape, samples=samples)
    batch = 1 if ready.alone or (batch is None and not runtime.batches) else batch
    found: Compared | None = None
    with placed(path, runtime) as made:
        runtime.write(ready, made, batch=batch, says=metadata)
        if not runtime.unrun:
            doubted = doubtful(ready, tolerance)
            run = runtime.load(made, threads=torch.get_num_threads())
            found = compared(ready, run, each=batch or 1, batches=batch is None, doubted=doubted)
            tolerance = held(ready, found, tolerance, path.name, doubted)
        size = size_of(made, runtime)
    about = Shipped(
        path,
        runtime.name,
        size,
        batch,
        ready.folded,
        str(runtime),
        says=metadata,
        moved=ready.moved,
        not_run=runtime.unrun,
        snippet=runtime.snippet(path, metadata),
    )
    if found is None:
        return about
    return replace(
        about,
        max_abs_difference=found.difference,
        relative_difference=found.relative,
        tolerance=tolerance,
        agreement=found.agreement,
        n=found.n,
    )


@contextmanager
def placed(path: Path, runtime: FileRuntime) -> Iterator[Path]:
    """A name to write a runtime's files to, which are moved to `path` if the block ends well, and vanish if not.

    Raises:
        ExportError: the system would not write; what was there before is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".convsmith-", dir=path.parent) as scratch:
            made = Path(scratch) / path.name
            yield made
            for file in runtime.files(made):
                target = path.with_name(file.name)
                if target.is_dir():
                    shutil.rmtree(target)
                file.replace(target)
    except OSError as error:
        full = "; the disk is full" if error.errno == errno.ENOSPC else ""
        raise ExportError(f"cannot write {path}: {error.strerror or error}{full}") from error


def size_of(path: Path, runtime: FileRuntime) -> int:
    """Bytes of all files that `runtime` has written to `path`."""
    each = (one for file in runtime.files(path) for one in (file.rglob("*") if file.is_dir() else (file,)))
    return sum(one.stat().st_size for one in each if one.is_file())
