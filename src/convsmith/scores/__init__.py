"""What an evaluation says, as values: metrics, of which the first is the headline, and what is worth drawing.

Nothing here knows a task or torch. A meter makes these; run folders hold them; reports, the command line and searches read
them. Folders of version 0.1, whose `scores.json` has no list of metrics, are read as classification's.
"""

from .blocks import Block, Confusion, Mistake, Mistakes, Pose, Poses, Table
from .kinds import BLOCKS
from .metrics import TABLED, Interval, Metric, Unit, headline_among, named, said, worth_of
from .objects import Curve, Curves, ErrorKind, ErrorKinds, Scene, Scenes, Thing
from .scores import Scores
from .sheets import Sheet, Sheets

__all__ = [
    "BLOCKS", "TABLED", "Block", "Confusion", "Curve", "Curves", "ErrorKind", "ErrorKinds", "Interval", "Metric", "Mistake",
    "Mistakes", "Pose", "Poses", "Scene", "Scenes", "Scores", "Sheet", "Sheets", "Table", "Thing", "Unit", "headline_among",
    "named", "said", "worth_of",
]  # fmt: skip
