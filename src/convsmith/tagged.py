"""Values that files tell apart by a word: the base of parts, schedules, optimisers, policies and tasks."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

__all__ = ["LATER", "Tagged"]

# Of a field that a value was given after files of it existed: `field(default=..., metadata=LATER)`. It is written only
# where it differs from its default, so that what was written before stays as it is, and so do digests of it.
LATER: Mapping[str, bool] = MappingProxyType({"later": True})


@dataclass(frozen=True)
class Tagged(abc.ABC):
    """A frozen value with a `kind`, the word that stands for its class in JSON. Concrete kinds are final."""

    kind: ClassVar[str]
