"""How answers of `predict` are written: in a .csv, row by row, in COCO's .json, and on the screen."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..files import whole
from .output import out, table

if TYPE_CHECKING:
    from ..jobs.predict import Located, Prediction, Spotted

__all__ = ["FIRST", "SHOWN", "Answers", "LabelAnswers", "ObjectAnswers", "PointAnswers", "answers_into"]

SHOWN = 20  # images on the screen; of more, the first few and a summary
FIRST = 10


class Answers(Protocol):
    """Answers of one kind, as they come. `header` and `rows` are those of the .csv; `count` remembers what `show` prints."""

    def header(self) -> list[str]: ...
    def rows(self, one: Any) -> list[list[object]]: ...
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

    def rows(self, one: Prediction) -> list[list[object]]:
        return [[_named(one), *(cell for label, share in one.top for cell in (label, f"{share:.6g}"))]]

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

    def rows(self, one: Located) -> list[list[object]]:
        cells = zip(one.points.tolist(), one.likelihood.tolist(), strict=True)
        return [[_named(one), *(cell for (x, y), sure in cells for cell in (f"{x:.3f}", f"{y:.3f}", f"{sure:.4f}"))]]

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


class ObjectAnswers:
    """Objects with their scores; those from `cutoff` on are drawn. `what` they are in: images, or frames."""

    def __init__(self, names: tuple[str, ...], cutoff: float, what: str = "images") -> None:
        self._names, self._cutoff, self._what = names, cutoff, what
        self._objects, self._images, self._all = Counter[str](), Counter[str](), 0

    def header(self) -> list[str]:
        return ["file", "label", "score", "x1", "y1", "x2", "y2", "pixels"]

    def rows(self, one: Spotted) -> list[list[object]]:
        """One for each object; `pixels` are those of its mask."""
        masks = one.found.masks
        pixels = [""] * len(one) if masks is None else [str(int(runs[1::2].sum())) for runs in masks]
        cells = zip(one.labels, one.scores.tolist(), one.boxes.tolist(), pixels, strict=True)
        return [
            [_named(one), label, f"{score:.4f}", *(f"{side:.3f}" for side in box), area]
            for label, score, box, area in cells
        ]

    def count(self, one: Spotted) -> None:
        sure = [label for label, score in zip(one.labels, one.scores.tolist(), strict=True) if score >= self._cutoff]
        self._all += len(one)
        self._objects.update(sure)
        self._images.update(set(sure))

    def show(self, first: Sequence[Spotted], n: int) -> None:
        body = [[name, str(count), str(self._images[name])] for name, count in self._objects.most_common(SHOWN)]
        out.print(table(f"{n} {self._what}", f"<label objects {self._what}", body))
        total = sum(self._objects.values())
        out.print(
            f"{total} objects with a score of {self._cutoff:g} or more (--cutoff); with less, {self._all - total} others",
            style="dim",
        )
        out.print()
        if n <= FIRST:
            rows = []
            for one in first:
                cells = [cell for cell in self.rows(one) if float(str(cell[2])) >= self._cutoff][:SHOWN]
                rows += [[str(word) for word in ("" if k else cell[0], *cell[1:])] for k, cell in enumerate(cells)]
            out.print(table(None, "<image <label score x1 y1 x2 y2 pixels", rows))


def _named(one: Prediction | Located | Spotted) -> str:
    return str(one.index) if one.path is None else one.path


def _title(first: Sequence[object], n: int) -> str | None:
    return f"the first {len(first)} of {n} images" if n > len(first) else None


@contextmanager
def answers_into(path: Path | None, answers: Answers) -> Iterator[Callable[[Any], None]]:
    """A function that writes an answer into the file, a .csv or of objects COCO's .json, which is there once all are written; one
    that does nothing without a file."""
    if path is None:
        yield lambda one: None
        return
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8", errors="replace") as file:
        if path.suffix == ".json":
            found: list[Spotted] = []
            yield found.append
            json.dump(as_coco(found), file)
            return
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(answers.header())
        yield lambda one: rows.writerows(answers.rows(one))


def as_coco(found: Sequence[Spotted]) -> dict[str, object]:
    """Images, categories and annotations as COCO's own files have them; ids count from 1, and each annotation has a score."""
    from ..evals.coco_files import as_annotations

    images, annotations = [], list[dict[str, object]]()
    for number, one in enumerate(found, start=1):
        images.append({"id": number, "file_name": _named(one), "height": one.size[0], "width": one.size[1]})
        rows = as_annotations(one.found, one.size)
        for k, (row, label, box) in enumerate(zip(rows, one.found.labels.tolist(), one.boxes.tolist(), strict=True)):
            masks = one.found.masks
            area = (box[2] - box[0]) * (box[3] - box[1]) if masks is None else int(masks[k][1::2].sum())
            about = {"id": len(annotations) + 1, "image_id": number, "category_id": label, "area": area, "iscrowd": 0}
            annotations.append(about | row)
    names = found[0].names if found else ()
    categories = [{"id": k, "name": name} for k, name in enumerate(names, start=1)]
    return {"info": {}, "images": images, "categories": categories, "annotations": annotations}
