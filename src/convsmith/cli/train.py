"""`convsmith train`: one network on the user's data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import UserError
from .early import in_order
from .options import DATA, POSITIVE, SPEC_HELP, Data, Resolution, Weights
from .output import watching

if TYPE_CHECKING:
    pass

from .training import DEFAULTS, Training, carried_out

__all__ = ["train"]


def train(
    model: Annotated[str, Parameter(help=SPEC_HELP)],
    data: Data,
    /,
    *,
    resolution: Resolution = None,
    weights: Weights = None,
    pseudo: Annotated[
        str | None, Parameter(help="Train on these pseudo-labels as well: a file of `pseudo-label`.", group=DATA)
    ] = None,
    pseudo_ratio: Annotated[
        float,
        Parameter(help="Pseudo-labelled images for each labelled one in an epoch.", validator=POSITIVE, group=DATA),
    ] = 1.0,
    training: Training = DEFAULTS,
) -> None:
    """Train MODEL on DATA by a recipe, then evaluate, export, measure and report.

    With --weights it is transfer, by the recipe finetune, the protocol of the transfer studies: --set frozen=true trains the
    classifier alone, --set trunk_rate=0.1 lets everything before it learn at a tenth of its rate.
    """
    in_order("train", model, data)
    if pseudo_ratio != 1 and pseudo is None:
        raise UserError("--pseudo-ratio is of --pseudo FILE: give that too, or leave it out")
    options = replace(training.options(), weights=weights, pseudo=pseudo, pseudo_ratio=pseudo_ratio)
    from ..jobs.train.begin import train_job

    carried_out(train_job(model, data, resolution, options, watching()), training)
