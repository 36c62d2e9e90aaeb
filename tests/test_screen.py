"""What is printed: text from outside gives a terminal no orders, and loses nothing."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from commands import run
from convsmith.cli.output import err, out, table
from convsmith.progress import Progress
from convsmith.resolve import device
from convsmith.scores import Confusion, Scores, named
from convsmith.units import plural

HOSTILE = "\x1b[31mred\x07\x9b2J[bold]b[/]:cat:é.png"


def test_a_file_s_name_is_printed_whole_and_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    out.print(HOSTILE)
    out.print(table(HOSTILE, "<file n", [[HOSTILE, "1"]]))
    err.print(HOSTILE, style="dim")
    Progress(err).note(HOSTILE)
    Progress(err).stage("read", HOSTILE)
    said = capsys.readouterr()
    told = r"\x1b[31mred\x07\x9b2J[bold]b[/]:cat:é.png"
    assert said.out.count(told) == 3 and said.err.count(told) == 3
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said.out + said.err)


def test_progress_on_a_screen_of_the_user_s_own_prints_brackets_as_they_are() -> None:
    file = io.StringIO()
    Progress(Console(file=file, width=80)).note("photos[a]/x[/]:cat:.png is left out")
    Progress(Console(file=file, width=80)).stage("read", "photos[a]:cat:")
    assert "photos[a]/x[/]:cat:.png is left out" in file.getvalue() and "read  photos[a]:cat:" in file.getvalue()


def test_a_device_that_is_not_there_is_answered_by_those_that_are() -> None:
    from convsmith.errors import UserError

    for name in ("gpu", "cuda:99", "quantum", "meta:x"):
        with pytest.raises(UserError, match=rf"there is no device '{name}' here; there is cpu") as caught:
            device(name)
        assert "hpu" not in str(caught.value)


def test_among_k_classes_the_first_k_are_not_told() -> None:
    def scored(classes: int) -> str:
        rows = tuple(tuple(int(i == j) for j in range(classes)) for i in range(classes))
        confusion = Confusion(tuple(map(str, range(classes))), rows)
        return str(Scores("val", classes, (named("top1", 1.0), named("top5", 1.0)), (("k", 5),), (confusion,)))

    assert "top-5" not in scored(5) and "top-5" in scored(6) and "top-1" in scored(5)


def test_one_of_a_thing_is_singular() -> None:
    assert [plural(n, "child") for n in (1, 2)] == ["1 child", "2 children"]
    assert [plural(n, "sandwich") for n in (1, 2)] == ["1 sandwich", "2 sandwiches"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("pick --to 300M-macs --counts-only --threads 2", "--counts-only measures nothing"),
        ("pick --to 300M-macs --counts-only --runtime eager", "--counts-only measures nothing"),
        ("search digits --to 2M-macs --threads 2", "--runtime and --threads are of budgets in milliseconds"),
        ("scale resnet18 --to 1G-macs --threads 2", "are of milliseconds"),
    ],
)
def test_how_to_time_is_refused_where_nothing_is_timed(
    capsys: pytest.CaptureFixture[str], line: str, says: str
) -> None:
    code, _, said = run(capsys, *line.split())
    assert code == 2 and says in said


def test_a_recipe_s_values_are_as_set_takes_them(capsys: pytest.CaptureFixture[str]) -> None:
    _, said, _ = run(capsys, "recipes", "resnet-rs")
    assert re.search(r"^augment.ratio +\[0.75,1.33333\]$", said, re.MULTILINE)
    assert re.search(r"^optimiser.nesterov +true$", said, re.MULTILINE) and "True" not in said and "None" not in said
