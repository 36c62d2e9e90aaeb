"""A kit: written here, run by a Python that knows neither torch nor us, killed, started again, and read again here."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import convsmith as cs
from convsmith.errors import UserError
from convsmith.jobs.timing import kit as kits
from convsmith.kit import Manifest, Result, run

TINY = cs.from_json((Path(__file__).parent / "folders-0.1" / "tiny.json").read_text())
ROUNDS = 60  # so many that a process can be killed between them
# What a start does, and that it has needed nothing of ours.
CODE = """
import runpy, sys
try:
    runpy.run_path("run.py", run_name="__main__")
finally:
    assert not {"torch", "convsmith", "scipy", "onnx"} & set(sys.modules), "more was imported than a device has"
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit of two small networks and a reference, with one and with two images at once."""
    folder = tmp_path_factory.mktemp("kits") / "kit"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kits, "anchor_networks", lambda: [TINY.with_resolution(16)])
        patched.setattr(kits, "OWN_ROUNDS", ROUNDS)
        made = kits.write_kit(folder, [TINY, TINY.with_resolution(24)], batches=(1, 2), to="5ms")
    assert made.networks == 2 and made.bytes > 0
    return folder


@pytest.fixture
def kit(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "kit"))


def start(kit: Path) -> subprocess.Popen[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.Popen([sys.executable, "-c", CODE], cwd=kit, env=bare, stderr=subprocess.PIPE, text=True)


def ran(kit: Path) -> str:
    """What a start said that went to its end."""
    started = start(kit)
    _, said = started.communicate()
    assert started.returncode == 0, said
    return said


def lines(kit: Path) -> list[str]:
    path = kit / "rounds.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def test_a_kit_is_killed_and_goes_on_and_brings_back_one_whole_result(kit: Path) -> None:
    first = start(kit)
    while len(lines(kit)) < 4 and first.poll() is None:
        time.sleep(0.002)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert not (kit / "result.json").exists()
    before = lines(kit)
    with (kit / "rounds.jsonl").open("a") as file:
        file.write('{"kind": "round", "threads": 1, "ba')  # as a kill in the middle of a line leaves it
    said = ran(kit)
    assert lines(kit)[: len(before) - 1] == before[:-1]  # the last may have been a half
    assert f"of {ROUNDS}" in said and "wrote" in said
    found, manifest = Result.of(kit / "result.json", accept_throttled=True)
    assert found.settings == manifest.settings == ((1, 1), (1, 2))
    assert len(found.of_group(1, 1, 0)) == len(found.of_group(1, 2, 0)) == ROUNDS
    assert {one.network for one in found.networks} == {"r0", "n0", "n1"}
    assert all(ms > 0 for one in found.rounds for ms in one.ms.values())
    assert found.device.version and found.device.cores >= 1
    # Started once more, all is there already.
    ran(kit)
    assert Result.of(kit / "result.json", accept_throttled=True)[0] == found


def test_what_was_sent_out_is_confirmed_or_not(kit: Path) -> None:
    shorten(kit, 6)
    ran(kit)
    found = cs.confirm(kit / "result.json", accept_throttled=True)
    assert [(one.name.partition("@")[2], one.batch, one.limit) for one in found.rows] == [
        ("12", 1, 5.0), ("24", 1, 5.0), ("12", 2, None), ("24", 2, None),
    ]  # fmt: skip
    assert all(one.n == 6 and one.low <= one.ms <= one.high for one in found.rows)
    assert all(one.met is (one.ms <= 5) for one in found.rows[:2]) and found.rows[2].met is None
    assert found.level is None  # no calibrated device was named


def shorten(kit: Path, rounds: int) -> None:
    """Fewer rounds, before anything has run."""
    path = kit / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rounds": rounds}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda kit: (kit / "networks" / "n0.onnx").write_bytes(b"half"), "n0.onnx is missing or damaged: copy the kit again"),
        (lambda kit: (kit / "networks" / "n0.onnx").unlink(), "n0.onnx is missing or damaged: copy the kit again"),
        (lambda kit: (kit / "rounds.jsonl").write_text('{"kit": "another"}\n'), "of another kit, device or version"),
        (lambda kit: (kit / "rounds.jsonl").write_text("no JSON\n{}\n"), "rounds.jsonl is damaged"),
    ],
)  # fmt: skip
def test_a_kit_that_lost_something_on_its_way_says_so_and_times_nothing(kit: Path, damage: Any, said: str) -> None:
    damage(kit)
    started = start(kit)
    _, told = started.communicate()
    assert started.returncode == 1 and said in told
    assert "Traceback" not in told and not (kit / "result.json").exists()


def test_run_py_is_for_python_3_9() -> None:
    text = Path(run.__file__).read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [one.name for one in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "")]
        )
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported - set(sys.stdlib_module_names) == {"numpy", "onnxruntime", "ai_edge_litert"}


# ---- what run.py says of a device ------------------------------------------------------------------------------------


def rounds(times: list[float], mhz: list[float] | None = None) -> list[dict[str, Any]]:
    clocks: list[Any] = list(mhz) if mhz else [None] * len(times)
    return [{"ms": {"r0": ms, "n0": 9.0}, "mhz": clock} for ms, clock in zip(times, clocks, strict=True)]


def test_a_device_that_slows_down_for_good_throttles_and_one_busy_minute_is_none() -> None:
    assert run.throttled(rounds([2.0] * 20), ["r0"]) == (1.0, False)
    slower, verdict = run.throttled(rounds([2.0] * 10 + [2.6] * 10), ["r0"])
    assert slower == pytest.approx(1.3) and verdict
    assert not run.throttled(rounds([2.0] * 8 + [5.0] * 4 + [2.0] * 8), ["r0"])[1]
    assert not run.throttled(rounds([2.6] * 10 + [2.0] * 10), ["r0"])[1]  # it only had to warm up


def test_a_clock_that_falls_is_throttling_though_the_times_have_not_shown_it_yet() -> None:
    assert run.throttled(rounds([2.0] * 8, [1500.0] * 4 + [1000.0] * 4), ["r0"])[1]
    assert not run.throttled(rounds([2.0] * 8, [1500.0] * 8), ["r0"])[1]


def test_clocks_and_counters_are_read_where_the_system_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CPUS", tmp_path / "cpu")
    monkeypatch.setattr(run, "POWERCAP", tmp_path / "powercap")
    assert run.megahertz() is None and run.microjoules() == []
    for core, khz in enumerate(("1500000", "1000000")):
        place = tmp_path / "cpu" / f"cpu{core}" / "cpufreq"
        place.mkdir(parents=True)
        (place / "scaling_cur_freq").write_text(khz + "\n")
    for name, now in (("intel-rapl:0", "900"), ("intel-rapl:0:0", "400")):  # a package, and a part of it
        (tmp_path / "powercap" / name).mkdir(parents=True)
        (tmp_path / "powercap" / name / "energy_uj").write_text(now)
        (tmp_path / "powercap" / name / "max_energy_range_uj").write_text("1000")
    assert run.megahertz() == pytest.approx(1250)
    assert run.microjoules() == [(900, 1000)]


def test_energy_is_of_one_image_also_where_the_counter_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([[(900_000, 1_000_000)], [(500_000, 1_000_000)]])
    monkeypatch.setattr(run, "microjoules", lambda: next(told))
    monkeypatch.setattr(run, "ENERGY_S", 0.1)

    class Idle:
        def run(self) -> None: ...

    # 600 mJ were drawn in the ten runs of 10 ms that fill a tenth of a second, of four images each.
    assert run.millijoules(Idle(), 0.01, 4) == pytest.approx(600 / 10 / 4)


# ---- what no kit is made of ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"runtime": "onnx"}, "kits are for ort, litert, not for 'onnx'"),
        ({"threads": (0,)}, "--threads are 1 or more; got 0"),
        ({"batches": ()}, "--batches are 1 or more; got none"),
        ({"networks": 5}, "ten networks at least"),
        ({"to": "5ms"}, "--device and --to are of networks to be confirmed"),
        ({"models": ["resnet18"], "to": "1M-macs"}, "--to 5ms would"),
        ({"models": ["resnet18"], "device": "nowhere"}, "there is no device 'nowhere'"),
    ],
)
def test_what_no_kit_is_made_of_is_refused_and_leaves_no_folder(how: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        kits.write_kit(tmp_path / "kit", calibrations=tmp_path, **how)
    assert not list(tmp_path.iterdir())


def test_a_kit_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        kits.write_kit(tmp_path, ["resnet18"])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_manifest_survives_its_file(written: Path) -> None:
    manifest, kit = Manifest.of(written)
    assert [one.id for one in manifest.networks] == ["r0", "n0", "n1"] and manifest.groups() == [["n0", "n1"]]
    assert manifest.network("n1").arch() == TINY.with_resolution(24)
    assert len(kit) == 64
    # One file serves every batch: onnxruntime leaves it open.
    assert manifest.network("n0").files["1"] == manifest.network("n0").files["2"]
