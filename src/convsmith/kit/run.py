"""Times the networks in this folder on the device it is run on: `python run.py`, then carry result.json back.

It needs Python 3.9 or later, NumPy and the runtime that the networks are for (`pip install onnxruntime`), and nothing else.
What is to be timed is in manifest.json. All networks of a group are timed in turns, round after round, so that a busy minute
falls on all of them alike. Every round is appended to rounds.jsonl: started again after it was stopped, by whatever, this goes
on where it was. Leave the device alone meanwhile, on mains power; a phone or a small board wants its fan.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

Json = dict[str, Any]

SAMPLE_S = 0.002  # a shorter sample is mostly the clock and the interpreter
WARM_UP_S = 2.0  # the most for each network
LEAST_ROUNDS = 5
PROFILED = 8  # runs that are watched kernel by kernel
ENERGY_S = 0.3  # counters of energy tick a thousand times a second
SLOWER = 1.15  # times as long, the last quarter of a run against the first: the device throttles
POWERCAP, CPUS = Path("/sys/class/powercap"), Path("/sys/devices/system/cpu")


# ---- runtimes --------------------------------------------------------------------------------------------------------


def pictures(batch: int, shape: Sequence[int]) -> Any:
    """Random normal numbers in the shape of a batch of pictures."""
    return np.random.default_rng(0).standard_normal((batch, *shape), dtype=np.float32)


class Ort:
    """A network in onnxruntime, on the CPU."""

    package = "onnxruntime"
    times_kernels = True

    def __init__(self, path: Path, shape: Sequence[int], threads: int, batch: int, profile: str = "") -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        options.add_free_dimension_override_by_name("batch", batch)
        if profile:
            options.enable_profiling, options.profile_file_prefix = True, profile
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._binding = self._session.io_binding()
        self._binding.bind_cpu_input(self._session.get_inputs()[0].name, pictures(batch, shape))
        for output in self._session.get_outputs():
            self._binding.bind_output(output.name)
        self._made = (path, shape, threads, batch)

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def profile(self) -> Json | None:
        """Median ms of each convolution with its shapes, of all kernels together, and how many these are."""
        with tempfile.TemporaryDirectory() as scratch:
            watched = Ort(*self._made, profile=str(Path(scratch) / "profile"))
            for _ in range(PROFILED):
                watched.run()
            events = json.loads(Path(watched._session.end_profiling()).read_text(encoding="utf-8"))
        took: dict[str, list[float]] = {}
        what: dict[str, Any] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                took.setdefault(event["name"], []).append(event["dur"] / 1e3)
                what[event["name"]] = event["args"]
        middle = {name: statistics.median(times) for name, times in took.items()}
        convolutions = [
            {
                "name": name, "ms": middle[name],
                "taken": [next(iter(one.values())) for one in args["input_type_shape"][:2]],
                "given": next(iter(args["output_type_shape"][0].values())),
            }
            for name, args in what.items()
            if "Conv" in args["op_name"]
        ]  # fmt: skip
        return {"convolutions": convolutions, "ms": sum(middle.values()), "kernels": len(middle)}


class LiteRT:
    """A network in LiteRT, on the CPU. It does not say how long each kernel takes."""

    package = "ai-edge-litert"
    times_kernels = False

    def __init__(self, path: Path, shape: Sequence[int], threads: int, batch: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], pictures(batch, shape))

    def run(self) -> None:
        self._interpreter.invoke()

    def profile(self) -> Json | None:
        return None


RUNTIMES: dict[str, Any] = {"ort": Ort, "litert": LiteRT}


# ---- the device ------------------------------------------------------------------------------------------------------


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def processor() -> str:
    named = [
        line.split(":", 1)[1].strip() for line in text_of(Path("/proc/cpuinfo")).splitlines() if "model name" in line
    ]
    board = text_of(Path("/proc/device-tree/model"))
    return board or (named[0] if named else platform.processor() or platform.machine())


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def megahertz() -> float | None:
    """The mean clock of all cores; None where the system does not say."""
    clocks = [text_of(path) for path in CPUS.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")]
    known = [int(clock) / 1e3 for clock in clocks if clock.isdigit()]
    return statistics.mean(known) if known else None


def microjoules() -> list[tuple[int, int]]:
    """What the counter of each processor package says, and where it begins anew; empty where none can be read."""
    counters = [one for one in sorted(POWERCAP.glob("intel-rapl:*")) if one.name.count(":") == 1]
    read = [(text_of(one / "energy_uj"), text_of(one / "max_energy_range_uj")) for one in counters]
    return [(int(now), int(most)) for now, most in read if now.isdigit() and most.isdigit()]


def this_device(package: str) -> Json:
    return {
        "processor": processor(), "system": f"{platform.system()} {platform.machine()}", "cores": usable_cores(),
        "python": platform.python_version(), "package": package, "version": metadata.version(package),
    }  # fmt: skip


# ---- timing ----------------------------------------------------------------------------------------------------------


def seconds(network: Any, calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        network.run()
    return time.perf_counter() - began


def warmed_up(network: Any) -> int:
    """Run until times stop changing; how many calls make one sample."""
    seconds(network, 1)
    began, calls = time.perf_counter(), 1
    medians: list[float] = []
    while time.perf_counter() - began < WARM_UP_S:
        one = statistics.median(seconds(network, calls) / calls for _ in range(3))
        calls = max(1, math.ceil(SAMPLE_S / max(one, 1e-9)))
        medians = [*medians, one][-3:]
        if len(medians) == 3 and max(medians) <= 1.03 * min(medians):
            break
    return calls


def millijoules(network: Any, one: float, batch: int) -> float | None:
    """What an image takes of a package's energy, idling included; None where there is no counter."""
    before, calls = microjoules(), max(1, math.ceil(ENERGY_S / one))
    if not before:
        return None
    seconds(network, calls)
    spent = sum((now - then) % most for (then, most), (now, _) in zip(before, microjoules()))  # noqa: B905
    return spent / 1e3 / calls / batch


