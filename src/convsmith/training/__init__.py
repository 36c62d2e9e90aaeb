"""Training: one loop that knows no family and no task, and its ingredients."""

from .checkpoint import load_checkpoint, save_atomically, save_checkpoint
from .loop import Batch, EpochDone, Feed, Record, StepDone, TrainingDiverged, fit
from .optim import parameter_groups
from .schedule import rate_at

__all__ = [
    "Batch",
    "EpochDone",
    "Feed",
    "Record",
    "StepDone",
    "TrainingDiverged",
    "fit",
    "load_checkpoint",
    "parameter_groups",
    "rate_at",
    "save_atomically",
    "save_checkpoint",
]
