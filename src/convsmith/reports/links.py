"""What a run's page points at in its folder: the files to take away, and the lines that use them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..errors import UserError
from .format import megabytes

__all__ = ["FileLink", "files_of", "usage", "within"]

_FILES = {
    "model.onnx": "the network, for onnxruntime and its like",
    "model.int8.onnx": "the same in eight bits",
    "model.xml": "the network, for OpenVINO, with model.bin",
    "model.bin": "its weights, for OpenVINO",
    "model.pte": "the network, for ExecuTorch",
    "model.tflite": "the network, for LiteRT",
    "model.int8.blocks.html": "what eight bits cost each of its blocks",
    "model.safetensors": "its weights, for PyTorch",
    "spec.json": "how it is built",
    "scores.json": "all scores",
    "metrics.jsonl": "a line an epoch",
    "latency.json": "what was measured",
    "config.json": "what was asked for",
    "data.json": "what it was trained on",
}


@dataclass(frozen=True)
class FileLink:
    """A file of the run: its name, the way to it from the page, its size, and what it is."""

    name: str
    href: str
    size: str
    what: str


def within(folder: Path, at: Path) -> str | None:
    """The way from a page in `at` to a run folder, ending in a slash or empty; None where it does not lie within `at`.

    A way that leads upwards would name folders of the machine, and be of no use where the page is mailed.
    """
    inner, outer = folder.resolve(), at.resolve()
    if not inner.is_relative_to(outer):
        return None
    way = inner.relative_to(outer).as_posix()
    return "" if way == "." else f"{quote(way)}/"


def files_of(folder: Path, at: Path) -> tuple[FileLink, ...]:
    """The files of a run that a reader may want, as links from a page in `at`."""
    way = within(folder, at)
    if way is None:
        return ()
    there = [(name, what, folder / name) for name, what in _FILES.items() if (folder / name).is_file()]
    return tuple(FileLink(name, way + name, megabytes(path.stat().st_size), what) for name, what, path in there)


def usage(folder: Path) -> str:
    """Some lines of Python that ask the run's exported file about a picture; empty where it is not there or does not say how."""
    file = folder / "model.onnx"
    if not file.is_file():
        return ""
    from ..exporting.metadata import of_session  # here, since most pages can be made without a runtime
    from ..exporting.ort import session
    from ..exporting.snippets import snippet

    try:
        return snippet(Path(file.name), of_session(session(file, threads=1), str(file)))
    except UserError:
        return ""
