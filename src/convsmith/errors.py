"""What a user did wrong, said so that the next attempt succeeds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["BudgetError", "CheckFailed", "DataError", "Stopped", "UserError", "first_line", "nearest"]


class UserError(Exception):
    """A mistake in what was asked for: a wrong name, an unreadable file, an impossible budget.

    The message says what was given, what is allowed and the nearest match. The command line prints it without a
    traceback and exits with code 2.
    """


class CheckFailed(UserError):
    """What was asked for was done, and did not pass: the command line exits with code 1.

    `told`: the JSON object of it has been printed, with the message as its `error`.
    """

    def __init__(self, message: str, *, told: bool = False) -> None:
        super().__init__(message)
        self.told = told


class BudgetError(UserError):
    """No network that the rule can make fits the budget."""


class DataError(UserError):
    """The data cannot be trained or evaluated on as it is."""


class Stopped(KeyboardInterrupt):
    """Told to end by SIGTERM, and ended in order. As with Ctrl-C, nothing on the way takes it for an error of its own.

    The command line says so and exits with code 143, as a shell reports SIGTERM.
    """


def first_line(error: BaseException) -> str:
    """What another package's error says first, or its kind where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


# Words of torch, timm, Keras and Ultralytics for what has another name here; a guess by spelling would miss them.
SYNONYMS = {
    "batch_size": "batch",
    "bs": "batch",
    "dropout_rate": "dropout",
    "drop_path_rate": "drop_path",
    "drop_rate": "dropout",
    "ema": "average",
    "ema_decay": "average",
    "grad_accum": "accumulate",
    "grad_accum_steps": "accumulate",
    "image_size": "resolution",
    "img_size": "resolution",
    "imgsz": "resolution",
    "in_channels": "channels",
    "in_chans": "channels",
    "input_size": "resolution",
    "label_smoothing": "smoothing",
    "learning_rate": "rate",
    "lr": "rate",
    "model_ema": "average",
    "num_classes": "classes",
    "num_workers": "workers",
    "nc": "classes",
    "opt": "optimiser.kind",
    "optimizer": "optimiser.kind",
    "out_dir": "out",
    "pretrained": "weights",
    "sched": "schedule.kind",
    "scheduler": "schedule.kind",
    "stochastic_depth": "drop_path",
    "warmup_epochs": "warmup",
    "wd": "decay",
    "weight_decay": "decay",
}


def nearest(given: str, choices: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the choice closest to `given`, in spelling or in meaning; an empty string when none is close.

    >>> nearest("effnet_b0", ["efficientnet_b0", "resnet50"])
    "; did you mean 'efficientnet_b0'?"
    """
    by_folded = {choice.lower().replace("-", "_"): choice for choice in choices}
    folded = given.lower().replace("-", "_")
    folded = SYNONYMS.get(folded, folded) if folded not in by_folded else folded
    found = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    return f"; did you mean '{by_folded[found[0]]}'?" if found else ""
