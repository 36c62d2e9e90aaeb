"""What is known of published networks, as tables: their counts against the papers' prints, and who has weights of them."""

from .rows import INFLATED, TOLERANCE, Printed, Row, Verdict, families, published, stages_of, unknown_model
from .weights import Numerics, Weights, fetchable, weights_of

__all__ = [
    "INFLATED",
    "TOLERANCE",
    "Numerics",
    "Printed",
    "Row",
    "Verdict",
    "Weights",
    "families",
    "fetchable",
    "published",
    "stages_of",
    "unknown_model",
    "weights_of",
]
