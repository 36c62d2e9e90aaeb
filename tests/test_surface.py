"""The public surface is what `__all__` says, loads late, and is documented."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import convsmith


def documented(value: Any) -> bool:
    """Whether somebody wrote what a class or a function is. Python itself writes of a dataclass "Name(field: type, ...)"."""
    said = (value.__doc__ or "").strip()
    return bool(said) and not said.startswith(f"{value.__name__}(")


def test_every_public_name_loads_and_says_what_it_is() -> None:
    for name in convsmith.__all__:
        value = getattr(convsmith, name)
        assert value is not None
        if callable(value):
            assert documented(value), name


def test_what_python_writes_of_a_dataclass_is_not_taken_for_words() -> None:
    @dataclass(frozen=True)
    class Unsaid:
        width: int = 8

    assert Unsaid.__doc__ and not documented(Unsaid)


def test_all_is_sorted_and_is_what_the_table_and_the_type_imports_say() -> None:
    tree = ast.parse(Path(convsmith.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    for_types = [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert set(for_types) == set(convsmith.__all__) == set(convsmith._MODULE_OF)
    assert len(set(convsmith.__all__)) == len(convsmith.__all__)


def test_no_function_is_hidden_by_a_module_of_its_name() -> None:
    modules = {path.stem for path in Path(convsmith.__file__).parent.iterdir()}
    assert not modules & set(convsmith.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'effnet'"):
        _ = convsmith.effnet


# What is asked most often, before what reads more.
LIGHT = ["", "--help", "help design", "-V", "list"]
ANSWERS = [*LIGHT, "show efficientnet_b0", "recipes", "recipes resnet-rs", "runs ."]
MISTAKES = [
    "scale resnet50 --to 1G",
    "scale resnet5 --to 1G-macs",
    "scale resnet50 --to 1G-macs --rule compond",
    "design digits --to 5x",
    "search digits --to 2M-macs,5x",
    "train resnet18 digits --set lr=1",
    "train resnet18 digits --recipe quik",
    "train digits resnet18",
    "measure resnet18 nope",
    "export nowhere",
    "diagnose nothing.json",
    "pick --to 1G",
    "evaluate nowhere",
    "passport nowhere",
    "predict nowhere new.png",
    "predict tests new.png --out labels.txt",
    "predict tests new.png --timeline labels.pdf",
    "resume nowhere",
]


def test_first_answers_and_mistakes_need_no_torch() -> None:
    code = f"""
import sys
from convsmith.cli import main
for line in sys.argv[2:]:
    code = main(line.split())
    assert code == int(sys.argv[1]), (line, code)
    assert not {{"torch", "scipy"}} & set(sys.modules), line
    assert line not in {LIGHT} or not {{"numpy", "pydantic", "convsmith.arch"}} & set(sys.modules), line
"""
    for expected, lines in (("0", ANSWERS), ("2", MISTAKES)):
        command = [sys.executable, "-c", code, expected, *lines]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
