"""Who is trained on and who validates: by individual, by frame when asked, by a list; never by position."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from convsmith.data import Arrays, Body, Joints, Split, load_data, load_to_score
from convsmith.data.dividing import set_aside
from convsmith.data.how import How
from convsmith.data.readers.points.lists import read_list
from convsmith.errors import DataError, UserError
from convsmith.jobs.evaluate import Part, part_to_score
from convsmith.jobs.options import Options, source_of
from convsmith.jobs.source import Source, contents, data_record, fingerprint
from convsmith.watcher import Watcher
from data_food import noise
from test_deeplabcut import write_project


def split_of(individuals: int, frames: int = 6) -> Split:
    n = individuals * frames
    who = tuple(f"{k:02}" for k in range(individuals) for _ in range(frames))
    xy = np.random.default_rng(0).uniform(0, 8, (n, 2, 2))
    return Split(Arrays(noise(n, 9, 9, 3)), Joints.of(xy, Body(("a", "b"), ruler=(0, 1)), who), who)


def test_an_individual_is_on_one_side() -> None:
    train, val, note = set_aside(split_of(10), 0.2, None, seed=3)
    assert len(set(val.groups)) == 2 and not set(val.groups) & set(train.groups) and len(train) + len(val) == 60
    assert (
        note.startswith("by individual: 2 of 10") and set_aside(split_of(10), 0.2, None, seed=3)[1].groups == val.groups
    )
    assert set_aside(split_of(10), 0.2, None, seed=4)[1].groups != val.groups
    assert len(set(set_aside(split_of(2), 0.9, None, seed=0)[0].groups)) == 1


def test_by_frame_only_when_asked_or_when_there_is_one() -> None:
    train, val, note = set_aside(split_of(10), 0.2, None, 0, "frame")
    assert (
        set(val.groups) <= set(train.groups) and len(val) == 12 and note.startswith("by frame") and "resemble" in note
    )
    _, val, note = set_aside(split_of(1, 20), 0.2, None, 0)
    assert len(val) == 4 and note.startswith("there is one individual, so by frame")


@pytest.mark.parametrize("folds", [2, 3, 7])
def test_folds_hold_each_individual_once(folds: int) -> None:
    """As many folds as individuals leave each out once."""
    split = split_of(7)
    held = [set(set_aside(split, 0.2, (at, folds), 0)[1].groups) for at in range(folds)]
    assert set.union(*held) == set(split.groups) and sum(map(len, held)) == 7
    with pytest.raises(DataError, match="--folds 7 leaves out each once"):
        set_aside(split, 0.2, (0, 8), 0)


def test_the_three_lists_of_horse_10(shared_data: Path) -> None:
    """Oracle 6: counts, disjoint, by folder, 8,114 in all; columns are padded, and one is not sorted."""
    counts = {1: (1470, 1459, 5185), 2: (1564, 1432, 5118), 3: (1386, 1329, 5399)}
    for shuffle, known in counts.items():
        frames = read_list(shared_data / "horse10" / f"TrainTestInfo_shuffle{shuffle}.csv").frames
        sizes = tuple(len(frames[part]) for part in ("train", "val", "test"))
        assert sizes == known and sum(sizes) == 8114 and len(set().union(*frames.values())) == 8114
        train, within, out = ({frame.split("/")[0] for frame in frames[part]} for part in ("train", "val", "test"))
        assert train == within and len(train) == 10 and len(out) == 20 and not train & out


def listed(path: Path, train: list[str], within: list[str], across: list[str], *, padded: int = 2) -> Path:
    rows = max(map(len, (train, within, across))) + padded
    columns = [[*own, *[""] * (rows - len(own))] for own in (train, within, across)]
    lines = [",trainIndices,testIndices_withinDomain,testIndices_acrossDomain"]
    lines += [f"{i}," + ",".join(column[i] for column in columns) for i in range(rows)]
    path.write_text("\n".join(lines))
    return path


def frames_of(video: str, numbers: list[int]) -> list[str]:
    return [f"labeled-data/{video}/img{n:03}.png" for n in numbers]


def test_a_list_joins_by_path(tmp_path: Path) -> None:
    """Padded, unsorted, and without one frame: nothing depends on where a row stands."""
    root = write_project(tmp_path / "p", {"a": 5, "b": 4, "c": 3})
    path = listed(tmp_path / "list.csv", frames_of("a", [3, 0, 2]), frames_of("a", [4, 1]),
                  [*frames_of("c", [2, 0]), *frames_of("b", [3, 1, 0, 2])])  # fmt: skip
    found = load_data(root, divide=str(path))
    names = [Path(found.train.inputs.where(i) or "").name for i in range(3)]
    assert names == ["img003.png", "img000.png", "img002.png"] and len(found.val) == 2 and found.test == 6
    own = np.random.default_rng(0).uniform(2, 20, (5, 3, 2))
    assert isinstance(found.train.targets, Joints) and np.allclose(found.train.targets.xy, own[[3, 0, 2]])
    assert any("does not name them: 1 frame, c/img001.png" in note for note in found.notes)
    assert "within the domain" in found.split_note and any("out of the domain (6 images)" in n for n in found.notes)
    assert len(load_to_score(root, ("nose", "eye", "tail"), Joints, part="test", divide=str(path)).split) == 6

    (root / "labeled-data" / "a" / "img000.png").unlink()  # labelled and named, but lost: skipped, not refused
    again = load_data(root, divide=str(path))
    assert len(again.train) == 2 and len(again.skipped) == 1


def test_a_list_that_names_what_is_not_there_is_refused_with_a_count(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"a": 5})
    path = listed(tmp_path / "l.csv", [*frames_of("a", [0, 1]), *frames_of("z", [1, 2])], frames_of("a", [2]), [])
    with pytest.raises(DataError, match=r"names 2 frames that p has no labels of, z/img001\.png first"):
        load_data(root, divide=str(path))
    path = listed(tmp_path / "l.csv", frames_of("a", [0, 1]), frames_of("a", [1]), [])
    with pytest.raises(DataError, match=r"has the frame a/img001\.png in val and in train"):
        load_data(root, divide=str(path))
    path.write_text("frames,x\n1,2\n")
    with pytest.raises(DataError, match="must have a column of frames for each part"):
        load_data(root, divide=str(path))
    with pytest.raises(DataError, match="there is no file"):
        load_data(root, divide="none.csv")


def test_divisions_that_cannot_be(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"a": 3, "b": 3})
    with pytest.raises(DataError, match="only quad30 has numbered divisions"):
        load_data(root, divide="2")
    with pytest.raises(DataError, match="did you mean 'frame'"):
        load_data(root, divide="frames")
    with pytest.raises(DataError, match="--divide says what is validated on"):
        load_data(root, val=root, divide="individual")
    with pytest.raises(DataError, match="--val-share divides data that has no such part"):
        load_data("quad30", val_fraction=0.3)


def test_a_source_brings_the_same_back(tmp_path: Path) -> None:
    root = write_project(tmp_path / "p", {"a": 4, "b": 4})
    path = listed(tmp_path / "l.csv", frames_of("a", [0, 1]), frames_of("a", [2, 3]), frames_of("b", [0]))
    source = source_of(root, Options(divide=path, ruler="nose,tail"))
    assert source.divide == str(path.resolve()) and source.ruler == "nose,tail"
    one, other = source.load(Watcher()), source.load(Watcher())
    assert fingerprint(one) == fingerprint(other) and contents(one) == contents(other)
    assert fingerprint(source_of(root, Options(divide="frame")).load(Watcher())) != fingerprint(one)
    path.unlink()
    with pytest.raises(DataError, match=r"the list .*l\.csv, by which the data was divided"):
        source.refuse_missing("{}")


def test_what_was_written_before_stays_as_it_was() -> None:
    """Nothing of points is in the source of a run that has none."""
    from convsmith.codec import to_data

    written = to_data(Source("digits"))
    assert isinstance(written, dict) and not {"divide", "ruler", "category"} & set(written)
    with pytest.raises(UserError):
        source_of("quad30", Options(folds=1))


def test_what_a_run_keeps_of_it(tmp_path: Path) -> None:
    from convsmith.data.strip import strip

    found = load_data(write_project(tmp_path / "p", {"a": 4, "b": 4, "c": 4}))
    record = data_record(found)
    assert record.individuals == (2, 1) and record.classes == ("nose", "eye", "tail")
    assert [sum(pair) for pair in record.per_class] == [12, 12, 12] and json.dumps(record.to_record())
    assert found.sides is not None and found.sides[1] == 30
    pictures = strip(found)
    assert set(pictures) == set(found.train.groups) and all(len(own) == 4 for own in pictures.values())


def test_data_that_is_given_to_a_run_is_read_as_one_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`evaluate RUN DATA --divide LIST --ruler A,B`: what is said of DATA goes before what the run's own was read by."""
    root = write_project(tmp_path / "p", {"a": 4, "b": 4})
    path = listed(tmp_path / "l.csv", frames_of("a", [0, 1]), frames_of("a", [2, 3]), frames_of("b", [0]))
    began, names = source_of(root, Options(ruler="nose,tail")), ("nose", "eye", "tail")
    run = SimpleNamespace(config=SimpleNamespace(task={"kind": "pose"}), data=SimpleNamespace(classes=names), path="r")
    monkeypatch.setattr(Source, "of", lambda run: began)

    def read(data: object, how: How | None, split: str | None = None) -> Part:
        return part_to_score(run, data, split=split, how=how, watcher=Watcher())  # type: ignore[arg-type]

    plain = read(root, None)
    assert plain.part == "all" and len(plain.split) == 8
    assert [len(read(root, How(divide=str(path)), part).split) for part in ("train", "val", "test")] == [2, 2, 1]
    ruled = read(root, How(ruler="nose,eye")).split.targets
    assert isinstance(ruled, Joints) and not np.array_equal(ruled.scales, plain.split.targets.scales)  # type: ignore[attr-defined]
    assert ruled.body.ruler == (0, 1)
    with pytest.raises(UserError, match="--divide and --ruler: of DATA, which is not given"):
        read(None, How(divide="frame", ruler="nose,eye"))
    with pytest.raises(DataError, match="only quad30 has numbered divisions"):
        read(root, How(divide="2"))
