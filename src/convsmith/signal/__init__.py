"""Signal propagation: what happens to variance and mean on the way through a network, and what is wrong with it."""

from .expected import Expectation, expected
from .gain import gain
from .moments import Moments, moments
from .trace import Point, Trace, trace
from .verdict import Finding, Verdict, verdict

__all__ = [
    "Expectation",
    "Finding",
    "Moments",
    "Point",
    "Trace",
    "Verdict",
    "expected",
    "gain",
    "moments",
    "trace",
    "verdict",
]
