"""A device as if it were not here: calibrated by a kit under a Python that has NumPy and onnxruntime alone, then believed.

A virtual environment of its own runs the kits as plain scripts. The device is calibrated from what came back; twenty networks that
no calibration has seen are estimated, sent and measured; and `scale mobilenetv2_100 --to 3ms` is sent, and searched on where it
misses. Writes bench/results/kit.json.

    python bench/kit.py [--python VENV/bin/python] [--networks 90] [--threads 1] [--batches 1 8] [--trial]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from scipy.stats import kendalltau

import convsmith as cs
from common import Row, answer, save
from convsmith.costs import cost
from convsmith.jobs.timing.elsewhere import Confirmed, Outcome
from convsmith.speed import members

DEVICE, LIMIT, NEW, SEED, TRIES = "bench-kit", 3.0, 20, 1, 4


def bare_python(folder: Path) -> Path:
    """A Python with NumPy and onnxruntime, of the version here, and nothing else."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wanted = [f"onnxruntime=={onnxruntime.__version__}", f"numpy=={np.__version__}"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    return python


def ran(kit: Path, python: Path) -> Path:
    """The result of a kit, run as on a device: in its folder, by a Python that has neither torch nor us."""
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for absent in ("torch", "convsmith"):
        call = [python, "-c", f"import {absent}"]
        assert subprocess.run(call, cwd=kit, env=bare, capture_output=True, check=False).returncode
    subprocess.run([python, "run.py"], cwd=kit, env=bare, check=True)
    return kit / "result.json"


def confirmed(kit: Path, python: Path, calibrations: Path) -> Outcome:
    return cs.confirm(ran(kit, python), accept_throttled=True, folder=calibrations)


def first(rows: Sequence[Confirmed], threads: int, batch: int) -> list[Confirmed]:
    return [one for one in rows if (one.threads, one.batch) == (threads, batch)]


def of_new(rows: Sequence[Confirmed], setting: tuple[int, int], macs: Sequence[float], level: float) -> list[Row]:
    """How well networks were estimated that no calibration has seen, in one setting; the device's level of the day is left in."""
    own = first(rows, *setting)
    took, expected = np.asarray([one.ms for one in own]), np.asarray([one.expected for one in own], float)
    error, levelled = np.abs(expected / took - 1), np.abs(level * expected / took - 1)
    tau, null = (float(kendalltau(one, took).statistic) for one in (expected, macs))
    what, n = f"{setting[0]} threads, batch {setting[1]}", len(own)
    return [
        Row(f"{what}: median error", f"{np.median(error):.1%}", "", None, n, ""),
        Row(f"{what}: median error, level of the day taken out", f"{np.median(levelled):.1%}", "", None, n, "<= 10 %",
            answer(float(np.median(levelled)) <= 0.1)),
        Row(f"{what}: within 15 %", f"{(error <= 0.15).mean():.0%}", "", None, n, ""),
        Row(f"{what}: Kendall tau with measured", f"{tau:.3f}", f"MACs alone {null:.3f}", None, n, ">= 0.9", answer(tau >= 0.9)),
    ]  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--python", type=Path, help="one that has NumPy and onnxruntime alone; made where none is given")
    asked.add_argument("--networks", type=int, default=90)
    asked.add_argument("--new", type=int, default=NEW)
    asked.add_argument("--threads", type=int, nargs="+", default=[1])
    asked.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    asked.add_argument("--trial", action="store_true", help="write no results")
    how = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="convsmith-kit-") as scratch:
        place = Path(scratch)
        python = how.python or bare_python(place / "venv")
        settings = {"threads": how.threads, "batches": how.batches}
        kit = cs.write_kit(place / "calibration", networks=how.networks, **settings)
        print(f"a calibrating kit of {kit.networks} networks has {kit.bytes / 1e6:.0f} MB", file=sys.stderr)
        device, _ = cs.calibrate_from(ran(kit.folder, python), DEVICE, accept_throttled=True, folder=place)
        rows = [Row("a calibrating kit, MB", f"{kit.bytes / 1e6:.0f}", "", None, 1, "")]
        for model in device.models:
            what = f"{model.device.threads} threads, batch {model.device.batch}"
            rows.append(Row(f"{what}: minutes", f"{model.minutes:.1f}", "", None, 1, ""))
            rows.append(
                Row(f"{what}: left-out median error", f"{model.median_error:.1%}", "", None, len(model.error), "")
            )

        specs = members(how.new, np.random.default_rng(SEED))
        new = cs.write_kit(place / "new", specs, device=DEVICE, calibrations=place, **settings)
        found = confirmed(new.folder, python, place)
        level = found.level or 1.0
        rows.append(Row("device's level, now / at calibration", f"{level:.2f}", "", None, 1, ""))
        for model in device.models:
            rows += of_new(
                found.rows, (model.device.threads, model.device.batch), [cost(one).macs for one in specs], level
            )

        to, threads = LIMIT, how.threads[0]
        for tried in range(1, TRIES + 1):
            chosen = cs.scale("mobilenetv2_100", to=f"{to:.4g}ms", device=DEVICE, threads=threads, folder=place)
            sent = cs.write_kit(place / f"winner-{tried}", [chosen.spec], device=DEVICE, to=f"{LIMIT}ms",
                                threads=[threads], calibrations=place)  # fmt: skip
            row = confirmed(sent.folder, python, place).rows[0]
            here = cs.measure([chosen.spec], threads=threads).rows[0].median_ms
            rows.append(
                Row(f"scale mobilenetv2_100 --to 3ms, try {tried}: ms there", f"{row.ms:.2f}", f"estimated {row.expected:.2f}; "
                    f"`measure` {here:.2f}", None, row.n, f"<= {LIMIT} ms", answer(bool(row.met)))
            )  # fmt: skip
            if row.met:
                break
            to = row.next
    note = "Device and host are one machine; the kits ran under a Python with NumPy and onnxruntime alone."
    save(
        "kit",
        "A device that is not here: a kit's calibration, and what it is worth there",
        "beside",
        rows,
        note,
        trial=how.trial,
    )


if __name__ == "__main__":
    main()
