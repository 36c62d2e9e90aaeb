"""What a trained network is worth: one loop, and a meter for each kind of answer.

| file        | what                                                                    |
| ----------- | ----------------------------------------------------------------------- |
| `loop`      | `evaluate`: a network over batches, by a meter; `outputs`: without one   |
| `top1`      | `Top1`: top-1, top-5, loss, confusion, the most confident wrong answers  |
| `intervals` | Wilson's interval for a share, Student's for a mean                      |
"""

from .intervals import wilson
from .loop import Batch, Meter, evaluate, outputs
from .top1 import Top1

__all__ = ["Batch", "Meter", "Top1", "evaluate", "outputs", "wilson"]
