"""How fast this source tree is beside another one, such as the commit before a redesign.

    python bench/against.py /path/to/other/src [--rounds N] [ITEM ...]

Each tree runs in a process of its own that stays; in every round each is asked for one sample of each item, in an order drawn
anew. What is printed is the median of the ratios within rounds, ours over theirs, with a 95 % bootstrap interval. One thread.
Items: step32, step224, sandwich, seen, unseen, evaluate; help and show are whole commands.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {"help": ["--help"], "show": ["show", "efficientnet_b0"]}
ITEMS = ("step32", "step224", "sandwich", "seen", "unseen", "evaluate", *COMMANDS)


# ---- in each tree's process ------------------------------------------------------------------------------------------


def feeding() -> Any:
    """The module that feeds a network, where either tree has it."""
    try:
        from convsmith.jobs import feed
    except ImportError:
        from convsmith import feed
    return feed


def steps(side: int, batch: int) -> Callable[[], object]:
    import numpy as np
    import torch

    import convsmith as cs
    from convsmith.data import load_data
    from convsmith.recipes import changed, recipe

    folder = Path(tempfile.mkdtemp())
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (256, side, side, 3), dtype=np.uint8)
    np.savez(folder / "noise.npz", images=images, labels=np.arange(256) % 10)
    data = load_data(folder / "noise.npz")
    spec = cs.spec("mobilenetv2_035", classes=10, resolution=side)
    how = changed(recipe("quick"), ["epochs=1000", f"batch={batch}"])
    feed = feeding().Feed(spec, data, how, 0, 0)
    common: dict[str, Any] = {
        "prepare": feeding().normaliser(spec, torch.device("cpu")), "evaluate": lambda net: {}, "seed": 0,
        "checkpoint": folder / "last.pt", "device": torch.device("cpu"),
    }  # fmt: skip
    return _next(_records(cs.build(spec, seed=0), how, feed, common))


def _records(model: Any, how: Any, feed: Any, common: dict[str, Any]) -> Iterator[Any]:
    from convsmith import training

    try:
        from convsmith.tasks import Classify
    except ImportError:
        return training.fit(model, how, feed, **common)
    return training.fit(training.Single(model, Classify(), how), how, feed, **common)


def _next(records: Iterator[Any]) -> Callable[[], object]:
    def step() -> None:
        while type(next(records)).__name__ != "StepDone":
            pass

    return step


def sandwiches() -> Callable[[], object]:
    import torch

    from convsmith.data import load_data
    from convsmith.recipes import changed, recipe
    from convsmith.supernet import T32, Supernet

    data = load_data("digits")
    space = T32.with_classes(10)
    how = changed(recipe("quick"), ["epochs=1000", "batch=32"])
    feed = feeding().Feed(space.biggest(), data, how, 0, 0)
    where = torch.device("cpu")
    common: dict[str, Any] = {
        "prepare": feeding().normaliser(space.biggest(), where), "evaluate": lambda net: {}, "seed": 0,
        "checkpoint": Path(tempfile.mkdtemp()) / "last.pt", "device": where,
    }  # fmt: skip
    supernet = Supernet(space, seed=0)
    try:
        from convsmith.supernet import train_supernet
    except ImportError:
        from convsmith.supernet import Sandwich, ends
        from convsmith.tasks import Classify
        from convsmith.training import fit

        task = Classify()
        watched = ends(supernet, task, how, chance=task.chance(data.classes))
        return _next(fit(Sandwich(supernet, task, how, seed=0), how, feed, lookout=watched, **common))
    return _next(train_supernet(supernet, how, feed, **common))


def costs(*, seen: bool) -> Callable[[], object]:
    import convsmith as cs
    from convsmith import costs as module

    specs = [cs.spec(name) for name in ("efficientnet_b0", "resnet50", "tinynet_a", "mobilenetv2_100")]
    for spec in specs:
        cs.cost(spec)

    def again() -> None:
        for _ in range(1000):
            for spec in specs:
                cs.cost(spec)

    def anew() -> None:
        module.cost.cache_clear()
        module.node_cost.cache_clear()
        for spec in specs:
            cs.cost(spec)

    return again if seen else anew


def evaluations() -> Callable[[], object]:
    import torch

    import convsmith as cs
    from convsmith.data import load_data

    data, where = load_data("digits"), torch.device("cpu")
    spec = cs.spec("mobilenetv2_035", classes=10, resolution=32)
    net = cs.build(spec, seed=0)
    try:
        from convsmith.tasks import Classify
    except ImportError:
        return lambda: feeding().score_on(net, spec, data, where)
    return lambda: feeding().score_on(net, spec, data, where, Classify())


def work() -> None:
    import torch

    torch.set_num_threads(1)
    made: dict[str, Callable[[], object]] = {}
    makers: dict[str, Callable[[], Callable[[], object]]] = {
        "step32": lambda: steps(32, 64),
        "step224": lambda: steps(224, 8),
        "sandwich": sandwiches,
        "seen": lambda: costs(seen=True),
        "unseen": lambda: costs(seen=False),
        "evaluate": evaluations,
    }
    for line in sys.stdin:
        item = line.strip()
        if item not in made:
            made[item] = makers[item]()
            for _ in range(3):
                made[item]()
        gc.collect()
        gc.disable()
        began = time.perf_counter()
        made[item]()
        took = time.perf_counter() - began
        gc.enable()
        print(json.dumps(took), flush=True)


# ---- beside each other -----------------------------------------------------------------------------------------------


class Tree:
    def __init__(self, src: Path) -> None:
        self.env = os.environ | {"PYTHONPATH": f"{src}{os.pathsep}{ROOT / 'bench'}", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--work"], env=self.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, item: str) -> float:
        if item in COMMANDS:
            began = time.perf_counter()
            command = [sys.executable, "-m", "convsmith", *COMMANDS[item]]
            subprocess.run(command, env=self.env, check=True, capture_output=True)
            return time.perf_counter() - began
        assert self.process.stdin is not None and self.process.stdout is not None
        print(item, file=self.process.stdin, flush=True)
        return float(json.loads(self.process.stdout.readline()))


def main(other: Path, items: list[str], rounds: int) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    trees = Tree(ROOT / "src"), Tree(other)
    took: dict[str, list[tuple[float, float]]] = {item: [] for item in items}
    for done in range(-1, rounds):
        for item in rng.permutation(items):
            pair = [0.0, 0.0]
            for which in rng.permutation(2):
                pair[which] = trees[which](str(item))
            if done >= 0:
                took[str(item)].append((pair[0], pair[1]))
    print(f"{'item':>10} {'ours ms':>9} {'theirs ms':>9}  ratio [95 %]              n")
    for item, pairs in took.items():
        ours, theirs = np.array(pairs).T
        ratios = ours / theirs
        medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
        low, high = np.quantile(medians, (0.025, 0.975))
        print(
            f"{item:>10} {1e3 * np.median(ours):9.3g} {1e3 * np.median(theirs):9.3g}  "
            f"{np.median(ratios):.3f} [{low:.3f}, {high:.3f}]      {len(ratios):3}"
        )


if __name__ == "__main__":
    if sys.argv[1:] == ["--work"]:
        work()
    else:
        asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        asked.add_argument("other", type=Path)
        asked.add_argument("items", nargs="*")
        asked.add_argument("--rounds", type=int, default=40)
        given = asked.parse_intermixed_args()
        main(given.other.resolve(), given.items or list(ITEMS), given.rounds)
