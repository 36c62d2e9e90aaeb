"""A supernet whose learning rate jumps twentyfold for fifty steps: noticed, taken back, and learnt on from.

Draws docs/collapse.svg. T32 on digits, one thread, watched as `convsmith search` watches, beside the same without the jump.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from common import Row, answer, save
from convsmith import plot
from convsmith.data import load_data
from convsmith.jobs.feed import Feed, normaliser
from convsmith.plot import BLUE, GREY, ORANGE, blank
from convsmith.recipe import Schedule
from convsmith.recipes import recipe
from convsmith.supernet import T32, Sandwich, Supernet, ends
from convsmith.tasks import Classify
from convsmith.training import fit
from convsmith.watcher import RolledBack, Watched

EPOCHS, FROM, TO, TIMES = 10, 150, 200, 20.0


@dataclass(frozen=True)
class Jump(Schedule):
    """The peak rate, but `TIMES` of it from step `FROM` to `TO`."""

    kind = "jump"
    jumps: bool = True

    def share(self, step: int, *, steps: int, warmup: int, per_epoch: int) -> float:
        return TIMES if self.jumps and FROM <= step < TO else 1.0


def trained(*, jumps: bool) -> list[Watched | RolledBack]:
    images = load_data("digits")
    space = T32.with_classes(len(images.classes))
    own = replace(recipe("quick"), epochs=EPOCHS, batch=32, rate=0.4, average=0.0, schedule=Jump(jumps))
    found: list[Watched | RolledBack] = []
    with tempfile.TemporaryDirectory() as scratch:
        supernet, task = Supernet(space, seed=0), Classify()
        for record in fit(
            Sandwich(supernet, task, own, seed=0),
            own,
            Feed(space.biggest(), images, own, 0, 0),
            prepare=normaliser(space.biggest(), torch.device("cpu")),
            evaluate=lambda shipped: {},
            checkpoint=Path(scratch) / "last.pt",
            device=torch.device("cpu"),
            seed=0,
            lookout=ends(supernet, task, own, chance=task.chance(images.classes), every=10),
        ):
            if isinstance(record, (Watched, RolledBack)):
                found.append(record)
                print(record, file=sys.stderr, flush=True)
    return found


def main() -> None:
    torch.set_num_threads(1)
    calm, jumped = trained(jumps=False), trained(jumps=True)
    falls = [record for record in jumped if isinstance(record, RolledBack)]
    ends = [[record for record in run if isinstance(record, Watched)][-1] for run in (calm, jumped)]
    with blank(3.2) as figure:
        axes = figure.subplots()
        axes.axvspan(FROM, TO, color=GREY, alpha=0.15, linewidth=0)
        for run, color, name in ((calm, BLUE, "undisturbed"), (jumped, ORANGE, "disturbed")):
            looks = [record for record in run if isinstance(record, Watched)]
            axes.plot(
                [one.step for one in looks],
                [one.biggest for one in looks],
                color=color,
                linewidth=1.2,
                label=f"biggest, {name}",
            )
            axes.plot([one.step for one in looks], [one.smallest for one in looks], "--", color=color, linewidth=0.9,
                      label=f"smallest, {name}")  # fmt: skip
        for at, fall in enumerate(falls):
            axes.axvline(fall.step, color=ORANGE, linewidth=0.6, alpha=0.7, label="taken back" if at == 0 else None)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(f"step; {TIMES:g} times the rate where it is grey")
        axes.set_ylabel("loss on the fixed batch")
        axes.grid(axis="y")
        figure.legend(frameon=False, fontsize=7.5, loc="outside upper left", ncols=2)
        figure.set_label(
            "Losses of a supernet's ends on a fixed batch, with and without fifty steps of twenty times the rate."
        )
        plot.save(figure, Path(__file__).parents[1] / "docs" / "collapse.svg")
        if "--png" in sys.argv:
            plot.save(figure, Path(sys.argv[-1]))
    first = falls[0].step - FROM if falls else -1
    near = all(
        b <= 2 * a
        for a, b in zip((ends[0].smallest, ends[0].biggest), (ends[1].smallest, ends[1].biggest), strict=True)
    )
    rows = [
        Row("steps from the jump to the first return", f"{first}", "", None, 1, "noticed", answer(0 < first <= TO - FROM)),
        Row("returns in all", f"{len(falls)}", "", None, 1, ""),
        Row("loss at the end, smallest and biggest", f"{ends[1].smallest:.3f}, {ends[1].biggest:.3f}",
            f"undisturbed {ends[0].smallest:.3f}, {ends[0].biggest:.3f}", None, 1, "within twice", answer(near)),
    ]  # fmt: skip
    save(
        "collapse",
        "A collapse, injected",
        "",
        rows,
        note=f"T32 on digits, {EPOCHS} epochs, batch 32, watched every 10 steps.",
    )


if __name__ == "__main__":
    main()
