"""`Run`: a run folder whose files are values and whose verbs are methods."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from ..errors import UserError
from ..exporting import Exported
from ..exporting.runtimes import Shipped
from ..jobs.evaluate import evaluate
from ..jobs.feed import trained
from ..jobs.folders import report as write_report
from ..jobs.options import Data
from ..jobs.predict import Predictions, Timeline, predict
from ..jobs.search.begin import child_model
from ..jobs.ship.eight_bits import EightBits
from ..jobs.ship.export import export
from ..jobs.ship.quantise import Shrunk
from ..jobs.studies.folds import write_folds
from ..model import Model
from ..resolve import weights_of
from ..runs import Kind, RunFolder
from ..scores import Scores
from ..watcher import Watcher

__all__ = ["Run"]


class Run(RunFolder):
    """The folder `runs/NAME`. Its files are values: `spec`, `config`, `data`, `scores`, `latency`, `epochs`; of a search
    `front` and `foils`. docs/run-folder.md lists them.

    `Run.open("runs/demo").scores["top1"]` is a number, `.model()` the trained network, `.report` the page's path.
    """

    def model(self, child: int | None = None) -> Model:
        """The trained network, in evaluation mode; of a search its front's `child`, counted from 1 as the page does.

        Raises:
            UserError: nothing is trained yet, or a search without saying which child.
        """
        if self.kind is Kind.SEARCH:
            if child is None:
                raise UserError(f"{self.path} is a search: say which child of its front, or ask one of `children`")
            return child_model(self, child)
        if child is not None:
            raise UserError(f"{self.path} is {self.kind.value}, which has no children")
        weights_of(self)
        return trained(self, self.spec)

    @property
    def children(self) -> tuple[Run, ...]:
        """The winners of a search, in the order of its budgets: runs like any other. None of a run that is no search."""
        if self.kind is not Kind.SEARCH or not self.has("front.json"):
            return ()
        return tuple(Run.open(self.child(row.budget).path) for row in self.front.winners)

    @property
    def finished_children(self) -> tuple[Run, ...]:
        """The same winners as they were trained on, of a search with `finish`: runs like any other."""
        if self.kind is not Kind.SEARCH or not self.has("front.json"):
            return ()
        places = (self.finished(row.budget).path for row in self.front.winners)
        return tuple(Run.open(place) for place in places if (place / "config.json").is_file())

    @property
    def folds(self) -> tuple[Run, ...]:
        """The networks of a cross-validation: runs like any other. None of a run that is no cross-validation."""
        return tuple(Run(self.fold(at).path) for at in range(self.config.folds or 0))

    @property
    def report(self) -> Path:
        """The page of this run, written anew from its files."""
        return write_folds(self) if self.kind is Kind.FOLDS else write_report(self)

    def predict(
        self, images: object, *, top: int = 5, batch: int = 64, device: str | None = None
    ) -> Predictions | Timeline:
        """What the network says of images: paths, folders, patterns, Pillow's pictures, uint8 arrays (`predict`)."""
        return predict(self, images, top=top, batch=batch, device=device)  # type: ignore[arg-type]  # refused in a sentence

    def evaluate(
        self,
        data: Data | None = None,
        *,
        split: str | None = None,
        device: str | None = None,
        views: str | None = None,
    ) -> Scores:
        """What the network is worth on its own images, or on others with the same classes (`evaluate`)."""
        return evaluate(self, data, split=split, device=device, views=views)

    def export(
        self,
        path: str | Path | None = None,
        *,
        to: str = "onnx",
        int8: bool | EightBits = False,
        raw_input: bool = False,
        must: str = "",
        data: Data | None = None,
        watcher: Watcher | None = None,
    ) -> Exported | Shipped | Shrunk:
        """The network as a file that its runtime has run (`export`)."""
        return export(self, path, to=to, int8=int8, raw_input=raw_input, must=must, data=data, watcher=watcher)

    def _repr_html_(self) -> str:
        """A few lines for notebooks: what it is, what it is worth, where its page is."""
        rows: list[tuple[str, str]] = [("made by", self.kind.value), ("folder", str(self.path))]
        if self.has("spec.json"):
            rows.append(("network", f"{self.spec.name} at {self.spec.input.resolution} px"))
        if self.has("scores.json"):
            scores = self.scores
            rows += [(one.label, one.text) for one in scores.metrics] + [("images", f"{scores.n:,}")]
        if self.has("latency.json") and (measured := self.latency.rows):
            rows.append(("latency", f"{measured[0].median_ms:.3g} ms"))
        rows += [("child", str(child.path)) for child in self.children]
        return table(rows)


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Rows of a name and a value as HTML."""
    cells = "".join(f"<tr><th style='text-align:left'>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in rows)
    return f"<table>{cells}</table>"
