"""Training: one loop that knows no family and no task, and its ingredients."""

from .adversaries import Adversaries, drawn
from .checkpoint import forget_checkpoint, load_checkpoint, save_checkpoint
from .collapse import collapses
from .loop import Feed, TrainingDiverged, fit
from .optim import parameter_groups
from .ranks import Ranks, joined, rank_here, recalled, remember, world_here
from .schedule import rate_at
from .single import Single, refuse_sandwich
from .standing import has_statistics, stand
from .step import Answers, Batch, Loss, Moment, Network, Objective, Trainee, Turn, step, summed
from .stopping import Termination
from .watchdog import Lookout, Watch

__all__ = [
    "Adversaries",
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
    "Turn",
    "Watch",
    "collapses",
    "drawn",
    "fit",
    "forget_checkpoint",
    "has_statistics",
    "joined",
    "load_checkpoint",
    "parameter_groups",
    "rank_here",
    "rate_at",
    "recalled",
    "refuse_sandwich",
    "remember",
    "save_checkpoint",
    "stand",
    "step",
    "summed",
    "world_here",
]
