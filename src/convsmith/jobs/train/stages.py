"""The stages of a run, from training to its report: each is done once, whatever interrupts, and by whom it was begun."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from ...arch import ArchSpec
from ...codec import from_data, to_data
from ...data import ImageData
from ...errors import DataError, Stopped, UserError
from ...evals import score
from ...exporting import export_onnx, ort_subject
from ...latency import interleave
from ...model import build
from ...recipe import KINDS, Recipe
from ...reports import write_report
from ...resolve import device
from ...runs import Run, now
from ...training import Ranks, Termination
from ...training import fit as training_loop
from ...watcher import EpochDone, Record, Started, Watcher
from ...weights import write as write_weights
from ..feed import Feed, metadata_of, normaliser, samples_of, score_on, shape_of, trained, validation_batches
from ..source import Source, contents, fingerprint

__all__ = ["board", "carry_on", "check_unchanged", "data_record", "unchanged"]


def carry_on(run: Run, watcher: Watcher, images: ImageData | None, ranks: Ranks, *, force: bool = False) -> Run:
    """The stages that are not done, in order. SIGTERM ends the run after its step, or in another stage at once."""
    try:
        with Termination() as termination:
            return _stages(run, watcher, images, ranks, termination, force=force)
    except Stopped as stopped:
        raise Stopped(f"{stopped}; `convsmith resume {run.path}` goes on") from None


def _stages(
    run: Run, watcher: Watcher, images: ImageData | None, ranks: Ranks, termination: Termination, *, force: bool
) -> Run:
    config, spec, where = run.read("config.json"), run.spec, device()

    def data() -> ImageData:
        nonlocal images
        if images is None:
            images = Source(**config["source"]).load(watcher)
            check_unchanged(run, images, config["source"]["what"], watcher, force=force)
        return images

    if ranks.from_first(lambda: not run.has("model.safetensors")):
        _train(run, config, spec, data(), where, watcher, ranks, termination)
    if not ranks.leads:
        return run
    if not run.has("scores.json"):
        watcher.stage("evaluate", f"{len(data().val)} validation images")
        run.write("scores.json", score_on(trained(run, spec), spec, data(), where).to_record())
    if not run.has("export.json"):
        watcher.stage("export", "ONNX, batch norm folded, run by onnxruntime on real images")
        samples = samples_of(spec, data())
        says = metadata_of(spec, run.read("data.json")["classes"])
        exported = export_onnx(
            trained(run, spec), run.file("model.onnx"), input_shape=shape_of(spec), samples=samples, metadata=says
        )
        run.write("export.json", exported.to_record())
    if not run.has("latency.json"):
        threads = config.get("threads", 1)
        watcher.stage("measure", f"onnxruntime, batch 1, {'one thread' if threads == 1 else f'{threads} threads'}")
        subject = ort_subject(run.path.name, run.file("model.onnx"), batch=1, threads=threads)
        timing = interleave([subject], threads=threads, progress=lambda d, t: watcher.count("rounds", d, t))
        if config["met"] and "ms" in config["met"]:
            # What was measured to choose the network gives way to what is shipped; a kill in between repeats both.
            limit, took = config["met"]["ms"]["limit"], timing.rows[0].median_ms
            config["met"]["ms"] = {"limit": limit, "is": took, "slack": 1 - took / limit}
            run.write("config.json", config)
        run.write("latency.json", timing.to_record())
    watcher.stage("report", str(write_report(run.path)))
    return run


def data_record(images: ImageData) -> dict[str, object]:
    return images.to_record() | {"fingerprint": fingerprint(images), "contents": contents(images)}


def unchanged(run: Run, images: ImageData) -> bool:
    """Whether the labels and the images are those that the run was begun with."""
    before, found = run.read("data.json"), {"fingerprint": fingerprint(images), "contents": contents(images)}
    return all(before.get(key, own) == own for key, own in found.items())


def check_unchanged(run: Run, images: ImageData, what: str, watcher: Watcher, *, force: bool = False) -> None:
    """Refuse data that is not what the run was begun with; forced, take it and write down that it is another."""
    if unchanged(run, images):
        return
    before, found = run.read("data.json"), data_record(images)
    said = f"the data at {what} is not what {run.path} was begun with"
    if before["classes"] != found["classes"]:
        raise DataError(f"{said}: it has other classes, which this network cannot tell apart")
    if not force:
        raise DataError(f"{said}; --force goes on with it as it is now")
    watcher.note(f"{said}; going on, forced")
    run.write("data.json", found | {"changed": [*before.get("changed", []), now()]})


def _train(
    run: Run,
    config: dict[str, Any],
    spec: ArchSpec,
    images: ImageData,
    where: torch.device,
    watcher: Watcher,
    ranks: Ranks,
    termination: Termination,
) -> None:
    recipe = from_data(Recipe, config["recipe"], KINDS, source=str(run.file("config.json")))
    feed = Feed(spec, images, recipe, config["seed"], config["workers"], (ranks.rank, ranks.world))
    normalise = normaliser(spec, where)
    validation = validation_batches(spec, images)
    model = build(spec, seed=config["seed"])
    if run.has("initial.safetensors"):
        # Strict but for what the weights had no part in: a classifier for other classes, which begins by knowing nothing.
        missing, _ = model.load_state_dict(load_file(run.file("initial.safetensors")), strict=False)
        if missing:
            for parameter in model.head.fc.parameters():
                nn.init.zeros_(parameter)

    def evaluate(network: nn.Module) -> dict[str, float]:
        scores = score(network, validation(), classes=images.classes, normalise=normalise, device=where, thumbnails=0)
        return {"val_loss": scores.loss, "val_top1": scores.top1}

    shared = "" if ranks.alone else f", in {ranks.world} processes"
    watcher.stage("train", f"{recipe.name}: {recipe.epochs} epochs of {feed.steps_per_epoch} steps on {where}{shared}")
    events: Any = None
    with termination.deferred():
        for record in training_loop(
            model,
            recipe,
            feed,
            prepare=normalise,
            evaluate=evaluate,
            checkpoint=run.file("last.pt"),
            device=where,
            seed=config["seed"],
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
            if (logged := _logged(record)) is not None:
                run.log(logged)
                if events is not None:
                    for name, value in logged.items():
                        if name not in ("event", "epoch", "step"):
                            events.add_scalar(name, value, logged["step"])
                    events.flush()
        if events is not None:
            events.close()
        if not ranks.leads:
            return

        write_weights(run.file("model.safetensors"), model.state_dict())


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


def _shown_on(run: Run, config: dict[str, Any], step: int) -> Any:
    """The run's event writer, with what an earlier process wrote after `step` purged; None where none was asked for."""
    return board()(run.file("tb"), purge_step=step + 1) if config.get("tensorboard") else None


def _logged(record: Record) -> dict[str, Any] | None:
    if not isinstance(record, EpochDone):
        return None
    data = to_data(replace(record, scores={}))
    return {"event": "epoch", **{key: value for key, value in data.items() if key != "scores"}, **record.scores}
