"""A farm gives each piece of work its one result, whoever does it and whatever happens to them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from convsmith.errors import UserError
from convsmith.farm import Farm, orphaned


def added(shared: int, item: int) -> int:
    return shared + item


def died_once(shared: Path, item: int) -> int:
    """The first process that gets to work on 2 dies at it."""
    mark = shared / "died"
    if item == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


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
        Farm(dies, None, workers=1, option="--scorers") as farm,
        pytest.raises(UserError, match=r"died 3 times.*fewer --scorers"),
    ):
        list(farm({"a": 1}))


def test_a_farm_needs_a_worker() -> None:
    with pytest.raises(UserError, match="--workers must be at least 1; got 0"):
        Farm(added, 1, workers=0)
