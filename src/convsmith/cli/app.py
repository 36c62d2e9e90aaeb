"""`convsmith`: which verbs there are, and what happens when one fails."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal

import cyclopts
from cyclopts import Group, Parameter
from rich.markup import escape

from ..errors import SYNONYMS, CheckFailed, Stopped, UserError, nearest
from .calibrate import calibrate
from .convert import convert
from .design import demo, design
from .diagnose import diagnose
from .doctor import doctor
from .estimate import estimate
from .evaluate import evaluate
from .examples import epilogue
from .export import export
from .family import family
from .fit_scaling import fit_scaling
from .kit import confirm, kit
from .ladder import ladder
from .list_ import list_
from .measure import measure
from .old_words import renamed, verb_elsewhere
from .options import OUTPUT, Json
from .output import emit, err, out
from .passport import passport
from .pick import pick
from .predict import predict
from .pseudo_label import pseudo_label
from .recipes import recipes
from .report import report
from .resume import resume
from .runs import runs
from .scale import scale
from .screen import flushed
from .search import search
from .search_norms import norms
from .show import show
from .train import train

__all__ = ["app", "main"]

FIRST_SCREEN = """\
[bold]convsmith[/] designs, scales, trains, measures and ships efficient ConvNets under a budget.

  convsmith [bold]demo[/]                                        the main job on digits that are already here
  convsmith [bold]design[/] ./photos --to 20M-macs               a trained network that meets the budget, and a report
  convsmith [bold]predict[/] runs/photos-20M new.jpg             what it says of a new picture
  convsmith [bold]show[/] efficientnet_b0                        its stages, its cost, the paper's numbers
  convsmith [bold]pick[/] --to 300M-macs --counts-only           which published network to take
  convsmith [bold]scale[/] resnet50 --to 5ms                     the largest member that fits, measured here
  convsmith [bold]measure[/] resnet18 mobilenetv2_100            milliseconds on this machine, interleaved
  convsmith [bold]doctor[/]                                      is this machine quiet enough to time on?

`convsmith help` lists every verb, `convsmith help VERB` its options, with examples."""

Shell = Literal["bash", "zsh", "fish"]


def _said(default: Any) -> str | None:
    """A default as help shows it: nothing, no and none at all go without saying."""
    return None if default is None or default is False or default in ("", ()) else str(default)


def _told(verb: Callable[..., Any]) -> str:
    """What a verb says of itself, its paragraphs without the line breaks of the source."""
    paragraphs = (inspect.getdoc(verb) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


app = cyclopts.App(
    name="convsmith",
    help="Design, scale, train, measure and ship efficient ConvNets under a budget.",
    version_flags=["--version", "-V"],
    help_format="plaintext",
    default_parameter=Parameter(negative=(), show_default=_said),
    # Errors are told by `main`, in one voice and with one exit code.
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
app.meta.group_parameters = OUTPUT
app.meta.suppress_keyboard_interrupt = False  # which it does not have from `app`


def completion(
    shell: Annotated[Shell, Parameter(help="The shell that completes.")],
    /,
    *,
    install: Annotated[
        bool, Parameter(help="Put it where the shell looks, instead of printing it.", group=OUTPUT)
    ] = False,
    json: Json = False,
) -> None:
    """A script by which the shell completes verbs and options; printed, or installed for this user."""
    if install:
        path = app.install_completion(shell=shell, add_to_startup=False)
        if json:
            emit({"file": str(path)})
        else:
            out.print(f"wrote {path}; a new {shell} completes", soft_wrap=True)
        return
    script = app.generate_completion(shell=shell)
    if json:
        emit({"shell": shell, "script": script})
    else:
        sys.stdout.write(script)


def help_(
    verb: Annotated[tuple[str, ...], Parameter(help="The verb to explain; search norms is one.")] = (), /
) -> None:
    """The verbs by what they are for, or the options of VERB."""
    known = app
    for word in verb:
        if word not in known:
            raise UserError(f"unknown verb '{' '.join(verb)}'{nearest(word, known)}; `convsmith help` lists them")
        known = known[word]
    app.meta([*verb, "--help"])


VERBS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Design and scale": (design, demo, scale, pick, search, family, fit_scaling),
    "Train and score": (train, resume, evaluate, passport, ladder, pseudo_label, recipes),
    "Look": (list_, show, runs, report, diagnose),
    "Ship": (predict, export, convert),
    "Machine": (doctor, measure, calibrate, estimate, kit, confirm, completion, help_),
}
for order, (job, verbs) in enumerate(VERBS.items()):
    group = Group(job, sort_key=order)
    for verb in verbs:
        name = verb.__name__.rstrip("_").replace("_", "-")
        app.command(verb, name=name, group=group, help=_told(verb), help_epilogue=epilogue(name))
# A word after a verb: a folder of that name is given as ./norms.
app["search"].usage = "Usage: convsmith search --to STR [OPTIONS] DATA, or convsmith search norms [OPTIONS] DATA"
app["search"].command(norms, name="norms", help=_told(norms), help_epilogue=epilogue("search norms"))


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    quiet: Annotated[
        bool, Parameter(name=["--quiet", "-q"], help="Results and errors only: no progress, no notes.")
    ] = False,
    plugin: Annotated[
        tuple[str, ...], Parameter(help="A file (wide.py) or module that registers parts of your own; may be repeated.")
    ] = (),
) -> None:
    """What every verb has."""
    err.quiet = quiet
    if plugin:
        from ..registry import plug_in_all

        plug_in_all(plugin)
    app(tokens)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line. 0: fine; 1: a check failed; 2: wrong usage or bad input; 130: interrupted; 143: SIGTERM."""
    if sys.stdout is None:  # closed: nobody wants to read results
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    tokens, notes = renamed(sys.argv[1:] if argv is None else argv)
    for note in notes:
        err.print(note, style="dim")
    try:
        code = _carried_out(tokens)
        flushed()
    except BrokenPipeError:  # the reader of our output has had enough
        with contextlib.suppress(OSError):
            flushed()
        return 0
    except OSError as error:  # a full disk, a folder that cannot be read: the system's word, and no traceback
        return _failed(str(error), [], code=2)
    return code


