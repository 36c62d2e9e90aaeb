"""What a verb may be given, and how each verb is asked: as a function of Python and as a command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import convsmith as cs
from convsmith.cli import main
from convsmith.errors import UserError
from convsmith.jobs.search.begin import export_child
from convsmith.latency import Runtime
from convsmith.watcher import Watcher

__all__ = [
    "FOLDERS",
    "GREY",
    "TINY",
    "Bare",
    "Cell",
    "Notes",
    "answers",
    "network_of",
    "python",
    "refused",
    "spec_of",
    "words",
]

FOLDERS = Path(__file__).parent / "folders-0.1"
TINY = cs.from_json((FOLDERS / "tiny.json").read_text())
GREY = TINY.with_channels(1)


class Bare(nn.Module):
    """A network of three channels that says nothing of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc(self.norm(self.conv(x)).relu().mean((2, 3)))
        return out


class Notes(Watcher):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


@dataclass
class Cell:
    """One verb on one thing: the thing, and where the verb may write. After it has run, its JSON or what it returned."""

    kind: str
    thing: Any
    place: Path
    capsys: pytest.CaptureFixture[str]
    to: str = "300k-macs"  # what it can be scaled to
    notes: str = ""

    @property
    def spoken(self) -> bool:
        """Whether a command line can name it."""
        return isinstance(self.thing, str)

    def run(self, *words: str) -> dict[str, Any]:
        """The JSON of a command line that must succeed; `{}` in it is the thing."""
        code = main([word.format(self.thing) for word in words] + ["--json"])
        told = self.capsys.readouterr()
        self.notes = told.err
        assert code == 0, told.err
        found: dict[str, Any] = json.loads(told.out)
        return found


# ---- the verbs -------------------------------------------------------------------------------------------------------


def python(verb: str, cell: Cell, watcher: Watcher) -> Any:
    """The verb's function."""
    it = cell.thing
    match verb:
        case "show":
            return cs.spec(it)
        case "scale":
            return cs.scale(it, to=cell.to, rule="width")
        case "measure":
            runtime = Runtime.ORT if cell.kind == "onnx" else Runtime.EAGER
            side = 64 if cell.kind in ("timm", "tv") else None
            return cs.measure([it], rounds=2, runtime=runtime, resolution=side, watcher=watcher)
        case "estimate":
            return cs.estimate(it, folder=cell.place)
        case "diagnose":
            return cs.diagnose(it, draws=1, resolution=64 if cell.kind in ("timm", "tv") else None, watcher=watcher)
        case "convert":
            side = 64 if cell.kind in ("timm", "tv") else None
            return cs.convert(it, "group", resolution=side, watcher=watcher)
        case "train":
            return cs.train(it, "digits", recipe="quick", watcher=watcher)
        case "train --weights":
            return cs.create("tiny.json", weights=it)
        case "design --base":
            return cs.design("digits", to=cell.to, rule="width", base=it, watcher=watcher)
        case "evaluate":
            return cs.evaluate(it)
        case "export":
            return cs.export(it, watcher=watcher)
        case "export --int8":
            return cs.export(it, int8=True)
        case "export --child":
            return export_child(it, 1)
        case "report":
            return cs.report([it])
        case "resume":
            return cs.resume(it)
        case "pseudo-label":
            return cs.pseudo_label(it, FOLDERS / "unlabelled.npz", "labels.json", threshold=0.0)
    raise AssertionError(verb)


def words(verb: str, cell: Cell) -> list[str]:
    """The verb's command line; `{}` is the thing."""
    foreign = ["--resolution", "64"] if cell.kind in ("timm", "tv") else []
    match verb:
        case "show" | "evaluate" | "report" | "resume" | "export":
            return [verb, "{}"]
        case "scale":
            return ["scale", "{}", "--to", cell.to, "--rule", "width"]
        case "measure":
            runtime = "ort" if cell.kind == "onnx" else "eager"
            return ["measure", "{}", "--rounds", "2", "--runtime", runtime, *foreign]
        case "estimate":
            return ["estimate", "{}", "--folder", "."]
        case "diagnose":
            return ["diagnose", "{}", "--draws", "1", *foreign]
        case "convert":
            return ["convert", "{}", "--norm", "group", *foreign]
        case "train":
            return ["train", "{}", "digits", "--dry-run"]
        case "train --weights":
            shutil.copy(FOLDERS / "tiny.json", cell.place)
            return ["train", "tiny.json", "digits", "--weights", "{}", "--dry-run"]
        case "design --base":
            return ["design", "digits", "--to", cell.to, "--rule", "width", "--base", "{}", "--dry-run"]
        case "export --int8":
            return ["export", "{}", "--int8"]
        case "export --child":
            return ["export", "{}", "--child", "1"]
        case "pseudo-label":
            return ["pseudo-label", "{}", str(FOLDERS / "unlabelled.npz"), "--out", "labels.json", "--threshold", "0"]
    raise AssertionError(verb)


def spec_of(cell: Cell) -> cs.ArchSpec:
    """What the thing's network is, read without the package's own resolving."""
    if cell.kind == "live":
        return GREY
    if cell.kind == "spec":
        return TINY
    return cs.from_json((cell.place / cell.thing / "spec.json").read_text())


def network_of(cell: Cell) -> nn.Module:
    """The thing's network with the weights in its folder."""
    model = cs.build(spec_of(cell))
    model.load_state_dict(load_file(cell.place / cell.thing / "model.safetensors"))
    return model.eval()


def answers(file: Path, images: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(file)
    return np.asarray(session.run(None, {session.get_inputs()[0].name: images.numpy()})[0])


def refused(verb: str, cell: Cell, said: str) -> None:
    """The verb refuses the thing in one line that says so, by the command line where that can name it and in Python, and leaves
    everything as it was."""
    line = [word.format(cell.thing) for word in words(verb, cell)]
    before = _contents(cell.place)
    if cell.spoken:
        code = main(line)
        told = cell.capsys.readouterr()
        assert code == 2 and told.out == ""
        error = told.err[told.err.index("error:") :]
        assert said in error and error.rstrip().count("\n") <= 1 and "Traceback" not in told.err
    with pytest.raises(UserError) as refusal:
        python(verb, cell, Watcher())
    assert said in str(refusal.value)
    assert _contents(cell.place) == before, "what is refused leaves everything as it was"


def _contents(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
