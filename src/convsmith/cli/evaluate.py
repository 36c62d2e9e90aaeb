"""`convsmith evaluate`: what a run is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..errors import UserError
from .options import DATA, DATA_HELP, OUTPUT, ROBUSTNESS, Device, Download, Json, Out, Root, Run, Seed
from .output import emit, out, table, watching

if TYPE_CHECKING:
    from ..runs import Domains, Robustness

__all__ = ["evaluate"]


def evaluate(
    run: Run,
    data: Annotated[str | None, Parameter(help=f"What to score it on, not its own: {DATA_HELP}")] = None,
    /,
    *,
    split: Annotated[
        Literal["val", "train", "test", "all"] | None,
        Parameter(help="Which part; of DATA that is not divided, all by default, otherwise val.", group=DATA),
    ] = None,
    divide: Annotated[
        str | None,
        Parameter(
            help="DATA with points: the number of one of quad30's divisions, or a .csv of the parts.", group=DATA
        ),
    ] = None,
    ruler: Annotated[
        str | None, Parameter(help="DATA with points: two body parts whose distance is a scale: nose,eye.", group=DATA)
    ] = None,
    category: Annotated[str | None, Parameter(help="The category of a COCO .json that is wanted.", group=DATA)] = None,
    root: Root = None,
    download: Download = False,
    corrupt: Annotated[
        tuple[str, ...] | None,
        Parameter(
            help="Corrupt the images: fog, or groups of corruptions (noise, blur, weather, digital); alone, by all fifteen.",
            consume_multiple=True,
            group=ROBUSTNESS,
        ),
    ] = None,
    severity: Annotated[
        tuple[int, ...],
        Parameter(help="How strongly: 1 to 5, all five by default.", consume_multiple=True, group=ROBUSTNESS),
    ] = (),
    ood: Annotated[
        bool,
        Parameter(
            help="Out of domain: its test part, or DATA, beside its validation part, with the ratio of the two.",
            group=ROBUSTNESS,
        ),
    ] = False,
    adapt: Annotated[
        bool, Parameter(help="Norms take their statistics from the corrupted images.", group=ROBUSTNESS)
    ] = False,
    seed: Annotated[Seed, Parameter(help="Seed of what corruptions draw.", group=ROBUSTNESS)] = 0,
    deeplabcut: Annotated[
        Path | None, Parameter(help="A folder for the predictions and errors as DeepLabCut's own files.", group=OUTPUT)
    ] = None,
    coco: Annotated[
        Path | None, Parameter(help="Of objects: a .json for all that is found, as COCO's results files.", group=OUTPUT)
    ] = None,
    views: Annotated[
        str | None,
        Parameter(help="Of films: CLIPSxCROPS, as in 10x3, whose probabilities are averaged.", group=DATA),
    ] = None,
    inception: Annotated[
        Path | None,
        Parameter(
            help="Of a generator: a file of Inception v3's weights to judge by, as pytorch-fid's pt_inception-2015-12-05.",
            group=DATA,
        ),
    ] = None,
    device: Device = None,
    out_folder: Annotated[
        Out,
        Parameter(help="A folder for tables: of the classes, of the body parts and individuals, or of COCO's numbers."),
    ] = None,
    json: Json = False,
) -> None:
    """The scores of RUN with 95 % intervals, on its own validation images, or on every image of DATA.

    With --corrupt: what is left under the fifteen common corruptions at five severities; `passport` makes a page of it. With
    --ood: what is left on other individuals, places or cameras.
    """
    asked = {
        "--corrupt": corrupt is not None,
        "--ood": ood,
        "--deeplabcut": deeplabcut is not None,
        "--coco": coco is not None,
    }
    for name, given in (("--views", views), ("--inception", inception)):
        if given is not None and any(asked[name] for name in ("--corrupt", "--ood", "--deeplabcut")):
            raise UserError(f"{name} is of the plain scores: leave out --corrupt, --ood or --deeplabcut")
    if sum(asked.values()) > 1:
        raise UserError(f"{' and '.join(name for name, given in asked.items() if given)} are asked for one at a time")
    from ..data.how import How

    how = How(divide, ruler, category)
    if corrupt is not None:
        if out_folder is not None:
            raise UserError(
                "--out writes the tables of clean images: leave out --corrupt, whose record is RUN/robustness.json"
            )
        from ..corruptions import SEVERITIES
        from ..jobs.robustness import robustness

        found = robustness(
            run, data, corrupt=corrupt, severity=severity or SEVERITIES, split=split, adapt=adapt, seed=seed, root=root,
            download=download, how=how, device=device, watcher=watching(),
        )  # fmt: skip
        _tell(found, json)
        return
    if severity or adapt or seed:
        raise UserError("--severity, --adapt and --seed are of --corrupt, which is not given")
    if ood:
        from ..jobs.ood import out_of_domain

        domains = out_of_domain(
            run,
            data,
            split=split,
            root=root,
            download=download,
            how=how,
            device=device,
            out=out_folder,
            watcher=watching(),
        )
        _tell_domains(domains, json)
        return
    if deeplabcut is not None:
        if split is not None or out_folder is not None:
            raise UserError("--deeplabcut writes its own tables of all parts: leave out --split and --out")
        from ..jobs.points import write_deeplabcut

        written = write_deeplabcut(
            run, deeplabcut, data, root=root, download=download, how=how, device=device, watcher=watching()
        )
        if json:
            emit({"files": [str(path) for path in written]})
            return
        for path in written:
            out.print(str(path), soft_wrap=True, markup=False)
        return
    from ..jobs.evaluate import evaluate as evaluated

    scores = evaluated(
        run, data, split=split, root=root, download=download, how=how, device=device, out=out_folder, coco=coco,
        views=views, inception=inception, watcher=watching(),
    )  # fmt: skip
    if json:
        emit(scores.to_record())
        return
    for line in scores.lines():
        out.print(line, markup=False)
    if coco is not None:
        out.print(f"wrote {coco}", soft_wrap=True, markup=False)


def _tell_domains(found: Domains, json: bool) -> None:
    """A row a metric, then the sentences."""
    from ..runs.ood import ratio

    if json:
        emit(found.to_record() | {"beyond": found.beyond.short_record()})
        return
    rows = []
    for within, beyond in found.pairs:
        share = ratio(within, beyond)
        cells = [f"{one.text} [{one.interval_text}]" if one.interval else one.text for one in (within, beyond)]
        rows.append([within.words, *cells, "–" if share is None else f"{share:.2f}"])
    title = f"within: {found.within.n:,} pictures; out of domain: {found.beyond.n:,}; intervals of 95 %"
    out.print(table(title, "<metric within out_of_domain ratio", rows))
    for line in found.lines():
        out.print(line, soft_wrap=True, markup=False)


def _tell(found: Robustness, json: bool) -> None:
    """A row a corruption, then the paragraph."""
    from ..reports import in_words

    if json:
        emit({key: value for key, value in found.to_record().items() if key not in ("worst", "poses")})
        return
    rows = [
        [name.replace("_", " "), *(found.cell(name, level).text for level in found.severities)] for name in found.names
    ]
    out.print(table(None, " ".join(["<corruption", *map(str, found.severities)]), rows))
    out.print(in_words(found), soft_wrap=True, markup=False)
