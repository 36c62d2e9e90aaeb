"""Several processes train what one would: with gloo on this machine's CPU, as `torchrun` starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed as dist

from convsmith.arch import Act
from convsmith.cli import main
from convsmith.codec import to_json
from convsmith.data import train_batches
from convsmith.errors import UserError
from convsmith.jobs.options import Options
from convsmith.jobs.train.begin import design_job
from convsmith.parts import BatchNorm, GroupNorm
from convsmith.recipe import Augment
from convsmith.recipes import QUICK, changed
from convsmith.threads import in_threads
from convsmith.training.ranks import ALONE, joined, met
from convsmith.watcher import Watcher
from data_food import labelled
from ranks_driver import apart, trained
from test_survival import SMALL
from unexported import UNEXPORTED, unexported

GROUP = GroupNorm(groups=4, act=Act.SILU)
# Ten steps of float32, each of which adds the same numbers in another order: an error of 6e-8 a sum, in weights up to
# about 1, that ten steps of momentum make some tens of times larger.
CLOSE = 2e-5
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("ranks")
    driver = Path(__file__).with_name("ranks_driver.py")
    command = [*TORCHRUN, "--standalone", str(driver), str(folder)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("batch", ["even", "uneven", "empty"])
def test_two_processes_make_the_weights_of_one(found: dict[str, Any], batch: str) -> None:
    """Eight images are four and four, seven are three and four, and of one image the first process has none."""
    assert found[batch]["apart"] <= CLOSE
    assert found[batch]["losses"] == pytest.approx(found[batch]["expected"], rel=CLOSE)
    assert found[batch]["same"], "and both hold them, though they began with others"


def test_two_processes_add_as_two_parts_of_a_batch_in_one_do(found: dict[str, Any]) -> None:
    assert found["as parts"], "bit for bit: halves of a batch are weighed by powers of two"


def test_where_one_is_told_to_stop_both_do_and_resume_to_the_same_weights(found: dict[str, Any]) -> None:
    assert found["stopped"] == ["stopped by SIGTERM after step 7 of 10, whose checkpoint is written"] * 2
    assert found["resumed"]


def test_running_statistics_do_not_differ_between_processes(found: dict[str, Any]) -> None:
    assert found["batch norm same"]


def test_a_supernet_in_two_processes_is_one_in_two_parts_of_a_batch(found: dict[str, Any]) -> None:
    """The same children in both, and the gradients of the whole batch; four children's gradients add in another order."""
    assert found["sandwich same"]
    assert found["sandwich apart"] <= CLOSE


def test_two_adversaries_are_the_same_in_both_processes_and_go_on_where_they_were_stopped(
    found: dict[str, Any],
) -> None:
    """Each draws its own z, and one is told to stop after a step in which only the critic learnt, but the generator's norms saw
    batches."""
    assert found["adversaries same"]
    assert all("the checkpoint is of step 3 of 10" in one for one in found["adversaries stopped"])
    assert found["adversaries resumed"]


def test_what_the_first_refuses_is_refused_by_all(found: dict[str, Any]) -> None:
    assert found["refused"] == ["refused by 0"] * 2


def test_only_the_first_writes(found: dict[str, Any]) -> None:
    assert [name for name in found["files"] if "previous" not in name] == [
        "adversaries.pt",
        "batch.pt",
        "empty.pt",
        "even.pt",
        "interrupted.pt",
        "sandwich.pt",
        "stopped.pt",
        "uneven.pt",
    ]


# ---- parts of batches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulate", [2, 3, 8, 20])
def test_a_batch_in_parts_makes_the_step_of_the_whole(tmp_path: Path, accumulate: int) -> None:
    whole, losses = trained(tmp_path, "whole", norm=GROUP)
    parts, same = trained(tmp_path, "parts", norm=GROUP, accumulate=accumulate)
    assert apart(whole, parts) <= CLOSE
    assert same == pytest.approx(losses, rel=CLOSE)


def test_batch_norm_sees_a_part_at_a_time(tmp_path: Path) -> None:
    whole, _ = trained(tmp_path, "whole", norm=BatchNorm(act=Act.SILU))
    parts, _ = trained(tmp_path, "parts", norm=BatchNorm(act=Act.SILU), accumulate=2)
    assert apart(whole, parts) > 100 * CLOSE


