"""Reports of other scores than a classifier's, of several runs and of studies, and what all pages keep to."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
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
from convsmith.scores import Confusion, Metric, Scores, Table, Unit
from report_pages import TOP1, Page, make_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "mine")


@pytest.fixture(scope="module")
def html(whole: Path) -> str:
    return render([whole])


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
