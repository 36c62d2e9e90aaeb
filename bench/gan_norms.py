"""Norms in BigGAN's generator: BN-ReLU, EvoNorm-B0 and EvoNorm-S0, over several seeds, on digits or on images that are given.

    python bench/gan_norms.py digits --seeds 3
    python bench/gan_norms.py PATH --model biggan32_ch16 --epochs 150 --set critic_steps=2 --seeds 2 --folder RUNS

A training for each norm and seed, in a run folder of its own; one that is there and finished is read, one that was stopped is
resumed, so that the whole can be killed and begun again at any time. `--only bn-0,s0-1` does some of them. The data is anything
that `convsmith train` takes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

import convsmith as cs
from common import Row, save
from convsmith.parts import EvoNorm, EvoNormKind
from convsmith.runs import RunFolder

# Groups of 8, as tiny networks need them.
NORMS = {
    "bn": None,
    "b0": EvoNorm(EvoNormKind.B0),
    "s0": EvoNorm(EvoNormKind.S0, groups=8),
}

NAMES = {"bn": "BN-ReLU", "b0": "EvoNorm-B0", "s0": "EvoNorm-S0"}


def trained(name: str, seed: int, asked: argparse.Namespace) -> RunFolder:
    """The finished run of a norm and a seed."""
    place = Path(asked.folder) / f"{name}-{seed}"
    if (place / "config.json").is_file():
        return RunFolder.open(place) if (place / "report.html").is_file() else cs.resume(place)
    spec, norm = cs.spec(asked.model), NORMS[name]
    settings = (*asked.settings, *([f"epochs={asked.epochs}"] if asked.epochs else []))
    options = cs.Options(task="synthesise", settings=settings, seed=seed, name=place.name, parent=place.parent)
    return cs.train(spec if norm is None else spec.with_style(norm=norm), asked.data, options=options)


def row(name: str, runs: list[RunFolder]) -> Row:
    scores = [run.scores for run in runs]

    def each(metric: str, form: str) -> str:
        values = [one[metric] for one in scores]
        return f"{mean(values):{form}} ({', '.join(f'{value:{form}}' for value in values)})"

    kinds = (("1000 KD", ".3g"), ("FD", ".4g"), ("right", ".3f"))
    ours, real = (
        ("kernel_distance", "frechet_distance", "conditional_accuracy"),
        ("kernel_floor", "frechet_floor", "judge"),
    )
    told, floor = (
        ", ".join(f"{kind} {each(name, form)}" for (kind, form), name in zip(kinds, names, strict=True))
        for names in (ours, real)
    )
    return Row(NAMES[name], told, floor, None, len(runs), "")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--model", default="biggan8")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--folder", default="runs/gan-norms")
    parser.add_argument("--only", help="some of the pieces, such as bn-0,s0-1")
    asked = parser.parse_args()
    pieces = [(name, seed) for seed in range(asked.seeds) for name in NORMS]
    if asked.only:
        pieces = [piece for piece in pieces if f"{piece[0]}-{piece[1]}" in asked.only.split(",")]
    runs: dict[str, list[RunFolder]] = {}
    for name, seed in pieces:
        runs.setdefault(name, []).append(trained(name, seed, asked))
        print(f"{name}-{seed}: {runs[name][-1].scores.headline.text}", flush=True)
    title = f"Norms in {asked.model} on {Path(asked.data).name}"
    note = (
        "mean over seeds, and each; distances are in features of a classifier of the same data that each run trains, "
        "and no published FID; n counts seeds"
    )
    save(
        "gan_norms",
        title,
        "real training images",
        [row(name, own) for name, own in runs.items()],
        note,
        trial=bool(asked.only),
    )


if __name__ == "__main__":
    main()
