"""The search for a layer, in numbers: what random graphs come to, what refuses known layers, and whether descent pays.

    python bench/layer_search.py shares                       # what becomes of random graphs and mutants, and how fast
    python bench/layer_search.py known DATA --out F           # the rejection table on known layers
    python bench/layer_search.py choices DATA --out F --layers 300 --seeds 3     # Pareto, mean and random at equal budget
    python bench/layer_search.py kills DATA --out F           # killed at three moments, one worker or two: one result
    python bench/layer_search.py search DATA --out F --layers 2000 --seeds 9     # a real one: give it again to go on

Each goes on where it was stopped when it is given again; results are JSON in F. All searches in F share one store of verdicts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch

from convsmith.files import write_json
from convsmith.graphs import B_SPACE, KNOWN, S_SPACE, NormGraph, drawn, mutated
from convsmith.jobs.norms.begin import looked_at, planned, search_norms
from convsmith.jobs.norms.descent import Descent, Gate, descended
from convsmith.jobs.norms.options import Choice, NormSearchOptions
from convsmith.jobs.norms.protocol import LayerProtocol
from convsmith.jobs.norms.store import LayerStore
from convsmith.jobs.norms.trying import Tried, Trier, tried
from convsmith.jobs.options import Options
from convsmith.jobs.studies.farm import Farm
from convsmith.progress import Progress

LAYERS = (
    *("bn-relu", "bn-silu", "evonorm-b0", "evonorm-b1", "evonorm-b2", "evonorm-s0", "evonorm-s1", "evonorm-s2"),
    *("gn-relu", "gn-silu", "frn", "tanh", "relu", "identity"),
)


def shares(n: int) -> None:
    """What becomes of random graphs and of mutants without training, and how many a second one core sees."""
    torch.set_num_threads(1)
    protocol = LayerProtocol()
    draws = {
        "random, B": lambda rng: drawn(rng, overs=B_SPACE),
        "random, S": lambda rng: drawn(rng, overs=S_SPACE),
        **{f"mutants of {name}": lambda rng, name=name: mutated(KNOWN[name], rng) for name in LAYERS[:6:2]},
    }
    for what, draw in draws.items():
        with tempfile.TemporaryDirectory() as folder:
            store, rng, counts = LayerStore(Path(folder) / "seen.jsonl", "shares"), random.Random(0), Counter[str]()
            functions: set[str] = set()
            before = KNOWN[what.rpartition(" ")[2]].text if what.startswith("mutants") else ""
            began = time.process_time()
            for _ in range(n):
                graph = draw(rng)
                reason = graph.dead or {"x": "the identity", before: "unchanged"}.get(graph.text, "")
                if not reason:
                    seen = looked_at(graph, store, protocol)
                    reason = seen.refused or "alive"
                    functions |= {seen.exact} - {""}
                counts[reason] += 1
            rate = n / (time.process_time() - began)
        print(f"{what}: " + ", ".join(f"{name} {100 * c / n:.1f} %" for name, c in counts.most_common()))
        print(f"  {len(functions)} distinct functions alive; {rate:,.0f} graphs a CPU second")


def known(data: str, out: Path, jobs: int, climb: int, steps: int) -> None:
    """Both tests of rejection, in every anchor by itself, on known layers: how far the gradient climbs, and what is learnt."""
    # Nothing is refused here: what would be is the table.
    protocol = LayerProtocol(ascent_steps=1, ascent_limit=1e30, steps=steps, learnt=0.0)
    plan = planned(data, NormSearchOptions(protocol=protocol), Options(), Progress())
    torch.set_num_threads(1)
    for spec in plan.anchors:
        store = LayerStore(out / "known.jsonl", protocol.key([spec], plan.parts))
        trier = Trier([spec], plan.parts, plan.task, protocol)
        climber = Trier([spec], plan.parts, plan.task, LayerProtocol(ascent_steps=climb))
        new = {KNOWN[name].text: KNOWN[name] for name in LAYERS if KNOWN[name].text not in store.tried}
        with Farm(tried, trier, workers=jobs) as farm:
            for text, came_to in farm(new) if new else ():
                store.try_(text, came_to)
        for name in LAYERS:
            came_to, ascent = store.tried[KNOWN[name].text], climber.climbed(KNOWN[name])
            learnt = f"{came_to.mean:.1%}" if came_to.scores else f"{came_to.refused} {came_to.measured or ''}"
            word = "stable" if ascent.stable else "unstable"
            print(f"{spec.name} {name}: {word}, {ascent.largest:.3g} at step {ascent.step}; {learnt}")


def choices(data: str, out: Path, jobs: int, layers: int, seeds: int) -> None:
    """The best mean score after so many layers, by who is chosen to have children; all three from the same start."""
    how = NormSearchOptions(layers=layers, jobs=jobs)
    plan = planned(data, how, Options(), Progress())
    store = LayerStore(out / "layers.jsonl", how.protocol.key(plan.anchors, plan.parts))
    results: dict[str, list[float]] = {}
    with Farm(tried, Trier(plan.anchors, plan.parts, plan.task, how.protocol), workers=jobs) as farm:

        def try_(graphs: list[NormGraph]) -> list[Tried]:
            new = {graph.text: graph for graph in graphs if graph.text not in store.tried}
            for text, came_to in farm(new) if new else ():
                store.try_(text, came_to)
            return [store.tried[graph.text] for graph in graphs]

        for choice in Choice:
            for seed in range(seeds):
                gate = Gate(lambda graph: looked_at(graph, store, how.protocol))
                found: Descent = descended(replace(how, choice=choice), gate, try_, seed)
                children = [one.came_to.mean for one in found.kept if one.generation]
                results.setdefault(choice, []).append(max(children, default=0.0))
                print(
                    f"{choice}, seed {seed}: {len(found.kept)} kept of {len(found.layers)}, best child {results[choice][-1]:.2%}"
                )
                write_json(out / "choices.json", {"layers": layers, "best": results})
    for choice, best in results.items():
        print(f"{choice}: best child {fmean(best):.2%}, mean of {len(best)}")


def kills(data: str, out: Path) -> None:
    """A search that is killed (-9) at three moments, or done by two processes, ends as one that is not."""
    words = ["--layers", "16", "--steps", "40", "--finalists", "2", "--longer", "1", "--seeds", "1"]

    def begun(place: Path, jobs: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "convsmith", "search", "norms", data, *words]
        return subprocess.Popen(
            [*command, "--jobs", str(jobs), "--out", str(place), "--quiet"], stdout=subprocess.DEVNULL
        )

    began = time.monotonic()
    begun(out / "whole", 1).wait()
    seconds, whole = time.monotonic() - began, (out / "whole/study.json").read_text()
    begun(out / "two", 2).wait()
    print("two processes:", "equal" if (out / "two/study.json").read_text() == whole else "DIFFERENT")
    for share in (0.3, 0.6, 0.85):
        place = out / f"killed-{share}"
        process = begun(place, 1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(share * seconds)
        process.kill()
        process.wait()
        store = place / "layers.jsonl"
        known = len(store.read_text().splitlines()) if store.exists() else 0
        begun(place, 1).wait()
        same = (place / "study.json").read_text() == whole
        print(f"killed after {share:.0%}, with {known} lines written:", "equal" if same else "DIFFERENT")


def search(
    data: str, out: Path, jobs: int, layers: int, seeds: int, finalists: int, longer: int, val: str | None
) -> None:
    how = NormSearchOptions(layers=layers, jobs=jobs, seeds=seeds, finalists=finalists, longer=longer)
    began = time.process_time()
    found = search_norms(
        data, out=out / "search", how=how, options=Options(val=val), scores=out / "layers.jsonl", watcher=Progress()
    )
    print(found)
    print(json.dumps([one.__dict__ for one in found.against], indent=1))
    print(f"{time.process_time() - began:.0f} CPU s of this process, without its workers'")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("shares", "known", "choices", "kills", "search"))
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("--out", type=Path, default=Path("layer-search"))
    parser.add_argument("--val", help="a second file to judge on")
    numbers = {
        "n": 20_000,
        "jobs": 2,
        "layers": 300,
        "seeds": 3,
        "finalists": 10,
        "longer": 4,
        "ascent": 60,
        "steps": 100,
    }
    for name, usual in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=usual)
    given = parser.parse_args()
    if given.what != "shares":
        given.out.mkdir(parents=True, exist_ok=True)
    match given.what:
        case "shares":
            shares(given.n)
        case "known":
            known(given.data, given.out, given.jobs, given.ascent, given.steps)
        case "choices":
            choices(given.data, given.out, given.jobs, given.layers, given.seeds)
        case "kills":
            kills(given.data, given.out)
        case "search":
            search(
                given.data, given.out, given.jobs, given.layers, given.seeds, given.finalists, given.longer, given.val
            )


if __name__ == "__main__":
    main()
