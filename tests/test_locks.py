"""One process at a time works on a folder; the lock goes with its process, and whoever comes second is told of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import convsmith as cs
from commands import TINY
from convsmith.cli import main
from convsmith.errors import UserError
from convsmith.jobs.studies.trials import train_all
from convsmith.locks import at_work
from test_trials import images
from unexported import unexported

HOLDER = """
import sys
from pathlib import Path
from convsmith.locks import at_work

with at_work(Path(sys.argv[1])):
    print("here", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that is at work on the folder."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "here\n"
        yield process
        process.kill()


def test_the_second_is_told_who_is_at_work_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with another(folder) as process:
        told = json.loads((folder / ".lock").read_text())
        with pytest.raises(UserError, match=rf"by process {process.pid} on {told['host']} since 20"), at_work(folder):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        with at_work(folder):
            assert json.loads((folder / ".lock").read_text())["pid"] == os.getpid()
    with at_work(folder):
        pass


def test_what_the_last_was_writing_when_it_was_killed_is_removed_and_no_more(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text('{"pid": 4194305}')  # more than any process has
    names = {".last.pt.4194305.tmp", ".report.html.7.tmp", "last.pt"}
    for name in names:
        (tmp_path / name).touch()
    with at_work(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == names - {".last.pt.4194305.tmp"} | {".lock"}


def test_a_process_does_not_work_on_a_folder_twice_at_a_time(tmp_path: Path) -> None:
    with at_work(tmp_path):
        with pytest.raises(UserError, match="by this very process"), at_work(tmp_path / "." / ""):
            pass
        with another(tmp_path / "other"):
            pass
        child = subprocess.run([sys.executable, "-c", HOLDER, str(tmp_path)], input="", capture_output=True, text=True)
        assert f"by process {os.getpid()}" in child.stderr, "the one that was refused gave nothing back"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to .*file"), at_work(tmp_path / "file" / "run"):
        pass


def test_every_verb_that_writes_into_a_run_is_refused_and_those_that_read_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with unexported():
        options = cs.Options(settings=("epochs=1", "batch=512"), parent=tmp_path, name="r")
        run = cs.train(TINY, "digits", options=options)
    capsys.readouterr()
    with another(run.path):
        for verb in (["resume", str(run.path)], ["export", str(run.path)], ["export", str(run.path), "--int8"]):
            assert main(verb) == 2
            assert "is being worked on by process" in capsys.readouterr().err.replace("\n", " ")
        with pytest.raises(UserError, match="is being worked on"):
            train_all([], images(), run.path)
        for verb in (["report", str(run.path)], ["export", str(run.path), "--out", str(tmp_path / "new" / "x.onnx")]):
            assert main(verb) == 0
    assert main(["resume", str(run.path)]) == 0
