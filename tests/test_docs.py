"""What the documentation shows is what happens."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import shlex
import sys
import types
from pathlib import Path

import pytest

import convsmith
from convsmith import registry
from convsmith.cli import main

ROOT = Path(__file__).parents[1]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_block_of_extend_md_is_trained_searched_and_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then by the command line, which as a process of its own knows it by `--plugin` alone."""
    block, use = blocks("docs/extend.md", "python")
    (tmp_path / "wide.py").write_text(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_parts", {})
    page = {"__name__": "extend"}
    exec(compile(use, "extend.md", "exec"), page)
    run = str(page["run"].path)
    registry._parts.clear()
    assert main(["evaluate", run]) == 2
    registry._parts.clear()
    for command in ("resume", "evaluate", "export"):
        assert main([command, run, "--plugin", "wide.py"]) == 0


def test_the_page_of_your_own_loop_works_as_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = types.ModuleType("own_loop")
    monkeypatch.setitem(sys.modules, "own_loop", module)
    exec(compile("\n".join(blocks("docs/own-loop.md", "python")), "own-loop.md", "exec"), module.__dict__)
    said = capsys.readouterr().out
    assert "step 2: loss" in said and "epoch 1: {'val_top1'" in said
    assert isinstance(module.trainee, module.Single)


def test_the_python_of_the_page_of_weights_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks("docs/weights.md", "python"))
    assert "with_weights=True" in code and "numerics=" in code
    exec(compile(code, "weights.md", "exec"), {"__name__": "weights"})


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = blocks("README.md", "python")
    assert code
    for block in code:
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    assert not list(tmp_path.iterdir()), "the README's Python is for looking; it must leave nothing behind"


def commands(page: str) -> list[str]:
    """Commands that are shown with their output: `$ convsmith ...`."""
    return [
        line[2:] for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ convsmith")
    ]


QUICK_VERBS = {"show", "list", "scale"}


@pytest.mark.parametrize("command", [c for c in commands("README.md") if shlex.split(c)[1] in QUICK_VERBS])
def test_the_readme_s_output_is_real(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = next(
        block.split(f"$ {command}\n", 1)[1].split("\n$ ", 1)[0]
        for block in blocks("README.md", "console")
        if f"$ {command}\n" in block
    )
    assert main(shlex.split(command)[1:]) == 0
    printed = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    expected = [line.strip() for line in shown.splitlines() if line.strip() and line.strip() != "..."]
    assert [line for line in expected if line not in printed] == []


@pytest.mark.parametrize(
    "page", sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
)
def test_links_inside_the_documentation_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", text) + re.findall(r'src="([^"]+)"', text)
    missing = [t for t in targets if "://" not in t and not ((ROOT / page).parent / t).exists()]
    assert missing == []


MODULES = [
    str(path.relative_to(Path(convsmith.__file__).parent.parent).with_suffix(""))
    .replace("/", ".")
    .removesuffix(".__init__")
    for path in sorted(Path(convsmith.__file__).parent.rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", MODULES)
def test_docstring_examples_run(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted > 0
    assert results.failed == 0


def test_the_reference_has_every_public_name_once() -> None:
    pages = sorted((ROOT / "docs" / "reference").glob("*.md"))
    listed = [
        path for page in pages for path in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert sorted(path.rpartition(".")[2] for path in listed) == sorted(convsmith.__all__)
    for path in listed:
        module, _, name = path.rpartition(".")
        namesake = Path(convsmith.__file__).parent.joinpath(*convsmith._MODULE_OF[name].split("."), f"{name}.py")
        assert module != "convsmith" or not namesake.exists(), (
            f"{path} would be taken for {namesake}: give the whole path"
        )
        shown = getattr(importlib.import_module(module), name)
        assert inspect.unwrap(shown) is inspect.unwrap(getattr(convsmith, name))
