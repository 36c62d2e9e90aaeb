"""`convsmith scale`: the largest member of a rule's line that fits."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import UserError
from ..files import write_text
from ..units import Budget
from .kit import tell_kit
from .options import (
    BUDGET,
    BUDGETS,
    COUNT,
    NETWORK,
    OUTPUT,
    POSITIVE,
    Classes,
    Elsewhere,
    Json,
    Out,
    RuleName,
    Runtime,
    Spec,
    Threads,
)  # fmt: skip
from .output import emit, out, tell_machine, watching
from .places import writable

if TYPE_CHECKING:
    from ..scaling import Rule

__all__ = ["scale"]


def scale(
    model: Spec,
    /,
    *,
    to: Annotated[str, BUDGET],
    rule: RuleName = "compound",
    classes: Classes = None,
    epochs: Annotated[
        float | None,
        Parameter(help="For resnet-rs: how long it will be trained.", validator=POSITIVE, group=NETWORK),
    ] = None,
    images: Annotated[
        int | None,
        Parameter(help="For resnet-rs: on how many images; ImageNet's if not given.", validator=COUNT, group=NETWORK),
    ] = None,
    runtime: Annotated[
        Runtime, Parameter(help="For ms: onnxruntime, eager torch, torch.compile, or another that is installed.")
    ] = "ort",
    threads: Annotated[Threads, Parameter(help="For ms: threads of the runtime.")] = 1,
    device: Elsewhere = None,
    confirm: Annotated[
        Path | None,
        Parameter(help="With --device: write a kit here, which measures the network there.", group=OUTPUT),
    ] = None,
    fill: Annotated[
        bool, Parameter(help="Use up a limit of macs by a larger side, off the rule's line.", group=BUDGETS)
    ] = False,
    out_file: Annotated[Out, Parameter(help="Write the spec as JSON.")] = None,
    json: Json = False,
) -> None:
    """The largest member of a rule's line through MODEL that meets every part of the budget."""
    from ..codec import to_data
    from ..jobs.scale import met
    from ..jobs.scale import scale as scaled

    writable(out_file)
    if confirm is not None and device is None:
        raise UserError(
            "--confirm is of a device that is elsewhere: give --device; what is of this machine was measured"
        )
    if (runtime, threads) != ("ort", 1) and not math.isfinite(Budget.parse(to).ms):
        raise UserError(f"--runtime and --threads are of milliseconds, and '{to}' limits none; --to 5ms would")
    line = _rule(rule, epochs, images)
    found = scaled(
        model,
        to=to,
        rule=line,
        classes=classes,
        runtime=runtime,
        threads=threads,
        device=device,
        fill=fill,
        watcher=watching(),
    )
    if out_file is not None:
        write_text(out_file, found.spec.to_json())
    kit = None
    if confirm is not None:
        from ..jobs.timing.kit import write_kit

        kit = write_kit(
            confirm,
            [found.spec],
            runtime=runtime,
            threads=(threads,),
            device=device,
            to=found.budget,
            watcher=watching(),
        )
    if json:
        record = {"spec": to_data(found.spec), "cost": to_data(found.cost), "rule": line.kind, "x": found.x}
        record |= {"filled_from": found.filled_from} | ({} if kit is None else {"kit": str(kit.folder)})
        timed = None if found.latency is None else found.latency.to_record()
        limits = {name: limit.to_record() for name, limit in met(found).items()}
        emit(record | {"budget": str(found.budget), "met": limits, "latency": timed})
        return
    spec = found.spec
    depths = " ".join(str(stage.depth) for stage in spec.stages)
    widths = " ".join(str(stage.width) for stage in spec.stages)
    out.print(found.where)
    if fill and found.filled_from is None:
        out.print(f"nothing to fill: at {spec.input.resolution + 1} px it would be over the limit")
    out.print(f"{spec.input.px} px; depths {depths}; stem {spec.stem.width}, widths {widths}")
    slack = ", ".join(f"{share:.1%} under the {name} limit" for name, share in found.slack.items())
    out.print(f"{found.cost} ({slack})")
    if found.latency is not None:
        out.print(found.latency.told, soft_wrap=True)
        if found.latency.noisy:
            out.print(found.latency.noisy, soft_wrap=True)
        if device is None:
            tell_machine()
    if out_file is not None:
        out.print(f"wrote {out_file}")
    if kit is not None:
        tell_kit(kit)


def _rule(name: str, epochs: float | None, images: int | None) -> Rule:
    from ..scaling import ResNetRS, regime
    from ..scaling import rule as named_rule
    from ..scaling.resnet_rs import IMAGENET

    line = named_rule(name)
    if epochs is None and images is None:
        return line
    if not isinstance(line, ResNetRS):
        raise UserError(f"--epochs and --images choose the strategy of --rule resnet-rs; '{name}' has none to choose")
    return dataclasses.replace(
        line, regime=regime(350 if epochs is None else epochs, IMAGENET if images is None else images)
    )
