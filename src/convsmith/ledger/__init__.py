"""What is known of published networks, as tables: their counts against the papers' prints, and who has weights of them."""

from .rows import TOLERANCE, Printed, Row, Verdict, families, published
from .weights import Numerics, Weights, fetchable, weights_of

__all__ = [
    "TOLERANCE",
    "Numerics",
    "Printed",
    "Row",
    "Verdict",
    "Weights",
    "families",
    "fetchable",
    "published",
    "weights_of",
]
