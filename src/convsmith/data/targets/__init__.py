"""What should come out, behind one small interface.

| file     | targets ...                                            |
| -------- | ------------------------------------------------------ |
| `labels` | `Labels`: a class an image; `ManyLabels`: any number   |
| `joints` | `Joints`: points in each picture, of a `Body`          |
"""

from .joints import Body, Joints, Points
from .labels import Labels, ManyLabels
from .targets import Answers, Targets

__all__ = ["Answers", "Body", "Joints", "Labels", "ManyLabels", "Points", "Targets"]
