"""No step is lost: to a damaged file, a full disk, SIGTERM, or data that is not the same any more."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from convsmith.arch import Act, ArchSpec, Image, Stage, Style
from convsmith.cli import main
from convsmith.codec import to_json
from convsmith.errors import Stopped, UserError
from convsmith.parts import SE, ConvStem, GroupNorm, MBConv, PlainConv, PooledClassifier
from convsmith.threads import in_threads
from convsmith.training import Termination, load_checkpoint, save_checkpoint
from convsmith.training.checkpoint import previous, restore_checkpoint
from convsmith.watcher import Started
from test_training import digest, run
from unexported import UNEXPORTED, unexported

SMALL = ArchSpec(
    name="small",
    input=Image(resolution=8),
    style=Style(norm=GroupNorm(groups=4, act=Act.SILU), conv=PlainConv()),
    stem=ConvStem(width=8, stride=1),
    stages=(Stage(MBConv(expand=2, se=SE()), 1, 8, 1),),
    head=PooledClassifier(classes=10),
)


def state(step: int) -> dict[str, object]:
    generator = torch.Generator().manual_seed(step)
    return {"step": step, "model": {"weight": torch.randn(3000, generator=generator)}}


def damage(path: Path, at: float) -> None:
    """Flip one bit, at this share of the file."""
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 0x10
    path.write_bytes(content)


# ---- two checkpoints, both whole -------------------------------------------------------------------------------------


def test_a_save_keeps_the_checkpoint_before_it(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    for step in (1, 2, 3):
        save_checkpoint(path, state(step))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["last.previous.pt", "last.pt"]
    assert (load_checkpoint(previous(path))["step"], load_checkpoint(path)["step"]) == (2, 3)
    assert torch.equal(load_checkpoint(path)["model"]["weight"], state(3)["model"]["weight"])
    assert torch.load(path, weights_only=True)["step"] == 3, "torch alone reads it too"


@pytest.mark.parametrize("at", [0.0, 0.01, 0.3, 0.5, 0.9, 0.99, 1.0])
def test_one_wrong_bit_anywhere_is_noticed(tmp_path: Path, at: float) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, state(1))
    damage(path, at)
    with pytest.raises(UserError, match=r"last\.pt is not a checkpoint that can be read"):
        load_checkpoint(path)


@pytest.mark.parametrize("kept", [0, 1, 100, 5000, -1, -83])
def test_a_file_cut_short_is_noticed_and_the_one_before_it_read(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, state(1))
    save_checkpoint(path, state(2))
    path.write_bytes(path.read_bytes()[:kept])
    found, told = restore_checkpoint(path)
    assert found is not None
    assert found["step"] == 1
    assert "going on from the one before it, of step 1" in told
    # The whole one has the name now, so that the next save does not keep the damaged one in its place.
    save_checkpoint(path, state(3))
    assert (load_checkpoint(previous(path))["step"], load_checkpoint(path)["step"]) == (1, 3)


def test_a_kill_between_the_two_renames_loses_no_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, state(1))
    path.replace(previous(path))
    found, told = restore_checkpoint(path)
    assert (found["step"], told) == (1, "")
    assert restore_checkpoint(tmp_path / "none.pt") == (None, "")


def test_two_damaged_checkpoints_are_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, state(1))
    save_checkpoint(path, state(2))
    damage(path, 0.5)
    damage(previous(path), 0.5)
    with pytest.raises(UserError, match=r"last\.pt is not .*last\.previous\.pt is not .*Start the run anew"):
        restore_checkpoint(path)


def test_training_goes_on_from_the_checkpoint_before_a_damaged_one_to_the_same_weights(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    whole, _ = run(tmp_path / "a")
    run(tmp_path / "b", stop_at=12)  # the ends of two epochs were saved, of 5 steps each
    damage(tmp_path / "b" / "last.pt", 0.5)
    resumed, records = run(tmp_path / "b")
    assert isinstance(records[0], Started)
    assert (records[0].step, records[0].steps) == (5, 15)
    assert "its checksum does not agree" in records[0].damage
    assert digest(resumed) == digest(whole)


# ---- a disk that is full, a folder that cannot be written ------------------------------------------------------------


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses to write a file beyond `size`, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def nobody() -> Iterator[None]:
    """Root may write everywhere; nobody may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("size", [0, 600, 8000, 12_500])
def test_a_write_that_ends_half_way_leaves_both_checkpoints(tmp_path: Path, size: int) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, state(1))
    save_checkpoint(path, state(2))
    with (
        largest_file(size),
        pytest.raises(
            UserError, match=r"cannot write the checkpoint .*last\.pt: .*File too large; the older .* is whole"
        ),
    ):
        save_checkpoint(path, state(3))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["last.previous.pt", "last.pt"]
    assert (load_checkpoint(previous(path))["step"], load_checkpoint(path)["step"]) == (1, 2)


