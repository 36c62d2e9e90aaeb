"""Every measurement, and the page that shows them: docs/bench.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from common import RESULTS, table

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "bench.md"
NAMES = (
    *("cost", "solve", "latency_model", "training", "inference", "lambda_layer", "evonorm", "nf", "startup"),
    *("signal_figures", "surgery", "int8_nf", "sandwich", "children", "collapse", "kills", "search_kills"),
    *("detection_speed", "video_step", "gan_step"),
)
# Trainings on images that are given by hand (each script's head says how), of minutes to hours: shown, not run again.
# `gpu` is for a machine that has one, `corruptions` for one that has the package to compare with.
STUDIES = (
    *(
        "throughput",
        "predict",
        "ladder",
        "transfer",
        "pseudo",
        "small_batch",
        "tiny_against",
        "supernet",
        "search_worth",
        "gpu",
    ),
    *(
        "corruptions",
        "pose_throughput",
        "pretraining",
        "openfield",
        "detection",
        "video_reading",
        "moving_digits",
        "gan_norms",
    ),
    *("int8_keep", "kit", "runtimes", "search_ms"),
)
# A script that writes another result than its own name's.
RESULT = {"signal_figures": "signal"}

HEAD = """# Measurements

Made by `make bench`, which rewrites this page from `bench/results/*.json`. Ours and the reference run in one process, in
rounds of random order; a ratio is the median of the ratios within rounds, with a 95 % bootstrap interval. Absolute numbers
are medians with p10 and p90 and belong to the machine named; machines are noisy, so compare ratios. A goal is met or
missed by the median; in doubt where the interval reaches to its other side.
"""


def result(name: str) -> Path:
    return RESULTS / f"{RESULT.get(name, name)}.json"


def section(name: str) -> str:
    record = json.loads(result(name).read_text(encoding="utf-8"))
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    return (
        f"## {record['title']}\n\n{table(record)}\n\n"
        f"{record['device']}; Python {record['python']}, {versions}; {record['date']}. Script: `bench/{name}.py`.\n"
    )


def main(names: list[str]) -> None:
    for name in names:
        print(f"--- {name}", flush=True)
        subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=True)
    shown = [name for name in (*NAMES, *STUDIES) if result(name).is_file()]
    PAGE.write_text("\n".join([HEAD, *(section(name) for name in shown)]), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    # `--page` writes the page from what there is.
    main([] if sys.argv[1:] == ["--page"] else sys.argv[1:] or list(NAMES))
