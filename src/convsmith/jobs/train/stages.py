"""The stages of a run, from training to its report: each is done once, whatever interrupts, and by whom it was begun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from ...arch import ArchSpec
from ...codec import to_data
from ...data import ImageData
from ...data.readers.dataset import own_data
from ...data.strip import strip
from ...errors import UserError
from ...exporting.runtimes import runtime_named, that_runs
from ...latency import Runtime, interleave
from ...locks import at_work
from ...model import build
from ...reports import write_report
from ...runs import Config, Epoch, Fall, Latency, PairLook, RunFolder, Samples, write_tables
from ...training import Ranks, Termination
from ...training import fit as training_loop
from ...units import plural
from ...watcher import EpochDone, Looked, RolledBack, Started, Watcher
from ...weights import write as write_weights
from ..examiner import examiner_of
from ..feed import (
    Feed,
    is_of_weights,
    metadata_of,
    normaliser,
    record_of_weights,
    refuse_lone_images,
    samples_of,
    shape_of,
    task_of,
    trained,
)
from ..options import Data, source_again
from ..source import loaded_again
from ..timing.subjects import shipped, title_of

__all__ = ["alone_on", "board", "carry_on"]


@contextmanager
def alone_on(run: RunFolder, ranks: Ranks) -> Iterator[None]:
    """These processes alone write into the run's folder while the block lasts: the first has the lock for all of them."""
    with ExitStack() as stack:
        ranks.from_first(lambda: stack.enter_context(at_work(run.path)))
        yield


def carry_on(
    run: RunFolder,
    watcher: Watcher,
    images: ImageData | None,
    ranks: Ranks,
    *,
    force: bool = False,
    given: tuple[Data | None, str | Path | None] = (None, None),
) -> RunFolder:
    """The stages that are not done, in order. SIGTERM ends the run after its step, or in another stage at once.

    Without `images` they are loaded when they are needed, from where the run says or from `given`: the data, and what it is
    validated on, as they lie now.
    """
    with run.stoppable(), Termination() as termination:
        return _stages(run, watcher, images, ranks, termination, force=force, given=given)


def _stages(
    run: RunFolder,
    watcher: Watcher,
    images: ImageData | None,
    ranks: Ranks,
    termination: Termination,
    *,
    force: bool,
    given: tuple[Data | None, str | Path | None],
) -> RunFolder:
    config, spec, where = run.config, run.spec, ranks.device

    def data() -> ImageData:
        nonlocal images
        if images is None:
            remedy = f"`convsmith resume {run.path} {{}} PATH`"
            images = loaded_again(
                run, source_again(run, *given), own_data(given[0]), watcher, remedy=remedy, force=force
            )
        return images

    # What is told to be the run's is held against it though nothing be left to do.
    if any(one is not None for one in given):
        data()
    if ranks.from_first(lambda: not run.has("model.safetensors")):
        _train(run, config, spec, data(), where, watcher, ranks, termination)
    if not ranks.leads:
        return run
    if not is_of_weights(run, "scores.json"):
        what = "film" if data().filmed else "image"
        watcher.stage("evaluate", plural(len(data().val), f"validation {what}"))
        examiner = examiner_of(task_of(config), spec, data(), run.path, where, watcher)
        found = examiner.scores(trained(run, spec))
        write_tables(found, run.path)
        record_of_weights(run, "scores.json", found.to_record())
    runtime, threads = Runtime(config.runtime or Runtime.ORT), config.threads or 1
    for files in dict.fromkeys((runtime_named("onnx"), that_runs(runtime))):
        if files is None or is_of_weights(run, files.record):
            continue
        path = run.file(f"model{files.suffix}")
        watcher.stage("export", f"{path.name}, batch norm folded, run by {files.title} on real images")
        samples = samples_of(spec, data(), files.shown)
        says = metadata_of(spec, run.data.classes, task_of(config))
        exported = files.export(trained(run, spec), path, input_shape=shape_of(spec), samples=samples, metadata=says)
        record_of_weights(run, files.record, exported.to_record())
    if not run.has("latency.json"):
        counted = "one thread" if threads == 1 else f"{threads} threads"
        watcher.stage("measure", f"{title_of(runtime)}, batch 1, {counted}")
        subject = shipped(run.path, spec, lambda: trained(run, spec), runtime, threads=threads)
        timing = interleave([subject], threads=threads, progress=lambda d, t: watcher.count("rounds", d, t))
        if config.met and "ms" in config.met and config.met["ms"].estimated_for is None:
            # What was measured to choose the network gives way to what is shipped; a kill in between repeats both.
            took = replace(config.met["ms"], actual=timing.rows[0].median_ms)
            run.write_config(replace(config, met={**config.met, "ms": took}))
        run.write_latency(Latency.from_record(timing.to_record()))
    watcher.stage("report", str(write_report(run.path)))
    return run


