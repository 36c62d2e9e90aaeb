"""The report: what a run folder says, whatever state it is in, as one page that needs nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from convsmith import plot
from convsmith.errors import UserError
from convsmith.reports import RunFacts, blocks, render, view, write_report
from convsmith.reports.search import Point, front_of_children
from convsmith.runs import Config, Epoch, Limit
from convsmith.scores import Confusion, Mistake, Mistakes, Scores, named
from report_pages import NASTY, TOP1, Page, make_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "mine")


@pytest.fixture(scope="module")
def html(whole: Path) -> str:
    return render([whole])


def test_the_page_loads_nothing_and_runs_nothing(whole: Path, html: str) -> None:
    page = Page(html)
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    for _, name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "data"):
            assert value.startswith(("data:image/", "#")) or (whole / value).is_file(), (
                "files of the run, to be taken away"
            )
        assert "http" not in value.lower()


def test_a_hundred_classes_and_24_pictures_stay_under_a_megabyte(tmp_path: Path) -> None:
    run = make_run(tmp_path / "big", classes=[f"class number {i}" for i in range(100)], picture=60_000)
    written = write_report(run)
    assert written.stat().st_size < 1_000_000
    page = Page(written.read_text(encoding="utf-8"))
    shown = page.tags.count("img")
    assert 0 < shown < 24
    assert page.text().count("too large for this page") == 24 - shown


def test_names_from_users_are_text_wherever_they_stand(tmp_path: Path) -> None:
    page = Page(render([make_run(tmp_path / "<i>run", classes=NASTY)]))
    tame = Page(render([make_run(tmp_path / "tame", classes=list("abcdefg"))]))
    assert sorted(page.tags) == sorted(tame.tags)
    for name in NASTY:
        assert page.text().count(name) >= 2
    assert "<i>run" in page.text()


def test_a_picture_that_is_no_data_uri_is_not_loaded() -> None:
    sneaky = ("http://x/y.png", "javascript:x", 'data:image/png;base64,A" onload="x', "data:text/html;base64,AAAA")
    mistakes = Mistakes(("a", "b"), tuple(Mistake(0, 1, 0.5, image=image) for image in sneaky))
    assert [picture.image for picture in blocks.pictures(mistakes, room=10**6)] == [""] * 4


def test_every_file_may_be_missing(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    *files, _last = sorted(run.iterdir())
    for missing, file in enumerate(files, start=1):
        file.unlink()
        text = Page(render([run])).text()
        assert [gone.name for gone in files[:missing] if gone.name not in text] == []


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"top1": "high"}', "\x00", '{"rows": [{}], "top1": 1}'])
def test_every_file_may_be_broken_and_is_named(tmp_path: Path, content: str) -> None:
    run = make_run(tmp_path / "run")
    broken = ["data.json", "scores.json", "latency.json", "export.json"]
    for name in broken:
        (run / name).write_text(content)
    facts = RunFacts.read(run)
    assert [problem.split()[0] for problem in facts.problems] == broken
    assert (facts.data, facts.scores, facts.latency, facts.export) == (None, None, None, None)


def test_a_half_written_line_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", epochs=3)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('[1]\n{"event": "note"}\n{"event": "epoch", "epo')
    facts = RunFacts.read(run)
    assert [epoch.epoch for epoch in facts.epochs] == [1, 2, 3]
    assert facts.problems == ("metrics.jsonl: 2 of 6 lines left out, because they could not be read",)
    assert facts.problems[0] in Page(render([run])).text()


def test_an_epoch_written_again_after_a_resume_counts_once_and_last(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", epochs=3)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"event": "epoch", "epoch": 2, "val_top1": 0.25}\n')
    epochs = RunFacts.read(run).epochs
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert epochs[1] == Epoch(epoch=2, values={"val_top1": 0.25})


def test_a_path_that_is_no_text_does_not_stop_the_report(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    data = json.loads((run / "data.json").read_text())
    data["skipped"] = [{"path": "caf\udce9.jpg", "why": "unreadable"}]
    (run / "data.json").write_text(json.dumps(data))
    assert "caf?.jpg" in write_report(run).read_text(encoding="utf-8")


def test_losses_that_are_not_numbers_leave_gaps(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", epochs=2)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"event": "epoch", "epoch": 3, "train_loss": NaN, "val_loss": null, "val_top1": Infinity}\n')
    assert "nan" not in render([run]).lower()


def test_equal_folders_give_equal_bytes(html: str, tmp_path: Path) -> None:
    assert html == render([make_run(tmp_path / "mine")])


def test_every_measured_card_carries_its_n_and_every_other_what_it_rests_on(whole: Path) -> None:
    cards = view.cards(RunFacts.read(whole))
    assert [card.name for card in cards] == ["Top-1", "Top-5", "MACs", "Parameters", "Latency", "File"]
    for card in cards:
        assert re.search(r"n = \d", card.basis) if card.measured else card.basis
    assert [card.name for card in cards if card.measured] == ["Top-1", "Top-5", "Latency"]
    latency = " ".join(cards[4].details)
    assert "p10–p90" in latency and "1 thread" in latency and "batch 1" in latency and "ort" in latency


def test_counts_are_macs_and_flops_stand_only_beside_them_as_twice_as_many(html: str) -> None:
    text = Page(html).text().replace("\N{NO-BREAK SPACE}", " ")
    assert re.findall(r"= [^=]*FLOPs.{13}", text) == ["= 3.98 MFLOPs at 2 per MAC"]


@pytest.mark.parametrize(
    "macs, state, headline",
    [
        (1_990_000, "met", "Budget met: 1.99 M of 2 M MACs (0.5 % below)"),
        (2_000_000, "met", "Budget met: 2 M of 2 M MACs (exactly)"),
        (2_000_001, "missed", "Budget missed: 2.00 M of 2 M MACs (under 0.1 % above)"),
        (3_000_000, "missed", "Budget missed: 3 M of 2 M MACs (50.0 % above)"),
    ],
)
def test_the_verdict_follows_the_numbers(tmp_path: Path, macs: int, state: str, headline: str) -> None:
    verdict = view.verdict(RunFacts.read(make_run(tmp_path / "run", macs=macs)))
    assert (verdict.state, verdict.headline.replace("\N{NO-BREAK SPACE}", " ")) == (state, headline)


def test_one_missed_limit_is_a_missed_budget(whole: Path) -> None:
    met = {"macs": Limit(2e6, 1e6), "ms": Limit(5, 6)}
    facts = RunFacts("x", None, Config(met=met), None, (), Scores("val", 1, (named("top1", 1.0),)), None, None, ())
    verdict = view.verdict(facts)
    assert verdict.state == "missed"
    assert verdict.headline.replace("\N{NO-BREAK SPACE}", " ") == (
        "Budget missed: 6.00 of 5.00 ms (20.0 % above). Met: 1 M of 2 M MACs (50.0 % below)"
    )


def test_a_run_that_did_not_finish_is_never_called_met(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", epochs=3)
    verdict = view.verdict(RunFacts.read(run))
    assert (verdict.state, verdict.headline) == ("unfinished", "Training not finished: epoch 3 of 4")
    (run / "metrics.jsonl").unlink()
    assert view.verdict(RunFacts.read(run)).headline == "Training not started: 4 epochs planned"


def test_the_most_confused_pairs_come_first() -> None:
    confusion = Confusion(("a", "b", "c"), ((2, 1, 0), (3, 1, 1), (0, 0, 4)))
    pairs = [(pair.true, pair.predicted, pair.times, pair.of) for pair in blocks.confused_pairs(confusion)]
    assert pairs == [("b", "a", 3, 5), ("a", "b", 1, 3), ("b", "c", 1, 5)]


def test_runs_of_one_name_are_told_apart_and_ids_do_not_collide(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a/mine"), make_run(tmp_path / "b/mine"), make_run(tmp_path / "b/other", epochs=1)]
    page = Page(render([*runs, runs[0]]))
    text, ids = page.text(), page.ids()
    assert "3 runs compared" in text
    assert all(name in text for name in ("a/mine", "b/mine", "2. b/mine", "3. other"))
    assert str(tmp_path) not in text
    assert len(ids) == len(set(ids))
    for _, _, value in page.attributes:
        for reference in re.findall(r"url\(#([^)]+)\)", value) + re.findall("^#(.+)", value):
            assert reference in ids


def test_pictures_and_drawings_have_words_for_those_who_listen(html: str) -> None:
    page = Page(html)
    assert ("html", "lang", "en") in page.attributes
    assert page.tags.count("svg") == sum(item[:2] == ("svg", "role") for item in page.attributes) == 5
    assert page.tags.count("title") == 1 + 5
    described = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt") and value]
    assert page.tags.count("img") == len(described) == 24
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_writing_leaves_the_report_and_nothing_else(whole: Path, html: str) -> None:
    before = set(whole.iterdir())
    assert write_report(whole) == whole / "report.html"
    assert (whole / "report.html").read_text(encoding="utf-8") == html
    assert set(whole.iterdir()) - before == {whole / "report.html"}


def test_what_is_no_run_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        render([tmp_path / "nowhere"])
    with pytest.raises(UserError, match=r"none of spec\.json"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="at least one"):
        render([])


def test_drawing_nothing_is_refused() -> None:
    for draw in (plot.latency_bars, plot.stage_costs, plot.score_against_macs):
        with pytest.raises(ValueError, match="to draw"):
            draw([])
    with pytest.raises(ValueError, match="to draw"):
        plot.score_curves([], TOP1)
    with pytest.raises(ValueError, match="to draw"):
        plot.loss_curves([])
    with pytest.raises(ValueError, match="2 x 2"):
        plot.confusion([[1, 2]], ["a", "b"])


def test_one_terrible_loss_does_not_press_the_others_flat() -> None:
    rows = [{"epoch": number, "val_loss": 0.5, "val_top1": 0.9} for number in range(1, 5)]
    assert [drawn.axes[0].get_yscale() for drawn in (plot.loss_curves(rows), plot.score_curves(rows, TOP1))] == [
        "linear"
    ] * 2
    rows[0] = {"epoch": 1, "val_loss": 120.0, "val_top1": 0.01}
    assert plot.loss_curves(rows).axes[0].get_yscale() == "log"
    assert plot.score_curves(rows, TOP1).axes[0].get_yscale() == "linear"


def test_a_figure_is_one_element_of_equal_bytes_that_fits_its_page(tmp_path: Path) -> None:
    first, again = (plot.svg(plot.confusion([[3, 1], [0, 4]], ["<a>", "$b"])) for _ in range(2))
    assert first == again != plot.svg(plot.confusion([[3, 1], [0, 4]], ["<a>", "$b"]), key="other")
    assert first.startswith("<svg viewBox=") and 'width="100%"' in first and "http" not in first
    assert "&lt;a&gt;" in first and "$b" in first and "currentColor" in first
    plot.png(plot.confusion([[3, 1], [0, 4]], ["a", "b"]), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_large_confusion_matrix_is_a_small_drawing() -> None:
    size = 300
    matrix = [[10 if row == column else 0 for column in range(size)] for row in range(size)]
    assert len(plot.svg(plot.confusion(matrix, [f"class {i}" for i in range(size)]))) < 100_000


def test_budgets_that_were_handed_the_same_child_share_a_label() -> None:
    child, other = Point(1e6, 0.9), Point(2e6, 0.95)
    winners = [replace(child, name="2M-macs"), replace(child, name="1ms"), replace(other, name="3ms")]
    axes = front_of_children([child, other], [child, other], winners, metric=TOP1).axes[0]
    assert [text.get_text() for text in axes.texts] == ["2M-macs, 1ms", "3ms"]
