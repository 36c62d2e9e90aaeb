"""An architecture as a value, and its one unrolling. No torch.

| file     | what                                                              |
| -------- | ----------------------------------------------------------------- |
| `shapes` | what flows: `Shape`, `Map`                                        |
| `inputs` | what goes in: `Image`, `Clip`, `Latent`                           |
| `habits` | `Act`, `Padding`, `Edges`, `Ramp`: what a whole network does alike |
| `own`    | `OwnPart`: where a part of a user's own is written                |
| `part`   | what a stem, block, norm or mixer is; `Node`                      |
| `ends`   | what a neck or a head is                                          |
| `spec`   | `ArchSpec`: a whole network                                       |
| `grow`   | `grown`: one multiplied in depth, width and resolution            |
| `table`  | `StageRow`: a row of a network's table of stages              |
| `plans`  | `plan`: every unit in order, the only place that unrolls a spec   |
"""

from .ends import Head, Neck
from .grow import grown
from .inputs import IMAGENET_MEAN, IMAGENET_STD, Clip, Image, Latent, drawn
from .own import OwnPart
from .part import (
    Act,
    Block,
    Choices,
    Conv,
    Edges,
    Mixer,
    Node,
    Norm,
    Padding,
    Part,
    Ramp,
    Stem,
    Style,
    Unit,
)
from .plans import plan, taps, trunk
from .shapes import Map, Shape
from .spec import ArchSpec, Stage
from .table import StageRow

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Act",
    "ArchSpec",
    "Block",
    "Choices",
    "Clip",
    "Conv",
    "Edges",
    "Head",
    "Image",
    "Latent",
    "Map",
    "Mixer",
    "Neck",
    "Node",
    "Norm",
    "OwnPart",
    "Padding",
    "Part",
    "Ramp",
    "Shape",
    "Stage",
    "StageRow",
    "Stem",
    "Style",
    "Unit",
    "drawn",
    "grown",
    "plan",
    "taps",
    "trunk",
]
