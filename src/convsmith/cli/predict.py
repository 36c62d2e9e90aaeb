"""`convsmith predict`: what a trained network says of images, or of a film."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import UserError
from ..files import check_writable
from ..units import plural
from .early import known_model
from .options import COUNT, NETWORK, POSITIVE, SEED, Batch, Device, Json, Out
from .output import emit, err, out, watching
from .places import writable
from .predicted import FIRST, SHOWN, Answers, LabelAnswers, ObjectAnswers, PointAnswers, answers_into
from .timeline import check_picture, tell_over_time

if TYPE_CHECKING:
    from ..jobs.predict import Predictor, Unreadable

__all__ = ["predict"]

TOP = 5
# From where points are sure, and objects drawn: `jobs.predict` says why, and is not imported for `--help`.
CUTOFF, CUTOFF_OF_OBJECTS = 0.6, 0.5


def predict(
    model: Annotated[
        str,
        Parameter(
            help="A run, a child of a search, or an .onnx file that `export` wrote; a name with --weights.",
            validator=known_model,
        ),
    ],
    images: Annotated[
        tuple[str, ...],
        Parameter(help="Files, folders, or patterns such as 'photos/*.jpg'; or one film. Of a generator: none."),
    ] = (),
    /,
    *,
    classes: Annotated[
        str | None, Parameter(help="Of a generator: which to make, as 3,5; by name or number, all by default.")
    ] = None,
    n: Annotated[int | None, Parameter(help="Of a generator: how many images, 64 by default.", validator=COUNT)] = None,
    truncation: Annotated[
        float | None,
        Parameter(
            help="Of a generator: draw what it reads within this of 0; 0.7 gives fewer kinds of images, more typical ones.",
            validator=POSITIVE,
        ),
    ] = None,
    seed: Annotated[
        int | None, Parameter(help="Of a generator: seed of what it reads, 0 by default.", validator=SEED)
    ] = None,
    top: Annotated[
        int | None, Parameter(help="Of classes: how many are told of each image; 5 where not given.", validator=COUNT)
    ] = None,
    out_file: Annotated[
        Out,
        Parameter(
            help="A .csv with a row for each image that could be read, or for each object; of objects also COCO's .json."
        ),
    ] = None,
    pictures: Annotated[
        Path | None, Parameter(help="Of points and objects: a folder for the images with what was found drawn in.")
    ] = None,
    film: Annotated[Path | None, Parameter(help="Of points and objects in a film: an .mp4 with them drawn in.")] = None,
    deeplabcut: Annotated[
        Path | None, Parameter(help="Of points: a folder for DeepLabCut's own table of them.")
    ] = None,
    cutoff: Annotated[
        float | None,
        Parameter(
            help="Of points: the likelihood from which one is sure, 0.6; of objects: the score from which one is drawn, 0.5."
        ),
    ] = None,
    timeline: Annotated[
        Path | None, Parameter(help="Of classes in a film: a .svg or .png of how likely each is over time.")
    ] = None,
    every: Annotated[
        float | None,
        Parameter(
            help="Of classes in a film: a clip begins every so many seconds; each where the last one ends if left out."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        Parameter(help="For a network by name or spec: a file, timm:NAME, tv:NAME; labels are numbers.", group=NETWORK),
    ] = None,
    batch: Batch = 64,
    threads: Annotated[
        int | None, Parameter(help="Threads of the network, and as many that decode.", validator=COUNT)
    ] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """What MODEL (a run, a search's child, an exported .onnx) says of IMAGES: files, folders, patterns, or one film.

    A classifier gives labels, of a film those of each clip over time, a network that finds points their places, a detector objects
    with boxes and masks. Images that cannot be read are listed; it is an error where none can. A generator, without IMAGES, makes
    some: `predict RUN --classes 3,5 --n 64 --truncation 0.7 --out grid.png`.
    """
    asked = {"--classes": classes, "--n": n, "--truncation": truncation, "--seed": seed}
    if not images:
        _make(model, classes, n, truncation, seed, out_file, device, json)
        return
    if said := [name for name, value in asked.items() if value is not None]:
        raise UserError(f"{' and '.join(said)}: of a generator, which takes no images; leave out IMAGES")
    writable(out_file)
    if out_file is not None and out_file.suffix not in (".csv", ".json"):
        raise UserError(f"--out writes a .csv, of objects also a .json; got {out_file.name}")
    _check_drawing(pictures, film, cutoff)
    check_picture(timeline)
    from ..data.films import Film, is_film
    from ..jobs.predict import Unreadable, opened
    from ..jobs.predict.drawn import answers_of_film, drawable, pictures_into, points_of
    from ..jobs.predict.reading import Things

    films = [one for one in images if is_film(one)]
    if films and len(images) > 1:
        raise UserError(f"one film at a time, and no images beside it; got {plural(len(images), 'file')}")
    if not films and film is not None:
        raise UserError("--film draws into a film, and IMAGES is none; --pictures FOLDER writes pictures")
    if not films and (timeline is not None or every is not None):
        raise UserError("--timeline and --every are of a film, and IMAGES is none")
    predictor = opened(model, weights=weights, device=device, threads=threads)
    if deeplabcut is not None:
        points_of(predictor)
    _refuse_unread(predictor, top, cutoff)
    if pictures is not None or film is not None:
        drawable(predictor)
    if films and (predictor.span is not None or timeline is not None or every is not None):
        tell_over_time(
            predictor,
            Path(films[0]),
            every=every,
            top=top or TOP,
            batch=batch,
            out_file=out_file,
            picture=timeline,
            json=json,
        )
        return
    objects = isinstance(predictor.reading, Things)
    if out_file is not None and out_file.suffix == ".json" and not objects:
        raise UserError(f"--out writes a .csv; got {out_file.name} (--json prints all of it as JSON)")
    top, usual = top or TOP, CUTOFF_OF_OBJECTS if objects else CUTOFF
    cutoff = usual if cutoff is None else cutoff
    answers = _answers(predictor, top, cutoff, "frames" if films else "images")
    source = Film(Path(films[0])) if films else None
    draw = None if pictures is None else pictures_into(pictures, drawable(predictor), cutoff=cutoff)
    kept: list[Any] = []
    unreadable: list[Unreadable] = []
    n = 0
    with answers_into(out_file, answers) as write:
        if source is not None:
            found = answers_of_film(
                predictor, source, out=film, cutoff=cutoff, top=top, batch=batch, draw=draw, watcher=watching()
            )
        else:
            found = _drawn(predictor, images, draw, top=top, batch=batch)
        for one in found:
            if isinstance(one, Unreadable):
                unreadable.append(one)
                continue
            n += 1
            write(one)
            answers.count(one)
            if json or deeplabcut is not None or len(kept) <= SHOWN:
                kept.append(one)
    written = [str(place) for place in (out_file, pictures, film) if place is not None]
    if deeplabcut is not None:
        written += _deeplabcut(predictor, kept, None if source is None else source.path, deeplabcut)
    if json:
        emit(
            {
                "model": predictor.label,
                "images": n + len(unreadable),
                "predictions": [one.to_record() for one in kept],
                "unreadable": [one.to_record() for one in unreadable],
                "file": None if out_file is None else str(out_file),
                "files": written,
            }
        )
        return
    answers.show(kept[:FIRST] if n > SHOWN else kept, n)
    if unreadable:
        out.print(f"{len(unreadable)} of {plural(n + len(unreadable), 'image')} could not be read:", highlight=False)
        for each in unreadable[:FIRST]:
            out.print(f"  {each.path}: {each.why}", soft_wrap=True, markup=False)
        if len(unreadable) > FIRST:
            out.print(f"  and {len(unreadable) - FIRST} more (all in --json)")
    for place in written:
        out.print(f"wrote {place}", soft_wrap=True, markup=False)


def _make(
    model: str,
    classes: str | None,
    n: int | None,
    truncation: float | None,
    seed: int | None,
    out_file: Path | None,
    device: str | None,
    json: bool,
) -> None:
    """Images that a generator makes, as one picture."""
    path = out_file or Path("made.png")
    writable(path)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise UserError(f"--out writes what is made as a .png, .jpg or .webp; got {path.name}")
    from ..jobs.predict.network import refuse_without_images
    from ..jobs.synthesis.making import synthesise

    refuse_without_images(model)
    chosen = None if classes is None else [one.strip() for one in classes.split(",")]
    made = synthesise(model, classes=chosen, n=n or 64, truncation=truncation, seed=seed or 0, device=device)
    made.save(path)
    if json:
        emit({"model": model, "images": len(made.labels), "classes": list(made.names), "file": str(path)})
        return
    out.print(str(made), soft_wrap=True, markup=False)
    out.print(f"wrote {path}", soft_wrap=True, markup=False)


def _check_drawing(pictures: Path | None, film: Path | None, cutoff: float | None) -> None:
    if cutoff is not None and not 0 <= cutoff <= 1:
        raise UserError(f"--cutoff is between 0 and 1; got {cutoff:g}")
    if film is not None:
        if film.suffix.lower() != ".mp4":
            raise UserError(f"--film writes an .mp4; got {film.name}")
        writable(film)
    if pictures is not None:
        check_writable(pictures / "picture.png")


def _refuse_unread(predictor: Predictor, top: int | None, cutoff: float | None) -> None:
    """Raise `UserError` for an option that answers of this kind do not read."""
    from ..jobs.predict.reading import Points, Things

    if isinstance(predictor.reading, Points | Things):
        if top is not None:
            found = "points" if isinstance(predictor.reading, Points) else "objects"
            raise UserError(f"--top is how many classes are told, and {predictor.label} finds {found}")
    elif cutoff is not None:
        raise UserError(f"--cutoff is of points and objects, and {predictor.label} tells classes")


def _answers(predictor: Predictor, top: int, cutoff: float, what: str) -> Answers:
    from ..jobs.predict.reading import Points, Things

    if isinstance(predictor.reading, Things):
        return ObjectAnswers(predictor.reading.names, cutoff, what)
    if isinstance(predictor.reading, Points):
        return PointAnswers(predictor.reading.names, cutoff, what)
    return LabelAnswers(min(top, predictor.outputs))


def _drawn(predictor: Predictor, images: Sequence[str], draw: Any, *, top: int, batch: int) -> Any:
    """The answers, each drawn into its image before it is given on, where `draw` is not None."""
    for given, found in predictor.batches(images, top=top, batch=batch, watcher=watching()):
        for one, answer in zip(given, found, strict=True):
            if draw is not None:
                draw(one, answer)
            yield answer


def _deeplabcut(predictor: Predictor, found: list[Any], film: Path | None, folder: Path) -> list[str]:
    """DeepLabCut's table of the points in a film, or in images, under the names that it gives such files."""
    import numpy as np

    from ..runs.deeplabcut import Points, has_h5, write_points

    # A run may be called resnet18-width0.75: only the ending of a file is none of its name.
    scorer = f"convsmith_{Path(predictor.label).name.removesuffix('.onnx')}"
    rows = tuple(one.index if one.path is None else one.path for one in found)
    points = Points(
        scorer,
        predictor.reading.names,
        rows,
        np.stack([one.points for one in found]),
        np.stack([one.likelihood for one in found]),
    )
    stem = "" if film is None else film.stem
    places = write_points(points, folder / f"{stem}{scorer}")
    if not has_h5():
        err.print("written as CSV alone: HDF5 needs pandas and tables (pip install 'convsmith[pose]')", style="dim")
    return [str(place) for place in places]
