"""`convsmith doctor`: the machine, and where training's time goes on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import UserError
from ..units import plural
from .options import DATA_HELP, NATURAL, SPREAD, Json, Seed
from .output import emit, out, table, watching

if TYPE_CHECKING:
    pass

__all__ = ["doctor"]


def doctor(
    data: Annotated[str | None, Parameter(help=f"What would be trained on: {DATA_HELP}")] = None,
    /,
    *,
    model: Annotated[str | None, Parameter(help="With DATA: the network to train on it; resnet18 by default.")] = None,
    recipe: Annotated[
        str | None, Parameter(help="With DATA: the recipe whose augmentation and batch it is; quick by default.")
    ] = None,
    workers: Annotated[
        int | None,
        Parameter(help="With DATA: processes that read images; none by default.", validator=NATURAL, group=SPREAD),
    ] = None,
    json: Json = False,
    seed: Seed = 0,
) -> None:
    """The machine, its versions and threads, and whether it is quiet enough to time on; with DATA, where training's time goes."""
    if data is not None:
        _feeding(data, model or "resnet18", recipe or "quick", workers or 0, json=json)
        return
    for name, value in (("--model", model), ("--recipe", recipe), ("--workers", workers)):
        if value is not None:
            raise UserError(
                f"{name} says how DATA would be trained on; give DATA too: convsmith doctor DATA {name} {value}"
            )
    from ..jobs.timing.doctor import examine

    found = examine(seed=seed)
    if json:
        emit(found.to_record())
        return
    machine = found.machine
    rows = [
        ["processor", f"{machine.processor}, {machine.cores} usable cores, {machine.memory_gib:.0f} GiB"],
        ["system", f"{machine.system}, Python {machine.python}"],
        ["packages", ", ".join(f"{name} {version}" for name, version in machine.packages)],
        ["torch", f"{found.torch_threads} threads, {found.cuda}"],
        ["load", f"{found.load:.2f} running processes on {machine.cores} cores (last minute)"],
        ["timing", f"{found.noise:.1%} spread of one fixed computation over {found.rounds} rounds"],
        ["verdict", found.verdict],
    ]
    out.print(table(None, "<check <found", rows))


def _feeding(data: str, model: str, recipe: str, workers: int, *, json: bool) -> None:
    from ..jobs.timing.pipeline import examine_data

    found = examine_data(data, model=model, recipe=recipe, workers=workers, watcher=watching())
    if json:
        emit(found.to_record())
        return
    rows = [
        ["decode", f"{found.decode:.2f} ms an image"],
        ["augment", f"{found.augment:.2f} ms an image"],
        ["step", f"{found.step:.2f} ms an image"],
        ["feed", f"{found.supplied:.0f} images/s with {plural(found.workers, 'worker')}"],
        ["network", f"{found.consumed:.0f} images/s"],
        ["verdict", found.verdict],
    ]
    out.print(table(f"{data}, {model}, {plural(found.images, 'image')}", "<part <found", rows))