def test_a_run_that_met_a_full_disk_resumes_to_the_same_weights(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    whole, _ = run(tmp_path / "a")
    run(tmp_path / "b", stop_at=6)
    with largest_file(5000), pytest.raises(UserError, match=r"the older checkpoint .* is whole"):
        run(tmp_path / "b")
    assert digest(run(tmp_path / "b")[0]) == digest(whole)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    path = folder / "last.pt"
    save_checkpoint(path, state(1))
    # Nobody must reach it: pytest's folders are private, one more of them in a worker of pytest-xdist.
    for parent in (tmp_path, *(one for one in tmp_path.parents if one.name.startswith(("pytest-", "popen-")))):
        parent.chmod(0o755)
    folder.chmod(0o555)
    try:
        with (
            nobody(),
            pytest.raises(UserError, match=r"cannot write the checkpoint .*run/last\.pt: .*Permission denied"),
        ):
            save_checkpoint(path, state(2))
    finally:
        folder.chmod(0o755)
    assert load_checkpoint(path)["step"] == 1


# ---- SIGTERM ---------------------------------------------------------------------------------------------------------


def test_sigterm_waits_for_what_is_deferred_and_ends_all_else_at_once() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Termination() as termination:
        finished = False
        with pytest.raises(Stopped), termination.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            assert termination.asked
            finished = True
        assert finished
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_later_sigterm_ends_what_the_first_one_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = []
    with Termination() as termination, pytest.raises(Stopped), termination.deferred():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        reached.append("its echo is not heard")
        monkeypatch.setattr("convsmith.training.stopping.AT_ONCE", -1.0)
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append("never")
    assert reached == ["its echo is not heard"]


@pytest.mark.slow
def test_sigterm_to_all_processes_of_a_run_ends_it_after_a_step_and_it_resumes_to_the_same_weights(
    tmp_path: Path,
) -> None:
    """As a scheduler does: the process that trains and those that read images are told at once."""
    spec = tmp_path / "small.json"
    spec.write_text(to_json(SMALL))
    train = ["train", str(spec), "digits", "--epochs", "8", "--runs", str(tmp_path)]
    with unexported(), in_threads(1):
        assert main([*train, "--name", "whole"]) == 0

    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "env": environment, "text": True}
    command = [*UNEXPORTED, *train, "--name", "told", "--workers", "1"]
    process = subprocess.Popen(command, start_new_session=True, **quiet)
    metrics = tmp_path / "told" / "metrics.jsonl"
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 2:
        assert process.poll() is None, "the run ended before it could be told"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 143, said
    assert "stopped by SIGTERM after step" in said
    assert "resume" in said
    assert "Traceback" not in said
    step = load_checkpoint(tmp_path / "told" / "last.pt")["step"]
    assert f"after step {step} of" in said, "the checkpoint is of the very last step"

    with unexported(), in_threads(1):
        assert main(["resume", str(tmp_path / "told")]) == 0
    whole, told = (tmp_path / name / "model.safetensors" for name in ("whole", "told"))
    assert told.read_bytes() == whole.read_bytes()


# ---- other data ------------------------------------------------------------------------------------------------------


def test_pixels_that_changed_are_refused_unless_forced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    spec, data = tmp_path / "small.json", tmp_path / "data.npz"
    spec.write_text(to_json(SMALL))
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    np.savez(data, images=images, labels=labels)
    train = ["train", str(spec), str(data), "--epochs", "1", "--runs", str(tmp_path), "--name", "r"]
    with unexported():
        assert main(train) == 0
    folder = tmp_path / "r"
    (folder / "scores.json").unlink()
    images[3, 4, 4] ^= 1
    np.savez(data, images=images, labels=labels)
    capsys.readouterr()
    assert main(["resume", str(folder)]) == 2
    said = capsys.readouterr().err.replace("\n", " ")
    assert "is not what" in said
    assert "--force" in said
    assert main(["resume", str(folder), "--force"]) == 0
    assert len(json.loads((folder / "data.json").read_text())["changed"]) == 1
    (folder / "scores.json").unlink()
    assert main(["resume", str(folder)]) == 0, "forced once, it is the data of the run"

    np.savez(data, images=images, labels=np.arange(40) % 4)
    (folder / "scores.json").unlink()
    assert main(["resume", str(folder), "--force"]) == 2
    assert "other classes" in capsys.readouterr().err.replace("\n", " ")
