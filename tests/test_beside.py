"""Processes beside this one give the same batches whatever starts them, and whatever ends them is told at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator

import pytest
import torch

from convsmith.data.beside import beside
from convsmith.errors import DataError


@pytest.fixture(params=["fork", "spawn"])
def start_method(request: pytest.FixtureRequest) -> Iterator[str]:
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(before, force=True)


def piece(number: int) -> torch.Tensor:
    return torch.full((1000,), float(number))


def odd(number: int) -> int:
    if number == 3:
        raise DataError("three is not even")
    return number


class _Unpicklable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def strange(number: int) -> int:
    raise _Unpicklable(number, 2)


def killed(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def told(number: int) -> int:
    """Somebody tells the whole group of processes to end."""
    for one in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), one)
    return number


@pytest.mark.slow
@pytest.mark.usefixtures("start_method")
def test_pieces_come_in_order_and_the_processes_end_with_them() -> None:
    before = set(multiprocessing.active_children())
    found = [int(made[0]) for made in beside(piece, range(3, 12), 2)]
    assert found == list(range(3, 12)) and set(multiprocessing.active_children()) == before


def test_what_is_raised_beside_is_raised_here() -> None:
    made = beside(odd, range(6), 2)
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match="three is not even"):
        next(made)
    with pytest.raises(DataError, match="_Unpicklable: 0 and 2"):
        next(beside(strange, range(6), 2))


def test_a_process_that_is_killed_is_told_and_the_others_end() -> None:
    before = set(multiprocessing.active_children())
    with pytest.raises(DataError, match=r"was ended by signal 9.*fewer --workers.*`resume`"):
        list(beside(killed, range(50), 2))
    assert set(multiprocessing.active_children()) == before


def test_the_processes_of_an_iterator_that_nobody_asks_or_asks_further_end_with_it() -> None:
    before = set(multiprocessing.active_children())
    for asked in (0, 1):
        made = beside(piece, range(50), 2)
        for _ in range(asked):
            next(made)
        assert len(set(multiprocessing.active_children()) - before) == 2
        del made
        assert set(multiprocessing.active_children()) == before


def test_signals_to_all_processes_leave_those_beside_at_work() -> None:
    assert list(beside(told, range(4), 2)) == [0, 1, 2, 3]


@pytest.mark.skipif(multiprocessing.get_start_method() != "fork", reason="a patch reaches only processes that fork")
def test_no_room_in_shared_memory_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        @staticmethod
        def dumps(answer: object) -> None:
            raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")

    monkeypatch.setattr("convsmith.data.beside.ForkingPickler", Full)
    assert [int(made[0]) for made in beside(piece, range(5), 2)] == list(range(5))
