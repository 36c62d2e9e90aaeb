"""Records of a run folder: what is written is read back, what is not known stays, and what is damaged is named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convsmith.cli.output import watching
from convsmith.errors import UserError
from convsmith.evals.intervals import counted, wilson
from convsmith.machine import this_machine
from convsmith.reports import RunFacts
from convsmith.runs import (
    Config,
    Data,
    Epoch,
    Export,
    Fall,
    Foil,
    Front,
    FrontRow,
    Kind,
    Latency,
    Limit,
    Look,
    Row,
    RunFolder,
    Stage,
    line,
    met,
    parsed,
)
from convsmith.scores import (
    Confusion,
    Metric,
    Mistake,
    Mistakes,
    Scores,
    Table,
    Unit,
    headline_among,
    named,
)
from convsmith.units import Budget, Cost
from convsmith.watcher import EpochDone

OFF = Metric("off", 3.5, (3.0, 4.0), Unit.PIXELS, more_is_better=False, label="mean error")
TOP1 = named("top1", 0.5, (0.4, 0.6))
TRAINING = Config(
    verb="train", convsmith="0.1.0", started="today", name="mine", data="digits", source={"what": "digits"}, seed=0,
    met={"macs": Limit(2_000_000, 1_990_000), "ms": Limit(5.0, 6.0)}, cost=Cost(1, 2, 3), budget="2M-macs,5ms",
    stages=(Stage("stem", "conv", 14, 1, 8, 100, 10, 2, 5),), recipe={"epochs": 4, "optimiser": {"kind": "sgd"}},
    differences=("one",), machine=this_machine(),
)  # fmt: skip
SEARCH = Config(
    verb="search", budgets=("2M-macs", "5ms"), how={"space": "t32"}, source={"what": "digits"}, recipe={}, seed=1
)


def row(score: Metric, **more: Any) -> FrontRow:
    return FrontRow(genes=(8, 2.0, 3), score=score, macs=100, params=10, **more)


def front(score: Metric) -> Front:
    return Front((row(score, ms=1.5, budget="2M-macs", cost=100),), (row(score),), "macs", ((100, 0.5),), 1, 0, 143)


RECORDS = [
    TRAINING,
    SEARCH,
    Data(name="digits", classes=("a", "b"), train=3, val=2, per_class=((2, 1), (1, 1)), contents="0" * 16),
    Latency((Row("mine", "ort", 1, 1, 1.25, 1.0, 2.0, 100),), 100, 0.01, ("Quiet.",), this_machine()),
    Export(file="model.onnx", batch="dynamic", bytes=10, opset=20, tolerance=1e-4),
    front(TOP1),
    front(OFF),
    Foil(against="b0", budget="2M-macs", spec="b0-x", resolution=32, macs=9, params=3, score=OFF, n=10),
    Epoch(3, 30, 0.1, 900.0, 1.5, {"train_loss": 0.5, "val_off": 3.25}),
    Look(10, 2.0, 2.5, 1.0),
    Fall(10, 5, 0.5, "too far"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_what_is_written_is_read_back(record: Any) -> None:
    text = json.dumps(record.to_record(), allow_nan=False)
    assert type(record).from_record(json.loads(text)) == record
    assert json.dumps(type(record).from_record(json.loads(text)).to_record()) == text


@pytest.mark.parametrize("record", RECORDS[:5], ids=lambda record: type(record).__name__)
def test_a_later_versions_fields_are_no_error_and_are_written_again(record: Any) -> None:
    later = record.to_record() | {"later": {"kind": "unheard of"}}
    found = type(record).from_record(later)
    if "more" in vars(found):
        assert found.to_record() == later
    else:
        assert found == record


def test_a_run_says_only_what_it_has_and_no_task_is_classification() -> None:
    assert not {"budgets", "how", "threads", "task"} & TRAINING.to_record().keys()
    assert not {"budget", "cost", "met", "stages", "weights", "task"} & SEARCH.to_record().keys()
    keypoints = {"kind": "pose", "radius": 17}
    assert Config.from_record(TRAINING.to_record() | {"task": keypoints}).task == keypoints


@given(limit=st.integers(1, 10**12), share=st.floats(0.01, 3))
def test_a_limit_is_met_where_something_is_left(limit: int, share: float) -> None:
    own = max(1, round(share * limit))
    found = met(Budget(macs=limit, ms=5.0), Cost(macs=own), 4.0)
    assert set(found) == {"macs", "ms"}, "parameters are not limited"
    assert (found["macs"].slack >= 0) == (own <= limit)
    assert found["macs"].to_record() == {"limit": limit, "is": own, "slack": 1 - own / limit}
    assert set(met(Budget(macs=limit, ms=5.0), Cost(macs=own))) == {"macs"}, "nothing was measured"


# ---- two ways of reading ---------------------------------------------------------------------------------------------


def a_run(folder: Path) -> RunFolder:
    run = RunFolder(folder)
    run.write_config(TRAINING)
    run.write_scores(Scores("val", 4, (TOP1,)))
    return run


@pytest.mark.parametrize(
    ("name", "change", "field", "reader"),
    [
        ("config.json", {"met": {"macs": {"limit": "much", "is": 1}}}, "met.macs.limit", lambda run: run.config),
        ("config.json", {"stages": [{"name": "stem"}]}, "stages.0.what", lambda run: run.config),
        ("scores.json", {"n": 0}, "a count", lambda run: run.scores),
        ("scores.json", {"metrics": [{"value": 1}]}, "name", lambda run: run.scores),
        ("scores.json", {"metrics": [{"name": "x", "value": 1, "interval": []}]}, "", lambda run: run.scores),
    ],
)
def test_a_job_refuses_a_damaged_file_by_name_and_field_where_a_report_leaves_it_out(
    tmp_path: Path, name: str, change: dict[str, Any], field: str, reader: Callable[[RunFolder], object]
) -> None:
    run = a_run(tmp_path)
    reader(run)
    run.write(name, run.read(name) | change)
    with pytest.raises(UserError, match=rf"{name} is damaged: .*{field}") as caught:
        reader(run)
    (problem,) = RunFacts.read(tmp_path).problems
    assert problem == str(caught.value).replace(f"{tmp_path / name} is damaged", f"{name} was left out")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"rows": 1}', b'{"rows": [3]}'])
def test_whatever_a_file_holds_reading_it_raises_nothing_but_a_user_error(tmp_path: Path, content: bytes) -> None:
    run = a_run(tmp_path)
    readers: dict[str, Callable[[], object]] = {
        "data.json": lambda: run.data,
        "scores.json": lambda: run.scores,
        "latency.json": lambda: run.latency,
        "export.json": lambda: run.exported,
        "export_int8.json": lambda: run.int8,
        "front.json": lambda: run.front,
        "foils.json": lambda: run.foils,
    }
    for name, reader in readers.items():
        run.file(name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            reader()


def test_what_is_not_there_yet_is_said(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(UserError, match=r"has no scores\.json yet"):
        _ = run.scores
    assert run.foils == () and run.epochs == () and run.lines == ()
    run.write_config(Config(verb="train"))
    with pytest.raises(UserError, match=r"config\.json is damaged: seed"):
        _ = run.seed


def test_a_run_knows_what_made_it(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    child = Config(verb="search", rule="search", budget="2M-macs")
    for config, kind in ((TRAINING, Kind.TRAINING), (SEARCH, Kind.SEARCH), (child, Kind.CHILD)):
        run.write_config(config)
        assert run.kind is kind


def test_a_file_name_that_is_no_text_is_read_as_it_is_written(tmp_path: Path) -> None:
    record = {"name": "x", "train": 1, "val": 1, "skipped": [{"path": "caf\udce9.jpg", "why": "unreadable"}]}
    data = Data.from_record(record)
    run = RunFolder(tmp_path)
    run.write_data(data)
    assert run.data == data and data.skipped[0].path == "caf?.jpg"


# ---- lines -----------------------------------------------------------------------------------------------------------


def test_a_line_is_what_its_event_says_and_a_torn_one_is_left_out(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    done = EpochDone(1, 10, 0.5, 0.25, 0.1, 900.0, 1.5, {"val_loss": 0.75, "val_top1": 0.5})
    for one in (Epoch.of(done, "top1"), Look(20, 2.0, 2.5, 1.0), Fall(20, 10, 0.5, "too far")):
        run.log(one)
    with run.file("metrics.jsonl").open("a") as file:
        file.write('{"event": "heard of later"}\n{"event": "epoch", "epo')
    assert [type(one) for one in run.lines] == [Epoch, Look, Fall]
    (epoch,) = run.epochs
    own = {name: item for name, item in vars(done).items() if name not in ("scores", "train_score", "terms")}
    numbers = own | {"train_top1": 0.25} | done.scores
    assert epoch.to_record() == {"event": "epoch"} | numbers
    run.rewind(15)
    assert [type(one) for one in run.lines] == [Epoch]
    for wrong in ([1], {"epoch": 1}, {"event": "look", "step": 1}, {"event": "epoch", "epoch": 1, "val_top1": "high"}):
        with pytest.raises(ValueError):
            line(wrong)


# ---- scores ----------------------------------------------------------------------------------------------------------


METRICS = st.builds(
    Metric,
    st.sampled_from(["top1", "pck", "off"]),
    st.floats(-1e6, 1e6),
    st.none() | st.tuples(st.floats(0, 1), st.floats(1, 2)),
    st.sampled_from(list(Unit)),
    st.booleans(),
    st.sampled_from(["", "within 5 px"]),
)


@given(metric=METRICS, n=st.integers(1, 1000))
def test_scores_are_read_back_whatever_their_metric(metric: Metric, n: int) -> None:
    blocks = (
        Confusion(("a", "b"), ((3, 1), (0, 2))),
        Mistakes(("a", "b"), (Mistake(0, 1, 0.75, "data:", None, 4),)),
        Table("By point", ("point", "px"), (("nose", 1.5), ("tail", None))),
    )
    scores = Scores("val", n, (metric, named("loss", 0.5)), (("k", 5),), blocks)
    record = json.loads(json.dumps(scores.to_record()))
    assert record == scores.to_record(), "plain JSON"
    assert Scores.from_record(record) == scores
    assert record[metric.name] == metric.value and record["metrics"][0]["name"] == metric.name
    assert {"confusion", "wrong"} & scores.short_record().keys() == set() and "classes" in scores.short_record()
    assert Metric.from_row({"macs": 1} | metric.to_row()) == metric


@given(metric=METRICS, other=st.floats(-1e6, 1e6))
def test_of_two_worths_the_larger_is_the_better_one(metric: Metric, other: float) -> None:
    second = parsed(Metric, vars(metric) | {"value": other})
    better = metric.value > second.value if metric.more_is_better else metric.value < second.value
    assert (metric.worth > second.worth) == better


def test_a_row_of_version_0_1_is_a_classifiers_and_one_that_failed_has_no_score() -> None:
    old = Metric.from_row({"top1": 0.25, "top1_interval": [0.1, 0.4], "macs": 3})
    assert old == named("top1", 0.25, (0.1, 0.4)) and old.text == "25.00%" and old.words == "top-1"
    failed = Metric("off", math.nan, unit=Unit.PIXELS)
    assert failed.to_row()["score"] is None
    assert math.isnan(Metric.from_row(failed.to_row()).value)


@given(right=st.integers(0, 50), more=st.integers(0, 50))
def test_only_a_share_without_an_interval_is_counted(right: int, more: int) -> None:
    n = right + more + 1
    assert counted(named("top1", right / n), n).interval == wilson(right, n)
    assert counted(TOP1, n) == TOP1 and counted(OFF, n) == OFF
    assert counted(Metric("off", 3.0, unit=Unit.PIXELS), n).interval is None


def test_the_headline_of_bare_numbers_is_the_first_that_is_no_loss() -> None:
    assert headline_among({"val_loss": 1.0, "val_off": 3.0, "val_near": 0.5}) == Metric(
        "off", 3.0, unit=Unit.NONE, label="off"
    )
    assert headline_among({"val_loss": 1.0, "train_top1": 0.5}) is None


def test_the_command_line_says_a_score_by_its_label_and_unit(capsys: pytest.CaptureFixture[str]) -> None:
    scores = Scores("val", 40, (OFF, named("loss", 0.5), Metric("near", 0.25, label="within 5 px")))
    assert scores.lines() == [
        "mean error 3.50 px  [3.00 px, 4.00 px]  (95 %, n = 40)",
        "loss 0.5000, within 5 px 25.00%",
    ]
    bare = Scores("val", 40, (Metric("fid", 12.5, unit=Unit.NONE),))
    assert bare.lines(pad=8) == ["fid      12.5000  (n = 40)"]
    watcher = watching()
    for validated, said in (({}, ""), ({"val_top1": 0.5}, "val top-1 50.0%, "), ({"val_off": 3.0}, "val off 3.0000, ")):
        watcher.record(EpochDone(1, 10, 0.5, 0.25, 0.1, 900.0, 1.5, validated))
        assert f"train loss 0.500, {said}900 images/s" in capsys.readouterr().err


def test_a_childs_folder_is_named_as_shells_and_links_can_hold_it_and_old_ones_are_found(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.child("5ms+1M-params").path == tmp_path / "children/5ms-1M-params"
    (tmp_path / "children/5ms+1M-params").mkdir(parents=True)
    assert run.child("5ms+1M-params").path == tmp_path / "children/5ms+1M-params"
