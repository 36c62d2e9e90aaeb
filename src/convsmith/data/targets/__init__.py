"""What should come out, behind one small interface.

| file     | targets ...                                            |
| -------- | ------------------------------------------------------ |
| `labels` | `Labels`: a class an image; `ManyLabels`: any number   |
"""

from .labels import Labels, ManyLabels
from .targets import Answers, Targets

__all__ = ["Answers", "Labels", "ManyLabels", "Targets"]
