"""Numbers out of range are refused where a value is made: at once, by the name of the field, whichever way they come."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import convsmith as cs
from convsmith.cli.app import main
from convsmith.errors import BudgetError, UserError
from convsmith.families import names
from convsmith.families import spec as family_member
from convsmith.jobs.options import Options
from convsmith.jobs.search.options import SearchOptions
from convsmith.recipe import KINDS, BySize, Size
from convsmith.recipes import RECIPES, changed, recipe
from convsmith.scaling import RULES, Curve, rule
from convsmith.supernet import SPACES
from convsmith.units import Budget, count

NAN, INF = math.nan, math.inf
NEVER: tuple[Any, ...] = (NAN, INF, -INF, True, 10**30, 1e300, 10**5000, -(10**30))  # no field may hold one of these
MAY_BE_ENDLESS = {Budget}


def parts_of(value: object) -> Iterator[object]:
    """A value and all values in it."""
    if isinstance(value, tuple):
        for item in value:
            yield from parts_of(item)
    elif is_dataclass(value) and not isinstance(value, type):
        yield value
        for field in fields(value):
            yield from parts_of(getattr(value, field.name))


def one_of_each() -> dict[type, Any]:
    """A value of each class that a spec, a recipe, a rule or a space is made of."""
    roots = [*map(family_member, names()), *RECIPES, *(kind() for kind in RULES), *SPACES.values()]
    roots += [kind() for kind in KINDS if kind is not BySize]
    roots += [BySize(Size.MACS, ((1.0, 0.1), (2.0, 0.2))), Curve((0.0, 1.0), (0.0, 1.0), 0.0, 0.0, 1.0, 1.0, 0.1)]
    roots += [Budget(macs=1e6, params=1e6, ms=5.0), Options(), SearchOptions()]
    return {type(part): part for root in roots for part in parts_of(root)}


def with_first(value: Any, bad: object) -> Any:
    """The tuple with `bad` where its first number stood."""
    return (with_first(value[0], bad), *value[1:]) if isinstance(value, tuple) else bad


VALUES = one_of_each()


def numeric(value: object) -> list[str]:
    def first(item: object) -> object:
        return first(item[0]) if isinstance(item, tuple) and item else item

    return [
        field.name
        for field in fields(value)  # type: ignore[arg-type]
        if isinstance(first(getattr(value, field.name)), int | float)
        and not isinstance(first(getattr(value, field.name)), bool)
    ]


@pytest.mark.parametrize(
    "kind", [kind for kind, value in VALUES.items() if numeric(value)], ids=lambda kind: kind.__name__
)
def test_no_field_takes_what_is_no_number_or_beyond_all_bounds(kind: type) -> None:
    value = VALUES[kind]
    for name in numeric(value):
        for bad in NEVER:
            if bad == INF and kind in MAY_BE_ENDLESS:
                continue
            with pytest.raises((ValueError, UserError)) as refused:
                replace(value, **{name: with_first(getattr(value, name), bad)})
            said = str(refused.value)
            assert any(word in said for word in (name, *WORDS.get(name, ()))), (name, said)


# How the command line calls a field, where that is otherwise.
WORDS = {
    "rounds": ("--generations",), "per_round": ("--per-generation",), "scorers": ("--jobs",),
    "labels_first": ("--labels-first",),
}  # fmt: skip


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: cs.Image(resolution=10**9), "input.resolution must be at most"),
        (lambda: cs.Image(resolution=8, std=(0.0, 1.0, 1.0)), "input.std must be above 0"),
        (lambda: cs.Stage(cs.MBConv(), 0, 8, 1), "stage.depth must be at least 1"),
        (lambda: cs.Stage(cs.MBConv(), 1.5, 8, 1), "stage.depth must be a whole number; got 1.5"),  # type: ignore[arg-type]
        (lambda: cs.Stage(cs.MBConv(), "3", 8, 1), "stage.depth must be a whole number; got '3'"),  # type: ignore[arg-type]
        (lambda: cs.Stage(cs.MBConv(), 10**9, 8, 1), "stage.depth must be at most 65,536"),
        (lambda: cs.Stage(cs.MBConv(), 1, 0, 1), "stage.width must be at least 1"),
        (lambda: cs.MBConv(kernel=4), "mbconv.kernel must be odd"),
        (lambda: cs.MBConv(kernel=10**6 + 1), "mbconv.kernel must be odd, from 1 to 1023"),
        (lambda: cs.MBConv(expand=0), "mbconv.expand must be above 0"),
        (lambda: cs.SE(ratio=0), "se.ratio must be above 0"),
        (lambda: cs.BatchNorm(eps=0), "batch_norm.eps must be above 0"),
        (lambda: cs.ConvStem(width=0), "conv_stem.width must be at least 1"),
        (lambda: cs.ConvStem(width=8, stride=0), "conv_stem.stride must be at least 1"),
        (lambda: cs.Compound(alpha=0.0), "compound.alpha must be at least 1"),
        (lambda: cs.Budget(macs=NAN), "admits nothing"),
        (lambda: cs.Budget(ms=-1), "admits nothing"),
        (lambda: cs.Budget(ms=1e12), "at most 60000"),
        (lambda: cs.Budget(macs="20M"), "must be a number"),  # type: ignore[arg-type]
    ],
)
def test_the_message_names_the_field_and_what_is_allowed(make: Any, says: str) -> None:
    with pytest.raises((ValueError, UserError), match="^.*" + says.replace(".", r"\.")):
        make()


def test_a_network_of_too_many_blocks_is_refused_however_they_are_spread() -> None:
    spec = cs.spec("mobilenetv2_100")
    deep = replace(spec.stages[0], depth=40_000)
    with pytest.raises(ValueError, match="blocks of a network must be at most 65,536"):
        replace(spec, stages=(deep, deep))


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 30, "9" * 5000, "true", '""', "-1"]
)
def test_json_holds_no_such_number(text: str, tmp_path: Path) -> None:
    data = json.loads(cs.spec("mobilenetv2_100").to_json())
    data["stages"][0]["depth"] = "HERE"
    with pytest.raises(UserError, match=r"depth|not JSON"):
        cs.from_json(json.dumps(data).replace('"HERE"', text))
    made = tmp_path / "rule.json"
    made.write_text(f'{{"rule": "compound", "alpha": {text}}}')
    with pytest.raises(UserError, match=r"alpha|not JSON"):
        rule(str(made))


def test_json_nested_without_end_is_refused() -> None:
    with pytest.raises(UserError, match="not JSON"):
        cs.from_json("[" * 100_000)


@pytest.mark.parametrize(
    "text", ["NaN", "nan", "Infinity", "-1e999", "-1", "true", "", "9" * 5000, "1e300", "[" * 100_000]
)
@pytest.mark.parametrize("field", ["epochs", "rate", "dropout", "optimiser.momentum", "schedule.end", "augment.mirror"])
def test_a_setting_names_its_field(field: str, text: str) -> None:
    with pytest.raises(UserError, match=rf"--set (is not a valid Recipe:\s+)?{field.replace('.', '[.]')}"):
        changed(recipe("quick"), [f"{field}={text}"])


def test_a_table_by_size_is_held_against_the_same_bounds() -> None:
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\); got 1.5"):
        replace(recipe("quick"), dropout=BySize(Size.MACS, ((1e6, 0.1), (1e9, 1.5))))


@pytest.mark.parametrize("amount", ["nanM", "infM", "0", "-1", "1e400", "1e30G", "", "M", "9" * 5000, "true"])
@pytest.mark.parametrize("unit", ["-macs", "-params", "ms"])
def test_a_budget_out_of_range_is_refused_in_a_sentence(amount: str, unit: str) -> None:
    with pytest.raises(BudgetError):
        Budget.parse(amount + unit)


def test_a_small_time_is_read_as_it_is_written() -> None:
    assert Budget.parse("1e-3ms").ms == 0.001
    assert count("1e3k") == 1_000_000


@pytest.mark.parametrize(
    "words",
    [
        ["scale", "efficientnet_b0", "--to", "1e400-macs"],
        ["design", "digits", "--to", "nanM-macs"],
        ["search", "digits", "--to", "1e30G-params"],
        ["train", "efficientnet_b0", "digits", "--lr", "nan"],
        ["train", "efficientnet_b0", "digits", "--val-share", "nan"],
        ["train", "efficientnet_b0", "digits", "--epochs", "1" + "0" * 30],
        ["train", "efficientnet_b0", "digits", "--resolution", "1000000000"],
        ["search", "digits", "--to", "1M-macs", "--labels-first", "nan"],
    ],
    ids=lambda words: " ".join(words)[:50],
)
def test_the_command_line_refuses_before_a_folder_is_made(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert "error:" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
