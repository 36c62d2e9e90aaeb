"""What a trained network is worth: one file per kind of evaluation.

| file        | what                                                                      |
| ----------- | ------------------------------------------------------------------------- |
| `intervals` | Wilson's interval for a share                                             |
| `top1`      | `score`: top-1, top-5, loss, confusion, the most confident wrong answers  |
"""

from .intervals import wilson
from .top1 import LabelledImages, Scores, Wrong, score

__all__ = ["LabelledImages", "Scores", "Wrong", "score", "wilson"]
