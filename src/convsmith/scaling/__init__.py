"""Scaling: rules that grow or shrink a spec by one number, and the function that turns any rule into an answer to a budget.

A new rule is one frozen dataclass in one file and one line in `RULES`; `solve` and the rule tests then cover it.
"""

from __future__ import annotations

import json
from pathlib import Path

from ..codec import from_data, to_data
from ..errors import UserError, nearest
from ..firstbytes import read_text
from .compound import Compound, CompoundClips
from .exponents import Depth, Frames, Resolution, Width
from .front import Point, fronts, undominated
from .gaussian import Curve
from .inverse import InverseCompound
from .resnet_rs import Regime, ResNetRS, regime
from .rule import Rule
from .solve import Solution, Took, solve
from .timed import solve_timed
from .tiny import Tiny

__all__ = [
    "RULES",
    "Compound",
    "CompoundClips",
    "Curve",
    "Depth",
    "Frames",
    "InverseCompound",
    "Point",
    "Regime",
    "ResNetRS",
    "Resolution",
    "Rule",
    "Solution",
    "Tiny",
    "Took",
    "Width",
    "fronts",
    "regime",
    "rule",
    "rule_to_json",
    "solve",
    "solve_timed",
    "undominated",
]

RULES: tuple[type[Rule], ...] = (
    Compound,
    InverseCompound,
    Tiny,
    ResNetRS,
    Depth,
    Width,
    Resolution,
    CompoundClips,
    Frames,
)


def rule(name: str) -> Rule:
    """The rule of that name with its paper's constants, or the one in a `.json` file that `rule_to_json` made."""
    table = {kind.kind: kind for kind in RULES}
    if name.endswith(".json"):
        return _read(Path(name), table)
    if name not in table:
        raise UserError(
            f"unknown rule '{name}'; rules are {', '.join(table)}, or a .json that fit-scaling wrote{nearest(name, table)}"
        )
    return table[name]()


def rule_to_json(rule: Rule) -> str:
    """A rule with all its constants as JSON text, which `rule` reads back from a file."""
    return json.dumps({"rule": rule.kind} | to_data(rule), indent=1) + "\n"


def _read(path: Path, table: dict[str, type[Rule]]) -> Rule:
    try:
        data = json.loads(read_text(path))
    except OSError as error:
        raise UserError(f"rule {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"rule {path} is not JSON: {error}") from None
    kind = data.pop("rule", None) if isinstance(data, dict) else None
    if kind not in table:
        raise UserError(f"{path} names no rule in its field 'rule'; rules are {', '.join(table)}")
    return from_data(table[kind], data, (), source=str(path))
