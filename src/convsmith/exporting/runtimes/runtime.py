"""What a runtime answers that networks are shipped to: how its files are written, opened, run and shrunk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of_package
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import UserError, first_line
from ...files import check_writable
from ...latency import Runtime, Subject
from ..compared import Run
from ..errors import ExportError
from ..metadata import Metadata
from ..onnx import Exported
from ..prepared import Prepared
from ..snippets import Asked, snippet
from .shipped import Shipped, export_file

__all__ = ["Eight", "FileRuntime", "Images", "expressed"]

Images = NDArray[np.float32]
Eight = tuple[int, int]  # convolutions that run in eight bits, and convolutions


class FileRuntime(ABC):
    """A runtime and its file format.

    `name` is what `--to` calls it, `title` what its makers do, `package` the distribution whose version is told, `modules`
    what has to be importable, `extra` the extra of this package that installs them. `suffix` ends the names of its files.
    `timed` is what a timing calls it, None where nothing is run. `batches`: whether a file may leave its batch open; else it
    holds a fixed one. `chooses`: whether it is ours to say how ranges of eight bits are chosen, and what stays in float.

    `shown` is how many of a run's inputs a file is held against torch on, `asked` how Python asks one. `unrun` says why files
    are written and not run here, `floats` why there is none in eight bits; both are empty where they are.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    package: ClassVar[str]
    modules: ClassVar[tuple[str, ...]]
    extra: ClassVar[str]
    suffix: ClassVar[str]
    timed: ClassVar[Runtime | None]
    batches: ClassVar[bool] = False
    chooses: ClassVar[bool] = False
    shown: ClassVar[int] = 64
    unrun: ClassVar[str] = ""
    floats: ClassVar[str] = ""
    asked: ClassVar[Asked | None] = None

    def __str__(self) -> str:
        return f"{self.title} {self.version}"

    @property
    def version(self) -> str:
        """Of what is installed; empty where nothing is."""
        try:
            return version_of_package(self.package)
        except PackageNotFoundError:
            return ""

    @property
    def installed(self) -> bool:
        """Whether all that it needs can be imported. Imports nothing."""
        return all(find_spec(name) is not None for name in self.modules)

    def require(self) -> None:
        """Refuse a runtime that is not installed, with what installs it."""
        if not self.installed:
            raise UserError(f"{self.title} is not installed here: pip install 'convsmith[{self.extra}]'")

    def check(self, path: Path) -> None:
        """Refuse, before any work, a place or a name that a file of this runtime cannot have."""
        if path.suffix != self.suffix:
            raise UserError(f"a file for {self.title} is called NAME{self.suffix}, not {path.name}")
        check_writable(path)

    def refuse_raw(self) -> None:
        """Refuse to take uint8 pictures, where this runtime's files do not."""
        raise UserError(f"a file for {self.title} takes normalised images: leave out --raw-input, or give --to onnx")

    def refuse_choice(self) -> None:
        """Refuse to choose ranges, or blocks that stay in float, where eight bits are the runtime's own."""
        if not self.chooses:
            raise UserError(
                "how ranges are chosen, and which blocks stay in float, is of ONNX files: leave out --calibration, --keep and "
                f"--max-drop for {self.title}"
            )

    def files(self, path: Path) -> tuple[Path, ...]:
        """All that `write` makes at `path`; what names another comes last."""
        return (path,)

    @property
    def record(self) -> str:
        """The file in a run's folder that says what was found of its network in this runtime."""
        return f"export_{self.name}.json"

    @property
    def record_of_eight(self) -> str:
        """The same of the file in eight bits."""
        return f"export_{self.name}_int8.json"

    def snippet(self, path: Path, says: Metadata | None) -> str | None:
        """Some lines of Python that ask the file about a picture, without this package; None where there are none: of networks
        that are not shown pictures, and of files that are not run here."""
        if self.asked is None or says is None or says.frames or says.outputs[0] == "images":
            return None
        return snippet(path, says, self.asked)

    def export(
        self,
        model: nn.Module,
        path: Path,
        *,
        input_shape: tuple[int, ...],
        dynamic_batch: bool = True,
        samples: Tensor | tuple[Tensor, ...] | None = None,
        metadata: Metadata | None = None,
        raw_input: bool = False,
    ) -> Exported | Shipped:
        """`model` as a file that was run and compared (`export_file`), for any batch where it can be. Raw pictures are of
        ONNX files."""
        if raw_input:
            self.refuse_raw()
        batch = None if dynamic_batch else 1
        return export_file(model, path, self, input_shape=input_shape, batch=batch, samples=samples, metadata=metadata)

    @abstractmethod
    def write(self, network: Prepared, path: Path, *, batch: int | None, says: Metadata | None = None) -> None:
        """Write the network in floats, for batches of `batch`, None for any.

        Raises:
            ExportError: the runtime cannot express it.
        """

    def shrink(
        self, network: Prepared, whole: Path, path: Path, images: Sequence[Images], *, says: Metadata | None = None
    ) -> Eight | None:
        """Write the network in eight bits to `path`, calibrated on `images`, batches ⟨N,C,H,W⟩ that are normalised. `whole`
        is what `write` made of it. Gives how many convolutions are in eight bits, None where the runtime does not tell.

        Raises:
            UserError: this runtime has no files in eight bits, or cannot make this one.
        """
        raise UserError(self.floats)

    def load(self, path: Path, *, threads: int) -> Run:
        """The file as a function of a batch of each of its inputs."""
        raise UserError(self.unrun)

    def bound(self, path: Path, given: tuple[NDArray, ...], *, threads: int) -> Callable[[], object]:
        """One forward of a batch that was handed over before: what is timed."""
        run = self.load(path, threads=threads)
        return lambda: run(given)

    def subject(self, name: str, path: Path, given: tuple[NDArray, ...], *, threads: int) -> Subject:
        """The file at `path` to be timed on a batch of each of its inputs."""
        if self.timed is None:
            raise UserError(self.unrun)
        return Subject(name, self.timed, len(given[0]), self.bound(path, given, threads=threads), threads=threads)

    def on_noise(self, name: str, path: Path, noise: tuple[NDArray, ...], *, threads: int) -> Subject:
        """The file at `path` to be timed on `noise`, or on noise of its own where the file says what it takes."""
        return self.subject(name, path, noise, threads=threads)


@contextmanager
def expressed(title: str) -> Iterator[None]:
    """Whatever a converter raises, as an `ExportError` of one line that names the runtime."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # converters raise what their helpers do
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), first_line(error))
        raise ExportError(f"{title} cannot express this network: {type(error).__name__}: {said:.300}") from error
