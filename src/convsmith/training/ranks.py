"""Several processes that train one network, as `torchrun` starts them: each on its part of every batch.

All of them hold the same weights, optimiser and averages after every step, because all take the step with the same
gradient: the mean over all images of the batch. So one of them, the first, can write, evaluate and speak for all.

A dropped connection ends a collective with an error at once, where processes talk over the CPU's backend; every step has
such a one, so that a process which died takes the others with it within a step.

Reads the variables that `torchrun` sets, and nothing else of the environment.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from ..errors import UserError, first_line

__all__ = ["ALONE", "Ranks", "joined", "leave", "met", "rank_here", "recalled", "remember", "world_here"]

T = TypeVar("T")

# How long the others wait while the first evaluates and writes. One that died is noticed at once, without this.
PATIENCE = timedelta(hours=2)
# How long processes that `torchrun` starts together look for each other.
MEETING = timedelta(seconds=60)


@dataclass(frozen=True)
class Ranks:
    """This process's number, how many there are, and the device that this one trains on. Every method must be called by all
    of them, in the same order."""

    rank: int = 0
    world: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def leads(self) -> bool:
        """Whether this process writes, evaluates and speaks."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.world == 1

    # ---- small matters, over the CPU ---------------------------------------------------------------------------------

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        if self.alone:
            return here
        flag = torch.tensor([int(here)], dtype=torch.int32)
        with _together():
            dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return bool(flag.item())

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` gives in the first process, where alone it is called; its `UserError` is everybody's."""
        if self.alone:
            return make()
        told: list[tuple[T | None, str | None]] = [(None, None)]
        if self.leads:
            try:
                told = [(make(), None)]
            except UserError as error:
                told = [(None, str(error))]
        with _together():
            dist.broadcast_object_list(told, src=0, device=torch.device("cpu"))
        value, error_there = told[0]
        if error_there is not None:
            raise UserError(error_there)
        return value  # type: ignore[return-value]  # an error or a value

    # ---- tensors -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def align(self, model: nn.Module, device: torch.device) -> None:
        """Give the model the first process's weights, and let its batch norms see the whole batch where that can be.

        torch synchronises batch norm on CUDA only. On a CPU each process normalises by its own part of the batch.
        """
        if self.alone:
            return
        for tensor in (*model.parameters(), *model.buffers()):
            dense = tensor.contiguous()
            with _together():
                dist.broadcast(dense, src=0)
            tensor.copy_(dense)
        if device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]  # in place: its parts change

    def total(self, sums: Tensor) -> Tensor:
        """The sums of all processes, in place."""
        if not self.alone:
            with _together():
                dist.all_reduce(sums)
        return sums

    @torch.no_grad()
    def combine(self, model: nn.Module, images: int) -> None:
        """Make of every process's mean gradient over its own `images` the mean over all images of the batch, in place:

            g <- sum_r n_r g_r / sum_r n_r

        and the same of the running statistics, which the step has just moved: then their mean is that of the whole batch,
        and no process's differ. All in one message. A process whose part is empty has gradients of zero.
        """
        if self.alone:
            return
        gradients = []
        for weight in model.parameters():
            if weight.requires_grad:
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
                gradients.append(weight.grad)
        self._mean([*gradients, *_statistics(model)], images)

    @torch.no_grad()
    def agree(self, model: nn.Module, images: int) -> None:
        """The same of the running statistics alone: of a module that others were trained with."""
        if not self.alone and (moved := _statistics(model)):
            self._mean(moved, images)

    def _mean(self, tensors: list[Tensor], images: int) -> None:
        count = tensors[0].new_tensor([float(images)])
        # Dense copies: a gradient in channels-last order need not have that order in every process.
        flat = torch.cat([*(tensor.reshape(-1) * images for tensor in tensors), count])
        with _together():
            dist.all_reduce(flat)
        mean = flat[:-1] / flat[-1].clamp_min(1)
        for tensor, part in zip(tensors, torch.split(mean, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view(tensor.shape))


def _statistics(model: nn.Module) -> list[Tensor]:
    return [buffer for buffer in model.buffers() if buffer.is_floating_point()]


ALONE = Ranks()


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """The processes that `torchrun` started, this one among them, or this one alone. gloo on the CPU, nccl on CUDA."""
    if world_here() == 1:
        yield Ranks(device=device)
        return
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise UserError(f"process {local} of this machine has no GPU: it has {torch.cuda.device_count()}")
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    with _together():
        store, rank, world = next(dist.rendezvous("env://", timeout=MEETING))  # type: ignore[attr-defined]
        # The store outlives a restart of the processes, and with it the addresses of those that are dead.
        store = dist.PrefixStore(met(store, rank, world, MEETING), store)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=MEETING)
        assert dist.group.WORLD is not None
        dist.group.WORLD.set_timeout(PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()


def leave(code: int) -> None:
    """End this process at once with that exit code where it is one of several that `torchrun` started; else do nothing.

    What torch still holds at a process's very end may abort it ("terminate called without an active exception"), long after
    everything is written and said: seen in 2 of 24 trainings of two processes on a busy machine. `torchrun` would then
    take the whole training for failed.
    """
    if world_here() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def met(store: Any, rank: int, world: int, patience: timedelta) -> str:
    """A name that the processes of this start alone share, agreed upon in a `store` which may hold those of earlier starts.

    The first process makes the name; every other one asks about the name it reads, and is answered under the name only if
    the first process still lives. No count of restarts will do: over several machines `torchrun` keeps one on each.

    Raises:
        RuntimeError: not all of them came within `patience`.
    """
    if rank == 0:
        name = uuid.uuid4().hex
        store.set(_NAME, name)
        for other in range(1, world):
            asks = f"{name}/asks/{other}"
            for _ in _ticks(patience, f"process {other} did not come"):
                if store.check([asks]):
                    break
            store.set(f"{name}/{store.get(asks).decode()}", "")
        return name
    name, question = "", uuid.uuid4().hex
    for _ in _ticks(patience, "the first process did not answer"):
        if store.check([_NAME]) and (read := str(store.get(_NAME).decode())) != name:
            name = read
            store.set(f"{name}/asks/{rank}", question)
        if name and store.check([f"{name}/{question}"]):
            break
    return name


_NAME = "convsmith/start"


def _ticks(patience: timedelta, otherwise: str) -> Iterator[None]:
    until = time.monotonic() + patience.total_seconds()
    while time.monotonic() < until:
        yield
        time.sleep(0.01)
    raise RuntimeError(otherwise)


def rank_here() -> int:
    """This process's number before, and after, it has joined the others; 0 where there are none."""
    return int(os.environ.get("RANK", "0")) if "MASTER_ADDR" in os.environ else 0


def world_here() -> int:
    """How many processes `torchrun` started, this one among them."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "MASTER_ADDR" in os.environ else 1


@contextmanager
def _together() -> Iterator[None]:
    """Whatever torch raises in a collective is the news that another process has ended."""
    try:
        yield
    except RuntimeError as error:
        reason = first_line(error).partition(". ")[0]  # what follows is advice for those who write such code
        raise UserError(
            f"process {rank_here()} lost the others, of which one has ended; training goes on from the last checkpoint "
            f"with `torchrun --max-restarts`, or with `resume` ({reason})"
        ) from error


# ---- what outlives a restart -----------------------------------------------------------------------------------------

_RUN = "convsmith/run"


def remember(run: str) -> None:
    """Leave the path of the run with `torchrun`, which outlives the processes it starts."""
    if (store := _store()) is not None:
        store.set(_RUN, run)


def recalled() -> str | None:
    """The run that was begun before `torchrun` started its processes again, or None."""
    store = _store()
    return store.get(_RUN).decode() if store is not None and store.check([_RUN]) else None


def _store() -> Any:
    """The key-value store that `torchrun` itself keeps; its processes use it under a prefix for each start."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return dist.TCPStore(address, port, is_master=False)  # type: ignore[attr-defined]
