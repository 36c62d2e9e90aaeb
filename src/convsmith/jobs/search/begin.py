"""One supernet trained on the user's data, and a finished network cut out of it for each budget: `convsmith search`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...ambient import undisturbed
from ...codec import to_data
from ...costs import cost
from ...data import ImageData
from ...data.readers.dataset import own_data
from ...errors import UserError
from ...exporting import Exported, export_onnx
from ...machine import this_machine
from ...model import Model
from ...recipe import Recipe
from ...resolve import device
from ...runs import Config, Kind, RunFolder, now
from ...supernet import Space
from ...tasks import Classify, Task
from ...training import joined, recalled, remember
from ...watcher import Watcher
from ...weights import Fitted
from ...weights import write as write_weights
from ..feed import metadata_of, refuse_lone_images, samples_of, shape_of, task_of
from ..options import Data, Options, source_again
from ..source import Source, data_record, loaded_again, unchanged
from ..train.begin import given, say_weights
from ..train.stages import alone_on
from .options import SearchOptions, Selector, space_in, space_of
from .page import unfinished
from .request import Request
from .stages import Search, carried

__all__ = [
    "SearchOptions",
    "Selector",
    "child_model",
    "export_child",
    "resume_search",
    "search",
    "space_of",
]


@undisturbed()
def search(
    data: Data,
    *,
    to: str | Sequence[str],
    options: Options | None = None,
    how: SearchOptions | None = None,
    watcher: Watcher | None = None,
) -> RunFolder:
    """Train a supernet on `data` and hand over a finished child for each budget, with the front they stand on.

    `to` is budgets joined by commas, each its own (`2M-macs,5ms`); `+` joins limits of one (`5ms+1M-params`). A tenth of
    the training images is held out: the children are chosen by these, so that the validation images, which the winners'
    scores and the report are of, have had no part in it. A child of a budget in milliseconds is exported and measured, or
    estimated for the device elsewhere that `options.device` names, as `pi4` or `cuda,pi4`.

    Raises:
        UserError: a budget that no child meets, a space that does not fit, wrong options.
    """
    options, how, watcher = options or Options(), how or SearchOptions(), watcher or Watcher()
    request = Request.of(data, to, options, how)
    options = request.options
    with joined(device(options.device)) as ranks:

        def begun() -> tuple[RunFolder, ImageData]:
            images = request.source.load(watcher, own_data(data))
            if (before := recalled()) is not None and (Path(before) / "config.json").is_file():
                watcher.note(f"started again by torchrun: going on with {before}")
                return RunFolder.open(before), images
            task, _ = request.learnt(images)
            space, recipe, begin = request.settled(images)
            refuse_lone_images(space.smallest(), recipe, len(images.train), ranks)
            request.refuse_slow(space)
            run = RunFolder.create(Path(options.parent), options.name or f"{images.name}-search-{space.base.name}")
            remember(str(run.path.resolve()))
            watcher.stage("run", str(run.path))
            small, big = cost(space.smallest()), cost(space.biggest())
            watcher.stage("space", f"{space.base.name}: {space.size():,} networks, from {small} to {big}")
            if begin is not None:
                say_weights(str(options.weights), begin, watcher)
            _describe(run, request, space, recipe, task, images, options, begin)
            return run, images

        found, images = ranks.from_first(begun)
        with alone_on(found, ranks):
            return carried(found, images, watcher, ranks)


def resume_search(
    run: RunFolder,
    *,
    data: Data | None = None,
    val: str | Path | None = None,
    force: bool = False,
    on: str | None = None,
    watcher: Watcher | None = None,
) -> RunFolder:
    """Go on with a search where it was stopped: what was trained, scored and measured is not done again. `data` and `val`
    as in `resume`.

    Raises:
        DataError: the data has changed since the start. Forced, children are scored anew by it.
    """
    watcher = watcher or Watcher()
    remedy = f"`convsmith resume {run.path} {{}} PATH`"
    with joined(device(on)) as ranks, alone_on(run, ranks):
        images = loaded_again(run, source_again(run, data, val), own_data(data), watcher, remedy=remedy, force=force)
        return carried(run, images, watcher, ranks)


@undisturbed()
def export_child(
    run: RunFolder | str | Path,
    number: int,
    path: str | Path | None = None,
    *,
    dynamic_batch: bool = True,
    watcher: Watcher | None = None,
) -> Exported:
    """Child `number` of a search's front as an ONNX file, which onnxruntime has run on real images."""
    found = run if isinstance(run, RunFolder) else RunFolder.open(run)
    model, images = _child(found, number, watcher or Watcher())
    out = Path(path) if path else found.file(f"child-{number}.onnx")
    samples = samples_of(model.spec, images)
    return export_onnx(
        model,
        out,
        input_shape=shape_of(model.spec),
        dynamic_batch=dynamic_batch,
        samples=samples,
        metadata=metadata_of(model.spec, images.classes, task_of(found.config)),
    )


@undisturbed()
def child_model(run: RunFolder, number: int, watcher: Watcher | None = None) -> Model:
    """Child `number` of a search's front, counted from 1 as its report does, cut out and fit to be evaluated."""
    return _child(run, number, watcher or Watcher())[0]


def _child(run: RunFolder, number: int, watcher: Watcher) -> tuple[Model, ImageData]:
    """The child, and the data that it was calibrated with."""
    if run.kind is not Kind.SEARCH:
        raise UserError(
            f"{run.path} is {run.kind.value} and not a search; it has no children, and is exported without --child"
        )
    if not run.has("front.json"):
        raise UserError(unfinished(run))
    front = run.front.front
    if not 1 <= number <= len(front):
        raise UserError(f"{run.path}'s front has children 1 to {len(front)}; got {number}")
    source = Source.of(run)
    images = source.load(watcher)
    if not unchanged(run, images):
        raise UserError(
            f"the data at {source.what} is not what {run.path} was made with: the child's norm statistics would not be those "
            "that it was scored with"
        )
    space = space_in(run)
    state = Search(run, space, images, watcher, device())
    return state.examiner.child(space.spec(front[number - 1].genes)), images


def _describe(
    run: RunFolder,
    request: Request,
    space: Space,
    recipe: Recipe,
    task: Task,
    images: ImageData,
    options: Options,
    begin: Fitted | None,
) -> None:
    run.write("space.json", to_data(space))
    run.write_spec(space.biggest())
    if begin is not None:  # kept, so that resuming needs nothing from elsewhere
        write_weights(run.file("initial.safetensors"), begin.state)
    run.write_data(data_record(images))
    run.write_config(
        Config(
            verb="search",
            convsmith=dict(this_machine().packages).get("convsmith", "unknown"),
            started=now(),
            name=run.path.name,
            data=images.name,
            source=to_data(request.source),
            seed=options.seed,
            weights=None if options.weights is None else str(options.weights),
            workers=options.workers,
            command=given(),
            budgets=tuple(request.budgets),
            how=to_data(request.chosen(task)),
            task=None if task == Classify() else to_data(task),
            recipe=to_data(recipe),
            machine=this_machine(),
        )
    )
