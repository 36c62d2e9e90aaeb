"""An architecture as a value, and its one unrolling. No torch.

| file     | what                                                              |
| -------- | ----------------------------------------------------------------- |
| `inputs` | what goes in: `Image`                                             |
| `part`   | what a stem, block, head, norm, convolution or mixer is; `Node`   |
| `spec`   | `ArchSpec`: a whole network                                       |
| `grow`   | `grown`: one multiplied in depth, width and resolution            |
| `plans`  | `plan`: every unit in order, the only place that unrolls a spec   |
"""

from .grow import grown
from .inputs import IMAGENET_MEAN, IMAGENET_STD, Image
from .part import Act, Block, Conv, Head, Mixer, Node, Norm, Padding, Part, Ramp, Stem, Style
from .plans import plan
from .spec import ArchSpec, Stage

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Act",
    "ArchSpec",
    "Block",
    "Conv",
    "Head",
    "Image",
    "Mixer",
    "Node",
    "Norm",
    "Padding",
    "Part",
    "Ramp",
    "Stage",
    "Stem",
    "Style",
    "grown",
    "plan",
]
