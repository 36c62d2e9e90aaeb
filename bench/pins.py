"""Pins of what the project does, taken of one source tree and compared with another's: a change that changes nothing shows so.

    python bench/pins.py take OLD.json --src /path/to/old/src      # about five minutes on two quiet cores
    python bench/pins.py take NEW.json                             # of this checkout
    python bench/pins.py compare OLD.json NEW.json                 # a line a pin; exits with 1 where anything differs

Only the command line is used, in a temporary folder and a home of its own, so the same script runs on trees that share no module.
What is pinned: exit code and `--json` of every verb, and of every file that the verbs leave, its tensors' hash
(`.safetensors`), its content (`.json`, `.jsonl`) or that it is there (all else). What varies from run to run is masked by the
table `VARIES`. Weights depend on the processor and on torch, so both files must come from one machine with one environment;
nothing is kept in the repository. Added keys, files and pins are told, and are no difference.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[1]
# Specs, and folders that version 0.1 left: some stopped half way, to be resumed.
FOLDERS = ROOT / "tests" / "folders-0.1"

# Fields whose values vary from run to run: of these only the type is kept, and of objects the keys.
# fmt: off
VARIES = {
    # milliseconds, rates, and how long a thing takes
    "ms", "low", "high", "median_ms", "p10_ms", "p90_ms", "float_ms", "decode_ms", "augment_ms", "step_ms", "latency",
    "supplied_per_s", "consumed_per_s", "images_per_s", "seconds", "minutes", "hours", "seconds_a_step", "seconds_a_child",
    # what is concluded from these
    "verdict", "noise", "load", "waits", "advised_workers", "median_error", "within_15", "anchors", "ranks", "note",
    # the machine, the moment, versions, and sizes of files that name them
    "machine", "torch_threads", "versions", "convsmith", "started", "made", "memory_gib", "bytes", "float_bytes", "size_ratio",
}
# fmt: on
# Of one pin alone: fields that vary there, and fields that VARIES names and that do not vary there.
VARIES_IN = {("json pick", "notes"), ("json pick", "between")}
STEADY_IN = {"json diagnose": {"low", "high"}, "json fit-scaling": {"low", "high"}, "file compound": {"low", "high"}}
# Whose exit code says how quiet the machine is; a second object then tells of it.
UNSURE = "json calibrate check"
# Folders whose files hold nothing but timings.
TIMINGS = ("calibration",)

MIXED = "--set accumulate=2 --set warmup=1 --set average=0.9 --set drop_path=0.1 --set dropout=0.2"
STUDY = "--base mobilenetv1_025 --resolution 32 --trials 4 --seeds 1 --set epochs=1 --set batch=256 --workers 2"
SEARCH = "search digits --space small.json --scorers 1 --rounds 1 --per-round 4 --set batch=256"

# The verbs: what a pin is called, and the command line without --json. In each of the two chains one after another, in one
# folder; the chains beside each other, so neither reads what the other writes.
TRAININGS = f"""
train mixed: train mobilenetv2_035 digits --resolution 32 --recipe nf-regnet --epochs 2 {MIXED} --name mixed
train nf: train nf_resnet26 digits --resolution 16 --recipe nf --epochs 1 --set adaptive_clip=0.01 --set warmup=0.5 --name nf
train rmsprop: train small.json digits --recipe efficientnet --epochs 1 --set batch=64 --set warmup=0.5 --seed 1 --name rms
train growing: train tiny.json digits --recipe resnet-rs --epochs 2 --set first_side=0.7 --workers 1 --cache cache --name growing
train adamw: train spec-evonorm-s0.json digits --recipe tinynet --epochs 1 --set optimiser.kind=adamw --set rate=0.01 --name adamw
train probe: train tiny.json digits --weights trained/model.safetensors --recipe finetune --epochs 1 --set frozen=true --name probe
train dry run: train mobilenetv2_035 digits --resolution 32 --recipe nf-regnet --epochs 2 {MIXED} --dry-run
pseudo-label: pseudo-label trained unlabelled.npz --out labels.json --threshold 0.2 --balance 8
train pseudo: train tiny.json digits --pseudo labels.json --pseudo-ratio 0.5 --epochs 2 --set precision=bf16 --name student
design: design digits --to 300k-macs --base tiny.json --rule width --epochs 1 --name designed
search: {SEARCH} --to 400k-macs,200k-macs --epochs 3 --labels-first 0.3 --against mobilenetv1_025 --name coarse
search nsga2: {SEARCH} --to 300k-macs+15k-params --epochs 1 --select nsga2 --name nsga2
search reward: {SEARCH} --to 300k-macs --recipe bignas --epochs 1 --select reward --name reward
search dry run: search digits --to 2M-macs --dry-run
export child: export runs/coarse --child 1 --out child.onnx
evaluate: evaluate runs/mixed
evaluate train: evaluate trained digits --split train
export: export runs/mixed --static-batch --out static.onnx
export int8: export trained --int8
report: report runs/mixed
report several: report runs/mixed runs/rms trained
measure: measure mobilenetv1_025@128 static.onnx trained --rounds 5
show run: show runs/nf
diagnose trained: diagnose trained --data digits
convert live: convert trained --norm nf --live --keep-function
"""
LOOKING = f"""
resume begun: resume begun
resume search begun: resume search-begun
resume search scoring: resume search-scoring
resume finished: resume search
resume pseudo: resume pseudo
fit-scaling: fit-scaling digits {STUDY} --out compound
fit-scaling tiny: fit-scaling digits {STUDY} --rule tiny --front 1 --against width --out tiny
fit-scaling kept: fit-scaling digits {STUDY} --out fit-scaling
fit-scaling dry run: fit-scaling digits {STUDY} --dry-run
ladder: ladder tiny.json digits --epochs 2 --seeds 1 --workers 2 --out steps
ladder kept: ladder tiny.json digits --recipe resnet-rs --epochs 2 --seeds 1 --factors --out ladder-factors
ladder dry run: ladder resnetrs50 digits --resolution 32 --epochs 2 --seeds 1 --dry-run
design dry run: design digits --to 2M-macs,100k-params --base efficientnet_b0 --dry-run
design search dry run: design digits --to 2M-macs,50k-params --how search --dry-run
demo dry run: demo --dry-run
doctor: doctor
doctor data: doctor digits --model tiny.json
list: list
show: show efficientnet_b0
show spec: show small.json --classes 5 --resolution 16
scale: scale mobilenetv2_100 --to 100M-macs,2M-params --classes 12 --out scaled.json
scale tiny: scale efficientnet_b0 --to 20M-macs --rule tiny
scale resnet-rs: scale resnetrs50 --to 1G-macs --rule resnet-rs --epochs 10 --images 1438
scale filled: scale tiny.json --to 1M-macs --rule depth --fill
scale fitted: scale mobilenetv1_025 --to 3M-macs --rule compound/rule.json
pick: pick mobilenet* --to 15M-macs --top 2 --published-only --rounds 3
pick counts: pick --to 30M-macs,3M-params --top 4 --counts-only
diagnose: diagnose efficientnet_b0 --resolution 64 --branches-on
diagnose nf: diagnose nf_resnet26 --resolution 64
convert: convert resnetv2_50 --norm nf --resolution 64 --out converted.json
convert evonorm: convert small.json --norm evonorm-b0
calibrate: calibrate --networks 10 --folder calibration
calibrate check: calibrate --check --folder calibration
predict: PREDICT tiny.json mobilenetv1_025@128 --folder calibration
error name: show resnet19
error budget: design digits --to 1k-macs
"""


# ---- taking ----------------------------------------------------------------------------------------------------------


def take(path: Path, source: Path) -> None:
    """Run every verb by the tree at `source` and write its pins."""
    began, pins = time.monotonic(), {}
    with tempfile.TemporaryDirectory(prefix="pins-") as name:
        place = Path(name).resolve() / "place"
        shutil.copytree(FOLDERS, place)
        shutil.rmtree(place / "json")
        settings = {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "HOME": str(place.parent), "COLUMNS": "100"}
        environment = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")} | settings

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "convsmith", *words]
            return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)

        # The verb was renamed after 0.1.
        foretell = "estimate" if run("estimate", "--help").returncode == 0 else "predict"

        def chain(lines: str) -> None:
            for pin, line in (line.split(": ", 1) for line in lines.strip().splitlines()):
                started = time.monotonic()
                found = run(*line.replace("PREDICT", foretell).split(), "--json")
                name, output, code = f"json {pin}", found.stdout, found.returncode
                if name == UNSURE:
                    output, code = output.split("\n")[0], 0 if code == 1 else code
                pins[name] = {"exit": code, "json": masked(said(output, place), name)}
                unexpected = (code != 0) != pin.startswith("error")
                told = f"exit code {found.returncode}: {found.stderr[-600:]}" if unexpected else pin
                print(f"{time.monotonic() - started:6.1f} s  {told}", file=sys.stderr, flush=True)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(chain, (TRAININGS, LOOKING)))
        pins |= {f"file {file}": content for file, content in left(place)}
    record = {"source": str(source), "seconds": round(time.monotonic() - began), "pins": pins}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(pins)} pins of {source} in {record['seconds']} s: {path}")


def said(text: str, place: Path) -> Any:
    """The JSON of `text` without the name of the temporary folder; the text itself where it is none."""
    text = text.replace(str(place), "PLACE")
    try:
        return json.loads(text)
    except ValueError:
        return text


def left(place: Path) -> Iterator[tuple[str, Any]]:
    """Every file below `place`: what can be compared of it."""
    for path in sorted(path for path in place.rglob("*") if path.is_file()):
        name = str(path.relative_to(place))
        if path.suffix == ".safetensors":
            yield name, tensors(path)
        elif path.suffix == ".json" and not name.startswith(TIMINGS):
            yield name, masked(said(path.read_text(encoding="utf-8"), place), f"file {name}")
        elif path.suffix == ".jsonl":
            lines = path.read_text(encoding="utf-8").splitlines()
            yield name, [masked(said(line, place), f"file {name}") for line in lines]
        else:
            yield name, "there"


def tensors(path: Path) -> str:
    """A hash of names, types, shapes and numbers: not of the file's bytes, which hold metadata too."""
    digest = hashlib.sha256()
    for key, value in sorted(load_file(path).items()):
        digest.update(f"{key} {value.dtype} {value.shape}\n".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def masked(value: Any, pin: str) -> Any:
    """`value` with the type in the place of whatever varies."""
    if isinstance(value, list):
        return [masked(one, pin) for one in value]
    if not isinstance(value, dict):
        return value
    steady = next((fields for start, fields in STEADY_IN.items() if pin.startswith(start)), set())
    varies = {key for key in value if (key in VARIES and key not in steady) or (pin, key) in VARIES_IN}
    return {key: kind(one) if key in varies else masked(one, pin) for key, one in value.items()}


def kind(value: Any) -> Any:
    return {key: kind(one) for key, one in value.items()} if isinstance(value, dict) else type(value).__name__


# ---- comparing -------------------------------------------------------------------------------------------------------


def compare(old: Path, new: Path) -> int:
    """Print a line a pin; 1 where any differs or is gone."""
    before, after = (json.loads(path.read_text(encoding="utf-8"))["pins"] for path in (old, new))
    differing = 0
    for pin in [*before, *(pin for pin in after if pin not in before)]:
        if pin not in before:
            print(f"added    {pin}")
            continue
        changes = list(changed(before[pin], after[pin], "")) if pin in after else ["it is gone"]
        wrong = [change for change in changes if not change.startswith("added ")]
        differing += bool(wrong)
        shown = [*wrong, *(change for change in changes if change not in wrong)]
        more = f"; and {len(shown) - 8} more" if len(shown) > 8 else ""
        print(f"{'differs' if wrong else 'equal':8} {pin}" + (": " if shown else "") + "; ".join(shown[:8]) + more)
    print(f"{differing} of {len(before)} pins differ" if differing else f"all {len(before)} pins are equal")
    return int(differing > 0)


def changed(old: Any, new: Any, path: str) -> Iterator[str]:
    """Where two values differ, a text each; what only the new one has begins with `added`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            yield from changed(value, new[key], f"{path}.{key}") if key in new else [f"{path}.{key} is gone"]
        yield from (f"added {path}.{key}" for key in new if key not in old)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from changed(*pair, f"{path}[{index}]")
    elif json.dumps(old) != json.dumps(new):
        yield f"{path or 'it'} was {short(old)}, is {short(new)}"


def short(value: Any) -> str:
    text = f"a list of {len(value)}" if isinstance(value, list) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Take pins of what the project does, or compare two takings.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    taking = verbs.add_parser("take")
    taking.add_argument("file", type=Path)
    taking.add_argument("--src", type=Path, default=ROOT / "src", help="the source tree; this checkout's by default")
    comparing = verbs.add_parser("compare")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    asked = parser.parse_args(argv)
    if asked.verb == "compare":
        return compare(asked.old, asked.new)
    take(asked.file, asked.src.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