def test_accumulate_is_a_setting_of_a_recipe() -> None:
    assert changed(QUICK, ["accumulate=4"]) == replace(QUICK, accumulate=4)
    with pytest.raises(UserError, match="accumulate must be at least 1"):
        changed(QUICK, ["accumulate=0"])


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
@pytest.mark.parametrize("crop", [(0.5, 1.0), (1.0, 1.0)])
def test_the_parts_of_a_batch_are_the_batch(parts: int, crop: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    split = labelled(rng.integers(0, 255, (23, 10, 10, 3), dtype=np.uint8), np.arange(23) % 3)

    def stream(part: tuple[int, int]) -> list[Any]:
        augment = Augment(crop=crop, mirror=0.5, erase=0.3)
        steps = {"sides": (8, 8), "batch": 4, "augment": augment, "seed": 1, "first_step": 3, "last_step": 8}
        return list(train_batches(split, **steps, part=part))

    each = [stream((i, parts)) for i in range(parts)]
    for step, whole in enumerate(stream((0, 1))):
        assert torch.equal(torch.cat([part[step].images for part in each]), whole.images)
        assert torch.equal(torch.cat([part[step].answers for part in each]), whole.answers)


# ---- torchrun --------------------------------------------------------------------------------------------------------


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER_ADDR", "WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    with joined(torch.device("cpu")) as ranks:
        assert ranks == ALONE


def test_choosing_a_network_is_for_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"design chooses by one process.*scale BASE"):
        design_job("digits", "1M-macs", "efficientnet_b0", "compound", Options(), Watcher())


def test_a_start_is_met_under_a_name_of_its_own_whatever_earlier_ones_left() -> None:
    store, names = dist.HashStore(), []
    for first in (0, 2, 1):  # whoever comes first, and so may read what an earlier start left
        with ThreadPoolExecutor(3) as threads:
            early = threads.submit(met, store, first, 3, timedelta(seconds=30))
            time.sleep(0.1)
            late = [threads.submit(met, store, rank, 3, timedelta(seconds=30)) for rank in range(3) if rank != first]
            (name,) = {asked.result() for asked in (early, *late)}
        names.append(name)
    assert len(set(names)) == 3


@pytest.mark.parametrize(("rank", "said"), [(0, "process 1 did not come"), (1, "the first process did not answer")])
def test_a_start_where_one_stays_away_is_given_up(rank: int, said: str) -> None:
    store = dist.HashStore()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda rank: met(store, rank, 2, timedelta(seconds=30)), range(2)))
    with pytest.raises(RuntimeError, match=said):
        met(store, rank, 2, timedelta(seconds=0.1))


@pytest.mark.slow
def test_a_process_that_is_killed_ends_all_and_torchrun_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    file.write_text(to_json(SMALL))
    recipe = ["--epochs", "10", "--set", "dropout=0", "--set", "drop_path=0", "--set", "precision=fp32"]
    train = ["train", str(file), "digits", *recipe, "--runs", str(tmp_path), "--name"]
    with unexported(), in_threads(1):  # two halves in one process add as two processes do
        assert main([*train, "whole", "--set", "accumulate=2"]) == 0

    command = [*TORCHRUN, "--max-restarts", "1", "--standalone", UNEXPORTED[-1], *train, "killed"]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "killed" / "metrics.jsonl"
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 2:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    os.kill(_second(process.pid), signal.SIGKILL)
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert "process 0 lost the others" in said or "Signal 15" in said or "exitcode: -9" in said
    assert "started again by torchrun: going on with" in said
    assert "resuming after step" in said
    assert said.count("going on with") == 1, "one process speaks, after one restart"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "small.json", "whole"]
    assert [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()] == list(range(1, 11))
    one, two = (tmp_path / name / "model.safetensors" for name in ("whole", "killed"))
    assert one.read_bytes() == two.read_bytes()


def _second(launcher: int) -> int:
    """The process of rank 1 among those that `launcher` started."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return next(int(child) for child in children if b"\0RANK=1\0" in Path(f"/proc/{child}/environ").read_bytes())