def throttled(rounds: Sequence[Json], references: Sequence[str]) -> tuple[float, bool]:
    """How many times as long the last quarter of the rounds took as the first, by the networks that are in every round; and
    whether that, or the clock, says that the device throttles."""
    usual = {one: statistics.median(line["ms"][one] for line in rounds) for one in references}
    levels = [statistics.median(line["ms"][one] / usual[one] for one in references) for line in rounds]
    clocks = [line["mhz"] for line in rounds if line["mhz"]]
    quarter = max(1, len(rounds) // 4)

    def change(values: Sequence[float]) -> float:
        return statistics.median(values[-quarter:]) / statistics.median(values[:quarter])

    slower = change(levels)
    return slower, slower > SLOWER or (len(clocks) == len(rounds) and change(clocks) < 1 / SLOWER)


# ---- one run, in as many starts as it takes --------------------------------------------------------------------------


class Record:
    """rounds.jsonl: the lines that are there, but half a one at its end, and more."""

    def __init__(self, path: Path, header: Json) -> None:
        kept = path.read_bytes() if path.exists() else b""
        kept = kept[: kept.rfind(b"\n") + 1]
        try:
            self.lines: list[Json] = [json.loads(line) for line in kept.splitlines()]
        except ValueError:
            raise SystemExit(f"{path.name} is damaged: remove it, and all is timed anew") from None
        with path.open("wb") as file:
            file.write(kept)
        self._path = path
        if not self.lines:
            self.add(header)
        if self.lines[0] != header:
            raise SystemExit(f"{path.name} is of another kit, device or version: remove it, and all is timed anew")

    def add(self, line: Json) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(line)

    def of(self, kind: str, **wanted: int) -> list[Json]:
        return [one for one in self.lines if one.get("kind") == kind and all(one[k] == v for k, v in wanted.items())]


def timed(
    record: Record,
    manifest: Json,
    folder: Path,
    setting: Sequence[int],
    number: int,
    networks: Sequence[Json],
    say: Callable[[str], None],
) -> None:
    """Time a group of networks in turns, then look into those that are not in every group."""
    threads, batch = setting
    alike = {"threads": threads, "batch": batch}
    at = {**alike, "group": number}
    rounds, known = record.of("round", **at), {one["network"] for one in record.of("network", **alike)}
    looked_into = [one for one in networks if one["id"] not in known]
    spent = sum(one["seconds"] for one in rounds)

    def complete() -> bool:
        return len(rounds) >= manifest["rounds"] or (len(rounds) >= LEAST_ROUNDS and spent > manifest["seconds"])

    if complete() and not looked_into:
        return
    made = RUNTIMES[manifest["runtime"]]
    ready = {
        one["id"]: made(folder / one["files"][str(batch)]["file"], one["input"], threads, batch) for one in networks
    }
    calls = {name: warmed_up(network) for name, network in ready.items()}
    while not complete():
        say(f"round {len(rounds) + 1} of {manifest['rounds']}")
        began = time.perf_counter()
        ms: dict[str, float] = {}
        for name in random.Random(len(rounds)).sample(sorted(ready), len(ready)):
            seconds(ready[name], 1)  # brings back the caches that the one before has taken
            ms[name] = 1e3 * seconds(ready[name], calls[name]) / calls[name] / batch
        took = time.perf_counter() - began
        record.add({"kind": "round", **at, "ms": ms, "mhz": megahertz(), "seconds": took})
        rounds, spent = record.of("round", **at), spent + took
    for one in looked_into:
        say(f"looking into {one['name']}")
        network, usual = ready[one["id"]], statistics.median(line["ms"][one["id"]] for line in rounds)
        energy = millijoules(network, usual * batch / 1e3, batch)
        profile = network.profile() if manifest["calibrates"] else None
        record.add({"kind": "network", **alike, "network": one["id"], "mj": energy, "profile": profile})


def show(where: str, text: str) -> None:
    print(f"\r{where}: {text:40.40}", end="", file=sys.stderr, flush=True)


def intact(folder: Path, manifest: Json) -> None:
    """Refuse a folder that lost something on its way."""
    for file in (file for one in manifest["networks"] for file in one["files"].values()):
        path = folder / file["file"]
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != file["sha256"]:
            raise SystemExit(f"{file['file']} is missing or damaged: copy the kit again")


def main(folder: Path) -> None:
    text = (folder / "manifest.json").read_bytes()
    manifest = json.loads(text)
    intact(folder, manifest)
    package = RUNTIMES[manifest["runtime"]].package
    try:
        device = this_device(package)
    except metadata.PackageNotFoundError:
        raise SystemExit(f"this kit is for {package}, which is not installed here: pip install {package}") from None
    record = Record(folder / "rounds.jsonl", {"kit": hashlib.sha256(text).hexdigest(), "device": device})
    settings = [one for one in manifest["settings"] if one[0] <= device["cores"]]
    if not settings:
        raise SystemExit(f"this device has {device['cores']} cores, and no setting of this kit is for so few")
    references = [one for one in manifest["networks"] if one["id"] in manifest["references"]]
    others = [one for one in manifest["networks"] if one not in references]
    groups = [others[at : at + manifest["group"]] for at in range(0, len(others), manifest["group"])] or [[]]
    began, whole = time.monotonic(), len(settings) * len(groups)
    for done, (setting, number) in enumerate(
        (setting, number) for setting in settings for number in range(len(groups))
    ):
        left = f", about {(time.monotonic() - began) / done * (whole - done) / 60:.0f} min left" if done else ""
        where = f"group {done + 1} of {whole} ({setting[0]} thread{'s' * (setting[0] > 1)}, batch {setting[1]}){left}"
        timed(record, manifest, folder, setting, number, [*references, *groups[number]], partial(show, where))
    found = [throttled(record.of("round", threads=t, batch=b), manifest["references"]) for t, b in settings]
    result = {
        **record.lines[0], "settings": settings, "too_many": [one for one in manifest["settings"] if one not in settings],
        "slower": max(slower for slower, _ in found), "throttled": any(verdict for _, verdict in found),
        "rounds": record.of("round"), "networks": record.of("network"),
    }  # fmt: skip
    unfinished = folder / ".result.json.tmp"
    unfinished.write_text(json.dumps(result) + "\n", encoding="utf-8")
    unfinished.replace(folder / "result.json")
    said = "; the device slowed down on the way: cool it, remove rounds.jsonl and run this again"
    print(f"\nwrote {folder / 'result.json'}{said if result['throttled'] else ''}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(__file__).resolve().parent)
