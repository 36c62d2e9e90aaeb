"""Runs of every task that are killed, in training, while a checkpoint is written and after training: do they end as if not?

    python bench/kills.py [--only classify,pose,...] [--seeds 1] [--runs FOLDER]

A toy of each task, on a few of the embedded films, scenes and frames, is trained once undisturbed, then once for every moment and
seed, killed there by SIGKILL, and resumed. All files of the two folders must be equal to the byte but for what a clock writes,
checkpoints in every tensor: for a generator the weights and optimisers of both players.

A cell that is in FOLDER is not done again.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import convsmith as cs
from common import Row, answer, save
from convsmith.arch import ArchSpec
from convsmith.families.inflated import inflated
from interrupted import awaited, begun, convsmith, differing, killed, lines, told

EPOCHS = 3


def small(side: int) -> ArchSpec:
    """A ResNet of four blocks, 8 to 32 wide."""
    base = cs.spec("resnet18", resolution=side)
    stages = tuple(replace(stage, depth=1, width=8 * (k + 1)) for k, stage in enumerate(base.stages))
    return replace(base, name="small", stem=replace(base.stem, width=8, pool=False), stages=stages)


@dataclass(frozen=True)
class Toy:
    """A network, by name or as a spec, the data, and what else `train` is told."""

    network: str | ArchSpec
    data: str
    words: tuple[str, ...]

    def command(self, folder: Path, name: str) -> list[str]:
        network = self.network
        if isinstance(network, ArchSpec):
            file = folder / "network.json"
            file.write_text(network.to_json(), encoding="utf-8")
            network = str(file)
        fixed = ("--epochs", str(EPOCHS))
        return convsmith("train", network, self.data, *self.words, *fixed, "--out", str(folder / name))


TOYS = {
    "classify": Toy(small(16), "digits", ("--batch", "256")),
    "pose": Toy(small(32), "quad30", ("--resolution", "32", "--batch", "8")),
    "detect": Toy(small(32), "digit-scenes", ("--resolution", "32", "--batch", "10")),
    "clips": Toy(inflated(small(16), frames=4, stride=2), "moving-digits", ("--batch", "24")),
    "synthesise": Toy("biggan8", "digits", ("--task", "synthesise", "--batch", "128")),
}


# ---- moments ---------------------------------------------------------------------------------------------------------

Kill = Callable[[Path, "subprocess.Popen[bytes]", random.Random, Path], bool]


def training(run: Path, process: subprocess.Popen[bytes], rng: random.Random, whole: Path) -> bool:
    """Somewhere in an epoch that is drawn."""
    seconds = [line["seconds"] for line in lines(whole / "metrics.jsonl") if line["event"] == "epoch"]
    ends, share = rng.randrange(EPOCHS), rng.random()
    if not awaited(process, lambda: (run / "samples.json").exists() and epochs(run) >= ends):
        return False
    time.sleep(share * seconds[ends])
    return killed(process)


def writing(run: Path, process: subprocess.Popen[bytes], rng: random.Random, whole: Path) -> bool:
    """While the checkpoint of an epoch that is drawn has its temporary name."""
    ends = rng.randrange(1, EPOCHS)
    there = awaited(process, lambda: epochs(run) >= ends and bool(unnamed(run)))
    return killed(process) and there and bool(unnamed(run))


def handing_over(run: Path, process: subprocess.Popen[bytes], rng: random.Random, whole: Path) -> bool:
    """Somewhere between the weights and the report: in evaluation, export or timing."""
    first, last = ((whole / name).stat().st_mtime for name in ("model.safetensors", "report.html"))
    if not awaited(process, (run / "model.safetensors").exists):
        return False
    time.sleep(rng.random() * (last - first))
    return killed(process)


MOMENTS: dict[str, Kill] = {
    "writing a checkpoint": writing,
    "in training": training,
    "after training": handing_over,
}


def epochs(run: Path) -> int:
    return sum(line["event"] == "epoch" for line in lines(run / "metrics.jsonl"))


def unnamed(run: Path) -> list[Path]:
    return list(run.glob(".last.pt.*.tmp"))


# ---- cells -----------------------------------------------------------------------------------------------------------


def undisturbed(toy: Toy, folder: Path, name: str) -> Path:
    run = folder / name
    if not (run / "report.html").exists():
        shutil.rmtree(run, ignore_errors=True)  # of a bench that was killed itself
        told(toy.command(folder, name))
    return run


def cell(toy: Toy, folder: Path, moment: str, seed: int) -> dict[str, Any]:
    """What became of a run that was killed: the files in which it differs from the undisturbed one."""
    whole = undisturbed(toy, folder, "whole")
    run = folder / f"{moment.replace(' ', '-')}-{seed}"
    shutil.rmtree(run, ignore_errors=True)
    rng = random.Random(f"{folder.name} {moment} {seed}")
    hit = MOMENTS[moment](run, begun(toy.command(folder, run.name)), rng, whole)
    said = told(convsmith("resume", str(run)))
    return {"hit": hit, "resumed": resumed(said), "differs": differing(whole, run)}


def resumed(said: str) -> str:
    found = [line.split("resuming after ")[1] for line in said.splitlines() if "resuming after " in line]
    return found[-1] if found else ""


# ---- the table -------------------------------------------------------------------------------------------------------


def rows_of(done: dict[str, dict[str, Any]]) -> list[Row]:
    rows = []
    for name, found in done.items():
        same = not found["differs"]
        said = "equal" if same else f"differs: {', '.join(found['differs'])}"
        where = f", went on after {found['resumed']}" if found["resumed"] else ""
        missed = "" if found["hit"] else ", the moment was missed"
        rows.append(Row(name, f"{said}{where}{missed}", "", None, 1, "equal", answer(same)))
    return rows


def wanted(asked: argparse.Namespace, runs: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """How to make each cell, by its name: a moment of all tasks before the next moment."""
    folders = {task: runs / task for task in asked.only.split(",")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {
        f"{task}: killed {moment}{f' ({seed + 1})' if seed else ''}": partial(cell, TOYS[task], at, moment, seed)
        for seed in range(asked.seeds)
        for moment in MOMENTS
        for task, at in folders.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(TOYS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--trial", action="store_true", help="write nothing")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        runs = asked.runs or Path(scratch)
        file = runs / "cells.jsonl"
        done = {line["cell"]: line for line in lines(file)}
        for name, make in wanted(asked, runs).items():
            if name not in done:
                done[name] = make() | {"cell": name}
                with file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(done[name]) + "\n")
            print(done[name], flush=True)
    save("kills", "Killed, and resumed", "", rows_of(done), note=NOTE, trial=asked.trial)


NOTE = (
    "SIGKILL, then `convsmith resume`. Equal: every file of the folder to the byte, but config.json, latency.json, report.html and "
    "seconds; the last checkpoint in every tensor."
)


if __name__ == "__main__":
    main()
