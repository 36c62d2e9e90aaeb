"""A farm gives each piece of work its one result, whoever does it and whatever happens to them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from convsmith.errors import UserError
from convsmith.jobs.studies.farm import Farm, orphaned


def added(shared: int, item: int) -> int:
    return shared + item


def died_once(shared: Path, item: int) -> int:
    """The first process that gets to work on 2 dies at it."""
    mark = shared / "died"
    if item == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def whoever(seconds: float, item: int) -> int:
    time.sleep(seconds)
    return os.getpid()


def dies(shared: None, item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_every_item_has_its_result_and_processes_stay() -> None:
    with Farm(added, 10, workers=2) as farm:
        assert dict(farm({str(i): i for i in range(5)})) == {str(i): 10 + i for i in range(5)}
        assert dict(farm({"again": 7})) == {"again": 17}
    assert not orphaned(), "the farmer itself is nobody's worker"


def test_what_a_dead_process_was_at_is_done_again(tmp_path: Path) -> None:
    with Farm(died_once, tmp_path, workers=2) as farm:
        assert dict(farm({str(i): i for i in range(4)})) == {str(i): i * i for i in range(4)}
    assert (tmp_path / "died").exists()


def test_work_that_kills_whoever_does_it_is_given_up_with_the_reason() -> None:
    with (
        Farm(dies, None, workers=1) as farm,
        pytest.raises(UserError, match=r"died 3 times.*fewer --jobs"),
    ):
        list(farm({"a": 1}))


def stepwise(shared: None, item: int) -> int:
    """As a training does, it looks at every step whether somebody still waits for it."""
    until = time.monotonic() + 60
    while time.monotonic() < until and not orphaned():
        time.sleep(0.05)
    return item


def test_an_interrupted_farm_ends_what_its_processes_are_at() -> None:
    before = time.monotonic()
    # Whoever runs tests in the background of a shell has them deaf to it.
    deaf = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), Farm(stepwise, None, workers=1) as farm:
            work = farm({"0": 0, "1": 1})
            threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT)).start()
            next(work)
    finally:
        signal.signal(signal.SIGINT, deaf)
    while multiprocessing.active_children():
        assert time.monotonic() - before < 50
        time.sleep(0.05)


FARMER = """
import os, sys, time
sys.path.insert(0, {tests!r})
from test_farm import whoever
from convsmith.jobs.studies.farm import Farm

if __name__ == "__main__":
    with Farm(whoever, 0.5, workers=2) as farm:
        for _, worker in farm({{str(at): at for at in range(6)}}):
            print(worker, flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("heard", [2, 6], ids=["at work", "idle"])
def test_processes_end_when_their_farmer_is_killed(tmp_path: Path, heard: int) -> None:
    script = tmp_path / "farmer.py"
    script.write_text(FARMER.format(tests=str(Path(__file__).parent)))
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as farmer:
        assert farmer.stdout is not None
        workers = {int(farmer.stdout.readline()) for _ in range(heard)}
        assert alive(workers)
        farmer.kill()
    until = time.monotonic() + 60
    while alive(workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(workers)


def alive(pids: set[int]) -> set[int]:
    """Those that still run: whoever inherits a dead process need not have buried it."""
    found = set()
    for pid in pids:
        stat = Path(f"/proc/{pid}/stat")
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[0] != "Z":
                found.add(pid)
    return found


def test_a_farm_needs_a_worker() -> None:
    with pytest.raises(UserError, match="--jobs must be at least 1; got 0"):
        Farm(added, 1, workers=0)
