"""What should come out, behind one small interface.

| file      | targets ...                                                     |
| --------- | --------------------------------------------------------------- |
| `labels`  | `Labels`: a class an image; `ManyLabels`: any number            |
| `joints`  | `Joints`: points in each picture, of a `Body`                   |
| `objects` | `Objects`: boxes in each picture, each of a class, with masks   |
| `rle`     | masks as runs                                                   |
"""

from .joints import Body, Joints, Points
from .labels import Labels, ManyLabels
from .objects import Instances, Objects, Truth
from .targets import Answers, Targets

__all__ = [
    "Answers", "Body", "Instances", "Joints", "Labels", "ManyLabels", "Objects", "Points", "Targets", "Truth",
]  # fmt: skip
