"""Where in a file a network's weights are: under which beginning of the keys, by whose names.

Whatever wraps a network puts something before its names: distributed training `module.`, a trainer `model.`, a detector
`backbone.`, a checkpoint the name of the dictionary that holds them. So none of these need be known: a network's weights are
where most of its own names are found behind one beginning.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from torch import Tensor

from ..arch import ArchSpec
from .dialects import renewed
from .maps import BEHIND, Dialect, State, dialects, names

__all__ = ["Found", "found"]

# Averaged weights are what a script evaluated, and a teacher is an average of its student.
_AVERAGED = re.compile(r"ema|averag|teacher|swa\b|shadow")


@dataclass(frozen=True)
class Found:
    """A network's weights in a file, under the names of `dialect`, and the full names of the tensors that are not of it."""

    dialect: Dialect
    beginning: str
    state: State
    others: tuple[str, ...]


def found(spec: ArchSpec, state: State) -> Found:
    """The weights in `state` that carry most of the names of `spec`'s trunk, averaged ones where as many are."""
    state = renewed(state)
    counts = {
        (dialect, beginning): count
        for dialect in dialects(spec)
        for beginning, count in _beginnings(state, _trunk(spec, dialect)).items()
    }
    if not counts:
        return Found(Dialect.OURS, "", state, ())
    dialect, beginning = max(counts, key=lambda one: (counts[one], _AVERAGED.search(one[1]) is not None))
    inside = {key.removeprefix(beginning): value for key, value in state.items() if key.startswith(beginning)}
    others = [key for key in state if not key.startswith(beginning)]
    known = set(names(spec, dialect).values())
    # A module that the trunk does not have is another head; one that it has makes it another network.
    modules = {_module(key) for key in _trunk(spec, dialect)}
    strange = [key for key in inside if key not in known and _module(key) not in modules]
    kept: dict[str, Tensor] = {key: value for key, value in inside.items() if key not in strange}
    return Found(dialect, beginning, kept, (*others, *(f"{beginning}{key}" for key in strange)))


def _trunk(spec: ArchSpec, dialect: Dialect) -> set[str]:
    """The names of all weights before the head; counts of batches, which old files lack, are none, and a neck that the dialect has
    no names for."""
    return {
        theirs
        for ours, theirs in names(spec, dialect).items()
        if not (ours.startswith(BEHIND) and theirs == ours)
        and not ours.startswith("head.")
        and not ours.endswith("num_batches_tracked")
    }


def _beginnings(state: Iterable[str], known: Collection[str]) -> Counter[str]:
    """What stands before `known` names in the keys of a file, and before how many of them."""
    counts: Counter[str] = Counter()
    for key in state:
        at = 0
        while True:
            if key[at:] in known:
                counts[key[:at]] += 1
            at = key.find(".", at) + 1
            if not at:
                break
    return counts


def _module(key: str) -> str:
    return key.split(".", 1)[0]
