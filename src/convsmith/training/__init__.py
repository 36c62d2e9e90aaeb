"""Training: one loop that knows no family and no task, and its ingredients."""

from .checkpoint import forget_checkpoint, load_checkpoint, save_checkpoint
from .loop import Feed, TrainingDiverged, fit
from .optim import parameter_groups
from .ranks import Ranks, joined, rank_here, recalled, remember, world_here
from .schedule import rate_at
from .single import Single
from .step import Answers, Batch, Loss, Moment, Network, Objective, Trainee, step, summed
from .stopping import Termination
from .watchdog import Lookout, Watch

__all__ = [
    "Answers",
    "Batch",
    "Feed",
    "Lookout",
    "Loss",
    "Moment",
    "Network",
    "Objective",
    "Ranks",
    "Single",
    "Termination",
    "Trainee",
    "TrainingDiverged",
    "Watch",
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
    "step",
    "summed",
    "world_here",
]
