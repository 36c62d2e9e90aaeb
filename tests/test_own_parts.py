"""A part of one's own is known by its kind to every reader, runs only where its user names it, and is what it was."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import pytest
from torch import nn

import convsmith as cs
from convsmith import registry
from convsmith.cli import main
from convsmith.errors import UserError
from convsmith.jobs.studies.farm import Farm
from convsmith.jobs.train.begin import train_job
from convsmith.runs import RunFolder
from convsmith.watcher import Watcher

MODULE = """
from dataclasses import dataclass
from typing import ClassVar

import convsmith as cs
from torch import nn


@cs.register
@dataclass(frozen=True)
class Scaled(cs.BatchNorm):
    kind: ClassVar[str] = "scaled"
    by: float = 2.0
"""


@pytest.fixture(autouse=True)
def _no_own_parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is registered, plugged in, or left behind."""
    monkeypatch.setattr(registry, "_parts", {})
    monkeypatch.setattr(registry, "_plugged", {})
    monkeypatch.setattr(registry, "entry_points", lambda group: ())
    monkeypatch.setattr(sys, "path", list(sys.path))
    registry._find_installed.cache_clear()
    yield
    forget()
    registry._find_installed.cache_clear()


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "scaled norm.py"
    path.write_text(MODULE)
    return path


def forget() -> None:
    """As in a process that has not run the plugin."""
    registry._parts.clear()
    for name in [name for name in sys.modules if name.startswith("scaled norm")]:
        del sys.modules[name]


def network(plugin: Path) -> cs.ArchSpec:
    registry.plug_in(str(plugin))
    (part,) = registry.registered()
    return replace(cs.spec("tinynet_e", resolution=32), name="mine").with_style(norm=part())


def defined(kind: str = "mine", by: float = 1.0) -> type[cs.Norm]:
    @dataclass(frozen=True)
    class Mine(cs.BatchNorm):
        strength: float = by

    Mine.kind = kind
    return Mine


def test_a_registered_part_survives_json_wherever_its_base_may_stand() -> None:
    @cs.register
    @dataclass(frozen=True)
    class Mine(cs.BatchNorm):
        kind: ClassVar[str] = "mine"
        strength: float = 0.5

    spec = cs.spec("resnet18").with_style(norm=Mine(strength=0.25))
    assert cs.from_json(spec.to_json()) == spec
    assert cs.cost(spec) == cs.cost(cs.spec("resnet18"))


def test_a_class_defined_anew_takes_its_own_place_and_no_other() -> None:
    cs.register(defined())
    again = cs.register(defined(by=2.0))
    assert registry.registered() == (again,)
    with pytest.raises(
        UserError, match=r"'batch_norm' is taken by convsmith\.parts\.norms\.batch\.BatchNorm; give Mine another"
    ):
        cs.register(defined("batch_norm"))
    other = defined()
    other.__qualname__ = "Other"
    with pytest.raises(UserError, match=r"'mine' is taken by .*Mine"):
        cs.register(other)


class Plain(cs.Norm):
    kind: ClassVar[str] = "plain"


@dataclass(frozen=True)
class Unfinished(cs.Norm):
    kind: ClassVar[str] = "unfinished"


@dataclass(frozen=True)
class Nameless(cs.BatchNorm):
    pass


@dataclass(frozen=True)
class Changing(cs.BatchNorm):
    kind: ClassVar[str] = "changing"
    taps: list[int] | None = None


@dataclass(frozen=True)
class Holding(cs.BatchNorm):
    kind: ClassVar[str] = "holding"
    net: nn.Module | None = None


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (nn.ReLU, "no class that inherits from a part, such as cs.Block"),
        (cs.BatchNorm(), "no class that inherits from a part"),
        (Plain, "no frozen dataclass: write @cs.register above"),
        (Unfinished, "does not say activation, build"),
        (Nameless, "no word of its own for files"),
        (Changing, "taps is of .* use a tuple"),
        (Holding, "JSON cannot say its fields"),
    ],
)
def test_what_could_not_be_read_again_is_refused_in_one_breath(part: object, why: str) -> None:
    with pytest.raises(UserError, match=why):
        cs.register(part)
    assert not registry.registered()


def test_an_unknown_kind_says_how_one_of_ones_own_is_made_known(plugin: Path) -> None:
    text = network(plugin).to_json()
    registry._parts.clear()
    with pytest.raises(
        UserError, match=r"'scaled' is none of batch_norm, .*\n.*--plugin FILE\.py, in Python by cs\.register"
    ):
        cs.from_json(text)


