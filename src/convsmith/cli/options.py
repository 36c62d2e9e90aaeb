"""The words of the command line: each option that several verbs have, what it may be, and the group of help it stands in.

One word means one thing in every verb. A verb whose own use of it needs saying adds only its help:
`Annotated[Out, Parameter(help="Write the spec as JSON.")]`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from .early import known_budget, known_model, known_rule, known_run

__all__ = [
    "BUDGET",
    "BUDGETS",
    "COUNT",
    "DATA",
    "DATA_HELP",
    "MODEL_HELP",
    "NATURAL",
    "NETWORK",
    "OUTPUT",
    "POINTS",
    "POSITIVE",
    "ROBUSTNESS",
    "RULE_HELP",
    "RUN_HELP",
    "SEARCHING",
    "SEED",
    "SHARE",
    "SPEC_HELP",
    "SPREAD",
    "TIMING",
    "TRAINING",
    "Batch",
    "Classes",
    "Cluster",
    "Data",
    "Device",
    "Download",
    "Elsewhere",
    "Jobs",
    "Json",
    "Model",
    "Out",
    "Pattern",
    "Plot",
    "Resolution",
    "Root",
    "Rounds",
    "RuleName",
    "Run",
    "Runtime",
    "RuntimeName",
    "Seed",
    "Spec",
    "Threads",
    "Weights",
    "Workers",
]


def _finite(_type: Any, value: float | None) -> None:
    """Refuse infinity and what is no number, which every comparison lets through."""
    if value is not None and not math.isfinite(value):
        raise ValueError("Must be a finite number.")


# No network, training or machine that is real needs more, and what would fail for want of memory is told at once.
COUNT, NATURAL = Number(gte=1, lte=1_000_000), Number(gte=0, lte=1_000_000)
SIDE = Number(gte=1, lte=16_384)
PROCESSES = Number(gte=1, lte=1_024)
POSITIVE, SHARE = (Number(gt=0), _finite), (Number(gte=0, lte=1), _finite)
POINTS = (Number(gte=0, lt=100), _finite)
SEED = Number(gte=0, lt=2**63)  # what torch and numpy both take

# By job, in the order of help.
BUDGETS = Group("Budget", sort_key=1)
NETWORK = Group("Network", sort_key=2)
TRAINING = Group("Training", sort_key=3)
SEARCHING = Group("Search", sort_key=4)
DATA = Group("Data", sort_key=5)
TIMING = Group("Timing", sort_key=6)
SPREAD = Group("Processes", sort_key=7)
ROBUSTNESS = Group("Robustness", sort_key=8)
OUTPUT = Group("Output", sort_key=9)

# ---- what comes without a word before it -----------------------------------------------------------------------------

SPEC_HELP = "A name (`convsmith list` has them), NAME@SIDE, inflated:NAME, a spec .json or the folder of a run."
MODEL_HELP = f"{SPEC_HELP[:-1]}; timm:NAME or tv:NAME."
DATA_HELP = (
    "digits; a folder with a folder for each class, or with train/ and val/ of such; an .npz of images and labels; a .csv "
    "of files and labels; a torchvision set by name, such as cifar10; films in folders or in a .csv, or moving-digits; with points "
    "in pictures, quad30, a DeepLabCut project or COCO's .json; or, with objects in them, digit-scenes, COCO's .json, pictures "
    "with masks or YOLO's labels. See docs/data.md."
)
RUN_HELP = "The folder that train, design or search made, such as runs/photos-20M (`convsmith runs` lists them)."

Spec = Annotated[str, Parameter(help=SPEC_HELP, validator=known_model)]
Model = Annotated[str, Parameter(help=MODEL_HELP, validator=known_model)]
Data = Annotated[str, Parameter(help=DATA_HELP)]
Run = Annotated[Path, Parameter(help=RUN_HELP, validator=known_run)]
Pattern = Annotated[str, Parameter(help="A shell pattern, such as 'resnet*', or a part of a name.")]

# ---- budget and network ----------------------------------------------------------------------------------------------

# A budget that begins with a hyphen is no option but a wrong budget, which is for it to say.
BUDGET = Parameter(
    help="20M-macs, 1.5M-params, 5ms, or several joined by commas.",
    validator=known_budget,
    allow_leading_hyphen=True,
    group=BUDGETS,
)
RULE_HELP = (
    "How to scale it: compound, inverse-compound, tiny, resnet-rs, depth, width, resolution, or a rule .json that "
    "fit-scaling wrote."
)
RuleName = Annotated[str, Parameter(help=RULE_HELP, validator=known_rule, group=NETWORK)]
Classes = Annotated[int | None, Parameter(help="Another number of classes.", validator=COUNT, group=NETWORK)]
Weights = Annotated[
    str | None,
    Parameter(
        help="Begin with these: a file, a run, timm:NAME, tv:NAME, lite:NAME, or auto: what is published. Other classes get a new "
        "classifier.",
        group=NETWORK,
    ),
]
Resolution = Annotated[int | None, Parameter(help="Another input side.", validator=SIDE, group=NETWORK)]

# ---- training and data -----------------------------------------------------------------------------------------------

Batch = Annotated[int, Parameter(help="Images at once.", validator=COUNT)]
Device = Annotated[str | None, Parameter(help="cpu, cuda, cuda:1, ...; the best there is by default.", group=TRAINING)]
Seed = Annotated[int, Parameter(help="Seed of all randomness.", validator=SEED)]
Root = Annotated[Path | None, Parameter(help="Where a named data set lies.", group=DATA)]
Download = Annotated[bool, Parameter(help="Allow a named data set to be downloaded.", group=DATA)]

# ---- timing ----------------------------------------------------------------------------------------------------------

RuntimeName = Literal["ort", "eager", "compile", "openvino", "executorch", "litert"]
Runtime = Annotated[
    RuntimeName,
    Parameter(
        name="--runtime", help="onnxruntime, eager torch, torch.compile, or another that is installed.", group=TIMING
    ),
]
Threads = Annotated[int, Parameter(help="Threads of the runtime.", validator=PROCESSES, group=TIMING)]
Elsewhere = Annotated[
    str | None,
    Parameter(
        name="--device",
        help="Milliseconds of this device, by the name that `calibrate --from` gave it, estimated; without it this machine's.",
        group=TIMING,
    ),
]
Rounds = Annotated[
    int, Parameter(help="Rounds in which all are timed one after another.", validator=COUNT, group=TIMING)
]

# ---- processes -------------------------------------------------------------------------------------------------------

Workers = Annotated[
    int,
    Parameter(
        help="Processes that read images; 0 reads in this one.", validator=Number(gte=0, lte=1_024), group=SPREAD
    ),
]
Jobs = Annotated[
    int | None,
    Parameter(help="Trainings beside each other; one for each core by default.", validator=PROCESSES, group=SPREAD),
]
Cluster = Annotated[str | None, Parameter(help="Address of a Ray cluster to work on instead.", group=SPREAD)]

# ---- output ----------------------------------------------------------------------------------------------------------

Out = Annotated[Path | None, Parameter(name=["--out", "-o"], group=OUTPUT)]
Plot = Annotated[Path | None, Parameter(help="Draw it as an .svg or .png.", group=OUTPUT)]
Moved = Annotated[
    str | None, Parameter(name="--data", help="Where the run's data lies now, if it was moved.", group=DATA)
]
MovedVal = Annotated[
    str | None, Parameter(name="--val", help="Where its --val lies now, if that was moved.", group=DATA)
]
Json = Annotated[
    bool, Parameter(name="--json", help="One JSON object on stdout; everything else on stderr.", group=OUTPUT)
]