def _carried_out(tokens: list[str]) -> int:
    """Do what the words say, or say what is wrong; the exit code."""
    if not tokens:
        out.print(FIRST_SCREEN, markup=True)
        return 0
    try:
        app.meta(tokens)
    except cyclopts.UnknownOptionError as error:
        return _failed(_unknown(error), tokens, code=2)
    except cyclopts.UnknownCommandError as error:
        given = next(iter(error.unused_tokens or ()), "")
        return _failed(verb_elsewhere(given) or str(error), tokens, code=2)
    except cyclopts.UnusedCliTokensError as error:
        return _failed(_unused(error), tokens, code=2)
    except cyclopts.CycloptsError as error:
        return _failed(str(error), tokens, code=2)
    except CheckFailed as error:
        return _failed(str(error), [] if error.told else tokens, code=1)
    except UserError as error:
        return _failed(str(error), tokens, code=2)
    except Stopped as stopped:
        return _failed(str(stopped), tokens, code=143)
    except KeyboardInterrupt as interrupted:
        return _failed(str(interrupted) or "interrupted", tokens, code=130)
    finally:
        err.quiet = False
    return 0


def _unknown(error: cyclopts.UnknownOptionError) -> str:
    """The message of an unknown option, which names ours where it is another package's word."""
    given = error.token.keyword or error.token.value
    from ..recipe import Recipe

    ours = SYNONYMS.get(given.lstrip("-").replace("-", "_"))
    option = "--lr" if ours == "rate" else f"--{ours}"
    if any(option in argument.names for argument in error.argument_collection):
        return f"unknown option {given}; here it is {option}"
    if ours is not None and ours.partition(".")[0] in {field.name for field in fields(Recipe)}:
        return f"unknown option {given}; here it is --set {ours}=..."
    if given == "--to" and "norms" in (error.command_chain or ()):
        return "`search norms` searches for a layer and has no --to; a folder that is called norms is given as ./norms"
    if given in ("--model", "--data"):
        return f"unknown option {given}: it comes without a word before it, as in `convsmith train resnet18 ./photos`"
    return str(error)


def _unused(error: cyclopts.UnusedCliTokensError) -> str:
    """The message of words that are too many, with what was perhaps meant."""
    pairs = [token for token in error.unused_tokens or () if "=" in token]
    if not pairs:
        return str(error)
    name, _, value = pairs[0].partition("=")
    return f"'{pairs[0]}' is no option: it is written --{name} {value}; a network and data stand first, without a word before them"


def _failed(message: str, tokens: Sequence[str], *, code: int) -> int:
    if "--json" in tokens:
        sys.stdout.write(json.dumps({"error": message}) + "\n")
    from ..progress import stop_bars

    err.quiet = False
    stop_bars()
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True, markup=True)
    return code
