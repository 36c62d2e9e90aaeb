"""The report: what a run folder says, whatever state it is in, as one page that needs nothing else."""

from __future__ import annotations

import base64
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from matplotlib.colors import to_rgb

from convsmith import plot
from convsmith.data import load_data
from convsmith.data.strip import strip
from convsmith.errors import UserError
from convsmith.plot.figures import STRONGEST_UNDER_INK
from convsmith.reports import RunFacts, blocks, render, render_index, view, write_report
from convsmith.reports.bars import Bar, ladder_bars
from convsmith.reports.format import local
from convsmith.reports.search import Point, front_of_children
from convsmith.reports.study import StudyRow, StudyView, render_study
from convsmith.runs import Config, Epoch, Limit
from convsmith.scores import Confusion, Metric, Mistake, Mistakes, Scores, Table, Unit, named

VOID = {"meta", "br", "img", "link", "hr"}
NASTY = ['<b>&"', "$\\alpha$", "</svg><script>alert(1)</script>", "猫", "bell\x07", "url(#x) #1d2126", "http://x.y"]
DIGITS = [str(digit) for digit in range(10)]
TOP1 = named("top1", 0.9)


class Page(HTMLParser):
    """Elements, attributes and words of a page; fails on tags that do not close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def ids(self) -> list[str]:
        return [value for _, name, value in self.attributes if name == "id"]


def data_uri(size: int = 200) -> str:
    return "data:image/png;base64," + base64.b64encode(bytes(size)).decode()


def epoch_line(number: int) -> str:
    losses = {"train_loss": 2 / number, "val_loss": 2.1 / number}
    top1s = {"train_top1": 1 - 0.8 / number, "val_top1": 1 - 0.9 / number}
    return json.dumps(
        {"event": "epoch", "epoch": number, "step": number, "rate": 0.1, "images_per_s": 9.0, **losses, **top1s}
    )


def make_run(
    folder: Path, *, classes: list[str] = DIGITS, epochs: int = 4, macs: int = 1_990_000, picture: int = 200
) -> Path:
    folder.mkdir(parents=True)
    size = len(classes)
    stage = {"name": "stem", "what": "conv", "size": 14, "depth": 1, "width": 8, "macs": macs, "params": 1000}
    machine = {
        "processor": "Tin CPU", "cores": 2, "memory_gib": 4.0, "system": "Linux", "python": "3.11.0",
        "packages": [["torch", "2.15"]],
    }  # fmt: skip
    latency = {
        "name": "mine", "runtime": "ort", "threads": 1, "batch": 1, "n": 200,
        "median_ms": 1.234, "p10_ms": 1.1, "p90_ms": 1.4,
    }  # fmt: skip
    confusion = [[35 if row == col else int(col == (row + 1) % size) for col in range(size)] for row in range(size)]
    image = data_uri(picture)
    wrong = [
        {"index": i, "path": None, "label": i % size, "predicted": (i + 1) % size, "confidence": 0.7, "image": image}
        for i in range(24)
    ]
    files: dict[str, Any] = {
        "spec.json": {"name": "small_b0", "input": {"resolution": 28, "channels": 1}, "stages": []},
        "config.json": {
            "verb": "design", "convsmith": "0.1.0", "started": "2026-11-23", "name": "mine", "data": "digits",
            "budget": "2M-macs", "base": "efficientnet_b0", "rule": "compound", "x": -7.6,
            "met": {"macs": {"limit": 2_000_000, "is": macs, "slack": 0.0}},
            "cost": {"macs": macs, "params": 1000, "activations": 5}, "stages": [stage], "seed": 0, "machine": machine,
            "recipe": {"epochs": 4, "optimiser": {"kind": "sgd"}}, "command": ["convsmith", "design", "my photos"],
        },
        "data.json": {
            "name": "digits", "classes": classes, "train": 300, "val": 36 * size, "split": "A fifth of each class.",
            "per_class": [[30, 36]] * size, "skipped": [{"path": f"{i}.jpg", "why": "truncated"} for i in range(60)],
        },
        "scores.json": {
            "split": "val", "top1": 0.972, "top1_interval": [0.95, 0.99], "top5": 0.999, "top5_interval": [0.99, 1.0],
            "n": 36 * size, "classes": classes, "confusion": confusion, "wrong": wrong,
        },
        "latency.json": {
            "rows": [latency], "rounds": 20, "noise": 0.03, "verdict": ["Quiet enough."], "machine": machine,
        },
        "export.json": {
            "file": "model.onnx", "bytes": 812_345, "opset": 18, "batch": "dynamic", "folded": 49,
            "max_abs_difference": 1.9e-6, "tolerance": 1e-4, "n": 16, "runtime": "onnxruntime 1.2",
        },
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "metrics.jsonl").write_text("".join(epoch_line(number) + "\n" for number in range(1, epochs + 1)))
    return folder


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


# ---- scores that are no classifier's ---------------------------------------------------------------------------------

OFF = Metric("off", 3.456, (3.1, 3.9), Unit.PIXELS, more_is_better=False, label="mean error")
POINTS = Table("By point", ("point", "error", "seen"), (("nose <i>", 2.5, 40.0), ("tail", None, 0.0)))
POSE = Scores("val", 40, (OFF, Metric("near", 0.91, unit=Unit.SHARE, label="within 5 px")), blocks=(POINTS,))


def pose_run(folder: Path, score: Metric = OFF) -> Path:
    """A run whose network finds points: nothing in it is named top-1."""
    run = make_run(folder)
    scores = replace(POSE, metrics=(score, *POSE.metrics[1:]))
    (run / "scores.json").write_text(json.dumps(scores.to_record()))
    lines = [
        {"event": "epoch", "epoch": e, "train_loss": 1 / e, "val_loss": 2 / e, "val_off": 9 - e} for e in (1, 2, 3, 4)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def test_scores_of_another_kind_are_shown_by_their_own_names_and_units(tmp_path: Path) -> None:
    run = pose_run(tmp_path / "pose")
    facts = RunFacts.read(run)
    assert facts.scores == POSE and facts.problems == ()
    page = Page(render([run]))
    text = page.text().replace("\N{NO-BREAK SPACE}", " ")
    assert "top-1" not in text.lower() and "confus" not in text.lower()
    for said in (
        "Mean error3.46 px",
        "3.1–3.9 px",
        "within 5 px 91.0 %",
        "By point",
        "nose <i>",
        "tail–0",
        "Loss and mean error by",
    ):
        assert said in text
    assert "best val 5 at epoch 4" in text, "less is better"


def test_runs_that_are_judged_by_different_metrics_share_a_table_and_no_axis(whole: Path, tmp_path: Path) -> None:
    mixed = Page(render([whole, pose_run(tmp_path / "pose")])).text().replace("\N{NO-BREAK SPACE}", " ")
    assert "97.2 % top-1" in mixed and "3.46 px mean error" in mixed and "against MACs" not in mixed
    better = replace(OFF, value=2.0, interval=(1.5, 2.5))
    alike = Page(render([tmp_path / "pose", pose_run(tmp_path / "other", better)])).text()
    assert "Mean error against MACs" in alike and "top-1" not in alike.lower()


def test_before_there_are_scores_the_epochs_say_what_is_drawn(tmp_path: Path) -> None:
    run = pose_run(tmp_path / "pose")
    (run / "scores.json").unlink()
    headline = RunFacts.read(run).headline
    assert headline is not None and headline.name == "off"
    (run / "metrics.jsonl").write_text('{"event": "epoch", "epoch": 1, "train_loss": 0.5}\n')
    assert RunFacts.read(run).headline is None
    assert "Loss by epoch" in Page(render([run])).text()


# ---- what a page may say of the machine ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said, shown",
    [
        ("train net /home/ada/photos --val '/home/ada/my photos/val'", "train net photos --val 'val'"),
        ("--root=/srv/sets/food", "--root=food"),
        (r"C:\Users\ada\x.jpg", "x.jpg"),
        ("a/b, 3/4 of /x, http://x.y/z/w, </svg>", "a/b, 3/4 of /x, http://x.y/z/w, </svg>"),
    ],
)
def test_absolute_paths_are_cut_down_to_their_last_part(said: str, shown: str) -> None:
    assert local(said) == shown


def test_a_page_names_no_folder_of_the_machine(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for name, change in {
        "config.json": {
            "command": ["convsmith", "train", "net", str(tmp_path / "photos"), "--val", f"{tmp_path}/a b/v"]
        },
        "data.json": {
            "split": f"{tmp_path}/val, as it is",
            "skipped": [{"path": f"{tmp_path}/x.jpg", "why": f"'{tmp_path}/x' is"}],
        },
        "scores.json": {"wrong": [{"path": f"{tmp_path}/cat/1.jpg", "label": 0, "predicted": 1, "confidence": 0.5}]},
    }.items():
        record = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps(record | change))
    html = render([run])
    assert str(tmp_path) not in html and tmp_path.name not in html
    assert "1.jpg" in html and "photos" in html


# ---- what a reader should know ---------------------------------------------------------------------------------------


def told(run: Path, **files: Any) -> str:
    """The words of the box on quality, of a run whose files are changed."""
    for name, change in files.items():
        path = run / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    found = view.quality(RunFacts.read(run))
    assert found is not None
    return f"{found.headline} {' '.join(found.details)}".replace("\N{NO-BREAK SPACE}", " ")


def test_a_sound_run_is_told_to_have_no_warning_sign(whole: Path) -> None:
    assert "no warning sign" in told(whole, config={"weights": "w"})


def test_a_loss_that_rises_is_overfitting_by_its_epoch(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", epochs=0)
    for losses, wanted in (((0.9, 0.5, 0.6, 0.8), True), ((0.9, 0.8, 0.5, 0.6), False), ((0.9, 0.5, 0.6, 0.52), False)):
        lines = [{"event": "epoch", "epoch": at, "val_loss": loss} for at, loss in enumerate(losses, 1)]
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        said = told(run)
        assert ("The network is overfitting" in said) is wanted
        assert ("risen since epoch 2, from 0.50 to 0.80" in said) is wanted


def test_the_ring_says_why_the_best_epoch_is_not_what_is_shipped(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    marked = "The ring in the drawing of the score marks the best validation epoch"
    assert view.ring(RunFacts.read(run)) == f"{marked}, which is the last one."
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"event": "epoch", "epoch": 5, "val_top1": 0.5}\n')
    said = Page(render([run])).text().replace("\N{NO-BREAK SPACE}", " ")
    assert "the best validation epoch, 4 (77.5 %). The weights of the last, 5 (50.0 %)" in said
    record = json.loads((run / "config.json").read_text())
    record["recipe"]["keep"] = "best"
    (run / "config.json").write_text(json.dumps(record))
    assert "the best validation epoch, 4, whose weights are kept" in view.ring(RunFacts.read(run))
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"event": "epoch", "epoch": 6, "val_top1": 0.775, "val_loss": 1e-3}\n')
    assert "4, and epoch 6 equals it by a smaller loss and is kept" in view.ring(RunFacts.read(run))


def test_every_class_has_its_recall_and_precision_and_many_fold_away(tmp_path: Path, html: str) -> None:
    matrix = blocks.shown(Confusion(("a", "b", "c"), ((2, 1, 0), (1, 1, 0), (0, 0, 0))), "key", 0)
    assert isinstance(matrix, blocks.Matrix)
    assert matrix.classes == (("a", 3, 3, 2, 2 / 3, 2 / 3), ("b", 2, 2, 1, 0.5, 0.5), ("c", 0, 0, 0, None, None))
    many = render([make_run(tmp_path / "many", classes=[f"kind {i}" for i in range(21)])])
    assert "<details open><summary>Each class" in html and "<details><summary>Each class" in many


def test_numbers_are_rounded_for_people_and_names_said_once(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"event": "epoch", "epoch": 4, "rate": 2.93377e-06, "val_top1": 0.7}\n')
    text = Page(render([run])).text()
    assert "learning rate 2.9e-06" in text and "2.93377e-06" not in text
    assert view.subtitle(RunFacts.read(run)) == (
        "efficientnet_b0 scaled by compound at x = -7.6", "data: digits", "budget: 2M-macs", "started 23 November 2026",
    )  # fmt: skip


def test_training_images_are_shown_by_class_in_little_room(tmp_path: Path) -> None:
    images = strip(load_data("digits"))
    assert [len(shown) for shown in images.values()] == [6] * 10
    assert sum(len(image) for shown in images.values() for image in shown) < 150_000
    run = make_run(tmp_path / "run")
    (run / "samples.json").write_text(json.dumps({"classes": images | {"sneaky": ["http://x/y.png"]}}))
    page = Page(render([run]))
    assert ("img", "alt", "a training image of 7") in page.attributes
    assert page.tags.count("img") == 24 + 60 and "sneaky" not in page.text()


# ---- several runs ----------------------------------------------------------------------------------------------------


def test_runs_on_different_data_share_no_axis_and_it_is_said(whole: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other")
    assert "against MACs" in Page(render([whole, other])).text()
    record = json.loads((other / "data.json").read_text())
    (other / "data.json").write_text(json.dumps(record | {"contents": "0123456789abcdef"}))
    text = Page(render([whole, other])).text()
    assert "These runs are of different data" in text and "against MACs" not in text


def test_links_lead_to_files_of_the_run_and_never_out_of_the_pages_folder(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs/a b")
    for page in (run / "report.html", tmp_path / "runs/page.html", tmp_path / "elsewhere/page.html"):
        page.parent.mkdir(exist_ok=True)
        write_report(run, page)
        ways = [value for tag, name, value in Page(page.read_text()).attributes if (tag, name) == ("a", "href")]
        assert all((page.parent / unquote(way)).is_file() for way in ways)
        assert len(ways) == (0 if page.parent.name == "elsewhere" else 6)


def test_an_index_shows_all_that_is_ours_the_newest_first(tmp_path: Path) -> None:
    here = tmp_path / "runs"
    shutil.copytree(Path(__file__).parent / "folders-0.1", here)
    make_run(here / "young")
    (here / "young/report.html").write_text("page")
    (here / "broken").mkdir()
    (here / "broken/config.json").write_text('{"verb": "train", "met": 3}')
    page = Page(render_index(here))
    text = page.text()
    names = (
        "young",
        "begun",
        "trained",
        "search",
        "search-begun",
        "ladder",
        "fit-scaling",
        "fit-scaling-tiny",
        "broken",
    )
    assert [name for name in names if name not in text] == []
    assert "calibration" not in text and str(tmp_path) not in text
    ways = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert {"young/report.html", "trained/report.html", "search/report.html", "ladder/study.html"} <= ways
    assert all((here / way).is_file() for way in ways)
    assert "young" in text and "97.2" in text and "training" in text and "ladder" in text


def test_an_index_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no runs"):
        render_index(tmp_path)
    with pytest.raises(UserError, match="there is no folder"):
        render_index(tmp_path / "nowhere")


def test_the_newest_comes_first(tmp_path: Path) -> None:
    for name, started in (("old", "2026-01-01T00:00:00+00:00"), ("new", "2026-11-01T00:00:00+00:00")):
        record = json.loads((make_run(tmp_path / name) / "config.json").read_text())
        (tmp_path / name / "config.json").write_text(json.dumps(record | {"started": started}))
    text = Page(render_index(tmp_path)).text()
    assert text.index("1 November 2026, 00:00 UTC") < text.index("1 January 2026, 00:00 UTC")


# ---- studies ---------------------------------------------------------------------------------------------------------


def study(*gains: tuple[float, tuple[float, float]]) -> StudyView:
    bars = [Bar("baseline", 0.5, (0.2, 1.4))]
    bars += [Bar(f"+ {at}", 0.5 + gain, (-0.3, 0.9), gain, ends) for at, (gain, ends) in enumerate(gains, 1)]
    rows = tuple(StudyRow(bar, ((0, bar.mean), (1, bar.mean)), 3, 1_000_000, 2000) for bar in bars)
    return StudyView("Ladder", "What each step adds", "Bars.", (), rows)


def test_a_ladder_says_first_which_steps_can_be_told_from_nothing() -> None:
    page, _ = render_study(study((0.1, (-1.6, 1.7)), (0.02, (-0.1, 0.2))))
    assert "No step can be told from nothing" in Page(page).text()
    page, _ = render_study(study((0.1, (0.05, 0.15)), (0.02, (-0.1, 0.2))))
    assert "1 of 2 steps can be told from nothing: + 1 (+10.0 points)" in Page(page).text()


def test_a_ladders_axis_and_intervals_stay_where_a_share_can_lie() -> None:
    rows = study((0.1, (-1.663, 1.735))).rows
    low, high = ladder_bars([row.bar for row in rows]).axes[0].get_xlim()
    assert 0 <= low < high <= 100
    page, _ = render_study(study((0.1, (-1.663, 1.735))))
    text = Page(page).text()
    assert "-100.0 to +100.0" in text and "20.0 to 100.0" in text and "166" not in text


# ---- colours ---------------------------------------------------------------------------------------------------------


def palettes() -> dict[str, dict[str, str]]:
    """The colours of the style sheet in light and in dark."""
    css = (Path(view.__file__).parent / "style.css").read_text()
    light, dark = (
        dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})\b", part)) for part in css.split("* {")[0].split("@media")
    )
    return {"light": light, "dark": light | dark}


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance of an sRGB colour of three shares, as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_colour_of_text_can_be_read_on_what_it_stands_on(mode: str) -> None:
    colour = {name: to_rgb(text) for name, text in palettes()[mode].items()}
    assert {"ink", "soft", "page", "panel", "met", "missed", "unfinished"} <= colour.keys()
    for text in ("ink", "soft", "met", "missed", "unfinished"):
        for behind in ("page", "panel"):
            assert contrast(colour[text], colour[behind]) >= 4.5, (text, behind)
    for cell in (plot.BLUE, plot.ORANGE):  # the strongest cell of a confusion matrix, under its count
        share = STRONGEST_UNDER_INK
        mixed = tuple(share * c + (1 - share) * page for c, page in zip(to_rgb(cell), colour["page"], strict=True))
        assert contrast(colour["ink"], mixed) >= 4.5


def test_text_in_drawings_has_the_pages_colours_alone(html: str) -> None:
    drawn = [
        *re.findall(r"<svg.*?</svg>", html, re.DOTALL),
        *render_study(study((0.1, (0.05, 0.15)), (0.02, (-0.1, 0.2))))[1].values(),
        plot.svg(
            front_of_children([Point(1e6, 0.9)], [Point(1e6, 0.9)], [Point(1e6, 0.9, name="1M-macs")], metric=TOP1)
        ),
    ]
    fills = set(re.findall(r"fill: ([^;\"]+)", " ".join(re.findall(r"<text[^>]*>", " ".join(drawn)))))
    assert fills <= {"currentColor", f"var(--soft, {plot.SOFT})"}


def test_a_label_stands_where_it_covers_no_point() -> None:
    winner = Point(2e6, 0.9, name="2M-macs")
    right = [Point(8e6, 0.5), *(Point(2e6 * (1 + 0.02 * step), 0.9 + 0.005 * step) for step in range(1, 9))]
    (label,) = front_of_children([*right, winner], [winner], [winner], metric=TOP1).axes[0].texts
    assert label.get_ha() == "right" or label.xyann[1] < 0


def test_a_drawing_by_itself_is_a_picture(tmp_path: Path) -> None:
    """A viewer takes an SVG for a picture by its namespace, which pages need not name."""
    figure = plot.confusion([[3, 1], [0, 4]], ["a", "b"])
    plot.save(figure, tmp_path / "confusion.svg")
    root = ElementTree.parse(tmp_path / "confusion.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for path in (Path(__file__).parents[1] / "docs").glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag == root.tag, path.name