def test_a_network_that_could_not_be_read_again_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    spec = cs.spec("resnet18").with_style(norm=defined()())
    with pytest.raises(UserError, match=r"cs\.register"):
        train_job(spec, "digits", None, cs.Options(parent=tmp_path / "runs"), Watcher())
    cs.register(defined(by=2.0))
    with pytest.raises(UserError, match="defined anew"):
        train_job(spec, "digits", None, cs.Options(parent=tmp_path / "runs"), Watcher())
    assert not list(tmp_path.iterdir())


# ---- run folders -------------------------------------------------------------------------------------------------------


def test_a_run_folder_says_where_its_parts_are_and_runs_none(plugin: Path, tmp_path: Path) -> None:
    run, spec = RunFolder.create(tmp_path, "mine"), network(plugin)
    run.write_spec(spec)
    assert run.spec == spec
    registry._parts.clear()
    with pytest.raises(UserError, match=r"'scaled', of .*scaled norm\.py: add --plugin '/.*/scaled norm\.py'"):
        _ = run.spec
    assert not registry.registered()
    moved = plugin.rename(plugin.with_name("moved.py"))
    with pytest.raises(UserError, match="no longer there: add --plugin FILE with the place where it is now"):
        _ = run.spec
    forget()
    registry.plug_in(str(moved))
    assert run.spec.to_json() == spec.to_json()


def test_a_part_that_has_changed_is_refused_until_it_is_forced(plugin: Path, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "mine")
    run.write_spec(network(plugin))
    plugin.write_text(MODULE + "\n\nclass Elsewhere: ...\n")
    registry.plug_in(str(plugin))
    assert run.spec.name == "mine", "what else the file holds does not count"
    plugin.write_text(MODULE.replace("by: float = 2.0", "by: float = 2.0  # or 3"))
    registry.plug_in(str(plugin))
    with pytest.raises(UserError, match=r"is not what it was when the run was begun.*--plugin FILE.*--force"):
        _ = run.spec
    run.renew_parts()
    assert run.spec.name == "mine"


def test_a_network_without_parts_of_ones_own_leaves_no_such_file(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "plain")
    run.write_spec(cs.spec("resnet18"))
    assert not run.has("parts.json")


# ---- plugins -----------------------------------------------------------------------------------------------------------


def test_every_verb_takes_a_plugin_in_any_place(
    plugin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.json").write_text(network(plugin).to_json())
    for order in (["--plugin", str(plugin), "show"], ["show", f"--plugin={plugin}"]):
        forget()
        assert main([*order, str(tmp_path / "mine.json")]) == 0
    assert "mine at 32 px" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "there is no such file"),
        ("x = 1", "registers no part: write @cs.register above a class"),
        ("x = (", "does not run: SyntaxError"),
        ("import nosuch_package", "No module named 'nosuch_package'"),
        ("1 / 0", "does not run: ZeroDivisionError"),
        (MODULE.replace('"scaled"', '"batch_norm"'), "'batch_norm' is taken"),
    ],
)
def test_a_wrong_plugin_is_told_in_one_breath(
    text: str | None, why: str, plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin.unlink() if text is None else plugin.write_text(text)
    assert main(["--plugin", str(plugin), "show", "resnet18"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert why in said and "--plugin" in said and "Traceback" not in said


def shown(shared: cs.ArchSpec, item: cs.ArchSpec) -> tuple[str, int]:
    return type(item.style.norm).__qualname__, len(registry.registered())


def test_processes_that_are_started_know_the_parts(plugin: Path) -> None:
    spec = network(plugin)
    with Farm(shown, spec, workers=1) as farm:
        assert dict(farm({"a": spec})) == {"a": ("Scaled", 1)}


# ---- installed packages ------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    def install(**modules: str) -> None:
        monkeypatch.syspath_prepend(tmp_path)
        points = []
        for name, text in modules.items():
            (tmp_path / f"{name}_of_a_test.py").write_text(textwrap.dedent(text))
            points.append(EntryPoint(name, f"{name}_of_a_test:Scaled", registry.GROUP))
        monkeypatch.setattr(registry, "entry_points", lambda group: points)

    return install


def test_installed_parts_are_found_when_a_kind_is_unknown_and_not_before(
    installed: Callable[..., None], plugin: Path
) -> None:
    text = network(plugin).to_json()
    registry._parts.clear()
    installed(good=MODULE)
    assert cs.from_json(cs.spec("resnet18").to_json()) and not registry.registered()
    assert cs.from_json(text).style.norm.kind == "scaled"


def test_a_broken_installed_plugin_is_a_warning_with_its_name(installed: Callable[..., None], plugin: Path) -> None:
    text = network(plugin).to_json()
    registry._parts.clear()
    installed(broken="1 / 0", good=MODULE)
    with pytest.warns(
        UserWarning, match=r"the plugin 'broken' \(broken_of_a_test:Scaled\) is left out: division by zero"
    ):
        assert cs.from_json(text).name == "mine"
