"""What tests of the command line do: run one, and make a small folder of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convsmith.cli import main

__all__ = ["TINY", "run", "squares"]

# A network of 12 px and three blocks as a command line names it: what is exported in a second rather than in several.
TINY = str(Path(__file__).parent / "folders-0.1" / "tiny.json")


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(list(argv))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def squares(folder: Path, *, per_class: int = 12) -> Path:
    """An .npz of two classes that one look tells apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(2 * per_class) % 2
    images = rng.integers(0, 60, (2 * per_class, 8, 8, 3)) + 150 * labels[:, None, None, None]
    np.savez(folder / "squares.npz", images=images.astype(np.uint8), labels=labels)
    return folder / "squares.npz"
