"""Cross-validation: each image is validated once, what is missing is made, and the interval is over the folds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convsmith as cs
from commands import TINY
from convsmith.cli.app import main
from convsmith.data import folded
from convsmith.errors import DataError, UserError
from convsmith.evals.intervals import across, student, wilson
from convsmith.jobs.options import Options
from convsmith.jobs.source import Source
from convsmith.jobs.studies import folds as studying
from convsmith.jobs.studies.folds import CrossValidation
from convsmith.reports import render_index
from convsmith.runs import Kind, RunFolder, overviews
from convsmith.scores import Scores, Unit, named
from convsmith.training import Ranks
from convsmith.watcher import Watcher
from data_food import labelled, write_classes


@given(st.lists(st.integers(2, 9), min_size=2, max_size=5), st.integers(2, 6), st.integers(0, 3))
def test_each_image_is_validated_once_and_classes_are_shared_out(sizes: list[int], folds: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    split = labelled(np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1), labels)
    seen = []
    for at in range(folds):
        train, val = folded(split, at, folds, seed)
        assert sorted([*train.inputs.images.ravel(), *val.inputs.images.ravel()]) == list(range(len(labels)))
        assert (train.targets.counts(len(sizes)) >= 1).all(), "no class is left out of training"
        for size, n in zip(sizes, val.targets.counts(len(sizes)).tolist(), strict=True):
            assert n in (size // folds, -(-size // folds))
        assert len(val) in (len(labels) // folds, -(-len(labels) // folds))
        seen += val.inputs.images.ravel().tolist()
    assert sorted(seen) == list(range(len(labels)))


def scores(top1: float, n: int) -> Scores:
    return Scores("val", n, (named("top1", top1), named("loss", 1.0)))


def test_several_runs_are_told_by_their_mean_and_its_standard_error() -> None:
    """As Horse-10's three divisions are: 0.9, 0.8 and 0.5 have a standard deviation of 0.2082."""
    (headline, error), (loss, none) = across([scores(0.9, 10), scores(0.8, 10), scores(0.5, 12)])
    assert headline.value == pytest.approx(2.2 / 3) and headline.interval is None
    assert error == pytest.approx(0.20816660 / np.sqrt(3)) and (loss.value, none) == (1.0, 0.0)
    assert across([]) == () and across([scores(0.9, 10)])[0][1] is None
    assert across([scores(0.9, 10), Scores("val", 9, (named("loss", 2.0),))])[0][0].name == "loss"


def test_the_mean_has_students_interval_and_the_pool_wilsons() -> None:
    found = CrossValidation((scores(0.9, 10), scores(0.8, 10), scores(0.5, 12)))
    assert found.n == 32 and found.mean.value == pytest.approx(2.2 / 3)
    assert found.mean.interval == student([0.9, 0.8, 0.5])
    assert found.pooled is not None and found.pooled.value == 23 / 32 and found.pooled.interval == wilson(23, 32)
    record = json.loads(json.dumps(found.to_record()))
    assert record["values"] == [0.9, 0.8, 0.5] and record["folds"] == 3 and record["mean"]["name"] == "top1"
    many = Scores("val", 9, (named("map", 0.5),))
    assert many.headline.unit is Unit.NONE and CrossValidation((many, many)).pooled is None
    points = Scores("val", 9, (named("pck", 0.5, (0.4, 0.6)),))  # a share of the points in nine pictures, not of nine
    assert CrossValidation((points, points)).pooled is None
    equal = CrossValidation((scores(0.5, 10), scores(0.5, 10)))
    assert equal.mean.interval is None and equal.pooled is not None and equal.pooled.interval is not None
    assert "in each of 2 folds" in equal.lines()[0] and "[]" not in "".join(equal.lines())


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which folds were trained: training itself is left out, and its scores are by the number of the fold."""
    done: list[str] = []

    def carry_on(run: RunFolder, watcher: Watcher, images: object, ranks: Ranks, **more: object) -> RunFolder:
        if not run.has("scores.json"):
            done.append(run.path.name)
            if len(done) == 2:
                raise UserError("the machine is needed elsewhere")
            run.write_scores(scores(0.1 * int(run.path.name[-1]), run.data.val))
        return run

    monkeypatch.setattr(studying, "carry_on", carry_on)
    return done


def test_a_stopped_one_goes_on_with_what_is_missing(
    tmp_path: Path, trainings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data, place = write_classes(tmp_path / "data", {"a": 6, "b": 7}), tmp_path / "runs/cv"
    asked = ["train", TINY, str(data), "--resolution", "16", "--folds", "3", "--out", str(place)]
    assert main(asked) == 2 and trainings == ["fold-1", "fold-2"]
    assert RunFolder.open(place).kind is Kind.FOLDS and not (place / "folds.json").exists()
    assert main(["resume", str(place)]) == 0 and trainings == ["fold-1", "fold-2", "fold-2", "fold-3"]
    said = capsys.readouterr().out
    assert "Top-1 20.00% [" in said and "mean of 3 folds" in said and "All 13 images together" in said
    run = cs.Run.open(place)
    assert [fold.data.val for fold in run.folds] == [5, 4, 4] and len({fold.data.contents for fold in run.folds}) == 3
    assert [Source.of(fold).fold for fold in run.folds] == [(0, 3), (1, 3), (2, 3)]
    assert all(fold.kind is Kind.TRAINING for fold in run.folds)
    assert main(["resume", str(place), "--json"]) == 0 and json.loads(capsys.readouterr().out)["folds"] == 3
    assert main(["report", str(place)]) == 0 and "fold-3" in (place / "report.html").read_text()
    assert len(trainings) == 4
    with pytest.raises(UserError, match=r"is a cross-validation, .* such as .*/cv/fold-\*"):
        cs.report([place, place / "fold-1"])
    (whole,) = overviews(place.parent)
    assert (whole.kind, whole.state, whole.n) == (
        Kind.FOLDS,
        "finished",
        13,
    ) and whole.score == studying.cross_validation_of(RunFolder(place)).mean
    page = (place / "report.html").read_text()
    assert "images are few for random weights" in page and "validation images: the 95 % interval" in page
    assert "20.0 %" in render_index(place.parent).replace("\N{NO-BREAK SPACE}", " ")
    (place / "report.html").unlink()
    assert overviews(place.parent)[0].state == "0 of 3 folds"  # none of these has its page


def test_what_cannot_be_cross_validated_is_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "data/train", {"a": 4, "b": 4})
    write_classes(tmp_path / "data/val", {"a": 4, "b": 4})
    for change, words in (
        (Options(folds=1), "two parts or more"),
        (Options(folds=3, val_share=0.1), "leave out --val"),
    ):
        with pytest.raises(UserError, match=words):
            cs.train("mobilenetv2_035", tmp_path / "data/train", options=change)
    with pytest.raises(DataError, match="is validated on the folder val/: --folds divides data that has no such part"):
        cs.train("mobilenetv2_035", tmp_path / "data", options=Options(folds=3))
    with pytest.raises(DataError, match="--val-share divides data that has no such part"):
        cs.train("mobilenetv2_035", tmp_path / "data", options=Options(val_share=0.1))


def test_a_share_is_recorded_and_old_sources_are_read() -> None:
    from convsmith.codec import to_data
    from convsmith.jobs.options import source_of
    from convsmith.runs import value

    assert not {"val_share", "fold"} & set(to_data(source_of("digits", Options())))
    source = source_of("digits", Options(val_share=0.1))
    assert value(Source, to_data(source), "here") == source
    images = source.load(Watcher())
    assert len(images.val) == 179 and images.split_note == "10% of each class, drawn at random with seed 0"
