"""What a trained network is worth: one loop, and a meter for each kind of answer.

| file        | what                                                                    |
| ----------- | ----------------------------------------------------------------------- |
| `loop`      | `evaluate`: a network over batches, by a meter; `outputs`: without one   |
| `top1`      | `Top1`: top-1, top-5, loss, confusion, the most confident wrong answers  |
| `many`      | `ManyRight`: of several labels an image                                  |
| `points`    | `PointErrors`: how far points are off, in pixels and over the individual's scale |
| `poses`     | the pictures whose points are farthest off, small enough for a page      |
| `detections` | `Detected`: COCO's twelve numbers of boxes and masks, kinds of mistakes   |
| `coco`, `matching`, `error_kinds`, `scenes` | what `detections` is made of            |
| `views`     | `OverViews`: several views of one input, answered as one                 |
| `synthesised`, `distances` | `Synthesised`: of generators, against real images and what is nearest to them |
| `ranking`   | Kendall's tau of two orders, with an interval                            |
| `intervals` | Wilson's for a share, Newcombe's for two of the same things, Student's for a few means, a bootstrap's over inputs |
"""

from .detections import Detected
from .intervals import across, bootstrapped, paired, wilson
from .loop import Batch, Meter, evaluate, outputs
from .points import PointErrors
from .ranking import Agreement, agreement
from .synthesised import FID, Judge, Made, Seen, Synthesised, Terms, as_bytes, terms_of
from .top1 import Top1
from .views import OverViews

__all__ = [
    "FID",
    "Agreement",
    "Batch",
    "Detected",
    "Judge",
    "Made",
    "Meter",
    "OverViews",
    "PointErrors",
    "Seen",
    "Synthesised",
    "Terms",
    "Top1",
    "across",
    "agreement",
    "as_bytes",
    "bootstrapped",
    "evaluate",
    "outputs",
    "paired",
    "terms_of",
    "wilson",
]
