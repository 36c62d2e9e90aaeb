"""Blocks that stay in float: the worst are, the fewest that keep a limit are, and what is told was not what chose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convsmith as cs
from commands import TINY, run
from convsmith.arch import plan
from convsmith.errors import CheckFailed, UserError
from convsmith.evals import paired, wilson
from convsmith.jobs.ship import keeping
from convsmith.jobs.ship.eight_bits import EightBits
from convsmith.jobs.ship.keeping import Judged, choose, halves
from convsmith.runs import BlocksInFloat
from convsmith.scores import Metric, Unit
from convsmith.watcher import Watcher
from test_int8_calibration import tiny

UNITS = {node.path: node.part.describe() for node in plan(tiny())}


class Told:
    """A judge that gives shares one after another: the float file's, then of each block alone, then of files."""

    def __init__(self, whole: float, curve: list[float], unit: Unit = Unit.SHARE) -> None:
        blocks = len(curve)
        self.rest: Iterator[float] = iter([whole, *[whole] * blocks, *curve])
        self.unit = unit

    def __call__(self, file: Path) -> Judged:
        return Judged(Metric("top1", next(self.rest), unit=self.unit), None, 100)


class Nodes:
    """As much of a quantiser as choosing needs: units and their nodes, and files that nobody looks into."""

    source = Path("float.onnx")

    def units(self, paths: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        return {path: (f"{path}/conv",) for path in paths[:5]}

    def save(self, path: Path, *, floats: tuple[str, ...]) -> None:
        pass


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`choose` by a judge, where nothing is quantised and nothing timed."""
    monkeypatch.setattr(keeping, "Deviation", lambda *_: len)
    monkeypatch.setattr(keeping, "_timed", lambda *_: {None: 1.0})

    def do(judge: Told, asked: EightBits) -> keeping.Choice:
        return choose(Nodes(), UNITS, asked, judge=judge, images=[], folder=tmp_path, threads=1, watcher=Watcher())

    return do


@pytest.mark.parametrize(("most", "kept"), [(40, 0), (39.9, 1), (10, 3), (5, 4), (25, 2)])
def test_the_fewest_are_kept_that_hold_the_limit(chosen, most: float, kept: int) -> None:
    assert len(chosen(Told(0.9, [0.5, 0.6, 0.7, 0.8, 0.85]), EightBits(max_drop=most)).kept) == kept


def test_a_limit_that_no_file_holds_is_told_by_how_much(chosen) -> None:
    with pytest.raises(CheckFailed, match=r"all blocks but one in float 5\.00 points are lost, and 4\.00 at the least"):
        chosen(Told(0.9, [0.5, 0.6, 0.7, 0.86, 0.85]), EightBits(max_drop=1))


def test_what_cannot_be_kept_is_refused_before_anything_is_tried(chosen) -> None:
    with pytest.raises(UserError, match="5 blocks that go in eight bits, and --keep 5 would leave it in float"):
        chosen(Told(0.9, []), EightBits(keep=5))
    with pytest.raises(UserError, match="in points of a share"):
        chosen(Told(3.0, [], Unit.PIXELS), EightBits(max_drop=1))


@pytest.mark.parametrize(
    "wrong",
    [{"keep": -1}, {"keep": 1.5}, {"max_drop": -0.1}, {"max_drop": float("nan")}, {"keep": 1, "max_drop": 1.0},
     {"calibration": "mean"}],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused(wrong: dict) -> None:
    with pytest.raises(UserError, match=r"int8\."):
        EightBits(**wrong)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_an_interval_of_a_difference_holds_it_and_turns_with_it(pairs: list[tuple[bool, bool]]) -> None:
    first, second = np.array(pairs).T
    low, high = paired(first, second)
    assert low <= first.mean() - second.mean() + 1e-12 and first.mean() - second.mean() <= high + 1e-12
    assert np.allclose(paired(second, first), (-high, -low))
    # Never wider than where the two have nothing to do with each other is doubled, and no point where nothing differs.
    spans = [end - start for start, end in (wilson(int(one.sum()), len(one)) for one in (first, second))]
    assert 0 < high - low <= sum(spans) + 1e-12


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, n, held = np.random.default_rng(0), 200, 0
    for _ in range(400):
        first = rng.random(n) < 0.9
        second = first ^ (rng.random(n) < np.where(first, 0.05, 0.2))  # 0.9 becomes 0.875
        low, high = paired(first, second)
        held += low <= 0.025 <= high
    assert (
        0.92 <= held / 400 <= 0.99
    )  # 0.95, two and a half standard errors of 400 draws to either side and a little above


def test_halves_share_no_image_and_leave_none_out() -> None:
    from convsmith.data import load_data

    val = load_data("digits").val
    one, other = halves(val)
    assert len(one) == len(val) // 2 and len(one) + len(other) == len(val)
    labels = np.concatenate([one.targets.labels, other.targets.labels])
    assert sorted(labels.tolist()) == sorted(val.targets.labels.tolist())
    with pytest.raises(UserError, match="there is but one"):
        halves(val.take(np.arange(1)))


def test_a_run_keeps_its_worst_blocks_and_says_what_it_rests_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keeping, "_ROUNDS", 2)
    assert run(capsys, "train", TINY, "digits", "--set", "epochs=1", "--name", "one")[0] == 0
    folder = tmp_path / "runs/one"
    code, said, _ = run(capsys, "export", "runs/one", "--int8", "--keep", "2", "--calibration", "mse", "--json")
    found = json.loads(said)
    assert code == 0 and len(found["in_float"]) == 2 and found["calibration"] == "mse"
    blocks = BlocksInFloat.from_record(json.loads((folder / "model.int8.blocks.json").read_text()))
    assert list(blocks.kept) == found["in_float"] and blocks.quoted_on == found["n"]
    assert blocks.chosen_on + blocks.quoted_on == cs.Run.open("runs/one").scores.n
    assert blocks.lost == pytest.approx(found["float_top1"] - found["top1"])
    assert blocks.lost_interval is not None and blocks.lost_interval[0] <= blocks.lost <= blocks.lost_interval[1]
    deviations = {block.path: block.deviation for block in blocks.blocks}
    assert list(deviations) == list(UNITS) and all(value > 0 for value in deviations.values())
    assert blocks.kept == tuple(sorted(deviations, key=lambda path: -deviations[path]))[:2]
    assert [point.kept for point in blocks.curve] == list(range(len(UNITS)))
    assert all((point.ms or 0) > 0 for point in blocks.curve) and blocks.float_ms > 0
    page = (folder / "model.int8.blocks.html").read_text()
    assert page.count("<svg") == 2 and "http" not in page.replace("http://www.w3.org", "")
    assert all(block.path in page for block in blocks.blocks)
    lost, in_float = blocks.summary
    assert f"{100 * blocks.lost:.2f} points [" in lost and ", ".join(blocks.kept) in in_float
    assert run(capsys, "export", "runs/one", "--int8")[0] == 0
    assert not list(folder.glob("*.blocks.*"))  # they told of a file that is no more
    for argv, says in (
        (("--keep", "-1"), "--keep"),
        (("--max-drop", "nan"), "--max-drop"),
        (("--keep", "1", "--max-drop", "1"), "give one of them"),
        (("--calibration", "mean"), "mean"),
    ):
        code, _, said = run(capsys, "export", "runs/one", "--int8", *argv)
        assert code == 2 and says in said
    code, _, said = run(capsys, "export", "runs/one", "--keep", "1")
    assert code == 2 and "give --int8 too" in said
