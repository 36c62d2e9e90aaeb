"""The norms that a network may be converted to: by name, by file, or as a part."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeGuard, get_args

from ..arch import Act, Norm
from ..errors import UserError, nearest
from ..firstbytes import read_text
from ..graphs import KNOWN
from ..parts import BatchNorm, EvoNorm, GraphNorm, GroupNorm
from ..parts.norms.evonorm import EvoNormKind
from ..registry import read

__all__ = ["NORMS", "NormName", "norm_of", "wanted", "word_of"]

NormName = Literal["nf", "evonorm-s0", "evonorm-b0", "group", "batch"]
NORMS: tuple[NormName, ...] = get_args(NormName)


def wanted(norm: str | Path | Norm) -> NormName | Norm:
    """What is meant by the name of a norm or of a known graph, or by a file that holds a norm as JSON.

    Raises:
        UserError: nothing of that name, or a file that is not there or holds no norm.
    """
    if isinstance(norm, Norm):
        return norm
    word = str(norm)
    if _is_name(word):
        return word
    if word in KNOWN:
        return GraphNorm(KNOWN[word])
    if word.endswith(".json"):
        if not Path(word).is_file():
            raise UserError(f"{word} {'is a folder' if Path(word).is_dir() else 'does not exist'}")
        return read(Norm, read_text(Path(word)), source=word)
    names = list(dict.fromkeys([*NORMS, *KNOWN]))
    raise UserError(
        f"'{word}' is no norm: there are {', '.join(names)}, or the .json file of one{nearest(word, names)}"
    )


def _is_name(word: str) -> TypeGuard[NormName]:
    return word in NORMS


def norm_of(norm: NormName | Norm, act: Act) -> Norm | None:
    """The norm that is meant, with `act` after it; EvoNorm and a norm that was given bring their own nonlinearity, and `nf` has
    no norm."""
    match norm:
        case Norm():
            return norm
        case "batch":
            return BatchNorm(act=act)
        case "group":
            return GroupNorm(act=act)
        case "evonorm-s0":
            return EvoNorm()
        case "evonorm-b0":
            return EvoNorm(variant=EvoNormKind.B0)
        case "nf":
            return None


def word_of(norm: NormName | Norm) -> str:
    """A word for it in names: of a known graph its own, of another the beginning of its key, else the kind."""
    if not isinstance(norm, Norm):
        return norm
    if not isinstance(norm, GraphNorm):
        return norm.kind
    names = {graph.text: name for name, graph in KNOWN.items()}
    return names.get(norm.graph.text, f"graph-{norm.graph.key[:8]}")
