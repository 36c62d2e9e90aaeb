"""Training: one loop that knows no family and no task, and its ingredients."""

from .checkpoint import forget_checkpoint, load_checkpoint, save_checkpoint
from .loop import Batch, Feed, TrainingDiverged, fit
from .optim import parameter_groups
from .ranks import Ranks, joined, rank_here, recalled, remember, world_here
from .schedule import rate_at
from .stopping import Termination

__all__ = [
    "Batch",
    "Feed",
    "Ranks",
    "Termination",
    "TrainingDiverged",
    "fit",
    "forget_checkpoint",
    "joined",
    "load_checkpoint",
    "parameter_groups",
    "rank_here",
    "rate_at",
    "recalled",
    "remember",
    "save_checkpoint",
    "world_here",
]
