"""How answers of `predict` are written: in a .csv, row by row, and on the screen."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..files import whole
from .output import out, table

if TYPE_CHECKING:
    from ..jobs.predict import Located, Prediction

__all__ = ["FIRST", "SHOWN", "Answers", "LabelAnswers", "PointAnswers", "rows_into"]

SHOWN = 20  # images on the screen; of more, the first few and a summary
FIRST = 10


class Answers(Protocol):
    """Answers of one kind, as they come. `header` and `row` are those of the .csv; `count` remembers what `show` prints."""

    def header(self) -> list[str]: ...
    def row(self, one: Any) -> list[object]: ...
    def count(self, one: Any) -> None: ...
    def show(self, first: Sequence[Any], n: int) -> None: ...


class LabelAnswers:
    """Labels with probabilities, the `top` likeliest."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._shares: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])

    def header(self) -> list[str]:
        numbers = ["", *(str(k) for k in range(2, self._top + 1))]
        return ["file", *(f"{name}{k}" for k in numbers for name in ("label", "probability"))]

    def row(self, one: Prediction) -> list[object]:
        return [_named(one), *(cell for label, share in one.top for cell in (label, f"{share:.6g}"))]

    def count(self, one: Prediction) -> None:
        self._shares[one.label][0] += 1
        self._shares[one.label][1] += one.probability

    def show(self, first: Sequence[Prediction], n: int) -> None:
        if n > SHOWN:
            ordered = sorted(self._shares.items(), key=lambda pair: -pair[1][0])
            body = [
                [label, str(int(count)), f"{count / n:.1%}", f"{total / count:.1%}"]
                for label, (count, total) in ordered[:SHOWN]
            ]
            more = f"and {len(ordered) - SHOWN} more classes" if len(ordered) > SHOWN else None
            out.print(table(f"{n} images", "<label images share mean_probability", body, caption=more))
            out.print()
        rows = [
            [
                _named(one),
                one.label,
                f"{one.probability:.1%}",
                ", ".join(f"{label} {share:.1%}" for label, share in one.top[1:]),
            ]
            for one in first
        ]
        out.print(table(_title(first, n), "<image <label probability <then", rows))


class PointAnswers:
    """Points with likelihoods; those from `cutoff` on are sure. `what` they are in: images, or frames."""

    def __init__(self, names: tuple[str, ...], cutoff: float, what: str = "images") -> None:
        self._names, self._cutoff, self._what = names, cutoff, what
        self._sure = [0] * len(names)
        self._likelihood = [0.0] * len(names)

    def header(self) -> list[str]:
        return ["file", *(f"{name}_{what}" for name in self._names for what in ("x", "y", "likelihood"))]

    def row(self, one: Located) -> list[object]:
        cells = zip(one.points.tolist(), one.likelihood.tolist(), strict=True)
        return [_named(one), *(cell for (x, y), sure in cells for cell in (f"{x:.3f}", f"{y:.3f}", f"{sure:.4f}"))]

    def count(self, one: Located) -> None:
        for k, sure in enumerate(one.likelihood.tolist()):
            self._sure[k] += sure >= self._cutoff
            self._likelihood[k] += sure

    def show(self, first: Sequence[Located], n: int) -> None:
        if n > 1:
            rows = [
                [name, str(sure), f"{sure / n:.1%}", f"{total / n:.2f}"]
                for name, sure, total in zip(self._names, self._sure, self._likelihood, strict=True)
            ]
            out.print(table(f"{n} {self._what}", "<point sure share mean_likelihood", rows))
            out.print(f"sure: a likelihood of {self._cutoff:g} or more (--cutoff)", style="dim")
            out.print()
        if n <= FIRST:
            rows = [
                [_named(one) if k == 0 else "", name, f"{x:.1f}", f"{y:.1f}", f"{sure:.2f}"]
                for one in first
                for k, (name, (x, y), sure) in enumerate(
                    zip(one.names, one.points.tolist(), one.likelihood.tolist(), strict=True)
                )
            ]
            out.print(table(None, "<image <point x y likelihood", rows))


def _named(one: Prediction | Located) -> str:
    return str(one.index) if one.path is None else one.path


def _title(first: Sequence[object], n: int) -> str | None:
    return f"the first {len(first)} of {n} images" if n > len(first) else None


@contextmanager
def rows_into(path: Path | None, answers: Answers) -> Iterator[Callable[[Prediction | Located], None]]:
    """A function that writes a row of the file, which is there once all are written; one that does nothing without a file."""
    if path is None:
        yield lambda one: None
        return
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(answers.header())
        yield lambda one: rows.writerow(answers.row(one))
