"""The verb that gives a network another norm, or none: convert."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter
from rich.markup import escape

from .options import NETWORK, Json, Model, Out, Plot, Resolution, Seed
from .output import emit, err, out, table
from .places import picture

__all__ = ["convert"]

ActName = Literal["relu", "relu6", "silu", "hard_swish", "gelu"]


def convert(
    model: Model,
    /,
    *,
    norm: Annotated[
        str,
        Parameter(
            help="nf takes norms out. In their place: batch, group, evonorm-s0, evonorm-b0, a graph of `list --norms`, or "
            "the .json file of a norm.",
            group=NETWORK,
        ),
    ],
    out_file: Annotated[Out, Parameter(help="Write the spec (.json) or the live network (.pt2).")] = None,
    act: Annotated[ActName | None, Parameter(help="The activation, where EvoNorm had none.", group=NETWORK)] = None,
    live: Annotated[bool, Parameter(help="Convert the built network and not its spec.", group=NETWORK)] = False,
    keep_function: Annotated[
        bool, Parameter(help="nf: fold the norms, so that outputs stay as they are.", group=NETWORK)
    ] = False,
    resolution: Annotated[Resolution, Parameter(help="Another input side for what is traced.")] = None,
    plot: Annotated[Plot, Parameter(help="Draw the signal before and after as an .svg or .png.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """MODEL with another norm, or with none: its spec where it has one, else the live network, timm's and torchvision's too.

    The signal before and after is traced, and what could not be converted is said.
    """
    from ..jobs.convert import convert as converted
    from ..jobs.convert import writable, write

    picture(plot)
    if out_file is not None:
        writable(out_file, spec=not (live or keep_function or model.startswith(("timm:", "tv:"))))
    found = converted(model, norm, act=act, live=live, keep_function=keep_function, resolution=resolution, seed=seed)
    if plot is not None:
        from ..plot import save
        from ..reports.propagation import signal_plot

        save(signal_plot([found.before, found.after]), plot)
    if out_file is not None:
        write(found, out_file)
    if json:
        emit(found.to_record())
        return
    rows = [
        [name, f"{min(each):.3g}", f"{max(each):.3g}", f"{max(shift):.0%}"]
        for name, each, shift in (
            (one.name, [p.out.var for p in one.points], [p.out.shift for p in one.points if p.index])
            for one in (found.before, found.after)
        )
    ]
    out.print(table(f"signal of {found.before.source}", "<network least_variance most mean's_share", rows))
    out.print(found.says, soft_wrap=True, highlight=False)
    for name, why in found.left[:5]:
        out.print(f"[yellow]left[/]  {escape(f'{name}: {why}')}", soft_wrap=True, markup=True)
    if len(found.left) > 5:
        err.print(f"and {len(found.left) - 5} more; --json has all", style="dim")
    for path in (plot, out_file):
        if path is not None:
            out.print(f"wrote {path}")