def _train(
    run: RunFolder,
    config: Config,
    spec: ArchSpec,
    images: ImageData,
    where: torch.device,
    watcher: Watcher,
    ranks: Ranks,
    termination: Termination,
) -> None:
    recipe, seed = run.recipe, run.seed
    refuse_lone_images(spec, recipe, len(images.train), ranks)
    feed = Feed(spec, images, recipe, seed, config.workers, (ranks.rank, ranks.world))
    if ranks.leads and not run.has("samples.json"):
        run.write("samples.json", Samples(strip(images)).to_record())
    normalise, task = normaliser(spec, where), task_of(config)
    model = build(spec, seed=seed)
    if run.has("initial.safetensors"):
        # Strict but for what the weights had no part in: a classifier for other classes, which begins by knowing nothing; or
        # the head of another task.
        missing, _ = model.load_state_dict(load_file(run.file("initial.safetensors")), strict=False)
        for name, parameter in model.named_parameters():
            if task.blank and name in missing and name.startswith(spec.head.named):
                nn.init.zeros_(parameter)

    examiner = examiner_of(task, spec, images, run.path, where, watcher)
    latest: nn.Module = model

    def evaluated(network: nn.Module) -> dict[str, float]:
        nonlocal latest
        latest = network
        return examiner.brief(network)

    trainee = task.trainee(model, recipe, seed)
    shared = "" if ranks.alone else f", in {ranks.world} processes"
    lengths = f"{plural(recipe.epochs, 'epoch')} of {plural(feed.steps_per_epoch, 'step')}"
    watcher.stage("train", f"{recipe.name}: {lengths} on {where}{shared}")
    events: Any = None
    with termination.deferred():
        for record in training_loop(
            trainee,
            recipe,
            feed,
            prepare=normalise,
            evaluate=evaluated,
            checkpoint=run.file("last.pt"),
            device=where,
            seed=seed,
            lookout=task.lookout(trainee, seed),
            ranks=ranks,
            stop=lambda: termination.asked,
        ):
            watcher.record(record)
            if not ranks.leads:
                continue
            if isinstance(record, Started):
                # Also where nothing was saved yet: a kill between an epoch's line and its checkpoint leaves the line.
                run.rewind(record.step)
                if record.damage:
                    watcher.note(record.damage)
                if record.step:
                    watcher.note(f"resuming after step {record.step} of {record.steps}")
                events = _shown_on(run, config, record.step)
            if isinstance(record, Looked):
                run.log(PairLook.from_record(to_data(record)))
            if isinstance(record, RolledBack):
                watcher.note(
                    f"step {record.step}: {record.reason}; back to step {record.to} at {record.share:g} of the rate"
                )
                run.log(Fall.from_record(to_data(record)))
            if isinstance(record, EpochDone):
                examiner.keep(latest, record.epoch, recipe.epochs)
                logged = Epoch.of(record, task.running)
                run.log(logged)
                if events is not None:
                    for name, value in logged.to_record().items():
                        if name not in ("event", "epoch", "step"):
                            events.add_scalar(name, value, logged.step)
                    events.flush()
        if events is not None:
            events.close()
        if not ranks.leads:
            return

        examiner.settle(model)
        says = metadata_of(spec, images.classes, task)
        write_weights(run.file("model.safetensors"), model.state_dict(), says=asdict(says))


def board() -> Any:
    """TensorBoard's writer of event files, which is an extra.

    Raises:
        UserError: it is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("--tensorboard needs TensorBoard: pip install 'convsmith[tracking]'") from None
    return SummaryWriter


def _shown_on(run: RunFolder, config: Config, step: int) -> Any:
    """The run's event writer, with what an earlier process wrote after `step` purged; None where none was asked for."""
    return board()(run.file("tb"), purge_step=step + 1) if config.tensorboard else None
