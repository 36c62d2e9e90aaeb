"""Many small trainings, on local processes or a Ray cluster, each done once: what studies of scaling are made of.

A trial is trained by one thread wherever it runs, so that its result does not depend on how many run beside it. A finished
one leaves a file named by a hash of all it depends on; one that was killed goes on from its checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import pickle
import socket
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .arch import ArchSpec
from .codec import to_json
from .data import ImageData
from .errors import UserError
from .feed import Feed, Watcher, fingerprint, normaliser, validation_batches
from .recipe import Recipe

__all__ = ["Outcome", "Trial", "train_all"]

_LIVES = 3  # how often a pool whose process died is made again before its trials are given up


@dataclass(frozen=True)
class Trial:
    """One training: a network, how it is trained, and its seed."""

    spec: ArchSpec
    recipe: Recipe
    seed: int

    def key(self, data: str) -> str:
        """The name of its result: a hash of all that the result depends on. The spec's own name does not count."""
        text = "\0".join((to_json(replace(self.spec, name="")), to_json(self.recipe), data, str(self.seed)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """What a trial gave: top-1 and loss on the `n` validation images of the last epoch, or why it failed."""

    top1: float
    loss: float
    n: int
    failed: str = ""


def train_all(
    trials: Sequence[Trial],
    images: ImageData,
    out: Path,
    *,
    workers: int = 1,
    cluster: str | None = None,
    watcher: Watcher | None = None,
) -> tuple[Outcome, ...]:
    """The outcome of every trial, in their order, those of earlier calls read from `out`.

    `workers` local processes train beside each other; `cluster` is the address of a Ray cluster whose every free core
    trains one. Both give the same outcomes as one process. A training that diverges is an outcome that says so.
    """
    if workers < 1:
        raise UserError(f"--workers must be at least 1; got {workers}")
    watcher, data = watcher or Watcher(), fingerprint(images)
    out.mkdir(parents=True, exist_ok=True)
    keys = [trial.key(data) for trial in trials]
    todo = {key: trial for key, trial in zip(keys, trials, strict=True) if not (out / f"{key}.json").exists()}
    done, total = len(set(keys)) - len(todo), len(set(keys))
    if done:
        watcher.note(f"{done} of {total} trials were done before")
    # The dearest first: the last to end should be short.
    order = sorted(todo, key=lambda key: -_effort(todo[key]))
    work = {key: todo[key] for key in order}
    runs = _on_ray(work, images, cluster) if cluster else _on_processes(work, images, out, workers)
    for key, outcome in runs if work else ():
        _keep(out / f"{key}.json", outcome)
        done += 1
        watcher.count("trials", done, total)
        if outcome.failed:
            watcher.note(f"{todo[key].spec.name}, seed {todo[key].seed}: {outcome.failed}")
    return tuple(_kept(out / f"{key}.json") for key in keys)


def _effort(trial: Trial) -> float:
    from .costs import cost

    return cost(trial.spec).macs * trial.recipe.epochs


def train_one(trial: Trial, images: ImageData, checkpoint: Path, alive: int | None = None) -> Outcome:
    """Train a trial by one thread. `alive` is a process that must be there still: an orphan stops at its next step."""
    import torch

    from .evals import score
    from .model import build
    from .resolve import device
    from .training import StepDone, fit, forget_checkpoint

    torch.set_num_threads(1)
    where = device()
    normalise, validation = normaliser(trial.spec, where), validation_batches(trial.spec, images)
    model = build(trial.spec, seed=trial.seed)
    try:
        for record in fit(
            model,
            trial.recipe,
            Feed(trial.spec, images, trial.recipe, trial.seed, 0),
            prepare=normalise,
            evaluate=lambda network: {},  # only the last epoch counts: choosing the best would flatter every network
            checkpoint=checkpoint,
            device=where,
            seed=trial.seed,
        ):
            if isinstance(record, StepDone) and alive is not None and os.getppid() != alive:
                os._exit(1)
        with torch.inference_mode():
            found = score(model, validation(), classes=images.classes, normalise=normalise, device=where, thumbnails=0)
        outcome = Outcome(float(found.top1), float(found.loss), found.n)
    except UserError as error:
        outcome = Outcome(0.0, 0.0, 0, failed=str(error))
    forget_checkpoint(checkpoint)
    return outcome


# ---- local processes -------------------------------------------------------------------------------------------------

_images: ImageData | None = None  # of this worker process, set once when it starts


def _begin(images: ImageData) -> None:
    global _images
    _images = images


def _work(trial: Trial, checkpoint: Path, alive: int) -> Outcome:
    assert _images is not None
    return train_one(trial, _images, checkpoint, alive)


def _on_processes(work: dict[str, Trial], images: ImageData, out: Path, workers: int) -> Iterator[tuple[str, Outcome]]:
    left = dict(work)
    for life in range(_LIVES):
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _begin, (images,)) as pool:
            running: dict[Future[Outcome], str] = {}
            try:
                for key, trial in left.items():
                    running[pool.submit(_work, trial, out / f"{key}.pt", os.getpid())] = key
                while running:
                    ended, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in ended:
                        outcome, key = future.result(), running.pop(future)
                        del left[key]
                        yield key, outcome
                return
            except BrokenProcessPool:
                if life == _LIVES - 1:
                    raise UserError(
                        f"a training process died {_LIVES} times (out of memory?); {len(left)} trials are left, "
                        f"and the others are kept in {out}: fewer --workers need less memory"
                    ) from None
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


# ---- Ray -------------------------------------------------------------------------------------------------------------


def _on_ray(work: dict[str, Trial], images: ImageData, address: str | None) -> Iterator[tuple[str, Outcome]]:
    try:
        import ray
    except ImportError:
        raise UserError("--cluster needs Ray: pip install 'convsmith[cluster]'") from None
    try:
        _answers(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError) as error:
        raise UserError(f"no Ray cluster answers at '{address}': {error}") from None
    try:
        # A node that dies takes its trials with it; Ray starts them again on another, from their seeds.
        remote: Any = ray.remote(num_cpus=1, max_retries=8)(_remote)
        shared = ray.put(pickle.dumps(images))
        running = {remote.remote(pickle.dumps(trial), shared): key for key, trial in work.items()}
        while running:
            ended, _ = ray.wait(list(running), num_returns=1)
            for future in ended:
                yield running.pop(future), ray.get(future)
    finally:
        ray.shutdown()


def _answers(address: str | None) -> None:
    """Raise OSError where nothing listens: Ray itself would try for six minutes and then end the process."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


def _remote(trial: bytes, images: bytes) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        return train_one(pickle.loads(trial), pickle.loads(images), Path(folder) / "last.pt")


# ---- results on disk -------------------------------------------------------------------------------------------------


def _keep(path: Path, outcome: Outcome) -> None:
    from .training import save_atomically

    save_atomically(path, lambda temporary: _write(temporary, json.dumps(asdict(outcome))))


def _kept(path: Path) -> Outcome:
    try:
        return Outcome(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is not a trial's result ({error}); remove it to train that trial again") from None


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
