"""`convsmith`: which verbs there are, and what happens when one fails."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import fields

import cyclopts
from rich.markup import escape

from ..errors import SYNONYMS, CheckFailed, Stopped, UserError
from .calibrate import calibrate
from .convert import convert
from .design import demo, design
from .diagnose import diagnose
from .doctor import doctor
from .estimate import estimate
from .evaluate import evaluate
from .export import export
from .fit_scaling import fit_scaling
from .ladder import ladder
from .list_ import list_
from .measure import measure
from .output import err, out
from .pick import pick
from .predict import predict
from .pseudo_label import pseudo_label
from .report import report
from .resume import resume
from .scale import scale
from .search import search
from .show import show
from .train import train

__all__ = ["app", "main"]

FIRST_SCREEN = """\
[bold]convsmith[/] designs, scales, trains, measures and ships efficient ConvNets under a budget.

  convsmith [bold]demo[/]                                        the main job on digits that are already here
  convsmith [bold]design[/] ./photos --to 20M-macs               a trained network that meets the budget, and a report
  convsmith [bold]show[/] efficientnet_b0                        its stages, its cost, the paper's numbers
  convsmith [bold]scale[/] resnet50 --to 5ms                     the largest member that fits, measured here
  convsmith [bold]measure[/] resnet18 mobilenetv2_100            milliseconds on this machine, interleaved

`convsmith --help` lists every verb, `convsmith VERB --help` its options."""

app = cyclopts.App(
    name="convsmith",
    help="Design, scale, train, measure and ship efficient ConvNets under a budget.",
    version_flags=["--version"],
    help_format="plaintext",
    default_parameter=cyclopts.Parameter(negative=()),
    # Errors are told by `main`, in one voice and with one exit code.
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)

VERBS = (
    *(doctor, list_, show, scale, measure, pick, calibrate, estimate, diagnose, convert),
    *(design, train, search, resume, evaluate, predict, pseudo_label, export, report, demo, fit_scaling, ladder),
)
for verb in VERBS:
    app.command(verb, name=verb.__name__.rstrip("_").replace("_", "-"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line. 0: fine; 1: a check failed; 2: wrong usage or bad input; 130: interrupted; 143: SIGTERM."""
    tokens = list(sys.argv[1:] if argv is None else argv)
    if not tokens:
        out.print(FIRST_SCREEN)
        return 0
    try:
        app(tokens)
    except cyclopts.UnknownOptionError as error:
        return _failed(_unknown(error), tokens, code=2)
    except cyclopts.CycloptsError as error:
        return _failed(str(error), tokens, code=2)
    except CheckFailed as error:
        return _failed(str(error), tokens, code=1)
    except UserError as error:
        return _failed(str(error), tokens, code=2)
    except Stopped as stopped:
        return _failed(str(stopped), tokens, code=143)
    except KeyboardInterrupt:
        return _failed(
            "interrupted; what was earned is kept. A run goes on with `convsmith resume RUN`", tokens, code=130
        )
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; there is nobody to tell
        return 0
    return 0


def _unknown(error: cyclopts.UnknownOptionError) -> str:
    """The message of an unknown option, which names ours where it is another package's word."""
    given = error.token.keyword or error.token.value
    from ..recipe import Recipe

    ours = SYNONYMS.get(given.lstrip("-").replace("-", "_"))
    if any(f"--{ours}" in argument.names for argument in error.argument_collection):
        return f"unknown option {given}; here it is --{ours}"
    if ours in {field.name for field in fields(Recipe)}:
        return f"unknown option {given}; here it is --set {ours}=..."
    return str(error)


def _failed(message: str, tokens: Sequence[str], *, code: int) -> int:
    if "--json" in tokens:
        sys.stdout.write(json.dumps({"error": message}) + "\n")
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True, highlight=False)
    return code
