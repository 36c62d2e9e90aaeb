"""Options that several verbs have, and the ranges of their numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

__all__ = ["BUDGET", "COUNT", "NATURAL", "POSITIVE", "RULE", "SEED", "Json", "RuntimeName", "Seed"]

COUNT, NATURAL, POSITIVE = Number(gte=1), Number(gte=0), Number(gt=0)
SEED = Number(gte=0, lt=2**63)  # what torch and numpy both take

# A budget that begins with a hyphen is no option but a wrong budget, which is for it to say.
BUDGET = Parameter(help="20M-macs, 1.5M-params, 5ms, or several joined by commas.", allow_leading_hyphen=True)
Json = Annotated[bool, Parameter(name="--json", help="One JSON object on stdout; everything else on stderr.")]
Seed = Annotated[int, Parameter(help="Seed of all randomness.", validator=SEED)]
RULE = (
    "How to scale it: compound, inverse-compound, tiny, resnet-rs, depth, width, resolution, or a rule .json that "
    "fit-scaling wrote."
)
RuntimeName = Literal["ort", "eager", "compile"]
